"""Casts from and to text, for what the kernel's own don't take, or write otherwise. `lenient`: None instead of an error."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

from quiver_proto.spark_functions import spans
from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.prepared import Prepared, prepared
from quiver_proto.spark_functions.times import offset_of_text, zone_of
from quiver_proto.spark_functions.times_of_day import shown

_SPACE = "".join(map(chr, range(33)))
_TRUE, _FALSE = frozenset({"t", "true", "y", "yes", "1"}), frozenset({"f", "false", "n", "no", "0"})
_EXACT = Context(prec=100)


def _bad(value: str, kind: str) -> SparkValueError:
    return SparkValueError(
        "CAST_INVALID_INPUT",
        f'The value \'{value}\' of the type "STRING" cannot be cast to "{kind}" because it is malformed. Correct the value as per the '
        "syntax, or change its target type. Use `try_cast` to tolerate malformed input and return NULL instead.",
    )


def text_of(value: bytes) -> str:
    """What is no UTF-8 is shown as U+FFFD, as Java shows it: the kernel's texts can't hold it."""
    return value.decode(errors="replace")


def texts_of(values: list[bytes | None]) -> list[str | None]:
    return [None if value is None else text_of(value) for value in values]


def boolean(value: str, lenient: bool) -> bool | None:
    word = value.strip(_SPACE).lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    if lenient:
        return None
    raise _bad(value, "BOOLEAN")


def whole(value: str, bits: int) -> int | None:
    """The integer of so many bits that the text is, if it is one."""
    if re.fullmatch(r"[+-]?[0-9]+", word := value.strip(_SPACE)) and -(1 << bits - 1) <= (number := int(word)) < 1 << bits - 1:
        return number
    return None


def _integer(value: str, lenient: bool, kind: str, bits: int) -> int | None:
    number = whole(value, bits)
    if number is None and not lenient:
        raise _bad(value, kind)
    return number


def tinyint(value: str, lenient: bool) -> int | None:
    return _integer(value, lenient, "TINYINT", 8)


def smallint(value: str, lenient: bool) -> int | None:
    return _integer(value, lenient, "SMALLINT", 16)


def integer(value: str, lenient: bool) -> int | None:
    return _integer(value, lenient, "INT", 32)


def bigint(value: str, lenient: bool) -> int | None:
    return _integer(value, lenient, "BIGINT", 64)


INTEGERS: dict[str, Callable[..., Any]] = {"ByteType": tinyint, "ShortType": smallint, "IntegerType": integer, "LongType": bigint}


def _float(value: str, lenient: bool, kind: str) -> float | None:
    word = value.strip(_SPACE)
    if found := re.fullmatch(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[dDfF]?", word):
        return float(found[1])
    if word.lower() in ("nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"):
        return float(word)
    if lenient:
        return None
    raise _bad(value, kind)


def double(value: str, lenient: bool) -> float | None:
    return _float(value, lenient, "DOUBLE")


def single(value: str, lenient: bool) -> float | None:
    return _float(value, lenient, "FLOAT")


def fitted(number: Decimal, precision: int, scale: int) -> Decimal | None:
    """Rounded half up, as that type of decimals; None for one of too many digits. Raises InvalidOperation beyond a hundred digits."""
    rounded = number.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, _EXACT)
    return rounded if len(rounded.as_tuple().digits) <= precision or rounded.is_zero() else None


def exact(value: str, lenient: bool, precision: int, scale: int) -> Decimal | None:
    try:
        number = Decimal(value.strip(_SPACE))
        if number.is_finite():
            found = fitted(number, precision, scale)
            if found is not None or lenient:
                return found
            raise SparkValueError(
                "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION", f"The value {value} cannot be represented as Decimal({precision}, {scale})."
            )
    except InvalidOperation:
        pass
    if lenient:
        return None
    raise _bad(value, f"DECIMAL({precision},{scale})")


# ---- dates and times ----

_DATE = re.compile(r"([+-]?\d{4,7})(?:-(\d{1,2})(?:-(\d{1,2})(?:[ T].*)?)?)?", re.DOTALL)
_TIME = re.compile(
    r"([+-]?\d{4,6})(?:-(\d{1,2})(?:-(\d{1,2})(?:[ T](\d{1,2})(?::(\d{1,2})(?::(\d{1,2})(?:\.(\d{0,9})\d*)?)?)?\s*"
    r"(Z|(?:UTC|GMT|UT)(?:[+-]\d{1,2}(?::?\d{1,2})?)?|[+-]\d{1,2}(?::\d{1,2}){0,2}|[+-]\d{3,6}|[A-Za-z]\w*(?:/[\w+-]+)+|[A-Z]{3})?)?)?)?"
)


_CLOCK = re.compile(r"T?(\d{1,2}:.*)")
"""A time without its day, which is today."""


def _date(text: str) -> date | None:
    found = _DATE.fullmatch(text.strip(_SPACE))
    try:
        return date(*(int(part or 1) for part in found.groups())) if found else None
    except ValueError:
        return None


def _time(text: str) -> tuple[datetime, str | None] | None:
    """(what is written, in which zone)."""
    found = _TIME.fullmatch(text.strip(_SPACE))
    if found is None:
        return None
    *fields, fraction, zone = found.groups()
    year, month, day, hour, minute, second = (int(part or at) for part, at in zip(fields, (1, 1, 1, 0, 0, 0), strict=True))
    try:
        return datetime(year, month, day, hour, minute, second, int((fraction or "0").ljust(6, "0")[:6])), zone
    except ValueError:
        return None


def date_of(text: str, lenient: bool) -> date | None:
    day = _date(text)
    if day is None and not lenient:
        raise _bad(text, "DATE")
    return day


def wall_clock_of(text: str, lenient: bool) -> datetime | None:
    found = _time(text)
    if found is None and not lenient:
        raise _bad(text, "TIMESTAMP_NTZ")
    return None if found is None else found[0]


def instant_of(text: str, lenient: bool, zone: str) -> datetime | None:
    found = _time(text)
    if found is None and (clock := _CLOCK.fullmatch(text.strip(_SPACE))) is not None:
        found = _time(f"{datetime.now(zone_of(zone)):%Y-%m-%d} {clock[1]}")
    if found is not None:
        try:
            return found[0].replace(tzinfo=offset_of_text(found[1]) if found[1] else zone_of(zone)).astimezone(UTC)
        except (SparkValueError, OverflowError):
            pass
    if lenient:
        return None
    raise _bad(text, "TIMESTAMP")


# ---- as text ----


def written(value: float) -> str:
    """As Java writes a double: 1.0E10."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    sign, digits, power = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(power, int)
    text = "".join(map(str, digits))
    return f"{'-' if sign else ''}{text[0]}.{text[1:] or '0'}E{power + len(text) - 1}"


def written_single(value: float) -> str:
    """As Java writes a float: the fewest digits that mean it."""
    if value == value and abs(value) != float("inf"):
        for digits in range(1, 10):
            short = float(f"{value:.{digits}g}")
            if struct.unpack("f", struct.pack("f", short))[0] == value:
                return written(short)
    return written(value)


def shower(kind: str, zone: str) -> Prepared:
    """What writes values of the type with this simple string as Spark casts them to strings."""
    return prepared("shown", _writer, kind, zone)


def _writer(kind: str, zone: str) -> Callable[[Any], str]:
    if kind.startswith("array<"):
        item = _writer(kind[6:-1], zone)
        return lambda value: f"[{', '.join('null' if x is None else item(x) for x in value)}]"
    if kind.startswith("map<"):
        key_kind, value_kind = parts(kind[4:-1])
        key, item = _writer(key_kind, zone), _writer(value_kind, zone)
        return lambda value: f"{{{', '.join(f'{key(k)} -> ' + ('null' if v is None else item(v)) for k, v in value)}}}"
    if kind.startswith("struct<"):
        members = [_writer(part.partition(":")[2], zone) for part in parts(kind[7:-1])]

        def struct_text(value: dict[str, Any]) -> str:
            shown = ("null" if x is None else write(x) for write, x in zip(members, value.values(), strict=True))
            return f"{{{', '.join(shown)}}}"

        return struct_text
    match kind:
        case "interval":
            return spans.text_of
        case "double":
            return written
        case "float":
            return written_single
        case "boolean":
            return lambda value: "true" if value else "false"
        case "binary":
            return lambda value: bytes(value).decode(errors="replace")
        case "timestamp":
            return lambda value: shown_time(value.astimezone(zone_of(zone)))
        case "timestamp_ntz":
            return shown_time
        case "date":
            return lambda value: str(value.isoformat())
        case "variant":
            from quiver_proto.variants.calls import written_in

            return written_in(zone)
        case _ if kind.startswith("time("):
            return shown
        case _ if kind.startswith("decimal"):
            return lambda value: format(value, "f")
        case _ if kind.startswith(("interval year", "interval month")):
            return lambda value: shown_months(value[0] if isinstance(value, tuple) else value, kind)
        case _ if kind.startswith("interval"):
            return lambda value: shown_span(value, kind)
        case _:
            return str


def shown_time(moment: datetime) -> str:
    """2024-02-29 12:34:56.789, without the zone and zeros at the end."""
    text = f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d} {moment.hour:02d}:{moment.minute:02d}:{moment.second:02d}"
    return f"{text}.{moment.microsecond:06d}".rstrip("0") if moment.microsecond else text


def shown_months(months: int, kind: str) -> str:
    """INTERVAL '1-2' YEAR TO MONTH."""
    sign, months = "-" * (months < 0), abs(months)
    match kind:
        case "interval year":
            return f"INTERVAL '{sign}{months // 12}' YEAR"
        case "interval month":
            return f"INTERVAL '{sign}{months}' MONTH"
        case _:
            return f"INTERVAL '{sign}{months // 12}-{months % 12}' YEAR TO MONTH"


def shown_span(span: timedelta, kind: str = "interval day to second") -> str:
    """INTERVAL '1 02:03:04.5' DAY TO SECOND."""
    micros = (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds
    sign, micros = "-" * (micros < 0), abs(micros)
    seconds, fraction = divmod(micros, 1_000_000)
    fields = kind.removeprefix("interval ").upper()
    first, _, last = fields.partition(" TO ")
    units = ("DAY", "HOUR", "MINUTE", "SECOND")
    sizes = (86_400, 3_600, 60, 1)
    start, end = units.index(first), units.index(last or first)
    text = ""
    for at in range(start, end + 1):
        amount, seconds = divmod(seconds, sizes[at])
        piece = f"{amount}" if at == 0 else f"{amount:02d}"
        text += ("" if at == start else " " if at == 1 else ":") + piece
    if end == 3 and fraction:
        text += f".{fraction:06d}".rstrip("0")
    return f"INTERVAL '{sign}{text}' {fields}"


def parts(text: str) -> list[str]:
    """Of a list of types with commas between: cut at those in no bracket."""
    items, depth = [""], 0
    for character in text:
        depth += (character in "<(") - (character in ">)")
        if character == "," and not depth:
            items.append("")
        else:
            items[-1] += character
    return items
