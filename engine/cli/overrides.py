"""``-p KEY VALUE`` and ``-p key=value`` as one."""

from __future__ import annotations

from collections.abc import Sequence

FLAGS = ('-p', '--param')


def join_overrides(arguments: Sequence[str]) -> list[str]:
    """Arguments of the command line in which each override is one argument, ``--param=key=value``.

    The words after ``-p`` are counted here: `argparse` would take the name of the run that follows, or the first of
    many files that the shell made of a pattern, for a value.

    >>> join_overrides(['-p', 'train.epochs', '3', 'toy', '-p', '~train.patience'])
    ['--param=train.epochs=3', 'toy', '--param=~train.patience']
    """
    out: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == '--':
            return [*out, argument, *rest]
        if argument not in FLAGS or not rest or _is_option(rest[0]):
            out.append(argument)
            continue
        key = rest.pop(0)
        if '=' in key or key.startswith('~') or not rest or _is_option(rest[0]):
            out.append(f'{FLAGS[1]}={key}')
        else:
            out.append(f'{FLAGS[1]}={key}={rest.pop(0)}')
    return out


def _is_option(argument: str) -> bool:
    """Whether it is an option rather than a value; ``-1`` and ``-.5`` are values."""
    return argument.startswith('-') and (argument[1:2].isalpha() or argument[1:2] == '-')
