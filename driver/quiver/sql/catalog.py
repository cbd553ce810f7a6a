"""What a session has names for: databases, tables, views and functions."""

from __future__ import annotations

import fnmatch
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quiver.sql import metastore as m
from quiver.sql import types as t
from quiver.sql.analysis.fixed_lengths import as_strings
from quiver.sql.catalog_entries import CatalogMetadata, Column, Database, Function, Table, TablePartition
from quiver.sql.errors import AnalysisException
from quiver.sql.metastore import CATALOG, GLOBAL_TEMP
from quiver.sql.table_statements import create_statement
from quiver_proto.storage import StorageLevel

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame
    from quiver.sql.python.user_defined import UserDefinedFunction
    from quiver.sql.session import Session


class Catalog:
    """`spark.catalog`.

    Tables are folders of files; their names, as those of databases, live as long as the application, like in Spark without Hive.

    >>> spark.range(1).createOrReplaceTempView("one")
    >>> spark.catalog.tableExists("one"), spark.catalog.dropTempView("one"), spark.catalog.tableExists("one")
    (True, True, False)
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def _store(self) -> m.Metastore:
        return self._session._state.store

    # ---- catalogs and databases ----

    def currentCatalog(self) -> str:
        """Always `spark_catalog`: there is no other."""
        return CATALOG

    def setCurrentCatalog(self, catalogName: str) -> None:
        """Only `spark_catalog` can be. Raises AnalysisException CATALOG_NOT_FOUND.

        >>> spark.catalog.setCurrentCatalog("spark_catalog")
        """
        if catalogName.lower() != CATALOG:
            raise AnalysisException(f"The catalog `{catalogName}` not found. There is only `{CATALOG}`.", "CATALOG_NOT_FOUND")

    def listCatalogs(self, pattern: str | None = None) -> list[CatalogMetadata]:
        """The one that there is, if its name fits.

        >>> spark.catalog.listCatalogs("spark*")
        [CatalogMetadata(name='spark_catalog', description=None)]
        """
        return [CatalogMetadata(CATALOG, None)] if _fitting([CATALOG], pattern) else []

    def currentDatabase(self) -> str:
        """Where tables are looked for that are named without a database.

        >>> spark.catalog.currentDatabase()
        'default'
        """
        return self._session._state.database

    def setCurrentDatabase(self, dbName: str) -> None:
        """Raises AnalysisException SCHEMA_NOT_FOUND.

        >>> spark.catalog.setCurrentDatabase("default")
        """
        self._session._state.database = self._store.database(_plain(dbName)[-1]).name

    def listDatabases(self, pattern: str | None = None) -> list[Database]:
        """By name; `pattern` may hold `*` and, between alternatives, `|`.

        >>> [database.name for database in spark.catalog.listDatabases("def*")]
        ['default']
        """
        found = {database.name: database for database in self._store.databases()}
        return [self.getDatabase(name) for name in _fitting(found, pattern)]

    def getDatabase(self, dbName: str) -> Database:
        """Raises AnalysisException SCHEMA_NOT_FOUND.

        >>> spark.catalog.getDatabase("spark_catalog.default").description
        'default database'
        """
        found = self._store.database(_plain(dbName)[-1])
        return Database(found.name, CATALOG, found.description, Path(found.location).as_uri())

    def databaseExists(self, dbName: str) -> bool:
        """Whether there is such a database.

        >>> spark.catalog.databaseExists("default"), spark.catalog.databaseExists("spark_catalog.none")
        (True, False)
        """
        *catalog, name = _plain(dbName)
        return catalog in ([], [CATALOG]) and self._store.has_database(name)

    def createDatabase(self, dbName: str, ifNotExists: bool = False, properties: dict[str, str] | None = None) -> None:
        """Raises AnalysisException SCHEMA_ALREADY_EXISTS.

        >>> spark.catalog.createDatabase("sales")
        >>> spark.catalog.dropDatabase("sales")
        """
        given = dict(properties or {})
        comment, location = given.pop("comment", ""), given.pop("location", "")
        self._store.create_database(_plain(dbName)[-1], ifNotExists, location, comment, given)

    def dropDatabase(self, dbName: str, ifExists: bool = False, cascade: bool = False) -> None:
        """`cascade`: with its tables. Raises AnalysisException SCHEMA_NOT_FOUND, SCHEMA_NOT_EMPTY."""
        name = _plain(dbName)[-1]
        self._store.drop_database(name, ifExists, cascade)
        if self._session._state.database == name.lower():
            self._session._state.database = m.DEFAULT

    # ---- tables ----

    def listTables(self, dbName: str | None = None, pattern: str | None = None) -> list[Table]:
        """Tables and views of a database, and the session's temporary views, by name. Raises AnalysisException SCHEMA_NOT_FOUND.

        >>> spark.range(1).createOrReplaceTempView("listed")
        >>> [table.name for table in spark.catalog.listTables(pattern="list*")]
        ['listed']
        """
        database = self._session._state.database if dbName is None else _plain(dbName)[-1]
        temporary = {name: Table(name, None, [], None, "TEMPORARY", True) for name in self._session._state.views}
        if database.lower() == GLOBAL_TEMP:
            found = {name: Table(name, None, [GLOBAL_TEMP], None, "TEMPORARY", True) for name in self._store.global_views}
        else:
            found = {table.name: _told(table) for table in self._store.tables(database)}
        # A table that a temporary view hides is listed beside it.
        return [kind[name] for kind in (found, temporary) for name in _fitting(kind, pattern)]

    def listViews(self, dbName: str | None = None, pattern: str | None = None) -> list[Table]:
        """As listTables, views only."""
        return [table for table in self.listTables(dbName, pattern) if table.tableType in ("VIEW", "TEMPORARY")]

    def listColumns(self, tableName: str, dbName: str | None = None) -> list[Column]:
        """The columns of a table or view. Raises AnalysisException TABLE_OR_VIEW_NOT_FOUND.

        >>> spark.range(1).createOrReplaceTempView("listed")
        >>> [(column.name, column.dataType) for column in spark.catalog.listColumns("listed")]
        [('id', 'bigint')]
        """
        name = tableName if dbName is None else f"{dbName}.{tableName}"
        stored = self._session._state.stored(_plain(name))
        parts = set() if stored is None else {column.lower() for column in stored.partition_columns}
        dealt = set() if stored is None or stored.buckets is None else {column.lower() for column in stored.buckets.columns}
        schema = self._session.table(name).schema if stored is None else as_strings(stored.schema)
        return [
            Column(f.name, f.metadata.get("comment"), f.dataType.simpleString(), f.nullable, low in parts, low in dealt, False)
            for f in schema
            for low in (f.name.lower(),)
        ]

    def tableExists(self, tableName: str, dbName: str | None = None) -> bool:
        """Whether there is such a table or view.

        >>> spark.catalog.tableExists("nothing_of_that_name", "default")
        False
        """
        parts = _plain(tableName if dbName is None else f"{dbName}.{tableName}")
        if dbName is None and self._session._state.temporary(parts) is not None:
            return True
        return self._session._state.stored(parts) is not None

    def getTable(self, tableName: str) -> Table:
        """A table or view by name. Raises AnalysisException TABLE_OR_VIEW_NOT_FOUND."""
        parts = _plain(tableName)
        if self._session._state.temporary(parts) is not None:
            return Table(parts[-1].lower(), None, [GLOBAL_TEMP] if len(parts) > 1 else [], None, "TEMPORARY", True)
        return _told(self._session._state.stored_or_raise(parts))

    def createTable(
        self,
        tableName: str,
        path: str | None = None,
        source: str | None = None,
        schema: t.StructType | None = None,
        description: str | None = None,
        **options: str,
    ) -> DataFrame:
        """A table of the files below `path`, which stay when it is dropped, or, without a path, of a folder of its own.

        `source` is the format (spark.sql.sources.default, else parquet). Without a schema that of the files is taken.
        Raises AnalysisException TABLE_OR_VIEW_ALREADY_EXISTS, UNABLE_TO_INFER_SCHEMA.

        >>> spark.catalog.createTable("numbers_table", schema=spark.range(1).schema).count()
        0
        >>> spark.catalog.dropTable("numbers_table")
        """
        given = dict(options)
        folder = path if path is not None else given.pop("path", None)
        provider = source or str(self._session.conf.get("spark.sql.sources.default", "parquet"))
        *database, name = _plain(tableName)
        inside = database[-1] if database else self._session._state.database
        if schema is None:
            if folder is None:
                raise AnalysisException(f"Unable to infer schema for {provider}. It must be specified manually.", "UNABLE_TO_INFER_SCHEMA")
            schema = self._session.read.format(provider).options(**given).load(folder).schema
        location = folder or self._store.folder(inside, name)
        self._store.create_table(m.Table(inside, name.lower(), schema, provider, location, folder is not None, (), given, {}, description))
        return self._session.table(tableName)

    createExternalTable = createTable

    def dropTable(self, tableName: str, ifExists: bool = False, purge: bool = False) -> None:
        """Forget a table, and remove its files unless it is external. Raises AnalysisException TABLE_OR_VIEW_NOT_FOUND,
        WRONG_COMMAND_FOR_OBJECT_TYPE for a view."""
        parts = _plain(tableName)
        stored = self._session._state.stored(parts)
        if stored is None and ifExists:
            return
        stored = self._session._state.stored_or_raise(parts)
        if stored.view is not None:
            raise AnalysisException(f"{stored.full_name} is a view: use DROP VIEW.", "WRONG_COMMAND_FOR_OBJECT_TYPE")
        self._store.drop_table(stored.database, stored.name)

    def dropView(self, viewName: str, ifExists: bool = False) -> None:
        """Forget a view, temporary or not. Raises AnalysisException TABLE_OR_VIEW_NOT_FOUND, WRONG_COMMAND_FOR_OBJECT_TYPE for a table."""
        parts = _plain(viewName)
        if (len(parts) == 1 and self.dropTempView(viewName)) or (parts[0].lower() == GLOBAL_TEMP and self.dropGlobalTempView(parts[-1])):
            return
        stored = self._session._state.stored(parts)
        if stored is None and ifExists:
            return
        stored = self._session._state.stored_or_raise(parts)
        if stored.view is None:
            raise AnalysisException(f"{stored.full_name} is a table: use DROP TABLE.", "WRONG_COMMAND_FOR_OBJECT_TYPE")
        self._store.drop_table(stored.database, stored.name)

    def dropTempView(self, viewName: str) -> bool:
        """Forget a view of this session; whether there was one."""
        return self._session._state.views.pop(viewName.strip("`").lower(), None) is not None

    def dropGlobalTempView(self, viewName: str) -> bool:
        """Forget a view of all sessions; whether there was one.

        >>> spark.range(1).createGlobalTempView("for_all")
        >>> spark.newSession().table("global_temp.for_all").count(), spark.catalog.dropGlobalTempView("for_all")
        (1, True)
        """
        return self._store.global_views.pop(_plain(viewName)[-1].lower(), None) is not None

    def listPartitions(self, tableName: str) -> list[TablePartition]:
        """The partitions of a table, by name. Raises AnalysisException INVALID_PARTITION_OPERATION for one that has none."""
        stored = self._session._state.stored_or_raise(_plain(tableName))
        if not stored.partition_columns:
            raise AnalysisException(
                f"The table {stored.full_name} is not partitioned.", "INVALID_PARTITION_OPERATION.PARTITION_SCHEMA_IS_EMPTY"
            )
        root = Path(stored.location)
        folders = root.glob("/".join(f"{column}=*" for column in stored.partition_columns))
        return [TablePartition(str(folder.relative_to(root))) for folder in sorted(folders) if folder.is_dir()]

    def getTableProperties(self, tableName: str) -> dict[str, str]:
        """What TBLPROPERTIES gave."""
        return dict(self._session._state.stored_or_raise(_plain(tableName)).properties)

    def getCreateTableString(self, tableName: str, asSerde: bool = False) -> str:
        """A statement that makes such a table.

        >>> _ = spark.catalog.createTable("numbers_table", schema=spark.range(1).schema)
        >>> print(spark.catalog.getCreateTableString("numbers_table"))
        CREATE TABLE spark_catalog.default.numbers_table (
          id BIGINT NOT NULL)
        USING parquet
        <BLANKLINE>
        >>> spark.catalog.dropTable("numbers_table")
        """
        return create_statement(self._session._state.stored_or_raise(_plain(tableName)))

    def truncateTable(self, tableName: str) -> None:
        """Remove all rows of a table. Raises AnalysisException for an external one, whose files are not its own."""
        stored = self._session._state.stored_or_raise(_plain(tableName))
        if stored.view is not None or stored.external:
            what = "a view" if stored.view is not None else "external tables"
            raise AnalysisException(
                f"Operation not allowed: TRUNCATE TABLE on {what}: {stored.full_name}.", "UNSUPPORTED_FEATURE.TABLE_OPERATION"
            )
        for inside in Path(stored.location).iterdir():
            shutil.rmtree(inside) if inside.is_dir() else inside.unlink()

    def analyzeTable(self, tableName: str, noScan: bool = False) -> None:
        """Sizes are looked up whenever a table is read: nothing has to be done. Raises AnalysisException TABLE_OR_VIEW_NOT_FOUND."""
        self._session._state.stored_or_raise(_plain(tableName))

    def refreshTable(self, tableName: str) -> None:
        """Have kept rows of a table's files computed again. Files are looked up whenever a table is read.

        Raises AnalysisException TABLE_OR_VIEW_NOT_FOUND.
        """
        stored = self._session._state.stored(_plain(tableName))
        if stored is not None and stored.view is None:
            was = self._session.table(tableName).storageLevel
            self.refreshByPath(stored.location)
            if was != StorageLevel.NONE:
                self.cacheTable(tableName, was)
        else:
            self._session.table(tableName).unpersist()

    def recoverPartitions(self, tableName: str) -> None:
        """Partitions are looked up whenever a table is read: nothing has to be done. Raises AnalysisException TABLE_OR_VIEW_NOT_FOUND."""
        self._session._state.stored_or_raise(_plain(tableName))

    def refreshByPath(self, path: str) -> None:
        """Drop kept rows that were read from files at or below a path. Files are looked up whenever they are read."""
        self._session._state.runtime.kept.refreshed(path)

    # ---- kept rows ----

    def isCached(self, tableName: str) -> bool:
        """Whether a table's or view's rows are kept. Raises AnalysisException TABLE_OR_VIEW_NOT_FOUND.

        >>> spark.range(3).where("id > 0").createOrReplaceTempView("some")
        >>> spark.catalog.cacheTable("some"); spark.catalog.isCached("some")
        True
        >>> spark.catalog.uncacheTable("some"); spark.catalog.isCached("some")
        False
        """
        return self._session.table(tableName).is_cached

    def cacheTable(self, tableName: str, storageLevel: StorageLevel | None = None) -> None:
        """Keep a table's or view's rows (DataFrame.persist). Raises AnalysisException TABLE_OR_VIEW_NOT_FOUND."""
        relation = self._session.table(tableName)._relation
        self._session._state.keep(relation, storageLevel or StorageLevel.MEMORY_AND_DISK_DESER, f"In-memory table {tableName}")

    def uncacheTable(self, tableName: str) -> None:
        """Drop a table's or view's kept rows. Raises AnalysisException TABLE_OR_VIEW_NOT_FOUND."""
        self._session.table(tableName).unpersist()

    def clearCache(self) -> None:
        """Drop all kept rows of tables, views and DataFrames.

        >>> spark.catalog.clearCache()
        """
        self._session._state.runtime.kept.clear()

    # ---- functions ----

    def listFunctions(self, dbName: str | None = None, pattern: str | None = None) -> list[Function]:
        """All functions of SQL, by name.

        >>> [function.name for function in spark.catalog.listFunctions(pattern="date_a*")]
        ['date_add']
        """
        if dbName is not None:
            self._store.database(_plain(dbName)[-1])
        return [self._function(name) for name in _fitting(self._functions(), pattern)]

    def functionExists(self, functionName: str, dbName: str | None = None) -> bool:
        """Whether there is such a function.

        >>> spark.catalog.functionExists("count"), spark.catalog.functionExists("default.nothing")
        (True, False)
        """
        return _plain(functionName)[-1].lower() in self._functions()

    def getFunction(self, functionName: str) -> Function:
        """Raises AnalysisException UNRESOLVED_ROUTINE."""
        if not self.functionExists(functionName):
            raise AnalysisException(
                f"Cannot resolve routine `{functionName}` on search path [`system`.`builtin`, `system`.`session`].", "UNRESOLVED_ROUTINE"
            )
        return self._function(_plain(functionName)[-1].lower())

    def _functions(self) -> dict[str, Any]:
        import quiver.sql.registry.all  # noqa: F401  # fills the table
        from quiver.sql.registry.model import FUNCTIONS

        return {**FUNCTIONS, **self._session._state.routines}

    def _function(self, name: str) -> Function:
        home = "quiver.sql.python" if name in self._session._state.routines else "quiver.sql.functions"
        return Function(name, None, None, None, home, True)

    def registerFunction(self, name: str, f: Callable[..., Any], returnType: t.DataType | str | None = None) -> UserDefinedFunction:
        """As `spark.udf.register`.

        >>> _ = spark.catalog.registerFunction("catalogued", lambda x: x + 1, "int")
        >>> spark.sql("SELECT catalogued(1) AS two").collect(), spark.catalog.functionExists("catalogued")
        ([Row(two=2)], True)
        """
        made: UserDefinedFunction = self._session.udf.register(name, f, returnType)
        return made


def _plain(name: str) -> list[str]:
    """The parts of a dotted name, without backticks and without the one catalog."""
    from quiver.sql.literals import named
    from quiver.sql.tree.expressions import Name

    expression = named(name)
    parts = list(expression.parts) if isinstance(expression, Name) else [name]
    return parts[1:] if len(parts) > 1 and parts[0].lower() == CATALOG else parts


def _fitting(names: Iterable[str], pattern: str | None) -> list[str]:
    wanted = (pattern or "*").lower().split("|")
    return sorted(name for name in names if any(fnmatch.fnmatchcase(name, one.strip()) for one in wanted))


def _told(table: m.Table) -> Table:
    return Table(table.name, CATALOG, [table.database], table.description, table.kind, False)
