"""Jobs about runs that a file describes."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Dict, Tuple

from .base import TensorFlowJob


@dataclasses.dataclass(frozen=True)
class RunExperimentJob(TensorFlowJob):
    """Do the run, or the sweep of runs, that a YAML file describes.

    Attributes:
        file: the description.
        output: the run folder; empty: the one that the file names.
        overrides: ``key=value``, ``+key=value`` or ``~key``, in this order.
        trusted: folders whose code may be run, for architectures of the user's own.
        restart: forget what an earlier run left in the folder.
    """

    kind: ClassVar[str] = 'runexperiment'
    file: str
    output: str
    overrides: Tuple[str, ...] = ()
    trusted: Tuple[str, ...] = ()
    restart: bool = False

    def inputs(self) -> Tuple[str, ...]:
        return (self.file,)

    def outputs(self) -> Dict[str, str]:
        return {'OUTPUT': self.output}


@dataclasses.dataclass(frozen=True)
class SelfTestJob(TensorFlowJob):
    """Train and serve a small network, to see that everything is installed.

    Attributes:
        output: folder for what it makes.
    """

    kind: ClassVar[str] = 'selftest'
    output: str

    def outputs(self) -> Dict[str, str]:
        return {'OUTPUT': self.output}
