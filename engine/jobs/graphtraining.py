"""Jobs that train SavedModels whose graphs carry the operations that train them."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Dict, Tuple

from .base import TensorFlowJob
from .data import SourceSpec

VALIDATION_MODES = ('none', 'class', 'rmse')


@dataclasses.dataclass(frozen=True)
class GraphValidation:
    """How well outputs of the graph agree with references, every few epochs and after the last.

    A source whose placeholder is that of the training is fed; one with another name is compared with the output of
    that name.

    Attributes:
        mode: one of `VALIDATION_MODES`: none, labels, or measured values.
        step: epochs from one validation to the next.
        sources: patches-images, as many as those of the training; with a dataset its split ``validation`` is taken.
        placeholders: with a dataset: of its keys, as in `TrainSavedModelJob`.
        user_placeholders: constants, in place of those of the training.
        streaming: read patches when they are needed.
    """

    mode: str = 'none'
    step: int = 10
    sources: Tuple[SourceSpec, ...] = ()
    placeholders: Tuple[str, ...] = ()
    user_placeholders: str = ''
    streaming: bool = False


@dataclasses.dataclass(frozen=True)
class TrainSavedModelJob(TensorFlowJob):
    """Train a SavedModel whose graph can train itself.

    Attributes:
        model: folder of the SavedModel, or a Tensor/IO bundle.
        output: folder of the trained SavedModel, which may be `model` itself; of a bundle, if the name ends like one.
        target_nodes: names of operations, or of signatures, that are run with each batch; a bundle names its own.
        dataset: folder of samples; its split ``train`` is trained with. Or:
        sources: patches-images; their patch sizes (0: as wide as the image), bands and placeholders count.
        placeholders: with a dataset: what each of its keys, sources first and then labels, is fed to; where one is
            empty or missing, the input of the key's name or the next one by alphabet. Keys of a signature, or names of
            tensors.
        output_tensors: names of what is reported of each epoch: its mean over the samples.
        user_placeholders: constants ``name=value;…``; see `runtimes.placeholders`.
        tags: tag set, separated by commas; empty: the only one there is, else ``train``, else ``serve``.
        batch_size: samples a step; the last of an epoch takes what is left.
        streaming: read patches when they are needed, not all at first.
        restore_from, save_to: prefixes of checkpoints, such as ``…/variables/variables``.
        seed: of the order of the samples and of all that is random in the graph.
        report: HTML. confusion: CSV of the confusion matrix, of the validation samples where there are any.
        configuration: file that these parameters are written to, as in `TrainJob`.
    """

    kind: ClassVar[str] = 'trainsavedmodel'
    model: str
    output: str
    target_nodes: Tuple[str, ...] = ()
    dataset: str = ''
    sources: Tuple[SourceSpec, ...] = ()
    placeholders: Tuple[str, ...] = ()
    output_tensors: Tuple[str, ...] = ()
    user_placeholders: str = ''
    tags: str = ''
    batch_size: int = 100
    epochs: int = 100
    streaming: bool = False
    restore_from: str = ''
    save_to: str = ''
    seed: int = 0
    validation: GraphValidation = GraphValidation()
    report: str = ''
    confusion: str = ''
    configuration: str = ''

    def inputs(self) -> Tuple[str, ...]:
        sources = (*self.sources, *self.validation.sources)
        rasters = [path for source in sources for path in source.rasters]
        return (self.model, *([self.dataset] if self.dataset else []), *rasters)

    def outputs(self) -> Dict[str, str]:
        return {
            'OUTPUT': self.output,
            'REPORT': self.report,
            'CONFUSION': self.confusion,
            'CONFIGURATION': self.configuration,
        }
