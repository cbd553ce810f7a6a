"""Of dates and times."""

from __future__ import annotations

import calendar
import functools
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from quiver_proto.spark_functions import spans
from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.patterns import formatted, parsed

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_MICROSECOND = timedelta(microseconds=1)


def monthname(day: date) -> str:
    return calendar.month_abbr[day.month]


def dayname(day: date) -> str:
    return calendar.day_abbr[day.weekday()]


def add_months(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _is_last(moment: date) -> bool:
    return moment.day == calendar.monthrange(moment.year, moment.month)[1]


def months_between(later: datetime, earlier: datetime, rounded: bool = True) -> float:
    months = (later.year - earlier.year) * 12 + later.month - earlier.month
    if later.day == earlier.day or (_is_last(later) and _is_last(earlier)):
        return float(months)
    seconds = (later.day - earlier.day) * 86400 + _of_day(later) - _of_day(earlier)
    exact = months + seconds / (31 * 86400)
    return round(exact, 8) if rounded else exact


def extract_seconds(moment: datetime) -> Decimal:
    return Decimal(moment.second) + Decimal(moment.microsecond).scaleb(-6)


def _of_day(moment: datetime) -> int:
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def next_day(day: date, name: str) -> date:
    wanted = name.strip().upper()
    full = [calendar.day_name[number].upper() for number in range(7)]
    if (wanted not in full and wanted[:3] != wanted and wanted not in _DAYS) or wanted[:2] not in _DAYS:
        raise SparkValueError("ILLEGAL_DAY_OF_WEEK", f"Illegal input for day of week: {name}.")
    return day + timedelta(days=(_DAYS.index(wanted[:2]) - day.weekday() - 1) % 7 + 1)


def trunc(day: date, unit: str) -> date | None:
    match unit.upper():
        case "YEAR" | "YYYY" | "YY":
            return day.replace(month=1, day=1)
        case "QUARTER":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "MONTH" | "MON" | "MM":
            return day.replace(day=1)
        case "WEEK":
            return day - timedelta(days=day.weekday())
        case _:
            return None


def date_trunc(unit: str, moment: datetime) -> datetime | None:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match unit.upper():
        case "MICROSECOND":
            return moment
        case "MILLISECOND":
            return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        case "SECOND":
            return moment.replace(microsecond=0)
        case "MINUTE":
            return moment.replace(second=0, microsecond=0)
        case "HOUR":
            return moment.replace(minute=0, second=0, microsecond=0)
        case "DAY" | "DD":
            return midnight
        case other:
            day = trunc(moment.date(), other)
            return None if day is None else midnight.replace(year=day.year, month=day.month, day=day.day)


def make_date(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError as error:
        raise SparkValueError(
            "DATETIME_FIELD_OUT_OF_BOUNDS.WITHOUT_SUGGESTION",
            f'{error}. If necessary set "spark.sql.ansi.enabled" to "false" to bypass this error.',
        ) from None


_UNITS = {
    "MICROSECOND": 1,
    "MILLISECOND": 1000,
    "SECOND": 10**6,
    "MINUTE": 60 * 10**6,
    "HOUR": 3600 * 10**6,
    "DAY": 86400 * 10**6,
    "DAYOFYEAR": 86400 * 10**6,
    "WEEK": 7 * 86400 * 10**6,
}
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}


def timestamp_add(unit: str, amount: int, moment: datetime) -> datetime:
    name = unit.upper()
    micros = 0 if name in _MONTHS else _unit(name)
    try:
        if micros:
            return moment + timedelta(microseconds=amount * micros)
        day = add_months(moment.date(), amount * _MONTHS[name])
        return moment.replace(year=day.year, month=day.month, day=day.day)
    except (OverflowError, ValueError):
        raise SparkValueError(
            "DATETIME_OVERFLOW", f"Datetime operation overflow: add {amount}L {name} to TIMESTAMP '{moment.replace(tzinfo=None)}'."
        ) from None


def timestamp_diff(unit: str, start: datetime, end: datetime) -> int:
    name = unit.upper()
    if name in _MONTHS:
        months = (end.year - start.year) * 12 + end.month - start.month
        began, ended = (start.day, start.time()), (end.day, end.time())
        if months > 0 and ended < began:  # The last month is not full; also when it has no such day.
            months -= 1
        elif months < 0 and ended > began:
            months += 1
        return int(months / _MONTHS[name])
    micros = (end - start) // _MICROSECOND
    return abs(micros) // _unit(name) * (1 if micros >= 0 else -1)


def _unit(name: str) -> int:
    if name not in _UNITS:
        raise SparkValueError(
            "INVALID_PARAMETER_VALUE.DATETIME_UNIT", f"expects one of the units {', '.join((*_UNITS, *_MONTHS))}, but got '{name}'."
        )
    return _UNITS[name]


# ---- text ----


def _by_pattern(text: str, form: str, lenient: bool) -> datetime | None:
    moment = parsed(text, form)
    if moment is None and not lenient:
        raise SparkValueError(
            "CANNOT_PARSE_TIMESTAMP",
            f"Text '{text}' could not be parsed by '{form}'. Use `try_to_timestamp` to tolerate invalid input and return NULL instead.",
        )
    return moment


def parsed_date(text: str, form: str, zone: str, lenient: bool) -> date | None:
    moment = _by_pattern(text, form, lenient)
    return None if moment is None else (moment.astimezone(zone_of(zone)) if moment.tzinfo else moment).date()


def parsed_wall_clock(text: str, form: str, zone: str, lenient: bool) -> datetime | None:
    moment = _by_pattern(text, form, lenient)
    return None if moment is None else moment.replace(tzinfo=None)


def parsed_instant(text: str, form: str, zone: str, lenient: bool) -> datetime | None:
    moment = _by_pattern(text, form, lenient)
    return None if moment is None else (moment if moment.tzinfo else moment.replace(tzinfo=zone_of(zone))).astimezone(UTC)


def date_format(moment: datetime, form: str, zone: str) -> str:
    return formatted(moment, form, zone)


# ---- zones ----


@functools.lru_cache(256)
def zone_of(name: str) -> Any:
    """A zone by its name or offset. Raises SparkValueError."""
    from datetime import timezone

    found = re.fullmatch(r"(?:UTC|GMT|UT)?([+-])(\d{1,2}):?(\d{1,2})?(?::?\d{2})?", name)
    if found and int(found[2]) <= 18 and int(found[3] or 0) < 60:
        minutes = int(found[2]) * 60 + int(found[3] or 0)
        return timezone(timedelta(minutes=minutes if found[1] == "+" else -minutes))
    short = {
        "Z": "UTC",
        "PST": "America/Los_Angeles",
        "EST": "-05:00",
        "JST": "Asia/Tokyo",
        "CST": "America/Chicago",
        "CET": "Europe/Paris",
    }
    if name in short and short[name] != "UTC":
        return zone_of(short[name])
    try:
        return UTC if name in ("Z", "UTC", "GMT") else ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise SparkValueError("INVALID_TIMEZONE", f"The timezone: {name} is invalid.") from None


def offset_of_text(name: str) -> Any:
    """A zone as it stands behind a time: `+01:00`, `+0100`, `UTC+1`, `Europe/Berlin`. Raises SparkValueError."""
    return zone_of(re.sub(r"^(?:UT|UTC|GMT)(?=[+-])", "", name))


def from_utc_timestamp(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(zone_of(zone)).replace(tzinfo=UTC)


def to_utc_timestamp(moment: datetime, zone: str) -> datetime:
    return moment.replace(tzinfo=zone_of(zone)).astimezone(UTC)


def convert_timezone(source: str, target: str, moment: datetime) -> datetime:
    # By way of UTC: within one zone Python would not move what its clocks leave out.
    return moment.replace(tzinfo=zone_of(source)).astimezone(UTC).astimezone(zone_of(target)).replace(tzinfo=None)


# ---- from parts ----


def make_timestamp(year: int, month: int, day: int, hour: int, minute: int, seconds: Decimal, zone: str = "UTC") -> datetime:
    micros = int(seconds * 10**6)
    try:
        whole = 0 if micros == 60 * 10**6 else micros
        moment = datetime(year, month, day, hour, minute, whole // 10**6, whole % 10**6, tzinfo=zone_of(zone))
    except ValueError as error:
        raise SparkValueError("DATETIME_FIELD_OUT_OF_BOUNDS", f"{error}. Use `try_make_timestamp` to get NULL instead.") from None
    return (moment + timedelta(minutes=micros == 60 * 10**6)).astimezone(UTC)


def try_make_timestamp(year: int, month: int, day: int, hour: int, minute: int, seconds: Decimal, zone: str = "UTC") -> datetime | None:
    try:
        return make_timestamp(year, month, day, hour, minute, seconds, zone)
    except SparkValueError:
        return None


def make_timestamp_ntz(year: int, month: int, day: int, hour: int, minute: int, seconds: Decimal) -> datetime:
    return make_timestamp(year, month, day, hour, minute, seconds).replace(tzinfo=None)


def try_make_timestamp_ntz(year: int, month: int, day: int, hour: int, minute: int, seconds: Decimal) -> datetime | None:
    try:
        return make_timestamp_ntz(year, month, day, hour, minute, seconds)
    except SparkValueError:
        return None


def try_make_interval(*parts: Any) -> tuple[int, int, int] | None:
    given = [*parts, *[0] * (7 - len(parts))]
    return spans.calendar(*given)


def make_interval(*parts: Any) -> tuple[int, int, int]:
    made = try_make_interval(*parts)
    if made is None:
        raise SparkValueError("INTERVAL_ARITHMETIC_OVERFLOW.WITH_SUGGESTION", "Integer overflow while operating with intervals.")
    return made


def make_ym_interval(years: int = 0, months: int = 0) -> tuple[int, int, int]:
    return (years * 12 + months, 0, 0)
