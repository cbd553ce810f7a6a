"""PIVOT and UNPIVOT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.sql import types as t
from quiver.sql.analysis import pivoting
from quiver.sql.analysis.aggregation import has_aggregate
from quiver.sql.analysis.coercion import common_type
from quiver.sql.analysis.implicit_casts import as_type
from quiver.sql.analysis.pretty import output_name, pretty
from quiver.sql.errors import AnalysisException
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import all_of, walk

if TYPE_CHECKING:
    from quiver.sql.frontend.queries import Query


def pivoted(query: Query, source: r.Relation, node: g.Pivot) -> r.Relation:
    """Each aggregate once for each of the listed values; what neither it nor the pivot names is grouped by."""
    analyser = query.analyser
    reader = query.reader(source.output)
    aggregates = [reader.read(item) for item in node.expressions]
    for aggregate in aggregates:
        if not has_aggregate(aggregate):
            raise AnalysisException(
                f'Aggregate expression required for pivot, but "{output_name(aggregate)}" did not appear in any aggregate function.',
                "PIVOT_AGGREGATE_REQUIRED",
            )
    (listed,) = node.args["fields"]
    keys = [reader.read(item) for item in (listed.this.expressions if isinstance(listed.this, g.Tuple) else [listed.this])]
    resolved = [analyser.resolve(part, source.output, query.outer) for part in (*aggregates, *keys)]
    used = {found.id for part in resolved for found in walk(part) if isinstance(found, e.Attribute)}
    groups: list[e.Expression] = [column for column in source.output if column.id not in used]
    choices = []
    for item in listed.expressions:
        values = [reader.read(cell) for cell in _cells(item)]
        if len(values) != len(keys):
            raise AnalysisException("The values of PIVOT are not as many as its columns.", "PIVOT_VALUE_DATA_TYPE_MISMATCH")
        label = item.alias if isinstance(item, g.PivotAlias) else _label(values)
        choices.append((label, all_of([e.Call("<=>", pair) for pair in zip(keys, values, strict=True)])))
    return analyser.aggregate(source, groups, [*groups, *pivoting.pivoted(choices, aggregates)], None, query.outer)


def _cells(item: Node) -> list[Node]:
    inner = item.this if isinstance(item, g.PivotAlias) else item
    return list(inner.expressions) if isinstance(inner, g.Tuple) else [inner]


def _label(values: list[e.Expression]) -> str:
    parts = ["null" if isinstance(value, e.Literal) and value.value is None else pretty(value) for value in values]
    return parts[0] if len(parts) == 1 else f"{{{', '.join(parts)}}}"


def unpivoted(query: Query, source: r.Relation, node: g.Pivot) -> r.Relation:
    """A row for each of the listed columns (or lists of columns): its name and its values."""
    analyser = query.analyser
    (heads,) = node.expressions
    value_names = [item.name for item in heads.expressions] if isinstance(heads, g.Tuple) else [heads.name]
    (listed,) = node.args["fields"]
    reader = query.reader(source.output)
    options: list[tuple[str, list[e.Attribute]]] = []
    for item in listed.expressions:
        columns = []
        for cell in _cells(item):
            column = analyser.resolve(reader.read(cell), source.output)
            if not isinstance(column, e.Attribute):
                raise AnalysisException("UNPIVOT requires all given expressions to be columns.", "UNPIVOT_REQUIRES_ATTRIBUTES")
            columns.append(column)
        if len(columns) != len(value_names):
            raise AnalysisException(
                f"All unpivot value columns must have the same size as there are value column names ({', '.join(value_names)}).",
                "UNPIVOT_VALUE_SIZE_MISMATCH",
            )
        label = item.alias if isinstance(item, g.PivotAlias) else "_".join(column.name for column in columns)
        options.append((label, columns))
    kinds = []
    for position, name in enumerate(value_names):
        kind = common_type([columns[position].type for _, columns in options])
        if kind is None:
            raise AnalysisException(f"Unpivot value columns must share a least common type: `{name}`.", "UNPIVOT_VALUE_DATA_TYPE_MISMATCH")
        kinds.append(kind)
    used = {column.id for _, columns in options for column in columns}
    kept = [column for column in source.output if column.id not in used]
    branches: list[r.Relation] = []
    for label, columns in options:
        items: list[e.Expression] = [*kept, e.Alias(e.Literal(label, t.StringType()), listed.this.name)]
        items += [e.Alias(as_type(column, kind), name) for column, kind, name in zip(columns, kinds, value_names, strict=True)]
        branches.append(analyser.project(source, items))
    result: r.Relation = analyser.union(branches)
    if not node.args.get("include_nulls"):
        values = result.output[-len(value_names) :]
        present: e.Expression = e.Call("isnotnull", (values[0],))
        for value in values[1:]:
            present = e.Call("or", (present, e.Call("isnotnull", (value,))))
        result = analyser.filter(result, present)
    return result
