"""How long commands take that only look at files, beside a Python that does nothing.

    python benchmarks/startup.py [--repeats 15]

All commands take turns, so that what else the computer does weighs on all alike; figures are medians over the turns,
with files and byte code in the page cache. Seconds of processors suffer less from others at work. With --imports it
tells which modules take longest to import.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AIM = 0.5  # seconds
BARE = 'python -c pass'
RUN = """\
extend: base.yaml
model: {filters: 8}
data: {dataset: ., classes: 3}
train: {epochs: 3, learning_rate: 1e-3, patience: "${train.epochs}"}
output: run
"""
BASE = 'model: {type: unet, task: segmentation}\ntrain: {batch_size: 4}\n'
COMMANDS = (
    '--help',
    '--version',
    'train --help',
    'serve --help',
    'validate run.yaml',
    'show run.yaml',
    'manifest count .',
)
IMPORTS = 12  # modules that are told of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--repeats', type=int, default=15, help='turns that each command takes')
    parser.add_argument('--imports', action='store_true', help='tell which modules take longest to import')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix='quadrat-benchmark-') as name:
        folder = Path(name)
        (folder / 'quadrat').symlink_to(ROOT)
        (folder / 'run.yaml').write_text(RUN)
        (folder / 'base.yaml').write_text(BASE)
        (folder / 'empty.tfrecord').touch()
        commands = {BARE: ['-c', 'pass'], **{f'quadrat {text}': ['-m', 'quadrat', *text.split()] for text in COMMANDS}}
        show(take_turns(commands, folder, options.repeats))
        if options.imports:
            for text, arguments in commands.items():
                print(f'\n{text}: milliseconds, with what a module imports')
                for milliseconds, module in slowest(arguments, folder):
                    print(f'{milliseconds:8.1f}  {module}')


def take_turns(commands: dict[str, list[str]], folder: Path, repeats: int) -> dict[str, list[tuple[float, float]]]:
    """What each command took, `repeats` times; the first time, which also compiles, does not count."""
    seconds: dict[str, list[tuple[float, float]]] = {text: [] for text in commands}
    for turn in range(repeats + 1):
        for text, arguments in commands.items():
            wall, processors = clocks()
            run(arguments, folder)
            if turn:
                seconds[text].append((clocks()[0] - wall, clocks()[1] - processors))
    return seconds


def clocks() -> tuple[float, float]:
    """Seconds on the wall, and seconds that processors spent on processes started from here."""
    times = os.times()
    return time.perf_counter(), times.children_user + times.children_system


def run(arguments: list[str], folder: Path) -> str:
    """Do a command; returns what it said on the standard error."""
    environment = {**os.environ, 'PYTHONPATH': str(folder)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f'{" ".join(arguments)}: exit status {done.returncode}\n{done.stderr}')
    return done.stderr


def show(seconds: dict[str, list[tuple[float, float]]]) -> None:
    """Medians, and how many times the bare Python that is."""
    print(f'{"":28}seconds   processors   x {BARE}')
    for text, times in seconds.items():
        ratio = statistics.median(mine[0] / bare[0] for mine, bare in zip(times, seconds[BARE]))
        wall, processors = (statistics.median(column) for column in zip(*times))
        note = f'   aim {AIM} s' if text in ('quadrat --help', 'quadrat validate run.yaml') else ''
        print(f'  {text:26}{wall:7.3f}{processors:13.2f}{ratio:18.1f}{note}')


def slowest(arguments: list[str], folder: Path) -> list[tuple[float, str]]:
    """(milliseconds, module) of the imports that take longest, with all that they import."""
    lines = run(['-X', 'importtime', *arguments], folder)
    found = re.findall(r'^import time: +\d+ \| +(\d+) \| +(\S+)$', lines, re.MULTILINE)
    return sorted(((int(time) / 1000, module) for time, module in found), reverse=True)[:IMPORTS]


if __name__ == '__main__':
    main()
