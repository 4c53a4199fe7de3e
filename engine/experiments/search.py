"""The runs of a sweep: the settings of each, drawn or one combination after the other."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np

from .sweepspec import Range, SweepSpec

_DIGITS = 6  # significant digits of drawn numbers: what stands in the table is what was used
_TRIES = 100  # draws for each run that is wanted, before it is given up to find another combination


def combinations(spec: SweepSpec) -> list[dict[str, Any]]:
    """The settings of each run by dotted key, no two runs alike.

    A grid counts up its last parameter first. What is drawn follows from the seed, one run after the other, so that a
    larger `count` goes on where a smaller one ended. Where there are fewer combinations than that, all are drawn.
    """
    drawn = _grid(spec) if spec.method == 'grid' else _random(spec)
    return list({identity(settings): settings for settings in drawn}.values())


def identity(settings: dict[str, Any]) -> str:
    """What two runs have in common that are the same, whatever the order of their settings."""
    return json.dumps(settings, sort_keys=True, ensure_ascii=False)


def override(key: str, value: Any) -> str:
    """A setting as an override. What JSON writes YAML reads."""
    return f'{key}={json.dumps(value, ensure_ascii=False)}'


def words(settings: dict[str, Any]) -> str:
    """Settings for people."""
    return ', '.join(f'{key} = {plain(value)}' for key, value in settings.items())


def plain(value: Any) -> str:
    """A value as it would be written by hand."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _grid(spec: SweepSpec) -> list[dict[str, Any]]:
    values = [_listed(value) for value in spec.parameters.values()]
    return [dict(zip(spec.parameters, chosen)) for chosen in itertools.product(*values)]


def _random(spec: SweepSpec) -> list[dict[str, Any]]:
    rng = np.random.default_rng(spec.seed)
    most = math.prod(len(value) if isinstance(value, list) else spec.count for value in spec.parameters.values())
    found: dict[str, dict[str, Any]] = {}
    for _ in range(_TRIES * spec.count):
        settings = {key: _drawn(value, rng) for key, value in spec.parameters.items()}
        found.setdefault(identity(settings), settings)
        if len(found) == min(spec.count, most):
            break
    return list(found.values())


def _listed(value: list[Any] | Range) -> list[Any]:
    if isinstance(value, Range):
        raise TypeError('A grid has lists, not ranges.')
    return value


def _drawn(value: list[Any] | Range, rng: np.random.Generator) -> Any:
    """One of a list, or a number of a range, both ends included."""
    if not isinstance(value, Range):
        return value[int(rng.integers(len(value)))]
    low, high = value.minimum, value.maximum
    whole = isinstance(low, int) and isinstance(high, int)
    # Of whole numbers the ends get what rounds to them, as all others do.
    margin = 0.5 if whole else 0.0
    if value.scale == 'log':
        number = math.exp(rng.uniform(math.log(low - margin), math.log(high + margin)))
    else:
        number = rng.uniform(low - margin, high + margin)
    if whole:
        return min(max(round(number), int(low)), int(high))
    return min(max(float(f'{number:.{_DIGITS}g}'), low), high)
