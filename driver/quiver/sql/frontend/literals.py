"""Constants as they are written in SQL. Pure."""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Callable

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.sql import types as t
from quiver.sql.errors import ArithmeticException, ParseException
from quiver.sql.literals import decimal_type
from quiver.sql.local_zone import clock
from quiver.sql.tree import expressions as e
from quiver_proto.spark_functions.times_of_day import read

_DAY_TIME = ("day", "hour", "minute", "second")
_MICROSECONDS = {"day": 86_400_000_000, "hour": 3_600_000_000, "minute": 60_000_000, "second": 1_000_000}
_UNITS: dict[str, tuple[str, decimal.Decimal]] = {
    "week": ("day", decimal.Decimal(7)),
    "millisecond": ("second", decimal.Decimal("0.001")),
    "microsecond": ("second", decimal.Decimal("0.000001")),
}
_RANGES: dict[type[t.DataType], tuple[int, int]] = {
    t.ByteType: (-(2**7), 2**7 - 1), t.ShortType: (-(2**15), 2**15 - 1), t.IntegerType: (-(2**31), 2**31 - 1),
    t.LongType: (-(2**63), 2**63 - 1),
}  # fmt: skip


def number(text: str) -> e.Literal:
    """A number without a suffix."""
    if text.isdigit():
        value = int(text)
        if value >= 2**63:
            return exact(text)
        return e.Literal(value, t.IntegerType() if value < 2**31 else t.LongType())
    if "e" in text.lower():
        return e.Literal(float(text), t.DoubleType())
    return exact(text)


def exact(text: str) -> e.Literal:
    """A decimal of just the digits that are written."""
    value = decimal.Decimal(text)
    try:
        return e.Literal(value, decimal_type(value))
    except ArithmeticException as error:
        raise ParseException(f"The number {text} has more than 38 digits.", error.condition) from None


def suffixed(text: str, kind: t.DataType) -> e.Literal:
    """A number with a suffix that tells its type. Raises ParseException when it is too large."""
    if isinstance(kind, t.DecimalType):
        return exact(text)
    if isinstance(kind, t.FractionalType):
        return e.Literal(float(text), kind)
    low, high = _RANGES[type(kind)]
    if not text.isdigit() or not low <= int(text) <= high:
        raise ParseException(
            f"Numeric literal {text} is outside the valid range for {kind.simpleString()}.", "INVALID_NUMERIC_LITERAL_RANGE"
        )
    return e.Literal(int(text), kind)


def typed(text: str, kind: t.DataType, zone: str) -> e.Literal:
    """`DATE '…'`, `TIMESTAMP '…'`: timestamps without a zone of their own are in `zone`. Raises ParseException."""
    value: object = None
    match kind:
        case t.DateType():
            value = date_of(text)
        case t.TimestampNTZType():
            value = timestamp_of(text)
            value = value.replace(tzinfo=None) if isinstance(value, datetime.datetime) else None
        case t.TimestampType():
            moment = timestamp_of(text)
            value = None if moment is None else moment if moment.tzinfo is not None else moment.replace(tzinfo=clock(zone))
        case t.TimeType():
            value = None if re.search(r"\.\d{7}", text) else read(text)
        case _:
            raise ParseException(f'Literals of the type "{kind.simpleString().upper()}" are not supported.', "UNSUPPORTED_TYPED_LITERAL")
    if value is None:
        raise ParseException(
            f"The value of the typed literal {kind.simpleString().upper()} cannot be parsed: '{text}'.", "INVALID_TYPED_LITERAL"
        )
    return e.Literal(value, kind)


_DATE = r"(\d{4,7})(?:-(\d{1,2})(?:-(\d{1,2}))?)?"
_TIME = r"(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{0,9}))?)?"


def date_of(text: str) -> datetime.date | None:
    """As Spark reads a date: `2026`, `2026-1`, `2026-01-01`, and whatever follows a `T` or a blank."""
    found = re.fullmatch(_DATE + r"(?:[T ].*)?", text.strip())
    if found is None:
        return None
    try:
        return datetime.date(int(found[1]), int(found[2] or 1), int(found[3] or 1))
    except ValueError:
        return None


def timestamp_of(text: str) -> datetime.datetime | None:
    """As Spark reads a timestamp, maybe with a zone."""
    found = re.fullmatch(_DATE + rf"(?:[T ](?:{_TIME})?)?\s*(Z|UTC|GMT|[+-]\d{{1,2}}(?::?\d{{2}})?|[A-Za-z_]+/[A-Za-z_/]+)?", text.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        moment = datetime.datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0),
            int((fraction or "").ljust(6, "0")[:6]),
        )  # fmt: skip
        return moment if zone is None else moment.replace(tzinfo=_zone(zone))
    except (ValueError, KeyError):
        return None


def _zone(name: str) -> datetime.tzinfo:
    if name in ("Z", "UTC", "GMT"):
        return datetime.UTC
    offset = re.fullmatch(r"([+-])(\d{1,2}):?(\d{2})?", name)
    if offset is None:
        return clock(name) or datetime.UTC
    span = datetime.timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
    return datetime.timezone(-span if offset[1] == "-" else span)


# ---- intervals ----


def interval(node: Node, amount_of: Callable[[Node], str | None]) -> e.Literal | None:
    """An interval's literal; None when it is no interval of constants, of which `amount_of` gives the texts."""
    parts: list[tuple[str, decimal.Decimal]] = []
    spans: list[e.Literal] = []
    for item in _flat(node):
        text = amount_of(item.this) if isinstance(item, g.Interval) else None
        if text is None:
            return None
        unit = item.args.get("unit")
        if isinstance(unit, g.IntervalSpan):
            spans.append(_span(text, unit.this.name.lower(), unit.expression.name.lower()))
        elif unit is None:
            parts += _in_words(text)
        else:
            parts.append((_unit(unit.name), _amount(text)))
    if spans:
        if len(spans) > 1 or parts:
            raise _bad("several values")
        return spans[0]
    return _sum(parts)


def _flat(node: Node) -> list[Node]:
    return [*_flat(node.this), *_flat(node.expression)] if isinstance(node, g.Add) else [node]


def _unit(word: str) -> str:
    name = word.lower()
    name = name[:-1] if name.endswith("s") else name
    if name not in (*_DAY_TIME, *_UNITS, "year", "month"):
        raise _bad(f"invalid unit '{word.lower()}'")
    return name


def _amount(text: str) -> decimal.Decimal:
    try:
        return decimal.Decimal(text.strip().lstrip("+"))
    except decimal.InvalidOperation:
        raise _bad(f"'{text}' is no number") from None


def _in_words(text: str) -> list[tuple[str, decimal.Decimal]]:
    words = text.strip().lower().split()
    if words[:1] == ["interval"]:
        words = words[1:]
    if not words or len(words) % 2:
        raise _bad(f"'{text}'")
    return [(_unit(unit), _amount(amount)) for amount, unit in zip(words[::2], words[1::2], strict=True)]


def _sum(parts: list[tuple[str, decimal.Decimal]]) -> e.Literal:
    months, micros = 0, decimal.Decimal(0)
    fields: set[str] = set()
    for unit, amount in parts:
        if unit in ("year", "month"):
            if amount != int(amount):
                raise _bad(f"{unit}s are whole numbers")
            months += int(amount) * (12 if unit == "year" else 1)
            fields.add(unit)
            continue
        base, factor = _UNITS.get(unit, (unit, decimal.Decimal(1)))
        if base != "second" and amount != int(amount):
            raise _bad(f"only seconds have fractions, not {unit}s")
        micros += amount * factor * _MICROSECONDS[base]
        fields.add(base)
    if fields & {"year", "month"}:
        if fields & set(_DAY_TIME):
            raise _bad("year-month and day-time fields can't be mixed")
        return e.Literal(months, _year_month(fields))
    present = [_DAY_TIME.index(field) for field in fields]
    return e.Literal(datetime.timedelta(microseconds=int(micros)), t.DayTimeIntervalType(min(present), max(present)))


def _year_month(fields: set[str]) -> t.YearMonthIntervalType:
    return t.YearMonthIntervalType(0 if "year" in fields else 1, 1 if "month" in fields else 0)


def _span(text: str, first: str, last: str) -> e.Literal:
    first, last = first.rstrip("s"), last.rstrip("s")
    if (first, last) == ("year", "month"):
        found = re.fullmatch(r"\s*([+-]?)(\d+)-(\d+)\s*", text)
        if found is None or int(found[3]) > 11:
            raise _bad(f"'{text}' is not of the form y-m")
        months = int(found[2]) * 12 + int(found[3])
        return e.Literal(-months if found[1] == "-" else months, t.YearMonthIntervalType(0, 1))
    if first not in _DAY_TIME or last not in _DAY_TIME or _DAY_TIME.index(first) >= _DAY_TIME.index(last):
        raise _bad(f"there is no interval from {first} to {last}")
    found = re.fullmatch(r"\s*([+-]?)([\d: .]+?)\s*", text)
    words = re.split(r"[ :]", found[2]) if found else []
    units = _DAY_TIME[_DAY_TIME.index(first) : _DAY_TIME.index(last) + 1]
    shapes = [r"\d+(\.\d+)?" if unit == "second" else r"\d+" for unit in units]
    if found is None or len(words) != len(units) or not all(map(re.fullmatch, shapes, words)):
        raise _bad(f"'{text}' is not of the form {' '.join(units)}")
    micros = sum(decimal.Decimal(word) * _MICROSECONDS[unit] for word, unit in zip(words, units, strict=True))
    value = datetime.timedelta(microseconds=int(micros))
    kind = t.DayTimeIntervalType(_DAY_TIME.index(first), _DAY_TIME.index(last))
    return e.Literal(-value if found[1] == "-" else value, kind)


def _bad(why: str) -> ParseException:
    return ParseException(f"Error parsing an interval: {why}.", "INVALID_INTERVAL_FORMAT")
