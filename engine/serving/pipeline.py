"""Reading, computing and writing at the same time: reader threads -> queue -> model -> queue -> writer thread.

The model runs in the calling thread. Both queues are bounded, so memory does not depend on how many tiles there are,
and both keep the order, so the file comes out the same every time.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar('Item')
Input = TypeVar('Input')
Output = TypeVar('Output')

READERS = 2  # at most
AHEAD = 3  # items read, or being read, before the model asks for them
BEHIND = 2  # results of the model not written yet


def stream(
    items: Iterable[Item],
    read: Callable[[Item], Input],
    compute: Callable[[list[tuple[Item, Input]]], list[Output]],
    write: Callable[[Item, Output], None],
    *,
    wanted: Callable[[Item, Input], bool] = lambda item, value: True,
    batch: int = 1,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Read, compute and write every item.

    Args:
        items: what to do, in order.
        read: called in the reader threads, several at a time.
        compute: called in this thread with up to `batch` items and what was read of them; a result for each.
        write: called in the writer thread, one at a time, in order.
        wanted: called in this thread with an item and what was read of it: whether it is to be computed and written.
        progress: called in this thread with the number of items computed or left out, after each; it may raise to
            stop.

    Raises:
        Whatever any of them raises, once the calls that are running have ended; nothing further is begun.
    """
    with ThreadPoolExecutor(_readers(), 'read') as readers, ThreadPoolExecutor(1, 'write') as writer:
        reads: deque[tuple[Item, Future[Input]]] = deque()
        writes: deque[Future[None]] = deque()
        try:
            done = 0
            full: list[tuple[Item, Input]] = []
            for item, value in _ahead(items, read, readers, reads):
                if wanted(item, value):
                    full.append((item, value))
                else:
                    done += 1
                if len(full) == batch:
                    done += _compute(full, compute, write, writer, writes)
                progress(done)
            if full:
                done += _compute(full, compute, write, writer, writes)
                progress(done)
            while writes:
                writes.popleft().result()
        except BaseException:
            for _, waiting in reads:
                waiting.cancel()
            for pending in writes:
                pending.cancel()
            raise


def _readers() -> int:
    """How many threads read. On two processors a second one would keep the model waiting for one of them, and decode
    what the first has decoded already: blocks that lie in the windows of both."""
    return max(1, min(READERS, (os.cpu_count() or 1) - 1))


def _ahead(
    items: Iterable[Item],
    read: Callable[[Item], Input],
    readers: ThreadPoolExecutor,
    reads: deque[tuple[Item, Future[Input]]],
) -> Iterator[tuple[Item, Input]]:
    """The items with what was read of them, in order, while those that follow are read."""
    for item in items:
        reads.append((item, readers.submit(read, item)))
        if len(reads) == AHEAD:
            first, future = reads.popleft()
            yield first, future.result()
    while reads:
        first, future = reads.popleft()
        yield first, future.result()


def _compute(
    full: list[tuple[Item, Input]],
    compute: Callable[[list[tuple[Item, Input]]], list[Output]],
    write: Callable[[Item, Output], None],
    writer: ThreadPoolExecutor,
    writes: deque[Future[None]],
) -> int:
    """Compute a batch, hand it to the writer, and empty the list; returns how many items it held."""
    results = compute(full)
    for (item, _), result in zip(full, results):
        writes.append(writer.submit(write, item, result))
    count = len(full)
    full.clear()
    while writes and (len(writes) > BEHIND or writes[0].done()):
        writes.popleft().result()
    return count
