"""Toolbox: where patches lie, and to which split each belongs."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from ...engine.jobs import PATCH_STRATEGIES, LabelRaster, SelectPatchesJob
from ...plugin import inputs
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr

BY_CLASSES = ('stratified', 'balanced')
BY_BLOCKS = ('blocks', *BY_CLASSES)


class SelectPatches(QuadratAlgorithm):
    NAME = 'selectpatches'
    LABEL = 'Select patches'
    GROUP = 'sampling'
    TAGS = (
        'sample,points,grid,tiles,chips,split,train,validation,test,spatial blocks,cross-validation,stratified,'
        'balanced,chessboard,checkerboard,PatchesSelection,OTBTF'
    )
    SUMMARY = (
        'Chooses where patches lie on an image, and which are for training, validation and test. '
        'Patches stand on a regular grid, each wholly inside the image and, if there is one, inside the mask. With the '
        'strategy "blocks" the image is cut into square blocks, and each block belongs to one split: no pixel is in '
        'patches of two splits, so that validation and test measure how a model does on ground it has not seen. '
        '"stratified" and "balanced" do the same with an eye on the classes of a label raster. The result is a layer '
        'of points, one a patch, for "Extract patches"; the log counts patches and classes of each split.'
    )

    def initAlgorithm(self, config=None):
        self.add(
            QgsProcessingParameterRasterLayer('INPUT', tr('Input raster')),
            'The image on which the patches lie.',
        )
        shared.add_patch_size(self)
        self.add(
            shared.integer('STEP', 'Distance between patches (pixels)', None, 1, optional=True),
            'From one patch to the next. Empty: the patch size, so that patches touch. Less makes them overlap, which '
            'gives more of them.',
        )
        self._add_strategy()
        self._add_grid()
        self.add(
            shared.integer('BLOCK_SIZE', 'Block size (pixels)', None, 1, optional=True),
            'Side of the square blocks of the strategies blocks, stratified and balanced. Empty: four patches. Larger '
            'blocks are more independent of each other, smaller ones meet the shares better.',
            advanced=True,
        )
        self.add(
            shared.integer('BUFFER', 'Buffer between splits (pixels)', 0, 0),
            'Patches of different splits are at least so far apart; those in between are dropped. For the strategies '
            'blocks, stratified and balanced.',
            advanced=True,
        )
        shared.add_seed(
            self,
            'which blocks (or patches, for random) belong to which split; chessboard, split and all leave nothing to '
            'chance',
        )
        self.add(
            QgsProcessingParameterBoolean('OTBTF', tr('As OTBTF does'), False),
            "The grid, the points and the sequence of splits of OTBTF's PatchesSelection: a margin of one pixel at the "
            'edges, points of even patches on corners of pixels, a mask that must be 1 at the point (or with NODATA: '
            'not 0 in all the patch and one row and column around it). random then shuffles the sequence of split, and '
            'balanced gives fields of a chessboard. For results that are to equal those of OTBTF.',
            advanced=True,
        )
        self.add(
            QgsProcessingParameterVectorDestination('OUTPUT', tr('Patches'), QgsProcessing.SourceType.TypeVectorPoint),
            'Points with the fields id, split, row and col (the pixel that holds the point, counted from 0; a patch of '
            'N pixels starts N/2, rounded down, before it).',
        )

    def _add_strategy(self):
        self.add(
            shared.choice('STRATEGY', 'Strategy', PATCH_STRATEGIES, 'blocks'),
            'blocks: square blocks, each of one split; no pixel is in two splits. stratified: the same, with blocks '
            'dealt out so that every split gets its share of each class in LABELS. balanced: first leaves out patches '
            'of frequent classes until the classes are as even as can be (a quarter of the patches always stays, '
            'spread over the image), then does the same as stratified. chessboard: every other patch for training, the '
            'others for validation. split: one patch after the other, row by row, in a sequence that meets the shares. '
            'random: each patch by itself. all: every patch of the grid for training. With chessboard, split and '
            'random the splits are neighbours, or even overlap, which flatters the scores.',
        )
        self.add(
            QgsProcessingParameterRasterLayer('LABELS', tr('Labels: raster of classes'), optional=True),
            'Whole numbers, in the CRS of the image; pixels may be smaller or larger than those of the image by a '
            'whole factor. stratified and balanced need it, and leave out patches without any label. With every '
            'strategy the log counts the pixels of each class in each split. No-data is not counted, unless the '
            'symbology of the layer, or the file itself, has a name for it.',
        )
        shared.add_shares(
            self, 'patches', 'Not looked at by all; chessboard only leaves out splits of 0, and has no test split.'
        )
        self.add(
            QgsProcessingParameterRasterLayer('MASK', tr('Mask'), optional=True),
            'A raster on the very grid of the image, whose first band counts: patches lie wholly on pixels above 0. '
            'No-data counts as 0.',
        )

    def _add_grid(self):
        self.add(
            shared.text('NODATA', 'No-data value of the input raster'),
            'Patches with a no-data pixel are left out. Empty: no-data is not looked at here ("Extract patches" does). '
            'Otherwise a number, "nan", or one of these for each band, separated by blanks; "none" leaves out patches '
            'with values that are no numbers. A pixel is no-data if all bands are, or any is no number.',
            advanced=True,
        )
        for name, words, corner in (('OFFSET_X', 'columns', 'left edge'), ('OFFSET_Y', 'rows', 'upper edge')):
            self.add(
                shared.integer(name, f'Offset of the grid ({words})', 0),
                f'Pixels from the {corner} of the image to the first patch. Any number: only what is left after '
                'division by the distance between patches matters, and patches never reach over the edge.',
                advanced=True,
            )

    def check(self, parameters, context):
        strategy = self.parameterAsEnumString(parameters, 'STRATEGY', context)
        if strategy in BY_CLASSES and not parameters.get('LABELS'):
            return tr('LABELS: the strategy {} looks at classes; give a raster of classes.').format(strategy)
        if strategy == 'all':
            return ''
        chessboard = strategy == 'chessboard' or (
            strategy == 'balanced' and self.parameterAsBool(parameters, 'OTBTF', context)
        )
        used = shared.SHARES[:2] if chessboard else shared.SHARES
        if not any(self.parameterAsDouble(parameters, name, context) > 0 for name, _, _ in used):
            names = ', '.join(name for name, _, _ in used)
            return tr('One of the shares {} must be above 0.').format(names)
        if strategy not in BY_BLOCKS or chessboard:
            if self.parameterAsInt(parameters, 'BUFFER', context):
                return tr('BUFFER: the strategy {} keeps none; set it to 0, or take blocks.').format(strategy)
            return ''
        block = shared.optional_integer(self, parameters, 'BLOCK_SIZE', context)
        size = self.parameterAsInt(parameters, 'PATCH_SIZE', context)
        if block and block < size:
            return tr('BLOCK_SIZE: blocks of {} pixels hold no patch of {}.').format(block, size)
        return ''

    def prepare(self, parameters, context, feedback):
        self.raster = inputs.raster_path(self.parameterAsRasterLayer(parameters, 'INPUT', context))
        self.mask = shared.optional_raster(self, parameters, 'MASK', context)
        self.labels, self.legend = None, ()
        if parameters.get('LABELS'):
            layer = self.parameterAsRasterLayer(parameters, 'LABELS', context)
            self.labels = LabelRaster(inputs.raster_path(layer), nodata=inputs.band_nodata(layer, 1))
            self.legend = inputs.raster_legend(layer)

    def job(self, parameters, context, feedback):
        train, validation, test = (self.parameterAsDouble(parameters, name, context) for name, _, _ in shared.SHARES)
        return SelectPatchesJob(
            raster=self.raster,
            output=shared.output_path(self, parameters, 'OUTPUT', context),
            patch_size=self.parameterAsInt(parameters, 'PATCH_SIZE', context),
            step=shared.optional_integer(self, parameters, 'STEP', context) or 0,
            offset_x=self.parameterAsInt(parameters, 'OFFSET_X', context),
            offset_y=self.parameterAsInt(parameters, 'OFFSET_Y', context),
            mask=self.mask,
            nodata=shared.text_value(self, parameters, 'NODATA', context),
            strategy=self.parameterAsEnumString(parameters, 'STRATEGY', context),
            train=train,
            validation=validation,
            test=test,
            block_size=shared.optional_integer(self, parameters, 'BLOCK_SIZE', context) or 0,
            buffer=self.parameterAsInt(parameters, 'BUFFER', context),
            labels=self.labels,
            legend=self.legend,
            seed=self.parameterAsInt(parameters, 'SEED', context),
            otbtf=self.parameterAsBool(parameters, 'OTBTF', context),
        )
