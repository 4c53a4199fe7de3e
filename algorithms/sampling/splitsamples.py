"""Toolbox: points or polygons for training, validation and test, or for cross-validation."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterDistance,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterVectorDestination,
)

from ...engine.jobs import SPLIT_STRATEGIES, SplitSamplesJob
from ...plugin import inputs
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr


class SplitSamples(QuadratAlgorithm):
    NAME = 'splitsamples'
    LABEL = 'Split samples'
    GROUP = 'sampling'
    TAGS = (
        'train,validation,test,cross-validation,k-fold,folds,group split,leakage,spatial blocks,partition,holdout,'
        'random,OTB'
    )
    SUMMARY = (
        'Says which points or polygons are for training, validation and test, or to which fold of a cross-validation '
        'they belong. Neighbours, and samples of one field or date, resemble each other; if they fall into different '
        'splits, scores are too good. So features can be kept together by a field (polygon, date, tile) or by square '
        'blocks of ground. Geometries, attributes and order stay as they are.'
    )

    def initAlgorithm(self, config=None):
        self.add(
            QgsProcessingParameterFeatureSource(
                'INPUT', tr('Samples'), [QgsProcessing.SourceType.TypeVectorAnyGeometry]
            ),
            'Points or polygons (lines work, too), in any CRS.',
        )
        self.add(
            shared.choice('STRATEGY', 'Strategy', SPLIT_STRATEGIES, 'random'),
            'group: features with the same value of the group field stay together. blocks: features in the same square '
            'block stay together. With both, the shares are met as nearly as whole groups or blocks allow. random: '
            'each feature by itself; the shares are met exactly. kfold: folds of about the same size; groups or blocks '
            'stay together if a group field or a block size is given.',
        )
        self.add(
            QgsProcessingParameterField('GROUP_FIELD', tr('Group field'), None, 'INPUT', optional=True),
            'For group and kfold: the field that says what belongs together, such as the number of a polygon, a date '
            'or a tile. Features without a value in it are one group.',
        )
        shared.add_shares(self, 'features', 'kfold does not use the shares.')
        self.add(
            shared.integer('FOLDS', 'Number of folds', 5, 2),
            'For kfold: the folds are numbered from 1.',
        )
        self.add(
            QgsProcessingParameterDistance('BLOCK_SIZE', tr('Block size'), None, 'INPUT', True, 0.0),
            'For blocks and kfold: side of the square blocks in units of the layer (degrees, if its CRS is a '
            'geographic one). A feature belongs to the block that holds its centroid. Empty: with blocks, an eighth of '
            'the longer side of the extent, or less where too few blocks would hold features; with kfold, no blocks.',
        )
        shared.add_seed(self, 'which features belong to which split')
        self.add(
            QgsProcessingParameterVectorDestination(
                'OUTPUT', tr('Split samples'), QgsProcessing.SourceType.TypeVectorAnyGeometry
            ),
            'The same features with the text field split (train, validation or test), or with the whole number fold '
            '(from 1) if the strategy is kfold. A field of that name is replaced.',
        )

    def check(self, parameters, context):
        strategy = self.parameterAsEnumString(parameters, 'STRATEGY', context)
        if strategy == 'group' and not parameters.get('GROUP_FIELD'):
            return tr('GROUP_FIELD: the strategy group needs a field whose values say what belongs together.')
        shares = [self.parameterAsDouble(parameters, name, context) for name, _, _ in shared.SHARES]
        if strategy != 'kfold' and not any(share > 0 for share in shares):
            return tr('One of the shares TRAIN, VALIDATION and TEST must be above 0.')
        return ''

    def prepare(self, parameters, context, feedback):
        self.samples = inputs.vector_file(self, parameters, 'INPUT', context)

    def job(self, parameters, context, feedback):
        output = shared.output_path(self, parameters, 'OUTPUT', context)
        train, validation, test = (self.parameterAsDouble(parameters, name, context) for name, _, _ in shared.SHARES)
        return SplitSamplesJob(
            vector=self.samples or inputs.vector_export(self, parameters, 'INPUT', context, feedback, output, None),
            output=output,
            strategy=self.parameterAsEnumString(parameters, 'STRATEGY', context),
            group_field=self.parameterAsString(parameters, 'GROUP_FIELD', context) or '',
            folds=self.parameterAsInt(parameters, 'FOLDS', context),
            train=train,
            validation=validation,
            test=test,
            block_size=self.parameterAsDouble(parameters, 'BLOCK_SIZE', context),
            seed=self.parameterAsInt(parameters, 'SEED', context),
        )
