"""``quadrat validate``: whether a run can be done as it is described."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .console import Answer, Console
from .runfile import add_run_arguments, open_run

if TYPE_CHECKING:
    from .parser import Parser

EXAMPLES = """\
  quadrat validate land_cover.yaml
  quadrat validate land_cover.yaml -p train.epochs=50
"""


def add_arguments(parser: Parser) -> None:
    add_run_arguments(parser)


def do(options: argparse.Namespace, console: Console) -> Answer:
    run = open_run(options)
    return Answer({'FILE': run.file, 'OUTPUT': run.output}, f'{run.file}: ok')
