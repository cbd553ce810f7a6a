"""Sorting a reduce partition: by kernels where the keys are columns of one type, else as Python sorts; in runs on disk beyond memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from operator import itemgetter
from typing import Any

from quiver_executor import kernels
from quiver_executor.external import Piece, SpillFile, in_chunks
from quiver_executor.memory import MemoryWatch, average_footprint
from quiver_executor.task import Task
from quiver_proto import columns as codec
from quiver_proto import comparing
from quiver_proto.columns import Columns
from quiver_proto.frames import dump_records

Key = Callable[[Any], Any]
Run = list[Piece]

_OUT = 4096
"""Records in a batch of sorted output."""
_RUN_BYTES = 256 << 10
_RUN_RECORDS = 8192
by_key: Key = itemgetter(0)


def sort(task: Task, batches: Iterable[list[Any] | Columns], key: Key, reverse: bool) -> Iterator[list[Any]]:
    """All pairs in order of `key(pair)`, stable, in batches. `key` is `by_key` when pairs are ordered by their keys as they are.

    Beyond the slot's memory, sorted runs go to disk and are merged.
    """
    held = _Held(key, reverse)
    watch: MemoryWatch | None = None
    spill: SpillFile | None = None
    runs: list[Run] = []
    for batch in batches:
        held.add(batch)
        if watch is None:
            watch = MemoryWatch(task.env.memory_bytes)
            task.closers.append(watch)
        if watch.is_over(held.bytes):
            spill = spill or SpillFile(task)
            runs.append(held.written(spill))
            held = _Held(key, reverse)
            watch.spilled()
    if spill is None:
        return held.sorted()
    runs.append(held.written(spill))
    return merged([spill.batches(run) for run in runs], key, reverse)


class _Held:
    """Pairs in memory, as lists and columns in the order in which they came."""

    def __init__(self, key: Key, reverse: bool) -> None:
        self._key = key
        self._reverse = reverse
        self._batches: list[list[Any] | Columns] = []
        self._record_bytes = 0
        self._records = 0
        self.bytes = 0
        """About how many the pairs take, sorting them included."""

    def add(self, batch: list[Any] | Columns) -> None:
        if isinstance(batch, Columns):
            # Sorting holds the columns twice and their order; objects are there once.
            self.bytes += 3 * batch.nbytes + 8 * len(batch)
            if isinstance(batch.values, list):
                self.bytes += self._measured(batch.values) * len(batch)
        else:
            self.bytes += self._measured(batch) * len(batch)
        self._records += len(batch)
        self._batches.append(batch)

    def _measured(self, batch: list[Any]) -> int:
        if len(self._batches) % 16 == 0:
            self._record_bytes = max(self._record_bytes, average_footprint(batch) + 8)
        return self._record_bytes

    def sorted(self) -> Iterator[list[Any]]:
        """In order, in batches. Frees what is held."""
        columns = self._as_columns()
        if columns is not None:
            return (part.pairs() for part in _in_order(columns, self._reverse, _OUT))
        return in_chunks(self._sorted_records(), _OUT)

    def written(self, spill: SpillFile) -> Run:
        """A sorted run on disk. Frees what is held."""
        size = min(_RUN_RECORDS, max(1, _RUN_BYTES * self._records // max(1, self.bytes)))
        columns = self._as_columns()
        if columns is not None:
            return [spill.append(codec.dump(_narrowed(part))) for part in _in_order(columns, self._reverse, size)]
        return [spill.append(dump_records(chunk)) for chunk in in_chunks(self._sorted_records(), size)]

    def _as_columns(self) -> Columns | None:
        """All pairs, if kernels can sort them; they are not held here any more then."""
        first = next((batch for batch in self._batches if isinstance(batch, Columns)), None)
        if first is None or self._key is not by_key or not kernels.ready(self._records):
            return None
        parts = []
        for batch in self._batches:
            columns = batch if isinstance(batch, Columns) else kernels.columns_of(batch)
            if columns is None or not kernels.are_alike(first, columns):
                return None
            parts.append(columns)
        whole = kernels.joined(parts)
        if not kernels.is_ordered(whole.keys):
            return None
        self._batches = []
        return whole

    def _sorted_records(self) -> list[Any]:
        batches, self._batches = self._batches, []
        records = list(chain.from_iterable(batches))
        try:
            records.sort(key=self._key, reverse=self._reverse)
        except TypeError as error:
            raise comparing.told(error) from error
        return records


def _in_order(columns: Columns, reverse: bool, size: int) -> Iterator[Columns]:
    order = kernels.order_of(columns.keys, reverse)
    keys, values = kernels.taken(columns.keys, order), columns.values
    if not isinstance(values, list):
        values = kernels.taken(values, order)
    for start in range(0, len(keys), size):
        stop = start + size
        part = kernels.taken(values, order[start:stop]) if isinstance(values, list) else values[start:stop]
        yield Columns(keys[start:stop], part)


def _narrowed(columns: Columns) -> Columns:
    return Columns(kernels.narrowed(columns.keys), kernels.narrowed(columns.values))


def merged(runs: list[Iterator[list[Any]]], key: Key, reverse: bool) -> Iterator[list[Any]]:
    """The records of sorted runs in order, in batches; equal ones in the order of the runs. Holds one batch of each run.

    In each round, whatever is known to come before the batch that ends first is sorted at once, which Python does fast, as it consists
    of a few sorted pieces.
    """
    heads: list[list[Any]] = [[] for _ in runs]
    while True:
        for number, head in enumerate(heads):
            if not head:
                heads[number] = next(runs[number], [])
        living = [number for number, head in enumerate(heads) if head]
        if not living:
            return
        first = _first_to_end(living, heads, key, reverse)
        bound = key(heads[first][-1])
        ready: list[Any] = []
        for number in living:
            head = heads[number]
            # Of what equals the bound, later runs have to wait: the run that ends may go on with it.
            count = len(head) if number == first else _before(head, bound, key, reverse, or_equal=number < first)
            ready += head[:count]
            del head[:count]
        ready.sort(key=key, reverse=reverse)
        yield ready


def _first_to_end(living: list[int], heads: list[list[Any]], key: Key, reverse: bool) -> int:
    first = living[0]
    for number in living[1:]:
        one, other = key(heads[number][-1]), key(heads[first][-1])
        if (other < one) if reverse else (one < other):
            first = number
    return first


def _before(head: list[Any], bound: Any, key: Key, reverse: bool, or_equal: bool) -> int:
    """How many of a sorted list come before `bound`, or are equal to it."""
    low, high = 0, len(head)
    while low < high:
        middle = (low + high) // 2
        value = key(head[middle])
        is_after = (value < bound) if reverse else (bound < value)
        if not is_after if or_equal else (bound < value) if reverse else (value < bound):
            low = middle + 1
        else:
            high = middle
    return low
