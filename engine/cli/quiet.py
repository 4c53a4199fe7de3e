"""TensorFlow without the lines that it writes to the terminal while it is loaded, whatever it is told."""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from types import ModuleType

from .streams import MESSAGES


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Within the block the first import of TensorFlow is silent; what it said is told only where it failed."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        finder.remove()


class _Finder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow where others find it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != 'tensorflow':
            return None
        self.remove()
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec

    def remove(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)


class _Loader(importlib.abc.Loader):
    """Loads a module as another loader does, with the standard error in a file."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        with tempfile.TemporaryFile() as said, contextlib.ExitStack() as stack:
            kept = os.dup(MESSAGES)
            stack.callback(os.close, kept)
            os.dup2(said.fileno(), MESSAGES)
            stack.callback(os.dup2, kept, MESSAGES)
            try:
                self._loader.exec_module(module)
            except BaseException:
                said.seek(0)
                os.write(kept, said.read())
                raise
