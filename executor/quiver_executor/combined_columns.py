"""The reduce side of a combine or a grouping whose pairs come in columns."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

from quiver_executor import kernels
from quiver_executor.external import STATES, Groups, SpillFile, in_chunks, state_batches
from quiver_executor.kernels import How
from quiver_proto.columns import Columns, to_list

_COMBINE = 1 << 18
_OBJECTS = 1 << 16
"""Values that are made into objects at a time."""


class _ColumnGroups(Groups):
    """Batches of columns are held for as long as kernels can take what comes; from then on all is `plain`'s."""

    def __init__(self, plain: Groups) -> None:
        self._plain = plain
        self._parts: list[Columns] = []
        self._rows = 0
        self._bytes = 0
        self._is_plain = False

    def absorb(self, batch: Any) -> None:
        if self._is_plain or not isinstance(batch, Columns) or not self._can_take(batch):
            # From here on, so that values are merged in the order in which they come.
            self._give_up()
            self._plain.absorb(batch)
            return
        self._parts.append(batch)
        self._rows += len(batch)
        self._bytes += batch.nbytes

    @abstractmethod
    def _can_take(self, batch: Columns) -> bool:
        """Whether kernels can put it to what is held."""

    def _give_up(self) -> None:
        self._is_plain = True
        for part in self._take():
            self._hand_over(part)

    def _take(self) -> list[Columns]:
        parts, self._parts, self._rows, self._bytes = self._parts, [], 0, 0
        return parts

    @abstractmethod
    def _hand_over(self, part: Columns) -> None:
        """Let `plain` have it, before all that comes."""

    def absorb_states(self, batch: Any) -> None:
        self._give_up()
        self._plain.absorb_states(batch)

    def clear(self) -> None:
        self._plain.clear()
        self._is_plain = False
        self._take()

    def keys(self) -> int:
        return self._plain.keys() + self._rows


class CombinedColumns(_ColumnGroups):
    """key -> combiner: by kernels for as long as they can take what comes, then by `plain`."""

    def __init__(self, plain: Groups, how: How) -> None:
        super().__init__(plain)
        self._how: How = how
        self._most_rows = _COMBINE

    def absorb(self, batch: Any) -> None:
        super().absorb(batch)
        if self._rows >= self._most_rows:
            self._combine()

    def _can_take(self, batch: Columns) -> bool:
        if self._parts and not kernels.are_alike(self._parts[-1], batch):
            return False
        return kernels.can_combine(batch.keys, batch.values, self._how)

    def _hand_over(self, part: Columns) -> None:
        self._plain.absorb_states(part)

    def _combine(self) -> None:
        if not self._parts:
            return
        columns = kernels.combined(kernels.joined(self._parts), self._how) if kernels.ready(self._rows) else None
        if columns is None:
            self._give_up()
            return
        self._parts, self._rows, self._bytes = [columns], len(columns), columns.nbytes
        self._most_rows = max(_COMBINE, 2 * len(columns))

    def states(self) -> Iterator[list[Any]]:
        return in_chunks(self.finished(), STATES)

    def put_aside(self, spill: SpillFile) -> bool:
        return False

    def finished(self) -> Iterable[Any]:
        self._combine()
        return self._parts[0] if self._parts else self._plain.finished()

    def clear(self) -> None:
        super().clear()
        self._most_rows = _COMBINE

    def held(self, record_bytes: int) -> int:
        # Combining makes a table of the keys beside the columns.
        return self._plain.held(record_bytes) + 4 * self._bytes


class GroupedColumns(_ColumnGroups):
    """key -> list of values: by kernels for as long as they can take what comes, then by `plain`."""

    def _can_take(self, batch: Columns) -> bool:
        return kernels.can_group(batch.keys) and (not self._parts or kernels.are_alike(self._parts[-1], batch))

    def _hand_over(self, part: Columns) -> None:
        self._plain.absorb(part)

    def states(self) -> Iterator[list[Any]]:
        if not self._can_group():
            self._give_up()
        return state_batches(self._grouped()) if self._parts else self._plain.states()

    def put_aside(self, spill: SpillFile) -> bool:
        self._give_up()
        return self._plain.put_aside(spill)

    def finished(self) -> Iterable[Any]:
        if not self._can_group():
            self._give_up()
        return self._grouped() if self._parts else self._plain.finished()

    def _can_group(self) -> bool:
        return kernels.ready(self._rows)

    def _grouped(self) -> Iterator[tuple[Any, list[Any]]]:
        whole = kernels.joined(self._take())
        keys, counts, values = kernels.grouped(whole)
        del whole
        ends = list(accumulate(counts))
        start = first = 0
        while first < len(ends):
            # As objects, a part of the values at a time; whole groups.
            last = bisect_left(ends, start + _OBJECTS, first)
            last = min(last, len(ends) - 1)
            part = to_list(values[start : ends[last]])
            at = 0
            for key, count in zip(to_list(keys[first : last + 1]), counts[first : last + 1]):
                yield key, part[at : at + count]
                at += count
            start, first = ends[last], last + 1

    def held(self, record_bytes: int) -> int:
        # Grouping holds the columns twice, and the order; objects are there once.
        return self._plain.held(record_bytes) + 3 * self._bytes + (record_bytes * self._rows if self._has_objects() else 0)

    def _has_objects(self) -> bool:
        return bool(self._parts) and isinstance(self._parts[0].values, list)
