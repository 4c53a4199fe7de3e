"""A run with all its settings, and where each came from."""

from __future__ import annotations

from typing import Any

from ..records import versions
from .configuration import Configuration
from .origins import shown
from .paths import Path
from .reducing import mapped, shortened
from .schema import run_record
from .writing import one_line, text_of


def resolved_text(configuration: Configuration) -> str:
    """YAML of all settings of a run, which `open_configuration` reads as the same run; a comment on each line says
    where its value came from, such as ``# base.yaml:12``, ``# -p train.epochs=3`` or ``# default``."""

    def comment(path: Path, value: Any) -> str:
        origins = [configuration.origin(place) for place in _places(path, value)]
        return ', '.join(dict.fromkeys(map(str, origins)))

    name = one_line(shown(configuration.file))
    head = f'# {name} with all its settings, as Quadrat {versions()["quadrat"]} reads it\n'
    values = mapped(run_record(configuration.values), configuration.values, shortened)
    return f'{head}\n{text_of(values, comment)}'


def _places(path: Path, value: Any) -> list[Path]:
    """The paths of all single values in what stands on one line."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [place for key, item in children for place in _places((*path, key), item)]
    return found or [path]
