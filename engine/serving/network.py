"""The network of a model, made ready to be fed windows of the sources."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ..errors import ModelError
from ..events import Reporter
from ..jobs import ClassDef, ServeJob, SourceSpec
from ..model_package.card import InputCard, OutputCard
from ..model_package.importers import Model
from ..runtimes.arrays import image_of
from ..runtimes.base import Runtime
from ..runtimes.names import find, unknown_name
from ..runtimes.placeholders import parse

_CLASSES = ('classification', 'segmentation')  # tasks that a class map is the result of


class Computes(Protocol):
    """A network, or something that computes like one."""

    def run(self, feeds: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
        """Values (windows, rows, columns, bands) of several windows.

        Args:
            feeds: of each source its windows (windows, rows, columns, bands).
            size: (columns, rows) that the values should have.
        """


@dataclasses.dataclass(frozen=True)
class Values:
    """One output of a network.

    Attributes:
        name: of the output.
        dtype: of its values.
        part: the bands that it has among all that the network gives.
    """

    name: str
    dtype: np.dtype
    part: slice

    @property
    def bands(self) -> int:
        return int(self.part.stop - self.part.start)


@dataclasses.dataclass(frozen=True)
class Network:
    """A loaded network whose outputs are computed side by side.

    Attributes:
        path: of the model.
        runtime: runs it.
        cards: its inputs, in the order of the sources.
        outputs: its outputs, their bands one after the other.
        order: positions of the bands that the run gives, where they are wanted in another order; else empty.
    """

    path: str
    runtime: Runtime
    cards: tuple[InputCard, ...]
    outputs: tuple[Values, ...]
    order: tuple[int, ...] = ()

    @property
    def without_axes(self) -> bool:
        """Whether none of the outputs has rows and columns."""
        shapes = [self.runtime.outputs[item.name].shape for item in self.outputs]
        return all(0 < len(shape) < 3 for shape in shapes)

    @property
    def dtype(self) -> np.dtype:
        """The type that holds the values of all outputs."""
        return np.result_type(*(item.dtype for item in self.outputs))

    @property
    def bands(self) -> int:
        """Of all outputs together."""
        return sum(item.bands for item in self.outputs)

    def run(self, feeds: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
        """See `Computes`."""
        values = self.runtime.run({card.name: array for card, array in zip(self.cards, feeds)})
        images = []
        for item in self.outputs:
            try:
                images.append(image_of(values[item.name], len(feeds[0]), size[1], size[0]))
            except ModelError:
                shapes = ' and '.join(f'{feed.shape[2]} x {feed.shape[1]}' for feed in feeds)
                raise ModelError(
                    f'{self.path}: the output {item.name} has the shape {values[item.name].shape} for windows of '
                    f'{shapes} pixels, which is not {size[0]} x {size[1]} pixels of the map. Check RECEPTIVE_FIELD, '
                    'EXPRESSION_FIELD and SPACING_SCALE; in native mode leave them empty to have them measured.'
                ) from None
        found = images[0] if len(images) == 1 else np.concatenate(images, -1, dtype=self.dtype)
        return found[..., list(self.order)] if self.order else found


def asked_outputs(model: Model, job: ServeJob) -> tuple[str, ...]:
    """Names of the outputs that have to be computed.

    Raises:
        ModelError: the model has no classes, but something is asked for that is made of them.
    """
    known = {item.name: item for item in model.card.outputs}
    names = list(job.output_names)
    given = class_output(model, job)
    if job.output_folder and not names:
        names = list(known)
    if not names and job.output and given is None:
        names = sorted(known)[:1] if job.mode != 'native' else list(known)
    if given is not None and (needs_classes(job) or not names):
        names = list(dict.fromkeys([*names, given.name]))
    if given is None and needs_classes(job):
        raise ModelError(
            f"{job.model}: none of the model's outputs has classes, of which probabilities, confidence, entropy, "
            'margin and polygons are made. Name them in CLASSES, in the order of the bands.'
        )
    return tuple(names)


def needs_classes(job: ServeJob) -> bool:
    """Whether anything is asked for that is made of the probabilities of classes alone."""
    return any((job.probabilities, job.confidence, job.entropy, job.margin, job.polygons))


def class_output(model: Model, job: ServeJob) -> OutputCard | None:
    """The output whose bands are the probabilities of classes; None where there is none.

    One band stands for two classes: it is the probability of the second.
    """
    outputs = {item.name: item for item in model.card.outputs}
    if job.classes:
        named = job.output_names[0] if job.output_names else ''
        known = max(outputs.values(), key=lambda item: (bool(item.classes), item.bands == len(job.classes)))
        bands = outputs[find(named, outputs) or known.name].bands if named in ('', *outputs) else 0
        return OutputCard(named or known.name, bands, job.classes)
    if model.card.task not in ('', *_CLASSES):
        return None
    return next((item for item in outputs.values() if item.classes and _fits(item.classes, item.bands)), None)


def _fits(classes: Sequence[ClassDef], bands: int) -> bool:
    return len(classes) == bands or (len(classes), bands) == (2, 1)


def is_class_map(model: Model, job: ServeJob) -> bool:
    """Whether OUTPUT is a map of classes."""
    return class_output(model, job) is not None and (not job.output_names or bool(job.classes))


def load_network(model: Model, job: ServeJob, names: tuple[str, ...], reporter: Reporter) -> Network:
    """Load a model's network.

    Args:
        names: of the outputs.

    Raises:
        ModelError: it cannot be loaded, lacks what is asked for, or takes other images than there are.
        InvalidJob: constants that are none.
    """
    reporter.progress(0.0, 'loading the model')
    given = [source.placeholder for source in job.sources]
    signature = [item.name for item in model.card.inputs]
    inner = any(name and find(name, signature) is None for name in given)
    constants = parse(job.user_placeholders)
    runtime = model.load(
        job.runtime,
        names,
        inputs=tuple(given) if inner and all(given) else (),
        constants=constants,
        precision=job.precision,
        device=job.device,
        reporter=reporter,
    )
    for item in model.placeholders:
        if item.name in runtime.inputs and item.name not in constants:
            raise ModelError(
                f'{model.path}: the model wants a value for {item.name}; say {item.name}=… in USER_PLACEHOLDERS.'
            )
    known = {item.name: item for item in model.card.inputs if item.name in runtime.inputs}
    for name, info in runtime.inputs.items():
        bands = (info.shape[3] or 0) if len(info.shape) == 4 else 0
        known.setdefault(name, InputCard(name, tuple(f'B{i + 1}' for i in range(bands)), str(info.dtype)))
    cards = tuple(known[name] for name in matched(model.path, job.sources, list(known)))
    _require_shapes(model.path, runtime, cards)
    return Network(model.path, runtime, cards, _values(runtime, names, model))


def matched(path: str, sources: Sequence[SourceSpec], names: Sequence[str]) -> list[str]:
    """The name of the input that each source feeds: the one it names, the one of its own name, or the next.

    Raises:
        ModelError: there are more or fewer sources, or no such input.
    """
    if len(sources) != len(names):
        raise ModelError(f'{path}: the model takes {len(names)} sources ({", ".join(names)}), {len(sources)} given.')
    found: dict[int, str] = {}
    for number, source in enumerate(sources):
        if source.placeholder:
            name = find(source.placeholder, names)
            if name is None:
                raise unknown_name(path, 'input', source.placeholder, names)
            if name in found.values():
                raise ModelError(f'{path}: two sources are to feed the input {name}; give each another PLACEHOLDER.')
            found[number] = name
    for number, source in enumerate(sources):
        if source.name in names and source.name not in found.values():
            found.setdefault(number, source.name)
    left = iter([name for name in names if name not in found.values()])
    return [found[number] if number in found else next(left) for number in range(len(sources))]


def _values(runtime: Runtime, names: tuple[str, ...], model: Model) -> tuple[Values, ...]:
    """The outputs, with 0 bands where their number is not known yet."""
    cards = {item.name: item for item in model.card.outputs}
    found, start = [], 0
    for name in names:
        info = runtime.outputs[name]
        shape = info.shape
        bands = (shape[-1] or 0) if len(shape) in (2, 4) else 1 if shape else 0
        if not bands and name in cards:
            bands = cards[name].bands
        found.append(Values(name, info.dtype, slice(start, start + bands)))
        start += bands
    return tuple(found)


def with_bands(network: Network, bands: dict[str, int]) -> Network:
    """The network with numbers of bands that were found out."""
    found, start = [], 0
    for item in network.outputs:
        count = item.bands or bands[item.name]
        found.append(dataclasses.replace(item, part=slice(start, start + count)))
        start += count
    return dataclasses.replace(network, outputs=tuple(found))


def _require_shapes(path: str, runtime: Runtime, cards: Sequence[InputCard]) -> None:
    """Raise `ModelError` where the network is not what its card says."""
    for card in cards:
        shape = runtime.inputs[card.name].shape
        if len(shape) != 4 or (card.bands and shape[3] not in (None, len(card.bands))):
            raise ModelError(
                f'{path}: {card.name} of the network has the shape {shape}, not batch, rows, columns and '
                f'{len(card.bands)} bands.'
            )


def is_whole(dtype: np.dtype) -> bool:
    """Whether values are whole numbers, of which means say nothing."""
    return dtype.kind in 'iub'


class Mean:
    """Several networks as one, which gives the mean of what they give.

    Args:
        networks: with as many bands; see `same_bands`.
    """

    def __init__(self, networks: Sequence[Computes]) -> None:
        self._networks = networks

    def run(self, feeds: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
        """See `Computes`."""
        total = self._networks[0].run(feeds, size).astype('float32')
        for network in self._networks[1:]:
            total += network.run(feeds, size)
        return total / len(self._networks)


def same_bands(first: Network, given: OutputCard | None, other: Network, classes: Sequence[ClassDef]) -> Network:
    """Another network with its bands in the order of the first.

    Args:
        given: the output of the first that has classes.
        classes: those of the other.

    Raises:
        ModelError: it has others.
    """
    if first.bands != other.bands or [item.bands for item in first.outputs] != [item.bands for item in other.outputs]:
        raise ModelError(
            f'ENSEMBLE: {other.path} gives {other.bands} bands, {first.path} {first.bands}; only models of the same '
            'outputs can be averaged.'
        )
    if given is None or not classes or len(given.classes) != other.bands:
        return other
    wanted, found = [item.value for item in given.classes], [item.value for item in classes]
    if sorted(wanted) != sorted(found):
        raise ModelError(
            f'ENSEMBLE: {other.path} has the classes {", ".join(map(str, found))}, {first.path} '
            f'{", ".join(map(str, wanted))}; only models of the same classes can be averaged.'
        )
    if wanted == found:
        return other
    return dataclasses.replace(other, order=tuple(found.index(value) for value in wanted))
