"""Jobs about the engine itself."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from .base import TensorFlowJob


@dataclasses.dataclass(frozen=True)
class CheckEngineJob(TensorFlowJob):
    """Import what the engine needs, run a small network, and tell versions and devices."""

    kind: ClassVar[str] = 'checkengine'
