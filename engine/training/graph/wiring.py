"""What one kind of run of a graph takes and gives: where samples and constants are fed, and what is computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from ...errors import InvalidJob, ModelError
from ...runtimes.arrays import cast
from ...runtimes.placeholders import constant, parse
from ...runtimes.savedmodel import Signature
from .session import GraphSession, missing_values, reached

Shape = tuple[int, int, int]  # rows, columns, bands
Preparation = Callable[[np.ndarray], np.ndarray]  # of (samples, rows, columns, bands)


@dataclasses.dataclass(frozen=True)
class Wiring:
    """A kind of run.

    Attributes:
        session: of the graph.
        actions: operations that are run.
        outputs: what is computed, by the names that people gave.
        inputs: by the names that people gave, the tensors that samples are fed to; none where the run does not need
            them.
        constants: what else is fed, always the same.
        preparations: what is done with samples first, by the names of the inputs.
    """

    session: GraphSession
    actions: tuple[tf.Operation, ...]
    outputs: dict[str, tf.Tensor]
    inputs: dict[str, tuple[tf.Tensor, ...]]
    constants: dict[tf.Tensor, np.ndarray]
    preparations: Mapping[str, Preparation]

    def run(self, samples: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run it on a batch.

        Args:
            samples: (samples, rows, columns, bands) by the names of the inputs.

        Returns:
            The outputs, by the names that people gave.
        """
        feeds = dict(self.constants)
        for name, tensors in self.inputs.items():
            prepared = self.preparations[name](samples[name]) if name in self.preparations else samples[name]
            for tensor in tensors:
                feeds[tensor] = self._fitted(name, prepared, tensor)
        values, _ = self.session.run([self.outputs, list(self.actions)], feeds)
        return {name: np.asarray(value) for name, value in values.items()}

    def require_shapes(self, shapes: Mapping[str, Shape], batch_size: int, count: int) -> None:
        """Raise `InvalidJob` where patches do not fit what they are fed to.

        Args:
            shapes: of one sample, by the names of the inputs.
            batch_size: number of samples in each batch but the last.
            count: number of all samples.
        """
        for name, tensors in self.inputs.items():
            for tensor in tensors:
                if _axes(shapes[name], tensor) is None:
                    rows, cols, bands = shapes[name]
                    raise InvalidJob(
                        f'{self.session.path}: patches of {cols} x {rows} pixels and {bands} bands do not fit '
                        f'{name}, whose shape is {_text(tensor)}. Check PATCH_SIZE, the bands and PLACEHOLDER.'
                    )
                wanted = tensor.shape[0] if tensor.shape.rank else None
                if wanted is not None and (wanted != batch_size or count % wanted):
                    raise InvalidJob(
                        f'{self.session.path}: {name} takes batches of exactly {wanted} samples. Give '
                        f'BATCH_SIZE={wanted}, and a number of samples that is a multiple of it; there are {count}.'
                    )

    def _fitted(self, name: str, samples: np.ndarray, tensor: tf.Tensor) -> np.ndarray:
        """Samples as a tensor takes them: in its type, and without axes of one that it does not have."""
        axes = _axes((samples.shape[1], samples.shape[2], samples.shape[3]), tensor)
        if axes is None:
            raise ModelError(f'{name}: samples of the shape {samples.shape} do not fit {_text(tensor)}.')
        return cast(samples.squeeze(axes), np.dtype(tensor.dtype.as_numpy_dtype))


def wire(
    session: GraphSession,
    signatures: Sequence[Signature],
    outputs: Sequence[str],
    inputs: Sequence[str],
    constants: str,
    actions: Sequence[tf.Operation] = (),
    parameter: str = 'USER_PLACEHOLDERS',
    preparations: Mapping[str, Preparation] | None = None,
) -> Wiring:
    """Find the tensors of a kind of run.

    Args:
        signatures: whose keys names may be, those that are looked at first in front.
        outputs: names of what is computed.
        inputs: names of what samples are fed to; those that this run does not depend on are left out.
        constants: ``name=value;…``; see `runtimes.placeholders`.
        actions: operations to run.
        parameter: where constants are given, for messages.
        preparations: what is done with samples first, by the names of the inputs.

    Raises:
        ModelError: a name is unknown, or something has to be fed that is not.
        InvalidJob: a constant is not what the graph wants.
    """
    fetches = {name: session.fetchable(name, signatures) for name in dict.fromkeys(outputs)}
    candidates = {name: session.feedable(name, signatures) for name in inputs}
    texts = parse(constants)
    given = {name: session.feedable(name, signatures, 'placeholder') for name in texts}
    fed = {tensor for found in candidates.values() for tensor in found}
    both = next((name for name, found in given.items() if fed.intersection(found)), '')
    if both:
        raise InvalidJob(f'{parameter}: {both} is fed with samples; leave it out here, or there.')
    fed.update(tensor for found in given.values() for tensor in found)
    wanted = [*actions, *fetches.values()]
    names = missing_values(wanted, fed)
    if names:
        public = ', '.join(_public(signatures, name) for name in names)
        raise ModelError(
            f'{session.path}: needs a value for {public} as well. Feed it from a source with PLACEHOLDER, or give a '
            f'constant with {parameter}.'
        )
    needed = reached(wanted, fed)
    feeds = {name: tuple(tensor for tensor in found if tensor.op in needed) for name, found in candidates.items()}
    values = {
        tensor: constant(name, texts[name], tensor.dtype.name, _shape(tensor))
        for name, found in given.items()
        for tensor in found
        if tensor.op in needed
    }
    inputs_used = {name: found for name, found in feeds.items() if found}
    return Wiring(session, tuple(actions), fetches, inputs_used, values, preparations or {})


def matched(
    session: GraphSession,
    signatures: Sequence[Signature],
    given: Sequence[str],
    own: Sequence[str],
    constants: str,
    optional: bool,
) -> list[str]:
    """The name of the input that each source is fed to: the one given for it, the one of its own name, or the next.

    Args:
        given: by people, empty where they leave it open.
        own: names of the sources.
        constants: what is not fed with samples.
        optional: whether sources may be left over; they get an empty name.

    Raises:
        ModelError: there is no such input, or too few.
    """
    inputs = dict.fromkeys(sorted(key for signature in signatures[:1] for key in signature.inputs))
    free = [name for name in inputs if name not in given and name not in parse(constants)]
    found = []
    for name, source in zip(given, own):
        if not name and source in free:
            free.remove(name := source)
        found.append(name)
    for number, name in enumerate(found):
        if not name and free:
            found[number] = free.pop(0)
        elif not name and not optional:
            raise ModelError(
                f'{session.path}: no input is left for {own[number]}; the model has {", ".join(inputs) or "none"}. '
                'Give PLACEHOLDER for each source.'
            )
    twice = next((name for name in found if name and found.count(name) > 1), '')
    if twice:
        raise ModelError(f'{session.path}: two sources are to be fed to {twice}; give each another PLACEHOLDER.')
    for name in filter(None, found):
        session.feedable(name, signatures)  # says where there is none
    return found


def _axes(shape: Shape, tensor: tf.Tensor) -> tuple[int, ...] | None:
    """The axes of one, among batch, rows, columns and bands, that a tensor does without; None: they do not fit."""
    if tensor.shape.rank is None:
        return ()
    for axes in ((), (3,), (1, 2), (1, 2, 3)):
        kept = [size for axis, size in enumerate((None, *shape)) if axis not in axes]
        if all(shape[axis - 1] == 1 for axis in axes) and tensor.shape.is_compatible_with(kept):
            return axes
    return None


def _shape(tensor: tf.Tensor) -> tuple[int | None, ...] | None:
    return None if tensor.shape.rank is None else tuple(tensor.shape.as_list())


def _text(tensor: tf.Tensor) -> str:
    sizes = ['any' if size is None else str(size) for size in _shape(tensor) or ()]
    return f'({", ".join(sizes)})'


def _public(signatures: Sequence[Signature], name: str) -> str:
    """What people call a placeholder: the key of a signature, where it has one."""
    for signature in signatures:
        for key, tensor in signature.inputs.items():
            if tensor.name == f'{name}:0':
                return key
    return name
