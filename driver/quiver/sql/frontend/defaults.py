"""What columns of tables hold where an INSERT says nothing of them, or DEFAULT: said in CREATE TABLE and ALTER COLUMN."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.sql import types as t
from quiver.sql.analysis.typing import type_of
from quiver.sql.errors import AnalysisException
from quiver.sql.frontend.queries import Query
from quiver.sql.frontend.types import type_of_node
from quiver.sql.metastore import Default, Table
from quiver.sql.table_writes import can_store
from quiver.sql.tree import expressions as e

_GENERATED = (g.GeneratedAsIdentityColumnConstraint, g.GeneratedAsRowColumnConstraint, g.ComputedColumnConstraint)


def defaults_of(query: Query, columns: Sequence[Node], name: str) -> dict[str, Default]:
    """By the columns' names. Raises AnalysisException for generated columns and for what is no default of its column's type."""
    found = {}
    for column in columns:
        for constraint in column.args.get("constraints") or []:
            if isinstance(constraint.kind, _GENERATED):
                raise AnalysisException(
                    f"The feature is not supported: Table {name} does not support generated or identity columns. Please compute the "
                    "column where rows are inserted.",
                    "UNSUPPORTED_FEATURE.TABLE_OPERATION",
                )
            if isinstance(constraint.kind, g.DefaultColumnConstraint):
                found[column.name] = default_of(query, column.name, constraint.kind.this, type_of_node(column.args["kind"]), "CREATE TABLE")
    return found


def default_of(query: Query, column: str, node: Node, kind: t.DataType, statement: str) -> Default:
    """A default as it is written. Raises AnalysisException INVALID_DEFAULT_VALUE."""
    text = node.sql(dialect="spark")

    def refused(why: str, condition: str) -> AnalysisException:
        return AnalysisException(
            f"Failed to execute {statement} command because the destination column or variable `{column}` has a DEFAULT value {text}, "
            f"{why}.",
            f"INVALID_DEFAULT_VALUE.{condition}",
        )

    if node.find(g.Query) is not None:
        raise refused("which contains subquery expressions", "SUBQUERY_EXPRESSION")
    value = query.reader(()).read(node)
    try:
        given = type_of(query.analyser.resolve(value, ()))
    except AnalysisException:
        raise refused("which is not a constant expression whose value is known when rows are inserted", "NOT_CONSTANT") from None
    if not can_store(given, kind):
        shown = f'"{kind.simpleString().upper()}" type, but the statement provided a value of incompatible "{given.simpleString().upper()}"'
        raise refused(f"which requires {shown} type", "DATA_TYPE")
    return Default(text, e.Cast(value, kind), node)


def with_defaults(source: Node, table: Table, columns: Sequence[str]) -> Node:
    """The rows of an INSERT with what DEFAULT stands for in the table's columns. Raises AnalysisException for DEFAULT within more."""
    names = [name.lower() for name in columns or table.schema.names]
    defaults = {name.lower(): default for name, default in table.defaults.items()}
    if not isinstance(source, g.Values | g.Select) or not any(map(_is_default, source.find_all(g.Var, g.Column))):
        return source
    source = source.copy()
    for row in source.expressions if isinstance(source, g.Values) else [source]:
        for place, cell in enumerate(row.expressions if isinstance(row, g.Tuple | g.Select) else [row]):
            if _is_default(cell):
                default = defaults.get(names[place]) if place < len(names) else None
                cell.replace(g.Null() if default is None else default.node.copy())
    if any(map(_is_default, source.find_all(g.Var, g.Column))):
        raise AnalysisException(
            "A DEFAULT keyword is only allowed as a value of its own, not within an expression.", "DEFAULT_PLACEMENT_INVALID"
        )
    return source


def _is_default(node: Node) -> bool:
    if isinstance(node, g.Column):
        return len(node.parts) == 1 and isinstance(node.this, g.Identifier) and not node.this.quoted and node.name.upper() == "DEFAULT"
    return isinstance(node, g.Var) and node.name.upper() == "DEFAULT"
