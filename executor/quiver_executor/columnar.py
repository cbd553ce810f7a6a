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
_WORTHWHILE = 1.5
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
        self._patience = _PATIENCE

    def takes(self, batch: Sequence[Any]) -> bool:
        """Take a batch, or decline it."""
        if self._patience == 0 or (len(batch) < kernels.FEW and not self._rows) or not kernels.ready(len(batch)):
            return False
        if self._count is not None:
            keys = column_of(batch)
            if keys is not None and kernels.can_group(keys):
                self.count(keys)
                return True
        else:
            columns = kernels.columns_of(batch)
            if columns is not None and kernels.can_combine(columns.keys, columns.values, self._how):
                self._add(columns)
                return True
        self._patience -= 1
        return False

    def count(self, keys: Column) -> None:
        """Take keys, each for (key, count)."""
        if self._keys and kernels.kind_of(self._keys[0]) != kernels.kind_of(keys):
            self._count_keys()
        self._keys.append(keys)
        self._uncounted += len(keys)
        if self._uncounted >= _COUNT:
            self._count_keys()

    def _count_keys(self) -> None:
        if self._keys:
            assert self._count is not None
            keys = kernels.concatenated(self._keys)
            self._keys, self._uncounted = [], 0
            self._add(kernels.counted(keys, self._count), len(keys))

    def _add(self, columns: Columns, records: int | None = None) -> None:
        if self._skip > 0:
            self._skip -= len(columns)
            self._out.add(columns)
            return
        if self._parts and not kernels.are_alike(self._parts[-1], columns):
            self.flush()
        self._parts.append(columns)
        self._rows += len(columns)
        if self._rows >= self._most_rows:
            self._combine()

    def _combine(self) -> None:
        whole = kernels.joined(self._parts)
        columns = kernels.combined(whole, self._how)
        if columns is None or len(whole) < len(columns) * _WORTHWHILE or columns.nbytes > self._most_bytes:
            if columns is None or columns.nbytes <= self._most_bytes:
                self._skip = _SKIPPED * _COMBINE
            self._parts, self._rows, self._most_rows = [], 0, _COMBINE
            self._out.add(whole if columns is None else columns)
            return
        self._parts, self._rows = [columns], len(columns)
        self._most_rows = max(_COMBINE, 2 * len(columns))

    def flush(self) -> None:
        """All combiners go to the writer, which is flushed too."""
        self._count_keys()
        if self._parts:
            whole = kernels.joined(self._parts)
            columns = kernels.combined(whole, self._how) if len(self._parts) > 1 or self._count is None else whole
            self._parts, self._rows, self._most_rows = [], 0, _COMBINE
            self._out.add(whole if columns is None else columns)
        self._out.flush()
