"""The network of a training: built for its samples, and made ready to be exported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InvalidJob
from ..jobs import TrainJob
from ..networks.registry import build, check
from ..networks.shapes import Head, SourceShape
from .opening import TRAIN, Material, ratios
from .splits import ValueSpread

if TYPE_CHECKING:
    import keras

_SINGLE = ('filters', 'depth', 'dropout')  # options of networks that have a field of their own


def check_network(job: TrainJob, material: Material) -> None:
    """Raise `InvalidJob` where the network cannot be built, or does not take such patches."""
    check(job.architecture, source_shapes(material), head(job, material), network_options(job), job.options.folder)


def build_network(job: TrainJob, material: Material, policy: str = 'float32') -> keras.Model:
    """The untrained network, see `networks.registry.build`.

    Args:
        policy: Keras' name of what is computed in which precision; variables are float32 in any.
    """
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return build(
            job.architecture,
            source_shapes(material),
            head(job, material),
            network_options(job),
            folder=job.options.folder,
        )
    finally:
        keras.config.set_dtype_policy(before)


def source_shapes(material: Material) -> list[SourceShape]:
    """What the network takes."""
    return [
        SourceShape(
            source.name,
            source.shape[2],
            source.statistics.mean,
            source.statistics.stddev,
            ratio,
            (source.shape[1], source.shape[0]),
        )
        for source, ratio in zip(material.sources, ratios(material.sources))
    ]


def head(job: TrainJob, material: Material) -> Head:
    """What the network says."""
    return Head(job.task, len(material.classes) or 1, material.per_pixel, not material.classes)


def network_options(job: TrainJob) -> dict[str, Any]:
    """The options of the architecture that are given."""
    options = job.options
    single = {name: getattr(options, name) for name in _SINGLE if getattr(options, name) is not None}
    for name in single:
        if name in options.network:
            raise InvalidJob(f'OPTIONS: {name} stands there twice, also within "network"; give it once.')
    return {**single, **options.network}


def precision_policy(job: TrainJob) -> str:
    """Keras' policy for the precision that the job asks for."""
    if job.options.precision == 'float32':
        return 'float32'
    import tensorflow as tf

    # Processors compute in bfloat16, if in anything; all GPUs with half precision do in float16.
    return 'mixed_float16' if tf.config.get_visible_devices('GPU') else 'mixed_bfloat16'


def logits_of(model: keras.Model) -> keras.Model:
    """The part of a network that is trained."""
    import keras

    return keras.Model(model.input, model.get_layer('logits').output)


def finished(job: TrainJob, material: Material, trained: keras.Model) -> keras.Model:
    """The network as others use it: in float32, with values in their own unit."""
    model = build_network(job, material) if precision_policy(job) != 'float32' else trained
    if model is not trained:
        model.set_weights(trained.get_weights())
    spread = material.splits[TRAIN].spread
    return model if spread is None else _with_unit(model, spread)


def _with_unit(model: keras.Model, spread: ValueSpread) -> keras.Model:
    """A network whose values are not in standard deviations from the mean any more."""
    import keras

    scaled = keras.layers.Rescaling(spread.stddev, spread.mean, dtype='float32', name='unit')(model.output['values'])
    return keras.Model(model.input, {'values': scaled}, name=model.name)


def synchronise(model: keras.Model) -> None:
    """Make batch normalisation see what is on all devices."""
    import keras

    from .optimizing import layers_of

    for layer in layers_of(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
