"""``_tfrecord_metadata.json``: what a folder says of the TFRecords in it.

::

    {"version": 1, "files": {"<file name>": {"total_records": 10, "file_size": 350, "md5_hash": "<32 hex digits>"}}}

The file is plain data. It is replaced as a whole, and what is not understood in it is never thrown away silently.

Source: Deephub's format of this name, version 1.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from ..errors import DatasetError, write_error
from .files import LISTING, is_name
from .recordscan import Scan

VERSION = 1
_FIELDS = ('total_records', 'file_size', 'md5_hash')
_LONGEST = 60  # characters of a value that a message shows
_HASH = re.compile(r'[0-9a-fA-F]{32}$')


@dataclasses.dataclass(frozen=True)
class Listing:
    """What was read of a folder's metadata.

    Attributes:
        path: of the file.
        entries: file name -> what is said of it.
        faults: file name -> what is wrong with its entry; under the empty name what is wrong with all.
        document: everything, as it stands in the file.
        exists: whether there is such a file.
    """

    path: str
    entries: dict[str, Scan] = dataclasses.field(default_factory=dict)
    faults: dict[str, str] = dataclasses.field(default_factory=dict)
    document: dict[str, Any] = dataclasses.field(default_factory=dict)
    exists: bool = True

    @property
    def broken(self) -> str:
        """What is wrong with the file as a whole, if anything."""
        return self.faults.get('', '')


def read_listing(folder: str) -> Listing:
    """The metadata of a folder. What is wrong with them stands in the result; nothing is raised."""
    path = os.path.join(folder, LISTING)
    if not os.path.lexists(path):
        return Listing(path, exists=False)
    try:
        with open(path, encoding='utf-8-sig') as file:
            document = json.load(file, object_pairs_hook=_once)
    except (OSError, ValueError, RecursionError) as error:
        return Listing(path, faults={'': f'cannot be read ({error}).'})
    if not isinstance(document, dict):
        return Listing(path, faults={'': 'should be a JSON object with the keys "version" and "files".'})
    version, files = document.get('version'), document.get('files', {})
    if version != VERSION or isinstance(version, bool):
        text = f'version {_shown(version)} is not known; this Quadrat reads version {VERSION}.'
        return Listing(path, faults={'': text})
    if not isinstance(files, dict):
        return Listing(path, faults={'': '"files" should be an object with an entry for each file.'})
    strange = next((name for name in files if not is_name(name)), None)
    if strange is not None:
        text = f'the entry {_shown(strange)} should have the name of a file in the same folder.'
        return Listing(path, faults={'': text})
    faults = {name: fault for name, entry in files.items() if (fault := _fault(entry))}
    entries = {
        name: Scan(entry['total_records'], entry['file_size'], entry['md5_hash'].lower())
        for name, entry in files.items()
        if name not in faults
    }
    return Listing(path, entries, faults, document)


def change_listing(folder: str, changes: Mapping[str, Optional[Scan]], replace: bool) -> str:
    """Change entries of a folder's metadata, which are made where there are none. Other entries stay as they are, also
    those that another process has added meanwhile.

    Args:
        changes: file name -> its entry; None removes it.
        replace: metadata with faults are replaced; a copy is kept.

    Returns:
        The path of the copy; empty where there is none.

    Raises:
        DatasetError: the metadata have faults and may not be replaced.
        OutputRefused, DiskFull: they cannot be written.
    """
    try:
        with _alone(folder):
            listing = read_listing(folder)
            if listing.broken and not replace:
                raise DatasetError(f'{listing.path}: {listing.broken}')
            copy = _keep(listing.path) if listing.faults and replace else ''
            files = dict(listing.document.get('files', {}))
            for name, entry in changes.items():
                if entry is None:
                    files.pop(name, None)
                else:
                    files[name] = {**_extra(files.get(name)), **dict(zip(_FIELDS, entry))}
            document = {**listing.document, 'version': VERSION, 'files': files}
            if not listing.exists or document != listing.document:
                _write(listing.path, json.dumps(document, indent=4))
    except OSError as error:
        raise write_error(os.path.join(folder, LISTING), error) from error
    return copy


def is_listing(name: str) -> bool:
    """Whether a file is the metadata, a copy of them, or left from writing them."""
    return name.startswith(LISTING)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object in which no key occurs twice."""
    out = dict(pairs)
    if len(out) != len(pairs):
        repeated = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise ValueError(f'{_shown(repeated)} stands in it twice')
    return out


def _fault(entry: Any) -> str:
    """What is wrong with an entry; empty where nothing is."""
    if not isinstance(entry, dict):
        return f'its entry should be an object with {", ".join(_FIELDS)}.'
    for field in _FIELDS[:2]:
        value = entry.get(field)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            return f'its entry has the {field} {_shown(value)}; a whole number from 0 on is needed.'
    if not isinstance(entry.get('md5_hash'), str) or not _HASH.match(entry['md5_hash']):
        return f'its entry has the md5_hash {_shown(entry.get("md5_hash"))}; 32 hexadecimal digits are needed.'
    return ''


def _shown(value: Any) -> str:
    """A value for a message."""
    text = json.dumps(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + '…'


def _extra(entry: Any) -> dict[str, Any]:
    """What others have added to an entry."""
    return {key: value for key, value in entry.items() if key not in _FIELDS} if isinstance(entry, dict) else {}


def _keep(path: str) -> str:
    """Copy a file beside itself, under a name that is free."""
    number = 1
    while os.path.lexists(f'{path}.{number}.bak'):
        number += 1
    copy = f'{path}.{number}.bak'
    with open(path, 'rb') as old, open(copy, 'xb') as new:
        new.write(old.read())
    return copy


def _write(path: str, text: str) -> None:
    """Write a file, whole or not at all."""
    part = f'{path}.{os.getpid()}-{threading.get_ident()}.part'
    try:
        with open(part, 'w', encoding='utf-8') as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)


@contextlib.contextmanager
def _alone(folder: str) -> Iterator[None]:
    """No other process changes the metadata of a folder meanwhile, where the system can lock a folder."""
    if os.name != 'posix':
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network drives know no locks; changes are merged all the same
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
