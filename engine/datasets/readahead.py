"""Reading by threads what comes next while something is in use."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Part = TypeVar('Part')
Found = TypeVar('Found')


def read_ahead(
    read: Callable[[Part], Found], parts: Iterable[Part], ahead: int, threads: int = 1, name: str = 'samples'
) -> Iterator[Found]:
    """What `read` gives for each part, in their order.

    Args:
        read: is called by threads.
        parts: may be endless.
        ahead: how many are read before they are asked for.
        threads: that read.
        name: of the threads.
    """
    with ThreadPoolExecutor(threads, name) as pool:
        pending: deque[Future[Found]] = deque()
        try:
            for part in parts:
                pending.append(pool.submit(read, part))
                if len(pending) > ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
