"""Texts as values of a column's type, with Spark's rules: what is no value becomes null, and is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from quiver_proto.spark_functions.patterns import parsed
from quiver_proto.spark_functions.times_of_day import read

if TYPE_CHECKING:
    import pyarrow as pa

Convert = Callable[[str], Any]
"""Raises ValueError for a text that is no value."""


@dataclass(frozen=True, slots=True)
class Formats:
    """`date`, `timestamp`, `timestamp_ntz`: patterns (None: ISO 8601, leniently). `zone`: of timestamps that name none."""

    zone: str = "UTC"
    date: str | None = None
    timestamp: str | None = None
    timestamp_ntz: str | None = None
    nan: str = "NaN"
    positive_infinity: str = "Inf"
    negative_infinity: str = "-Inf"


_WHOLE = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[dDfF]?\s*")
_DATE = re.compile(r"\s*([+-]?\d{4,7})(?:-(\d{1,2})(?:-(\d{1,2})(?:[ T].*)?)?)?\s*")
_MOMENT = re.compile(
    r"\s*(\d{4,6})(?:-(\d{1,2})(?:-(\d{1,2})(?:[ T](?:(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d*))?)?)?\s*"
    r"(Z|UTC|GMT|(?:UTC|GMT)?[+-]\d{1,2}(?::?\d{2})?(?::?\d{2})?|[A-Za-z]+/[A-Za-z_/]+)?)?)?)?\s*"
)
_INT_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}


def converter(kind: pa.DataType, formats: Formats) -> Convert | None:
    """What makes a value of a text; None for strings. Raises TypeError for types that text has no values of."""
    import pyarrow as pa

    is_ = pa.types
    if is_.is_string(kind) or is_.is_null(kind):
        return None
    if is_.is_integer(kind):
        return _integer(_INT_BITS[str(kind)])
    if is_.is_floating(kind):
        return _float(formats)
    if is_.is_boolean(kind):
        return _boolean
    if is_.is_decimal(kind):
        return decimal_of(kind.precision, kind.scale)
    if is_.is_date(kind):
        return lambda text: date_of(text, formats.date)
    if is_.is_time(kind):
        return clock_of
    if is_.is_timestamp(kind):
        if kind.tz is None:
            return lambda text: naive_of(text, formats.timestamp_ntz)
        zone = zone_of(formats.zone)
        return lambda text: moment_of(text, formats.timestamp, zone)
    if is_.is_binary(kind):
        return str.encode
    raise TypeError(f"text has no values of type {kind}")


def _integer(bits: int) -> Convert:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1

    def convert(text: str) -> int:
        if not _WHOLE.fullmatch(text) or not low <= (value := int(text)) <= high:
            raise ValueError(text)
        return value

    return convert


def _float(formats: Formats) -> Convert:
    special = {
        formats.nan: float("nan"), formats.positive_infinity: float("inf"), formats.negative_infinity: float("-inf"),
        "NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf"),
    }  # fmt: skip

    def convert(text: str) -> float:
        if text in special:
            return special[text]
        if not _FLOAT.fullmatch(text):
            raise ValueError(text)
        return float(text.strip().rstrip("dDfF"))

    return convert


def _boolean(text: str) -> bool:
    folded = text.lower()
    if folded not in ("true", "false"):
        raise ValueError(text)
    return folded == "true"


def decimal_of(precision: int, scale: int) -> Callable[[Any], Decimal]:
    """Of a number or its text, in which commas mean nothing, rounded half up to the scale; ValueError for one of too many digits."""
    context, unit = Context(prec=100, rounding=ROUND_HALF_UP), Decimal(1).scaleb(-scale)
    limit = Decimal(10) ** (precision - scale)

    def convert(given: Any) -> Decimal:
        try:
            value = context.create_decimal(given.strip().replace(",", "") if isinstance(given, str) else given)
            rounded = value.quantize(unit, context=context)
        except InvalidOperation:
            raise ValueError(given) from None
        if not rounded.is_finite() or abs(rounded) >= limit:
            raise ValueError(given)
        return rounded

    return convert


def date_of(text: str, form: str | None) -> date:
    """By the pattern, else `2026-01-31` with what may follow a date. Raises ValueError."""
    if form is not None:
        moment = parsed(text, form)
        if moment is None:
            raise ValueError(text)
        return moment.date()
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return date(int(found[1]), int(found[2] or 1), int(found[3] or 1))


def zone_of(name: str) -> tzinfo:
    """Of a name (`Europe/Oslo`, `UTC`, `Z`) or offset (`+01:00`). Raises ValueError."""
    if name in ("Z", "UTC", "GMT", ""):
        return UTC
    found = re.fullmatch(r"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d{2})?(?::?\d{2})?", name)
    if found:
        offset = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
        return timezone(offset if found[1] == "+" else -offset)
    try:
        return ZoneInfo(name)
    except Exception:
        raise ValueError(name) from None


def _parts(text: str) -> tuple[datetime, str | None]:
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(text)
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    micros = int((fraction or "")[:6].ljust(6, "0"))
    return datetime(int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), micros), zone


def clock_of(text: str) -> time:
    """A time of the day. Raises ValueError."""
    value = read(text)
    if value is None:
        raise ValueError(text)
    return value


def moment_of(text: str, form: str | None, zone: tzinfo) -> datetime:
    """The instant, in UTC. Raises ValueError."""
    if form is not None:
        moment = parsed(text, form)
        if moment is None:
            raise ValueError(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    moment, named = _parts(text)
    return moment.replace(tzinfo=zone_of(named) if named else zone).astimezone(UTC)


def naive_of(text: str, form: str | None) -> datetime:
    """The date and time; only a pattern allows for a zone. Raises ValueError."""
    moment, zone = (parsed(text, form), None) if form is not None else _parts(text)
    if moment is None or zone is not None:
        raise ValueError(text)
    return moment.replace(tzinfo=None)


def converted(texts: pa.Array, kind: pa.DataType, formats: Formats) -> tuple[pa.Array, list[int]]:
    """The values of a column of texts (null stays null), and the places of texts that are none, where it is null."""
    import pyarrow as pa

    convert = converter(kind, formats)
    if convert is None:
        return texts, []
    quick = _at_once(texts, kind, formats)
    if quick is not None:
        return quick, []
    values: list[Any] = []
    bad: list[int] = []
    for place, text in enumerate(texts.to_pylist()):
        if text is None:
            values.append(None)
            continue
        try:
            values.append(convert(text))
        except (ValueError, OverflowError):
            values.append(None)
            bad.append(place)
    return pa.array(values, kind), bad


_DAY = r"[1-9]\d{3}-\d\d-\d\d"
_CLOCK = r"[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?"
_OFFSET = r"(?:Z|[+-](?:0\d|1[0-7]):?[0-5]\d)$"
_LAST_YEAR = r"^9999"
_USUAL_DECIMAL = r"^[+-]?\d+(?:\.\d+)?$"


def _at_once(texts: pa.Array, kind: pa.DataType, formats: Formats) -> pa.Array | None:
    """By Arrow's own reading, where it means the same; None where a text needs a closer look."""
    import pyarrow as pa

    is_ = pa.types
    try:
        if is_.is_integer(kind):
            return None if _any_like(texts, r"[^0-9\-]") else texts.cast(kind)
        if is_.is_floating(kind):
            return None if _any_like(texts, r"[^0-9eE+.\-]") else texts.cast(kind)
        if is_.is_boolean(kind):
            return texts.cast(kind) if _all_like(texts, "^(?i:true|false)$") else None
        if is_.is_decimal(kind):
            return texts.cast(kind) if _all_like(texts, _USUAL_DECIMAL) else None
        if is_.is_date(kind) and formats.date is None:
            return texts.cast(kind) if _all_like(texts, f"^{_DAY}$") else None
        if is_.is_timestamp(kind) and (formats.timestamp if kind.tz else formats.timestamp_ntz) is None:
            return _moments(texts, kind, formats)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError):
        pass
    return None


def _moments(texts: pa.Array, kind: pa.DataType, formats: Formats) -> pa.Array | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if _all_like(texts, f"^{_DAY}(?:{_CLOCK})?$"):
        naive = texts.cast(pa.timestamp("us"))
        if kind.tz is None:
            return naive.cast(kind)
        name = "UTC" if formats.zone in ("", "Z", "GMT") else formats.zone
        if name != "UTC" and _any_like(texts, _LAST_YEAR):
            return None
        # Times that a clock never showed are for a closer look.
        options = pc.AssumeTimezoneOptions(name, ambiguous="earliest", nonexistent="raise")
        return pc.call_function("assume_timezone", [naive], options).cast(kind)
    if not _all_like(texts, f"^{_DAY}{_CLOCK}{_OFFSET}") or _any_like(texts, _LAST_YEAR):
        return None
    if kind.tz is None:
        return None
    return texts.cast(pa.timestamp("us", "UTC")).cast(kind)


def _any_like(texts: pa.Array, pattern: str) -> bool:
    import pyarrow.compute as pc

    return bool(pc.call_function("any", [pc.call_function("match_substring_regex", [texts], pc.MatchSubstringOptions(pattern))]).as_py())


def _all_like(texts: pa.Array, pattern: str) -> bool:
    """Null is like all."""
    import pyarrow.compute as pc

    like = pc.call_function("match_substring_regex", [texts], pc.MatchSubstringOptions(pattern))
    return pc.call_function("all", [like]).as_py() is not False
