"""FROM: tables, subqueries, VALUES, functions that give tables, joins, LATERAL, samples, PIVOT and UNPIVOT."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.sql import types as t
from quiver.sql.analysis.coercion import common_type
from quiver.sql.analysis.decorrelation import lateral
from quiver.sql.analysis.generators import is_generator
from quiver.sql.analysis.implicit_casts import as_type
from quiver.sql.analysis.rewriting import merged_projection, parts
from quiver.sql.analysis.volatile import any_volatile
from quiver.sql.constant_rows import local_rows
from quiver.sql.errors import AnalysisException, ParseException
from quiver.sql.frontend import datafusion, hints, pivots
from quiver.sql.frontend.constants import folded
from quiver.sql.frontend.dialect import unsupported
from quiver.sql.frontend.table_arguments import user_rows
from quiver.sql.registry.model import lookup
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    from quiver.sql.frontend.queries import Query

_SIDES = {"LEFT": "left", "RIGHT": "right", "FULL": "full"}


def from_clause(query: Query, node: g.Select) -> r.Relation:
    """What a SELECT reads from, with its joins and LATERAL VIEWs; one row of nothing without FROM."""
    from_ = node.args.get("from_")
    around, query.join_hints = query.join_hints, hints.joins(node)
    try:
        source: r.Relation = one_row() if from_ is None else _joined(query, None, from_.this)
        for join in node.args.get("joins") or []:
            source = _join(query, source, join)
    finally:
        query.join_hints = around
    for view in node.args.get("laterals") or []:
        source = _lateral_view(query, source, view)
    return source


def one_row() -> r.Local:
    """One row without columns."""
    import pyarrow as pa

    return r.Local(pa.table({"#none": pa.array([None], pa.null())}), ())


def relation(query: Query, node: Node) -> r.Relation:
    """What one item of FROM gives."""
    match node:
        case g.Table():
            result = _table(query, node)
        case g.Subquery():
            result = relation(query, node.this) if isinstance(node.this, g.Table) else query.read(node.this)
        case g.Values():
            result = _values(query, node)
        case g.Lateral():
            return _lateral(query, one_row(), node, "inner", None)
        case g.Unnest():
            return _lateral(query, one_row(), datafusion.as_rows(node), "inner", None)
        case _:
            raise unsupported("reading from this", node)
    for join in node.args.get("joins") or [] if isinstance(node, g.Subquery) else []:
        result = _join(query, result, join)
    result = _sampled(query, _named(query, result, node), node.args.get("sample"))
    for pivot in node.args.get("pivots") or []:
        result = pivots.unpivoted(query, result, pivot) if pivot.args.get("unpivot") else pivots.pivoted(query, result, pivot)
        result = _named(query, result, pivot)
    if isinstance(node, g.Table):
        for join in node.args.get("joins") or []:
            result = _join(query, result, join)
        for view in node.args.get("laterals") or []:
            result = _lateral_view(query, result, view)
    return result


def _named(query: Query, result: r.Relation, node: Node) -> r.Relation:
    alias = node.args.get("alias")
    if alias is not None and (alias.name or alias.columns):
        result = query.analyser.alias(result, alias.name or "", [column.name for column in alias.columns])
    name = alias.name if alias is not None and alias.name else node.name if isinstance(node, g.Table) else ""
    hint = query.join_hints.get(name.lower())
    return result if hint is None else r.Hint(result, hint)


def _table(query: Query, node: g.Table) -> r.Relation:
    if node.args.get("version") is not None or node.args.get("when") is not None:
        raise unsupported("time travel", node)
    if isinstance(node.this, g.Anonymous):
        name, args = node.this.name, node.this.expressions
        if name.lower() != "identifier":
            return table_function(query, name, args)
        parts = query.reader(()).identifier(args)
    else:
        parts = tuple(part.name for part in node.parts)
    found = query.named.get(parts[0].lower()) if len(parts) == 1 else None
    if found is not None:
        return query.analyser.alias(found, parts[0])
    return query.catalogue.table(parts)


def table_function(query: Query, name: str, args: Sequence[Node]) -> r.Relation:
    """`range(…)`, or a generator over one row."""
    analyser = query.analyser
    reader = query.reader(())
    made: r.Relation | None = user_rows(query, name, args)
    if made is not None:
        return made
    if name.lower() == "range":
        values = [folded(reader.read(argument)) for argument in args]
        if not 1 <= len(values) <= 4 or not all(isinstance(value, int) for value in values):
            raise AnalysisException("range(start, end, step, partitions) takes up to four integers.", "UNRESOLVABLE_TABLE_VALUED_FUNCTION")
        numbers = [value for value in values if isinstance(value, int)]
        first, last = (0, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])
        step = numbers[2] if len(numbers) > 2 else 1
        if step == 0:
            raise AnalysisException("The step of range can't be 0.", "UNRESOLVABLE_TABLE_VALUED_FUNCTION")
        column = e.Attribute(analyser.fresh(), "id", t.LongType(), False)
        return r.Span(first, last, step, (column,), numbers[3] if len(numbers) > 3 else None)
    if name.lower() == "generate_series":
        return _series(query, args)
    call = reader.read(g.Anonymous(this=name, expressions=[argument.copy() for argument in args]))
    if not (isinstance(call, e.Call) and lookup(call.name) and is_generator(call)):
        raise AnalysisException(f"Could not resolve `{name}` to a table-valued function.", "UNRESOLVABLE_TABLE_VALUED_FUNCTION")
    made = analyser.generate(one_row(), call, outer=query.outer)
    return r.Project(made, made.output)


def _series(query: Query, args: Sequence[Node]) -> r.Relation:
    """`generate_series(first, last, step)`: of whole numbers a range that has its last, of others the items of an array."""
    reader = query.reader(())
    values = [reader.read(argument) for argument in args]
    numbers = [value.value for value in values if isinstance(value, e.Literal) and isinstance(value.value, int)]
    if not 1 <= len(numbers) == len(values) <= 3 or numbers[2:] == [0]:
        call = reader.read(datafusion.as_rows(g.Anonymous(this="generate_series", expressions=[argument.copy() for argument in args])))
        made = query.analyser.generate(one_row(), call, ["value"], outer=query.outer)
        return r.Project(made, made.output)
    first, last, step = (0, *numbers, 1) if len(numbers) == 1 else (*numbers, 1)[:3]
    column = e.Attribute(query.analyser.fresh(), "value", t.LongType(), False)
    return r.Span(first, last + (1 if step > 0 else -1), step, (column,), None)


def _values(query: Query, node: g.Values) -> r.Relation:
    reader = query.reader(())
    rows: list[list[e.Expression]] = []
    for row in node.expressions:
        cells = row.expressions if isinstance(row, g.Tuple) else [row.this] if isinstance(row, g.Paren) else [row]
        if rows and len(cells) != len(rows[0]):
            raise AnalysisException(
                "An inline table needs rows of the same number of columns.", "INVALID_INLINE_TABLE.NUM_COLUMNS_MISMATCH"
            )
        rows.append([reader.read(cell) for cell in cells])
    made = _constants(query, rows) if len(rows) > 1 else None
    if made is not None:
        return made
    branches = [
        query.analyser.project(one_row(), [e.Alias(cell, f"col{number}") for number, cell in enumerate(row, 1)], query.outer)
        for row in rows
    ]
    if len(branches) == 1:
        return branches[0]
    union = query.analyser.union(branches)
    items = [merged_projection(branch)[1] for branch in branches]
    return local_rows(items, union.columns) or _by_number(query, union)


def _constants(query: Query, rows: Sequence[Sequence[e.Expression]]) -> r.Relation | None:
    """Rows of plain constants as one piece. None for others, also where their types don't fit together."""
    columns = []
    for number, cells in enumerate(zip(*rows), 1):
        literals = [cell for cell in cells if isinstance(cell, e.Literal)]
        kind = common_type(list(dict.fromkeys(cell.type for cell in literals))) if len(literals) == len(cells) else None
        if kind is None:
            return None
        nullable = any(cell.value is None for cell in literals)
        columns.append(e.Attribute(query.analyser.fresh(), f"col{number}", kind, nullable))
    return local_rows(rows, tuple(columns))


_MOST_NUMBERED = 200


def _by_number(query: Query, union: r.Union) -> r.Relation:
    """Rows of constant expressions: each column tells by the row's number what is in it. Rows of a union have no order.

    As they are where there are too many for that, or where they refer to a query around.
    """
    rows = [merged_projection(branch) for branch in union.branches]
    cells = [[item.child if isinstance(item, e.Alias) else item for item in items] for _, items in rows]
    if any(any_volatile(row) for row in cells):
        raise AnalysisException(
            "Cannot evaluate an expression of an inline table: it is not the same each time.",
            "INVALID_INLINE_TABLE.CANNOT_EVALUATE_EXPRESSION_IN_INLINE_TABLE",
        )
    plain = all(isinstance(source, r.Local) and not source.columns for source, _ in rows)
    if (
        len(rows) > _MOST_NUMBERED
        or not plain
        or any(isinstance(part, r.Relation) for row in cells for cell in row for part in parts(cell))
    ):
        return union
    import pyarrow as pa

    number = e.Attribute(query.analyser.fresh(), "#row", t.LongType(), False)
    source = r.Local(pa.table({"#row": pa.array(range(len(rows)), pa.int64())}), (number,))
    columns = []
    for place, column in enumerate(union.columns):
        *others, last = (as_type(row[place], column.type) for row in cells)
        branches = tuple((e.Call("=", (number, e.Literal(row, t.LongType()))), cell) for row, cell in enumerate(others))
        columns.append(e.Alias(e.Case(branches, last), column.name, column.id))
    return r.Project(source, tuple(columns))


# ---- joins ----


def _joined(query: Query, left: r.Relation | None, node: Node) -> r.Relation:
    if isinstance(node, g.Lateral):
        return _lateral(query, left or one_row(), node, "inner", None)
    return relation(query, node)


def _join(query: Query, left: r.Relation, join: g.Join) -> r.Relation:
    analyser = query.analyser
    side, kind = (join.side or "").upper(), (join.kind or "").upper()
    on, using = join.args.get("on"), join.args.get("using")
    natural = (join.method or "").upper() == "NATURAL"
    if natural and kind == "CROSS":
        raise ParseException(
            "The join types NATURAL and CROSS are incompatible.", "INCOMPATIBLE_JOIN_TYPES", {"joinType1": "NATURAL", "joinType2": "CROSS"}
        )
    if kind in ("SEMI", "ANTI"):
        how = kind.lower()
    else:
        how = _SIDES.get(side, "cross" if kind == "CROSS" or (on is None and not using) else "inner")
    if isinstance(join.this, g.Unnest):
        join = join.copy()
        join.set("this", datafusion.as_rows(join.this))
    if isinstance(join.this, g.Lateral):
        if using or (join.method or ""):
            raise unsupported("USING or NATURAL with LATERAL", join)
        return _lateral(query, left, join.this, "inner" if how == "cross" else how, on)
    right = relation(query, join.this)
    if using or natural:
        names = [column.name for column in using or []]
        if natural:
            taken = {analyser.fold(column.name) for column in right.output}
            names = [column.name for column in left.output if analyser.fold(column.name) in taken]
        how = "inner" if how == "cross" else how
        if not names:
            return analyser.join(left, right, "cross" if how == "inner" else how, outer=query.outer)
        return analyser.join(left, right, how, using=names, outer=query.outer, hidden=True)
    right = analyser.distinct_from(right, left.output)
    condition = None if on is None else query.reader((*left.output, *right.output)).read(on)
    return analyser.join(left, right, how, condition, outer=query.outer)


# ---- LATERAL ----


def _lateral_view(query: Query, source: r.Relation, view: g.Lateral) -> r.Relation:
    alias = view.args.get("alias")
    columns = [column.name for column in alias.columns] if alias is not None else []
    name = alias.name if alias is not None else ""
    keeps = bool(view.args.get("outer"))
    made = user_rows(query, view.this.name, view.this.expressions, source, name, columns, keeps) if _is_call(view.this) else None
    if made is not None:
        return made
    call = query.reader(source.output).read(view.this)
    if not is_generator(call):
        raise AnalysisException("LATERAL VIEW takes a generator, such as explode.", "UNSUPPORTED_GENERATOR.NOT_GENERATOR")
    return query.analyser.generate(source, call, columns, name, keeps, query.outer)


def _lateral(query: Query, left: r.Relation, node: Node, how: str, on: Node | None) -> r.Relation:
    """A subquery or generator for each row of the left side."""
    analyser = query.analyser
    alias = node.args.get("alias")
    name = alias.name if alias is not None else ""
    columns = [column.name for column in alias.columns] if alias is not None else []
    if how not in ("inner", "left"):
        raise AnalysisException(f"{how.upper()} JOIN is not supported with LATERAL.", "INVALID_LATERAL_JOIN_TYPE")
    if isinstance(node.this, g.Subquery | g.Select):
        right = query.inner(node.this, left.output)
        if name or columns:
            right = analyser.alias(right, name, columns)
        right = analyser.distinct_from(right, left.output)
        condition: e.Expression | None = None
        if on is not None:
            scope = (*left.output, *right.output)
            condition = analyser.resolve(query.reader(scope).read(on), scope, query.outer)
        return lateral(analyser, left, right, how, condition)
    always = on is None or (isinstance(on, g.Boolean) and bool(on.this))
    if how == "left" and not always:
        raise unsupported("LEFT JOIN LATERAL of a function with a condition", node)
    made = user_rows(query, node.this.name, node.this.expressions, left, name, columns, how == "left") if _is_call(node.this) else None
    if made is not None:
        return made if always or on is None else analyser.filter(made, query.reader(made.output).read(on), query.outer)
    call = query.reader(left.output).read(datafusion.as_rows(node.this))
    if not is_generator(call):
        raise AnalysisException(f"Could not resolve `{node.this.name}` to a table-valued function.", "UNRESOLVABLE_TABLE_VALUED_FUNCTION")
    result = analyser.generate(left, call, columns, name, how == "left", query.outer)
    return result if always or on is None else analyser.filter(result, query.reader(result.output).read(on), query.outer)


def _is_call(node: Node) -> bool:
    return isinstance(node, g.Anonymous)


# ---- samples ----


def _sampled(query: Query, source: r.Relation, sample: g.TableSample | None) -> r.Relation:
    if sample is None:
        return source
    reader = query.reader(())
    seed = sample.args.get("seed")
    number = int(str(folded(reader.read(seed)))) if seed is not None else random.randrange(2**31)
    if (percent := sample.args.get("percent")) is not None:
        share = float(str(folded(reader.read(percent)))) / 100
    elif (size := sample.args.get("size")) is not None:
        return r.Limit(source, int(str(folded(reader.read(size)))))
    elif sample.args.get("bucket_numerator") is not None and sample.args.get("bucket_field") is None:
        taken, of = (int(sample.args[key].name) for key in ("bucket_numerator", "bucket_denominator"))
        share = taken / of
    else:
        raise unsupported("this kind of TABLESAMPLE", sample)
    if not 0 <= share <= 1:
        raise AnalysisException(f"Sampling fraction ({share}) must be on interval [0, 1].", "INVALID_SAMPLING_FRACTION")
    return r.Sample(source, share, False, number)
