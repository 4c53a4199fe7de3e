"""Toolbox: training of a SavedModel that can train itself."""

from __future__ import annotations

import os
from typing import Tuple

from ...engine.errors import EngineError
from ...engine.jobs import GraphValidation, SourceSpec, TrainSavedModelJob
from ...plugin import inputs
from .. import graphtraining
from .. import parameters as shared
from ..base import QuadratAlgorithm, tr
from ..graphtraining import VALIDATION
from ..sourcelist import read_sources
from ..sources import SUFFIXES


class TrainSavedModel(QuadratAlgorithm):
    NAME = 'trainsavedmodel'
    LABEL = 'Train a model by its own graph'
    GROUP = 'training'
    TAGS = (
        'deep learning,neural network,fit,learn,graph,SavedModel,TensorFlow 1,TensorFlow 2,Tensor/IO,tiobundle,'
        'TensorflowModelTrain,OTBTF'
    )
    SUMMARY = (
        'Trains a SavedModel of TensorFlow 1 or 2 whose graph carries the operations that train it, or a Tensor/IO '
        'bundle, on a dataset or on patches-images. Each step feeds a batch and runs the target nodes; all samples are '
        'used in each epoch, in an order that follows from the seed. Outputs of the graph are reported after each '
        'epoch, and can be compared with references, of labels or of measured values. What comes out is the same '
        'SavedModel with its trained variables, ready to make maps.'
    )

    def initAlgorithm(self, config=None):
        graphtraining.add_model(self)
        graphtraining.add_samples(self)
        graphtraining.add_training(self)
        graphtraining.add_validation(self)
        graphtraining.add_checkpoints(self)
        graphtraining.add_outputs(self)

    def check(self, parameters, context):
        given = [bool(parameters.get(name)) for name in ('DATASET', 'INPUT', 'SOURCES')]
        if sum(given) != 1:
            return tr('Give one of DATASET, INPUT and SOURCES.')
        problem = self._gap(parameters, '') or self._gap(parameters, VALIDATION)
        if problem:
            return problem
        for prefix in ('', VALIDATION):
            text = shared.text_value(self, parameters, f'{prefix}SOURCES', context)
            try:
                if text:
                    read_sources(text)
            except EngineError as error:
                return f'{prefix}{error}'
        return ''

    def _gap(self, parameters, prefix):
        """What is wrong where a source is left out before another, as one line."""
        given = [bool(parameters.get(f'{prefix}INPUT{suffix}')) for suffix in SUFFIXES]
        for suffix, before, here in zip(SUFFIXES[1:], given, given[1:]):
            if here and not before:
                return tr('{} is given, and the source before it is not.').format(f'{prefix}INPUT{suffix}')
        return ''

    def prepare(self, parameters, context, feedback):
        self.sources = self._sources(parameters, context, '')
        self.validation_sources = self._sources(parameters, context, VALIDATION)

    def job(self, parameters, context, feedback):
        def text(name):
            return shared.text_value(self, parameters, name, context)

        def names(name):
            return tuple(part.strip() for part in text(name).split(',') if part.strip())

        return TrainSavedModelJob(
            model=_model_path(self.parameterAsFile(parameters, 'MODEL', context)),
            output=shared.output_folder(self, parameters, 'OUTPUT', context),
            target_nodes=names('TARGET_NODES'),
            dataset=shared.dataset(self, parameters, 'DATASET', context) if parameters.get('DATASET') else '',
            sources=self.sources,
            placeholders=self._placeholders(parameters, context, '') if parameters.get('DATASET') else (),
            output_tensors=names('OUTPUT_TENSORS'),
            user_placeholders=text('USER_PLACEHOLDERS'),
            tags=text('TAGS'),
            batch_size=self.parameterAsInt(parameters, 'BATCH_SIZE', context),
            epochs=self.parameterAsInt(parameters, 'EPOCHS', context),
            streaming=self.parameterAsBoolean(parameters, 'STREAMING', context),
            restore_from=_absolute(text('RESTORE_FROM')),
            save_to=_absolute(text('SAVE_TO')),
            seed=self.parameterAsInt(parameters, 'SEED', context),
            validation=GraphValidation(
                mode=self.parameterAsEnumString(parameters, 'VALIDATION_MODE', context),
                step=self.parameterAsInt(parameters, 'VALIDATION_STEP', context),
                sources=self.validation_sources,
                placeholders=self._placeholders(parameters, context, VALIDATION) if parameters.get('DATASET') else (),
                user_placeholders=text('VALIDATION_USER_PLACEHOLDERS'),
                streaming=self.parameterAsBoolean(parameters, 'VALIDATION_STREAMING', context),
            ),
            report=shared.output_path(self, parameters, 'REPORT', context),
            confusion=shared.output_path(self, parameters, 'CONFUSION', context),
            configuration=shared.output_path(self, parameters, 'CONFIGURATION', context),
        )

    def _sources(self, parameters, context, prefix) -> Tuple[SourceSpec, ...]:
        """The patches-images of all sources."""
        listed = shared.text_value(self, parameters, f'{prefix}SOURCES', context)
        if listed:
            return read_sources(listed)
        found = []
        for number, suffix in enumerate(SUFFIXES, 1):
            if parameters.get(f'{prefix}INPUT{suffix}'):
                layers = self.parameterAsLayerList(parameters, f'{prefix}INPUT{suffix}', context)
                side = shared.optional_integer(self, parameters, f'{prefix}PATCH_SIZE{suffix}', context) or 0
                found.append(
                    SourceSpec(
                        tuple(inputs.raster_path(layer) for layer in layers),
                        f'source{number}',
                        patch_size=(side, side),
                        placeholder=shared.text_value(self, parameters, f'{prefix}PLACEHOLDER{suffix}', context),
                    )
                )
        return tuple(found)

    def _placeholders(self, parameters, context, prefix) -> Tuple[str, ...]:
        """What the keys of a dataset are fed to."""
        texts = [shared.text_value(self, parameters, f'{prefix}PLACEHOLDER{suffix}', context) for suffix in SUFFIXES]
        names = [name.strip() for text in texts for name in text.split(',')]
        while names and not names[-1]:
            names.pop()
        return tuple(names)


def _model_path(path: str) -> str:
    """The absolute path of a model or bundle that is named by its folder, or by the file in it."""
    path = shared.model_path(path)
    return os.path.dirname(path) if os.path.basename(path) == 'model.json' else path


def _absolute(path: str) -> str:
    return os.path.abspath(path) if path else ''
