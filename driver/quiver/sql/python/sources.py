"""Data sources of users, on the driver: registered classes become relations, and places for rows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiver.accumulators import AccumulatorParam
from quiver.sql import types as t
from quiver.sql.datasource import CaseInsensitiveDict, DataSource, DataSourceReader, DataSourceWriter, Filter, InputPartition
from quiver.sql.errors import AnalysisException, PySparkException
from quiver.sql.kernel_errors import spark_errors
from quiver.sql.pushed_filters import filters_of
from quiver.sql.python import faults
from quiver.sql.python.source_tasks import SourceRows, SourceWrites, messages_of
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver_proto.ops import CallSite

if TYPE_CHECKING:
    from quiver.rdd import RDD
    from quiver.sql.session import Session


@contextlib.contextmanager
def _calling(kind: str, action: str) -> Iterator[None]:
    """Inside, what a user's class raises is AnalysisException PYTHON_DATA_SOURCE_ERROR."""
    try:
        yield
    except faults.RAISED as error:
        why = str(error) if isinstance(error, PySparkException) else faults.user_traceback(error)
        raise AnalysisException(f"Failed to {action} Python data source {kind}: {why}", "PYTHON_DATA_SOURCE_ERROR") from error


def _check(value: Any, wanted: type, what: str) -> None:
    if not isinstance(value, wanted):
        raise AnalysisException(f"Expected {what}, got '{type(value).__name__}'.", "DATA_SOURCE_TYPE_MISMATCH")


def _made(source: type[DataSource], options: Mapping[str, str]) -> DataSource:
    with _calling(source.name(), "create"):
        return source(CaseInsensitiveDict(options))


def source_rows(session: Session, source: type[DataSource], options: Mapping[str, str], given: t.StructType | None) -> r.Sourced:
    """The rows of a source, of the columns that were `given` or that it tells. Raises AnalysisException PYTHON_DATA_SOURCE_ERROR,
    ParseException for columns in DDL that is none."""
    name = source.name()
    made = _made(source, options)
    with _calling(name, "create"):
        told = made.schema() if given is None else given
    schema = t.DataType.fromDDL(told) if isinstance(told, str) else told
    if not isinstance(schema, t.StructType):
        raise AnalysisException(
            f"The schema of data source '{name}' is to be a StructType or its DDL, not {schema!r}.", "INVALID_SCHEMA.NON_STRUCT_TYPE"
        )
    columns = r.columns_of(schema, session._state.new_id)
    planned = _Planned(name, made, schema, {column.id: column.name for column in columns}, session._state.batch_rows())
    return r.Sourced(name, None, (), columns, None, push=planned)


@dataclass(frozen=True, slots=True)
class _Planned:
    """Asks the source for a reader and its partitions, once for each query. `names`: of the columns, by id."""

    name: str
    source: DataSource
    schema: t.StructType
    names: Mapping[int, str]
    rows: int

    def __call__(self, wanted: frozenset[str], conditions: Iterable[e.Expression]) -> tuple[SourceRows, tuple[InputPartition, ...]]:
        with _calling(self.name, "plan"):
            reader = self.source.reader(self.schema)
            _check(reader, DataSourceReader, "an instance of DataSourceReader")
            filters = filters_of(conditions, self.names)
            if filters and type(reader).pushFilters is not DataSourceReader.pushFilters:
                self._push(reader, filters)
            parts = reader.partitions()
            _check(parts, list, "'partitions' to return a list")
            for part in parts:
                _check(part, InputPartition, "elements in 'partitions' to be of type 'InputPartition'")
        return SourceRows(reader, self.name, self.schema, self.rows), tuple(parts) or (InputPartition(None),)

    def _push(self, reader: DataSourceReader, filters: list[Filter]) -> None:
        given = {id(each) for each in filters}
        strange = [each for each in reader.pushFilters(filters[:]) if id(each) not in given]
        if strange:
            raise AnalysisException(
                f"{type(reader).__name__}.pushFilters() returned filters that are not among those it was given: {strange}.",
                "DATA_SOURCE_EXTRANEOUS_FILTERS",
            )


class _Messages(AccumulatorParam[dict[int, bytes]]):
    """By partition, the message of the task that was done."""

    def zero(self, value: dict[int, bytes]) -> dict[int, bytes]:
        return {}

    def addInPlace(self, value1: dict[int, bytes], value2: dict[int, bytes]) -> dict[int, bytes]:
        return {**value1, **value2}


def write_source(
    session: Session, relation: r.Relation, source: type[DataSource], options: Mapping[str, str], mode: str, call_site: CallSite
) -> None:
    """Have tasks write the rows, and then commit on the driver, or abort where a task or the commit fails; once.

    Raises AnalysisException UNSUPPORTED_DATA_SOURCE_SAVE_MODE for modes but append and overwrite, PYTHON_DATA_SOURCE_ERROR for what is
    raised on the driver; PythonException for what `write` raises.
    """
    name = source.name()
    if mode not in ("append", "overwrite"):
        spelled = {"error": "ErrorIfExists", "ignore": "Ignore"}[mode]
        raise AnalysisException(
            f'The data source "{name}" cannot be written in the "{spelled}" mode. '
            'Please use either the "Append" or "Overwrite" mode instead.',
            "UNSUPPORTED_DATA_SOURCE_SAVE_MODE",
        )
    schema = r.schema_of(relation)
    with _calling(name, "create"):
        writer = source(CaseInsensitiveDict(options)).writer(schema, mode == "overwrite")
        _check(writer, DataSourceWriter, "an instance of DataSourceWriter")
    session.context._check(call_site.operator)
    width = 0
    told: Any = None

    def written(rows: RDD[Any]) -> list[bytes]:
        nonlocal width, told
        width, told = rows.getNumPartitions(), session.context.accumulator({}, _Messages())
        results: list[bytes] = rows.mapPartitions(SourceWrites(writer, name, schema, told)).collect()
        return results

    try:
        with spark_errors(relation, call_site):
            results = session._state.runtime.retried(relation, call_site, written)
        with _calling(name, "commit"):
            writer.commit(messages_of(results))
    except BaseException:
        done = told.value if told is not None else {}
        with _calling(name, "abort"):
            writer.abort(messages_of([done.get(partition) for partition in range(width)]))
        raise
