"""Runs a function of single values over Arrow columns, as the kernel calls it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiver_proto.spark_functions import growth

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class ByRow:
    """`function` of each row's values, where equal rows in a row are computed once.

    `output` is the result's Arrow schema of one field, serialised. `nulls`: the function wants nulls too; else one null makes the result
    null. `volatile`: called for every row, for results that differ.
    """

    function: Callable[..., Any]
    output: bytes
    nulls: bool = False
    volatile: bool = False

    def __call__(self, *columns: pa.Array) -> pa.Array:
        import pyarrow as pa

        kind = pa.ipc.read_schema(pa.py_buffer(self.output)).field(0).type
        try:
            return pa.array(self._values(list(zip(*(map(_plain, columns)), strict=True))), kind)
        except (MemoryError, pa.ArrowCapacityError):
            raise growth.no_room(self.function.__name__, growth.MOST + 1) from None

    def _values(self, rows: list[tuple[Any, ...]]) -> list[Any]:
        function, nulls = self.function, self.nulls
        result: list[Any] = []
        last: tuple[Any, ...] | None = None
        value: Any = None
        batch = growth.Batch(function.__name__)
        for row in rows:
            if self.volatile or last is None or row != last:
                value = None if not nulls and None in row else function(*row)
                last = row
            if isinstance(value, str | list | bytes):
                batch.add(value)
            result.append(value)
        return result


def _plain(column: pa.Array) -> list[Any]:
    # Maps come as lists of pairs, which is what functions of maps take.
    values: list[Any] = column.to_pylist()
    return values
