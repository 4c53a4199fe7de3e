"""Whose code a run may start: only that of folders that the caller trusts. Nothing is imported here."""

from __future__ import annotations

import os
from collections.abc import Sequence

_ADVICE = 'code is run only from folders that you trust: give --trust FOLDER (TRUSTED in QGIS)'


def distrust(architecture: str, folder: str, trusted: Sequence[str]) -> tuple[str, str] | None:
    """What stands against the user's own architecture.

    Args:
        architecture: ``module:Class``, or the name of one of ours.
        folder: absolute; empty: none is given.
        trusted: folders whose code may be run.

    Returns:
        Which key of the model is to blame, and why; None where it may be run.
    """
    own = ':' in architecture
    if own and not folder:
        return 'type', f'{architecture} is code of your own: name the folder that it is in with model.folder; {_ADVICE}'
    if not folder:
        return None
    if not _within(folder, trusted):
        return 'folder', f'{folder} is not trusted; {_ADVICE}'
    if not own:
        return None
    module, _, name = architecture.partition(':')
    parts = module.split('.')
    if not all(part.isidentifier() for part in [*parts, name]):
        return 'type', f'{architecture!r} is not of the form module:Class'
    path = os.path.join(folder, *parts)
    files = [file for file in (f'{path}.py', os.path.join(path, '__init__.py')) if os.path.isfile(file)]
    if not files:
        return 'type', f'there is no module {module} in {folder}'
    if not _within(files[0], trusted):
        return 'type', f'{files[0]} is a link to {os.path.realpath(files[0])}, which is not trusted; {_ADVICE}'
    return None


def _within(path: str, folders: Sequence[str]) -> bool:
    """Whether a path lies in one of the folders, wherever links lead."""
    real = os.path.realpath(path)
    for folder in map(os.path.realpath, filter(None, folders)):
        if real == folder or real.startswith(os.path.join(folder, '')):
            return True
    return False
