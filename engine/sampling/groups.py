"""Points or polygons dealt out to splits or folds, so that what belongs together stays together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import InvalidJob, NoSamples
from ..events import Reporter
from ..gdalio import ogr
from ..jobs import SPLIT_STRATEGIES, SPLITS, SplitSamplesJob
from ..vector import VectorLayer, VectorWriter, field, require_vector_output
from .grouping import BlockGroups, FieldGroups, Grouping
from .shares import apportion, deal


def split_samples(job: SplitSamplesJob, reporter: Reporter) -> dict[str, Any]:
    """Write the features of a layer as they are, in their order, each with its split or fold.

    ``random`` meets the shares exactly. With ``group`` and ``blocks``, features of one group (the same value of
    `group_field`; those without a value are one group) or of one square block stay together, and the shares are met as
    nearly as that allows. ``kfold`` deals groups, blocks or single features out to folds of about the same size. A
    feature belongs to the block that holds its centroid, and is never cut.

    Returns:
        ``OUTPUT``: the path of the layer, with the text field ``split``, or the integer field ``fold``, from 1.

    Raises:
        InvalidJob: a strategy, field, share or number that makes no sense.
        NoSamples: no features, or fewer groups, blocks or features than splits or folds.
    """
    shares = _check(job)
    require_vector_output(job.output)
    layer = VectorLayer(job.vector)
    grouping = _grouping(job, layer, reporter)
    count, geometry_type = _read(layer, grouping, reporter)
    groups = grouping.numbers(int(np.count_nonzero(shares)), reporter) if grouping else None
    _require_enough(job, count if groups is None else int(groups.max()) + 1, shares, grouping)
    rng = np.random.default_rng(job.seed)
    if groups is None:
        dealt = rng.permutation(np.repeat(np.arange(len(shares)), apportion(count, shares)))
    else:
        dealt = deal(np.bincount(groups), shares, rng)[groups]
    names = [str(number) for number in range(1, job.folds + 1)] if job.strategy == 'kfold' else SPLITS
    reporter.log(f'{_column(job):<12}{"features":>9}{grouping.noun if grouping else "":>9}{"share":>9}{"asked":>9}')
    for number, (name, share) in enumerate(zip(names, shares.tolist())):
        members = dealt == number
        held = '' if groups is None else len(np.unique(groups[members]))
        if share > 0:
            reporter.log(f'{name:<12}{members.sum():>9}{held:>9}{members.mean():>9.1%}{share:>9.1%}')
    _write(job, layer, geometry_type, dealt.tolist(), reporter)
    return {'OUTPUT': job.output}


def _check(job: SplitSamplesJob) -> np.ndarray:
    """The shares of the splits or folds with the sum 1, or `InvalidJob` for values that make no sense."""
    if job.strategy not in SPLIT_STRATEGIES:
        raise InvalidJob(f'Strategy {job.strategy!r}: choose one of {", ".join(SPLIT_STRATEGIES)}.')
    if job.strategy == 'group' and not job.group_field:
        raise InvalidJob('The strategy group needs a field (GROUP_FIELD) whose values say what belongs together.')
    if not (math.isfinite(job.block_size) and job.block_size >= 0) or job.seed < 0:
        raise InvalidJob('The block size and the seed are 0 or more.')
    if job.strategy == 'kfold':
        if job.folds < 2:
            raise InvalidJob(f'{job.folds} folds: at least 2 are needed.')
        return np.full(job.folds, 1 / job.folds)
    shares = np.array([job.train, job.validation, job.test], np.float64)
    if not np.isfinite(shares).all() or (shares < 0).any() or shares.sum() <= 0:
        raise InvalidJob('The shares of training, validation and test must be 0 or more, and one of them above 0.')
    return shares / shares.sum()


def _column(job: SplitSamplesJob) -> str:
    """The name of the field to add."""
    return 'fold' if job.strategy == 'kfold' else 'split'


def _grouping(job: SplitSamplesJob, layer: VectorLayer, reporter: Reporter) -> Grouping | None:
    """What says which features belong together; None where each stands for itself."""
    if job.group_field and job.strategy in ('group', 'kfold'):
        return FieldGroups(layer, job.group_field)
    if job.group_field:
        reporter.warn(f'The strategy {job.strategy} does not look at the field {job.group_field!r}.')
    if job.strategy == 'blocks' or (job.strategy == 'kfold' and job.block_size > 0):
        return BlockGroups(layer, job.block_size)
    return None


def _read(layer: VectorLayer, grouping: Grouping | None, reporter: Reporter) -> tuple[int, int]:
    """Show all features to `grouping`; their number, and a geometry type that all have or can be given."""
    count, types = 0, set()
    for feature in layer:
        if not count % 1000:
            reporter.check_cancelled()
        count += 1
        geometry = feature.GetGeometryRef()
        if geometry is not None:
            types.add(geometry.GetGeometryType())
        if grouping:
            grouping.add(feature)
    if not count:
        raise NoSamples(f'{layer.path}: no features in it.')
    return count, _common_type(types) if types else layer.layer.GetGeomType()


def _common_type(types: set[int]) -> int:
    """The geometry type of a layer that holds all of `types`: of several, single ones become collections of one."""
    flat = {ogr.GT_Flatten(kind) for kind in types}
    if len(flat) > 1:
        flat = {ogr.GT_GetCollection(kind) or kind for kind in flat}
    kind = flat.pop() if len(flat) == 1 else ogr.wkbUnknown
    return ogr.GT_SetModifier(kind, any(map(ogr.GT_HasZ, types)), any(map(ogr.GT_HasM, types)))


def _require_enough(job: SplitSamplesJob, count: int, shares: np.ndarray, grouping: Grouping | None) -> None:
    """Raise `NoSamples` where there are fewer groups than splits or folds that need one."""
    wanted = np.count_nonzero(shares)
    if count >= wanted:
        return
    few, noun, remedy = 'it has only', 'features', 'Add features'
    if grouping:
        few, noun, remedy = grouping.few, grouping.noun, grouping.remedy
    what, or_else = ('folds', 'fewer folds') if job.strategy == 'kfold' else ('splits', 'give a split no share')
    raise NoSamples(
        f'{job.vector.path}: {few} {count} {noun}, but each of {wanted} {what} needs one. {remedy}, or {or_else}.'
    )


def _write(job: SplitSamplesJob, layer: VectorLayer, geometry_type: int, dealt: list[int], reporter: Reporter) -> None:
    """Write the features with their splits or folds."""
    name, folds = _column(job), job.strategy == 'kfold'
    added = field(name, ogr.OFTInteger64 if folds else ogr.OFTString)
    with VectorWriter(job.output, layer.crs, [added], layer, geometry_type) as writer:
        for number, feature in zip(dealt, layer):
            if not writer.count % 1000:
                reporter.check_cancelled()
                reporter.progress(writer.count / len(dealt), 'Writing features')
            geometry = feature.GetGeometryRef()
            if geometry is not None and geometry.GetGeometryType() != geometry_type:
                geometry = ogr.ForceTo(geometry.Clone(), geometry_type)
            writer.add(geometry, {name: number + 1 if folds else SPLITS[number]}, feature)
