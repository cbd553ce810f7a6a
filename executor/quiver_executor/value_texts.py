"""Columns as the texts that Spark writes for their values in CSV and JSON files. Whole arrays at a time; nulls stay nulls."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from quiver_executor.arrow_functions import compute
from quiver_proto.spark_functions.patterns import formatted
from quiver_proto.spark_functions.times_of_day import shown as clock_text


@dataclass(frozen=True, slots=True)
class Forms:
    """Patterns of dates, instants and timestamps without a zone ("": Spark's own), and the zone in which instants are written."""

    date: str = ""
    timestamp: str = ""
    timestamp_ntz: str = ""
    zone: str = "UTC"


def texts(array: Any, forms: Forms) -> Any:
    """Of scalar values: a StringArray."""
    import pyarrow as pa

    kind, is_ = array.type, pa.types
    if is_.is_string(kind):
        return array
    if is_.is_floating(kind):
        return _floats(array)
    if is_.is_decimal(kind):
        return _repaired(array.cast(pa.string()), "E", lambda text: format(Decimal(text), "f"))
    if is_.is_date(kind):
        return _by_row(array, lambda day: formatted(_midnight(day), forms.date)) if forms.date else array.cast(pa.string())
    if is_.is_timestamp(kind):
        return _instants(array, forms) if kind.tz is not None else _timestamps(array, forms)
    if is_.is_time(kind):
        return _by_row(array, clock_text)
    if is_.is_duration(kind):
        return _by_row(array.cast(pa.int64()), _day_time)
    if is_.is_interval(kind):
        return _by_row(array, lambda interval: _year_month(interval.months))
    if is_.is_binary(kind):
        return _by_row(array, lambda data: f"[{data.hex(' ').upper()}]")
    return array.cast(pa.string())


def base64_texts(array: Any) -> Any:
    """Of binary values."""
    return _by_row(array, lambda data: base64.b64encode(data).decode())


def _by_row(array: Any, write: Callable[[Any], str]) -> Any:
    import pyarrow as pa

    return pa.array([None if value is None else write(value) for value in array.to_pylist()], pa.string())


def _repaired(array: Any, pattern: str, write: Callable[[str], str]) -> Any:
    """The texts in which `pattern` occurs, written anew."""
    pc = compute()

    wrong = pc.fill_null(pc.match_substring_regex(array, pattern), False)
    if not pc.any(wrong).as_py():
        return array
    return pc.replace_with_mask(array, wrong, _by_row(array.filter(wrong), write))


def _floats(array: Any) -> Any:
    import pyarrow as pa

    pc = compute()

    size = pc.abs(array)
    zero = pa.scalar(0, array.type)
    plain = pc.or_(
        pc.and_(pc.greater_equal(size, pa.scalar(1e-3, array.type)), pc.less(size, pa.scalar(1e7, array.type))), pc.equal(size, zero)
    )
    plain = pc.fill_null(plain, True)
    written = array.cast(pa.string())
    whole = pc.invert(pc.fill_null(pc.match_substring(written, "."), True))
    written = pc.if_else(pc.and_(plain, whole), pc.binary_join_element_wise(written, ".0", ""), written)
    if not pc.all(plain).as_py():
        other = pc.invert(plain)
        written = pc.replace_with_mask(written, other, _by_row(written.filter(other), java_float))
    return written


def java_float(text: str) -> str:
    """A number outside [0.001, 10,000,000) as Java writes it.

    >>> java_float("1e+20"), java_float("12345678"), java_float("-0.00012"), java_float("-inf")
    ('1.0E20', '1.2345678E7', '-1.2E-4', '-Infinity')
    """
    match text.lstrip("-"):
        case "inf":
            return text.replace("inf", "Infinity")
        case "nan":
            return "NaN"
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)
    written = "".join(map(str, digits)).rstrip("0") or "0"
    return f"{'-' if sign else ''}{written[0]}.{written[1:] or '0'}E{exponent + len(digits) - 1}"


def _midnight(day: datetime.date) -> datetime.datetime:
    return datetime.datetime(day.year, day.month, day.day)


def _timestamps(array: Any, forms: Forms) -> Any:
    if forms.timestamp_ntz:
        return _by_row(array, lambda moment: formatted(moment, forms.timestamp_ntz))
    return _to_milliseconds(array, None)


def _instants(array: Any, forms: Forms) -> Any:
    pc = compute()

    if forms.timestamp:
        zone = ZoneInfo(forms.zone)
        return _by_row(array, lambda moment: formatted(moment.astimezone(zone), forms.timestamp))
    if forms.zone == "UTC":
        return pc.binary_join_element_wise(_to_milliseconds(array, "UTC"), "Z", "")
    written = _to_milliseconds(array, forms.zone)
    shifted = pc.replace_substring_regex(written, r"([+-]\d\d)(\d\d)$", r"\1:\2")
    return pc.replace_substring_regex(shifted, r"\+00:00$", "Z")


def _to_milliseconds(array: Any, zone: str | None) -> Any:
    import pyarrow as pa

    pc = compute()

    # As if it were without a zone, or in UTC: rounding in a zone would look up its offset.
    exact = array.cast(pa.timestamp("us")).cast(pa.int64())
    floored = pc.floor_temporal(exact.cast(pa.timestamp("us")), unit="millisecond").cast(pa.timestamp("ms"))
    if zone is None or zone == "UTC":
        return pc.strftime(floored, format="%Y-%m-%dT%H:%M:%S")
    return pc.strftime(floored.cast(pa.int64()).cast(pa.timestamp("ms", tz=zone)), format="%Y-%m-%dT%H:%M:%S%z")


def _day_time(microseconds: int) -> str:
    sign = "-" if microseconds < 0 else ""
    seconds, fraction = divmod(abs(microseconds), 10**6)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    point = f".{fraction:06d}".rstrip("0") if fraction else ""
    return f"INTERVAL '{sign}{days} {hour:02d}:{minute:02d}:{second:02d}{point}' DAY TO SECOND"


def _year_month(months: int) -> str:
    years, month = divmod(abs(months), 12)
    return f"INTERVAL '{'-' if months < 0 else ''}{years}-{month}' YEAR TO MONTH"
