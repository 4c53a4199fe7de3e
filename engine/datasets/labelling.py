"""The labels of a dataset: what is a class, what is left out and why, and the shards that hold them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ..classes import complete, merge
from ..errors import LabelError
from ..events import Reporter
from ..grid import Grid, Window
from ..jobs import ClassDef, ExtractPatchesJob
from .labels import TYPES, UNSET, RasterLabels, burn_polygons
from .legend import raster_legend
from .manifest import LabelInfo, Shard
from .shards import ShardWriter

NAME = 'labels'
MOST_VALUES = 1000  # more are no classes: an elevation model was taken for labels


class Labelling:
    """Labels of patches as they are cut.

    Values are counted while patches are read. Only when all are known is there a type for them and a value for
    pixels without label; so they are kept as int32 until then.

    Args:
        named: what the user said are the classes; empty for every value found.
        legend: names and colours known from elsewhere.
    """

    def __init__(
        self,
        labels: RasterLabels,
        folder: str,
        named: Sequence[ClassDef],
        legend: Sequence[ClassDef],
        reporter: Reporter,
    ) -> None:
        self.labels, self.reporter = labels, reporter
        self._folder, self._named, self._legend = folder, tuple(named), tuple(legend)
        self._counts: dict[int, np.ndarray] = {}  # value -> pixels in each patch
        self._removed = {'unlabelled': 0, 'image': 0, 'nodata': 0, 'all': 0}

    @classmethod
    def open(cls, job: ExtractPatchesJob, grid: Grid, folder: str, reporter: Reporter) -> Labelling | None:
        """The labels a job asks for on the grid of its image; None where it asks for none."""
        if job.labels:
            legend = merge(job.legend, raster_legend(job.labels.path, job.labels.band))
            # Whatever names a value says that it is a class, be it no-data of the file or not.
            known = job.classes or [item for item in legend if item.name not in ('', str(item.value))]
            labels = RasterLabels(job.labels, grid, job.sources[0].rasters[0], known)
            return cls(labels, folder, job.classes, legend, reporter)
        if job.polygons:
            path = os.path.join(folder, 'polygons.tif')
            labels, names = burn_polygons(job.polygons, grid, path, job.classes, reporter)
            by_name = {definition.name: definition for definition in job.legend if definition.name}
            coloured = [
                ClassDef(item.value, item.name, by_name[item.name].colour) for item in names if item.name in by_name
            ]
            numbered = [item for item in job.legend if item.name not in {item.name for item in coloured}]
            outside = [item for item in names if job.polygons.outside == item.value]
            named = merge(job.classes, outside) if job.classes else ()
            return cls(labels, folder, named, merge(coloured, names, numbered), reporter)
        return None

    def prepare(self, size: tuple[int, int], capacity: int) -> None:
        """Make room for the labels of `capacity` patches of `size` (columns, rows) image pixels."""
        self._shape = self.labels.shape(*size)
        self._capacity = capacity
        self._raw = ShardWriter(self._folder, NAME + '-raw', self._shape, np.dtype(np.int32), capacity)

    def cut(self, window: Window, valid: np.ndarray, number: int) -> bool:
        """Read the labels of a patch and keep them as number `number`.

        Args:
            window: in label pixels.
            valid: (rows, columns) in image pixels: where the image has data.

        Returns:
            Whether any pixel has a label, or the labels' no-data value, which training may still name as a class. If
            none has, nothing is kept.
        """
        values, nodata = self.labels.read(window)
        blind = ~_on_labels(valid, self._shape)
        unset = (values == UNSET) & ~nodata
        self._removed['all'] += values.size
        self._removed['unlabelled'] += int(unset.sum())
        self._removed['image'] += int((blind & ~unset).sum())
        self._removed['nodata'] += int((nodata & ~blind).sum())
        values[blind] = UNSET
        found, counts = np.unique(values[~nodata & (values != UNSET)], return_counts=True)
        kept = self.labels.nodata is not None and bool((nodata & ~blind).any())
        if not found.size and not kept:
            return False
        for value, count in zip(found.tolist(), counts.tolist()):
            if value not in self._counts:
                self._new_value(value)
            self._counts[value][number] = count
        self._raw.write(number, values)
        return True

    def _new_value(self, value: int) -> None:
        if len(self._counts) >= MOST_VALUES:
            raise LabelError(
                f'{self.labels.path}: more than {MOST_VALUES} different values. Labels are classes; is this another '
                'raster?'
            )
        self._counts[value] = np.zeros(self._capacity, np.int32)

    def count_of(self, value: int) -> np.ndarray:
        """Pixels of a class in each patch."""
        return self._counts.get(value, np.zeros(self._capacity, np.int32))

    def classes(self) -> tuple[ClassDef, ...]:
        """The classes: those the user named, else every value found; with names and colours.

        Raises:
            LabelError: there are values that are not among those named.
        """
        if not self._named:
            return complete(sorted(self._counts), self._legend)
        named = [definition.value for definition in self._named]
        unknown = sorted(value for value in self._counts if value not in named)
        if unknown:
            found = ', '.join(f'{value} ({self._counts[value].sum()} pixels)' for value in unknown[:10])
            raise LabelError(
                f'{self.labels.path}: values that are not among the classes: {found}{", …" if unknown[10:] else ""}. '
                'Add them to the table of classes, name one of them as the no-data of the labels, or reclassify.'
            )
        return complete(named, merge(self._named, self._legend))

    def finish(
        self, chosen: np.ndarray, classes: Sequence[ClassDef], per_shard: int
    ) -> tuple[LabelInfo, tuple[Shard, ...]]:
        """Write the labels of the patches `chosen` in the smallest type that holds them, and say what was left out."""
        nodata = self.labels.nodata
        dtype, unlabelled = smallest_type(
            [*(item.value for item in classes), *([nodata] if nodata is not None else [])]
        )
        shape = (*self._shape, 1)
        writer = ShardWriter(self._folder, NAME, shape, dtype, len(chosen), per_shard)
        for new, old in enumerate(chosen.tolist()):
            self.reporter.check_cancelled()
            values = self._raw.read(old)
            values[values == UNSET] = unlabelled
            writer.write(new, values[..., None])
        self._raw.remove()
        if os.path.dirname(self.labels.path) == self._folder:  # burnt polygons
            self.labels.discard()
        self._report()
        info = LabelInfo(NAME, str(dtype), shape, unlabelled, nodata)
        return info, writer.finish()

    def _report(self) -> None:
        """Say how many pixels each of the three settings removed."""
        removed, total = self._removed, max(self._removed['all'], 1)

        def share(key: str) -> str:
            return f'{removed[key]} ({removed[key] / total:.1%})'

        self.reporter.log(
            f'Label pixels left out of {removed["all"]}: {share("image")} where the image has no data, '
            f'{share("nodata")} that are no-data of the labels, {share("unlabelled")} without label'
        )
        if removed['nodata']:
            value = float('nan') if self.labels.declared is None else self.labels.declared
            self.reporter.warn(
                f'{self.labels.path}: {share("nodata")} label pixels are left out: their value {value:g} is no-data of '
                'the labels. If it is a class (a background, say), name it among the classes.'
            )


def smallest_type(values: Sequence[int]) -> tuple[np.dtype, int]:
    """The smallest type of labels that holds `values` and one more for pixels without label, and that value.

    255 where it is free; else the highest free value of the type, or the lowest of a signed one.
    """
    taken = set(values)
    for name in TYPES:
        limits = np.iinfo(name)
        if all(limits.min <= value <= limits.max for value in taken):
            first = [255, limits.min] if limits.min < 0 else [255]
            for candidate in (*first, *range(limits.max, limits.max - len(taken) - 1, -1)):
                if candidate not in taken and limits.min <= candidate <= limits.max:
                    return np.dtype(name), candidate
    raise LabelError(f'{len(taken)} label values from {min(taken)} to {max(taken)} do not fit into 32 bits.')


def _on_labels(valid: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Where the image has data, in label pixels: one that covers several image pixels needs data in one of them."""
    if valid.shape == shape:
        return valid
    rows, cols = shape
    finer = np.repeat(np.repeat(valid, max(rows // valid.shape[0], 1), 0), max(cols // valid.shape[1], 1), 1)
    return finer.reshape(rows, finer.shape[0] // rows, cols, finer.shape[1] // cols).any((1, 3))
