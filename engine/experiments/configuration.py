"""A run as a file describes it: read, checked and ready to be done."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ConfigurationError
from ..jobs import Job
from .origins import DEFAULT, Origin
from .paths import Path
from .reading import read_run
from .sweepspec import SweepSpec
from .tree import Tree, load_tree
from .tryouts import SweepReader


@dataclasses.dataclass(frozen=True)
class Configuration:
    """A checked run.

    Attributes:
        file: absolute path of its description.
        tree: what the file says, with the files it extends and the overrides.
        values: all settings with their types, with defaults where the tree says nothing, by section. Paths are
            absolute; classes of a CSV table are a list.
        job: what is to be done, with absolute paths; its output is ``''``.
        output: the run folder, absolute; ``''`` where none is given.
        keep_best: how many of the best packages are kept.
        sweep: which runs instead of the one; None for one run.
        moved: settings that were given elsewhere, such as the batch size with a feeder -> where.
    """

    file: str
    tree: Tree
    values: dict[str, Any]
    job: Job
    output: str = ''
    keep_best: int = 1
    sweep: SweepSpec | None = None
    moved: Mapping[Path, Path] = dataclasses.field(default_factory=dict)

    def origin(self, path: Sequence[str | int]) -> Origin:
        """Where the value at a path, such as ``('train', 'epochs')``, was given; `origins.DEFAULT` where nowhere."""
        path = tuple(path)
        path = self.moved.get(path, path)
        if path in self.tree.origins:
            return self.tree.origins[path]
        for length in range(len(path) - 1, 0, -1):
            if path[:length] in self.tree.origins:
                # Within a mapping it was left out; anything else stands for all that is made of it.
                within = isinstance(_at(self.tree.values, path[:length]), dict)
                return DEFAULT if within else self.tree.origins[path[:length]]
        return DEFAULT


def open_configuration(
    file: str, overrides: Sequence[str] = (), *, trusted: Sequence[str] = (), output: str = ''
) -> Configuration:
    """The run that a file describes, checked.

    Args:
        file: YAML.
        overrides: ``key=value``, ``+key=value`` or ``~key``, in this order.
        trusted: folders whose code may be run, for architectures of the user's own.
        output: run folder in place of the one that the file names; relative to the current folder.

    Raises:
        InputMissing: there is no such file.
        ConfigurationError: with all faults, each with file and line.
    """
    tree = load_tree(file, overrides)
    if output:
        tree = _into(output, tree)
    reading = read_run(tree, trusted)
    sweep = SweepReader(tree, reading, trusted)
    spec = sweep.spec()
    faults = (*tree.faults, *map(str, reading.faults), *map(str, sweep.faults))
    if faults or reading.job is None:
        raise ConfigurationError(dict.fromkeys(faults))
    values = dict(reading.values)
    if spec:
        values['sweep'] = {
            **values['sweep'],
            'parameters': {name: _plain(value) for name, value in spec.parameters.items()},
        }
    return Configuration(
        tree.file,
        tree,
        values,
        reading.job,
        values['output']['folder'],
        values['output']['keep_best'],
        spec,
        reading.moved,
    )


def _into(folder: str, tree: Tree) -> Tree:
    """A tree whose output is a folder, whatever it says itself."""
    said = tree.values.get('output')
    kept = said if isinstance(said, dict) else {}
    origin = Origin('', 0, f'output.folder={folder}')
    values = {**tree.values, 'output': {**kept, 'folder': os.path.abspath(folder)}}
    origins = {('output',): origin, **tree.origins, ('output', 'folder'): origin}
    return dataclasses.replace(tree, values=values, origins=origins)


def _at(values: Any, path: Path) -> Any:
    """A value of the tree."""
    for key in path:
        values = values[key]
    return values


def _plain(value: Any) -> Any:
    return value if isinstance(value, list) else dataclasses.asdict(value)
