"""ALTER TABLE and ALTER VIEW: names, columns, partitions, properties."""

from __future__ import annotations

import shutil
import urllib.parse
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.sql import types as t
from quiver.sql.errors import AnalysisException, column_already_exists, column_not_found
from quiver.sql.frontend.defaults import default_of
from quiver.sql.frontend.dialect import unsupported
from quiver.sql.frontend.nodes import Unset
from quiver.sql.frontend.queries import Query
from quiver.sql.frontend.results import nothing
from quiver.sql.frontend.settings import name_of
from quiver.sql.frontend.types import column_of
from quiver.sql.metastore import Table
from quiver.sql.table_writes import name_parts
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    from quiver.sql.session import Session


def alter(session: Session, query: Query, node: g.Alter, text: str) -> r.Relation:
    """Runs the statement. Raises AnalysisException, ParseException for what is not supported."""
    parts = list(name_parts(name_of(node.this)))
    for action in node.args.get("actions") or []:
        match action:
            case g.AlterRename():
                _rename(session, parts, list(name_parts(name_of(action.this))))
            case g.Query() if str(node.args.get("kind")).upper() == "VIEW":
                _redefine(session, query, parts, action)
            case g.AlterSet() if action.expressions:
                stored = session._state.stored_or_raise(parts)
                given = pairs(action.find_all(g.Property))
                session._state.store.create_table(replace(stored, properties={**stored.properties, **given}), replace=True)
            case Unset():
                stored = session._state.stored_or_raise(parts)
                gone = {key.name for key in action.expressions}
                kept_properties = {key: value for key, value in stored.properties.items() if key not in gone}
                session._state.store.create_table(replace(stored, properties=kept_properties), replace=True)
            case g.AlterColumn() if action.args.get("default") is not None:
                stored = _table(session, parts)
                column = _column(stored, action.name)
                default = default_of(query, column.name, action.args["default"], column.dataType, "ALTER TABLE ALTER COLUMN")
                session._state.store.create_table(replace(stored, defaults={**stored.defaults, column.name: default}), replace=True)
            case g.AlterColumn() if action.args.get("drop"):
                stored = _table(session, parts)
                column = _column(stored, action.name)
                kept = {name: default for name, default in stored.defaults.items() if name != column.name}
                session._state.store.create_table(replace(stored, defaults=kept), replace=True)
            case g.Schema() | g.ColumnDef() if action.find(g.DefaultColumnConstraint) is not None:
                raise unsupported("DEFAULT of a column that is added to a table with rows: add it, then ALTER COLUMN … SET DEFAULT", node)
            case g.Schema():
                _add_columns(session, _table(session, parts), [column_of(item) for item in action.expressions])
            case g.ColumnDef():
                _add_columns(session, _table(session, parts), [column_of(action)])
            case g.DropPartition():
                stored = _table(session, parts)
                for item in action.expressions:
                    _drop_partition(stored, _values(query, item.expressions), bool(action.args.get("exists")))
            case g.AddPartition():
                stored = _table(session, parts)
                _add_partition(stored, _values(query, action.this.expressions), bool(action.args.get("exists")))
            case _:
                raise unsupported("this ALTER: make the table anew with CREATE OR REPLACE TABLE … AS SELECT", node)
    return nothing()


def pairs(items: Iterable[Any]) -> dict[str, str]:
    """`('a' = 'b', c 'd')`."""
    found = {}
    for item in items:
        key, value = item.this, item.args.get("value")
        text = str(bool(value.this)).lower() if isinstance(value, g.Boolean) else value.name if isinstance(value, Node) else str(value)
        found[key.name if isinstance(key, Node) else str(key)] = text
    return found


def _rename(session: Session, old: list[str], new: list[str]) -> None:
    if session._state.temporary(old) is not None and len(old) == 1:
        if new[-1].lower() in session._state.views:
            raise AnalysisException(
                f"Cannot create the temporary view `{new[-1]}` because it already exists.", "TEMP_TABLE_OR_VIEW_ALREADY_EXISTS"
            )
        session._state.views[new[-1].lower()] = session._state.views.pop(old[0].lower())
        return
    stored = session._state.stored_or_raise(old)
    database = new[0] if len(new) > 1 else stored.database
    session._state.store.rename_table(stored, database, new[-1])


def _redefine(session: Session, query: Query, parts: list[str], body: Any) -> None:
    relation = query.read(body)
    if session._state.temporary(parts) is not None:
        session._dataframe(relation).createOrReplaceTempView(f"`{parts[-1]}`")
        return
    stored = session._state.stored_or_raise(parts)
    if stored.view is None:
        raise AnalysisException(f"{stored.full_name} is a table: a view is expected.", "EXPECT_VIEW_NOT_TABLE.NO_ALTERNATIVE")
    schema = session._dataframe(relation).schema
    session._state.store.create_table(replace(stored, view=relation, text=body.sql(dialect="spark"), schema=schema), replace=True)


def _table(session: Session, parts: list[str]) -> Table:
    stored = session._state.stored_or_raise(parts)
    if stored.view is not None:
        raise AnalysisException(f"{stored.full_name} is a view: a table is expected.", "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE")
    return stored


def _column(stored: Table, name: str) -> t.StructField:
    for column in stored.schema:
        if column.name.lower() == name.lower():
            return column
    raise column_not_found(name, stored.schema.names)


def _add_columns(session: Session, stored: Table, columns: Sequence[t.StructField]) -> None:
    """Before the partition columns; null in the rows that are there."""
    known = {name.lower() for name in stored.schema.names}
    for column in columns:
        if column.name.lower() in known:
            raise column_already_exists(column.name)
        known.add(column.name.lower())
    data = [field for field in stored.schema if field.name not in stored.partition_columns]
    keys = [field for field in stored.schema if field.name in stored.partition_columns]
    session._state.store.create_table(replace(stored, schema=t.StructType([*data, *columns, *keys])), replace=True)


# ---- partitions ----


def _values(query: Query, items: Sequence[Node]) -> dict[str, str | None]:
    """What is said of partition columns; None: it is null."""
    reader = query.reader(())
    found: dict[str, str | None] = {}
    for item in items:
        value = reader.read(item.expression) if isinstance(item, g.EQ) else None
        if not isinstance(value, e.Literal):
            raise unsupported("a partition that is not told by `column = constant`", item)
        found[item.this.name] = None if value.value is None else str(value.value)
    return found


def _checked(stored: Table, values: dict[str, str | None], whole: bool) -> dict[str, str | None]:
    """By the table's names of the columns."""
    if not stored.partition_columns:
        raise AnalysisException(
            f"The table {stored.full_name} is not partitioned.", "INVALID_PARTITION_OPERATION.PARTITION_SCHEMA_IS_EMPTY"
        )
    names = {name.lower(): name for name in stored.partition_columns}
    strange = [name for name in values if name.lower() not in names]
    if strange or (whole and len(values) != len(names)):
        raise AnalysisException(
            f"The partition ({', '.join(values)}) does not fit the partition columns ({', '.join(stored.partition_columns)}) of "
            f"{stored.full_name}.",
            "PARTITIONS_NOT_FOUND" if strange else "INVALID_PARTITION_OPERATION.PARTITION_MANAGEMENT_IS_UNSUPPORTED",
        )
    return {names[name.lower()]: value for name, value in values.items()}


_NULL = "__HIVE_DEFAULT_PARTITION__"


def _drop_partition(stored: Table, values: dict[str, str | None], if_exists: bool) -> None:
    wanted = _checked(stored, values, whole=False)
    root = Path(stored.location)
    found = []
    for folder in root.glob("/".join(f"{column}=*" for column in stored.partition_columns)):
        pairs = (part.partition("=")[::2] for part in folder.relative_to(root).parts)
        there = {name: None if value == _NULL else urllib.parse.unquote(value) for name, value in pairs}
        if all(there.get(name) == value for name, value in wanted.items()):
            found.append(folder)
    if not found and not if_exists:
        shown = ", ".join(f"`{name}` = {value}" for name, value in wanted.items())
        text = f"The partition(s) PARTITION ({shown}) cannot be found in table {stored.full_name}."
        raise AnalysisException(text, "PARTITIONS_NOT_FOUND")
    for folder in found:
        shutil.rmtree(folder)


def _add_partition(stored: Table, values: dict[str, str | None], if_missing: bool) -> None:
    wanted = _checked(stored, values, whole=True)
    parts = (f"{name}={_NULL if wanted[name] is None else urllib.parse.quote(str(wanted[name]))}" for name in stored.partition_columns)
    folder = Path(stored.location, *parts)
    if folder.is_dir() and not if_missing:
        shown = ", ".join(f"`{name}` = {value}" for name, value in wanted.items())
        raise AnalysisException(
            f"Cannot ADD or RENAME TO partition(s) PARTITION ({shown}) in table {stored.full_name} because they already exist.",
            "PARTITIONS_ALREADY_EXIST",
        )
    folder.mkdir(parents=True, exist_ok=True)
