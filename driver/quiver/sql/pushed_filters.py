"""Conditions of a query as the filters that data sources of users are told. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from quiver.sql import datasource as d
from quiver.sql import types as t
from quiver.sql.analysis.typing import type_of
from quiver.sql.tree import expressions as e
from quiver.sql.tree.walking import conjuncts

_COMPARED: Mapping[str, Any] = {
    "=": d.EqualTo, "<": d.LessThan, "<=": d.LessThanOrEqual, ">": d.GreaterThan, ">=": d.GreaterThanOrEqual, "<=>": d.EqualNullSafe,
}  # fmt: skip
_OF_TEXT: Mapping[str, Any] = {"startswith": d.StringStartsWith, "endswith": d.StringEndsWith, "contains": d.StringContains}
_TURNED: Mapping[str, str] = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<=", "<=>": "<=>"}
_OPPOSITES: Mapping[Any, Any] = {
    d.LessThan: d.GreaterThanOrEqual, d.LessThanOrEqual: d.GreaterThan, d.GreaterThan: d.LessThanOrEqual, d.GreaterThanOrEqual: d.LessThan,
}  # fmt: skip
_REJECTING = (
    d.EqualTo, d.LessThan, d.LessThanOrEqual, d.GreaterThan, d.GreaterThanOrEqual, d.StringStartsWith, d.StringEndsWith, d.StringContains,
)  # fmt: skip
"""Conditions that hold for no null."""
_PLAIN = (t.NumericType, t.StringType, t.BooleanType, t.DateType, t.BinaryType)
"""Types whose constants are plain Python values, the same in every session."""


def filters_of(conditions: Iterable[e.Expression], names: Mapping[int, str]) -> list[d.Filter]:
    """The filters that all rows meet that meet the conditions. `names`: of the source's columns, by id."""
    result: list[d.Filter] = []
    for part in (part for condition in conditions for part in conjuncts(condition)):
        if isinstance(part, e.Call) and part.name == "between" and len(part.args) == 3:
            value, low, high = part.args
            result += filters_of((e.Call(">=", (value, low)), e.Call("<=", (value, high))), names)
        elif (found := _filter(part, names)) is not None:
            path = _not_null(found)
            result += [found] if path is None else [d.IsNotNull(path), found]
    return list(dict.fromkeys(result))


def _not_null(condition: d.Filter) -> d.ColumnPath | None:
    """The column that is not null where the condition holds, if that is not what it says."""
    inside = condition.child if isinstance(condition, d.Not) else condition
    return inside.attribute if isinstance(inside, _REJECTING) else None


def _filter(condition: e.Expression, names: Mapping[int, str]) -> d.Filter | None:
    match condition:
        case e.Attribute() | e.Member():
            return _made(d.EqualTo, condition, True, names) if isinstance(type_of(condition), t.BooleanType) else None
        case e.In(child=child, options=options):
            values = [_constant(option, child) for option in options]
            return None if None in values else _made(d.In, child, tuple(values), names)
        case e.Call(name="not", args=(child,)):
            inside = _filter(child, names)
            return None if inside is None else _negated(inside)
        case e.Call(name="isnull" | "isnotnull" as name, args=(child,)):
            path = _path(child, names)
            return None if path is None else d.IsNull(path) if name == "isnull" else d.IsNotNull(path)
        case e.Call(name="like", args=(child, e.Literal(value=str(pattern)))):
            return _of_pattern(child, pattern, names)
        case e.Call(name="!=" | "<>", args=args):
            equal = _filter(e.Call("=", args), names)
            return None if equal is None else d.Not(equal)
        case e.Call(name=name, args=(child, e.Literal(value=str(text)))) if name in _OF_TEXT:
            return _made(_OF_TEXT[name], child, text, names)
        case e.Call(name=name, args=(left, right)) if name in _COMPARED:
            if _path(left, names) is None:
                left, right, name = right, left, _TURNED[name]
            return _made(_COMPARED[name], left, _constant(right, left), names)
    return None


def _negated(condition: d.Filter) -> d.Filter:
    match condition:
        case d.Not(child=child):
            return child
        case d.LessThan() | d.LessThanOrEqual() | d.GreaterThan() | d.GreaterThanOrEqual():
            made: d.Filter = _OPPOSITES[type(condition)](condition.attribute, condition.value)
            return made
        case _:
            return d.Not(condition)


def _made(kind: Any, child: e.Expression, value: Any, names: Mapping[int, str]) -> d.Filter | None:
    path = _path(child, names)
    made: d.Filter | None = None if path is None or value is None else kind(path, value)
    return made


def _of_pattern(child: e.Expression, pattern: str, names: Mapping[int, str]) -> d.Filter | None:
    text = pattern[pattern.startswith("%") : len(pattern) - (len(pattern) > 1 and pattern.endswith("%"))]
    if not text or any(mark in text for mark in "%_\\"):
        return None
    kind = {
        (False, False): d.EqualTo, (False, True): d.StringStartsWith, (True, False): d.StringEndsWith, (True, True): d.StringContains,
    }[pattern.startswith("%"), pattern.endswith("%")]  # fmt: skip
    return _made(kind, child, text, names)


def _path(expression: e.Expression, names: Mapping[int, str]) -> d.ColumnPath | None:
    """The column that the expression is, maybe within a cast that changes no whole number."""
    match expression:
        case e.Attribute():
            return (names[expression.id],) if expression.id in names else None
        case e.Member(child=child, name=name) if isinstance(type_of(child), t.StructType):
            outer = _path(child, names)
            return None if outer is None else (*outer, name)
        case e.Cast(child=child, type=kind) if isinstance(kind, t.NumericType) and isinstance(type_of(child), t.IntegralType):
            return _path(child, names)
    return None


def _constant(expression: e.Expression, beside: e.Expression) -> Any:
    """Its value, as one of the column's type that it is compared with; None where it is no constant, or no such value."""
    column = beside.child if isinstance(beside, e.Cast) else beside
    while (
        isinstance(expression, e.Cast)
        and isinstance(expression.type, t.NumericType)
        and isinstance(type_of(expression.child), t.NumericType)
    ):
        expression = expression.child
    if not isinstance(expression, e.Literal) or not isinstance(kind := type_of(column), _PLAIN):
        return None
    value = expression.value
    if isinstance(kind, t.IntegralType):
        return int(value) if isinstance(value, int | float | Decimal) and value % 1 == 0 else None
    if isinstance(kind, t.FloatType | t.DoubleType):
        return float(value) if isinstance(value, int | float | Decimal) else None
    return value
