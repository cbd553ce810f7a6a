"""Statements that make tables and views that there are."""

from __future__ import annotations

from collections.abc import Iterable

from quiver.redacting import shown
from quiver.sql import types as t
from quiver.sql.ddl import type_ddl
from quiver.sql.metastore import CATALOG, Table


def create_statement(stored: Table) -> str:
    """CREATE TABLE or CREATE VIEW, as Catalog.getCreateTableString and SHOW CREATE TABLE give it."""
    name = f"{CATALOG}.{stored.database}.{stored.name}"
    if stored.view is not None:
        return f"CREATE VIEW {name} (\n  {(',' + chr(10) + '  ').join(stored.schema.names)})\nAS {stored.text}\n"
    columns = ",\n  ".join(
        f"{f.name} {type_ddl(f.dataType)}{'' if f.nullable else ' NOT NULL'}"
        f"{f' DEFAULT {stored.defaults[f.name].text}' if f.name in stored.defaults else ''}"
        f"{_comment(f)}"
        for f in stored.schema
    )
    text = f"CREATE TABLE {name} (\n  {columns})\nUSING {stored.provider}\n"
    if stored.options:
        text += f"OPTIONS (\n  {_pairs(stored.options.items())})\n"
    if stored.partition_columns:
        text += f"PARTITIONED BY ({', '.join(stored.partition_columns)})\n"
    if stored.external:
        text += f"LOCATION '{stored.location}'\n"
    if stored.description:
        text += f"COMMENT '{stored.description}'\n"
    if stored.properties:
        text += f"TBLPROPERTIES (\n  {_pairs(stored.properties.items())})\n"
    return text


def _comment(column: t.StructField) -> str:
    text = column.metadata.get("comment")
    return "" if text is None else " COMMENT '" + str(text).replace("'", "\\'") + "'"


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return ",\n  ".join(f"'{key}' = '{shown(key, value)}'" for key, value in sorted(pairs))
