"""Records of cached partitions as objects, in the slot that made or last decoded them: reading them costs nothing.

Only records that no task can change are kept: made of exact built-in immutable types and tuples of them. Other tasks get these very
objects, so a list or an object of a user's class would carry what one task did to it into the next; such records are decoded afresh.
"""

from __future__ import annotations

import datetime
import decimal
from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from quiver_executor.memory import average_footprint

_ATOMS = frozenset((
    type(None), bool, int, float, complex, str, bytes, decimal.Decimal, datetime.date, datetime.timedelta
))  # fmt: skip
_WITH_TUPLES = _ATOMS | {tuple}
_DEPTH = 4

Key = tuple[int, int]
"""Dataset, partition."""


def is_immutable(values: Iterable[Any], depth: int = _DEPTH) -> bool:
    """Are all of them, and all that they contain, of types whose values can't be changed?"""
    held = values if isinstance(values, list | tuple) else list(values)
    types = set(map(type, held))
    if types <= _ATOMS:
        return True
    if depth == 0 or not types <= _WITH_TUPLES:
        return False
    tuples = held if types == {tuple} else [value for value in held if type(value) is tuple]
    return is_immutable(list(chain.from_iterable(tuples)), depth - 1)


class LiveObjects:
    """Partitions as lists of records, least recently used first. At most `limit` bytes, estimated.

    `claim(bytes)` asks whether so many may be held in all; it is told of every change.
    """

    def __init__(self, limit: int, claim: Callable[[int], bool]) -> None:
        self.limit = limit
        self._claim = claim
        self._held: OrderedDict[Key, tuple[list[Any], int]] = OrderedDict()
        self.bytes = 0

    def get(self, key: Key) -> list[Any] | None:
        found = self._held.get(key)
        if found is None:
            return None
        self._held.move_to_end(key)
        return found[0]

    def put(self, key: Key, records: list[Any], size: int) -> bool:
        """Keep these records, which take about `size` bytes, in place of others of other datasets; False: they are not kept."""
        if key in self._held:
            return True
        over = self.bytes + size - self.limit
        others = [one for one in self._held if one[0] != key[0]] if over > 0 else []
        dropped: list[Key] = []
        for one in others:
            if over <= 0:
                break
            dropped.append(one)
            over -= self._held[one][1]
        if over > 0:
            return False
        total = self.bytes + size - sum(self._held[one][1] for one in dropped)
        if not self._claim(total):
            return False
        for one in dropped:
            del self._held[one]
        self._held[key] = records, size
        self.bytes = total
        return True

    def drop(self, dataset: int) -> None:
        """Forget a dataset's partitions."""
        for key in [key for key in self._held if key[0] == dataset]:
            self.bytes -= self._held.pop(key)[1]
        self._claim(self.bytes)

    def clear(self) -> None:
        if self._held:
            self._held.clear()
            self.bytes = 0
            self._claim(0)


class Collecting:
    """Records on their way past, kept for a LiveObjects as long as they are immutable and few enough."""

    def __init__(self, live: LiveObjects) -> None:
        self._live = live
        self._records: list[Any] | None = [] if live.limit else None
        self._size = 0

    def add(self, batch: list[Any]) -> None:
        if self._records is None:
            return
        self._size += (average_footprint(batch) + 8) * len(batch)
        if self._size > self._live.limit or not is_immutable(batch):
            self._records = None
        else:
            self._records += batch

    def keep(self, key: Key) -> bool:
        """All records have come. Are they kept?"""
        records, self._records = self._records, None
        return records is not None and self._live.put(key, records, self._size)
