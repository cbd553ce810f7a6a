"""How much a task holds, and when that is too much."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from sys import getsizeof
from typing import Any

_PAGE = os.sysconf("SC_PAGE_SIZE")
_SAMPLE = 8
_DEPTH = 3
_NOISE = 16 << 20
"""Growth of the process smaller than this says nothing about a task."""


def footprint(value: Any, depth: int = _DEPTH) -> int:
    """About how many bytes of memory `value` takes, from samples of what it contains."""
    size = getsizeof(value, 64)
    if depth == 0:
        return size
    if isinstance(value, tuple | list | set | frozenset):
        if value:
            some = [footprint(item, depth - 1) for item in islice(value, _SAMPLE)]
            size += sum(some) * len(value) // len(some)
    elif isinstance(value, dict):
        if value:
            some = [footprint(key, depth - 1) + footprint(item, depth - 1) for key, item in islice(value.items(), _SAMPLE)]
            size += sum(some) * len(value) // len(some)
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        size += footprint(vars(value), depth - 1)
    return size


def average_footprint(batch: Sequence[Any]) -> int:
    """Of a record in `batch`, from a few of them."""
    if not batch:
        return 0
    sample = batch[:: max(1, len(batch) // _SAMPLE)]
    return sum(map(footprint, sample)) // len(sample)


BATCH = 8192
FIRST_BATCH = 128
_BATCH_BYTES = 4 << 20


def batches_of(records: Iterator[Any]) -> Iterator[list[Any]]:
    """Lists of up to BATCH records, fewer when records are large; the first has FIRST_BATCH, as little is known of them yet."""
    batch = list(islice(records, 1))
    size = _fitting(batch, FIRST_BATCH)
    if batch:
        batch += islice(records, size - 1)
    while batch:
        yield batch
        if len(batch) < size:
            return  # Asked again, a map that a StopIteration stopped would go on.
        size = _fitting(batch, BATCH)
        batch = list(islice(records, size))


def _fitting(batch: Sequence[Any], most: int) -> int:
    """How many records like these make a batch."""
    return max(1, min(most, _BATCH_BYTES // max(1, average_footprint(batch))))


def large_batches_of(records: Iterator[Any]) -> Iterator[list[Any]]:
    """As `batches_of`, with the first batch and the second in one, so that few records don't go another way than the many."""
    batches = batches_of(records)
    first = next(batches, None)
    if first is None:
        return
    first += next(batches, ())
    yield first
    yield from batches


class MemoryWatch:
    """Says when to spill: what the task says it holds has passed half of the slot's memory, or the process comes near to all of it.

    A process that is large already, from users' objects or from what an allocator keeps, may still grow by an eighth of that half before
    each spill, so that a task gets on.
    """

    def __init__(self, memory_bytes: int) -> None:
        self.limit = max(1, memory_bytes // 2)
        self._most = memory_bytes - memory_bytes // 8
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._ceiling = self._next_ceiling()

    def is_over(self, held: int) -> bool:
        """`held`: bytes that the caller estimates to hold."""
        return held > self.limit or self._rss() > self._ceiling

    def spilled(self) -> None:
        """To be called when what was held is on disk."""
        give_back()
        self._ceiling = self._next_ceiling()

    def _next_ceiling(self) -> int:
        resident = self._rss()
        return resident + max(_NOISE, self.limit // 8, min(self.limit, self._most - resident))

    def close(self) -> None:
        if self._statm >= 0:
            os.close(self._statm)
            self._statm = -1

    def _rss(self) -> int:
        """Of this process alone: without mapped files, such as cached blocks in shared memory, which are not the task's."""
        _, resident, shared, *_ = os.pread(self._statm, 128, 0).split()
        return (int(resident) - int(shared)) * _PAGE


def give_back() -> None:
    """Pages that allocators keep go back to the system, if they let them go."""
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].default_memory_pool().release_unused()
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def _trim() -> Any:
    import ctypes

    return getattr(ctypes.CDLL(None), "malloc_trim", None)  # Of glibc only.
