"""Jobs that use a trained model."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Dict, Optional, Tuple

from .base import TensorFlowJob
from .data import ClassDef, SourceSpec, VectorSpec

RUNTIMES = ('auto', 'tensorflow', 'openvino')
PRECISIONS = ('float32', 'bfloat16')
AUGMENTATIONS = ('none', 'd4')
MODES = ('native', 'otbtf-fullyconv', 'otbtf-patch')
BLENDS = ('auto', 'none', 'cosine')
PADDINGS = ('reflect', 'constant', 'nodata')
OUTPUT_TYPES = ('auto', 'uint8', 'int16', 'uint16', 'int32', 'float32')
PROBABILITY_TYPES = ('float32', 'uint8', 'uint16')
CONNECTIVITIES = (4, 8)


@dataclasses.dataclass(frozen=True)
class ServeJob(TensorFlowJob):
    """Apply a model to whole rasters.

    Attributes:
        model: package folder or zip, folder of a SavedModel, or ``.keras`` file.
        sources: the first is the reference grid; patch sizes are not used.
        output: raster to write: the class map where the model has classes and no `output_names` are given, else the
            values of the outputs, one after the other by band; empty: not made, as for all other outputs.
        probabilities, confidence, entropy, margin: rasters made of the class probabilities; margin is the difference
            of the two highest.
        output_folder: folder for a raster of each of the model's outputs, named after it.
        polygons: GeoPackage of the areas of one class.
        ensemble: further models, whose values are averaged with those of the first.
        output_names: of the model's outputs; empty: the one with classes, or all.
        user_placeholders: constants ``name=value;…`` for the model; see `runtimes.placeholders`.
        tags: tag set of a SavedModel, separated by commas; empty: ``serve``, or the only one.
        signature: of a SavedModel; empty: ``serving_default``, or the first.
        classes: of the output's bands, in their order, in place of the model's own; or, for an output of one band of
            whole numbers, of its values.
        mode: one of `MODES`. native: all of the image, a patch a pixel where the output has no rows and columns.
        expression_field: (columns, rows) of the map that OTBTF's fully convolutional mode computes together.
        spacing_scale: pixels of the first source to one of the map; 0: as the model does it, 1 where it does not say.
        fill_value: of pixels without data; None: 0 in the OTBTF modes, else the no-data value.
        output_type: one of `OUTPUT_TYPES`, for the values of outputs.
        probability_type: one of `PROBABILITY_TYPES`, for probabilities, confidence and margin; the scale is in the
            file.
        threshold: probability that a class needs to be mapped; of values: 1 from there on, 0 below.
        tile_size: output pixels of a tile, halo not counted; 0 chooses by `memory`.
        batch_size: tiles, or patches, in one call of the model; 0 chooses.
        memory: MiB that tiles may take together; part of the tile plan, so it never follows the machine's state.
        blend: one of `BLENDS`: how overlapping windows become one map, where the receptive field is not bounded (auto),
            or always (cosine).
        padding: one of `PADDINGS`: what the model is fed beyond the edges of an image.
        padding_value: for ``constant``.
        tta: test-time augmentation: ``d4`` takes the mean over the eight flips and quarter turns of each tile.
        runtime, precision, device: see `runtimes.base.load`.
        extent: (west, south, east, north) of what is mapped, in the CRS of the first source; None: all of it.
        window: (column, row, width, height) of what is mapped in pixels of the map; None: all of it.
        mask: raster; pixels above 0 are mapped.
        mask_layer: polygons; pixels whose centre lies in one are mapped.
        sieve: pixels that an area of one class must have to stay in the class map; 0: all stay.
        connectivity: one of `CONNECTIVITIES`: whether pixels that touch at a corner are of one area.
        resume: go on with what an earlier run of the same map did, and leave what is done for a later one.
        cog: write cloud-optimised GeoTIFFs. overviews: add overviews, which those have always.
        creation_options: GDAL creation options ``KEY=VALUE`` for all rasters.
    """

    kind: ClassVar[str] = 'servemodel'
    model: str
    sources: Tuple[SourceSpec, ...]
    output: str = ''
    probabilities: str = ''
    confidence: str = ''
    entropy: str = ''
    margin: str = ''
    output_folder: str = ''
    polygons: str = ''
    ensemble: Tuple[str, ...] = ()
    output_names: Tuple[str, ...] = ()
    user_placeholders: str = ''
    tags: str = ''
    signature: str = ''
    classes: Tuple[ClassDef, ...] = ()
    mode: str = 'native'
    expression_field: Tuple[int, int] = (1, 1)
    spacing_scale: float = 0.0
    fill_value: Optional[float] = None
    output_type: str = 'auto'
    probability_type: str = 'float32'
    threshold: Optional[float] = None
    tile_size: int = 0
    batch_size: int = 0
    memory: int = 1024
    blend: str = 'auto'
    padding: str = 'reflect'
    padding_value: float = 0.0
    tta: str = 'none'
    runtime: str = 'auto'
    precision: str = 'float32'
    device: str = 'auto'
    extent: Optional[Tuple[float, float, float, float]] = None
    window: Optional[Tuple[int, int, int, int]] = None
    mask: str = ''
    mask_layer: Optional[VectorSpec] = None
    sieve: int = 0
    connectivity: int = 4
    resume: bool = True
    cog: bool = False
    overviews: bool = False
    creation_options: Tuple[str, ...] = ()

    def inputs(self) -> Tuple[str, ...]:
        rasters = [path for source in self.sources for path in source.rasters]
        masks = filter(None, (self.mask, self.mask_layer.path if self.mask_layer else ''))
        return (self.model, *self.ensemble, *rasters, *masks)

    def outputs(self) -> Dict[str, str]:
        return {**self.rasters(), 'OUTPUT_FOLDER': self.output_folder, 'POLYGONS': self.polygons}

    def rasters(self) -> Dict[str, str]:
        """Paths of the rasters that have names of their own, by parameter name."""
        return {
            'OUTPUT': self.output,
            'PROBABILITIES': self.probabilities,
            'CONFIDENCE': self.confidence,
            'ENTROPY': self.entropy,
            'MARGIN': self.margin,
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
