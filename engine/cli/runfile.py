"""What commands about the description of a run have in common."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import Cancelled
from ..jobs import RunExperimentJob, TrainJob
from .console import Answer, Console
from .overrides import FLAGS

if TYPE_CHECKING:
    from ..experiments.configuration import Configuration
    from .parser import Parser

TRUSTED = 'QUADRAT_TRUSTED'  # folders whose code may be run, separated as in PATH
RUNS = 'runs'  # folder for runs whose description does not say where


@dataclasses.dataclass(frozen=True)
class Run:
    """A run as the command line names it.

    Attributes:
        file: its description.
        overrides: what is changed in it.
        trusted: folders whose code may be run.
        configuration: the checked description.
    """

    file: str
    overrides: tuple[str, ...]
    trusted: tuple[str, ...]
    configuration: Configuration

    @property
    def output(self) -> str:
        """The run folder, absolute."""
        name = os.path.splitext(os.path.basename(self.file))[0]
        return self.configuration.output or os.path.abspath(os.path.join(RUNS, name))

    @property
    def sets_device(self) -> bool:
        """Whether the device is one of its settings."""
        return self.configuration.job.kind == TrainJob.kind


def add_run_arguments(parser: Parser) -> None:
    """Add which run, and what is changed in it."""
    parser.add_argument(
        'run', metavar='NAME|FILE', help='the file that describes the run, the name of one, or that of a preset'
    )
    parser.add_argument(
        *FLAGS, action='append', default=[], metavar='KEY=VALUE',
        help='change a setting: key=value or KEY VALUE; +key=[…] and ~key=[…] add to a list and take from it, ~key '
        'removes a key; values are typed as in the file; repeatable, from left to right',
    )  # fmt: skip
    parser.add_argument(
        '-d', '--variants-dir', default='', metavar='FOLDER',
        help='where the file of a name lies (default: variants, or the current folder)',
    )  # fmt: skip
    parser.add_argument(
        '-o', '--output', default='', metavar='FOLDER',
        help=f'the run folder (default: as the file says, or {RUNS}/NAME)',
    )  # fmt: skip
    parser.add_argument(
        '--trust', action='append', default=[], metavar='FOLDER',
        help=f'code of networks in this folder may be run; repeatable; also {TRUSTED}',
    )  # fmt: skip
    parser.add_argument('--warm-start', metavar='PATH', help='package whose weights the network begins with')
    parser.add_argument(
        '--warm-start-vars', action='append', metavar='REGEX',
        help='only layers whose name begins with a match; repeatable',
    )  # fmt: skip


def open_run(options: argparse.Namespace) -> Run:
    """The run that the arguments name, checked.

    Raises:
        InputMissing: there is no such file.
        ConfigurationError: with all its faults.
    """
    from ..experiments.finding import find_configuration

    file = find_configuration(options.run, options.variants_dir)
    trusted = (*filter(None, os.environ.get(TRUSTED, '').split(os.pathsep)), *options.trust)
    return open_file(file, options.device, _overrides(options), trusted, options.output)


def open_file(
    file: str, device: str | None, overrides: Sequence[str] = (), trusted: Sequence[str] = (), output: str = ''
) -> Run:
    """The run that a file describes, checked.

    Args:
        device: what it should compute with; None: as the file says.
        overrides, trusted, output: as of `open_configuration`.
    """
    from ..experiments.configuration import open_configuration

    def opened(*changes: str) -> Run:
        return Run(file, changes, tuple(trusted), open_configuration(file, changes, trusted=trusted, output=output))

    run = opened(*overrides)
    return opened(*overrides, f'train.device={device}') if device and run.sets_device else run


def do_run(run: Run, options: argparse.Namespace, console: Console) -> Answer:
    """Do a run."""
    from .work import do_job

    job = RunExperimentJob(run.file, run.output, run.overrides, run.trusted, options.restart)
    try:
        return Answer(do_job(job, console, None if run.sets_device else options.device))
    except Cancelled:
        text = f'Interrupted. What was done is kept in {run.output}; the same command goes on from there.'
        raise Cancelled(text) from None


def _overrides(options: argparse.Namespace) -> list[str]:
    """All changes; those with options of their own come last."""
    out = list(options.param)
    if options.warm_start is not None:
        out.append(f'train.warm_start={_quoted(options.warm_start)}')
    if options.warm_start_vars is not None:
        out.append(f'train.warm_start_include={_quoted(options.warm_start_vars)}')
    return out


def _quoted(value: Any) -> str:
    """A text, or a list of them, as YAML has it, which nothing is taken for a number in."""
    return json.dumps(value, ensure_ascii=False)
