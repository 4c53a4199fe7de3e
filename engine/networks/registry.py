"""Architectures by name: what each takes, what it can say, and the function that builds it."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InvalidJob
from ..options import checked_options
from . import options as known_options
from .halving import require_halves, require_patch_levels, require_room
from .own import build_own, own_builder
from .shapes import Head, SourceShape

if TYPE_CHECKING:
    import keras

_RESERVED = ('logits', 'probabilities', 'values', 'normalisation')  # names of layers and outputs


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What is known of an architecture without building it.

    Attributes:
        options: the dataclass of its options.
        pixels, patches: whether it can answer for each pixel, and for whole patches.
        mixed: whether it takes sources of different resolution.
    """

    options: type
    pixels: bool = True
    patches: bool = False
    mixed: bool = False


# The names are those of jobs.ARCHITECTURES; a function stands in the module of its own name.
_KNOWN = {
    'unet': Architecture(known_options.UnetOptions),
    'resunet': Architecture(known_options.UnetOptions),
    'fcnn': Architecture(known_options.FcnnOptions),
    'dilated': Architecture(known_options.DilatedOptions),
    'patchcnn': Architecture(known_options.PatchCnnOptions, pixels=False, patches=True),
    'twobranch': Architecture(known_options.TwoBranchOptions, patches=True, mixed=True),
    'temporal': Architecture(known_options.TemporalOptions, patches=True),
    'encoder': Architecture(known_options.EncoderOptions, patches=True),
    'dense': Architecture(known_options.DenseOptions, patches=True),
}


def build(
    architecture: str, sources: Sequence[SourceShape], head: Head, options: Mapping[str, Any], *, folder: str = ''
) -> keras.Model:
    """The untrained network.

    Args:
        architecture: one of `jobs.ARCHITECTURES`; or ``module:Class`` of `folder`, a class or function that is called
            with (sources, head, options) and gives a model such as this function's.
        sources: what it takes.
        head: what it says.
        options: plain values by name; see `options` for those of each architecture.
        folder: of the user's own architectures, whose code is run.

    Returns:
        A functional model. Its inputs are named as the sources: (batch, rows, columns, bands) float32 of raw pixels,
        rows and columns open. The layer ``logits`` gives the raw values, of which the one output is made:
        ``{'probabilities': softmax(logits)}``, or ``{'values': logits}`` for a regression. Outputs are (batch, rows,
        columns, channels) on the grid of the first source; for whole patches (batch, channels), but (batch, 1, 1,
        channels) from ``patchcnn`` and ``dense``.

    Raises:
        InvalidJob: see `check`.
        InputMissing, ModelError: a file with weights cannot be used, or the user's own class does not do what it
            should.
    """
    check(architecture, sources, head, options, folder)
    if architecture not in _KNOWN:
        return build_own(architecture, folder, sources, head, options)
    function = getattr(importlib.import_module(f'.{architecture}', __package__), architecture)
    return function(sources, head, checked_options(_KNOWN[architecture].options, options, architecture))


def check(
    architecture: str, sources: Sequence[SourceShape], head: Head, options: Mapping[str, Any], folder: str = ''
) -> None:
    """Raise `InvalidJob` for what `build` cannot build, in one line that says what to change. TensorFlow is imported
    only where an architecture of the user's own imports it."""
    _require_sources(sources)
    if architecture not in _KNOWN:
        _require_own(architecture, folder)
        return
    chosen: Any = checked_options(_KNOWN[architecture].options, options, architecture)
    require_task(architecture, head.task, head.per_pixel)
    _require_resolutions(architecture, sources)
    _require_patches(architecture, sources, head, chosen)


def _require_own(architecture: str, folder: str) -> None:
    if ':' not in architecture:
        near = difflib.get_close_matches(architecture, _KNOWN, 1)
        hint = f' Did you mean {near[0]!r}?' if near else ''
        raise InvalidJob(f'Architecture {architecture!r}: unknown.{hint} Known are: {", ".join(_KNOWN)}.')
    if not folder:
        raise InvalidJob(f'Architecture {architecture!r}: name the folder that it is in, whose code you trust.')
    own_builder(architecture, folder)


def _require_sources(sources: Sequence[SourceShape]) -> None:
    """Raise `InvalidJob` for sources that no network takes."""
    if not sources:
        raise InvalidJob('A network needs at least one source.')
    names = [source.name for source in sources]
    for source in sources:
        if names.count(source.name) > 1 or source.name in _RESERVED:
            raise InvalidJob(f'The name {source.name!r} of a source is taken; give the source another one.')
        if source.bands < 1 or not source.bands == len(source.mean) == len(source.stddev):
            raise InvalidJob(
                f'Source {source.name}: {source.bands} bands, but statistics of {len(source.mean)} and '
                f'{len(source.stddev)}; there must be one of each a band.'
            )


def known(architecture: str) -> Architecture:
    """What is known of one of `jobs.ARCHITECTURES`."""
    return _KNOWN[architecture]


def require_task(architecture: str, task: str, per_pixel: bool) -> None:
    """Raise `InvalidJob` where one of `jobs.ARCHITECTURES` cannot say what a task asks for.

    Args:
        per_pixel: something of each pixel, and not of the patch as a whole.
    """
    item = _KNOWN[architecture]
    if not (item.pixels if per_pixel else item.patches):
        able = [name for name, item in _KNOWN.items() if (item.pixels if per_pixel else item.patches)]
        words = ('a label for the whole patch', 'a label for each pixel')
        raise InvalidJob(
            f'{architecture} gives {words[not per_pixel]}, and the task {task} with these labels needs '
            f'{words[per_pixel]}. Choose one of {", ".join(able)}.'
        )


def _require_resolutions(architecture: str, sources: Sequence[SourceShape]) -> None:
    first, *others = sources
    if _KNOWN[architecture].mixed:
        if not others:
            raise InvalidJob(f'{architecture} takes two sources or more, and there is one. Choose another network.')
        for source in others:
            if source.ratio.numerator != 1 != source.ratio.denominator:
                raise InvalidJob(
                    f'{architecture}: {source.name} has {source.ratio} pixels for one of {first.name}; the one must be '
                    'a whole number of times as fine as the other.'
                )
        return
    for source in others:
        if source.ratio != 1:
            raise InvalidJob(
                f'{architecture} takes sources of one resolution, and {source.name} has {source.ratio} pixels for one '
                f'of {first.name}. Choose twobranch.'
            )


def _require_patches(architecture: str, sources: Sequence[SourceShape], head: Head, chosen: Any) -> None:
    """Raise `InvalidJob` where patches do not fit the network, or one another."""
    cols, rows = sources[0].patch_size
    if architecture == 'temporal':
        _require_dates(sources, chosen.dates)
    if (cols, rows) == (0, 0):
        if architecture == 'patchcnn' or (architecture == 'dense' and not head.per_pixel):
            raise InvalidJob(f'{architecture} is made for patches of one size, which is not known.')
        return
    for source in sources:
        due = (cols * source.ratio, rows * source.ratio)
        if source.patch_size != due:
            raise InvalidJob(
                f'Patches of {source.name} are of {source.patch_size[0]} x {source.patch_size[1]} pixels; {cols} x '
                f'{rows} of {sources[0].name} are {due[0]} x {due[1]} of it. Extract patches of as much ground from '
                'all sources.'
            )
    if architecture == 'patchcnn':
        require_patch_levels((cols, rows), chosen.depth)
    elif hasattr(chosen, 'depth'):
        (require_halves if head.per_pixel else require_room)(cols, rows, chosen.depth)


def _require_dates(sources: Sequence[SourceShape], dates: int) -> None:
    bands = [source.bands for source in sources]
    if dates == 0 and (len(bands) == 1 or len(set(bands)) > 1):
        raise InvalidJob(
            f'temporal: say with OPTIONS {{"dates": …}} of how many dates the {sum(bands)} bands are; only where every '
            'source is a date, all with as many bands, that can be left out.'
        )
    if dates and sum(bands) % dates:
        raise InvalidJob(f'temporal: {sum(bands)} bands are not {dates} dates of as many bands each.')
