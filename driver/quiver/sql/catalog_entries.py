"""What the catalog tells of databases, tables, columns and functions."""

from __future__ import annotations

from typing import NamedTuple


class CatalogMetadata(NamedTuple):
    """A catalog, as listCatalogs tells it."""

    name: str
    description: str | None


class Database(NamedTuple):
    """A database, as listDatabases tells it."""

    name: str
    catalog: str | None
    description: str | None
    locationUri: str


class Table(NamedTuple):
    """A table or view, as listTables tells it."""

    name: str
    catalog: str | None
    namespace: list[str] | None
    description: str | None
    tableType: str
    isTemporary: bool

    @property
    def database(self) -> str | None:
        """The database, where there is one."""
        return self.namespace[0] if self.namespace is not None and len(self.namespace) == 1 else None


class Column(NamedTuple):
    """A column of a table or view, as listColumns tells it."""

    name: str
    description: str | None
    dataType: str
    nullable: bool
    isPartition: bool
    isBucket: bool
    isCluster: bool


class Function(NamedTuple):
    """A function, as listFunctions tells it."""

    name: str
    catalog: str | None
    namespace: list[str] | None
    description: str | None
    className: str
    isTemporary: bool


class TablePartition(NamedTuple):
    """A partition of a table: `p=1/q=x`."""

    partition: str
