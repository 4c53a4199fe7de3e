"""Toolbox: a map of a whole raster with a trained model."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from ...engine.jobs import AUGMENTATIONS, RUNTIMES, ServeJob
from ...plugin import inputs, layers
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr

NAMES = {
    'OUTPUT': 'Class map',
    'PROBABILITIES': 'Class probabilities',
    'CONFIDENCE': 'Confidence',
    'ENTROPY': 'Entropy',
}


class ServeModel(QuadratAlgorithm):
    NAME = 'servemodel'
    LABEL = 'Map with a model'
    GROUP = 'mapping'
    TAGS = (
        'predict,prediction,inference,classify,classification,segmentation,apply,serve,land cover,deep learning,OTBTF'
    )
    SUMMARY = (
        'Applies a trained model to a whole raster of any size, tile by tile. The map has the extent and pixels of the '
        'raster and does not depend on the tiles: around each, as much is read as the model looks at. No-data stays '
        'no-data. The class map carries the values, names and colours of the classes; the probabilities have a band '
        'for each class.'
    )

    def initAlgorithm(self, configuration=None):
        shared.add_model(self)
        shared.add_sources(
            self,
            'The image to map: one raster, or several on the same grid, whose bands are stacked in the order given '
            'here. Give the bands that the model was trained with, in that order, with about the same pixel size.',
        )
        self.add(
            QgsProcessingParameterExtent('EXTENT', tr('Extent to map'), optional=True),
            'Empty: the whole raster. Pixels that the extent touches are mapped, just as they are in a map of all.',
        )
        self.add(
            QgsProcessingParameterFeatureSource(
                'MASK_LAYER', tr('Polygons to map'), [QgsProcessing.SourceType.TypeVectorPolygon], optional=True
            ),
            'Only pixels whose centre lies in one of these polygons are mapped; all else becomes no-data, and tiles '
            'without any are not computed. Any CRS.',
        )
        self.add(
            QgsProcessingParameterRasterLayer('MASK', tr('Mask raster'), optional=True),
            'Only pixels where this raster is above 0 are mapped. Its pixels may be larger or smaller than those of '
            'the image by a whole factor.',
            advanced=True,
        )
        shared.add_nodata(self)
        self.add(
            shared.integer('TILE_SIZE', 'Tile size (pixels)', 0, 0),
            'Side of the tiles that are computed one after the other. 0 chooses it so that a tile takes about 1 GiB of '
            'memory. Smaller tiles need less memory and more time, since what lies around each is computed as well; '
            'the map is the same.',
            advanced=True,
        )
        self.add(
            shared.integer('BATCH_SIZE', 'Tiles at once', 0, 0),
            'How many tiles the model computes at the same time. 0 chooses; more than one pays only for small tiles '
            'on a GPU.',
            advanced=True,
        )
        self.add(
            shared.choice('TTA', 'Test-time augmentation', AUGMENTATIONS, 'none'),
            'd4: each tile is computed in its eight flips and quarter turns, and the mean of the probabilities counts: '
            'often a little better, and eight times the work.',
            advanced=True,
        )
        self.add(
            shared.choice('RUNTIME', 'Runtime', RUNTIMES, 'auto'),
            'What runs the network. auto takes the best that is installed; all give the same map.',
            advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean('RESUME', tr('Resume an interrupted run'), True),
            'Tiles that a run which was cancelled, or ended by a fault, has made are kept in the folder <output>.part '
            'and not computed again, if the image, the model and the settings are still the same. Without it such '
            'tiles are thrown away.',
            advanced=True,
        )
        self.add(
            shared.text('CREATION_OPTIONS', 'Creation options of the GeoTIFF files'),
            'GDAL creation options KEY=VALUE, separated by | or blanks, such as COMPRESS=ZSTD|ZSTD_LEVEL=9. They '
            "win over Quadrat's own: tiled, DEFLATE, sparse, BigTIFF if needed.",
            advanced=True,
        )
        self._add_output(
            'OUTPUT',
            True,
            'GeoTIFF of class values with names, colours and a .qml style. Pixels without data get a value that is no '
            'class. Leave it out to make the probabilities only.',
        )
        self._add_output(
            'PROBABILITIES',
            False,
            'GeoTIFF of 32 bit floating point, a band for each class, named after it. Pixels without data are NaN.',
        )
        self._add_output(
            'CONFIDENCE',
            False,
            'GeoTIFF of the probability of the class that the map shows: 1 where the network is certain.',
        )
        self._add_output(
            'ENTROPY',
            False,
            'GeoTIFF of the Shannon entropy of the class probabilities in nats: 0 where the network is certain, the '
            'logarithm of the number of classes where it cannot tell.',
        )

    def _add_output(self, name, by_default, text):
        label = tr(NAMES[name])
        self.add(QgsProcessingParameterRasterDestination(name, label, optional=True, createByDefault=by_default), text)

    def check(self, parameters, context):
        if not any(parameters.get(name) for name in NAMES):
            return tr('No output asked for; name one of {}.').format(', '.join(NAMES))
        return shared.model_problem(self, parameters, context)

    def prepare(self, parameters, context, feedback):
        self.sources = shared.sources(self, parameters, context)
        self.mask = shared.optional_raster(self, parameters, 'MASK', context)
        self.polygons = inputs.vector_file(self, parameters, 'MASK_LAYER', context)
        self.extent = None
        if parameters.get('EXTENT'):
            first = self.parameterAsLayerList(parameters, shared.INPUT, context)[0]
            box = self.parameterAsExtent(parameters, 'EXTENT', context, first.crs())
            self.extent = (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())

    def job(self, parameters, context, feedback):
        options = shared.text_value(self, parameters, 'CREATION_OPTIONS', context)
        wanted = {name: shared.output_path(self, parameters, name, context) for name in NAMES}
        polygons = self.polygons
        if parameters.get('MASK_LAYER') and not polygons:
            first = next(path for path in wanted.values() if path)
            polygons = inputs.vector_export(self, parameters, 'MASK_LAYER', context, feedback, first)
        return ServeJob(
            model=shared.model(self, parameters, context),
            sources=self.sources,
            **{name.lower(): path for name, path in wanted.items()},
            tile_size=self.parameterAsInt(parameters, 'TILE_SIZE', context),
            batch_size=self.parameterAsInt(parameters, 'BATCH_SIZE', context),
            runtime=self.parameterAsEnumString(parameters, 'RUNTIME', context),
            tta=self.parameterAsEnumString(parameters, 'TTA', context),
            extent=self.extent,
            mask=self.mask,
            mask_layer=polygons,
            resume=self.parameterAsBoolean(parameters, 'RESUME', context),
            creation_options=tuple(options.replace('|', ' ').split()),
        )

    def results(self, values, parameters, context, feedback):
        model = values.pop('MODEL_NAME')
        group = model if len(values) > 1 else ''
        for name, path in values.items():
            layers.present(context, path, f'{tr(NAMES[name])} ({model})', group, classes=name == 'OUTPUT')
        return values
