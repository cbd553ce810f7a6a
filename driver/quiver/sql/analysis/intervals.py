"""Operators and functions whose operands are intervals, and sums of a time with `make_interval`: what they mean. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from quiver.sql import types as t
from quiver.sql.analysis.typing import type_of
from quiver.sql.errors import AnalysisException, ArithmeticException
from quiver.sql.tree import expressions as e

OF_INTERVALS: Final = "interval "
"""Before the name of a function, where it is given an interval."""
NAMES: Final = frozenset({
    "*", "/", "+", "-", "- ", "negative", "positive", "abs", "sign", "signum", "sum", "avg", "mean", "try_sum", "try_avg", "median",
    "percentile", "extract", "date_part", "datepart", "try_add", "try_subtract", "try_multiply", "try_divide",
})  # fmt: skip
"""Calls that `of_intervals` looks at."""
_PARTS = {
    "day": ("d", "days"), "hour": ("h", "hours", "hr", "hrs"), "minute": ("m", "min", "mins", "minutes"),
    "second": ("s", "sec", "secs", "seconds"), "year": ("y", "years", "yr", "yrs"), "month": ("mon", "mons", "months"),
}  # fmt: skip
_TIMES = t.DateType | t.TimestampType | t.TimestampNTZType


def of_intervals(call: e.Call) -> e.Expression:
    """The call as it is meant for its resolved operands. Raises AnalysisException."""
    kinds = [type_of(argument) for argument in call.args]
    if any(isinstance(kind, t.CalendarIntervalType) for kind in kinds):
        return _of_calendar(call, kinds)
    if not any(isinstance(kind, t.AnsiIntervalType) for kind in kinds):
        return call
    name = {"mean": "avg", "sign": "signum", "- ": "negative"}.get(call.name, call.name)
    if name in ("+", "-", "try_add", "try_subtract"):
        return call
    if name == "positive":
        return call.args[0]
    if name in ("extract", "date_part", "datepart"):
        return _part(call, kinds[1])
    if name in ("*", "try_multiply") and not isinstance(kinds[0], t.AnsiIntervalType):
        call = replace(call, args=call.args[::-1])
    if name in ("/", "try_divide") and not isinstance(kinds[0], t.AnsiIntervalType):
        raise _incompatible(call, kinds)
    if name in ("*", "/", "try_multiply", "try_divide") and not isinstance(
        type_of(call.args[1]), t.NumericType | t.NullType | t.StringType
    ):
        raise _incompatible(call, kinds)
    if name == "/" and isinstance(by := call.args[1], e.Literal) and by.value == 0:
        raise ArithmeticException(
            "Division by zero. Use `try_divide` to tolerate divisor being 0 and return NULL instead.", "INTERVAL_DIVIDED_BY_ZERO"
        )
    return replace(call, name=OF_INTERVALS + name)


def _incompatible(call: e.Call, kinds: list[t.DataType]) -> AnalysisException:
    listed = " and ".join(f'"{kind.simpleString().upper()}"' for kind in kinds)
    return AnalysisException(
        f'Cannot resolve "{call.name}" due to data type mismatch: the left and right operands have incompatible types ({listed}).',
        "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES",
    )


def _part(call: e.Call, kind: t.DataType) -> e.Expression:
    field = str(call.args[0].value).lower() if isinstance(call.args[0], e.Literal) else ""
    found = next((part for part, others in _PARTS.items() if field == part or field in others), "")
    fields = ("year", "month") if isinstance(kind, t.YearMonthIntervalType) else ("day", "hour", "minute", "second")
    if found not in fields:
        raise AnalysisException(
            f"Cannot extract `{field.upper()}` from {kind.simpleString().upper()}: it has {', '.join(fields)}.", "INVALID_EXTRACT_FIELD"
        )
    return e.Call(OF_INTERVALS + found, call.args[1:])


def _of_calendar(call: e.Call, kinds: list[t.DataType]) -> e.Expression:
    """A time and an interval as `make_interval` makes it: first its months, then its days, then what is shorter."""
    if call.name in ("+", "-", "try_add", "try_subtract") and len(kinds) == 2:
        base, span = call.args if isinstance(kinds[1], t.CalendarIntervalType) else call.args[::-1]
        flipped = base is not call.args[0]
        takes = isinstance(type_of(base), _TIMES | t.StringType) and not (flipped and call.name in ("-", "try_subtract"))
        if isinstance(span, e.Call) and takes:
            if span.name in ("negative", "- "):
                opposite = {"+": "-", "-": "+", "try_add": "try_subtract", "try_subtract": "try_add"}[call.name]
                return _of_calendar(replace(call, name=opposite, args=(base, span.args[0])), [type_of(base), kinds[1]])
            if span.name in ("make_interval", "try_make_interval"):
                return _moved(call.name, base, span.args)
    raise AnalysisException(
        f'"{call.name}" of an interval of months, days and microseconds is only known where `make_interval` is added to or taken from a '
        "date or time; use intervals of months (make_ym_interval) or of days (make_dt_interval).",
        "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
    )


def _moved(operator: str, base: e.Expression, given: tuple[e.Expression, ...]) -> e.Expression:
    zero = e.Literal(0, t.IntegerType())
    years, months, weeks, days, hours, minutes, seconds = (given + (zero,) * 7)[:7]
    is_date = isinstance(type_of(base), t.DateType)
    if isinstance(type_of(base), t.StringType):
        base = e.Cast(base, t.TimestampType())
    result: e.Expression = base
    if not all(part == zero for part in (years, months)):
        result = e.Call(operator, (result, e.Call("make_ym_interval", (_int(years), _int(months)))))
    if not all(part == zero for part in (weeks, days)):
        result = _on_clocks(result, _days(operator, weeks, days))
    if not is_date and not all(part == zero for part in (hours, minutes, seconds)):
        short = e.Call("make_dt_interval", (zero, _int(hours), _int(minutes), e.Cast(seconds, t.DecimalType(18, 6))))
        result = e.Call(operator, (result, short))
    return result


def _on_clocks(base: e.Expression, days: e.Expression) -> e.Expression:
    """So many days later, at the same time of day."""
    if isinstance(type_of(base), t.DateType):
        return e.Call("date_add", (base, days))
    moved = e.Call("+", (e.Cast(base, t.TimestampNTZType()), e.Call("make_dt_interval", (days,))))
    return e.Cast(moved, t.TimestampType()) if isinstance(type_of(base), t.TimestampType) else moved


def _int(value: e.Expression) -> e.Expression:
    return value if isinstance(type_of(value), t.IntegerType) else e.Cast(value, t.IntegerType())


def _days(operator: str, weeks: e.Expression, days: e.Expression) -> e.Expression:
    total = e.Call("+", (e.Call("*", (_int(weeks), e.Literal(7, t.IntegerType()))), _int(days)))
    return total if operator in ("+", "try_add") else e.Call("negative", (total,))
