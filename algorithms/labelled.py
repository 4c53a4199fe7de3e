"""Patches with labels: the parameters that say where they lie, and how these become an extraction.

Reading touches layers of the project, so `read` belongs in `prepare`.
"""

from __future__ import annotations

from typing import Any, Dict

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterRasterLayer,
)

from ..engine.jobs import BORDERS, LabelPolygons, LabelRaster, VectorSpec
from ..plugin import inputs
from . import parameters as shared
from . import sources
from .base import tr

LABELS = ('LABEL_FIELD', 'LABEL_RASTER', 'LABEL_POLYGONS')


def add_points(algorithm, optional: bool = False) -> None:
    """POINTS and SPLIT_FIELD; both are advanced where points are optional."""
    algorithm.add(
        QgsProcessingParameterFeatureSource(
            'POINTS', tr('Points'), [QgsProcessing.SourceType.TypeVectorPoint], None, optional
        ),
        'Where the patches lie: the layer that "Select patches" makes, or any other points. A patch of N pixels '
        'starts N/2 pixels, rounded down, before the pixel that holds the point. With several sources that places '
        'the patch of the coarsest one; the others are centred on its ground.',
        advanced=optional,
    )
    algorithm.add(
        QgsProcessingParameterField('SPLIT_FIELD', tr('Field with the split'), None, 'POINTS', optional=True),
        'Field of the points that says train, validation or test. Empty: the field "split" if there is one, else '
        'all samples are for training.',
        advanced=True,
    )


def add_labels(algorithm, advanced: bool = False) -> None:
    """LABEL_FIELD, LABEL_RASTER, LABEL_POLYGONS and what belongs to them."""
    algorithm.add(
        QgsProcessingParameterField('LABEL_FIELD', tr('Labels: field of the points'), None, 'POINTS', optional=True),
        'For one label a patch: field of the points with the class, whole numbers or text, as for polygons. Points '
        'without a value are rejected.',
        advanced,
    )
    algorithm.add(
        QgsProcessingParameterRasterLayer('LABEL_RASTER', tr('Labels: raster of classes'), optional=True),
        'Whole numbers, in the CRS of the image. Its pixels may be smaller or larger than those of the image by a '
        'whole factor; the labels of a patch cover its ground in their own pixels.',
        advanced,
    )
    algorithm.add(
        QgsProcessingParameterFeatureSource(
            'LABEL_POLYGONS', tr('Labels: polygons'), [QgsProcessing.SourceType.TypeVectorPolygon], optional=True
        ),
        'Polygons in any CRS, drawn on the grid of the image; the last feature wins where they overlap. '
        'Give either these, a raster of classes or a field of the points.',
        advanced,
    )
    algorithm.add(
        QgsProcessingParameterField('CLASS_FIELD', tr('Class field'), None, 'LABEL_POLYGONS', optional=True),
        'Field of the polygons with the class: whole numbers, or text (which is numbered from 1 in alphabetical '
        'order, or as the table of classes says). Empty: every polygon is 1.',
        advanced,
    )
    algorithm.add(
        shared.integer('OUTSIDE', 'Class of pixels in no polygon', None, optional=True),
        'Empty: such pixels have no label, and training passes over them. Give a value, such as 0, where the '
        'polygons show all there is of their classes.',
        advanced,
    )
    algorithm.add(
        QgsProcessingParameterBoolean('ALL_TOUCHED', tr('All pixels that polygons touch'), False),
        'Pixels belong to a polygon if it touches them; else if their centre lies inside.',
        advanced=True,
    )
    algorithm.add(
        shared.text('LABEL_NODATA', 'No-data value of the label raster'),
        'Pixels of this value have no label. Empty takes what the file (or the settings of its layer) declares; '
        '"none" makes the declared value a class like any other.',
        advanced=True,
    )


def add_border(algorithm) -> None:
    """BORDER."""
    algorithm.add(
        shared.choice('BORDER', 'Patches over the edge of an image', BORDERS, BORDERS[0]),
        'reject: they are left out. reflect: image and labels are mirrored there. Points outside an image are left '
        'out in any case.',
        advanced=True,
    )


def problem(algorithm, parameters: dict, context, zones: bool = False) -> str:
    """What is wrong with these parameters and the sources, as one line; empty if nothing is.

    Args:
        zones: there are further zones, whose polygons may have a class field.
    """
    given = [name for name in LABELS if parameters.get(name)]
    if len(given) > 1:
        return tr('Labels come from {}; give one of them.').format(' or '.join(given))
    if 'LABEL_POLYGONS' not in given and not zones and parameters.get('CLASS_FIELD'):
        return tr('CLASS_FIELD is a field of LABEL_POLYGONS, which are not given.')
    return sources.problem(algorithm, parameters, context)


class LabelledPatches:
    """What the parameters say; made in `prepare`, with the layers of the project.

    Attributes:
        sources: the images.
        label_field: of the points.
    """

    def __init__(self, algorithm, parameters: dict, context, feedback) -> None:
        self._algorithm, self._parameters = algorithm, parameters
        self.sources = sources.read(algorithm, parameters, context, feedback, sources.Patches())
        self._points = inputs.vector_file(algorithm, parameters, 'POINTS', context)
        self._labels, self._polygons, self._legend = None, None, ()
        self._class_field = algorithm.parameterAsString(parameters, 'CLASS_FIELD', context) or ''
        self.label_field = algorithm.parameterAsString(parameters, 'LABEL_FIELD', context) or ''
        if parameters.get('LABEL_RASTER'):
            layer = algorithm.parameterAsRasterLayer(parameters, 'LABEL_RASTER', context)
            nodata = shared.text_value(algorithm, parameters, 'LABEL_NODATA', context) or inputs.band_nodata(layer, 1)
            self._labels = LabelRaster(inputs.raster_path(layer), nodata=nodata)
            self._legend = inputs.raster_legend(layer)
        elif parameters.get('LABEL_POLYGONS'):
            self._polygons = inputs.vector_file(algorithm, parameters, 'LABEL_POLYGONS', context)
            self._legend = self._vector_legend('LABEL_POLYGONS', self._class_field, context)
        elif self.label_field:
            self._legend = self._vector_legend('POINTS', self.label_field, context)

    def _vector_legend(self, name: str, field: str, context):
        """Names and colours of classes from the symbology of a layer."""
        layer = inputs.vector_layer(self._algorithm, self._parameters, name, context)
        return inputs.vector_legend(layer, field) if layer and field else ()

    def details(self, context, feedback, output: str) -> Dict[str, Any]:
        """The fields of an `ExtractPatchesJob` that they make.

        Args:
            output: the output that layers which are no files are written beside.
        """
        algorithm, parameters = self._algorithm, self._parameters
        split_field = algorithm.parameterAsString(parameters, 'SPLIT_FIELD', context) or ''
        fields = tuple(filter(None, ('id', split_field or 'split', self.label_field)))
        points = self._points or inputs.vector_export(
            algorithm, parameters, 'POINTS', context, feedback, output, fields
        )
        return {
            'sources': self.sources,
            'points': points,
            'labels': self._labels,
            'polygons': self._of_polygons(context, feedback, output),
            'label_field': self.label_field,
            'legend': self._legend,
            'split_field': split_field,
            'nodata_policy': algorithm.parameterAsEnumString(parameters, 'NODATA_POLICY', context),
            'border': algorithm.parameterAsEnumString(parameters, 'BORDER', context),
        }

    def _of_polygons(self, context, feedback, output: str):
        """The polygons as the engine gets them, or None where there are none."""
        algorithm, parameters = self._algorithm, self._parameters
        if not parameters.get('LABEL_POLYGONS'):
            return None
        fields = (self._class_field,) if self._class_field else ()
        vector = self._polygons or inputs.vector_export(
            algorithm, parameters, 'LABEL_POLYGONS', context, feedback, output, fields
        )
        return polygon_labels(algorithm, parameters, context, vector)


def polygon_labels(algorithm, parameters: dict, context, vector: VectorSpec) -> LabelPolygons:
    """Labels that a layer of polygons gives, drawn as the parameters say."""
    return LabelPolygons(
        vector,
        algorithm.parameterAsString(parameters, 'CLASS_FIELD', context) or '',
        shared.optional_integer(algorithm, parameters, 'OUTSIDE', context),
        algorithm.parameterAsBool(parameters, 'ALL_TOUCHED', context),
    )
