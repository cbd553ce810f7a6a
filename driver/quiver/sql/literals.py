"""What stands for a column: Columns, names with dots and backticks, Python values."""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Callable
from typing import Any

from quiver.sql import types as t
from quiver.sql.errors import ArithmeticException, NumberFormatException, PySparkTypeError, wrong_argument
from quiver.sql.tree import expressions as e


def expression_of(value: Any) -> e.Expression:
    """A Column's expression, or a literal. Raises TypeError for what is neither."""
    from quiver.sql.column import Column

    return value._expression if isinstance(value, Column) else literal(value)


def column_of(value: Any) -> e.Expression:
    """A Column's expression, or the column of that name (`*`: all)."""
    from quiver.sql.column import Column

    if isinstance(value, Column):
        return value._expression
    if isinstance(value, str):
        return named(value)
    raise wrong_argument("col", "Column or str", value)


def named(name: str) -> e.Expression:
    """The column that a dotted name means; backticks keep a dot in a name, and two of them within such are one of its own."""
    if name == "*":
        return e.Star()
    parts: list[str] = []
    rest = name
    while rest:
        if (inside := _IN_BACKTICKS.match(rest)) is not None:
            part, rest = inside[1].replace("``", "`"), rest[inside.end() :].removeprefix(".")
        else:
            part, _, rest = rest.partition(".")
        parts.append(part)
    if parts[-1:] == ["*"]:
        return e.Star(tuple(parts[:-1]))
    return e.Name(tuple(parts) or ("",))


def quoted(name: str) -> str:
    """The name in backticks: `named` takes it for one part, whatever is in it."""
    return f"`{name.replace('`', '``')}`"


_MOST_DIGITS = 38
_IN_BACKTICKS = re.compile(r"`((?:[^`]|``)*)`?", re.DOTALL)
_PYTHON: tuple[tuple[Any, Callable[[Any], t.DataType]], ...] = (
    (bool, lambda value: t.BooleanType()),
    (
        int,
        lambda value: (
            t.IntegerType()
            if -(2**31) <= value < 2**31
            else t.LongType()
            if -(2**63) <= value < 2**63
            else decimal_type(decimal.Decimal(value))
        ),
    ),
    (float, lambda value: t.DoubleType()),
    (str, lambda value: t.StringType()),
    (bytes | bytearray, lambda value: t.BinaryType()),
    (decimal.Decimal, lambda value: decimal_type(value)),
    (datetime.datetime, lambda value: t.TimestampType()),
    (datetime.date, lambda value: t.DateType()),
    (datetime.time, lambda value: t.TimeType()),
    (datetime.timedelta, lambda value: t.DayTimeIntervalType()),
)


def decimal_type(value: decimal.Decimal) -> t.DecimalType:
    """Of just the digits that the number has. Raises NumberFormatException for what is none, ArithmeticException for too many digits."""
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise NumberFormatException(f"{value} is no decimal: use a float", "CAST_INVALID_INPUT")
    scale = max(0, -exponent)
    precision = max(len(digits) + max(0, exponent), scale)
    if precision > _MOST_DIGITS:
        raise ArithmeticException(
            f"Decimal precision {precision} exceeds max precision {_MOST_DIGITS}: use a float, or a string.",
            "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION",
        )
    return t.DecimalType(precision, scale)


def literal(value: Any) -> e.Expression:
    """A constant of the type that Spark gives such a Python value."""
    if value is None:
        return e.Literal(None, t.NullType())
    if isinstance(value, datetime.datetime) and value.tzinfo is None:
        value = value.astimezone()  # Python's naive datetimes are of the machine's zone, whatever the session's is.
    for kind, type_of in _PYTHON:
        if isinstance(value, kind):
            return e.Literal(value, type_of(value))
    if isinstance(value, list | tuple):
        return e.Call("array", tuple(map(expression_of, value)))
    raise PySparkTypeError(f"a {type(value).__name__} can't be a constant of a query: {value!r}", "UNSUPPORTED_LITERAL")
