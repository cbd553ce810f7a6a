"""What the kernel calls for a user's function: over the columns of one batch of rows, in a slot."""

from __future__ import annotations

import functools
import json
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.arrow_types import arrow_type, nullable
from quiver.sql.python import faults
from quiver.sql.python.values import Misfit, column_of, column_of_series, series_of
from quiver.sql.rows import values_of

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True)
class Evaluator:
    """A user's function as the kernel calls it; opened in the task that calls it first, whose accumulators and broadcasts it sees.

    `kind`: see model.KINDS. `takes` and `gives` are Spark's types in JSON. `names`: of each argument, when it is given by name. `rows`: of
    a batch at most (0: as they come). `leading`: how many columns come first that only tell how many rows there are.
    """

    pickled: bytes
    name: str
    kind: str
    takes: str
    gives: str
    names: tuple[str | None, ...]
    rows: int
    zone: str
    leading: int = 0
    opened: Callable[..., Any] | None = field(default=None, compare=False)
    done: int = field(default=0, compare=False)
    """Rows that were computed before."""
    _kinds: list[t.DataType] = field(default_factory=list, compare=False)
    _gives: t.DataType = field(default_factory=t.NullType, compare=False)
    _flow: Flow | None = field(default=None, compare=False)
    _lock: Any = field(default=None, compare=False)

    def __reduce__(self) -> Any:
        return Evaluator, (
            self.pickled, self.name, self.kind, self.takes, self.gives, self.names, self.rows, self.zone, self.leading,
        )  # fmt: skip

    def __call__(self, *columns: pa.Array) -> pa.Array:
        try:
            if self._lock is None:
                self._lock = threading.Lock()
            # The kernel may work on several partitions at once where a query is one task.
            with self._lock:
                return self._computed(columns)
        except faults.RAISED as error:
            raise faults.through_kernel(error) from None

    def _computed(self, columns: Sequence[pa.Array]) -> pa.Array:
        import pyarrow as pa

        if self.opened is None:
            self.opened = self._open()
        length = len(columns[0])
        columns = columns[self.leading :]
        size = self.rows if 0 < self.rows < length and "aggregate" not in self.kind else length
        parts = []
        for start in range(0, length, size) if length else ():
            part = [column.slice(start, size) for column in columns]
            parts.append(_KINDS[self.kind](self, part, min(size, length - start)))
            self.done += min(size, length - start)
        if len(parts) == 1:
            return parts[0]
        return pa.concat_arrays(parts) if parts else pa.array([], nullable(arrow_type(self._gives)))

    def _open(self) -> Callable[..., Any]:
        self._kinds = [field.dataType for field in t.StructType.fromJson(json.loads(self.takes))]
        (gives,) = t.StructType.fromJson(json.loads(self.gives))
        self._gives = gives.dataType
        function: Callable[..., Any] = pickle.loads(self.pickled)
        return _by_name(function, self.names) if any(self.names) else function

    # ---- one batch, by kind ----

    def _by_row(self, columns: Sequence[pa.Array], length: int) -> pa.Array:
        assert self.opened is not None
        values = [values_of(column, kind) for column, kind in zip(columns, self._kinds)]
        results: list[Any] = []
        try:
            # What was computed before an exception stays in the list, and tells the row.
            results.extend(map(self.opened, *values) if values else (self.opened() for _ in range(length)))
            if len(results) < length:
                raise StopIteration
        except faults.RAISED as error:
            row = len(results)
            raise faults.raised(self.name, error, self._shown(values, row), self.done + row) from error
        try:
            return column_of(results, self._gives)
        except Misfit as problem:
            row = problem.row
            raise faults.misfit(
                self.name, problem.problem, self._gives.simpleString(), self._shown(values, row) if row >= 0 else "",
                self.done + row if row >= 0 else None, problem.condition,
            ) from problem  # fmt: skip

    def _shown(self, values: Sequence[Sequence[Any]], row: int) -> str:
        return faults.shown(self.names, [column[row] for column in values])

    def _pandas(self, columns: Sequence[pa.Array], length: int) -> pa.Array:
        return self._column(self._called(self._series(columns)), length)

    def _arrow(self, columns: Sequence[pa.Array], length: int) -> pa.Array:
        return self._arrow_column(self._called(list(columns)), length)

    def _pandas_iter(self, columns: Sequence[pa.Array], length: int) -> pa.Array:
        return self._flowing(self._series(columns), length, self._column)

    def _arrow_iter(self, columns: Sequence[pa.Array], length: int) -> pa.Array:
        return self._flowing(list(columns), length, self._arrow_column)

    def _flowing(self, inputs: list[Any], length: int, column: Callable[[Any, int], pa.Array]) -> pa.Array:
        import pyarrow as pa

        if self._flow is None:
            assert self.opened is not None
            self._flow = Flow(self.opened)
        results: list[Any] = []
        try:
            results.extend(self._flow.results(inputs[0] if len(inputs) == 1 else tuple(inputs), length))
        except faults.RAISED as error:
            raise faults.raised(self.name, error, row=self.done) from error
        parts = [column(result, len(result)) for result in results]
        total = sum(map(len, parts))
        if total != length:
            raise faults.misfit(self.name, f"{total} values for {length} rows", "as many as there are rows", row=self.done)
        return parts[0] if len(parts) == 1 else pa.concat_arrays(parts)

    def _pandas_aggregate(self, columns: Sequence[pa.Array], length: int) -> pa.Array:
        return self._aggregated(columns, length, self._series, False)

    def _pandas_iter_aggregate(self, columns: Sequence[pa.Array], length: int) -> pa.Array:
        return self._aggregated(columns, length, self._series, True)

    def _arrow_aggregate(self, columns: Sequence[pa.Array], length: int) -> pa.Array:
        return self._aggregated(columns, length, list, False)

    def _arrow_iter_aggregate(self, columns: Sequence[pa.Array], length: int) -> pa.Array:
        return self._aggregated(columns, length, list, True)

    def _aggregated(
        self, columns: Sequence[pa.Array], length: int, inputs: Callable[[Sequence[pa.Array]], list[Any]], as_iterator: bool
    ) -> pa.Array:
        """One list of structs, one a group, whose members are the arguments; null for no rows."""
        import pyarrow as pa

        (groups,) = columns
        values = []
        for row in range(length):
            # Of a slice's list it gives just that list's items.
            rows = groups.slice(row, 1).flatten()
            given = inputs(rows.flatten())
            result = self._called([iter([given[0] if len(given) == 1 else tuple(given)])] if as_iterator else given)
            values.append(result.as_py() if isinstance(result, pa.Scalar) else result)
        try:
            if inputs == self._series:
                # pandas has NaN where there is no value.
                values = [None if isinstance(value, float) and value != value else value for value in values]
            return column_of(values, self._gives)
        except Misfit as problem:
            raise faults.misfit(self.name, problem.problem, self._gives.simpleString()) from problem

    def _series(self, columns: Sequence[pa.Array]) -> list[Any]:
        return [series_of(column, kind, self.zone) for column, kind in zip(columns, self._kinds)]

    def _called(self, inputs: list[Any]) -> Any:
        assert self.opened is not None
        try:
            return self.opened(*inputs)
        except faults.RAISED as error:
            raise faults.raised(self.name, error, row=self.done) from error

    def _column(self, result: Any, length: int) -> pa.Array:
        wanted = "pandas.DataFrame" if isinstance(self._gives, t.StructType) else "pandas.Series"
        if not hasattr(result, "__len__") or isinstance(result, str | bytes):
            raise faults.misfit(self.name, f"a {type(result).__qualname__}", wanted, row=self.done)
        if len(result) != length:
            raise faults.misfit(self.name, f"{len(result)} values for {length} rows", "as many as there are rows", row=self.done)
        try:
            return column_of_series(result, self._gives, self.zone)
        except Misfit as problem:
            raise faults.misfit(
                self.name, problem.problem, f"{wanted} of {self._gives.simpleString()}",
                row=self.done if problem.row < 0 else self.done + problem.row,
            ) from problem  # fmt: skip

    def _arrow_column(self, result: Any, length: int) -> pa.Array:
        import pyarrow as pa

        if isinstance(result, pa.ChunkedArray):
            result = result.combine_chunks()
        if not isinstance(result, pa.Array):
            raise faults.misfit(self.name, f"a {type(result).__qualname__}", "pyarrow.Array", row=self.done)
        if len(result) != length:
            raise faults.misfit(self.name, f"{len(result)} values for {length} rows", "as many as there are rows", row=self.done)
        wanted = nullable(arrow_type(self._gives))
        try:
            return result if result.type == wanted else result.cast(wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise faults.misfit(self.name, f"a pyarrow.Array of {result.type} ({error})", str(wanted), row=self.done) from error


_KINDS: dict[str, Callable[[Evaluator, Sequence[Any], int], Any]] = {
    "row": Evaluator._by_row,
    "pandas": Evaluator._pandas,
    "pandas_iter": Evaluator._pandas_iter,
    "pandas_aggregate": Evaluator._pandas_aggregate,
    "pandas_iter_aggregate": Evaluator._pandas_iter_aggregate,
    "arrow": Evaluator._arrow,
    "arrow_iter": Evaluator._arrow_iter,
    "arrow_aggregate": Evaluator._arrow_aggregate,
    "arrow_iter_aggregate": Evaluator._arrow_iter_aggregate,
}


class Flow:
    """A function of an iterator, which is given batches as they come.

    It runs from its request for one batch to that for the next one. Where it asks for more before it gave all results of what it has, its
    input ends for it, and the next batch begins it anew.
    """

    def __init__(self, function: Callable[[Iterator[Any]], Iterator[Any]]) -> None:
        self._function = function
        self._waiting: list[Any] = []
        self._results: Iterator[Any] | None = None

    def results(self, batch: Any, length: int) -> Iterator[Any]:
        """Its results for a batch of so many rows."""
        self._waiting.append(batch)
        got = 0
        while got < length or self._waiting:
            if self._results is None:
                self._results = iter(self._function(self._inputs()))
            try:
                result = next(self._results)
            except StopIteration:
                self._results = None
                if not self._waiting:
                    return
                continue
            got += len(result)
            yield result

    def _inputs(self) -> Iterator[Any]:
        while self._waiting:
            yield self._waiting.pop(0)


def _by_name(function: Callable[..., Any], names: tuple[str | None, ...]) -> Callable[..., Any]:
    first = sum(name is None for name in names)
    keys = [name for name in names if name is not None]

    @functools.wraps(function)
    def call(*values: Any) -> Any:
        return function(*values[:first], **dict(zip(keys, values[first:])))

    return call
