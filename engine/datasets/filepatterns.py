"""Patterns of file names, told by people, and the files that they mean."""

from __future__ import annotations

import dataclasses
import fnmatch
import glob
import os
import re
from collections.abc import Iterable, Sequence

from ..errors import InvalidJob

_MAGIC = re.compile(r'[*?\[]')


@dataclasses.dataclass(frozen=True)
class Place:
    """What a pattern means in one folder.

    Attributes:
        folder: absolute.
        names: a pattern of file names; or one name, where `exact`.
        exact: the file was named by itself.
        whole: the folder was named, and not its files.
    """

    folder: str
    names: str
    exact: bool = False
    whole: bool = False

    def chosen(self, names: Iterable[str]) -> list[str]:
        """Those of some file names that are meant; hidden files only where the pattern says so."""
        if self.exact:
            return [name for name in names if name == self.names]
        found = fnmatch.filter(names, self.names)
        return found if self.names.startswith('.') else [name for name in found if not name.startswith('.')]


def places_of(pattern: str) -> list[Place]:
    """The folders in which a pattern means files, by name.

    Args:
        pattern: the path of a file or a folder, or one with ``*``, ``?``, ``[…]`` and ``**`` (folders of any depth).
    """
    path = os.path.abspath(os.path.expanduser(pattern))
    if os.path.isdir(path):
        return [Place(path, '*', whole=True)]
    head, tail = os.path.split(path)
    if os.path.lexists(path) or not _MAGIC.search(path):
        return [Place(head, tail, exact=True)]
    if tail == '**':
        head, tail = path, '*'
    folders = glob.glob(head, recursive=True) if _MAGIC.search(head) else [head]
    plain = not _MAGIC.search(tail)
    return [Place(folder.rstrip(os.sep), tail, exact=plain) for folder in sorted(folders) if os.path.isdir(folder)]


def matching_files(patterns: str | Sequence[str]) -> tuple[list[str], list[str]]:
    """The files that patterns mean, and the patterns that mean none.

    Args:
        patterns: one or several, see `places_of`.

    Returns:
        Absolute paths by folder and name, each once; and patterns.

    Raises:
        InvalidJob: no pattern.
    """
    found: set[tuple[str, str]] = set()
    lost = []
    for pattern in listed(patterns):
        here = {(place.folder, name) for place in places_of(pattern) for name in place.chosen(files_in(place.folder))}
        if not here:
            lost.append(pattern)
        found |= here
    return [os.path.join(*place) for place in sorted(found)], lost


def folder_of(pattern: str, name: str) -> str:
    """The folder, where a pattern is the path of the file of this name in it; else the pattern as it is."""
    head, tail = os.path.split(pattern)
    return (head or os.curdir) if tail == name else pattern


def listed(patterns: str | Sequence[str]) -> list[str]:
    """Patterns as a list, each once.

    Raises:
        InvalidJob: there is none.
    """
    several = [patterns] if isinstance(patterns, (str, os.PathLike)) else list(patterns)
    found = list(dict.fromkeys(map(os.fspath, several)))
    if not found or not all(found):
        raise InvalidJob('No file named; give a file, a folder, or a pattern such as "folder/train-*".')
    return found


def files_in(folder: str) -> list[str]:
    """The names of the files in a folder, sorted; none where there is no such folder."""
    if not os.path.isdir(folder):
        return []
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_file())
