"""``quadrat train``: the run that a file describes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .console import Answer, Console
from .runfile import add_run_arguments, do_run, open_run

if TYPE_CHECKING:
    from .parser import Parser

EXAMPLES = """\
  quadrat train land_cover.yaml
  quadrat train land_cover.yaml -p train.epochs=50 -p train.learning_rate 1e-3 -o runs/slow
  quadrat train land_cover -d configurations -p '+train.freeze=[encoder.*]' -p '~train.patience'
  quadrat train land_cover.yaml --warm-start runs/first/best --warm-start-vars 'encoder' --device gpu:0
The same command again goes on where an interrupted run was.
"""


def add_arguments(parser: Parser) -> None:
    add_run_arguments(parser)
    parser.add_argument('--restart', action='store_true', help='forget what an earlier run left in the folder')


def do(options: argparse.Namespace, console: Console) -> Answer:
    return do_run(open_run(options), options, console)
