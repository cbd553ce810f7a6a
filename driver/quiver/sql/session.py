"""Session: where DataFrames and SQL begin. `SparkSession` is another name for it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from quiver.conf import Conf
from quiver.context import Context
from quiver.sql import types as t
from quiver.sql.analysis.analyser import Analyser
from quiver.sql.dataframe import DataFrame
from quiver.sql.errors import AnalysisException
from quiver.sql.executions import note_sql
from quiver.sql.runtime import Runtime
from quiver.sql.session_conf import RuntimeConfig
from quiver.sql.tree import relations as r
from quiver.sql.tree.expressions import Attribute

if TYPE_CHECKING:
    from quiver.sql.catalog import Catalog
    from quiver.sql.reader import DataFrameReader

_ids = itertools.count(1)
"""Attributes of all sessions, so that DataFrames of two sessions never mean each other's columns."""


class Builder:
    """Settings of a session to be: `Session.builder.master("local[2]").appName("report").getOrCreate()`."""

    def __init__(self) -> None:
        self._conf = Conf()

    def master(self, master: str) -> Builder:
        """Where to run."""
        self._conf.setMaster(master)
        return self

    def appName(self, name: str) -> Builder:
        """What pages show."""
        self._conf.setAppName(name)
        return self

    def config(self, key: str | None = None, value: Any = None, *, conf: Conf | None = None, map: dict[str, Any] | None = None) -> Builder:
        """One setting, those of a Conf, or those of a dict."""
        for name, setting in [*(conf.getAll() if conf else []), *(map or {}).items(), *([(key, value)] if key else [])]:
            self._conf.set(name, str(setting).lower() if isinstance(setting, bool) else str(setting))
        return self

    def getOrCreate(self) -> Session:
        """The active session, or a new one on the active Context or a new Context."""
        with Session._lock:
            active = Session._active
            if active is None or active._context._stopped:
                active = Session._active = Session(Context.getOrCreate(self._conf))
            return active


class _BuilderProperty:
    def __get__(self, instance: object, owner: type) -> Builder:
        return Builder()


class Session:
    """DataFrames and SQL on a Context.

    >>> spark.sql("SELECT 1 + 1 AS two").collect()
    [Row(two=2)]
    """

    builder: ClassVar[_BuilderProperty] = _BuilderProperty()
    _active: ClassVar[Session | None] = None
    _lock: ClassVar[threading.RLock] = threading.RLock()

    def __init__(self, context: Context) -> None:
        self._context = context
        self._runtime = Runtime(context)
        self._views: dict[str, r.Relation] = {}
        self._settings = RuntimeConfig(context._conf)
        self._analyser = Analyser(self._new_id, zone=self._settings.zone)

    @staticmethod
    def _new_id() -> int:
        return next(_ids)

    @property
    def context(self) -> Context:
        """The Context that it runs on."""
        return self._context

    sparkContext = context

    @property
    def conf(self) -> RuntimeConfig:
        """Settings that may change: `spark.conf.set("spark.sql.session.timeZone", "UTC")`."""
        return self._settings

    @property
    def catalog(self) -> Catalog:
        """The session's temporary views."""
        from quiver.sql.catalog import Catalog

        return Catalog(self)

    @property
    def version(self) -> str:
        """Quiver's version."""
        return self._context.version

    @classmethod
    def getActiveSession(cls) -> Session | None:
        """The session that `builder.getOrCreate()` would give, when there is one."""
        with cls._lock:
            active = cls._active
            return None if active is None or active._context._stopped else active

    def newSession(self) -> Session:
        """A session of the same application, with settings and views of its own.

        >>> other = spark.newSession()
        >>> other.context is spark.context, other.catalog.listTables()
        (True, [])
        """
        return Session(self._context)

    @property
    def read(self) -> DataFrameReader:
        """Reads files: `spark.read.parquet(path)`."""
        from quiver.sql.reader import DataFrameReader

        return DataFrameReader(self)

    def _dataframe(self, relation: r.Relation) -> DataFrame:
        return DataFrame(relation, self)

    def range(self, start: int, end: int | None = None, step: int = 1, numPartitions: int | None = None) -> DataFrame:
        """One column `id` of the integers from `start` to `end` (without it) by `step`, or below `start`."""
        first, last = (0, start) if end is None else (start, end)
        return self._dataframe(r.Span(first, last, step, (Attribute(self._new_id(), "id", t.LongType(), False),), numPartitions))

    def createDataFrame(self, data: Any, schema: Any = None, samplingRatio: float | None = None, verifySchema: bool = True) -> DataFrame:
        """Rows that the program has: tuples, dicts, Rows, objects, or values of one type; an RDD; pandas, Polars, numpy or Arrow data.

        `schema`: a StructType, one type, their DDL, or a list of names; without types, all rows are looked at to infer them.
        `verifySchema`: check each value and say which does not fit. Raises PySparkTypeError, PySparkValueError.

        >>> spark.createDataFrame([{"name": "Alice", "age": 1}]).collect()
        [Row(age=1, name='Alice')]
        >>> spark.createDataFrame([("Alice", 1)], "name: string, age: int").dtypes
        [('name', 'string'), ('age', 'int')]
        >>> spark.createDataFrame([1, 2], "int").collect()
        [Row(value=1), Row(value=2)]
        """
        from quiver.sql.creating import table_of

        table, kinds = table_of(data, schema, verifySchema, self._settings.zone())
        columns = tuple(Attribute(self._new_id(), field.name, field.dataType, field.nullable) for field in kinds)
        return self._dataframe(r.Local(table, columns))

    def table(self, tableName: str) -> DataFrame:
        """A view by name."""
        return self._dataframe(self._table(tuple(tableName.split("."))))

    def _table(self, parts: tuple[str, ...]) -> r.Relation:
        found = self._views.get(parts[-1].lower())
        if found is None:
            import difflib

            alike = difflib.get_close_matches(parts[-1].lower(), self._views, n=3)
            hint = f" Did you mean {', '.join(f'`{name}`' for name in alike)}?" if alike else ""
            raise AnalysisException(f"The table or view `{'`.`'.join(parts)}` cannot be found.{hint}", "TABLE_OR_VIEW_NOT_FOUND")
        return self._analyser.alias(found, parts[-1])

    def sql(self, sqlQuery: str, args: dict[str, Any] | Iterable[Any] | None = None, **kwargs: Any) -> DataFrame:
        """The rows of a query. `args` are the values of `:name` markers (a dict) or of `?` (a list)."""
        from quiver.sql.frontend.statements import relation_of

        relation = relation_of(sqlQuery, self._analyser, self._table)
        note_sql(relation, sqlQuery)
        return self._dataframe(relation)

    def stop(self) -> None:
        """End the application."""
        with Session._lock:
            if Session._active is self:
                Session._active = None
        self._context.stop()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()
