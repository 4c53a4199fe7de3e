"""``quadrat evaluate``: how good a model is."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..classes import read_csv
from ..jobs import EVALUATED_SPLITS, RUNTIMES, EvaluateJob, LabelPolygons, LabelRaster
from .console import Answer, Console
from .fields import Field, add_fields, given, vector
from .sources import add_source_arguments, sources

if TYPE_CHECKING:
    from .parser import Parser

EXAMPLES = """\
  quadrat evaluate package --dataset patches --report report.html
  quadrat evaluate package --input image.tif --reference truth.tif --mask-layer unseen.gpkg --table classes.csv
  quadrat evaluate package --input image.tif --points survey.gpkg --label-field landcover
"""

OUTPUTS = (
    Field('report', 'HTML', 'FILE'),
    Field('table', 'CSV: a row a class and one of all', 'FILE'),
)
DATASET = (
    Field('dataset', 'folder of a dataset of any layout', 'FOLDER'),
    Field('split', 'of the dataset', choices=EVALUATED_SPLITS),
    Field('target', 'for values: the source of the dataset that holds them', 'NAME'),
)
GROUND = (
    Field('points', 'what is known of the ground: points', 'FILE'),
    Field('label_field', 'their attribute with the class or value', 'FIELD'),
    Field('mask_layer', 'only pixels in these polygons count: FILE or FILE|layername=LAYER', 'FILE'),
)
MODEL = (
    Field('output_name', 'output of the model that is judged', 'NAME'),
    Field('user_placeholders', 'constants for the model', '"NAME=VALUE;…"'),
    Field('tags', 'tag set of a SavedModel, separated by commas'),
    Field('signature', 'of a SavedModel', 'NAME'),
    Field('batch_size', 'samples, or tiles, in one call of the model; 0 chooses', 'NUMBER'),
    Field('runtime', 'what runs the model', choices=RUNTIMES),
)
FIELDS = (*OUTPUTS, *DATASET, *GROUND, *MODEL)


def add_arguments(parser: Parser) -> None:
    parser.add_argument('model', metavar='MODEL', help='package folder or .zip, SavedModel folder, or .keras file')
    add_fields(parser, EvaluateJob, OUTPUTS)
    add_fields(parser.add_argument_group('by a dataset'), EvaluateJob, DATASET)
    ground = parser.add_argument_group('or by a reference on the ground of images')
    ground.add_argument('--input', metavar='RASTER', default='', help='the image, or the first of several')
    ground.add_argument('--reference', metavar='RASTER', default='', help='what is known of the ground: a raster')
    ground.add_argument(
        '--reference-nodata', metavar='VALUE', default='', help='its pixels that do not count; none: all do'
    )
    ground.add_argument(
        '--polygons', metavar='FILE', help='what is known of the ground: polygons, FILE or FILE|layername=LAYER'
    )
    ground.add_argument('--class-field', metavar='FIELD', default='', help='their attribute with the class')
    ground.add_argument('--outside', metavar='VALUE', type=int, help='class of pixels in none of them')
    add_fields(ground, EvaluateJob, GROUND)
    add_source_arguments(parser)
    model = parser.add_argument_group('the model')
    model.add_argument(
        '--classes', metavar='CSV', default='', help='value,name,colour of each class, in place of those of the model'
    )
    add_fields(model, EvaluateJob, MODEL)


def do(options: argparse.Namespace, console: Console) -> Answer:
    from .work import do_job, placement

    values, polygons = given(options, FIELDS), options.polygons
    job = EvaluateJob(
        options.model,
        sources=sources(options.input, options) if options.input else (),
        reference=LabelRaster(options.reference, nodata=options.reference_nodata) if options.reference else None,
        polygons=LabelPolygons(vector(polygons), options.class_field, options.outside) if polygons else None,
        classes=read_csv(options.classes) if options.classes else (),
        **{**values, **placement(options.device, values.get('runtime', 'auto'))},
    )
    return Answer(do_job(job, console, options.device))
