"""Casts to and from intervals, in the kernel's SQL."""

from __future__ import annotations

from quiver.sql import types as t
from quiver.sql.lowering.names import cast, text
from quiver.sql.registry.python import python
from quiver_proto.spark_functions import spans, times

_MICROS = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000)
"""Of a day, an hour, a minute and a second."""
_MONTHS = t.YearMonthIntervalType()


def months_of(value: str) -> str:
    """An interval's months, as a bigint."""
    return f"CAST(date_part('year', {value}) * 12 + date_part('month', {value}) AS BIGINT)"


def of_months(value: str) -> str:
    """The interval of so many months."""
    kind = t.IntegerType()
    return python(times.make_ym_interval, lambda kinds: _MONTHS)([cast("0", kind), cast(value, kind)], [kind, kind])


def interval_cast(value: str, source: t.DataType, target: t.DataType, lenient: bool) -> str | None:
    """`value` as `target`, where one of them is an interval and the other another type than that; None: it is another cast."""
    if isinstance(target, t.AnsiIntervalType):
        if isinstance(source, t.AnsiIntervalType) and type(source) is type(target):
            return _of_fewer_fields(value, source, target)
        return _of_number(value, target, lenient) if isinstance(source, t.NumericType) else _of_text(value, source, target, lenient)
    if isinstance(source, t.AnsiIntervalType) and isinstance(target, t.NumericType):
        return _as_number(value, source, target, lenient)
    return None


def _of_fewer_fields(value: str, source: t.AnsiIntervalType, target: t.AnsiIntervalType) -> str:
    """Without what the last field of `target` can't tell."""
    if target.endField >= source.endField:
        return value
    if isinstance(target, t.YearMonthIntervalType):
        return of_months(f"({months_of(value)} / 12 * 12)")
    size = _MICROS[target.endField]
    return cast(f"({cast(value, t.LongType())} / {size} * {size})", target)


def _of_number(value: str, target: t.AnsiIntervalType, lenient: bool) -> str:
    """Of the interval's last field."""
    if isinstance(target, t.YearMonthIntervalType):
        return of_months(f"({value} * 12)" if target.endField == t.YearMonthIntervalType.YEAR else value)
    size = _MICROS[target.endField]
    micros = f"round({cast(value, t.DecimalType(30, 6))} * {size})"
    return cast(cast(micros, t.LongType(), lenient), target)


def _as_number(value: str, source: t.AnsiIntervalType, target: t.DataType, lenient: bool) -> str:
    if isinstance(source, t.YearMonthIntervalType):
        months = months_of(value)
        return cast(f"({months} / 12)" if source.endField == t.YearMonthIntervalType.YEAR else months, target, lenient)
    micros, size = cast(value, t.LongType()), _MICROS[source.endField]
    if isinstance(target, t.IntegralType):
        return cast(f"({micros} / {size})", target, lenient)
    exact = cast(cast(micros, t.DecimalType(20, 0)), t.DecimalType(26, 6))  # The kernel gives four digits more than the dividend has.
    return cast(f"({exact} / {cast(str(size), t.DecimalType(12, 0))})", target, lenient)


def _of_text(value: str, source: t.DataType, target: t.AnsiIntervalType, lenient: bool) -> str | None:
    if not isinstance(source, t.StringType):
        return None
    function = spans.months_of if isinstance(target, t.YearMonthIntervalType) else spans.span_of
    kinds = [source, t.BooleanType(), t.StringType()]
    return python(function, lambda kinds: target)([value, "TRUE" if lenient else "FALSE", text(target.simpleString())], kinds)
