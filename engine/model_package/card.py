"""What a model package says of its model, as standard-library dataclasses (QGIS reads them too)."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Optional, Tuple

from ..jobs import ClassDef


@dataclasses.dataclass(frozen=True)
class ReceptiveField:
    """Input pixels that an output pixel depends on, to each side of it, the pixel itself not counted."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Full width in pixels of the larger axis: left + 1 + right."""
        return max(self.left + 1 + self.right, self.top + 1 + self.bottom)


@dataclasses.dataclass(frozen=True)
class InputCard:
    """One input of the model.

    Attributes:
        name: the signature's input name.
        bands: names, in the order the model wants them.
        dtype: what the model is fed.
        field: its receptive field; None where unknown.
        stride: the total stride: windows start and end at multiples of it.
        patch_size: (columns, rows) it was trained with.
        nodata: text a band, empty where there is none; as in `datasets.manifest.SourceInfo`.
        nodata_policy: ``any``: a pixel is no-data if any band is; ``all``; ``ignore``.
        fill: what the model is fed at no-data pixels, a value a band (the training mean).
        pixel_size: of the training data, in map units; (0, 0) where unknown.
        mean, stddev, minimum, maximum: statistics of the training data; normalisation is inside the graph.
    """

    name: str
    bands: Tuple[str, ...]
    dtype: str = 'float32'
    field: Optional[ReceptiveField] = None
    stride: int = 1
    patch_size: Tuple[int, int] = (0, 0)
    nodata: Tuple[str, ...] = ()
    nodata_policy: str = 'any'
    fill: Tuple[float, ...] = ()
    pixel_size: Tuple[float, float] = (0.0, 0.0)
    mean: Tuple[float, ...] = ()
    stddev: Tuple[float, ...] = ()
    minimum: Tuple[float, ...] = ()
    maximum: Tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class OutputCard:
    """One output: its name in the signature, its bands, and its classes in the order of the bands."""

    name: str
    bands: int
    classes: Tuple[ClassDef, ...] = ()


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """A model package's item.json, without its STAC dress.

    Attributes:
        name: the model's name.
        task: one of `jobs.TASKS`.
        geometry: GeoJSON polygon in WGS 84 of where the training data lies; None where unknown.
        created: ISO 8601 time, UTC, ending in Z.
        hyperparameters: plain values.
    """

    name: str
    task: str
    architecture: str
    inputs: Tuple[InputCard, ...]
    outputs: Tuple[OutputCard, ...]
    framework_version: str = ''
    parameters: int = 0
    batch_size: int = 1
    created: str = ''
    geometry: Optional[Dict[str, Any]] = None
    hyperparameters: Dict[str, Any] = dataclasses.field(default_factory=dict)
    description: str = ''
