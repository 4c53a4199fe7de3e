"""``quadrat show``: a run with all its settings."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .console import Answer, Console
from .runfile import add_run_arguments, open_run

if TYPE_CHECKING:
    from .parser import Parser

EXAMPLES = """\
  quadrat show land_cover.yaml
  quadrat show land_cover.yaml -p train.epochs=50 > resolved.yaml        a file that can be run as well
"""


def add_arguments(parser: Parser) -> None:
    add_run_arguments(parser)


def do(options: argparse.Namespace, console: Console) -> Answer:
    from ..experiments.showing import resolved_text

    run = open_run(options)
    text = resolved_text(run.configuration)
    return Answer({'FILE': run.file, 'OUTPUT': run.output, 'CONFIGURATION': text}, text)
