"""Paths that a run names: absolute ones, and whether they exist (nothing is opened)."""

from __future__ import annotations

import glob
import os
import re

from ..datasets.filepatterns import matching_files
from .kinds import EITHER, FILE, FOLDER, GDAL, PATTERN, PREFIX, WRITTEN

# /vsizip/…, GPKG:…, https://…; a drive of Windows has one letter. And XML or JSON in place of a name.
_NO_PATH = re.compile(r'/vsi\w+/|[A-Za-z][A-Za-z0-9_+.-]+:|\s*[<{]')
_NOUNS = {FILE: 'file', FOLDER: 'folder', EITHER: 'file or folder', GDAL: 'file', PATTERN: 'file', PREFIX: 'checkpoint'}


def is_path(text: str, place: str) -> bool:
    """Whether text is a path, rather than another name that GDAL opens."""
    return place != GDAL or not _NO_PATH.match(text)


def absolute(text: str, folder: str) -> str:
    """A path as one from the root on; relative ones start from `folder`."""
    return os.path.normpath(os.path.join(folder, os.path.expanduser(text)))


def problem(path: str, place: str) -> str:
    """What is wrong with a path that is read, in words; empty where nothing is.

    Args:
        path: absolute.
        place: one of the kinds of places.
    """
    if place == WRITTEN:
        return ''
    if place == PATTERN:
        return '' if os.path.exists(path) or matching_files(path)[0] else f'no file is called {path}'
    if place == PREFIX:
        return '' if glob.glob(glob.escape(path) + '.*') else f'no checkpoint begins with {path}'
    if not os.path.exists(path):
        return f'no such {_NOUNS[place]}: {path}'
    if place == FOLDER and not os.path.isdir(path):
        return f'{path} is a file, and a folder is wanted'
    if place == FILE and not os.path.isfile(path):
        return f'{path} is a folder, and a file is wanted'
    return ''
