"""Jobs about the engine itself."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from .base import Job


@dataclasses.dataclass(frozen=True)
class CheckEngineJob(Job):
    """Import what the engine needs, run a small network, and tell versions and devices."""

    kind: ClassVar[str] = 'checkengine'
    tensorflow: ClassVar[bool] = True
