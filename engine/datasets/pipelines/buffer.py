"""A list with a length it may not exceed."""

from __future__ import annotations

from typing import Any


class Buffer:
    """Holds up to `max_length` things.

    Attributes:
        container: the list of them.
    """

    def __init__(self, max_length: int) -> None:
        self.max_length = max_length
        self.container: list[Any] = []

    def size(self) -> int:
        """How many there are now."""
        return len(self.container)

    def add(self, x: Any) -> None:
        """Add one; `OverflowError` where there is no room."""
        if self.is_complete():
            raise OverflowError(f'the buffer holds {self.max_length} already')
        self.container.append(x)

    def is_complete(self) -> bool:
        """Whether there is no room left."""
        return self.size() >= self.max_length
