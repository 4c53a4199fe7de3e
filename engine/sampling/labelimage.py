"""Points on a label raster, so many of each class."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..classes import complete
from ..datasets.labelling import MOST_VALUES
from ..datasets.labels import RasterLabels
from ..datasets.legend import raster_legend
from ..errors import InvalidJob, LabelError, NoSamples
from ..events import Reporter
from ..gdalio import ogr, open_raster
from ..grid import Grid, Window
from ..jobs import LABEL_STRATEGIES, SampleLabelImageJob
from ..raster import grid_of
from ..vector import VectorWriter, field, require_vector_output
from .draws import Drawn, Every
from .shares import apportion

_STRIP = 1 << 21  # pixels read at a time; up to four times as many where that makes whole blocks
_DENSE = 1 << 20  # span of values up to which they are counted in a table
_OTBTF_NODATA = '-1'


def sample_label_image(job: SampleLabelImageJob, reporter: Reporter) -> dict[str, Any]:
    """Choose pixels of a label raster and write their centres as points, row by row.

    The raster is read twice in strips: to count the classes, and to take the pixels. Without `otbtf`, each class's
    pixels are drawn at random from the whole raster, without replacement. ``constant`` takes `count` of each class, or
    all of a class that has fewer; ``total`` deals `count` out in proportion to the classes' pixels; ``smallest`` takes
    as many of each class as the smallest has.

    With `otbtf`, OTBTF's choice: every n-th pixel of each class from the top on, no class more often than the smallest
    has pixels, and labels less the lowest one. The no-data value is -1 where neither the job nor the file names one.

    Returns:
        ``OUTPUT``: the path of the points. Fields: ``id`` counted from 0, ``class``, and ``row`` and ``col`` of the
        pixel from 0.

    Raises:
        InvalidJob: a strategy, number or border that makes no sense.
        LabelError: values that are no classes, or too many of them.
        NoSamples: no pixel has a label, or the border leaves none.
    """
    _check(job)
    require_vector_output(job.output)
    image = _LabelImage(job, reporter)
    reporter.stage(0.0, 0.4)
    counts = image.count()
    targets, draws = _choose_otbtf(job, counts, reporter) if job.otbtf else _choose(job, counts, reporter)
    _log(job, image, counts, targets, reporter)
    reporter.stage(0.4, 1.0)
    lowest = min(counts) if job.otbtf else 0
    if lowest:
        reporter.log(f'Labels are counted from 0, as OTBTF does: {lowest} becomes 0.')
    fields = [field(name, ogr.OFTInteger64) for name in ('id', 'class', 'row', 'col')]
    with VectorWriter(job.output, image.grid.crs, fields) as writer:
        for label, row, col in image.take(dict(zip(counts, draws))):
            values = {'id': writer.count, 'class': label - lowest, 'row': row, 'col': col}
            writer.add_point(*image.grid.centre(col, row), values)
    return {'OUTPUT': job.output}


def _check(job: SampleLabelImageJob) -> None:
    """Raise `InvalidJob` for values that make no sense."""
    if job.strategy not in LABEL_STRATEGIES:
        raise InvalidJob(f'Strategy {job.strategy!r}: choose one of {", ".join(LABEL_STRATEGIES)}.')
    if job.count < 1 and job.strategy in ('constant', 'total'):
        raise InvalidJob(f'{job.count} samples: at least 1 must be asked for.')
    if job.pad < 0 or job.seed < 0:
        raise InvalidJob('The border to leave out and the seed are 0 or more.')


class _LabelImage:
    """The label raster of a job without its border, in strips.

    Attributes:
        grid: of the whole raster.
        nodata: the value of pixels that have no label, None where there is none.
        unlabelled: number of pixels that have none, once they are counted.
    """

    def __init__(self, job: SampleLabelImageJob, reporter: Reporter) -> None:
        self.path, self._reporter = job.labels.path, reporter
        dataset = open_raster(self.path)
        self.grid: Grid = grid_of(dataset)
        self._window = self.grid.window.expand(*[-job.pad] * 4)
        if self._window.empty:
            raise NoSamples(
                f'{self.path}: a border of {job.pad} pixels on all sides leaves nothing of {self.grid.width} x '
                f'{self.grid.height} pixels. Leave out less.'
            )
        self._labels = RasterLabels(job.labels, self.grid, self.path)
        if job.otbtf and self._labels.declared is None and not job.labels.nodata.strip():
            spec = dataclasses.replace(job.labels, nodata=_OTBTF_NODATA)
            self._labels = RasterLabels(spec, self.grid, self.path)
        self.nodata = self._labels.declared
        self.legend = raster_legend(self.path, job.labels.band)
        if dataset.RasterCount > 1:
            reporter.log(f'{self.path}: the labels are those of band {job.labels.band} of {dataset.RasterCount}')
        block = dataset.GetRasterBand(job.labels.band).GetBlockSize()[1]
        self._rows = max(_STRIP // self.grid.width, 1)
        if self.grid.width * block <= 4 * _STRIP:
            self._rows = max(self._rows // block * block, block)

    def count(self) -> dict[int, int]:
        """Pixels of each label, in ascending order of the labels."""
        counts: Counter[int] = Counter()
        self.unlabelled = 0
        for _, values, valid in self._strips('Counting labels'):
            counts.update(_count(values[valid]))
            self.unlabelled += int((~valid).sum())
            if len(counts) > MOST_VALUES:
                raise LabelError(
                    f'{self.path}: more than {MOST_VALUES} different values. Labels are classes; is this another '
                    'raster?'
                )
        if not counts:
            what = '' if self.nodata is None else f' ({self.nodata:g})'
            raise NoSamples(f'{self.path}: no pixel has a label; all are no-data{what}.')
        return dict(sorted(counts.items()))

    def take(self, draws: dict[int, Every | Drawn]) -> Iterator[tuple[int, int, int]]:
        """(label, row, column) of the pixels that are drawn of each label, row by row."""
        known = np.array(list(draws))
        seen = np.zeros(len(known), np.int64)
        for strip, values, valid in self._strips('Writing points'):
            pixels = np.flatnonzero(valid)
            numbers = np.searchsorted(known, values.ravel()[pixels]).astype(np.uint16)
            by_label = np.argsort(numbers, kind='stable')  # pixels of one label stay in their order
            counts = np.bincount(numbers, minlength=len(known))
            first = np.cumsum(counts) - counts
            chosen = [
                by_label[start + draw.within(before, before + count)]
                for draw, start, before, count in zip(draws.values(), first, seen.tolist(), counts.tolist())
            ]
            seen += counts
            taken = pixels[np.sort(np.concatenate(chosen))]
            labels = values.ravel()[taken]
            rows, cols = taken // strip.width + strip.row, taken % strip.width + strip.col
            yield from zip(labels.tolist(), rows.tolist(), cols.tolist())

    def _strips(self, text: str) -> Iterator[tuple[Window, np.ndarray, np.ndarray]]:
        """Strip, its values (rows, columns) and booleans: where there are labels; from the top on."""
        for row in range(0, self.grid.height, self._rows):
            self._reporter.check_cancelled()
            self._reporter.progress(row / self.grid.height, text)
            strip = self._window.intersect(Window(0, row, self.grid.width, self._rows))
            if not strip.empty:
                values, nodata = self._labels.read(strip)
                yield strip, values, ~nodata


def _count(values: np.ndarray) -> dict[int, int]:
    """How often each of some whole numbers occurs."""
    if not values.size:
        return {}
    lowest, highest = int(values.min()), int(values.max())
    if highest - lowest < _DENSE:  # many times as fast as sorting
        counts = np.bincount(values - lowest)
        found = np.flatnonzero(counts)
        return dict(zip((found + lowest).tolist(), counts[found].tolist()))
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist()))


def _choose(
    job: SampleLabelImageJob, counts: dict[int, int], reporter: Reporter
) -> tuple[np.ndarray, list[Every | Drawn]]:
    """How many pixels of each class are taken, and which: drawn at random."""
    available = np.array(list(counts.values()))
    if job.strategy == 'total':
        targets = apportion(min(job.count, int(available.sum())), available)
    elif job.strategy == 'all':
        targets = available
    else:
        targets = np.minimum(available, job.count if job.strategy == 'constant' else available.min())
    _warn_of_less(job, counts, targets, reporter)
    rng = np.random.default_rng(job.seed)
    return targets, [Drawn(count, target, rng) for count, target in zip(available.tolist(), targets.tolist())]


def _warn_of_less(job: SampleLabelImageJob, counts: dict[int, int], targets: np.ndarray, reporter: Reporter) -> None:
    """Say where there are fewer pixels than were asked for."""
    if job.strategy == 'constant':
        few = [f'{value} ({count})' for value, count in counts.items() if count < job.count]
        if few:
            reporter.warn(f'Classes with fewer than {job.count} pixels, of which all are taken: {_listed(few)}.')
    elif job.strategy == 'total':
        if targets.sum() < job.count:
            reporter.warn(f'Only {targets.sum()} pixels have a label, fewer than {job.count}; all of them are taken.')
        none = [str(value) for value, target in zip(counts, targets.tolist()) if not target]
        if none:
            reporter.warn(f'{job.count} samples are too few for all classes; none is taken of {_listed(none)}.')


def _listed(texts: Sequence[str]) -> str:
    return ', '.join(texts[:20]) + (', …' if texts[20:] else '')


def _choose_otbtf(
    job: SampleLabelImageJob, counts: dict[int, int], reporter: Reporter
) -> tuple[np.ndarray, list[Every | Drawn]]:
    """The same as OTBTF chooses: every n-th pixel, from the top on."""
    available = np.array(list(counts.values()))
    smallest = int(available.min())
    if job.strategy == 'total':
        if job.count > available.sum():
            reporter.warn(f'Only {available.sum()} pixels have a label, fewer than {job.count}; all of them are taken.')
        steps = np.full(len(available), max(int(available.sum()) // job.count, 1))
        targets = available // steps
    else:
        wanted = job.count if job.strategy == 'constant' else smallest
        if wanted > smallest:
            reporter.warn(f'The smallest class has {smallest} pixels; no more than that are taken of each.')
        targets = available if job.strategy == 'all' else np.full(len(available), min(wanted, smallest))
        steps = available // targets
    return targets, [Every(step, target) for step, target in zip(steps.tolist(), targets.tolist())]


def _log(
    job: SampleLabelImageJob, image: _LabelImage, counts: dict[int, int], targets: np.ndarray, reporter: Reporter
) -> None:
    """A table of the classes."""
    if image.unlabelled:
        text = f'{image.path}: {image.unlabelled} pixels are in no class, being no-data'
        if image.nodata is None:
            reporter.log(text + '.')
        elif job.labels.nodata.strip() or job.otbtf:
            reporter.log(f'{text} ({image.nodata:g}).')
        else:
            reporter.warn(
                f'{text} ({image.nodata:g}, as the file declares). If that is a class (a background, say), set the '
                'no-data value to "none".'
            )
    reporter.log(f'{"class":>11}{"available":>13}{"taken":>11}  name')
    for item, count, target in zip(complete(counts, image.legend), counts.values(), targets.tolist()):
        name = '' if item.name == str(item.value) else item.name
        reporter.log(f'{item.value:>11}{count:>13}{target:>11}  {name}'.rstrip())
    reporter.log(f'{"all":>11}{sum(counts.values()):>13}{targets.sum():>11}')
