"""What an expression means by the types of its operands, written into it: casts that Spark implies, types of lambdas' parameters, zones."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from dataclasses import replace

from quiver.sql import types as t
from quiver.sql.analysis.coercion import common_type
from quiver.sql.analysis.typing import function_of, nullable, type_of
from quiver.sql.errors import AnalysisException
from quiver.sql.lowering.zones import clocks_change, reads_clock
from quiver.sql.tree import expressions as e
from quiver.sql.tree.walking import rebuilt


def with_lambdas(call: e.Call, visit: Callable[[e.Expression], e.Expression]) -> e.Call:
    """The call with its other arguments analysed, and the parameters of its lambdas typed by them."""
    function = function_of(call)
    if function.parameters is None:
        raise AnalysisException(f"`{call.name}` takes no functions.", "INVALID_LAMBDA_FUNCTION_CALL.NON_HIGHER_ORDER_FUNCTION")
    plain = [argument if isinstance(argument, e.Lambda) else visit(argument) for argument in call.args]
    kinds = [type_of(argument) for argument in plain if not isinstance(argument, e.Lambda)]
    args: list[e.Expression] = []
    for argument in plain:
        if isinstance(argument, e.Lambda):
            types = function.parameters(kinds, len(argument.parameters))
            if len(types) != len(argument.parameters):
                raise AnalysisException(
                    f"A higher order function expects {len(types)} arguments, but got {len(argument.parameters)}.",
                    "INVALID_LAMBDA_FUNCTION_CALL.NUM_ARGS_MISMATCH",
                )
            argument = replace(argument, body=_typed(argument.body, dict(zip(argument.parameters, types, strict=True))))
        args.append(argument)
    return replace(call, args=tuple(args))


def _typed(body: e.Expression, types: dict[str, t.DataType]) -> e.Expression:
    if isinstance(body, e.Variable):
        return replace(body, type=types.get(body.name, body.type))
    if isinstance(body, e.Name) and len(body.parts) == 1 and body.parts[0] in types:
        return e.Variable(body.parts[0], types[body.parts[0]])
    return rebuilt(body, lambda child: _typed(child, types))


def coerced(expression: e.Expression) -> e.Expression:
    """With the casts that its operands need."""
    match expression:
        case e.Call():
            function = function_of(expression)
            least, most = function.arity
            if len(expression.args) < least or (most is not None and len(expression.args) > most):
                wanted = str(least) if most == least else f"{least} to {most}" if most is not None else f"at least {least}"
                raise AnalysisException(
                    f"The `{expression.name}` requires {wanted} parameters but the actual number is {len(expression.args)}.",
                    "WRONG_NUM_ARGS.WITHOUT_SUGGESTION",
                )
            if function.coerce is None:
                return expression
            if expression.name in _ARITHMETIC:
                expression = _with_exact_literals(expression)
            kinds = [type_of(argument) for argument in expression.args]
            args = tuple(
                argument if wanted is None else as_type(argument, wanted)
                for argument, wanted in zip(expression.args, function.coerce(kinds), strict=True)
            )
            return replace(expression, args=args)
        case e.Case():
            values = [value for _, value in expression.branches] + ([] if expression.otherwise is None else [expression.otherwise])
            kind = common_type([type_of(value) for value in values])
            if kind is None:
                raise AnalysisException("the branches of CASE WHEN have types that don't fit together", "DATATYPE_MISMATCH.DATA_DIFF_TYPES")
            branches = tuple((as_type(when, t.BooleanType()), as_type(then, kind)) for when, then in expression.branches)
            return e.Case(branches, None if expression.otherwise is None else as_type(expression.otherwise, kind))
        case e.In():
            kind = common_type([type_of(expression.child), *map(type_of, expression.options)])
            if kind is None:
                raise AnalysisException("the options of IN have types that don't fit the value", "DATATYPE_MISMATCH.DATA_DIFF_TYPES")
            return e.In(as_type(expression.child, kind), tuple(_option(option, kind) for option in expression.options))
        case _:
            return expression


def _option(option: e.Expression, kind: t.DataType) -> e.Expression:
    """One of IN. A whole constant is written in a wider type at once: there may be a hundred thousand of them, and a cast of each."""
    match option:
        case e.Literal(value=int(value), type=t.IntegralType()) if isinstance(kind, t.IntegralType):
            return option if option.type == kind else e.Literal(value, kind)
        case _:
            return as_type(option, kind)


_ARITHMETIC = frozenset({"+", "-", "*", "/", "%"})


def _with_exact_literals(call: e.Call) -> e.Call:
    """Beside a decimal, a whole constant has as many digits as it is written with."""
    if not any(isinstance(type_of(argument), t.DecimalType) for argument in call.args):
        return call
    return replace(call, args=tuple(map(_exact, call.args)))


def _exact(argument: e.Expression) -> e.Expression:
    if isinstance(argument, e.Literal) and isinstance(argument.type, t.IntegralType) and argument.value is not None:
        return e.Literal(decimal.Decimal(argument.value), t.DecimalType(len(str(abs(argument.value))), 0))
    return argument


def in_zone(expression: e.Expression, zone: Callable[[], str]) -> e.Expression:
    """With the zone written into it, and into casts that are its direct operands, where they depend on it and have none."""
    if isinstance(expression, e.Cast):
        if not expression.zone and reads_clock(type_of(expression.child), expression.type):
            return replace(expression, zone=zone())
        return expression
    if isinstance(expression, e.PythonCall) and not expression.zone:
        return replace(expression, zone=zone())
    inside = _with_zone(expression, zone)
    if isinstance(inside, e.Call) and inside.name in _SUMS and len(inside.args) == 2:
        by_days = _days_by_clocks(inside, zone)
        if by_days is not None:
            return by_days
        inside = _with_zone(_by_clocks(inside), zone)
        if isinstance(inside, e.Cast):
            return replace(inside, zone=zone(), child=_with_zone(inside.child, zone))
    if isinstance(inside, e.Call) and not inside.zone:
        function = function_of(inside)
        if function.zoned or function.wall:
            return replace(inside, zone=zone())
    return inside


def _with_zone(expression: e.Expression, zone: Callable[[], str]) -> e.Expression:
    return rebuilt(expression, lambda child: in_zone(child, zone) if isinstance(child, e.Cast) else child)


_SUMS = ("+", "-", "try_add", "try_subtract")
_DAY = datetime.timedelta(days=1)


def _days_by_clocks(call: e.Call, zone: Callable[[], str]) -> e.Expression | None:
    """An instant and an interval: its whole days are added to what clocks show, the rest to the instant. None: it is just a sum."""
    moment, span = call.args if isinstance(type_of(call.args[1]), t.DayTimeIntervalType) else call.args[::-1]
    if not isinstance(type_of(moment), t.TimestampType) or not isinstance(type_of(span), t.DayTimeIntervalType):
        return None
    if not clocks_change(zone()):
        return None
    kind = t.DayTimeIntervalType()
    if isinstance(span, e.Literal):
        if span.value is None or abs(span.value) < _DAY:
            return None
        whole = abs(span.value) // _DAY * _DAY * (1 if span.value > datetime.timedelta(0) else -1)
        later = _on_clocks(call.name, moment, e.Literal(whole, kind), zone())
        rest = span.value - whole
        return e.Call(call.name, (later, e.Literal(rest, kind))) if rest else later
    count = e.Call("interval day", (span,))
    days = e.Call("make_dt_interval", (count,))
    later = _on_clocks(call.name, moment, days, zone())
    none = e.Call("=", (count, e.Literal(0, type_of(count))))
    return e.Case(((none, call),), e.Call(call.name, (later, e.Call("-", (e.Cast(span, kind), days)))))


def _on_clocks(operator: str, moment: e.Expression, days: e.Expression, zone: str) -> e.Expression:
    moved = e.Call(operator, (e.Cast(moment, t.TimestampNTZType(), zone=zone), days))
    return e.Cast(moved, t.TimestampType(), zone=zone)


def _by_clocks(call: e.Call) -> e.Expression:
    """Months are added to what clocks show, and instants are as far apart as what clocks show."""
    left, right = map(type_of, call.args)
    wall = tuple(e.Cast(arg, t.TimestampNTZType()) if isinstance(type_of(arg), t.TimestampType) else arg for arg in call.args)
    match left, right:
        case (t.TimestampType(), t.YearMonthIntervalType()) | (t.YearMonthIntervalType(), t.TimestampType()):
            return e.Cast(replace(call, args=wall), t.TimestampType())
        case (t.TimestampType(), t.TimestampType()) if call.name == "-":
            return replace(call, args=wall)
        case _:
            return call


def as_type(expression: e.Expression, kind: t.DataType) -> e.Expression:
    """The expression with a cast, unless it has that type."""
    if type_of(expression) == kind:
        return expression
    if isinstance(expression, e.Literal) and expression.value is None:
        return e.Literal(None, kind)
    was = type_of(expression)
    if isinstance(was, t.StructType) and isinstance(kind, t.StructType) and was.names != kind.names and len(set(was.names)) == len(was):
        # Structs fit member by member, whatever these are called.
        members = tuple(as_type(e.Member(expression, name), field.dataType) for name, field in zip(was.names, kind, strict=True))
        made = e.StructOf(tuple(kind.names), members)
        return e.Case(((e.Call("isnotnull", (expression,)), made),)) if nullable(expression) else made
    return e.Cast(expression, kind)
