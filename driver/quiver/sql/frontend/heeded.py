"""What of sqlglot's trees is heeded: it reads clauses of many dialects, and one that nothing here reads is refused, never dropped. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.sql.errors import ParseException
from quiver.sql.frontend.nodes import CopyTo, TableOf

_PLAIN = frozenset({"this", "expression", "expressions", "alias", "negate"})
"""Heeded of every kind of node that has no row of its own."""
_MODIFIERS = "with_ order sort cluster distribute limit offset"
_HEEDED: dict[type[Any], str] = {
    # Queries.
    g.Select: f"expressions hint distinct from_ joins laterals where group having qualify windows {_MODIFIERS}",
    **dict.fromkeys((g.Union, g.Except, g.Intersect), f"this expression distinct by_name {_MODIFIERS}"),
    g.Subquery: f"this alias joins pivots sample {_MODIFIERS}",
    g.Values: "expressions alias joins pivots sample order sort cluster distribute limit offset",
    g.With: "expressions recursive",
    g.CTE: "this alias",
    g.Distinct: "expressions on",
    g.Group: "expressions all rollup cube grouping_sets",
    g.Limit: "expression limit_options",
    g.LimitOptions: "rows",
    g.Fetch: "count direction limit_options",
    g.Offset: "expression",
    g.Ordered: "this desc nulls_first",
    # FROM.
    g.Table: "this db catalog alias joins laterals pivots sample partition version when",
    g.TableAlias: "this columns",
    g.Join: "this side kind method on using",
    g.Unnest: "expressions alias offset",
    g.Lateral: "this view outer alias",
    g.TableSample: "percent size seed bucket_numerator bucket_denominator bucket_field",
    g.Pivot: "alias columns expressions fields include_nulls unpivot pivot_column_naming identify_pivot_strings prefixed_pivot_columns "
    "value_columns_first",
    # Expressions.
    g.Identifier: "this quoted",
    g.Column: "this table db catalog",
    g.Star: "except_ replace rename",
    g.Literal: "this is_string",
    g.Placeholder: "this widget kind jdbc",
    **dict.fromkeys((g.Cast, g.TryCast), "this to safe"),
    g.DataType: "this expressions nested kind",
    g.DataTypeParam: "this",
    g.Interval: "this unit",
    g.Case: "this ifs default",
    g.If: "this true",
    g.Between: "this low high",
    g.In: "this expressions query",
    g.Div: "this expression typed safe",
    g.Concat: "expressions safe coalesce",
    g.DPipe: "this expression safe",
    g.Array: "expressions bracket_notation",
    g.AtTimeZone: "this zone",
    g.Trim: "this expression position",
    g.Substring: "this start length",
    g.Overlay: "this expression from_ for_",
    g.StrPosition: "this substr",
    g.Window: "this partition_by order spec alias over",
    g.WindowSpec: "kind start start_side end end_side",
    # Commands.
    g.Create: "this kind expression exists replace properties",
    g.ColumnDef: "this kind constraints",
    g.ColumnConstraint: "kind",
    g.GeneratedAsIdentityColumnConstraint: "this expression start increment minvalue maxvalue cycle order on_null",
    g.FileFormatProperty: "this hive_format",
    g.ClusteredByProperty: "expressions sorted_by buckets",
    g.Property: "this value",
    g.Insert: "this expression source overwrite by_name partition with_ where conflict",
    CopyTo: "this to stored partition options",
    TableOf: "this partition order single",
    g.Drop: "this tables kind exists temporary purge",
    g.UserDefinedFunction: "this expressions wrapped",
    g.Cache: "this expression lazy options",
    g.Uncache: "this exists",
    g.Refresh: "this kind",
    g.TruncateTable: "expressions partition",
    g.Comment: "this kind expression",
    g.Alter: "this kind actions",
    g.AlterColumn: "this default drop dtype using comment allow_null visible rename_to",
    g.AddPartition: "this exists",
    g.DropPartition: "expressions exists",
}
_ROWS = {kind: frozenset(names.split()) for kind, names in _HEEDED.items()}
_PROPERTIES = (
    g.FileFormatProperty, g.PartitionedByProperty, g.ClusteredByProperty, g.LocationProperty, g.SchemaCommentProperty, g.OptionsProperty,
    g.TemporaryProperty, g.GlobalProperty, g.LikeProperty, g.ExternalProperty, g.ReturnsProperty, g.LanguageProperty,
    g.StabilityProperty, g.SqlReadWriteProperty,
)  # fmt: skip
_CONSTRAINTS = (
    g.NotNullColumnConstraint, g.CommentColumnConstraint, g.DefaultColumnConstraint, g.GeneratedAsIdentityColumnConstraint,
    g.GeneratedAsRowColumnConstraint, g.ComputedColumnConstraint,
)  # fmt: skip
_VALUES: dict[tuple[type[Any], str], Callable[[Node, Any], bool]] = {
    (g.Join, "method"): lambda node, value: str(value).upper() == "NATURAL",
    (g.Join, "side"): lambda node, value: str(value).upper() in ("LEFT", "RIGHT", "FULL"),
    (g.Join, "kind"): lambda node, value: str(value).upper() in ("INNER", "OUTER", "CROSS", "SEMI", "ANTI"),
    (g.WindowSpec, "kind"): lambda node, value: str(value).upper() in ("ROWS", "RANGE"),
    (g.Window, "over"): lambda node, value: str(value).upper() == "OVER",
    (g.TableAlias, "columns"): lambda node, value: all(isinstance(column, g.Identifier) for column in value),
    (g.Table, "partition"): lambda node, value: node.find_ancestor(g.Query) is None,
    (g.Properties, "expressions"): lambda node, value: all(type(item) is g.Property or isinstance(item, _PROPERTIES) for item in value),
    (g.ColumnConstraint, "kind"): lambda node, value: isinstance(value, _CONSTRAINTS) and not value.args.get("allow_null"),
}
"""Arguments of which only some values are heeded."""
_REFUSED = (
    g.Delete, g.Update, g.Merge, g.Command, g.Set, g.Use, g.Describe, g.LoadData, g.MultitableInserts, g.Analyze, g.AlterSet, g.JSONExtract,
    g.JSONExtractScalar, g.Index, g.Version,
)  # fmt: skip
"""Nodes that are refused as they are, or of which nothing but names is asked."""


def check_heeded(statement: Node) -> None:
    """Raises ParseException PARSE_SYNTAX_ERROR for the first clause of a statement that nothing here reads."""
    for node in cast("Iterator[Node]", statement.walk(prune=lambda found: isinstance(found, _REFUSED))):
        kind = type(node)
        if kind in _REFUSED:
            continue
        heeded = _ROWS.get(kind, _PLAIN)
        for name, value in node.args.items():
            if value is None or value is False or value == [] or value == "":
                continue
            test = _VALUES.get((kind, name))
            if name not in heeded or (test is not None and not test(node, value)):
                raise _refused(node, name, value)


def _refused(node: Node, name: str, value: Any) -> ParseException:
    clause = f"{name.strip('_').replace('_', ' ').upper()}{f' {value.upper()}' if isinstance(value, str) else ''}"
    text = f"Syntax error: {clause} of {type(node).__name__} is not understood. Please leave it out of: {node.sql(dialect='spark')}"
    return ParseException(text, "PARSE_SYNTAX_ERROR")
