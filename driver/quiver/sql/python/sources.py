"""Data sources of users, on the driver: registered classes become relations, and places for rows."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiver.accumulators import Accumulator, OfJob
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


log = logging.getLogger("quiver.sql")


@contextlib.contextmanager
def _calling(kind: str, action: str, method: str) -> Iterator[None]:
    """Inside, what a user's class raises is AnalysisException PYTHON_DATA_SOURCE_ERROR. `method`: that is called there."""
    try:
        yield
    except faults.RAISED as error:
        told = isinstance(error, PySparkException)
        why = str(error) if told else f"{type(error).__name__}: {error}\n\n{faults.user_traceback(error)}"
        raise AnalysisException(f"Failed to {action} Python data source {kind}: {method}: {why}", "PYTHON_DATA_SOURCE_ERROR") from error


def _check(value: Any, wanted: type, what: str) -> None:
    if not isinstance(value, wanted):
        raise AnalysisException(f"Expected {what}, got '{type(value).__name__}'.", "DATA_SOURCE_TYPE_MISMATCH")


def _named(source: type[DataSource]) -> str:
    with _calling(source.__name__, "create", "name()"):
        return source.name()


def _made(source: type[DataSource], options: Mapping[str, str]) -> DataSource:
    with _calling(_named(source), "create", "__init__()"):
        return source(CaseInsensitiveDict(options))


def source_rows(session: Session, source: type[DataSource], options: Mapping[str, str], given: t.StructType | None) -> r.Sourced:
    """The rows of a source, of the columns that were `given` or that it tells. Raises AnalysisException PYTHON_DATA_SOURCE_ERROR,
    ParseException for columns in DDL that is none."""
    name = _named(source)
    made = _made(source, options)
    with _calling(name, "create", "schema()"):
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
        with _calling(self.name, "plan", "reader()"):
            reader = self.source.reader(self.schema)
            _check(reader, DataSourceReader, "an instance of DataSourceReader")
        filters = filters_of(conditions, self.names)
        if filters and type(reader).pushFilters is not DataSourceReader.pushFilters:
            with _calling(self.name, "plan", "pushFilters()"):
                self._push(reader, filters)
        with _calling(self.name, "plan", "partitions()"):
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


class _Messages(OfJob[dict[int, bytes]]):
    """By partition, the message of the task that was done."""

    def zero(self, value: dict[int, bytes]) -> dict[int, bytes]:
        return {}

    def addInPlace(self, value1: dict[int, bytes], value2: dict[int, bytes]) -> dict[int, bytes]:
        return {**value1, **value2}


class _Try:
    """One job that writes, and the writer that is asked for it; then its end, a commit or an abort, which there is once."""

    def __init__(self, session: Session, source: DataSource, name: str, schema: t.StructType, overwrite: bool) -> None:
        self._context, self._name, self._schema = session.context, name, schema
        self._ended = False
        self._width = 0
        self._told: Accumulator[dict[int, bytes]] | None = None
        with _calling(name, "create", "writer()"):
            self._writer = source.writer(schema, overwrite)
            _check(self._writer, DataSourceWriter, "an instance of DataSourceWriter")

    @property
    def begun(self) -> bool:
        """Whether tasks may have written."""
        return self._told is not None

    def write(self, rows: RDD[Any]) -> list[bytes]:
        """The messages of tasks, by partition."""
        self._width, self._told = rows.getNumPartitions(), self._context.accumulator({}, _Messages())
        results: list[bytes] = rows.mapPartitions(SourceWrites(self._writer, self._name, self._schema, self._told)).collect()
        return results

    def commit(self, results: Sequence[bytes]) -> None:
        """What it raises leaves abort() to be done."""
        with _calling(self._name, "commit", "commit()"):
            self._writer.commit(messages_of(results))
        self._ended = True

    def abort(self, cause: BaseException | None) -> None:
        """Tell the writer what tasks were done, but after an end. What its abort raises is logged, and a note of the cause."""
        if self._ended:
            return
        self._ended = True
        done = self._told.value if self._told is not None else {}
        try:
            self._writer.abort(messages_of([done.get(partition) for partition in range(self._width)]))
        except faults.RAISED as error:
            what = f"abort() of Python data source {self._name} failed too: {type(error).__name__}: {error}"
            log.warning("%s", what, exc_info=error)
            if cause is not None:
                cause.add_note(what)


def write_source(
    session: Session, relation: r.Relation, source: type[DataSource], options: Mapping[str, str], mode: str, call_site: CallSite
) -> None:
    """Have tasks write the rows, and then commit on the driver, or abort where a task or the commit fails; once for each writer.

    When the kernel runs out of memory the rows are planned anew, for another writer; the one before is aborted first. What an abort raises
    does not hide why there is one. Raises AnalysisException UNSUPPORTED_DATA_SOURCE_SAVE_MODE for modes but append and overwrite,
    PYTHON_DATA_SOURCE_ERROR for what is raised on the driver; PythonException for what `write` raises.
    """
    name = _named(source)
    if mode not in ("append", "overwrite"):
        spelled = {"error": "ErrorIfExists", "ignore": "Ignore"}[mode]
        raise AnalysisException(
            f'The data source "{name}" cannot be written in the "{spelled}" mode. '
            'Please use either the "Append" or "Overwrite" mode instead.',
            "UNSUPPORTED_DATA_SOURCE_SAVE_MODE",
        )
    made, schema = _made(source, options), r.schema_of(relation)

    def begin() -> _Try:
        return _Try(session, made, name, schema, mode == "overwrite")

    tried = begin()
    session.context._check(call_site.operator)

    def written(rows: RDD[Any]) -> list[bytes]:
        nonlocal tried
        if tried.begun:
            tried.abort(None)
            tried = begin()
        return tried.write(rows)

    try:
        with spark_errors(relation, call_site):
            results = session._state.runtime.retried(relation, call_site, written)
        tried.commit(results)
    except BaseException as cause:
        tried.abort(cause)
        raise
