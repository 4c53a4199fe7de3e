"""The arguments of the command line."""

from __future__ import annotations

import argparse
import difflib
import importlib
from collections.abc import Sequence
from typing import Any, NoReturn

from .overrides import FLAGS, join_overrides

COMMANDS = {
    'train': 'do the run, or the sweep of runs, that a file describes, or go on with it',
    'show': 'print a run with all its settings, and where each came from',
    'validate': 'check the description of a run and name all its faults',
    'serve': 'map with a model',
    'evaluate': 'judge a model by a dataset, or by a reference on the ground',
    'manifest': 'list, check or count files of samples',
    'run': 'do a job, or do again what the record beside an output tells',
    'toy': 'make ten samples and train on them: whether everything is installed',
}
LEVELS = {'DEBUG': 10, 'INFO': 20, 'WARNING': 30, 'ERROR': 40, 'CRITICAL': 50}
_EXAMPLES = """\
  quadrat toy
  quadrat train land_cover.yaml -p train.epochs=50 -p data.dataset=patches -o runs/first
  quadrat serve runs/first/best image.tif map.tif --polygons map.gpkg
  quadrat COMMAND --help
"""


class Answered(Exception):
    """The arguments ask for a text and nothing else; it is the exception's."""


class UsageError(Exception):
    """Arguments that cannot be understood; the text is one line."""


class Parser(argparse.ArgumentParser):
    """A parser that raises instead of printing and ending the process."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f'{message} (see {self.prog} --help)')

    def print_help(self, file: object = None) -> NoReturn:
        raise Answered(self.format_help())


class _Version(argparse.Action):
    """``--version``."""

    def __call__(self, *call: Any) -> NoReturn:
        package = importlib.import_module(__package__.partition('.engine.')[0])
        raise Answered(f'quadrat {package.__version__}')


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """What the arguments ask for: its `name`, its options, and `do`, the function of the command.

    Raises:
        Answered: they ask for help, or for the version.
        UsageError: they cannot be understood.
    """
    top = Parser(prog='quadrat', description='Deep networks on map patches.', epilog=f'examples:\n{_EXAMPLES}')
    top.add_argument('--version', action=_Version, nargs=0, help='print the version and exit')
    _add_global(top, json=False, device=None, log_level='INFO')
    commands = top.add_subparsers(dest='name', required=True, metavar='COMMAND', title='commands')
    for name, summary in COMMANDS.items():
        parser = commands.add_parser(name, help=summary, description=sentence(summary))
        if name in arguments:  # the others are not imported
            module = importlib.import_module(f'.{name}', __package__)
            parser.set_defaults(do=module.do)
            module.add_arguments(parser)
            finish(parser, module.EXAMPLES)
    options, unknown = top.parse_known_args(join_overrides(arguments))
    if unknown:
        raise UsageError(_unknown(unknown, options))
    return options


def finish(parser: Parser, examples: str) -> None:
    """Add to a command what all of them have."""
    _add_global(parser)
    parser.epilog = f'examples:\n{examples}'
    parser.set_defaults(leaf=parser)


def sentence(summary: str) -> str:
    """The summary of a command as its description."""
    return f'{summary[0].upper()}{summary[1:]}.'


def _add_global(parser: Parser, **defaults: Any) -> None:
    """Add the options that may stand before and after the command.

    Args:
        defaults: by name. Without them an option sets nothing where it is not given, so that what stood before the
            command counts.
    """

    def default(name: str) -> Any:
        return defaults.get(name, argparse.SUPPRESS)

    group = parser.add_argument_group('options of all commands')
    group.add_argument(
        '-l', '--log-level', choices=LEVELS, type=str.upper, default=default('log_level'),
        metavar='LEVEL', help=f'what is told in a terminal: {", ".join(LEVELS)} (default INFO)',
    )  # fmt: skip
    group.add_argument(
        '--json', action='store_true', default=default('json'),
        help='say everything as JSON, one line an event; the last one is of type result or error',
    )  # fmt: skip
    group.add_argument(
        '--device', type=_device, default=default('device'), metavar='DEVICE',
        help='auto, cpu, or GPUs by number, as in gpu:0 or gpu:0,1; one that is missing is an error (default auto)',
    )  # fmt: skip


def _device(text: str) -> str:
    """The name of a device."""
    from ..device import parse_device
    from ..errors import InvalidJob

    try:
        parse_device(text)
    except InvalidJob as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _unknown(unknown: Sequence[str], options: argparse.Namespace) -> str:
    """What to say about arguments that nobody knows."""
    leaf: Parser = options.leaf
    text = f'unknown: {" ".join(unknown)}'
    option = next((argument.partition('=')[0] for argument in unknown if argument.startswith('-')), '')
    near = difflib.get_close_matches(option, leaf._option_string_actions, 1, 0.75)
    if near:
        text += f'; did you mean {near[0]}?'
    elif not option and 'param' in options and options.param:
        text += (
            f"; {FLAGS[0]} takes key=value or KEY VALUE, and a pattern of files stands in quotes: -p KEY '*.tfrecord'"
        )
    return f'{text} (see {leaf.prog} --help)'
