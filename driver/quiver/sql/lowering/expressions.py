"""Analysed expressions in the kernel's SQL."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from quiver.sql import types as t
from quiver.sql.analysis.typing import function_of, nullable, type_of
from quiver.sql.errors import AnalysisException
from quiver.sql.lowering import chains
from quiver.sql.lowering.casts import spark_cast
from quiver.sql.lowering.computed_late import is_late, late
from quiver.sql.lowering.folding import FOLDING, folded
from quiver.sql.lowering.names import cast, column, constant, quoted, text
from quiver.sql.lowering.zones import instant
from quiver.sql.python.model import lists_within
from quiver.sql.registry.guarding import CHECKED
from quiver.sql.registry.model import AFTER, ORDERED, OVER
from quiver.sql.registry.python import checked
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    from quiver.sql.tree.relations import Relation

_BY_PLACE = frozenset({"row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead"})
_OPPOSITE = {"PRECEDING": "FOLLOWING", "FOLLOWING": "PRECEDING"}

Subquery = Callable[["Relation"], str]


def lowered(expression: e.Expression, subquery: Subquery) -> str:
    """The expression's text. `subquery` writes a relation as a SELECT."""
    match expression:
        case e.Literal():
            return constant(expression.value, expression.type)
        case e.Attribute():
            return column(expression)
        case e.OuterReference():
            return column(expression.attribute)
        case e.Alias():
            return lowered(expression.child, subquery)
        case e.Call(name="and" | "or"):
            return _condition(expression, subquery, set())
        case e.Call():
            return _call(expression, subquery)
        case e.Member():
            return _member(lowered(expression.child, subquery), type_of(expression.child), expression.name, nullable(expression.child))
        case e.StructOf():
            members = zip(expression.names, expression.values, strict=True)
            return f"named_struct({', '.join(f'{text(name)}, {lowered(value, subquery)}' for name, value in members)})"
        case e.Cast():
            return _cast(expression, subquery)
        case e.Case():
            cases, last = chains.branches(expression)
            branches = " ".join(f"WHEN {lowered(when, subquery)} THEN {lowered(then, subquery)}" for when, then in cases)
            otherwise = "" if last is None else f" ELSE {lowered(last, subquery)}"
            return f"(CASE {branches}{otherwise} END)"
        case e.In():
            return f"({lowered(expression.child, subquery)} IN ({', '.join(lowered(option, subquery) for option in expression.options)}))"
        case e.SortKey():
            first = expression.ascending if expression.nulls_first is None else expression.nulls_first
            direction = "ASC" if expression.ascending else "DESC"
            return f"{lowered(expression.child, subquery)} {direction} NULLS {'FIRST' if first else 'LAST'}"
        case e.Windowed():
            window, ranks = expression.window, isinstance(expression.function, e.Call) and expression.function.name in _BY_PLACE
            if ranks and window.frame is None and any(isinstance(type_of(key), t.StructType | t.ArrayType) for key in window.order_by):
                window = replace(window, frame=e.Frame("rows", None, 0))  # The kernel can't tell ranges of such values.
            over = f" OVER ({_window(window, subquery)})"
            if isinstance(expression.function, e.PythonCall):
                return _python(expression.function, subquery, over)
            if isinstance(expression.function, e.Call):
                chosen = _of_chosen_rows(expression.function)
                return _call(replace(chosen, name=chosen.name + OVER) if chosen.name in ("max_by", "min_by") else chosen, subquery, over)
            return lowered(expression.function, subquery) + over
        case e.PythonCall():
            return _python(expression, subquery)
        case e.Lambda():
            return f"({', '.join(map(quoted, expression.parameters))}) -> {lowered(expression.body, subquery)}"
        case e.Variable():
            return quoted(expression.name)
        case e.ScalarSubquery():
            found = f"({subquery(expression.relation)})"
            # Where there is no row it is null. The kernel takes it for what the column is: it would fail, or say that it is not null.
            return f"nullif({found}, NULL)" if _may_lack_its_row(expression.relation) else found
        case e.Exists():
            return f"EXISTS ({subquery(expression.relation)})"
        case e.InSubquery():
            # By another name: as a value (not a condition) the kernel's join would have two columns of this one's name.
            value = f'SELECT {column(expression.relation.output[0])} AS "#value" FROM ({subquery(expression.relation)})'
            return f"({lowered(expression.child, subquery)} IN ({value}))"
        case e.Name() | e.Star() | e.Listed() | e.MultiAlias() | e.WindowSpec() | e.Expression():
            raise AssertionError(expression)  # Gone after analysis.
        case _:
            assert_never(expression)


def _may_lack_its_row(relation: r.Relation) -> bool:
    """Whether there may be none, of a column that is never null in a row."""
    (column, *_) = relation.output
    if column.nullable or isinstance(column.type, t.ArrayType | t.MapType | t.StructType):
        return False
    while isinstance(relation, r.Project | r.Aliased):
        relation = relation.child
    return not (isinstance(relation, r.Aggregate) and not relation.keys)


def _cast(expression: e.Cast, subquery: Subquery) -> str:
    value = lowered(expression.child, subquery)
    return spark_cast(value, type_of(expression.child), expression.type, expression.lenient, expression.zone)


def _condition(expression: e.Expression, subquery: Subquery, tested: set[e.Expression]) -> str:
    """`tested`: what the condition has asked for membership so far.

    The kernel makes one list of two of the same value, and forgets that the answer for null is null when it becomes empty: "x NOT IN (1) OR
    x NOT IN (2)" was true for null. So it sees at most one of them.
    """
    match expression:
        case e.Call(name="and" | "or" as operator):
            function, kinds = function_of(expression), [t.BooleanType()] * 2
            operands = chains.with_memberships(list(chains.operands(expression, operator)), operator)
            parts = [_condition(operand, subquery, tested) for operand in operands]
            return chains.joined(parts, lambda two: function.lower(two, kinds), fenced=True)
        case e.Call(name="not"):
            args = [_condition(argument, subquery, tested) for argument in expression.args]
            return function_of(expression).lower(args, [t.BooleanType()] * len(args))
        case e.In() if expression.child in tested:
            return f"(CASE WHEN {lowered(expression.child, subquery)} IS NOT NULL THEN {lowered(expression, subquery)} END)"
        case e.In():
            tested.add(expression.child)
    return lowered(expression, subquery)


def _member(value: str, kind: t.DataType, name: str, maybe_null: bool = True) -> str:
    if isinstance(kind, t.ArrayType):
        return f"array_transform({value}, x -> {_member('x', kind.elementType, name, kind.containsNull)})"
    found = f"get_field({value}, {text(name)})"
    # The kernel gives what lies below a struct that is null.
    return f"(CASE WHEN {value} IS NOT NULL THEN {found} END)" if maybe_null else found


def _call(call: e.Call, subquery: Subquery, over: str = "") -> str:
    function = function_of(call)
    if call.name in CHECKED and isinstance(kind := type_of(call), t.IntegralType | t.FloatType | t.DoubleType):
        operations, operands = chains.arithmetic(call)
        least = 1 if isinstance(kind, t.IntegralType) and not call.fits else chains.LONG
        if len(operations) > least:
            return checked(operations, [lowered(operand, subquery) for operand in operands], kind)
    if call.name in chains.FLAT and len(flat := list(chains.operands(call, call.name))) > len(call.args):
        call = replace(call, args=tuple(flat))
    if call.where is not None and (call.ignore_nulls or (call.name == "count" and not call.distinct and len(call.args) < 2)):
        # It knows no FILTER behind IGNORE NULLS, and of an aggregate's single row it takes a count with a FILTER for that without.
        call = _of_chosen_rows(call)
    if any(isinstance(argument, e.Lambda) for argument in call.args) and call.name in (*FOLDING, "array_sort"):
        array, is_held = call.args[0], is_late(call, function.name)
        return folded(call, lambda child: late(lowered(child, subquery)) if is_held and child is array else lowered(child, subquery))
    args = [lowered(argument, subquery) for argument in call.args]
    if is_late(call, function.name):
        args[0] = late(args[0])
    if call.distinct and len(args) > 1 and call.name.lower() == "count":
        args = [_together(args)]
        call = replace(call, args=(e.Literal(None, t.NullType()),))
    if call.distinct and args:
        args[0] = f"DISTINCT {args[0]}"
    if call.order:
        args[-1] += f"{ORDERED}{', '.join(lowered(key, subquery) for key in call.order)}"
    kinds = [type_of(argument) for argument in call.args]
    if function.zoned:
        args.append(text(call.zone))
        kinds.append(t.StringType())
    lower = function.unchecked if function.unchecked is not None and call.fits else function.lower
    result = lower(args, kinds)
    if function.wall:
        result = instant(result, call.zone)
    after = " IGNORE NULLS" if call.ignore_nulls else ""
    if call.where is not None:
        after += f" FILTER (WHERE {lowered(call.where, subquery)})"
    after += over
    result = result.replace(AFTER, after) if AFTER in result else result + after
    return result.replace(ORDERED, " ORDER BY ") if call.order else result


def _of_chosen_rows(call: e.Call) -> e.Call:
    """An aggregate over a window without its FILTER, which the kernel loses on the way to a task: rows that are left out are null."""
    if call.where is None:
        return call
    if call.name in ("max_by", "min_by"):
        return replace(call, args=(call.args[0], e.Case(((call.where, call.args[1]),)), *call.args[2:]), where=None)
    if call.name.lower() not in _NULLS_IGNORED and not call.ignore_nulls:
        raise AnalysisException(f"FILTER of `{call.name}` over a window is not supported.", "UNSUPPORTED_FEATURE")
    first, *rest = call.args or (e.Literal(1, t.IntegerType()),)
    return replace(call, args=(e.Case(((call.where, first),)), *rest), where=None)


_NULLS_IGNORED = frozenset({
    "count", "sum", "avg", "mean", "min", "max", "stddev", "stddev_samp", "std", "stddev_pop", "variance", "var_samp", "var_pop",
    "collect_list", "array_agg", "collect_set", "bool_and", "every", "bool_or", "some", "any", "bit_and", "bit_or", "bit_xor", "median",
    "try_sum", "try_avg", "count_if", "approx_count_distinct", "skewness", "kurtosis",
})  # fmt: skip


def _together(args: Sequence[str]) -> str:
    """Several values as one, which is null when one of them is."""
    members = ", ".join(f"'c{i}', {value}" for i, value in enumerate(args))
    return f"CASE WHEN {' AND '.join(f'{value} IS NOT NULL' for value in args)} THEN named_struct({members}) END"


def _python(call: e.PythonCall, subquery: Subquery, over: str = "") -> str:
    """An aggregate is a function of the list of its group's arguments."""
    bound = call.function.bind([type_of(argument) for argument in call.args], call.names, call.zone, call.rows)
    # Of what type a whole number is (of row_number(), an unsigned one), the kernel only knows where it matters to itself.
    args = [_exact(lowered(argument, subquery), type_of(argument), call.function.is_aggregate) for argument in call.args]
    if call.function.is_aggregate:
        members = ", ".join(f"'_{place}', {argument}" for place, argument in enumerate(args))
        return f"{bound.name}(array_agg(named_struct({members})){over})"
    if over:
        raise AnalysisException(f"`{call.name}` can't be used over a window: it makes no value of many rows.", "UNSUPPORTED_FEATURE")
    return f"{bound.name}({', '.join(['random()'] * bound.leading + args)})"


def _exact(value: str, kind: t.DataType, is_member: bool) -> str:
    """The kernel does not make what is inside structs fit a function of users (see model.Bound.kernel_function)."""
    return cast(value, kind) if isinstance(kind, t.IntegralType) or lists_within(kind, is_member) else value


def _window(window: e.WindowSpec, subquery: Subquery) -> str:
    parts = []
    if window.partition_by:
        parts.append(f"PARTITION BY {', '.join(lowered(key, subquery) for key in window.partition_by)}")
    if window.order_by:
        parts.append(f"ORDER BY {', '.join(lowered(key, subquery) for key in window.order_by)}")
    if window.frame is not None:
        frame = window.frame
        parts.append(
            f"{frame.unit.upper()} BETWEEN {_bound(frame.start, 'PRECEDING', subquery)} AND {_bound(frame.end, 'FOLLOWING', subquery)}"
        )
    return " ".join(parts)


def _bound(bound: int | e.Expression | None, side: str, subquery: Subquery) -> str:
    if bound is None:
        return f"UNBOUNDED {side}"
    if isinstance(bound, e.Literal) and isinstance(bound.value, datetime.timedelta):
        # Of a date or time the kernel takes bounds that are intervals of SQL; other durations give no row at all.
        micros = bound.value // datetime.timedelta(microseconds=1)
        return f"INTERVAL '{abs(micros)} microseconds' {side if micros >= 0 else _OPPOSITE[side]}"
    if isinstance(bound, e.Literal) and isinstance(bound.type, t.YearMonthIntervalType):
        return f"INTERVAL '{abs(bound.value)} months' {side if bound.value >= 0 else _OPPOSITE[side]}"
    if isinstance(bound, e.Expression):
        return f"{lowered(bound, subquery)} {side}"
    return "CURRENT ROW" if bound == 0 else f"{abs(bound)} {'FOLLOWING' if bound > 0 else 'PRECEDING'}"
