"""Going on with a map that an earlier run began, where it is the same map."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

from ..errors import EngineError
from ..events import Reporter
from ..gdalio import open_raster
from ..jobs import ServeJob
from ..maps.journal import Entry, read_journal
from ..maps.part import PartFolder
from ..records import fingerprint, versions
from .outputs import journal_path
from .plan import TilePlan

_FREE = ('resume', 'sieve', 'connectivity', 'cog', 'overviews', 'polygons')  # which change nothing in the tiles


def state_of(job: ServeJob, plan: TilePlan, runtime: str) -> dict[str, Any]:
    """All that the pixels of a map depend on, as plain values."""
    settings = {key: value for key, value in job.to_dict().items() if key not in _FREE}
    state = {
        'quadrat': 'map',
        'job': settings,
        'inputs': {path: fingerprint(path) for path in job.inputs()},
        'software': {'quadrat': versions()['quadrat'], 'runtime': runtime},
        'plan': dataclasses.asdict(plan),
    }
    return json.loads(json.dumps(state))


def take_up(
    parts: dict[str, PartFolder], state: dict[str, Any], resume: bool, reporter: Reporter
) -> dict[int, Entry] | None:
    """What an earlier run did of the same map; None, with the folders cleared, where there is nothing to go on with.

    Args:
        parts: the places by name, entered already.
        state: from `state_of`.
        resume: whether to go on with anything at all.
    """
    entries = read_journal(journal_path(parts))
    old = [part.state() or {} for part in parts.values()]
    reason = next((_difference(found, state) for found in old if found != state), '') or _unreadable(parts)
    if resume and entries and not reason:
        for part in parts.values():
            part.keep = True
        return entries
    if resume and entries:
        reporter.warn(f'An earlier run made {len(entries)} tiles of this map, but {reason}: starting over.')
    for part in parts.values():
        part.begin(state)
    return None


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    """What changed from one state to another, for people."""
    before, now = old.get('inputs', {}), new['inputs']
    changed = [path for path in now if path in before and before[path] != now[path]]
    if changed:
        return f'{changed[0]} changed since'
    settings = [key for key in new['job'] if old.get('job', {}).get(key) != new['job'][key]]
    if settings:
        return f'with other settings ({", ".join(settings)})'
    return 'with another version of Quadrat or of its libraries, or another tile plan'


def _unreadable(parts: dict[str, PartFolder]) -> str:
    """Why the files of an earlier run cannot be gone on with; empty where they can."""
    for part in parts.values():
        try:
            if not os.path.isfile(part.file):
                return f'its file {part.file} is gone'
            open_raster(part.file)
        except EngineError:
            return f'its file {part.file} cannot be read'
    return ''
