"""Data sources that a program writes in Python, by PySpark's names (pyspark.sql.datasource); without streams.

register    a session finds a class by its name()
load        DataSource(options).reader(schema): pushFilters and partitions on the driver for each query, read in slots
save        DataSource(options).writer(schema, overwrite): write in slots, commit or abort once on the driver
"""

from __future__ import annotations

import inspect
import logging
from collections import UserDict
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiver.sql.errors import AnalysisException, PySparkNotImplementedError, PySparkTypeError

if TYPE_CHECKING:
    import pyarrow as pa

    from quiver.sql.row import Row
    from quiver.sql.session import Session
    from quiver.sql.types import StructType

__all__ = [
    "CaseInsensitiveDict", "ColumnPath", "DataSource", "DataSourceArrowWriter", "DataSourceReader", "DataSourceRegistration",
    "DataSourceWriter", "EqualNullSafe", "EqualTo", "Filter", "GreaterThan", "GreaterThanOrEqual", "In", "InputPartition", "IsNotNull",
    "IsNull", "LessThan", "LessThanOrEqual", "Not", "StringContains", "StringEndsWith", "StringStartsWith", "WriterCommitMessage",
]  # fmt: skip

log = logging.getLogger("quiver.sql")
ColumnPath = tuple[str, ...]
"""A column, and the fields within it: `a.b` is ("a", "b")."""


class DataSource:
    """A source of rows, or a place for them, or both. `options` are what `option` was given; names are the same in any case.

    >>> from quiver.sql.datasource import DataSource, DataSourceReader, InputPartition
    >>> class Squares(DataSource):
    ...     def schema(self):
    ...         return "n int, square int"
    ...     def reader(self, schema):
    ...         return SquaresReader(int(self.options.get("count", 4)))
    >>> class SquaresReader(DataSourceReader):
    ...     def __init__(self, count):
    ...         self.count = count
    ...     def partitions(self):
    ...         return [InputPartition(start) for start in range(0, self.count, 2)]
    ...     def read(self, partition):
    ...         for n in range(partition.value, min(partition.value + 2, self.count)):
    ...             yield n, n * n
    >>> spark.dataSource.register(Squares)
    >>> spark.read.format("squares").option("count", 3).load().collect()
    [Row(n=0, square=0), Row(n=1, square=1), Row(n=2, square=4)]
    """

    def __init__(self, options: MutableMapping[str, str]) -> None:
        self.options = options

    @classmethod
    def name(cls) -> str:
        """What `format` is given; the class's own name unless overridden."""
        return cls.__name__

    def schema(self) -> StructType | str:
        """The columns, or their DDL, where the reader was told none."""
        raise _absent("schema")

    def reader(self, schema: StructType) -> DataSourceReader:
        """What reads rows with these columns."""
        raise _absent("reader")

    def writer(self, schema: StructType, overwrite: bool) -> DataSourceWriter:
        """What writes rows with these columns. `overwrite`: in place of those that are there."""
        raise _absent("writer")


def _absent(what: str) -> PySparkNotImplementedError:
    return PySparkNotImplementedError(f"{what} is not implemented.", "NOT_IMPLEMENTED")


class InputPartition:
    """What one task reads, with whatever it needs to know. Pickled."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({shown})"


class DataSourceReader:
    """Reads rows. Made anew on the driver for each query that reads the source, and pickled for its tasks."""

    def pushFilters(self, filters: list[Filter]) -> Iterable[Filter]:
        """Told the conditions that all rows of the query must meet; gives those that it does not look after itself.

        Rows are looked at again all the same, so a source that lets too many pass does no harm. Not called where there are none.
        """
        return filters

    def partitions(self) -> Sequence[InputPartition]:
        """A list of what tasks read, one each. Unless overridden, one task reads all, and is given InputPartition(None)."""
        return [InputPartition(None)]

    def read(self, partition: InputPartition) -> Iterator[tuple[Any, ...]] | Iterator[pa.RecordBatch]:
        """The rows of a partition, in a slot: an iterator of tuples or lists by place, of Rows by name, or of pyarrow.RecordBatches.

        A task that failed is tried again, and reads its partition anew.
        """
        raise _absent("read")


class WriterCommitMessage:
    """What a task tells the driver of what it wrote. Pickled."""


class DataSourceWriter:
    """Writes rows. Made on the driver, and pickled for the tasks."""

    def write(self, iterator: Iterator[Row]) -> WriterCommitMessage:
        """Write the rows of one partition, in a slot. A task that failed is tried again: only the message of the last try counts."""
        raise _absent("write")

    def commit(self, messages: list[WriterCommitMessage | None]) -> None:
        """Called once on the driver when all tasks are done, with what each of them told, by partition."""

    def abort(self, messages: list[WriterCommitMessage | None]) -> None:
        """Called once on the driver when the write failed, with what those tasks told that were done; None for the others."""


class DataSourceArrowWriter(DataSourceWriter):
    """A writer that is given Arrow batches."""

    def write(self, iterator: Iterator[pa.RecordBatch]) -> WriterCommitMessage:
        """Write the batches of one partition, in a slot."""
        raise _absent("write")


# ---- conditions ----


class Filter:
    """A condition on a column that a reader is asked to look after."""


@dataclass(frozen=True)
class _Compared(Filter):
    attribute: ColumnPath
    value: Any


class EqualTo(_Compared):
    """The column is this value."""


class EqualNullSafe(_Compared):
    """The column is this value, or both are null."""


class GreaterThan(_Compared):
    """The column is more than this value."""


class GreaterThanOrEqual(_Compared):
    """The column is this value or more."""


class LessThan(_Compared):
    """The column is less than this value."""


class LessThanOrEqual(_Compared):
    """The column is this value or less."""


class In(_Compared):
    """The column is one of these values, a tuple."""


class StringStartsWith(_Compared):
    """The text begins so."""


class StringEndsWith(_Compared):
    """The text ends so."""


class StringContains(_Compared):
    """The text has this within it."""


@dataclass(frozen=True)
class IsNull(Filter):
    """The column is null."""

    attribute: ColumnPath


@dataclass(frozen=True)
class IsNotNull(Filter):
    """The column is not null."""

    attribute: ColumnPath


@dataclass(frozen=True)
class Not(Filter):
    """The other condition is false."""

    child: Filter


# ---- a session's own ----


class CaseInsensitiveDict(UserDict[str, Any]):
    """A dict of names that are the same in any case.

    >>> from quiver.sql.datasource import CaseInsensitiveDict
    >>> CaseInsensitiveDict(Path="x")["PATH"]
    'x'
    """

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key.lower(), value)

    def __getitem__(self, key: str) -> Any:
        return super().__getitem__(key.lower())

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key.lower())

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and super().__contains__(key.lower())


class DataSourceRegistration:
    """What `spark.dataSource` is."""

    def __init__(self, sparkSession: Session) -> None:
        self.sparkSession = sparkSession

    def register(self, dataSource: type[DataSource]) -> None:
        """Let the session's readers and writers find a subclass of DataSource by its `name()`, in any case; see DataSource.

        A later one of the same name takes its place. Raises PySparkTypeError for what is no such class, AnalysisException
        DATA_SOURCE_ALREADY_EXISTS for the name of a format.
        """
        if not (isinstance(dataSource, type) and issubclass(dataSource, DataSource)):
            raise PySparkTypeError(f"Expected a subclass of DataSource, got {dataSource!r}.", "DATA_SOURCE_TYPE_MISMATCH")
        if not inspect.ismethod(dataSource.name):
            raise PySparkTypeError(
                f"Expected 'name()' method of {dataSource.__name__} to be a classmethod, got '{type(dataSource.name).__name__}'.",
                "DATA_SOURCE_TYPE_MISMATCH",
            )
        from quiver.sql.reader import NAMES

        known = self.sparkSession._state.data_sources
        name = dataSource.name()
        if name.lower() in NAMES:
            raise AnalysisException(
                f"Data source '{name}' already exists. Please choose a different name for the new data source.",
                "DATA_SOURCE_ALREADY_EXISTS",
            )
        if name.lower() in known:
            log.warning("The data source %s was registered before: the new one takes its place.", name)
        known[name.lower()] = dataSource
