"""Jobs of training, and the choices people see there."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Dict, Tuple

from .base import TensorFlowJob
from .data import ClassDef

TASKS = ('segmentation',)
ARCHITECTURES = ('unet',)
CLASS_WEIGHTS = ('auto', 'none')


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """What few people change.

    Attributes:
        filters: channels of the network's first level.
        depth: number of times the network halves the resolution.
        dropout: share of channels dropped at the bottom while training.
        class_weights: ``auto`` weighs pixels by the inverse square root of their class' frequency; ``none``.
        augment: flips and 90 degree rotations.
        weight_decay: of AdamW.
        patience: stop after so many epochs without a better validation score; 0 never stops early.
        threads: intra-op threads of TensorFlow; 0 leaves it to TensorFlow.
    """

    filters: int = 16
    depth: int = 4
    dropout: float = 0.0
    class_weights: str = 'auto'
    augment: bool = True
    weight_decay: float = 1e-4
    patience: int = 0
    threads: int = 0


@dataclasses.dataclass(frozen=True)
class TrainJob(TensorFlowJob):
    """Train a network on a dataset and write a model package.

    Attributes:
        dataset: folder that `ExtractPatchesJob` wrote.
        output: the package folder.
        classes: which values are classes, with names and colours; empty: those of the dataset.
        report: optional further place for the HTML report.
    """

    kind: ClassVar[str] = 'trainmodel'
    dataset: str
    output: str
    task: str = 'segmentation'
    architecture: str = 'unet'
    classes: Tuple[ClassDef, ...] = ()
    epochs: int = 50
    batch_size: int = 16
    learning_rate: float = 3e-3
    seed: int = 0
    options: TrainOptions = TrainOptions()
    report: str = ''

    def inputs(self) -> Tuple[str, ...]:
        return (self.dataset,)

    def outputs(self) -> Dict[str, str]:
        return {'OUTPUT': self.output, 'REPORT': self.report}
