"""What DataFusion's SQL has and Spark's has not, in our trees. What both have means what it does in Spark: subscripts count from 0, nulls
are smallest, array_agg leaves them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.sql import types as t
from quiver.sql.analysis.scopes import position
from quiver.sql.errors import AnalysisException
from quiver.sql.frontend.dialect import parsed, unsupported
from quiver.sql.frontend.within_group import within_group
from quiver.sql.registry.model import DESCENDING
from quiver.sql.tree import expressions as e

if TYPE_CHECKING:
    from quiver.sql.frontend.expressions import Reader

_ROWS_IN_ORDER = frozenset({"first", "first_value", "any_value", "last", "last_value", "collect_list", "array_agg"})
_INSTEAD = {
    "arrow_cast": "use CAST, or TRY_CAST",
    "arrow_typeof": "use typeof",
    "nth_value": "use element_at(array_agg(… ORDER BY …), n)",
}


def expression(reader: Reader, node: Node) -> e.Expression:
    """An expression that Spark's SQL has not. Raises ParseException where DataFusion's has it neither."""
    match node:
        case g.RegexpILike():
            pattern = reader.read(node.expression)
            return e.Call("rlike", (reader.read(node.this), _joined(_string("(?i)"), pattern)))
        case g.SimilarTo():
            pattern = reader.read(node.expression)
            if not isinstance(pattern, e.Literal) or not isinstance(pattern.value, str):
                raise unsupported("SIMILAR TO with a pattern that is no constant: use rlike", node)
            return e.Call("rlike", (reader.read(node.this), _string(similar(pattern.value))))
        case g.Array():
            return e.Call("array", tuple(map(reader.read, node.expressions)))
        case g.Heredoc():
            return _string(str(node.this))
        case g.AtTimeZone():
            return e.Call("at time zone", (reader.read(node.this), reader.read(node.args["zone"])))
        case g.Struct() if all(isinstance(item, g.PropertyEQ) and not isinstance(item.this, g.Identifier) for item in node.expressions):
            return e.Call("map", tuple(reader.read(part) for item in node.expressions for part in (item.this, item.expression)))
        case _:
            raise unsupported(f"the expression {type(node).__name__}", node)


def _string(value: str) -> e.Literal:
    return e.Literal(value, t.StringType())


def _joined(left: e.Literal, right: e.Expression) -> e.Expression:
    if isinstance(right, e.Literal) and isinstance(right.value, str):
        return _string(left.value + right.value)
    return e.Call("concat", (left, right))


def similar(pattern: str) -> str:
    r"""SQL's pattern as a regular expression: `%` and `_` are LIKE's, of the whole text.

    >>> similar("a%(b|c)_.")
    '(?s)^(?:a.*(b|c).\\.)$'
    """
    text, rest, listed = "", pattern, False
    while rest:
        mark, rest = rest[0], rest[1:]
        if mark == "\\" and rest:
            text, rest = text + (rest[0] if rest[0].isalnum() else f"\\{rest[0]}"), rest[1:]
        elif listed:
            listed = mark != "]"
            text += f"\\{mark}" if mark in "[\\&" else mark
        else:
            listed = mark == "["
            text += {"%": ".*", "_": "."}.get(mark, f"\\{mark}" if mark in ".^$\\" else mark)
    return f"(?s)^(?:{text})$"


# ---- aggregates ----


def ordered(reader: Reader, name: str, args: Sequence[Node]) -> e.Expression:
    """`array_agg(x ORDER BY y)`: `args` end in what is ordered, with its keys."""
    *before, last = args
    call = reader.call(name, [*before, last.this])
    keys = tuple(key for item in last.expressions if isinstance(key := reader.read(item), e.SortKey))
    lower = name.lower()
    if isinstance(call, e.Call) and lower in ("listagg", "string_agg"):
        return within_group(call, keys)
    if not isinstance(call, e.Call) or lower not in _ROWS_IN_ORDER:
        raise unsupported(f"ORDER BY within {name}(): its rows have no order; {_INSTEAD.get(lower, 'leave it away')}", last)
    if not call.distinct:
        return replace(call, order=keys)
    if lower not in ("collect_list", "array_agg"):
        raise unsupported(f"DISTINCT with ORDER BY within {name}(): leave DISTINCT away", last)
    if len(keys) != 1 or keys[0].child != call.args[0]:
        raise AnalysisException(
            f"Invalid SQL syntax: of distinct values `{name}` knows no order but their own.",
            "INVALID_SQL_SYNTAX.FUNCTION_WITH_UNSUPPORTED_SYNTAX",
        )
    return replace(call, name=f"collect_list distinct{'' if keys[0].ascending else DESCENDING}")


# ---- functions ----

_NAMES = {
    "approx_distinct": "approx_count_distinct", "array_concat": "concat", "array_has": "array_contains", "array_has_any": "arrays_overlap",
    "array_to_string": "array_join", "ends_with": "endswith", "make_array": "array", "starts_with": "startswith", "today": "current_date",
}  # fmt: skip
"""Functions that Spark names otherwise."""
FUNCTIONS: Final = frozenset({"approx_median", "arrow_cast", "arrow_typeof", "generate_series", "strpos", "unnest", *_NAMES})
"""By names that Spark has not. Those that only compute are in the registry."""


def function(reader: Reader, name: str, args: Sequence[Node]) -> e.Expression:
    """One of FUNCTIONS. Raises ParseException, AnalysisException."""
    if name in _NAMES:
        return reader.call(_NAMES[name], args)
    if name == "strpos" and len(args) == 2:
        return reader.call("locate", [args[1], args[0]])
    operands = tuple(map(reader.read, args))
    if name in _INSTEAD:
        raise unsupported(f"the function {name}: {_INSTEAD[name]}")
    if name == "generate_series":
        return _series(operands)
    if len(operands) != (wanted := 2 if name == "strpos" else 1):
        more = ": make one of several arrays with inline(arrays_zip(…))" if name == "unnest" and operands else ""
        raise AnalysisException(
            f"The `{name}` requires {wanted} parameters but the actual number is {len(operands)}{more}.",
            "WRONG_NUM_ARGS.WITHOUT_SUGGESTION",
        )
    if name == "unnest":
        if reader.unnests:
            raise unsupported("several unnest() in one SELECT: use inline(arrays_zip(…))")
        reader.unnests = True
        return e.Call("explode", operands)
    return e.Call("percentile_approx", (*operands, e.Literal(0.5, t.DoubleType())))


def _series(operands: tuple[e.Expression, ...]) -> e.Expression:
    """From one to the other, both within; empty, unlike Spark's sequence, where the step leads away."""
    zero, one = e.Literal(0, t.IntegerType()), e.Literal(1, t.IntegerType())
    if not 1 <= len(operands) <= 3:
        raise AnalysisException(
            f"The `generate_series` requires 1 to 3 parameters but the actual number is {len(operands)}.",
            "WRONG_NUM_ARGS.WITHOUT_SUGGESTION",
        )
    first, last = (zero, operands[0]) if len(operands) == 1 else operands[:2]
    step = operands[2] if len(operands) == 3 else one
    numbers = e.Call("sequence", (first, last, step))
    if not isinstance(step, e.Literal) or not isinstance(step.value, int) or step.value == 0:
        return numbers
    away = e.Call(">" if step.value > 0 else "<", (first, last))
    return e.Case(((away, e.Call("slice", (e.Call("array", (first, last)), one, zero))),), numbers)


def as_rows(node: Node) -> Node:
    """Of FROM and LATERAL: arrays as the generator of their items; other nodes as they are."""
    if isinstance(node, g.Anonymous) and node.name.lower() == "generate_series":
        return g.Anonymous(this="explode", expressions=[node.copy()])
    if isinstance(node, g.Unnest):
        if node.args.get("offset"):
            raise unsupported("UNNEST WITH ORDINALITY: use posexplode", node)
        args = [argument.copy() for argument in node.expressions]
        call = g.Anonymous(this="explode", expressions=args)
        if len(args) > 1:
            call = g.Anonymous(this="inline", expressions=[g.Anonymous(this="arrays_zip", expressions=args)])
        return g.Lateral(this=call, alias=node.args.get("alias"))
    return node


# ---- comparisons with all rows ----

_SIGNS: dict[type[Node], tuple[str, str, str]] = {
    g.GT: (">", "min", "max"), g.GTE: (">=", "min", "max"), g.LT: ("<", "max", "min"), g.LTE: ("<=", "max", "min"),
}  # fmt: skip
"""The operator; which value of the rows decides for ANY, which for ALL."""


def quantified(reader: Reader, node: Node) -> e.Expression:
    """`x > ANY (query)`, `x > ALL (query)`: null where a row's null leaves it open. `= ANY` is IN, `<> ALL` NOT IN, as Spark has them."""
    every = isinstance(node.expression, g.All)
    query = node.expression.this
    while isinstance(query, g.Subquery | g.Paren) and not query.args.get("alias"):
        query = query.this
    if not isinstance(query, g.Query):
        raise unsupported("ANY and ALL of what is no query: use exists and forall", node)
    if isinstance(node, g.EQ if not every else g.NEQ):
        inside = reader.read(g.In(this=node.this.copy(), query=g.Subquery(this=query.copy())))
        return e.Call("not", (inside,)) if every else inside
    if isinstance(node, g.NEQ):
        return e.Call("not", (quantified(reader, g.EQ(this=node.this.copy(), expression=g.All(this=query.copy()))),))
    value = reader.read(node.this)
    reader.read(g.Subquery(this=query.copy()))  # Raises where it has not one column.

    def found(text: str) -> e.Expression:
        """Of the query's rows, as one subquery."""
        rows = g.Subquery(this=query.copy(), alias=g.TableAlias(this=g.to_identifier("q"), columns=[g.to_identifier("v")]))
        return reader.read(g.Subquery(this=g.Select(expressions=[_parsed(text)], from_=g.From(this=rows))))

    if isinstance(node, g.EQ):
        test: e.Expression = e.Call("and", (e.Call("=", (value, found("min(v)"))), e.Call("=", (value, found("max(v)")))))
    else:
        if type(node) not in _SIGNS:
            raise unsupported("this operator with ANY or ALL", node)
        sign, smallest, largest = _SIGNS[type(node)]
        test = e.Call(sign, (value, found(f"{largest if every else smallest}(v)")))
    open_ = found(f"CASE WHEN count(v) < count(*) THEN null ELSE {str(every).lower()} END")
    none = e.Call("=", (found("count(*)"), e.Literal(0, t.LongType())))
    return e.Case(((none, e.Literal(every, t.BooleanType())),), e.Call("and" if every else "or", (test, open_)))


def _parsed(text: str) -> Node:
    item: Node = parsed(f"SELECT {text}").expressions[0]
    return item


# ---- SELECT ----


def first_of_each(reader: Reader, on: Node, keys: Sequence[e.Expression], items: Sequence[e.Expression]) -> e.Expression:
    """What holds for the rows of DISTINCT ON: each the first in the query's order of those that are equal in `on`."""

    def meant(expression: e.Expression) -> e.Expression:
        index = position(expression, "ORDER BY", len(items))
        item = expression if index is None else items[index]
        return item.child if isinstance(item, e.Alias) else item

    parts = [meant(reader.read(part)) for part in (on.expressions if isinstance(on, g.Tuple) else [on])]
    order: list[e.SortKey] = []
    for key in keys:
        if not isinstance(key, e.SortKey):
            key = e.SortKey(key)
        if len(keys) == 1 and key.child == e.Name(("ALL",)):
            order += [replace(key, child=meant(item)) for item in items]
        else:
            order.append(replace(key, child=meant(key.child)))
    number = e.NUMBER_AS_THEY_COME
    window = e.WindowSpec(tuple(parts), tuple(order) or number.window.order_by)
    return e.Call("=", (e.Windowed(number.function, window), e.Literal(1, t.IntegerType())))
