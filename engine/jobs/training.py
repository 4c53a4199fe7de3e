"""Jobs of training, and the choices people see there."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Dict, Optional, Tuple

from .base import TensorFlowJob
from .data import ClassDef
from .datasets import ExtractPatchesJob

TASKS = ('segmentation', 'classification', 'regression')
ARCHITECTURES = ('unet', 'resunet', 'fcnn', 'dilated', 'patchcnn', 'twobranch', 'temporal', 'encoder', 'dense')
LOSSES = ('auto', 'crossentropy', 'focal', 'dice', 'tversky', 'huber', 'mse', 'mae')
CLASS_WEIGHTS = ('auto', 'none')
OPTIMIZERS = ('adamw', 'adam', 'sgd')
SCHEDULES = ('cosine', 'constant', 'onecycle', 'plateau', 'exponential', 'piecewise', 'cyclical')
MONITOR_MODES = ('auto', 'min', 'max')
TRAINING_PRECISIONS = ('float32', 'mixed')
FEEDERS = ('Dataset', 'TFRecordExamplesFeeder', 'MemorySamplesFeeder')
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
        schedule_steps: ``exponential``: steps after which the learning rate is multiplied with `decay_rate`;
            ``cyclical``: steps of a cycle; 0: those of an epoch.
        decay_rate: see `schedule_steps`.
        staircase: ``exponential`` goes down in stairs, not along a curve.
        minimum_rate: the learning rate that ``cyclical`` falls to.
        piecewise: learning rates and the epochs after which they change, as in ``0.01:5:0.001:10:0.0001``.
        clip_norm: the gradients of a step are scaled down to this global norm; 0 leaves them.
        patience: stop after so many epochs without a better validation score; 0 never stops early.
        monitor: the number that tells which epoch is better, one of those of the history, such as ``loss``; empty: the
            score of the task.
        monitor_mode: whether it should be small or large; ``auto``: as its name says.
        min_delta: by how much it must be better to count for `patience`.
        minimum_epochs: epochs before which `patience` stops nothing.
        validation_epochs, validation_steps, validation_secs: judge after so many epochs, steps or seconds, whichever
            are given; None: every epoch where nothing else is given. The last epoch is always judged.
        save_checkpoint_epochs, save_checkpoint_steps, save_checkpoint_secs: the same for keeping the state that an
            interrupted training goes on from; steps or seconds, not both.
        save_summary_epochs, save_summary_steps: the same for the numbers that TensorBoard shows.
        shuffle: a new order of the samples in each epoch.
        shuffle_buffer: 0 shuffles all of them; else as through a buffer of so many.
        drop_remainder: batches of exactly the batch size; what is left over is not seen in that epoch.
        device: ``auto``, ``cpu``, or GPUs by number, as in ``gpu:0`` and ``gpu:0,1``.
        precision: ``mixed`` computes in 16 bits what bears it.
        strategy: ``one`` device; ``mirrored``: all GPUs of this computer; ``workers``: several computers, as TF_CONFIG
            or Slurm say; ``auto``: all GPUs where there are several.
        freeze: regular expressions; layers whose whole name matches one are not trained.
        unfreeze_after: epochs after which they are; 0 never.
        fine_tune: factor on the learning rate of layers that WARM_START gave weights.
        warm_start_include, warm_start_exclude: regular expressions; layers whose name begins with a match of one of the
            first, all if there are none, and of none of the second, take over weights.
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
    schedule_steps: int = 0
    decay_rate: float = 0.94
    staircase: bool = True
    minimum_rate: float = 0.0
    piecewise: str = ''
    clip_norm: float = 0.0
    patience: int = 0
    monitor: str = ''
    monitor_mode: str = 'auto'
    min_delta: float = 0.0
    minimum_epochs: int = 0
    validation_epochs: Optional[int] = None
    validation_steps: int = 0
    validation_secs: float = 0.0
    save_checkpoint_epochs: Optional[int] = None
    save_checkpoint_steps: int = 0
    save_checkpoint_secs: float = 0.0
    save_summary_epochs: Optional[int] = None
    save_summary_steps: int = 0
    shuffle: bool = True
    shuffle_buffer: int = 0
    drop_remainder: bool = False
    device: str = 'auto'
    precision: str = 'float32'
    strategy: str = 'auto'
    freeze: Tuple[str, ...] = ()
    unfreeze_after: int = 0
    fine_tune: float = 1.0
    warm_start_include: Tuple[str, ...] = ()
    warm_start_exclude: Tuple[str, ...] = ()
    validation_block: float = 0.0
    threads: int = 0


@dataclasses.dataclass(frozen=True)
class FeederSpec:
    """Where the samples of a split come from.

    Attributes:
        type: one of `FEEDERS`.
        options: its own, by name.
    """

    type: str
    options: Dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    def inputs(self) -> Tuple[str, ...]:
        """Files, folders and patterns of files."""
        found = [self.options.get(name) or () for name in ('folder', 'csv', 'npz', 'x', 'y', 'file_patterns')]
        return tuple(path for item in found for path in ([item] if isinstance(item, str) else item))


@dataclasses.dataclass(frozen=True)
class Feeders:
    """Where samples come from, split by split."""

    train: FeederSpec
    validation: Optional[FeederSpec] = None
    test: Optional[FeederSpec] = None

    def inputs(self) -> Tuple[str, ...]:
        """Those of all feeders."""
        return tuple(path for feeder in (self.train, self.validation, self.test) if feeder for path in feeder.inputs())


@dataclasses.dataclass(frozen=True)
class TrainJob(TensorFlowJob):
    """Train a network on samples and write a model package.

    Attributes:
        dataset: folder of a dataset of any layout; empty: `windows` or `feeders` say where samples come from.
        output: the package folder.
        windows: an extraction whose patches are read from the rasters while training, instead of being written.
        classes: which values are classes, with names and colours; empty: those of the dataset.
        loss: one of `LOSSES`; ``auto``: cross-entropy for classes, Huber for values.
        resume: go on with a training of this job that was interrupted.
        warm_start: a model package, or a run folder with one called ``best``, whose weights are the first ones, as far
            as they fit.
        validation: datasets to judge the epochs with, in place of the split of that name.
        validation_share: share of the training samples that is taken for validation, in blocks of ground.
        report: optional further place for the HTML report.
        feeders: where samples come from, in place of `dataset` and `windows`.
        configuration: optional file that these parameters are written to, as a run that "Run an experiment" does.
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
    feeders: Optional[Feeders] = None
    configuration: str = ''

    def inputs(self) -> Tuple[str, ...]:
        windows = self.windows.inputs() if self.windows else ()
        feeders = self.feeders.inputs() if self.feeders else ()
        return tuple(path for path in (self.dataset, *windows, *feeders, *self.validation, self.warm_start) if path)

    def outputs(self) -> Dict[str, str]:
        return {'OUTPUT': self.output, 'REPORT': self.report, 'CONFIGURATION': self.configuration}
