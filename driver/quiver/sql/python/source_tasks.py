"""What runs in slots for data sources of users: their readers' rows as Arrow batches, and batches for their writers."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiver.accumulators import Accumulator
from quiver.sql import types as t
from quiver.sql.arrow_types import arrow_schema, arrow_type, nullable
from quiver.sql.datasource import DataSourceArrowWriter, DataSourceReader, DataSourceWriter, InputPartition, WriterCommitMessage
from quiver.sql.errors import PySparkRuntimeError
from quiver.sql.python import faults
from quiver.sql.python.values import Misfit, column_of
from quiver.sql.row import Row
from quiver.sql.rows import rows_of
from quiver_proto.task_context import TaskContext
from quiver_proto.widening import widens

if TYPE_CHECKING:
    import pyarrow as pa

_MISMATCH = "DATA_SOURCE_RETURN_SCHEMA_MISMATCH"
_BATCH = 10_000
_NOTHING: Any = object()


@dataclass(frozen=True, slots=True)
class SourceRows:
    """A user's reader as a Reader of partitions (quiver_proto.sources.reading). `rows`: of a batch at most. Raises PythonException with
    what `read` raises, and for what it must not give."""

    reader: DataSourceReader
    name: str
    columns: t.StructType
    rows: int

    def read(self, part: InputPartition, schema: pa.Schema, wanted: frozenset[str]) -> Iterator[pa.RecordBatch]:
        """All columns, whatever is wanted: tuples have all of them."""
        import pyarrow as pa

        try:
            given = self.reader.read(part)
            if not isinstance(given, Iterator):
                raise self._strange(given, "an iterator")
            first = next(given, _NOTHING)
        except PySparkRuntimeError:
            raise
        except faults.RAISED as error:
            raise faults.raised(f"{self.name}.read", error, faults.shown(["partition"], [part])) from error
        if first is _NOTHING:
            return
        records = self._safe(itertools.chain([first], given), part)
        if isinstance(first, pa.RecordBatch):
            yield from map(self._batch, records)
            return
        size = self.rows if self.rows > 0 else _BATCH
        while taken := list(itertools.islice(records, size)):
            yield self._columns([self._values(record) for record in taken])

    def _safe(self, records: Iterator[Any], part: InputPartition) -> Iterator[Any]:
        while True:
            try:
                record = next(records)
            except StopIteration:
                return
            except faults.RAISED as error:
                raise faults.raised(f"{self.name}.read", error, faults.shown(["partition"], [part])) from error
            yield record

    def _strange(self, given: Any, wanted: str) -> PySparkRuntimeError:
        return PySparkRuntimeError(
            f"Unsupported return type ('{type(given).__name__}') from Python data source '{self.name}'. Expected types: {wanted}.",
            "DATA_SOURCE_INVALID_RETURN_TYPE",
        )

    def _mismatch(self, expected: Any, actual: Any) -> PySparkRuntimeError:
        return PySparkRuntimeError(
            f"Return schema mismatch in the result from 'read' method of data source '{self.name}'. Expected: {expected} columns, "
            f"Found: {actual} columns. Make sure the returned values match the required output schema.",
            _MISMATCH,
        )

    def _values(self, record: Any) -> Sequence[Any]:
        names = self.columns.names
        if not isinstance(record, list | tuple):
            raise self._strange(record, "tuple, list, Row, pyarrow.RecordBatch")
        if len(record) != len(names):
            raise self._mismatch(len(names), len(record))
        fields = getattr(record, "__fields__", None) if isinstance(record, Row) else None
        if fields is None:
            return record
        if set(fields) != set(names):
            raise self._mismatch(names, list(fields))
        return [record[fields.index(name)] for name in names]

    def _columns(self, records: list[Sequence[Any]]) -> pa.RecordBatch:
        import pyarrow as pa

        arrays = []
        for place, field in enumerate(self.columns):
            try:
                arrays.append(column_of([record[place] for record in records], field.dataType))
            except Misfit as problem:
                shown = faults.shown(self.columns.names, records[problem.row]) if problem.row >= 0 else ""
                raise faults.misfit(
                    f"{self.name}.read", f"for column `{field.name}` {problem.problem}", field.dataType.simpleString(), shown,
                    condition="DATA_SOURCE_INVALID_RETURN_TYPE",
                ) from problem  # fmt: skip
        kinds = [pa.field(field.name, array.type) for field, array in zip(self.columns, arrays)]
        if not arrays:
            return pa.RecordBatch.from_struct_array(pa.array([{}] * len(records), pa.struct([])))
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(kinds))

    def _batch(self, batch: Any) -> pa.RecordBatch:
        import pyarrow as pa

        names = self.columns.names
        if not isinstance(batch, pa.RecordBatch):
            raise self._strange(batch, "pyarrow.RecordBatch, as the first was")
        if sorted(batch.schema.names) != sorted(names):
            raise self._mismatch(names, batch.schema.names)
        for field in self.columns:
            given, wanted = batch.schema.field(field.name).type, nullable(arrow_type(field.dataType))
            if given != wanted and not widens(given, wanted):
                raise self._mismatch(str(arrow_schema(self.columns)), str(batch.schema))
        return batch.select(names)


@dataclass(frozen=True, slots=True)
class SourceWrites:
    """What a task does with its batches: gives them to a user's writer. Its message, pickled, is the only record, and is put into `told`,
    by partition, for when the job fails."""

    writer: DataSourceWriter
    name: str
    columns: t.StructType
    told: Accumulator[dict[int, bytes]]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
        import cloudpickle

        safe = faults.Safe(batches)
        try:
            given: Iterator[Any] = safe if isinstance(self.writer, DataSourceArrowWriter) else self._rows(safe)
            message = self.writer.write(given)
        except faults.Below as below:
            raise below.error from None
        except faults.RAISED as error:
            raise faults.raised(f"{self.name}.write", error) from error
        if not isinstance(message, WriterCommitMessage):
            raise PySparkRuntimeError(
                "Expected 'WriterCommitMessage' as the return type of the `write` method of data source "
                f"'{self.name}', got '{type(message).__name__}'.",
                "DATA_SOURCE_TYPE_MISMATCH",
            )
        try:
            pickled: bytes = cloudpickle.dumps(message)
        except faults.RAISED as error:
            raise faults.misfit(f"{self.name}.write", f"a message that can't be pickled ({error})", "one of plain values") from error
        context = TaskContext.get()
        assert context is not None
        self.told.add({context.partitionId(): pickled})
        yield pickled

    def _rows(self, batches: Iterator[pa.RecordBatch]) -> Iterator[Row]:
        import pyarrow as pa

        for batch in batches:
            yield from rows_of(pa.Table.from_batches([batch]), self.columns)


def messages_of(pickled: Sequence[bytes | None]) -> list[WriterCommitMessage | None]:
    """The messages of tasks, by partition."""
    return [None if each is None else pickle.loads(each) for each in pickled]
