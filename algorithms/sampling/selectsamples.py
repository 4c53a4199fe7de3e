"""Toolbox: samples of each class in polygons, along lines and at points."""

from __future__ import annotations

import os
import re

from qgis.core import (
    QgsProcessing,
    QgsProcessingException,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from ...engine.jobs import IMAGE_RATES, SAMPLE_STRATEGIES, SAMPLERS, SampledImage, SelectSamplesJob
from ...plugin import inputs
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr

ANY_GEOMETRY = QgsProcessing.SourceType.TypeVectorAnyGeometry


class SelectSamples(QuadratAlgorithm):
    NAME = 'selectsamples'
    LABEL = 'Select samples'
    GROUP = 'sampling'
    TAGS = (
        'training samples,points in polygons,random points,periodic,sampling rate,stratified,class balance,'
        'SampleSelection,MultiImageSamplingRate,OTB,OTBTF'
    )
    SUMMARY = (
        'Chooses pixels of an image in the polygons, along the lines or at the points of a vector layer, so many of '
        'each class, and writes them as points. '
        'How many is up to the strategy, which ones up to the sampler. A polygon has the pixels whose centre lies in '
        'it, a line those whose square it touches, a point the one that holds it. The points carry all attributes of '
        'their feature. Several images, each with its own layer, can be sampled together.'
    )

    def initAlgorithm(self, config=None):
        self.add(
            QgsProcessingParameterRasterLayer('INPUT', tr('Input raster')),
            'The image. Only its grid is used: its values are not read, so pixels without data can be chosen too. To '
            'leave them out, give a mask.',
        )
        self.add(
            QgsProcessingParameterFeatureSource('VECTOR', tr('Vector layer'), [ANY_GEOMETRY]),
            'Polygons, lines or points in any CRS. What lies outside the image has no pixels.',
        )
        self.add(
            QgsProcessingParameterField('FIELD', tr('Class field'), None, 'VECTOR'),
            'Field of the layer with the class: text or whole numbers. Features without a value are left out.',
        )
        self.add(
            QgsProcessingParameterRasterLayer('MASK', tr('Mask'), optional=True),
            'A raster on the very grid of the image, whose first band counts: only pixels above 0 are chosen. No-data '
            'counts as 0.',
        )
        self._add_strategy()
        self._add_sampler()
        self._add_images()
        self.add(
            QgsProcessingParameterVectorDestination('OUTPUT', tr('Samples'), QgsProcessing.SourceType.TypeVectorPoint),
            'Points at the centres of the pixels (or the points of the layer itself), class by class, in the CRS of '
            'the image, with all attributes of the layer and the fields originfid (id of the feature), row and col (of '
            'the pixel, counted from 0). Of several images also image (its number from 1) and raster (its path).',
        )
        kind = tr('CSV files (*.csv)')
        self.add(
            QgsProcessingParameterFileDestination('RATES', tr('Rates'), kind, None, True, False),
            'A table of class, samples asked for, pixels and rate, separated by tabs, as OTB writes it. Of several '
            'images one file each, with _1, _2 and so on before the ending.',
        )

    def _add_strategy(self):
        self.add(
            shared.choice('STRATEGY', 'Strategy', SAMPLE_STRATEGIES, 'smallest'),
            'How many samples of each class. smallest: as many as the smallest class has pixels. constant: COUNT of '
            'each. total: COUNT of all classes together, in proportion to their pixels. percent: a share of the pixels '
            'of each class. byclass: as a table says. all: every pixel. Of classes with fewer pixels than are asked '
            'for all are taken, with a warning.',
        )
        self.add(
            shared.integer('COUNT', 'Number of samples', 1000, 1),
            'constant: samples of each class. total: samples of all classes together.',
        )
        self.add(
            shared.real('PERCENT', 'Share of the pixels', 0.5, 0.0, 1.0),
            'percent: the share of the pixels of each class that is taken, from 0 to 1.',
        )
        self.add(
            QgsProcessingParameterFile(
                'BY_CLASS',
                tr('Samples of each class'),
                QgsProcessingParameterFile.Behavior.File,
                optional=True,
                fileFilter=tr('Tables') + ' (*.csv *.txt);;' + tr('All files') + ' (*)',
            ),
            'byclass: a table with the class in the first and the number of samples in the second column, separated by '
            'tabs, semicolons, commas or blanks. Lines that begin with # are comments; a header is allowed. Classes '
            'that are not in it get no samples. A file of rates (RATES) will do.',
        )

    def _add_sampler(self):
        self.add(
            shared.choice('SAMPLER', 'Sampler', SAMPLERS, 'periodic'),
            'Which pixels are taken. periodic: every so many, counted through the features and within each row by row. '
            'random: drawn by lot, none twice.',
        )
        self.add(
            shared.integer('JITTER', 'Jitter of the periodic sampler', 0, 0),
            'Each sample is taken up to so many pixels later, by chance; never so late that it meets the next one.',
            advanced=True,
        )
        shared.add_seed(self, 'which pixels the sampler "random", or jitter, takes')
        self.add(
            QgsProcessingParameterFile(
                'STATISTICS',
                tr('Statistics'),
                QgsProcessingParameterFile.Behavior.File,
                optional=True,
                fileFilter=tr('XML files (*.xml)') + ';;' + tr('All files') + ' (*)',
            ),
            'What "Count pixels of classes" (or OTB) wrote for this image, layer, field and mask; saves the time to '
            'count. Empty: counted. Where it turns out not to fit, a warning says so and the pixels found here are '
            'what counts. Further images are always counted.',
            advanced=True,
        )

    def _add_images(self):
        self.add(
            QgsProcessingParameterMultipleLayers(
                'IMAGES', tr('Further images'), QgsProcessing.SourceType.TypeRaster, optional=True
            ),
            'Images that are sampled together with the input raster; of any grid and CRS.',
            advanced=True,
        )
        self.add(
            QgsProcessingParameterMultipleLayers('VECTORS', tr('Their vector layers'), ANY_GEOMETRY, optional=True),
            'One layer for each further image, in the order of these, with the same class field. Empty: the same layer '
            'for all images.',
            advanced=True,
        )
        self.add(
            QgsProcessingParameterMultipleLayers(
                'MASKS', tr('Their masks'), QgsProcessing.SourceType.TypeRaster, optional=True
            ),
            'One mask for each further image, in the order of these. Empty: the same mask, if there is one, for all '
            'images.',
            advanced=True,
        )
        self.add(
            shared.choice('IMAGE_RATES', 'Samples of several images', IMAGE_RATES, 'proportional'),
            'How the samples of a class are dealt out over several images. proportional: as its pixels are. equal: the '
            'same number of each image; where an image has too few pixels, fewer are taken, with a warning. custom: '
            'each image has its own numbers.',
            advanced=True,
        )
        self.add(
            shared.text('IMAGE_COUNTS', 'Numbers of each image'),
            'custom: for each image, the input raster first, the number of samples (constant, total), the share '
            '(percent) or the path of a table (byclass), separated by semicolons. Not for smallest and all, which look '
            'at each image by itself then.',
            advanced=True,
        )

    def check(self, parameters, context):
        strategy = self.parameterAsEnumString(parameters, 'STRATEGY', context)
        custom = self.parameterAsEnumString(parameters, 'IMAGE_RATES', context) == 'custom'
        given = shared.text_value(self, parameters, 'IMAGE_COUNTS', context)
        if given and not custom:
            return tr('IMAGE_COUNTS is for IMAGE_RATES custom; leave it empty.')
        if given and strategy in ('smallest', 'all'):
            return tr('IMAGE_COUNTS: the strategy {} asks for no numbers; leave it empty.').format(strategy)
        if strategy == 'byclass' and not given and not parameters.get('BY_CLASS'):
            return tr('BY_CLASS: the strategy byclass needs a table of classes and numbers of samples.')
        if given:
            kind = {'byclass': str, 'percent': float}.get(strategy, int)
            for word in _words(given, strategy):
                try:
                    kind(word)
                except ValueError:
                    return tr('IMAGE_COUNTS: {} is no number for the strategy {}.').format(repr(word), strategy)
        return ''

    def prepare(self, parameters, context, feedback):
        layers = {
            name: self.parameterAsLayerList(parameters, name, context) if parameters.get(name) else []
            for name in ('IMAGES', 'VECTORS', 'MASKS')
        }
        further = len(layers['IMAGES'])
        for name in ('VECTORS', 'MASKS'):
            if layers[name] and len(layers[name]) != further:
                text = tr('{}: {} layers for {} further images (IMAGES); give one for each, or none.')
                raise QgsProcessingException(text.format(name, len(layers[name]), further))
        mask = shared.optional_raster(self, parameters, 'MASK', context)
        self.rasters = [inputs.raster_path(self.parameterAsRasterLayer(parameters, 'INPUT', context))]
        self.rasters += [inputs.raster_path(layer) for layer in layers['IMAGES']]
        self.masks = [mask, *([inputs.raster_path(layer) for layer in layers['MASKS']] or [mask] * further)]
        self.vector = inputs.vector_file(self, parameters, 'VECTOR', context)
        self.vectors = [
            (layer, inputs.vector_file(self, {**parameters, 'VECTORS': layer}, 'VECTORS', context))
            for layer in layers['VECTORS']
        ]

    def job(self, parameters, context, feedback):
        output = shared.output_path(self, parameters, 'OUTPUT', context)
        return SelectSamplesJob(
            images=self._images(parameters, context, feedback, output),
            field=self.parameterAsString(parameters, 'FIELD', context),
            output=output,
            strategy=self.parameterAsEnumString(parameters, 'STRATEGY', context),
            count=self.parameterAsInt(parameters, 'COUNT', context),
            percent=self.parameterAsDouble(parameters, 'PERCENT', context),
            by_class=self._file(parameters, 'BY_CLASS', context),
            image_rates=self.parameterAsEnumString(parameters, 'IMAGE_RATES', context),
            sampler=self.parameterAsEnumString(parameters, 'SAMPLER', context),
            jitter=self.parameterAsInt(parameters, 'JITTER', context),
            seed=self.parameterAsInt(parameters, 'SEED', context),
            rates=shared.output_path(self, parameters, 'RATES', context),
        )

    def _images(self, parameters, context, feedback, output):
        """The images with what is sampled on each."""
        vector = self.vector or inputs.vector_export(self, parameters, 'VECTOR', context, feedback, output, None)
        vectors = [vector] * len(self.rasters)
        for number, (layer, plain) in enumerate(self.vectors, 1):
            vectors[number] = plain or inputs.vector_export(
                self,
                {**parameters, 'VECTORS': layer},
                'VECTORS',
                context,
                feedback,
                output,
                None,
                f'VECTORS_{number}',
            )
        statistics = [self._file(parameters, 'STATISTICS', context)] + [''] * (len(self.rasters) - 1)
        numbers = self._numbers(parameters, context)
        return tuple(
            SampledImage(*image, **own) for *image, own in zip(self.rasters, vectors, self.masks, statistics, numbers)
        )

    def _numbers(self, parameters, context):
        """What IMAGE_COUNTS says of each image, as the fields of `SampledImage`."""
        given = shared.text_value(self, parameters, 'IMAGE_COUNTS', context)
        if not given:
            return [{} for _ in self.rasters]
        strategy = self.parameterAsEnumString(parameters, 'STRATEGY', context)
        words = _words(given, strategy)
        if len(words) != len(self.rasters):
            text = tr('IMAGE_COUNTS: {} values for {} images (INPUT and IMAGES); give one for each.')
            raise QgsProcessingException(text.format(len(words), len(self.rasters)))
        if strategy == 'byclass':
            return [{'by_class': os.path.abspath(word)} for word in words]
        return [{'percent': float(word)} if strategy == 'percent' else {'count': int(word)} for word in words]

    def _file(self, parameters, name, context):
        """The absolute path of a file that may be left out; empty where it is."""
        path = self.parameterAsFile(parameters, name, context)
        return os.path.abspath(path) if path else ''


def _words(text, strategy):
    """The values in IMAGE_COUNTS; paths may hold blanks and commas."""
    words = re.split(r'[;\n]' if strategy == 'byclass' else r'[;,\s]', text)
    return [word.strip() for word in words if word.strip()]
