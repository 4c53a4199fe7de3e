"""``quadrat run``: a job from a file."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from .console import Answer, Console

if TYPE_CHECKING:
    from .parser import Parser

EXAMPLES = """\
  quadrat run job.json
  quadrat run map.tif.json           the map again, from the record beside it
  quadrat run map.tif.json --device cpu
"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument('job', metavar='JOB.json', help='a job, or the record <output>.json of an earlier run')


def do(options: argparse.Namespace, console: Console) -> Answer:
    from .. import records
    from .work import do_job

    job, folder = records.load(options.job)
    if os.path.isdir(folder):
        os.chdir(folder)
    return Answer(do_job(job, console, options.device))
