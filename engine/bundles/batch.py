"""Items for a bundle: a table with a row for each and a column for each input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import InvalidJob


class Batch:
    """Items that are given to a model together.

    >>> batch = Batch(['image', 'labels'])
    >>> batch.append({'image': pixels, 'labels': 1})  # doctest: +SKIP

    Args:
        keys: names of the columns.
        items: rows to begin with.
    """

    def __init__(self, keys: Sequence[str], items: Iterable[Mapping[str, Any]] = ()) -> None:
        self.keys = tuple(keys)
        self._items: list[dict[str, Any]] = []
        self.extend(items)

    def append(self, item: Mapping[str, Any]) -> None:
        """Add a row; `InvalidJob` where it has not just the keys of the batch."""
        if set(item) != set(self.keys):
            raise InvalidJob(f'An item of {", ".join(map(str, item))}; the batch is of {", ".join(self.keys)}.')
        self._items.append(dict(item))

    def extend(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Add rows."""
        for item in items:
            self.append(item)

    def column(self, key: str) -> list[Any]:
        """The values of all rows for a key."""
        return [item[key] for item in self._items]

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return dict(self._items[row])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter([dict(item) for item in self._items])
