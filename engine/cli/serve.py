"""``quadrat serve``: a map from a model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..classes import read_csv
from ..jobs import ServeJob
from ..jobs.serving import (
    AUGMENTATIONS,
    BLENDS,
    CONNECTIVITIES,
    MODES,
    OUTPUT_TYPES,
    PADDINGS,
    PRECISIONS,
    PROBABILITY_TYPES,
    RUNTIMES,
)
from .console import Answer, Console
from .fields import Field, add_fields, given
from .sources import add_source_arguments, sources

if TYPE_CHECKING:
    from .parser import Parser

EXAMPLES = """\
  quadrat serve package image.tif map.tif --confidence confidence.tif --polygons map.gpkg
  quadrat serve package.zip ms.tif map.tif --source pan=pan.tif --extent 600000 4790000 610000 4800000
  quadrat serve model.keras image.tif map.tif --classes classes.csv --bands 3,2,1 --runtime tensorflow
  quadrat serve package image.tif "" --probabilities probabilities.tif --probability-type uint8
"""

OUTPUTS = (
    Field('probabilities', 'raster with a band for each class', 'RASTER'),
    Field('confidence', 'raster of the probability of the class on the map', 'RASTER'),
    Field('entropy', 'raster of the entropy of the probabilities in nats', 'RASTER'),
    Field('margin', "raster of the two highest probabilities' difference", 'RASTER'),
    Field('polygons', 'GeoPackage of the areas of one class', 'FILE'),
    Field('output_folder', 'folder for a raster of each output of the model', 'FOLDER'),
    Field('output_type', 'of values', choices=OUTPUT_TYPES),
    Field('probability_type', 'of probabilities, confidence and margin', choices=PROBABILITY_TYPES),
    Field('cog', 'write cloud-optimised GeoTIFFs'),
    Field('overviews', 'add overviews'),
    Field('creation_options', "GDAL's, for all rasters; repeatable", 'KEY=VALUE'),
)
MODEL = (
    Field('ensemble', 'a further model, whose values are averaged with those of the first; repeatable', 'MODEL'),
    Field('output_names', 'an output of the model, whose values are written to OUTPUT; repeatable', 'NAME'),
    Field('user_placeholders', 'constants for the model', '"NAME=VALUE;…"'),
    Field('tags', 'tag set of a SavedModel, separated by commas'),
    Field('signature', 'of a SavedModel', 'NAME'),
    Field('runtime', 'what runs the model', choices=RUNTIMES),
    Field('precision', 'of its numbers', choices=PRECISIONS),
)
WHERE = (
    Field('extent', 'only there, in the reference system of INPUT', 'WEST SOUTH EAST NORTH'),
    Field('window', 'only there, in pixels of the map', 'COLUMN ROW WIDTH HEIGHT'),
    Field('mask', 'only where this raster is above 0', 'RASTER'),
    Field('mask_layer', 'only in these polygons: FILE or FILE|layername=LAYER', 'FILE'),
)
HOW = (
    Field('mode', 'native, or as OTBTF does it', choices=MODES),
    Field('expression_field', 'pixels of the map that otbtf-fullyconv computes together', 'COLUMNS ROWS'),
    Field('spacing_scale', 'pixels of INPUT to one of the map; 0: as the model does it', 'NUMBER'),
    Field('fill_value', 'of pixels without data; by default that of no-data, in the modes of OTBTF 0', 'VALUE'),
    Field('threshold', 'probability that a class needs to be mapped; of values: 1 from there on, 0 below', 'NUMBER'),
    Field('tta', 'test-time augmentation: d4 is the mean over flips and quarter turns', choices=AUGMENTATIONS),
    Field('blend', 'how overlapping windows become one map', choices=BLENDS),
    Field('padding', 'what the model sees beyond the edges of the image', choices=PADDINGS),
    Field('padding_value', 'for --padding constant', 'VALUE'),
    Field('sieve', 'pixels that an area of one class must have to stay', 'PIXELS'),
    Field('connectivity', 'neighbours of a pixel in the same area', choices=CONNECTIVITIES),
    Field('tile_size', 'output pixels of a tile, halo not counted; 0 chooses', 'PIXELS'),
    Field('batch_size', 'tiles, or patches, in one call of the model; 0 chooses', 'NUMBER'),
    Field('memory', 'MiB that tiles may take together', 'MIB'),
    Field('resume', 'begin anew, and leave nothing for a later run to go on with'),
)
GROUPS = {'further outputs': OUTPUTS, 'the model': MODEL, 'where': WHERE, 'how': HOW}


def add_arguments(parser: Parser) -> None:
    parser.add_argument('model', metavar='MODEL', help='package folder or .zip, SavedModel folder, or .keras file')
    parser.add_argument('input', metavar='INPUT', help='raster whose grid is that of the map')
    parser.add_argument(
        'output', metavar='OUTPUT',
        help='raster: the classes, or the values of the model; "" where only further outputs are wanted',
    )  # fmt: skip
    add_source_arguments(parser)
    parser.add_argument(
        '--classes', metavar='CSV', default='', help='value,name,colour of each class, in place of those of the model'
    )
    for title, fields in GROUPS.items():
        add_fields(parser.add_argument_group(title), ServeJob, fields)


def do(options: argparse.Namespace, console: Console) -> Answer:
    from .work import do_job, placement

    values = given(options, [field for group in GROUPS.values() for field in group])
    job = ServeJob(
        options.model,
        sources(options.input, options),
        options.output,
        classes=read_csv(options.classes) if options.classes else (),
        **{**values, **placement(options.device, values.get('runtime', 'auto'))},
    )
    return Answer(do_job(job, console, options.device))
