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
        found = named(name, folder)
        if found:
            return os.path.normpath(found)
    known = sorted({*_names(variants), *_names(presets)}, key=lambda other: -_likeness(name, other))
    listed = f'; known are {", ".join(known[:20])}' if known else ''
    if os.path.isdir(name):
        raise InputMissing(f'{name}: this is a folder; give the file of a run{listed}.')
    where = shown(os.path.abspath(variants))
    if name.endswith(SUFFIXES):
        raise InputMissing(f'{name}: no such file{"" if variants == os.curdir else f", nor in {where}"}{listed}.')
    raise InputMissing(f'{name or repr(name)}: no file, no preset, and no {name}.yaml in {where}{listed}.')


def find_preset(name: str) -> str:
    """The file of a preset; empty if there is none of that name."""
    found = named(name, _PRESETS) if name == os.path.basename(name) else ''
    return found and os.path.normpath(found)


def named(name: str, folder: str) -> str:
    """The file of a name, with or without its suffix, in a folder; empty if there is none."""
    paths = [os.path.join(folder, name + suffix) for suffix in ('', *SUFFIXES)]
    return next((path for path in paths if name and os.path.isfile(path)), '')


def _names(folder: str) -> list[str]:
    """The run configurations in a folder."""
    found = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [os.path.splitext(name)[0] for name in found if name.endswith(SUFFIXES)]


def _likeness(first: str, second: str) -> float:
    return difflib.SequenceMatcher(None, first.lower(), second.lower()).ratio()
