"""Run configurations by name."""

from __future__ import annotations

import difflib
import os

from ..errors import InputMissing
from .origins import shown

SUFFIXES = ('.yaml', '.yml')
_PRESETS = os.path.join(os.path.dirname(__file__), '..', '..', 'resources', 'presets')


def find_configuration(name: str, variants_dir: str = '') -> str:
    """The file of a run configuration.

    Args:
        name: path of a file; else a name, of ``<name>.yaml`` or ``.yml`` in the folder of variants, or of a preset.
        variants_dir: the folder of variants; by default ``variants`` in the current folder, or that itself.

    Raises:
        InputMissing: there is none of that name; it tells those that there are, the nearest first.
    """
    if os.path.isfile(name):
        return name
    if variants_dir and not os.path.isdir(variants_dir):
        raise InputMissing(f'{variants_dir}: no such folder.')
    variants = variants_dir or ('variants' if os.path.isdir('variants') else os.curdir)
    presets = os.path.normpath(_PRESETS)
    for folder in (variants, presets):
        for suffix in ('', *SUFFIXES):
            path = os.path.join(folder, name + suffix)
            if name and os.path.isfile(path):
                return os.path.normpath(path)
    known = sorted({*_names(variants), *_names(presets)}, key=lambda other: -_likeness(name, other))
    listed = f'; known are {", ".join(known[:20])}' if known else ''
    raise InputMissing(f'{name}: no file, no preset, and no {name}.yaml in {shown(os.path.abspath(variants))}{listed}.')


def _names(folder: str) -> list[str]:
    """The run configurations in a folder."""
    found = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [os.path.splitext(name)[0] for name in found if name.endswith(SUFFIXES)]


def _likeness(first: str, second: str) -> float:
    return difflib.SequenceMatcher(None, first.lower(), second.lower()).ratio()
