"""How many samples of each class: from one image, or dealt out over several."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import re
from collections.abc import Mapping, Sequence

from ..classes import table_lines
from ..errors import InputUnreadable

_SEPARATORS = '\t;, '  # in the order in which they are tried
_HEADER = ('#className', 'requiredSamples', 'totalSamples', 'rate')

Counts = Mapping[str, int]  # of each class


@dataclasses.dataclass(frozen=True)
class Demand:
    """What is asked for.

    Attributes:
        strategy: one of `jobs.SAMPLE_STRATEGIES`.
        count: samples of each class (constant), or of all classes (total).
        percent: share of each class, 0 to 1.
        by_class: samples of each class; those not named get none.
    """

    strategy: str
    count: int = 1000
    percent: float = 0.5
    by_class: Counts = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Rate:
    """Samples of a class on an image: how many are `required`, and of how many pixels."""

    required: int
    total: int

    @property
    def taken(self) -> int:
        """Samples that can be taken."""
        return min(self.required, self.total)

    @property
    def rate(self) -> float:
        """Share of the pixels that is taken."""
        return self.taken / self.total if self.total else 0.0


def single_rates(demand: Demand, counts: Counts) -> dict[str, Rate]:
    """The rates on one image, class by class in alphabetical order.

    Args:
        counts: pixels of each class.
    """
    return {text: Rate(number, counts.get(text, 0)) for text, number in sorted(_required(demand, counts).items())}


def _required(demand: Demand, counts: Counts) -> dict[str, int]:
    """Samples of each class."""
    everything = sum(counts.values())
    smallest = min((count for count in counts.values() if count), default=0)
    required = {
        'byclass': lambda text, count: demand.by_class.get(text, 0),
        'constant': lambda text, count: demand.count if count else 0,
        'percent': lambda text, count: _nearest(demand.percent * count),
        'total': lambda text, count: _nearest(demand.count * count / everything) if everything else 0,
        'smallest': lambda text, count: smallest if count else 0,
        'all': lambda text, count: count,
    }[demand.strategy]
    named = dict.fromkeys(demand.by_class, 0) if demand.strategy == 'byclass' else {}
    return {text: required(text, count) for text, count in {**named, **counts}.items()}


def image_rates(mode: str, demands: Sequence[Demand], counts: Sequence[Counts]) -> list[dict[str, Rate]]:
    """The rates on several images, in the way of the Orfeo ToolBox's MultiImageSamplingRate.

    ``proportional`` deals out what is asked for in proportion to the pixels of the class on each image, ``equal`` in
    equal numbers, both rounded down; with ``custom`` each image has its own demand. The strategy ``all`` takes all in
    any mode.

    Args:
        mode: one of `jobs.IMAGE_RATES`.
        demands: one for each image, which differ only with ``custom``.
        counts: pixels of each class on each image.
    """
    together: dict[str, int] = {}
    for count in counts:
        for text, pixels in count.items():
            together[text] = together.get(text, 0) + pixels
    full = [{**dict.fromkeys(together, 0), **count} for count in counts]
    demand = demands[0]
    if len(counts) == 1 or mode == 'custom' or demand.strategy == 'all':
        return [single_rates(own, count) for own, count in zip(demands, full)]
    deal = _proportional if mode == 'proportional' else _equal
    dealt = deal(demand, full, together)
    return [
        {text: Rate(number, count.get(text, 0)) for text, number in sorted(required.items())}
        for required, count in zip(dealt, full)
    ]


def _proportional(demand: Demand, counts: Sequence[Counts], together: Counts) -> list[dict[str, int]]:
    """Samples of each class on each image, in proportion to its pixels."""
    if demand.strategy == 'percent':
        return [_required(demand, count) for count in counts]
    if demand.strategy == 'total':
        everything = max(sum(together.values()), 1)
        shares = [_nearest(demand.count * sum(count.values()) / everything) for count in counts]
        return [_required(dataclasses.replace(demand, count=share), count) for share, count in zip(shares, counts)]
    required = _required(demand, together)
    return [
        {text: number * count.get(text, 0) // max(together.get(text, 0), 1) for text, number in required.items()}
        for count in counts
    ]


def _equal(demand: Demand, counts: Sequence[Counts], together: Counts) -> list[dict[str, int]]:
    """The same samples of each class on each image."""
    images = len(counts)
    if demand.strategy == 'percent':
        required = {text: _nearest(demand.percent * count / images) for text, count in together.items()}
        return [required for _ in counts]
    if demand.strategy == 'total':
        return [_required(dataclasses.replace(demand, count=demand.count // images), count) for count in counts]
    required = _required(demand, together)
    return [
        {text: number // images if count.get(text, 0) else 0 for text, number in required.items()} for count in counts
    ]


def _nearest(number: float) -> int:
    """The nearest whole number, halves upwards."""
    return math.floor(0.5 + number)


def rates_text(rates: Mapping[str, Rate]) -> str:
    """The text of a file of rates, in the layout of the Orfeo ToolBox."""
    out = io.StringIO()
    lines = ((text, rate.required, rate.total, f'{rate.rate:g}') for text, rate in rates.items())
    csv.writer(out, delimiter='\t', lineterminator='\n').writerows([_HEADER, *lines])
    return out.getvalue()


def read_by_class(path: str) -> dict[str, int]:
    """Samples of each class from a table with classes in the first and numbers in the second column.

    Columns are separated by tabs, semicolons, commas or blanks, whichever the first line has; lines that begin with #
    are comments, and the first line may be a header. A file of rates is such a table too.

    Raises:
        InputMissing, InputUnreadable: naming the file, the line and what is wrong there.
    """
    lines = table_lines(path, 'a table of classes and numbers', ' of samples')
    rows = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    rows = [(number, line) for number, line in rows if not line.startswith('#')]
    separator = next((mark for mark in _SEPARATORS if rows and mark in rows[-1][1]), ',')  # a header may have others
    found: dict[str, int] = {}
    for place, (number, line) in enumerate(rows):
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]
        text, count = [*cells, '', ''][:2]
        if place == 0 and not re.search('[0-9]', count):
            continue  # a header
        if not text or not re.fullmatch('[0-9]+', count):
            raise InputUnreadable(
                f'{path}, line {number}: {line!r} is no class and number of samples, such as "forest{separator}500".'
            )
        if text in found:
            raise InputUnreadable(f'{path}, line {number}: class {text!r} stands there twice.')
        found[text] = int(count)
    if not found:
        raise InputUnreadable(f'{path}: no numbers of samples in it. Each line should be a class and a number.')
    return found
