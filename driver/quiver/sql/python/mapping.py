"""What runs in slots for mapInPandas, applyInPandas and the like: functions over the Arrow batches of a partition."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiver.broadcast import note_referred
from quiver.sql import types as t
from quiver.sql.arrow_types import arrow_schema, nullable
from quiver.sql.errors import PythonException
from quiver.sql.python import faults
from quiver.sql.python.values import Misfit, columns_of_frame, frame_of, series_of
from quiver_proto.errors import GroupOutOfMemory
from quiver_proto.ops import Function
from quiver_proto.spark_functions.growth import allowed

if TYPE_CHECKING:
    import pyarrow as pa

_PROCESS = 160 << 20
"""Bytes of a process that has loaded the kernel and pandas."""
_LEAST = 384 << 20
"""A task's process may be as large as this, whatever its share of its executor's memory is."""


class Sealed:
    """A sealed function inside another: pickled again it is its bytes, and opens as the function itself."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.__name__ = function.name

    def __reduce__(self) -> tuple[Callable[[bytes], Any], tuple[bytes]]:
        note_referred(self.function.broadcasts)
        return _opened, (self.function.pickled,)

    def __call__(self, *args: Any) -> Any:
        raise AssertionError("a sealed function is called where it was opened")


def _opened(pickled: bytes) -> Any:
    return pickle.loads(pickled)


@dataclass(frozen=True, slots=True)
class MapBatches:
    """mapInPandas and mapInArrow: `function` of an iterator of a partition's batches. `rows`: of a batch at most."""

    function: Any
    name: str
    is_pandas: bool
    takes: t.StructType
    gives: t.StructType
    zone: str
    rows: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        parts = _sized(batches, self.rows)
        given: Iterator[Any] = (frame_of(batch, self.takes, self.zone) for batch in parts) if self.is_pandas else parts
        try:
            results = self.function(faults.Safe(given))
        except faults.Below as below:
            raise below.error from None
        except faults.RAISED as error:
            raise faults.raised(self.name, error) from error
        yield from _results(results, self.name, self.is_pandas, self.gives, self.zone)


@dataclass(frozen=True, slots=True)
class MapGroups:
    """applyInPandas and applyInArrow, over batches whose rows come group by group, the last column numbering them within each from 1 on.

    `keys` are the places of the key columns, `sides` those of the columns of each side. Of two sides (cogroup), the column before the last
    tells the side of a row. `as_iterator`: the function takes an iterator of a group's batches, and gives one.
    """

    function: Any
    name: str
    is_pandas: bool
    keys: tuple[int, ...]
    sides: tuple[tuple[int, ...], ...]
    takes: t.StructType
    gives: t.StructType
    zone: str
    rows: int
    as_iterator: bool
    with_key: bool

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for group in _groups(batches, self._check):
            table = pa.Table.from_batches(group)
            key = self._key(table)
            sides = [self._side(table, places, number) for number, places in enumerate(self.sides)]
            try:
                result = self.function(*([key] if self.with_key else []), *sides)
                if self.as_iterator:
                    yield from _results(result, self.name, self.is_pandas, self.gives, self.zone)
                    continue
            except PythonException:
                raise
            except faults.RAISED as error:
                raise faults.raised(self.name, error, f"key {faults.shown([None] * len(key), key)}") from error
            yield from batches_of(result, self.name, self.is_pandas, self.gives, self.zone)

    def _check(self, held: list[pa.RecordBatch], size: int) -> None:
        """Raises GroupOutOfMemory where the rows of a group, `size` bytes so far, can't all be given to the function: as they came, and put
        together, they are there twice."""
        limit = max(allowed() or 0, _LEAST)
        if allowed() is not None and not self.as_iterator and 2 * size + _PROCESS > limit:
            key = [held[0].column(place)[0].as_py() for place in self.keys]
            raise GroupOutOfMemory(self.name, faults.shown([None] * len(key), key), size, limit)

    def _key(self, table: pa.Table) -> tuple[Any, ...]:
        first = table.slice(0, 1)
        if not self.is_pandas:
            return tuple(first.column(place)[0] for place in self.keys)
        return tuple(series_of(first.column(place), self.takes[place].dataType, self.zone).iloc[0] for place in self.keys)

    def _side(self, table: pa.Table, places: Sequence[int], number: int) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        if len(self.sides) > 1:
            table = table.filter(pc.call_function("equal", [table.column(table.num_columns - 2), pa.scalar(number)]))
        schema = t.StructType([self.takes[place] for place in places])
        rows = table.select(list(places)).rename_columns(schema.names)
        if not self.as_iterator:
            return frame_of(rows.combine_chunks(), schema, self.zone) if self.is_pandas else rows.combine_chunks()
        parts = _sized(iter(rows.to_batches()), self.rows)
        return (frame_of(part, schema, self.zone) for part in parts) if self.is_pandas else parts


def takes_key(function: Callable[..., Any], sides: int) -> bool:
    """Whether a group's function wants the key before its rows. Raises ValueError for another number of parameters."""
    count = len(inspect.getfullargspec(function).args) - inspect.ismethod(function)
    if count not in (sides, sides + 1):
        raise ValueError(f"a function of {sides} or {sides + 1} parameters (with the key first), not of {count}")
    return count == sides + 1


def _results(results: Any, name: str, is_pandas: bool, gives: t.StructType, zone: str) -> Iterator[pa.RecordBatch]:
    wanted = "iterator of pandas.DataFrame" if is_pandas else "iterator of pyarrow.RecordBatch"
    if not hasattr(results, "__iter__"):
        raise faults.misfit(name, f"a {type(results).__qualname__}", wanted)
    flow = iter(results)
    while True:
        try:
            result = next(flow)
        except StopIteration:
            return
        except faults.Below as below:
            raise below.error from None
        except faults.RAISED as error:
            raise faults.raised(name, error) from error
        yield from batches_of(result, name, is_pandas, gives, zone)


def batches_of(result: Any, name: str, is_pandas: bool, gives: t.StructType, zone: str) -> Iterator[pa.RecordBatch]:
    """What a user's function gave, a DataFrame or (no `is_pandas`) a Table or RecordBatch, as batches of these columns. Raises
    PythonException for other columns."""
    import pyarrow as pa

    wanted = pa.schema([pa.field(field.name, nullable(field.type)) for field in arrow_schema(gives)])
    if is_pandas:
        import pandas as pd

        if not isinstance(result, pd.DataFrame):
            raise faults.misfit(name, f"a {type(result).__qualname__}", "pandas.DataFrame")
        try:
            columns = columns_of_frame(result, gives, zone)
        except Misfit as problem:
            raise faults.misfit(name, problem.problem, gives.simpleString()) from problem
        yield pa.RecordBatch.from_arrays(columns, names=gives.names)
        return
    if not isinstance(result, pa.RecordBatch | pa.Table):
        raise faults.misfit(name, f"a {type(result).__qualname__}", "pyarrow.Table or pyarrow.RecordBatch")
    table = pa.Table.from_batches([result]) if isinstance(result, pa.RecordBatch) else result
    missing = [field for field in gives.names if field not in table.schema.names]
    extra = [field for field in table.schema.names if field not in gives.names]
    if (missing or extra) and (table.num_rows or table.num_columns):
        raise faults.misfit(name, f"columns {', '.join(table.schema.names)}", ", ".join(gives.names))
    if missing:
        return
    try:
        yield from table.select(gives.names).cast(wanted).combine_chunks().to_batches()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise faults.misfit(
            name, f"{', '.join(f'{field.name}: {field.type}' for field in table.schema)} ({error})", gives.simpleString()
        ) from error


def _sized(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if rows <= 0 or batch.num_rows <= rows:
            yield batch
        else:
            yield from (batch.slice(start, rows) for start in range(0, batch.num_rows, rows))


def _groups(batches: Iterator[pa.RecordBatch], check: Callable[[list[pa.RecordBatch], int], None]) -> Iterator[list[pa.RecordBatch]]:
    """The rows of each group; a group begins where the last column is 1. `check` is told what is held of one, and its bytes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        is_start = pc.call_function("equal", [batch.column(batch.num_columns - 1), pa.scalar(1)])
        starts = pc.call_function("indices_nonzero", [is_start]).to_pylist()
        begin = 0
        for start in starts:
            if start > begin:
                held.append(batch.slice(begin, start - begin))
            if held:
                yield held
                held, size = [], 0
            begin = start
        if begin < batch.num_rows:
            held.append(batch.slice(begin))
            size += held[-1].nbytes
            check(held, size)
    if held:
        yield held
