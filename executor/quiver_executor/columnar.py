"""The map side of a shuffle for pairs of built-in types: batches become columns, kernels combine and divide them.

Whatever has other types is declined, batch by batch, and takes the way of Python objects. Pairs stay in order: what was taken before a
declined batch is written before it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from quiver_executor import kernels
from quiver_executor.kernels import How
from quiver_executor.memory import average_footprint
from quiver_proto.columns import Column, Columns, column_of, dump

_ROWS_PER_FRAME = 1024
_LEAST, _MOST = 1 << 16, 1 << 19
"""Pairs held before they are divided: enough for frames of some length, few enough for the processor's caches."""
_PATIENCE = 4
"""After declining so many full batches, a task looks at no more of them."""
_COMBINE = 1 << 18
"""Pairs that are combined at a time."""
_COUNT = 1 << 17
RESIDENT = 1 << 17
"""Keys that are combined at a time in Python: more of them would leave the processor's caches."""
WORTHWHILE = 1.5
"""Pairs per key from which combining on the map side saves more than it costs."""
_SKIPPED = 8
"""After it did not, this many times _COMBINE pairs pass uncombined until it is tried again."""

Places = Callable[[Column], Any]
"""The reduce partition of each key, as an array; None for keys that kernels can't place."""


class Frames(Protocol):
    """Where divided pairs go (shuffle_write.Buckets)."""

    def add_frame(self, partition: int, frame: bytes, records: int) -> None: ...

    def add_objects(self, pairs: list[tuple[Any, Any]]) -> None: ...


class ColumnWriter:
    """Columns of pairs on their way to reduce partitions."""

    def __init__(self, out: Frames, places: Places, width: int, memory_bytes: int) -> None:
        self._out = out
        self._places = places
        self._width = width
        self._parts: list[Columns] = []
        self._rows = 0
        self._bytes = 0
        self._most_rows = max(_LEAST, min(_MOST, _ROWS_PER_FRAME * width))
        self._most_bytes = max(1 << 20, memory_bytes // 8)
        self._patience = _PATIENCE

    def takes(self, batch: Sequence[Any]) -> bool:
        """Take a batch of pairs, or decline it."""
        if len(batch) < kernels.FEW and not self._rows:
            return False
        if self._patience == 0 or not kernels.ready(len(batch)):
            return False
        columns = kernels.columns_of(batch)
        if columns is None or kernels.kind_of(columns.keys) not in kernels.PLACED:
            self._patience -= 1
            self.flush()
            return False
        self.add(columns)
        return True

    def add(self, columns: Columns) -> None:
        """Pairs whose keys are of a kind in kernels.PLACED."""
        if self._parts and not kernels.are_alike(self._parts[-1], columns):
            self.flush()
        self._parts.append(columns)
        self._rows += len(columns)
        self._bytes += columns.nbytes
        if isinstance(columns.values, list):
            self._bytes += average_footprint(columns.values) * len(columns)
        if self._rows >= self._most_rows or self._bytes > self._most_bytes:
            self.flush()

    def flush(self) -> None:
        """Nothing is held afterwards."""
        if not self._rows:
            return
        columns = kernels.joined(self._parts)
        self._parts, self._rows, self._bytes = [], 0, 0
        places = self._places(columns.keys)
        if places is None:
            self._out.add_objects(columns.pairs())
            return
        for partition, part in kernels.divided(columns, places, self._width):
            try:
                frame = dump(part)
            except (pickle.PicklingError, TypeError, AttributeError):
                self._out.add_objects(part.pairs())  # Which finds out which pair it is.
                continue
            self._out.add_frame(partition, frame, len(part))


class ColumnCombiner:
    """Combines pairs on the map side by a kernel, a limited number of keys at a time: the reduce side merges what is written twice.

    With `count`, batches are no pairs but the keys themselves, each standing for (key, count).

    The first batch that it declines is the last that it is asked for: the caller takes back what is `left` then, and goes on from there,
    so that values are merged in the order in which they come. Sums of floats show it; they are all made at once or not at all.
    """

    def __init__(self, out: ColumnWriter, how: How, count: int | None, memory_bytes: int) -> None:
        self._out = out
        self._how: How = how
        self._count = count
        self._parts: list[Columns] = []
        self._rows = 0
        self._most_rows = _COMBINE
        self._most_bytes = max(1 << 20, memory_bytes // 8)
        self._keys: list[Column] = []
        self._uncounted = 0
        self._skip = 0

    def takes(self, batch: Sequence[Any]) -> bool:
        """Take a batch, or decline it."""
        if len(batch) < kernels.FEW and not self._rows and not self._uncounted:
            return False
        if not kernels.ready(len(batch)):
            return False
        if self._count is not None:
            keys = column_of(batch)
            return keys is not None and self.count(keys)
        if not kernels.may_combine(batch[0], self._how):
            return False
        columns = kernels.columns_of(batch)
        return columns is not None and kernels.can_combine(columns.keys, columns.values, self._how) and self._add(columns)

    def count(self, keys: Column) -> bool:
        """Take keys, each for (key, count), or decline them."""
        # Keys of another kind than those counted before are declined at once: what was taken could not be handed back later.
        held = self._keys[0] if self._keys else self._parts[-1].keys if self._parts else None
        if not kernels.can_group(keys) or (held is not None and kernels.kind_of(held) != kernels.kind_of(keys)):
            return False
        self._keys.append(keys)
        self._uncounted += len(keys)
        if self._uncounted >= _COUNT:
            return self._add(self._counted())
        return True

    def _counted(self) -> Columns:
        assert self._count is not None
        keys = kernels.concatenated(self._keys)
        self._keys, self._uncounted = [], 0
        return kernels.counted(keys, self._count)

    def _add(self, columns: Columns) -> bool:
        if self._parts and not kernels.are_alike(self._parts[-1], columns):
            return False
        if kernels.is_inexact(columns) and (self._skip or self._rows + len(columns) > RESIDENT):
            return False
        if self._skip > 0:
            self._skip -= len(columns)
            self._out.add(columns)
            return True
        self._parts.append(columns)
        self._rows += len(columns)
        if self._rows >= self._most_rows and not kernels.is_inexact(columns):
            self._combine()
        return True

    def _combine(self) -> None:
        whole = kernels.joined(self._parts)
        columns = kernels.combined(whole, self._how)
        if columns is None or len(whole) < len(columns) * WORTHWHILE or columns.nbytes > self._most_bytes:
            if columns is None or columns.nbytes <= self._most_bytes:
                self._skip = _SKIPPED * _COMBINE
            self._parts, self._rows, self._most_rows = [], 0, _COMBINE
            self._out.add(whole if columns is None else columns)
            return
        self._parts, self._rows = [columns], len(columns)
        self._most_rows = max(_COMBINE, 2 * len(columns))

    def left(self) -> list[Columns]:
        """Pairs that are held, in order; they are not any more. Mostly combined, but a key may be there more than once."""
        if self._keys:
            self._parts.append(self._counted())
        parts, self._parts, self._rows = self._parts, [], 0
        return parts

    def finish(self) -> list[Columns]:
        """All combiners go to the writer, but for what has to be merged in another way: that is returned."""
        if parts := self.left():
            alike = all(kernels.are_alike(parts[0], part) for part in parts)
            columns = kernels.combined(kernels.joined(parts), self._how) if alike else None
            if columns is None:
                return parts
            self._out.add(columns)
        return []
