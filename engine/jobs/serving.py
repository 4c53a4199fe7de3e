"""Jobs that use a trained model."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Dict, Optional, Tuple

from .base import TensorFlowJob
from .data import SourceSpec, VectorSpec

RUNTIMES = ('auto', 'tensorflow', 'openvino')
AUGMENTATIONS = ('none', 'd4')


@dataclasses.dataclass(frozen=True)
class ServeJob(TensorFlowJob):
    """Apply a model to whole rasters.

    Attributes:
        model: package folder or zip.
        sources: the first is the reference grid; patch sizes are not used.
        output, probabilities, confidence, entropy: rasters to write; empty: not made; at least one.
        tile_size: output pixels of a tile, halo not counted; 0 chooses by `memory`.
        batch_size: tiles in one call of the model; 0 chooses.
        memory: MiB that tiles may take together; part of the tile plan, so it never follows the machine's state.
        tta: test-time augmentation: ``d4`` takes the mean over the eight flips and quarter turns of each tile.
        extent: (west, south, east, north) of what is mapped, in the CRS of the first source; None: all of it.
        mask: raster; pixels above 0 are mapped.
        mask_layer: polygons; pixels whose centre lies in one are mapped.
        resume: go on with what an earlier run of the same map did, and leave what is done for a later one.
        creation_options: GDAL creation options ``KEY=VALUE`` for all rasters.
    """

    kind: ClassVar[str] = 'servemodel'
    model: str
    sources: Tuple[SourceSpec, ...]
    output: str = ''
    probabilities: str = ''
    confidence: str = ''
    entropy: str = ''
    tile_size: int = 0
    batch_size: int = 0
    memory: int = 1024
    runtime: str = 'auto'
    tta: str = 'none'
    extent: Optional[Tuple[float, float, float, float]] = None
    mask: str = ''
    mask_layer: Optional[VectorSpec] = None
    resume: bool = True
    creation_options: Tuple[str, ...] = ()

    def inputs(self) -> Tuple[str, ...]:
        rasters = [path for source in self.sources for path in source.rasters]
        masks = filter(None, (self.mask, self.mask_layer.path if self.mask_layer else ''))
        return (self.model, *rasters, *masks)

    def outputs(self) -> Dict[str, str]:
        return {
            'OUTPUT': self.output,
            'PROBABILITIES': self.probabilities,
            'CONFIDENCE': self.confidence,
            'ENTROPY': self.entropy,
        }


@dataclasses.dataclass(frozen=True)
class DescribeJob(TensorFlowJob):
    """Say what a model is: inputs, outputs, receptive field, stride, classes, parameters.

    Attributes:
        model: package folder or zip, folder of a SavedModel, or ``.keras`` file.
        report, json: the description as a page and as JSON; empty: not made.
    """

    kind: ClassVar[str] = 'describemodel'
    model: str
    report: str = ''
    json: str = ''

    def inputs(self) -> Tuple[str, ...]:
        return (self.model,)

    def outputs(self) -> Dict[str, str]:
        return {'REPORT': self.report, 'JSON': self.json}
