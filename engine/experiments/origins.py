"""Where a value of a run configuration comes from."""

from __future__ import annotations

import dataclasses
import os


@dataclasses.dataclass(frozen=True)
class Origin:
    """The place where somebody said a value.

    Attributes:
        file: absolute path of the file; empty for an override or a default.
        line: counted from 1.
        text: the override, such as ``train.epochs=3``; empty otherwise.
        source: where a text that a reference brought here was written; None where it stands here itself.
    """

    file: str
    line: int
    text: str = ''
    source: Origin | None = None

    @property
    def folder(self) -> str:
        """The absolute folder that relative paths start from: the file's, or the current one for an override."""
        if self.source is not None:
            return self.source.folder
        return os.path.dirname(self.file) if self.file else os.getcwd()

    def __str__(self) -> str:
        if self.text:
            return f'-p {self.text}'
        return f'{shown(self.file)}:{self.line}' if self.file else 'default'


DEFAULT = Origin('', 0)


def shown(path: str) -> str:
    """A path as people read it: relative to the current folder where that is shorter."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive
        return path
    return relative if len(relative) < len(path) else path
