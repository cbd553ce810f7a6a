"""Session: where DataFrames and SQL begin. `SparkSession` is another name for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from quiver.conf import Conf
from quiver.context import Context
from quiver.sql import literals
from quiver.sql import types as t
from quiver.sql.analysis import fixed_lengths
from quiver.sql.dataframe import DataFrame
from quiver.sql.errors import IllegalArgumentException, PySparkRuntimeError, UnsupportedOperationException
from quiver.sql.executions import note_sql
from quiver.sql.interrupting import Interrupting
from quiver.sql.metastore import CATALOG, Table
from quiver.sql.refusals import STREAMS, NotOffered
from quiver.sql.session_conf import RuntimeConfig
from quiver.sql.session_state import SessionState
from quiver.sql.tree import relations as r
from quiver.sql.tree.expressions import Attribute, Name

if TYPE_CHECKING:
    from quiver.sql.catalog import Catalog
    from quiver.sql.datasource import DataSourceRegistration
    from quiver.sql.python.registration import UDFRegistration
    from quiver.sql.python.table_functions import UDTFRegistration
    from quiver.sql.reader import DataFrameReader
    from quiver.sql.tvf import TableValuedFunction

log = logging.getLogger("quiver.sql")
_FORMATS = frozenset({"parquet", "csv", "json", "orc", "avro", "text", "arrow", "binaryfile", "delta", "xml"})
"""Of files that SQL reads without a table: SELECT * FROM parquet.`path`."""


class Builder:
    """Settings of a session to be: `Session.builder.master("local[2]").appName("report").getOrCreate()`."""

    def __init__(self) -> None:
        self._options: dict[str, str] = {}

    def master(self, master: str) -> Builder:
        """Where to run."""
        return self.config("spark.master", master)

    def appName(self, name: str) -> Builder:
        """What pages show."""
        return self.config("spark.app.name", name)

    def config(self, key: str | None = None, value: Any = None, *, conf: Conf | None = None, map: dict[str, Any] | None = None) -> Builder:
        """One setting, those of a Conf, or those of a dict."""
        for name, setting in [*(conf.getAll() if conf else []), *(map or {}).items(), *([(key, value)] if key else [])]:
            self._options[name] = str(setting).lower() if isinstance(setting, bool) else str(setting)
        return self

    def enableHiveSupport(self) -> Builder:
        """Nothing is changed: names of tables live as long as the application, there is no Hive metastore."""
        return self

    def remote(self, url: str) -> Builder:
        """Not offered: Spark Connect. Raises UnsupportedOperationException; `master("quiver-driver://host:port")` is a shared driver."""
        raise UnsupportedOperationException(
            f"Spark Connect ({url}) is not there. Use master('quiver-driver://host:port') with a driver that `driver serve` started.",
            "NOT_IMPLEMENTED",
        )

    def getOrCreate(self) -> Session:
        """The session of this thread, or the first one of the program, with these settings put on it; else a new one, on the active
        Context or a new one. Settings of the application, such as its master, change nothing once it runs."""
        with Session._lock:
            active = Session.getActiveSession() or Session._living(Session._default)
            if active is None:
                conf = Conf()
                for key, value in self._options.items():
                    conf.set(key, value)
                active = Session(Context.getOrCreate(conf))
            active._apply(self._options)
            return active

    def create(self) -> Session:
        """A new session, with settings and views of its own, on the active Context or a new one."""
        conf = Conf()
        for key, value in self._options.items():
            conf.set(key, value)
        made = Session(Context.getOrCreate(conf))
        made._apply(self._options)
        return made


class _BuilderProperty:
    def __get__(self, instance: object, owner: type) -> Builder:
        return Builder()


class Session(Interrupting):
    """DataFrames and SQL on a Context.

    >>> spark.sql("SELECT 1 + 1 AS two").collect()
    [Row(two=2)]
    """

    builder: ClassVar[_BuilderProperty] = _BuilderProperty()
    Builder = Builder
    _default: ClassVar[Session | None] = None
    """The first one that lives."""
    _threads: ClassVar[threading.local] = threading.local()
    """`session`: the one that this thread made last, or used last to make a DataFrame."""
    _lock: ClassVar[threading.RLock] = threading.RLock()

    readStream = NotOffered(STREAMS, called=False)
    streams = NotOffered(STREAMS, called=False)
    profile = NotOffered("functions are not profiled. Set spark.python.profile, and look at `spark.context.show_profiles()`", called=False)
    client = NotOffered("it belongs to Spark Connect", called=False)
    copyFromLocalToFs = NotOffered("it belongs to Spark Connect. Use `spark.context.addFile`")
    registerProgressHandler = NotOffered("it belongs to Spark Connect. The driver's page shows how far queries are")
    removeProgressHandler = NotOffered("it belongs to Spark Connect")
    clearProgressHandlers = NotOffered("it belongs to Spark Connect")

    def __init__(self, context: Context) -> None:
        self._state = SessionState(context)
        with Session._lock:
            if Session._living(Session._default) is None:
                Session._default = self
        Session._threads.session = self

    @property
    def context(self) -> Context:
        """The Context that it runs on."""
        return self._state.context

    sparkContext = context

    @property
    def conf(self) -> RuntimeConfig:
        """Settings that may change: `spark.conf.set("spark.sql.session.timeZone", "UTC")`."""
        return self._state.settings

    @property
    def catalog(self) -> Catalog:
        """What has a name: databases, tables, views and functions."""
        from quiver.sql.catalog import Catalog

        return Catalog(self)

    @property
    def version(self) -> str:
        """Quiver's version.

        Differs from PySpark: not Spark's version, which `functions.version()` tells.
        """
        return self.context.version

    @classmethod
    def getActiveSession(cls) -> Session | None:
        """This thread's session, when it has one that lives: the one that it made or used last.

        >>> type(spark).getActiveSession() is spark
        True
        """
        return cls._living(getattr(cls._threads, "session", None))

    @classmethod
    def active(cls) -> Session:
        """This thread's session, or the program's first. Raises PySparkRuntimeError when there is none.

        >>> type(spark).active() is spark
        True
        """
        found = cls.getActiveSession() or cls._living(cls._default)
        if found is None:
            raise PySparkRuntimeError(
                "No active or default Spark session found. Please create a new Spark session first.", "NO_ACTIVE_SESSION"
            )
        return found

    @staticmethod
    def _living(session: Session | None) -> Session | None:
        return None if session is None or session.context._stopped else session

    def _apply(self, options: dict[str, str]) -> None:
        """Settings that may change, put on this session."""
        for key, value in options.items():
            if self.conf.isModifiable(key):
                self.conf.set(key, value)

    def _repr_html_(self) -> str:
        from html import escape

        return (
            f"<div><p><b>SparkSession</b></p><p><b>Version</b> <code>{escape(self.version)}</code></p><p><b>Master</b> "
            f"<code>{escape(self.context.master)}</code></p><p><b>AppName</b> <code>{escape(self.context.appName)}</code></p></div>"
        )

    def newSession(self) -> Session:
        """A session of the same application, with settings and views of its own.

        >>> other = spark.newSession()
        >>> other.context is spark.context, other.catalog.listTables()
        (True, [])
        """
        return Session(self.context)

    @property
    def udf(self) -> UDFRegistration:
        """Registers Python functions for SQL.

        >>> _ = spark.udf.register("plus_one", lambda x: x + 1, "long")
        >>> spark.sql("SELECT plus_one(id) AS x FROM range(2)").collect()
        [Row(x=1), Row(x=2)]
        """
        from quiver.sql.python.registration import UDFRegistration

        return UDFRegistration(self)

    @property
    def udtf(self) -> UDTFRegistration:
        """Registers classes that make rows for SQL: see functions.udtf."""
        from quiver.sql.python.table_functions import UDTFRegistration

        return UDTFRegistration(self)

    @property
    def read(self) -> DataFrameReader:
        """Reads files: `spark.read.parquet(path)`."""
        from quiver.sql.reader import DataFrameReader

        return DataFrameReader(self)

    @property
    def dataSource(self) -> DataSourceRegistration:
        """Registers classes that read and write rows: see quiver.sql.datasource."""
        from quiver.sql.datasource import DataSourceRegistration

        return DataSourceRegistration(self)

    def _dataframe(self, relation: r.Relation) -> DataFrame:
        Session._threads.session = self
        return DataFrame(relation, self)

    def range(self, start: int, end: int | None = None, step: int = 1, numPartitions: int | None = None) -> DataFrame:
        """One column `id` of the integers from `start` to `end` (without it) by `step`, or below `start`."""
        first, last = (0, start) if end is None else (start, end)
        if step == 0:
            raise IllegalArgumentException("requirement failed: step (0) cannot be 0")
        return self._dataframe(r.Span(first, last, step, (Attribute(self._state.new_id(), "id", t.LongType(), False),), numPartitions))

    def createDataFrame(self, data: Any, schema: Any = None, samplingRatio: float | None = None, verifySchema: bool = True) -> DataFrame:
        """Rows that the program has: tuples, dicts, Rows, objects, or values of one type; an RDD; pandas, Polars, numpy or Arrow data.

        `schema`: a StructType, one type, their DDL, or a list of names; without types, all rows are looked at to infer them, of an RDD the
        first 100, or `samplingRatio` of them. An RDD is computed where its rows are used, not brought here.
        `verifySchema`: check each value and say which does not fit. Raises PySparkTypeError, PySparkValueError.

        >>> spark.createDataFrame([{"name": "Alice", "age": 1}]).collect()
        [Row(age=1, name='Alice')]
        >>> spark.createDataFrame([("Alice", 1)], "name: string, age: int").dtypes
        [('name', 'string'), ('age', 'int')]
        >>> spark.createDataFrame([1, 2], "int").collect()
        [Row(value=1), Row(value=2)]
        """
        from quiver.rdd import RDD
        from quiver.sql.creating import batches_of, table_of

        if isinstance(data, RDD):
            batches, kinds = batches_of(data, schema, samplingRatio, verifySchema)
            return self._dataframe(self._state.runtime.produced(batches, kinds, self._state.new_id))
        table, kinds = table_of(data, schema, verifySchema, self.conf.zone())
        columns = r.columns_of(kinds, self._state.new_id)
        return self._dataframe(r.Local(table, columns))

    @property
    def tvf(self) -> TableValuedFunction:
        """Functions that give rows: `spark.tvf.explode(…)`."""
        from quiver.sql.tvf import TableValuedFunction

        return TableValuedFunction(self)

    def emptyDataFrame(self, schema: t.StructType | str) -> DataFrame:
        """No rows, of these columns.

        >>> spark.emptyDataFrame("name STRING, age INT").count()
        0
        """
        return self.createDataFrame([], schema)

    def table(self, tableName: str) -> DataFrame:
        """A table or view by name. Raises AnalysisException TABLE_OR_VIEW_NOT_FOUND.

        >>> spark.range(2).createOrReplaceTempView("two")
        >>> spark.table("two").count()
        2
        """
        named = literals.named(tableName)
        return self._dataframe(self._table(named.parts if isinstance(named, Name) else (tableName,)))

    def _table(self, parts: tuple[str, ...]) -> r.Relation:
        """What a name stands for: a temporary view, else a table or view of a database."""
        wanted = parts[1:] if len(parts) > 1 and parts[0].lower() == CATALOG else parts
        found = self._state.temporary(wanted)
        if found is None and len(wanted) == 2 and wanted[0].lower() in _FORMATS and self._state.stored(wanted) is None:
            return self.read.format(wanted[0].lower()).load(wanted[1])._relation
        if found is None:
            stored = self._state.stored_or_raise(wanted)
            found = stored.view if stored.view is not None else self._files(stored)
        return self._state.analyser.alias(found, parts[len(parts) - 1])

    def _files(self, table: Table) -> r.Relation:
        """What is in a table's folder now."""
        from pathlib import Path

        schema = fixed_lengths.as_strings(table.schema)
        if table.provider.lower() in self._state.data_sources:
            source = self.read.format(table.provider).schema(schema).options(**table.options)
            return source.load(table.location if table.external else None)._relation
        folder = Path(table.location)
        if "://" not in table.location and not any(path.is_file() and path.name[0] not in "._" for path in folder.rglob("*")):
            if table.provider.lower() != "parquet":
                return self.emptyDataFrame(schema)._relation
            columns = r.columns_of(schema, self._state.new_id)
            options = tuple(sorted(table.options.items()))
            return r.Files("parquet", (table.location,), options, schema, columns, table.partition_columns)
        reader = self.read.format(table.provider).schema(schema).options(**table.options)
        found = reader.load(table.location)._relation
        if schema == table.schema:
            return found
        return self._state.analyser.project(found, [fixed_lengths.read(column) for column in found.output])

    def sql(self, sqlQuery: str, args: dict[str, Any] | Iterable[Any] | None = None, **kwargs: Any) -> DataFrame:
        """The rows of a query; a command is run at once. `args` are the values of `:name` markers (a dict) or of `?` (a list); `kwargs`
        are put in for `{name}`: a DataFrame as a table, a Column as a column, other values as constants.

        Raises ParseException, AnalysisException.

        >>> spark.sql("SELECT :n + 1 AS n", {"n": 1}).collect(), spark.sql("SELECT ? AS s", ["it's"]).collect()
        ([Row(n=2)], [Row(s="it's")])
        >>> spark.sql("SELECT sum(id) AS s FROM {df} WHERE id > {least}", df=spark.range(5), least=2).collect()
        [Row(s=7)]
        """
        from quiver.sql.frontend.statements import relation_of

        relation = relation_of(self, sqlQuery, args, **kwargs)
        note_sql(relation, sqlQuery)
        return self._dataframe(relation)

    def stop(self) -> None:
        """End the application."""
        with Session._lock:
            if Session._default is self:
                Session._default = None
        self.context.stop()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()
