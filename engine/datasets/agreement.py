"""What several datasets have in common when they become one: sources, labels, classes, places."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from ..classes import complete, merge
from ..errors import DatasetError
from ..events import Reporter
from ..gdalio import osr
from ..jobs import ClassDef
from ..raster import crs_name
from ..vector import transformation
from .labelling import smallest_type
from .manifest import LabelInfo, SourceInfo
from .reader import Dataset
from .zones import box_in

_ORDER = ('any', 'all', 'ignore')  # what a no-data policy promises of the pixels, the most first
Names = tuple[str, str]  # of two datasets, for messages


@dataclasses.dataclass(frozen=True)
class Recoding:
    """How label values of one dataset are stored in the other: a value and what becomes of it."""

    changes: tuple[tuple[int, int], ...]

    def apply(self, values: np.ndarray, dtype: np.dtype) -> np.ndarray:
        out = values.astype(dtype)
        for old, new in self.changes:
            if old != new:
                out[values == old] = new
        return out


# -- sources ----------------------------------------------------------------------------------------------------------


def common_sources(datasets: Sequence[Dataset], reporter: Reporter) -> tuple[SourceInfo, ...]:
    """The sources of all datasets, with the statistics of the first one.

    Raises:
        DatasetError: they differ in names, shapes or, where pixels have no data, in no-data values.
    """
    first = datasets[0]
    names = [source.name for source in first.manifest.sources]
    for other in datasets[1:]:
        found = [source.name for source in other.manifest.sources]
        if sorted(found) != sorted(names):
            raise DatasetError(
                f'{first.folder} has the sources {", ".join(names)} and {other.folder} has {", ".join(found)}; only '
                'datasets with the same sources can be one.'
            )
    return tuple(_common_source(name, datasets, reporter) for name in names)


def _common_source(name: str, datasets: Sequence[Dataset], reporter: Reporter) -> SourceInfo:
    infos = [dataset.manifest.source(name) for dataset in datasets]
    out = infos[0]
    for info, dataset in zip(infos[1:], datasets[1:]):
        both = datasets[0].folder, dataset.folder
        if info.shape != infos[0].shape:
            raise DatasetError(
                f'{name}: patches are of {_size(infos[0].shape)} in {both[0]} and of {_size(info.shape)} in {both[1]}; '
                'extract them with the same size and bands.'
            )
        if info.bands != infos[0].bands:
            reporter.warn(
                f'{name}: bands are called {", ".join(infos[0].bands)} in {both[0]} and {", ".join(info.bands)} in '
                f'{both[1]}; the first names are kept.'
            )
        if not _alike(info.pixel_size, infos[0].pixel_size):
            reporter.warn(
                f'{name}: pixels are of {_pair(infos[0].pixel_size)} map units in {both[0]} and of '
                f'{_pair(info.pixel_size)} in {both[1]}.'
            )
        out = _common_nodata(out, info, both, reporter)
    return dataclasses.replace(
        out,
        dtype=np.result_type(*(info.dtype for info in infos)).name,
        rasters=tuple(dict.fromkeys(raster for info in infos for raster in info.rasters)),
    )


def _common_nodata(first: SourceInfo, other: SourceInfo, names: Names, reporter: Reporter) -> SourceInfo:
    """`first` with no-data values and a policy that are right for the pixels of both.

    The policy ``any`` has left no pixel without data, so what is no-data there is no matter any more.
    """
    policies = sorted({first.nodata_policy, other.nodata_policy}, key=_ORDER.index)
    policy = next((policy for policy in policies if policy != 'any'), 'any')
    if {'all', 'ignore'} <= set(policies):
        policy = 'all'
        reporter.warn(f'{first.name}: no-data pixels are ignored in one of {names[0]} and {names[1]}, but not in both.')
    if first.nodata == other.nodata:
        return dataclasses.replace(first, nodata_policy=policy)
    bearing = [info for info in (first, other) if info.nodata_policy != 'any' and any(info.nodata)]
    if len(bearing) > 1:
        raise DatasetError(
            f'{first.name}: no-data is {_texts(first.nodata)} in {names[0]} and {_texts(other.nodata)} in {names[1]}; '
            'extract one of them again with the no-data of the other.'
        )
    nodata = bearing[0].nodata if bearing else ('',) * len(first.nodata)
    reporter.warn(
        f'{first.name}: no-data is {_texts(first.nodata)} in {names[0]} and {_texts(other.nodata)} in {names[1]}; '
        f'together it is {_texts(nodata)}.'
    )
    return dataclasses.replace(first, nodata=nodata, nodata_policy=policy)


# -- labels -----------------------------------------------------------------------------------------------------------


def common_labels(
    datasets: Sequence[Dataset], classes: Sequence[ClassDef], reporter: Reporter
) -> tuple[LabelInfo | None, list[Recoding]]:
    """The labels of all datasets, and how those of each are stored in them.

    A value that stands for "no label" stays as it is where it does so in all datasets and is a class in none; else
    another one that is free takes its place.

    Raises:
        DatasetError: only some datasets have labels, or patches of labels differ in size.
    """
    found = [dataset.manifest.labels for dataset in datasets]
    infos = [info for info in found if info is not None]
    if not infos:
        return None, [Recoding(()) for _ in datasets]
    if len(infos) < len(found):
        with_labels, without = (
            next(dataset.folder for dataset, info in zip(datasets, found) if (info is not None) == wanted)
            for wanted in (True, False)
        )
        raise DatasetError(f'{with_labels} has labels and {without} has none; only datasets of one kind can be one.')
    for info, dataset in zip(infos[1:], datasets[1:]):
        if info.shape != infos[0].shape:
            raise DatasetError(
                f'Labels are of {_size(infos[0].shape)} in {datasets[0].folder} and of {_size(info.shape)} in '
                f'{dataset.folder}; extract them at the same resolution.'
            )
    values = {definition.value for definition in classes}
    declared = [info.nodata for info in infos if info.nodata is not None]
    nodata = _common_value(declared, values) if declared else None
    taken = values if nodata is None else values | {nodata}
    unlabelled = _common_value([info.unlabelled for info in infos], taken)
    dtype, _ = smallest_type([*taken], unlabelled)
    recodings = []
    for info, dataset in zip(infos, datasets):
        changes = [(info.unlabelled, unlabelled)]
        if info.nodata is not None and nodata is not None:
            changes.append((info.nodata, nodata))
        for old, new in changes:
            if old != new:
                reporter.warn(f'{dataset.folder}: pixels without label have the value {old} there and {new} here.')
        recodings.append(Recoding(tuple(changes)))
    return LabelInfo(infos[0].name, dtype.name, infos[0].shape, unlabelled, nodata), recodings


def _common_value(values: Sequence[int], taken: set[int]) -> int:
    """The one value of all that is not taken, else a free one."""
    if len(set(values)) == 1 and values[0] not in taken:
        return values[0]
    return smallest_type([*taken])[1]


def common_classes(datasets: Sequence[Dataset], reporter: Reporter) -> tuple[ClassDef, ...]:
    """The classes of all datasets; of different names or colours for a value, the first counts."""
    lists = []
    names: dict[int, tuple[str, str]] = {}
    for dataset in datasets:
        # A name that only repeats the value was given by nobody.
        own = [
            dataclasses.replace(item, name='' if item.name == str(item.value) else item.name)
            for item in dataset.manifest.classes
        ]
        for item in own:
            known, where = names.setdefault(item.value, (item.name, dataset.folder))
            if not known:
                names[item.value] = item.name, dataset.folder
            elif item.name not in ('', known):
                reporter.warn(
                    f'Class {item.value} is {known!r} in {where} and {item.name!r} in {dataset.folder}; the first '
                    'name is kept.'
                )
        lists.append(own)
    joined = merge(*lists)
    return complete((item.value for item in joined), joined)


# -- places -----------------------------------------------------------------------------------------------------------


def common_crs(datasets: Sequence[Dataset], reporter: Reporter) -> str:
    """The first CRS (WKT) that a dataset names, or WGS 84 where one of the others has no place in it."""
    systems = [dataset.manifest.crs for dataset in datasets]
    crs = next(filter(None, systems), '')
    boxes = [(own, dataset.manifest.extent) for own, dataset in zip(systems, datasets)]
    if any(own and box and box_in(own, crs, box) is None for own, box in boxes):
        wgs84 = osr.SpatialReference()
        wgs84.ImportFromEPSG(4326)
        crs = str(wgs84.ExportToWkt())
    for dataset, own in zip(datasets, systems):
        if own and transformation(own, crs) is not None:
            reporter.warn(
                f'{dataset.folder} is in {crs_name(own)}: its places are given in {crs_name(crs)} here; its pixels '
                'stay as they are.'
            )
        elif crs and not own and np.isfinite(dataset.samples.x).any():
            reporter.warn(f'{dataset.folder} names no CRS; its coordinates are taken to be those of the others.')
    return crs


def common_extent(datasets: Sequence[Dataset], crs: str) -> tuple[float, float, float, float] | None:
    """What covers the extents of all datasets whose place is known; None where that is none of them."""
    known = [dataset.manifest for dataset in datasets if dataset.manifest.extent is not None]
    boxes = [box_in(manifest.crs, crs, manifest.extent) for manifest in known if manifest.extent is not None]
    found = [box for box in boxes if box is not None]
    if not found:
        return None
    west, south, east, north = zip(*found)
    return min(west), min(south), max(east), max(north)


def _size(shape: tuple[int, int, int]) -> str:
    return f'{shape[1]} x {shape[0]} pixels and {shape[2]} bands'


def _alike(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return all(math.isclose(one, other, rel_tol=1e-6) for one, other in zip(a, b))


def _pair(sizes: tuple[float, float]) -> str:
    return ' x '.join(f'{size:g}' for size in sizes)


def _texts(nodata: tuple[str, ...]) -> str:
    """No-data values for messages."""
    values = nodata[:1] if len(set(nodata)) == 1 else nodata
    return ' '.join(value or 'none' for value in values)
