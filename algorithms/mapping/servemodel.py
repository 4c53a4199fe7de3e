"""Toolbox: a map of a whole raster with a trained model."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputMultipleLayers,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterVectorDestination,
)

from ...engine.errors import OutputRefused
from ...engine.jobs import ServeJob
from ...plugin import inputs, layers
from .. import parameters as shared
from .. import servejob, serving
from ..base import QuadratAlgorithm, tr

RASTERS = {
    'OUTPUT': 'Map',
    'PROBABILITIES': 'Class probabilities',
    'CONFIDENCE': 'Confidence',
    'ENTROPY': 'Entropy',
    'MARGIN': 'Margin',
}
POLYGONS, FOLDER = 'POLYGONS', 'OUTPUT_FOLDER'
LAYERS = {**RASTERS, POLYGONS: 'Class polygons'}


class ServeModel(QuadratAlgorithm):
    NAME = 'servemodel'
    LABEL = 'Map with a model'
    GROUP = 'mapping'
    TAGS = (
        'predict,prediction,inference,classify,classification,segmentation,regression,super-resolution,apply,serve,'
        'land cover,deep learning,embeddings,SavedModel,Keras,OpenVINO,TensorflowModelServe,OTBTF'
    )
    SUMMARY = (
        'Applies a trained model to whole rasters of any size, tile by tile. The map has the extent and pixels of the '
        'raster and does not depend on the tiles: around each, as much is read as the model looks at. No-data stays '
        'no-data. A class map carries the values, names and colours of the classes; the probabilities have a band for '
        'each class. Of models without classes the map has the values. Model packages say all that is needed; of bare '
        'models what they look at is measured, and the rest can be said here. A run that was ended can be resumed.'
    )

    def initAlgorithm(self, configuration=None):
        serving.add_inputs(self)
        serving.add_options(self)
        self._add_outputs()

    def _add_outputs(self):
        self._add_raster(
            'OUTPUT',
            'GeoTIFF of class values with names, colours and a .qml style, or, of models without classes and where '
            'outputs of the model are named, of values, a band for each. Pixels without data get a value that is no '
            'class. Leave it out to make other outputs only.',
        )
        self.add(
            QgsProcessingParameterVectorDestination(
                POLYGONS, tr(LAYERS[POLYGONS]), QgsProcessing.SourceType.TypeVectorPolygon, None, True, False
            ),
            'GeoPackage of the areas of one class, with its value and name, their size in square map units (square '
            'metres where these are degrees), and a style.',
        )
        self._add_raster(
            'PROBABILITIES',
            'GeoTIFF with a band for each class, named after it, of its probability. Pixels without data are NaN, or '
            'no-data in whole numbers.',
        )
        self._add_raster(
            'CONFIDENCE',
            'GeoTIFF of the probability of the class that the map shows: 1 where the network is certain.',
        )
        self._add_raster(
            'ENTROPY',
            'GeoTIFF of the Shannon entropy of the class probabilities in nats: 0 where the network is certain, the '
            'logarithm of the number of classes where it cannot tell.',
        )
        self._add_raster(
            'MARGIN',
            'GeoTIFF of the difference of the two highest class probabilities: near 0 where two classes are in doubt.',
        )
        self.add(
            QgsProcessingParameterFolderDestination(
                FOLDER, tr('Folder of rasters, one of each output of the model'), None, True, False
            ),
            'Each output of the model as a GeoTIFF of its own, named after it. They are not added to the '
            'project; the output RASTERS lists them.',
        )
        self.addOutput(QgsProcessingOutputMultipleLayers('RASTERS', tr('Rasters in the folder')))

    def _add_raster(self, name, text):
        by_default = name == 'OUTPUT'
        self.add(
            QgsProcessingParameterRasterDestination(name, tr(RASTERS[name]), optional=True, createByDefault=by_default),
            text,
        )

    def check(self, parameters, context):
        if not any(parameters.get(name) for name in (*LAYERS, FOLDER)):
            return tr('No output asked for; name one of {}.').format(', '.join((*LAYERS, FOLDER)))
        sieved = any(parameters.get(name) for name in ('OUTPUT', POLYGONS))
        if self.parameterAsInt(parameters, 'SIEVE', context) and not sieved:
            return tr('SIEVE is of the class map and the polygons; ask for OUTPUT or POLYGONS.')
        return servejob.problem(self, parameters, context)

    def prepare(self, parameters, context, feedback):
        self.given = servejob.layers(self, parameters, context, feedback)

    def job(self, parameters, context, feedback):
        wanted = {name: shared.output_path(self, parameters, name, context) for name in LAYERS}
        wanted[FOLDER] = shared.output_folder(self, parameters, FOLDER, context) if parameters.get(FOLDER) else ''
        if wanted[POLYGONS] and not wanted[POLYGONS].lower().endswith('.gpkg'):
            raise OutputRefused(f'POLYGONS: {wanted[POLYGONS]}: should be the path of a file whose name ends in .gpkg.')
        if parameters.get('MASK_LAYER') and not self.given['mask_layer']:
            first = next(path for path in wanted.values() if path)
            self.given['mask_layer'] = inputs.vector_export(self, parameters, 'MASK_LAYER', context, feedback, first)
        fields = servejob.values(self, parameters, context)
        return ServeJob(**self.given, **fields, **{name.lower(): path for name, path in wanted.items()})

    def results(self, values, parameters, context, feedback):
        model, classes = values.pop('MODEL_NAME'), values.pop('CLASS_MAP')
        names = {**LAYERS, 'OUTPUT': 'Class map' if classes else 'Values'}
        shown = [name for name in LAYERS if name in values]
        for name in shown:
            styled = name == POLYGONS or (name == 'OUTPUT' and classes)
            group = model if len(shown) > 1 else ''
            layers.present(context, values[name], f'{tr(names[name])} ({model})', group, styled)
        return values
