"""What an application's sessions share names for: databases, tables (folders of files), views, and global temporary views.

As Spark's in-memory catalog, it lives as long as the application: files of a table stay where they are, its name goes. Nothing here
reads or writes rows; folders of tables that are dropped are removed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from quiver.sql.errors import AnalysisException, QueryExecutionException
from quiver.sql.types import StructType
from quiver_proto.staging_leases import sweep

if TYPE_CHECKING:
    from quiver.context import Context
    from quiver.sql.tree.expressions import Expression
    from quiver.sql.tree.relations import Relation

CATALOG, DEFAULT, GLOBAL_TEMP = "spark_catalog", "default", "global_temp"


@dataclass(frozen=True, slots=True)
class Database:
    """`location`: the folder in which folders of its managed tables are made."""

    name: str
    location: str
    description: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)


class Buckets(NamedTuple):
    """Rows dealt by the hash of `columns` into `number` files, each ordered by `sort`."""

    number: int
    columns: tuple[str, ...]
    sort: tuple[str, ...] = ()


class Default(NamedTuple):
    """What a column holds of which an INSERT says nothing: as `text` and as a tree, of the column's type and (`node`) as it was parsed."""

    text: str
    value: Expression
    node: Any


@dataclass(frozen=True, slots=True)
class Table:
    """A folder of files of one format, or a view. `schema`: all columns, partition columns last. `external`: dropping it leaves its
    files. `view`: the relation that a view stands for, with `text` as it was written. `defaults`: by the columns' names."""

    database: str
    name: str
    schema: StructType
    provider: str = "parquet"
    location: str = ""
    external: bool = False
    partition_columns: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None
    view: Relation | None = None
    text: str = ""
    buckets: Buckets | None = None
    defaults: Mapping[str, Default] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """As listTables tells it."""
        return "VIEW" if self.view is not None else "EXTERNAL" if self.external else "MANAGED"

    @property
    def full_name(self) -> str:
        """With catalog and database, for messages."""
        return f"`{CATALOG}`.`{self.database}`.`{self.name}`"


class Metastore:
    """Names are the same in any case. Safe for threads."""

    def __init__(self, warehouse: Path) -> None:
        self._warehouse = warehouse
        self._lock = threading.RLock()
        self._databases = {DEFAULT: Database(DEFAULT, str(warehouse), "default database")}
        self._tables: dict[tuple[str, str], Table] = {}
        self.global_views: dict[str, Relation] = {}

    # ---- databases ----

    def databases(self) -> list[Database]:
        """By name."""
        with self._lock:
            return [self._databases[name] for name in sorted(self._databases)]

    def has_database(self, name: str) -> bool:
        return name.lower() in self._databases

    def database(self, name: str) -> Database:
        """Raises AnalysisException SCHEMA_NOT_FOUND."""
        found = self._databases.get(name.lower())
        if found is None:
            raise AnalysisException(
                f"The schema `{CATALOG}`.`{name}` cannot be found. Verify the spelling and correctness of the schema and catalog.",
                "SCHEMA_NOT_FOUND",
            )
        return found

    def create_database(
        self, name: str, if_not_exists: bool = False, location: str = "", description: str = "", properties: Mapping[str, str] | None = None
    ) -> None:
        """Raises AnalysisException SCHEMA_ALREADY_EXISTS, INVALID_SCHEMA_OR_RELATION_NAME."""
        key = name.lower()
        with self._lock:
            if key in self._databases or key == GLOBAL_TEMP:
                if if_not_exists and key != GLOBAL_TEMP:
                    return
                raise AnalysisException(
                    f"Cannot create schema `{name}` because it already exists. Choose a different name, drop the existing schema, or add "
                    "the IF NOT EXISTS clause to tolerate pre-existing schema.",
                    "SCHEMA_ALREADY_EXISTS",
                )
            _check_name("schemas", name)
            self._databases[key] = Database(key, location or str(self._warehouse / f"{key}.db"), description, dict(properties or {}))

    def drop_database(self, name: str, if_exists: bool = False, cascade: bool = False) -> None:
        """`cascade`: with its tables. Raises AnalysisException SCHEMA_NOT_FOUND, SCHEMA_NOT_EMPTY, and for `default`."""
        key = name.lower()
        with self._lock:
            if if_exists and key not in self._databases:
                return
            self.database(name)
            if key == DEFAULT:
                raise AnalysisException("Cannot drop the default schema.", "UNSUPPORTED_FEATURE.DROP_DATABASE")
            inside = [table for (database, _), table in self._tables.items() if database == key]
            if inside and not cascade:
                raise AnalysisException(
                    f"Cannot drop a schema `{name}` because it contains objects. "
                    "Use DROP SCHEMA ... CASCADE to drop the schema and all its objects.",
                    "SCHEMA_NOT_EMPTY",
                )
            for table in inside:
                self.drop_table(key, table.name)
            del self._databases[key]

    # ---- tables and views ----

    def tables(self, database: str) -> list[Table]:
        """Tables and views of a database, by name. Raises AnalysisException SCHEMA_NOT_FOUND."""
        self.database(database)
        with self._lock:
            return [table for (inside, _), table in sorted(self._tables.items()) if inside == database.lower()]

    def table(self, database: str, name: str) -> Table | None:
        """None: there is none."""
        return self._tables.get((database.lower(), name.lower()))

    def folder(self, database: str, name: str) -> str:
        """Where a managed table's files are. Raises AnalysisException SCHEMA_NOT_FOUND, INVALID_SCHEMA_OR_RELATION_NAME."""
        _check_name("tables", name)
        return str(Path(self.database(database).location) / name.lower())

    def create_table(self, table: Table, *, if_not_exists: bool = False, replace: bool = False, written: bool = False) -> None:
        """A managed table's folder is made. `written`: it is there and holds what was written for this table.

        Raises AnalysisException TABLE_OR_VIEW_ALREADY_EXISTS, SCHEMA_NOT_FOUND, INVALID_SCHEMA_OR_RELATION_NAME, LOCATION_ALREADY_EXISTS,
        QueryExecutionException when the folder can't be made.
        """
        key = (table.database.lower(), table.name.lower())
        with self._lock:
            self.database(table.database)
            _check_name("tables", table.name)
            if key in self._tables and not replace:
                if if_not_exists:
                    return
                raise AnalysisException(
                    f"Cannot create table or view {table.full_name} because it already exists. Choose a different name, drop or replace "
                    "the existing object, or add the IF NOT EXISTS clause to tolerate pre-existing objects.",
                    "TABLE_OR_VIEW_ALREADY_EXISTS",
                )
            if table.view is None and not table.external:
                if not (written or key in self._tables):
                    check_unused(table)
                with _folder_errors(table, table.location):
                    Path(table.location).mkdir(parents=True, exist_ok=True)
            self._tables[key] = table

    def rename_table(self, table: Table, database: str, name: str) -> None:
        """The folder of a managed table gets the new name too, so that the old one is free for another table.

        Raises as `create_table`; then nothing has changed."""
        with self._lock:
            renamed = replace(table, database=self.database(database).name, name=name.lower())
            moves = table.view is None and not table.external
            if moves:
                renamed = replace(renamed, location=self.folder(database, name))
            self.create_table(renamed)  # With an empty folder, in whose place the other is put.
            if moves:
                try:
                    with _folder_errors(renamed, renamed.location):
                        os.replace(table.location, renamed.location)
                except QueryExecutionException:
                    del self._tables[(renamed.database.lower(), renamed.name)]
                    raise
            del self._tables[(table.database.lower(), table.name.lower())]

    def drop_table(self, database: str, name: str) -> bool:
        """Whether there was one. The files of a managed table go."""
        with self._lock:
            table = self._tables.pop((database.lower(), name.lower()), None)
        if table is None:
            return False
        if table.view is None and not table.external:
            shutil.rmtree(table.location, ignore_errors=True)
        return True


def check_unused(table: Table) -> None:
    """Whatever is in a managed table's folder is removed with the table, so at first there must be nothing. What a driver has left there
    that died while it wrote is removed.

    Raises AnalysisException LOCATION_ALREADY_EXISTS, QueryExecutionException when one can't look."""
    folder = Path(table.location)
    sweep(table.location)
    with _folder_errors(table, table.location):
        try:
            folder.lstat()
        except FileNotFoundError:
            return
        if not folder.is_dir() or next(folder.iterdir(), None) is not None:
            raise location_taken(table)


def location_taken(table: Table) -> AnalysisException:
    """LOCATION_ALREADY_EXISTS: files of another are where the table's are to be."""
    return AnalysisException(
        f"Cannot name the managed table as {table.full_name}, as its associated location '{table.location}' already exists. Please "
        "pick a different table name, or remove the existing location first.",
        "LOCATION_ALREADY_EXISTS",
    )


@contextlib.contextmanager
def _folder_errors(table: Table, folder: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise QueryExecutionException(
            f"Unable to create table {table.full_name} as failed to create its directory {folder}: {error.strerror}."
        ) from error


def _check_name(what: str, name: str) -> None:
    """Names become those of folders, so none may lead out of the warehouse."""
    if re.fullmatch(r"\w+", name, re.ASCII) is None:
        raise AnalysisException(
            f"`{name}` is not a valid name for {what}. Valid names only contain alphabet characters, numbers and _.",
            "INVALID_SCHEMA_OR_RELATION_NAME",
        )


_of_contexts: weakref.WeakKeyDictionary[Context, Metastore] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def metastore(context: Context) -> Metastore:
    """The one of an application."""
    with _lock:
        found = _of_contexts.get(context)
        if found is None:
            folder = context._conf.get("spark.sql.warehouse.dir") or "spark-warehouse"
            found = _of_contexts[context] = Metastore(Path(folder.removeprefix("file:")).absolute())
        return found
