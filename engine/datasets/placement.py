"""Where patches are cut: points to first pixels in the zone that holds them, and why some are not cut."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from ..errors import InvalidJob, NoSamples
from ..events import Reporter
from ..jobs import SPLITS, ExtractPatchesJob, VectorSpec
from ..raster import crs_name
from ..vector import Points, VectorLayer, read_points, write_points
from .sources import EDGE, OUTSIDE, Placed, bounds
from .zones import OpenZone, box_in, common_crs


class Placement:
    """A patch for each point, zone by zone, in the order of the points.

    A point of a layer that several zones share belongs to the first zone in which its patch lies, else to the first
    that holds it.

    Args:
        job: names the field with the split, that with the label, and what happens at borders.
        zones: name their points.
        reporter: hears what is assumed.

    Attributes:
        crs: WKT of the reference system of `x` and `y`.
        ids, x, y, splits, labels: of each point: its id, place, split, and what the label field says (None: nothing).
        unsplit: no layer of points names splits.
        zones: the zone of each, ascending.
        cols, rows: for each source the first pixel of each patch in its zone.
        pixel_cols, pixel_rows: the pixel of the first source that holds the point.
        mirrored: booleans: patches that reach over the edge of an image.
        reasons: why a patch is not in the dataset; empty where it is, or may be.
        culprits: the source that is the reason, if it is one.

    Raises:
        InvalidJob: a field that is not there, or splits of other names.
        NoSamples: a layer has no points.
    """

    def __init__(self, job: ExtractPatchesJob, zones: list[OpenZone], reporter: Reporter) -> None:
        self._job, self._zones, self._reporter = job, zones, reporter
        self.crs = common_crs(zones)
        self.unsplit = True
        layers: dict[VectorSpec, list[OpenZone]] = {}
        for zone in zones:
            layers.setdefault(zone.points, []).append(zone)
        parts = [part for spec, sharing in layers.items() for part in self._deal(spec, sharing)]
        self._join(sorted(parts, key=lambda part: part.zone))
        if self.unsplit:
            reporter.log('The points have no splits: all samples are for training.')

    def _deal(self, spec: VectorSpec, zones: list[OpenZone]) -> list[_Part]:
        """The points of a layer, dealt out to the zones that share it."""
        split_field = self._job.split_field
        if not split_field and 'split' in VectorLayer(spec).field_names:
            split_field = 'split'
        fields = [name for name in (split_field, self._job.label_field) if name]
        points = {crs: read_points(spec, crs, fields) for crs in {self.crs, *(zone.grid.crs for zone in zones)}}
        shared = points[self.crs]
        if not shared.ids:
            raise NoSamples(f'{spec.path}: no points in it.')
        if any(found.assumed_crs for found in points.values()):
            self._reporter.warn(
                f'{spec.path} or the image names no CRS; the coordinates are taken to be those of the image.'
            )
        if split_field:
            self.unsplit = False
            splits = _checked_splits(shared.fields[split_field], f'{spec.path}, field {split_field!r}')
        else:
            splits = (SPLITS[0],) * len(shared.ids)
        labels = shared.fields.get(self._job.label_field) or (None,) * len(shared.ids)
        reflect = self._job.border == 'reflect'
        placed = [zone.sources.place(points[zone.grid.crs].x, points[zone.grid.crs].y, reflect) for zone in zones]
        owner = _first_choice([found.reasons for found in placed])
        return [
            _Part(zone.number, np.flatnonzero(owner == i), shared, splits, labels, placed[i])
            for i, zone in enumerate(zones)
        ]

    def _join(self, parts: list[_Part]) -> None:
        """One table of all zones."""
        self.ids = [part.points.ids[i] for part in parts for i in part.chosen.tolist()]
        self.splits = np.array([part.splits[i] for part in parts for i in part.chosen.tolist()])
        self.labels = [part.labels[i] for part in parts for i in part.chosen.tolist()]
        self.reasons = [part.placed.reasons[i] for part in parts for i in part.chosen.tolist()]
        self.culprits = [part.placed.culprits[i] for part in parts for i in part.chosen.tolist()]
        self.x = np.concatenate([part.points.x[part.chosen] for part in parts])
        self.y = np.concatenate([part.points.y[part.chosen] for part in parts])
        self.zones = np.concatenate([np.full(len(part.chosen), part.zone) for part in parts])
        self.pixel_cols = np.concatenate([part.placed.pixel_cols[part.chosen] for part in parts])
        self.pixel_rows = np.concatenate([part.placed.pixel_rows[part.chosen] for part in parts])
        self.mirrored = np.concatenate([part.placed.mirrored[part.chosen] for part in parts])
        sources = range(len(self._job.sources))
        self.cols = [np.concatenate([part.placed.cols[k][part.chosen] for part in parts]) for k in sources]
        self.rows = [np.concatenate([part.placed.rows[k][part.chosen] for part in parts]) for k in sources]

    def reject(self, patches: np.ndarray, reason: str, culprit: str = '') -> None:
        """Leave patches out of the dataset."""
        for number in patches.tolist():
            self.reasons[number], self.culprits[number] = reason, culprit

    def left(self, zone: int | None = None) -> np.ndarray:
        """Numbers of the patches that are not rejected, ascending; of one zone, or of all."""
        chosen = np.flatnonzero([not reason for reason in self.reasons])
        return chosen if zone is None else chosen[self.zones[chosen] == zone]

    def why(self) -> str:
        """The reasons of rejection and how often each applied."""
        return ', '.join(f'{reason} ({count})' for reason, count in Counter(filter(None, self.reasons)).most_common())

    def remedy(self) -> str:
        """What to look at where no patch is left; empty where the reasons say it."""
        if not all(reason.startswith(OUTSIDE) for reason in self.reasons):
            return ''
        box = box_in(self._zones[0].grid.crs, self.crs, bounds(self._zones[0].grid))
        if box is None:
            return ''
        west, south, east, north = box
        return (
            f' The points lie at x {self.x.min():.10g} to {self.x.max():.10g}, y {self.y.min():.10g} to '
            f'{self.y.max():.10g}, the image at x {west:.10g} to {east:.10g}, y {south:.10g} to {north:.10g} '
            f'({crs_name(self.crs)}). Are their reference systems right?'
        )

    def extent(self, patches: np.ndarray) -> tuple[float, float, float, float]:
        """(west, south, east, north) of the ground that patches of the first source show."""
        boxes = []
        width, height = self._job.sources[0].patch_size
        for zone in self._zones:
            chosen = patches[self.zones[patches] == zone.number]
            if not len(chosen):
                continue
            cols, rows = self.cols[0][chosen], self.rows[0][chosen]
            edges = (
                max(int(cols.min()), 0),
                min(int(cols.max()) + width, zone.grid.width),
                max(int(rows.min()), 0),
                min(int(rows.max()) + height, zone.grid.height),
            )
            xs, ys = zip(*(zone.grid.to_map(col, row) for col in edges[:2] for row in edges[2:]))
            box = box_in(zone.grid.crs, self.crs, (min(xs), min(ys), max(xs), max(ys)))
            if box is not None:
                boxes.append(box)
        west, south, east, north = zip(*boxes)
        return min(west), min(south), max(east), max(north)

    def images(self, patches: np.ndarray) -> tuple[str, ...]:
        """The raster that each patch is cut from."""
        names = [zone.image for zone in self._zones]
        return tuple(names[zone] for zone in self.zones[patches].tolist())

    def write_accepted(self, path: str) -> None:
        """Write the points of the patches that are not rejected."""
        chosen = self.left()
        columns = {'row': self.pixel_rows[chosen], 'col': self.pixel_cols[chosen], 'image': self.images(chosen)}
        self._write(path, chosen, columns)

    def write_rejected(self, path: str) -> None:
        """Write the points of the patches that are rejected, with the reason."""
        chosen = np.flatnonzero([bool(reason) for reason in self.reasons])
        reasons, culprits = ([column[i] for i in chosen.tolist()] for column in (self.reasons, self.culprits))
        self._write(path, chosen, {'reason': reasons, 'source': culprits, 'image': self.images(chosen)})

    def _write(self, path: str, chosen: np.ndarray, columns: dict[str, Any]) -> None:
        ids = [self.ids[i] for i in chosen.tolist()]
        columns = {'id': _numbers(ids), 'split': self.splits[chosen].tolist(), **columns}
        write_points(path, self.crs, self.x[chosen], self.y[chosen], columns)


@dataclasses.dataclass(frozen=True)
class _Part:
    """The points of one zone: which of a layer they are (`chosen`), and what is known of all of that layer."""

    zone: int
    chosen: np.ndarray
    points: Points
    splits: Sequence[str]
    labels: Sequence[Optional[str]]
    placed: Placed


def _first_choice(reasons: list[list[str]]) -> np.ndarray:
    """For each point the zone, of several, that it belongs to.

    Args:
        reasons: for each zone, why it cannot have each point.
    """
    rank = np.array([[0 if not reason else 1 if reason.startswith(EDGE) else 2 for reason in zone] for zone in reasons])
    return rank.argmin(0)


def _checked_splits(values: Sequence[str | None], where: str) -> Sequence[str]:
    """The splits that a field names, or `InvalidJob` for other names."""
    wrong = Counter(repr(value) for value in values if value not in SPLITS)
    if wrong:
        found = ', '.join(f'{value} ({count} points)' for value, count in wrong.most_common(5))
        raise InvalidJob(f'{where}: {found}; splits are called {", ".join(SPLITS)}.')
    return [str(value) for value in values]


def _numbers(ids: list[str]) -> Any:
    """Ids as whole numbers where all are, else as text."""
    try:
        return np.array([int(text) for text in ids], np.int64)
    except (ValueError, OverflowError):
        return ids
