"""What runs in slots for table functions of users: an instance for each partition or group of rows, its rows as Arrow batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.arrow_types import arrow_type, nullable
from quiver.sql.errors import PythonException
from quiver.sql.python import faults
from quiver.sql.python.mapping import batches_of
from quiver.sql.python.udtf_analysis import SkipRestOfInputTableException
from quiver.sql.python.values import Misfit, column_of
from quiver.sql.row import row_of
from quiver.sql.rows import values_of

if TYPE_CHECKING:
    import pyarrow as pa

_MOST = 10_000
"""Rows of a batch that are made at once."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of `eval`: `places` of columns, which are one value, or (`is_table`) the members of a row. `name`: None: by place."""

    name: str | None
    places: tuple[int, ...]
    is_table: bool


@dataclass(frozen=True, slots=True)
class TableRows:
    """A table function over batches with the columns `takes`, of which the first `carried` come again beside the rows that it makes.

    `numbered`: the last column counts the rows of each group from 1 on, and an instance has one group; else it has a partition.
    `analyzed`: what analyze() gave, for instances that take it. `is_arrow`: `eval` is given columns. `keeps`: where `eval` makes nothing
    there is a row of nulls.
    """

    handler: Any
    name: str
    takes: t.StructType
    carried: int
    arguments: tuple[Argument, ...]
    gives: t.StructType
    numbered: bool
    analyzed: Any
    is_arrow: bool
    keeps: bool = False

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        instance: _Instance | None = None
        try:
            for batch in batches:
                for begin, end, starts in self._runs(batch):
                    if starts and instance is not None:
                        ended, instance = instance, None
                        yield from ended.end()
                    if instance is None:
                        instance = (_OfBatches if self.is_arrow else _OfRows)(self)
                    yield from instance.take(batch.slice(begin, end - begin))
            if instance is not None:
                ended, instance = instance, None
                yield from ended.end()
        finally:
            if instance is not None:
                instance.clean()

    def _runs(self, batch: pa.RecordBatch) -> Iterator[tuple[int, int, bool]]:
        """Rows of one group that lie together: (begin, end, whether the group begins there)."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not batch.num_rows:
            return
        if not self.numbered:
            yield 0, batch.num_rows, False
            return
        is_first = pc.call_function("equal", [batch.column(batch.num_columns - 1), pa.scalar(1)])
        firsts = pc.call_function("indices_nonzero", [is_first]).to_pylist()
        if not firsts or firsts[0] > 0:
            yield 0, firsts[0] if firsts else batch.num_rows, False
        for begin, end in zip(firsts, [*firsts[1:], batch.num_rows]):
            yield begin, end, True


class _Instance:
    """One instance of a user's class, from its first row to terminate and cleanup."""

    def __init__(self, call: TableRows) -> None:
        self.call = call
        self.skips = False
        self.handler: Any = self._made(call.handler, *([] if call.analyzed is None else [call.analyzed]), within="__init__")
        self._last: pa.RecordBatch | None = None

    def take(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """What `eval` makes of the rows."""
        self._last = batch.slice(batch.num_rows - 1, 1)
        if not self.skips or self.call.keeps:
            yield from self._take(batch)

    def _take(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        raise AssertionError(type(self))

    def end(self) -> Iterator[pa.RecordBatch]:
        """What `terminate` makes, beside the last row."""
        try:
            if hasattr(self.handler, "terminate"):
                assert self._last is not None
                yield from self._terminated(self._last)
        finally:
            self.clean()

    def _terminated(self, last: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        raise AssertionError(type(self))

    def clean(self) -> None:
        """Call `cleanup`, if there is one."""
        if hasattr(self.handler, "cleanup"):
            self._made(self.handler.cleanup, within="cleanup")

    def _made(self, function: Callable[..., Any], *args: Any, within: str) -> Any:
        try:
            return function(*args)
        except faults.RAISED as error:
            raise self._raised(error, within) from error

    def _raised(self, error: BaseException, within: str, arguments: str = "") -> PythonException:
        return faults.raised(f"{self.call.name}.{within}", error, arguments)

    def results(self, function: Callable[..., Any], args: Sequence[Any], named: dict[str, Any], within: str) -> Iterator[Any]:
        """What a method gives one by one. What it raises to skip the rest ends it."""
        try:
            given = function(*args, **named)
            if given is None:
                return
            if not hasattr(given, "__iter__"):
                raise PythonException(
                    f"The return value of '{within}' of the table function `{self.call.name}` is to be iterable, got "
                    f"'{type(given).__name__}'.",
                    "UDTF_RETURN_NOT_ITERABLE",
                )
            yield from given
        except SkipRestOfInputTableException:
            self.skips = True
        except PythonException:
            raise
        except faults.RAISED as error:
            names = [None] * len(args) + list(named)
            raise self._raised(error, within, faults.shown(names, [*args, *named.values()]) if names else "") from error


class _OfRows(_Instance):
    def _take(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        call = self.call
        columns = [self._values(batch, argument) for argument in call.arguments]
        by_place = [values for argument, values in zip(call.arguments, columns) if argument.name is None]
        by_name = [(argument.name, values) for argument, values in zip(call.arguments, columns) if argument.name is not None]
        places: list[int] = []
        rows: list[Any] = []
        for row in range(batch.num_rows):
            named = {name: values[row] for name, values in by_name}
            args = [values[row] for values in by_place]
            results = iter(()) if self.skips else self.results(self.handler.eval, args, named, "eval")
            before = len(rows)
            for made in results:
                places.append(row)
                rows.append(made)
                if len(rows) == _MOST:
                    yield self._batch(batch, places, rows)
                    places, rows, before = [], [], -1
            if call.keeps and before == len(rows):
                places.append(row)
                rows.append(None)
            elif self.skips and not call.keeps:
                break
        if rows:
            yield self._batch(batch, places, rows)

    def _terminated(self, last: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        rows: list[Any] = []
        for made in self.results(self.handler.terminate, (), {}, "terminate"):
            rows.append(made)
            if len(rows) == _MOST:
                yield self._batch(last, [0] * len(rows), rows)
                rows = []
        if rows:
            yield self._batch(last, [0] * len(rows), rows)

    def _values(self, batch: pa.RecordBatch, argument: Argument) -> list[Any]:
        columns = [values_of(batch.column(place), self.call.takes[place].dataType) for place in argument.places]
        if not argument.is_table:
            return columns[0]
        names = [self.call.takes[place].name for place in argument.places]
        return [row_of(names, values) for values in zip(*columns)] if columns else [row_of([], ())] * batch.num_rows

    def _batch(self, batch: pa.RecordBatch, places: list[int], rows: list[Any]) -> pa.RecordBatch:
        import pyarrow as pa

        call = self.call
        taken = batch.select(list(range(call.carried))).take(pa.array(places, pa.int64())) if call.carried else None
        arrays = []
        for field, column in zip(call.gives, [] if taken is None else taken.columns):
            wanted = nullable(arrow_type(field.dataType))
            arrays.append(column if column.type == wanted else column.cast(wanted))
        values = [self._members(row) for row in rows]
        for place, field in enumerate(call.gives.fields[call.carried :]):
            try:
                arrays.append(column_of([each[place] for each in values], field.dataType))
            except Misfit as problem:
                raise faults.misfit(
                    call.name, f"for column `{field.name}` {problem.problem}", field.dataType.simpleString(),
                    condition="UDTF_ARROW_TYPE_CONVERSION_ERROR",
                ) from problem  # fmt: skip
        return pa.RecordBatch.from_arrays(arrays, names=call.gives.names)

    def _members(self, row: Any) -> Sequence[Any]:
        """A row's values, one for each column."""
        names = self.call.gives.names[self.call.carried :]
        if isinstance(row, dict):
            return [row.get(name) for name in names]
        if row is None:
            return [None] * len(names)
        values = row if isinstance(row, tuple | list) else (row,)
        if len(values) != len(names):
            raise PythonException(
                f"The number of columns in the result of the table function `{self.call.name}` does not match its schema. Expected column "
                f"count: {len(names)}, Actual column count: {len(values)}. Please make sure the values returned by the function have the "
                "same number of columns as specified in the output schema.",
                "UDTF_RETURN_SCHEMA_MISMATCH",
            )
        return values


class _OfBatches(_Instance):
    def _take(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        args: list[Any] = []
        named: dict[str, Any] = {}
        for argument in self.call.arguments:
            value = self._columns(batch, argument) if argument.is_table else batch.column(argument.places[0])
            if argument.name is None:
                args.append(value)
            else:
                named[argument.name] = value
        yield from self._fitted(self.results(self.handler.eval, args, named, "eval"))

    def _columns(self, batch: pa.RecordBatch, argument: Argument) -> pa.RecordBatch:
        import pyarrow as pa

        names = [self.call.takes[place].name for place in argument.places]
        return pa.RecordBatch.from_arrays([batch.column(place) for place in argument.places], names=names)

    def _terminated(self, last: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        yield from self._fitted(self.results(self.handler.terminate, (), {}, "terminate"))

    def _fitted(self, results: Iterator[Any]) -> Iterator[pa.RecordBatch]:
        for result in results:
            yield from batches_of(result, self.call.name, False, self.call.gives, "")
