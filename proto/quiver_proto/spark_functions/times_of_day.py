"""Of times of the day (Spark's TIME), in microseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.patterns import parsed
from quiver_proto.spark_functions.times import add_months, zone_of

DAY = 86_400_000_000
SIZES = {"HOUR": 3_600_000_000, "MINUTE": 60_000_000, "SECOND": 1_000_000, "MILLISECOND": 1_000, "MICROSECOND": 1}
"""Of the units, in microseconds."""
_WRITTEN = re.compile(r"\s*T?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d*))?)?(?:\s*([AaPp])[Mm])?\s*")
_MICROSECOND = timedelta(microseconds=1)


def micros_of(value: time) -> int:
    """Microseconds since midnight."""
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond


def of_micros(micros: int) -> time:
    """The time so many microseconds after midnight. Raises SparkValueError for what is in no day."""
    if not 0 <= micros < DAY:
        raise SparkValueError(
            "DATETIME_FIELD_OUT_OF_BOUNDS.WITHOUT_SUGGESTION",
            f"Invalid TIME value: must be between 00:00:00 and 23:59:59.999999999, but got {micros * 1000} nanoseconds.",
        )
    seconds, fraction = divmod(micros, 1_000_000)
    return time(seconds // 3600, seconds // 60 % 60, seconds % 60, fraction)


def cut(value: time, precision: int) -> time:
    """With so many digits of the second's fraction, the others cut off."""
    step = 10 ** (6 - precision)
    return value.replace(microsecond=value.microsecond // step * step)


def read(text: str) -> time | None:
    """As Spark reads a time: `12:34`, `1:2:3.5`, `11:30 pm`; None for what is none."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        return None
    hour, half = int(found[1]), (found[5] or "").lower()
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half == "p")
    try:
        return time(hour, int(found[2]), int(found[3] or 0), int((found[4] or "").ljust(6, "0")[:6]))
    except ValueError:
        return None


def time_of(text: str, lenient: bool, precision: int) -> time | None:
    value = read(text)
    if value is not None:
        return cut(value, precision)
    if lenient:
        return None
    raise SparkValueError(
        "CAST_INVALID_INPUT",
        f'The value \'{text}\' of the type "STRING" cannot be cast to "TIME({precision})" because it is malformed. Correct the value as '
        "per the syntax, or change its target type. Use `try_cast` to tolerate malformed input and return NULL instead.",
    )


def shown(value: time) -> str:
    """12:34:56.789, without zeros at the end."""
    return value.isoformat().rstrip("0") if value.microsecond else value.isoformat()


def parsed_time(text: str, form: str = "") -> time:
    value = try_parsed_time(text, form, False)
    if value is None:
        raise SparkValueError(
            "CANNOT_PARSE_TIME",
            f"The input string '{text}' cannot be parsed to a TIME value because it does not match to the datetime format "
            f"'{form or 'HH:mm:ss.SSSSSS'}'.",
        )
    return value


def try_parsed_time(text: str, form: str = "", lenient: bool = True) -> time | None:
    if not form:
        return read(text)
    try:
        moment = parsed(text, form)
    except SparkValueError:
        if lenient:
            return None
        raise SparkValueError(
            "INVALID_DATETIME_PATTERN.WITH_SUGGESTION",
            f"Unrecognized datetime pattern: '{form}'. You can form a valid datetime pattern with the guide from "
            "'https://spark.apache.org/docs/latest/sql-ref-datetime-pattern.html'.",
        ) from None
    return None if moment is None else moment.time()


def make_time(hour: int, minute: int, second: Decimal) -> time:
    for name, value, most in (("HourOfDay", hour, 23), ("MinuteOfHour", minute, 59), ("SecondOfMinute", int(second), 59)):
        if not 0 <= value <= most or second < 0:
            raise SparkValueError(
                "DATETIME_FIELD_OUT_OF_BOUNDS.WITHOUT_SUGGESTION", f"Invalid value for {name} (valid values 0 - {most}): {value}."
            )
    return time(hour, minute, int(second), int(second % 1 * 1_000_000))


def time_from_seconds(seconds: int | float | Decimal) -> time:
    if isinstance(seconds, float) and (seconds != seconds or seconds in (float("inf"), float("-inf"))):
        raise SparkValueError("DATETIME_FIELD_OUT_OF_BOUNDS.WITHOUT_SUGGESTION", "Cannot convert NaN or Infinite value to TIME.")
    return of_micros(int(seconds * 1_000_000))


def time_from_millis(millis: int) -> time:
    return of_micros(millis * 1000)


def time_from_micros(micros: int) -> time:
    return of_micros(micros)


def _size(function: str, unit: str) -> int:
    size = SIZES.get(unit.upper())
    if size is None:
        raise SparkValueError(
            "INVALID_PARAMETER_VALUE.TIME_UNIT",
            f"The value of parameter(s) `unit` in `{function}` is invalid: expects one of the units 'HOUR', 'MINUTE', 'SECOND', "
            f"'MILLISECOND', 'MICROSECOND', but got '{unit}'.",
        )
    return size


def time_trunc(unit: str, value: time) -> time:
    micros = micros_of(value)
    return of_micros(micros - micros % _size("time_trunc", unit))


def time_diff(unit: str, start: time, end: time) -> int:
    apart, size = micros_of(end) - micros_of(start), _size("time_diff", unit)
    return apart // size if apart >= 0 else -(-apart // size)


# ---- with a day ----


def on_clocks(wall: datetime, zone: str) -> datetime:
    """The instant when clocks of the zone show this."""
    return wall.replace(tzinfo=zone_of(zone)).astimezone(UTC)


def bucket_of_months(wall: datetime, months: int, origin: datetime) -> datetime:
    """Where the bucket of whole months that `wall` is in begins, if one begins at `origin`."""

    def start(number: int) -> datetime:
        return datetime.combine(add_months(origin.date(), number * months), origin.time())

    number = ((wall.year - origin.year) * 12 + wall.month - origin.month) // months
    while start(number) > wall:
        number -= 1
    while start(number + 1) <= wall:
        number += 1
    return start(number)


def bucket_of_span(wall: datetime, span: timedelta, origin: datetime) -> datetime:
    """Where the bucket that `wall` is in begins, if one begins at `origin`."""
    return wall - (wall - origin) % span


def bucket_of_days(moment: datetime, span: timedelta, origin: datetime, zone: str) -> datetime:
    """As bucket_of_span, of instants and of a day or more: whole days of all the buckets since the origin are days of the zone's clocks."""
    there = zone_of(zone)
    begin = origin.astimezone(there).replace(tzinfo=None)

    def start(number: int) -> datetime:
        days, rest = divmod(number * span, timedelta(days=1))
        return (begin + timedelta(days=days)).replace(tzinfo=there).astimezone(UTC) + rest

    number = (moment.astimezone(there).replace(tzinfo=None) - begin) // span
    while start(number) > moment:
        number -= 1
    while start(number + 1) <= moment:
        number += 1
    return start(number)
