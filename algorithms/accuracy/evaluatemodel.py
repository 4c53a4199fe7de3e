"""Toolbox: how good a model is."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingUtils,
)

from ...engine.errors import EngineError
from ...engine.jobs import EVALUATED_SPLITS, RUNTIMES, EvaluateJob, LabelRaster
from ...plugin import inputs
from .. import labelled, sources
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr

REFERENCES = ('REFERENCE', 'LABEL_POLYGONS', 'POINTS')
_OF_RASTERS = ('INPUT', 'SOURCES', *REFERENCES, 'MASK_LAYER')
_TEXTS = ('LABEL_FIELD', 'OUTPUT_NAME', 'TARGET', 'USER_PLACEHOLDERS', 'TAGS', 'SIGNATURE')


class EvaluateModel(QuadratAlgorithm):
    NAME = 'evaluatemodel'
    LABEL = 'Evaluate a model'
    GROUP = 'accuracy'
    TAGS = (
        'accuracy assessment,validation,test,confusion matrix,error matrix,kappa,overall accuracy,F1,F-score,IoU,'
        "Jaccard,precision,recall,user's accuracy,producer's accuracy,calibration,reliability,RMSE,deep learning"
    )
    SUMMARY = (
        "Says how good a model is: overall accuracy, kappa, precision (user's accuracy), recall (producer's accuracy), "
        'F1 and intersection over union of each class, confusion matrix and calibration; of values RMSE, MAE, bias and '
        'R². The model is judged by a split of a dataset, or by a reference (raster, polygons or points) on rasters, '
        'where it is applied only to the ground that the reference covers. Judge it by places it was not trained with, '
        'nor with their neighbours, such as the test split of patches selected in blocks, or another scene: on what it '
        'has learnt from, or right beside it, any model looks better than its maps are.'
    )

    def initAlgorithm(self, configuration=None):
        shared.add_model(self)
        self._add_dataset()
        sources.add_first(
            self,
            'Where no dataset is given: the image, one raster, or several on the same grid, whose bands are stacked in '
            'the order given here; as for "Map with a model".',
        )
        self._add_reference()
        self._add_model_details()
        self._add_source_details()
        self._add_outputs()

    def _add_dataset(self):
        folder = QgsProcessingParameterFile.Behavior.Folder
        self.add(
            QgsProcessingParameterFile('DATASET', tr('Dataset'), folder, optional=True),
            'A folder with labels: a dataset of any format that "Extract patches" made, or TFRecords or patches-images '
            'of OTBTF. Its sources go to the inputs of the model by their names, or in their order. Empty: the model '
            'is judged on the input rasters.',
        )
        self.add(
            shared.choice('SPLIT', 'Split', EVALUATED_SPLITS, EVALUATED_SPLITS[0]),
            'Which samples of the dataset count. test: those that no training looks at. validation: those that chose '
            'the best epoch, so that they flatter a little. train: says how well the model remembers. all: of a '
            'dataset that the model was not trained with.',
        )

    def _add_reference(self):
        self.add(
            QgsProcessingParameterRasterLayer('REFERENCE', tr('Reference: raster'), optional=True),
            'Classes as the model has them, by value, or values; in the CRS of the image. Its pixels may be smaller or '
            'larger than those of the map by a whole factor; the smaller ones are what is counted. Pixels of no-data '
            'do not count.',
        )
        self.add(
            QgsProcessingParameterFeatureSource(
                'LABEL_POLYGONS', tr('Reference: polygons'), [QgsProcessing.SourceType.TypeVectorPolygon], optional=True
            ),
            'Polygons in any CRS, drawn on the grid of the image as "Extract patches" draws them; the last feature '
            'wins where they overlap.',
        )
        self.add(
            QgsProcessingParameterField('CLASS_FIELD', tr('Class field'), None, 'LABEL_POLYGONS', optional=True),
            'Field of the polygons with the class: its value, or its name in the model. Empty: every polygon is 1.',
        )
        self.add(
            shared.integer('OUTSIDE', 'Class of pixels in no polygon', None, optional=True),
            'Empty: such pixels do not count. Give a value, such as 0, where the polygons show all there is of their '
            'classes.',
        )
        self.add(
            QgsProcessingParameterFeatureSource(
                'POINTS', tr('Reference: points'), [QgsProcessing.SourceType.TypeVectorPoint], optional=True
            ),
            'Points in any CRS. Each counts by itself, in the pixel of the map that holds it.',
        )
        self.add(
            QgsProcessingParameterField('LABEL_FIELD', tr('Field of the points'), None, 'POINTS', optional=True),
            'Field of the points with the class (its value, or its name in the model), or with the value. Points '
            'without one do not count.',
        )
        self.add(
            QgsProcessingParameterFeatureSource(
                'MASK_LAYER', tr('Only in polygons'), [QgsProcessing.SourceType.TypeVectorPolygon], optional=True
            ),
            'Only pixels of the reference count whose centre lies in one of these polygons, such as the part of a '
            'scene that was kept from the training. Any CRS.',
        )
        self.add(
            shared.text('REFERENCE_NODATA', 'No-data value of the reference raster'),
            'Pixels of this value do not count. Empty takes what the file (or the settings of its layer) declares, '
            'unless that is a class of the model; "none" makes the declared value one like any other.',
            advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean('ALL_TOUCHED', tr('All pixels that polygons touch'), False),
            'Pixels belong to a polygon of the reference if it touches them; else if their centre lies inside.',
            advanced=True,
        )

    def _add_model_details(self):
        shared.add_classes(
            self,
            'A CSV table with the columns value, name and colour (#rrggbb). Empty: the classes of the model. Needed '
            'for a model that does not know its classes: a line for each band of the output, in their order, or for '
            'each value where the output is one band of whole numbers. A single band of probabilities is that of the '
            'second of two classes.',
            advanced=True,
        )
        self.add(
            shared.text('OUTPUT_NAME', 'Output of the model'),
            'The output that is judged; "Describe a model" lists them. Empty: the one with classes, or the only one.',
            advanced=True,
        )
        self.add(
            shared.text('TARGET', 'Source with the values'),
            'For a model of values: the source of the dataset that holds what it should predict. Empty: the one that '
            'it was trained with, or else the labels.',
            advanced=True,
        )
        self.add(
            shared.text('USER_PLACEHOLDERS', 'Constants for the model'),
            'Values of inputs of the model that are no images: name=value, separated by semicolons, as for "Map with a '
            'model".',
            advanced=True,
        )
        shared.add_graph(self)
        self.add(
            shared.integer('BATCH_SIZE', 'Batch size', 0, 0),
            'Samples, or tiles or patches of the map, that the model is given together. 0 chooses.',
            advanced=True,
        )
        self.add(
            shared.choice('RUNTIME', 'Runtime', RUNTIMES, RUNTIMES[0]),
            'What runs the network. auto takes OpenVINO on a CPU where it is installed and takes the model, else '
            'TensorFlow; both give the same figures.',
            advanced=True,
        )
        self.add(
            shared.text('DEVICE', 'Device', 'auto'),
            'auto takes the first GPU that TensorFlow can use, else the CPU. Or cpu, gpu, or gpu:N for one of several.',
            advanced=True,
        )

    def _add_source_details(self):
        shared.add_nodata(self)
        sources.Maps().add_policy(self, 1, '')
        sources.Maps().add(self, 1, '')
        sources.add_more(self, sources.Maps())

    def _add_outputs(self):
        self.add(
            QgsProcessingParameterFileDestination('REPORT', tr('Report'), tr('HTML files (*.html)'), None, True),
            'The report as a page: all figures, the confusion matrix, and how well the probabilities of the model '
            'agree with how often it is right; of values a scatter plot.',
        )
        self.add(
            QgsProcessingParameterFileDestination('TABLE', tr('Table'), tr('CSV files (*.csv)'), None, True, False),
            'The figures as CSV. A row for each class: value, name, reference and predicted (their numbers), '
            'precision, recall, f1, iou, then predicted_<value> for each class, which is the confusion matrix. The '
            'last row, all, has the means of f1 and iou, overall_accuracy, kappa and calibration_error. Of values one '
            'row: count, rmse, mae, bias, r2, correlation. What is not defined is empty.',
        )
        self.addOutput(
            QgsProcessingOutputNumber('SCORE', tr('Mean IoU of segmentation, macro F1 of patches, or R² of values'))
        )

    def check(self, parameters, context):
        model = shared.model_problem('MODEL', shared.model(self, parameters, context))
        problem = model or (
            self._check_dataset(parameters) if parameters.get('DATASET') else self._check_rasters(parameters, context)
        )
        if problem:
            return problem
        try:
            shared.classes(self, parameters, context)
        except EngineError as error:
            return f'CLASSES: {error}'
        return ''

    def _check_dataset(self, parameters):
        given = [name for name in _OF_RASTERS if parameters.get(name)]
        if given:
            return tr('DATASET and {} are given; a model is judged by a dataset or on rasters.').format(
                ' and '.join(given)
            )
        return ''

    def _check_rasters(self, parameters, context):
        given = [name for name in REFERENCES if parameters.get(name)]
        if len(given) > 1:
            return tr('The reference is {}; give one of them.').format(' and '.join(given))
        if not given:
            return tr('Give a DATASET, or rasters (INPUT) and one of {}.').format(', '.join(REFERENCES))
        if given == ['POINTS'] and not parameters.get('LABEL_FIELD'):
            return tr('LABEL_FIELD: say which field of the points has the class, or the value.')
        return sources.problem(self, parameters, context)

    def prepare(self, parameters, context, feedback):
        self.sources, self.reference = (), None
        if not parameters.get('DATASET'):
            self.sources = sources.read(self, parameters, context, feedback, sources.Maps())
        if parameters.get('REFERENCE'):
            layer = self.parameterAsRasterLayer(parameters, 'REFERENCE', context)
            nodata = shared.text_value(self, parameters, 'REFERENCE_NODATA', context)
            self.reference = LabelRaster(inputs.raster_path(layer), nodata=nodata or inputs.band_nodata(layer, 1))
        layers = ('LABEL_POLYGONS', 'POINTS', 'MASK_LAYER')
        self.files = {name: inputs.vector_file(self, parameters, name, context) for name in layers}

    def job(self, parameters, context, feedback):
        report = shared.output_path(self, parameters, 'REPORT', context)
        table = shared.output_path(self, parameters, 'TABLE', context)
        beside = report or table or QgsProcessingUtils.generateTempFilename(self.NAME)
        texts = {name.lower(): shared.text_value(self, parameters, name, context) for name in _TEXTS}

        def vector(name, *fields):
            if not parameters.get(name):
                return None
            return self.files[name] or inputs.vector_export(self, parameters, name, context, feedback, beside, fields)

        class_field = self.parameterAsString(parameters, 'CLASS_FIELD', context) or ''
        polygons = vector('LABEL_POLYGONS', *filter(None, [class_field]))
        return EvaluateJob(
            model=shared.model(self, parameters, context),
            dataset=shared.dataset(self, parameters, 'DATASET', context) if parameters.get('DATASET') else '',
            split=self.parameterAsEnumString(parameters, 'SPLIT', context),
            sources=self.sources,
            reference=self.reference,
            polygons=labelled.polygon_labels(self, parameters, context, polygons) if polygons else None,
            points=vector('POINTS', texts['label_field']),
            mask_layer=vector('MASK_LAYER'),
            classes=shared.classes(self, parameters, context),
            batch_size=self.parameterAsInt(parameters, 'BATCH_SIZE', context),
            runtime=self.parameterAsEnumString(parameters, 'RUNTIME', context),
            device=shared.text_value(self, parameters, 'DEVICE', context) or 'auto',
            report=report,
            table=table,
            **texts,
        )
