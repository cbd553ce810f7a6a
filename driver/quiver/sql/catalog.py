"""What a session has names for: its temporary views."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, NamedTuple

from quiver.sql.errors import AnalysisException

if TYPE_CHECKING:
    from quiver.sql.session import Session


class Table(NamedTuple):
    """A view, as listTables tells it."""

    name: str
    catalog: str | None
    namespace: list[str] | None
    description: str | None
    tableType: str
    isTemporary: bool


class Column(NamedTuple):
    """A column of a view, as listColumns tells it."""

    name: str
    description: str | None
    dataType: str
    nullable: bool
    isPartition: bool
    isBucket: bool
    isCluster: bool


class Catalog:
    """`spark.catalog`.

    >>> spark.range(1).createOrReplaceTempView("one")
    >>> spark.catalog.tableExists("one"), spark.catalog.dropTempView("one"), spark.catalog.tableExists("one")
    (True, True, False)
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def currentCatalog(self) -> str:
        """Always `spark_catalog`: there is no other."""
        return "spark_catalog"

    def currentDatabase(self) -> str:
        """Always `default`: there is no other.

        >>> spark.catalog.currentDatabase()
        'default'
        """
        return "default"

    def databaseExists(self, dbName: str) -> bool:
        """Only `default` does."""
        return dbName.lower() in ("default", "spark_catalog.default")

    def listTables(self, dbName: str | None = None, pattern: str | None = None) -> list[Table]:
        """The temporary views, by name; `pattern` may hold `*` and, between alternatives, `|`. Raises AnalysisException SCHEMA_NOT_FOUND.

        >>> spark.range(1).createOrReplaceTempView("listed")
        >>> [table.name for table in spark.catalog.listTables(pattern="list*")]
        ['listed']
        """
        if dbName is not None and not self.databaseExists(dbName):
            raise AnalysisException(f"The schema `{dbName}` cannot be found. There is only `default`.", "SCHEMA_NOT_FOUND")
        wanted = (pattern or "*").lower().split("|")
        names = sorted(name for name in self._session._views if any(fnmatch.fnmatchcase(name, one) for one in wanted))
        return [Table(name, None, [], None, "TEMPORARY", True) for name in names]

    def listColumns(self, tableName: str, dbName: str | None = None) -> list[Column]:
        """The columns of a view. Raises AnalysisException TABLE_OR_VIEW_NOT_FOUND.

        >>> spark.range(1).createOrReplaceTempView("listed")
        >>> [(column.name, column.dataType) for column in spark.catalog.listColumns("listed")]
        [('id', 'bigint')]
        """
        schema = self._session.table(tableName).schema
        return [Column(f.name, None, f.dataType.simpleString(), f.nullable, False, False, False) for f in schema]

    def tableExists(self, tableName: str, dbName: str | None = None) -> bool:
        """Whether there is such a view."""
        return tableName.rpartition(".")[2].strip("`").lower() in self._session._views

    def getTable(self, tableName: str) -> Table:
        """A view by name. Raises AnalysisException TABLE_OR_VIEW_NOT_FOUND."""
        self._session.table(tableName)
        return Table(tableName.strip("`").lower(), None, [], None, "TEMPORARY", True)

    def dropTempView(self, viewName: str) -> bool:
        """Forget a view; whether there was one."""
        return self._session._views.pop(viewName.strip("`").lower(), None) is not None
