"""Windows: which rows an aggregate or window function sees."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

from quiver.sql.literals import column_of
from quiver.sql.tree import expressions as e

_FAR = 1 << 63


def _columns(cols: tuple[Any, ...]) -> tuple[e.Expression, ...]:
    return tuple(map(column_of, cols[0] if len(cols) == 1 and isinstance(cols[0], list) else cols))


def _bound(value: int) -> int | None:
    return None if value <= -_FAR + 1 or value >= _FAR - 1 or abs(value) >= sys.maxsize else value


class WindowSpec:
    """Partitioning, order and frame of a window. Made by Window."""

    def __init__(self, spec: e.WindowSpec) -> None:
        self._spec = spec

    def partitionBy(self, *cols: Any) -> WindowSpec:
        """Rows of equal columns are seen together."""
        return WindowSpec(e.WindowSpec(_columns(cols), self._spec.order_by, self._spec.frame))

    def orderBy(self, *cols: Any) -> WindowSpec:
        """In this order; without a frame, from the first row to the current one and its equals."""
        keys = tuple(key if isinstance(key, e.SortKey) else e.SortKey(key) for key in _columns(cols))
        return WindowSpec(e.WindowSpec(self._spec.partition_by, keys, self._spec.frame))

    def rowsBetween(self, start: int, end: int) -> WindowSpec:
        """Rows from `start` to `end`, counted from the current one (negative: before)."""
        return WindowSpec(e.WindowSpec(self._spec.partition_by, self._spec.order_by, e.Frame("rows", _bound(start), _bound(end))))

    def rangeBetween(self, start: int, end: int) -> WindowSpec:
        """Rows whose order value is from `start` to `end` away from the current one's."""
        return WindowSpec(e.WindowSpec(self._spec.partition_by, self._spec.order_by, e.Frame("range", _bound(start), _bound(end))))


class Window:
    """Where windows begin: `Window.partitionBy("dept").orderBy("salary")`."""

    unboundedPreceding: ClassVar[int] = -(1 << 63)
    unboundedFollowing: ClassVar[int] = (1 << 63) - 1
    currentRow: ClassVar[int] = 0

    @staticmethod
    def partitionBy(*cols: Any) -> WindowSpec:
        return WindowSpec(e.WindowSpec()).partitionBy(*cols)

    @staticmethod
    def orderBy(*cols: Any) -> WindowSpec:
        return WindowSpec(e.WindowSpec()).orderBy(*cols)

    @staticmethod
    def rowsBetween(start: int, end: int) -> WindowSpec:
        return WindowSpec(e.WindowSpec()).rowsBetween(start, end)

    @staticmethod
    def rangeBetween(start: int, end: int) -> WindowSpec:
        return WindowSpec(e.WindowSpec()).rangeBetween(start, end)
