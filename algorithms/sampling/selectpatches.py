"""Toolbox: where patches lie, split by blocks."""

from __future__ import annotations

from qgis.core import QgsProcessing, QgsProcessingParameterRasterLayer, QgsProcessingParameterVectorDestination

from ...engine.jobs import PATCH_STRATEGIES, SelectPatchesJob
from ...plugin import inputs
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr

SHARES = (('TRAIN', 'training', 60), ('VALIDATION', 'validation', 20), ('TEST', 'test', 20))


class SelectPatches(QuadratAlgorithm):
    NAME = 'selectpatches'
    LABEL = 'Select patches'
    GROUP = 'sampling'
    TAGS = 'sample,points,grid,tiles,chips,split,train,validation,test,spatial blocks,cross-validation,OTBTF'
    SUMMARY = (
        'Chooses where patches lie on an image, and which are for training, validation and test. '
        'Patches stand on a regular grid, each wholly inside the image. With the strategy "blocks" the image is cut '
        'into square blocks, and each block belongs to one split: no pixel is in patches of two splits, so that '
        'validation and test measure how a model does on ground it has not seen. The result is a layer of points, one '
        'a patch, for "Extract patches".'
    )

    def initAlgorithm(self, config=None):
        self.add(
            QgsProcessingParameterRasterLayer('INPUT', tr('Input raster')),
            'The image on which the patches lie.',
        )
        shared.add_patch_size(self)
        self.add(
            shared.integer('STEP', 'Distance between patches (pixels)', None, 1, optional=True),
            'From one patch to the next. Empty: the patch size, so that patches touch. Less makes them overlap '
            '(within their split), which gives more of them.',
        )
        self.add(
            shared.choice('STRATEGY', 'Strategy', PATCH_STRATEGIES, 'blocks'),
            'blocks: split by spatial blocks. all: every patch of the grid, all for training.',
        )
        for name, words, share in SHARES:
            self.add(
                shared.real(name, f'Share of {words}', share, 0.0),
                f'Share of the patches for {words}; only the ratios of the shares matter. 0 leaves this split out.',
            )
        self.add(
            shared.integer('BLOCK_SIZE', 'Block size (pixels)', None, 1, optional=True),
            'Side of the square blocks. Empty: four patches. Larger blocks are more independent of each other, '
            'smaller ones meet the shares better.',
            advanced=True,
        )
        self.add(
            shared.integer('BUFFER', 'Buffer between splits (pixels)', 0, 0),
            'Patches of different splits are at least so far apart; those in between are dropped.',
            advanced=True,
        )
        shared.add_seed(self, 'which blocks belong to which split')
        self.add(
            QgsProcessingParameterVectorDestination('OUTPUT', tr('Patches'), QgsProcessing.SourceType.TypeVectorPoint),
            'Points with the fields id, split, row and col (the pixel that holds the point, counted from 0; a patch of '
            'N pixels starts N/2, rounded down, before it).',
        )

    def check(self, parameters, context):
        block = shared.optional_integer(self, parameters, 'BLOCK_SIZE', context)
        size = self.parameterAsInt(parameters, 'PATCH_SIZE', context)
        if block and block < size:
            return tr('BLOCK_SIZE: blocks of {} pixels hold no patch of {}.').format(block, size)
        if not any(self.parameterAsDouble(parameters, name, context) > 0 for name, _, _ in SHARES):
            return tr('One of the shares TRAIN, VALIDATION and TEST must be above 0.')
        return ''

    def prepare(self, parameters, context, feedback):
        self.raster = inputs.raster_path(self.parameterAsRasterLayer(parameters, 'INPUT', context))

    def job(self, parameters, context, feedback):
        train, validation, test = (self.parameterAsDouble(parameters, name, context) for name, _, _ in SHARES)
        return SelectPatchesJob(
            raster=self.raster,
            output=shared.output_path(self, parameters, 'OUTPUT', context),
            patch_size=self.parameterAsInt(parameters, 'PATCH_SIZE', context),
            step=shared.optional_integer(self, parameters, 'STEP', context) or 0,
            strategy=self.parameterAsEnumString(parameters, 'STRATEGY', context),
            train=train,
            validation=validation,
            test=test,
            block_size=shared.optional_integer(self, parameters, 'BLOCK_SIZE', context) or 0,
            buffer=self.parameterAsInt(parameters, 'BUFFER', context),
            seed=self.parameterAsInt(parameters, 'SEED', context),
        )
