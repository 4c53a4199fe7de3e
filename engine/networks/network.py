"""A Keras model that may have more outputs than there are targets, such as the cropped ones of `ModelBase`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from ..errors import InvalidJob


@keras.saving.register_keras_serializable('quadrat')
class Network(keras.Model):
    """A functional model with inputs and outputs by name, trained on the outputs that have targets of their name.

    Keras itself wants a target for every output, and takes inputs by their order where there are more of them than
    the model has.
    """

    def call(self, inputs: Mapping[str, Any], training: bool | None = None, mask: Any = None) -> Any:
        missing = [name for name in self.input if name not in inputs]
        if missing:
            raise InvalidJob(f'The network wants an input {missing[0]!r}; there are {", ".join(sorted(inputs))}.')
        return super().call({name: inputs[name] for name in self.input}, training=training, mask=mask)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        return super().compute_loss(x, y, _of_targets(y, y_pred), sample_weight, training)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        return super().compute_metrics(x, y, _of_targets(y, y_pred), sample_weight)


def _of_targets(targets: Any, outputs: dict[str, Any]) -> dict[str, Any]:
    """The outputs that have targets."""
    if targets is None:
        return outputs
    if not isinstance(targets, dict):
        raise InvalidJob(
            'Targets are no dictionary by the names of outputs: name those of the dataset with targets_keys.'
        )
    unknown = [name for name in targets if name not in outputs]
    if unknown:
        raise InvalidJob(f'No output is named after the target {unknown[0]!r}; they are {", ".join(sorted(outputs))}.')
    return {name: outputs[name] for name in targets}
