"""Jobs of training, and the choices people see there."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Dict, Optional, Tuple

from .base import TensorFlowJob
from .data import ClassDef
from .datasets import ExtractPatchesJob

TASKS = ('segmentation', 'classification', 'regression')
ARCHITECTURES = ('unet', 'resunet', 'fcnn', 'dilated', 'patchcnn', 'twobranch', 'temporal', 'encoder')
LOSSES = ('auto', 'crossentropy', 'focal', 'dice', 'tversky', 'huber', 'mse', 'mae')
CLASS_WEIGHTS = ('auto', 'none')
OPTIMIZERS = ('adamw', 'adam', 'sgd')
SCHEDULES = ('cosine', 'constant', 'onecycle', 'plateau')
TRAINING_PRECISIONS = ('float32', 'mixed')
STRATEGIES = ('auto', 'one', 'mirrored', 'workers')


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """What few people change.

    Attributes:
        filters: channels of the network's first level; None: what its architecture takes by default, as for the next
            two.
        depth: number of times the network halves the resolution.
        dropout: share of channels dropped at the bottom while training.
        network: further options of the architecture.
        folder: of own architectures, from which code is run.
        sources: names of the sources of the dataset that the network takes; empty: all.
        target: for regression, the source of the dataset that is to be predicted; empty: the labels.
        class_weights: ``auto`` weighs pixels by the inverse square root of their class' frequency; ``none``; or a
            weight for each class by its value, as in ``{"11": 2.5}``, 1 for those that are not named.
        loss: options of the loss, such as ``gamma`` of the focal one.
        augment: True for flips and 90 degree rotations, False for none, or the fields of an `AugmentationSpec`.
        optimizer: one of `OPTIMIZERS`.
        weight_decay: of ``adamw`` and ``sgd``.
        schedule: one of `SCHEDULES`: how the learning rate goes on after the warm-up.
        warm_up: share of all steps in which the learning rate rises from nothing; ``onecycle`` has its own.
        plateau_patience, plateau_factor: ``plateau`` multiplies the learning rate with the factor after so many epochs
            without a better score.
        clip_norm: the gradients of a step are scaled down to this global norm; 0 leaves them.
        patience: stop after so many epochs without a better validation score; 0 never stops early.
        precision: ``mixed`` computes in 16 bits what bears it.
        strategy: ``one`` device; ``mirrored``: all GPUs of this computer; ``workers``: several computers, as TF_CONFIG
            or Slurm say; ``auto``: all GPUs where there are several.
        freeze: regular expressions; layers whose whole name matches one are not trained.
        unfreeze_after: epochs after which they are; 0 never.
        fine_tune: factor on the learning rate of layers that WARM_START gave weights.
        validation_block: side of the blocks of VALIDATION_SHARE in map units; 0: four patches.
        threads: intra-op threads of TensorFlow; 0 leaves it to TensorFlow.
    """

    filters: Optional[int] = None
    depth: Optional[int] = None
    dropout: Optional[float] = None
    network: Dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    folder: str = ''
    sources: Tuple[str, ...] = ()
    target: str = ''
    class_weights: Any = dataclasses.field(default='auto', hash=False)
    loss: Dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    augment: Any = dataclasses.field(default=True, hash=False)
    optimizer: str = 'adamw'
    weight_decay: float = 1e-4
    schedule: str = 'cosine'
    warm_up: float = 0.05
    plateau_patience: int = 5
    plateau_factor: float = 0.5
    clip_norm: float = 0.0
    patience: int = 0
    precision: str = 'float32'
    strategy: str = 'auto'
    freeze: Tuple[str, ...] = ()
    unfreeze_after: int = 0
    fine_tune: float = 1.0
    validation_block: float = 0.0
    threads: int = 0


@dataclasses.dataclass(frozen=True)
class TrainJob(TensorFlowJob):
    """Train a network on samples and write a model package.

    Attributes:
        dataset: folder of a dataset of any layout; empty: `windows` says where samples come from.
        output: the package folder.
        windows: an extraction whose patches are read from the rasters while training, instead of being written.
        classes: which values are classes, with names and colours; empty: those of the dataset.
        loss: one of `LOSSES`; ``auto``: cross-entropy for classes, Huber for values.
        resume: go on with a training of this job that was interrupted.
        warm_start: a model package whose weights are the first ones, as far as they fit.
        validation: datasets to judge the epochs with, in place of the split of that name.
        validation_share: share of the training samples that is taken for validation, in blocks of ground.
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
    loss: str = 'auto'
    resume: bool = True
    warm_start: str = ''
    windows: Optional[ExtractPatchesJob] = None
    validation: Tuple[str, ...] = ()
    validation_share: float = 0.0

    def inputs(self) -> Tuple[str, ...]:
        windows = self.windows.inputs() if self.windows else ()
        return tuple(path for path in (self.dataset, *windows, *self.validation, self.warm_start) if path)

    def outputs(self) -> Dict[str, str]:
        return {'OUTPUT': self.output, 'REPORT': self.report}
