"""``quadrat toy``: ten samples, and a run that learns them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .console import Answer, Console

if TYPE_CHECKING:
    from .parser import Parser

EXAMPLES = """\
  quadrat toy
  quadrat toy /tmp/toy --device cpu
"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument('folder', metavar='FOLDER', nargs='?', default='toy', help='where it is made (default toy)')
    parser.add_argument('--restart', action='store_true', help='train anew, whatever an earlier run left')


def do(options: argparse.Namespace, console: Console) -> Answer:
    from ..experiments.toy import make_toy
    from .runfile import do_run, open_file

    return do_run(open_file(make_toy(options.folder), options.device), options, console)
