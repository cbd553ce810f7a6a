"""`sequence`: numbers, dates and times by equal steps."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from quiver_proto.spark_functions.growth import check_elements
from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.times import add_months, zone_of

_DAY = timedelta(days=1)


def numbers(start: int, stop: int, step: int | None = None) -> list[int]:
    """Both ends included."""
    by = step if step is not None else 1 if start <= stop else -1
    _check(by, start, stop, by)
    check_elements("sequence", (stop - start) // by + 1 if by else 1)
    return list(range(start, stop + (1 if by > 0 else -1), by)) if by else [start]


def dates(start: date, stop: date, step: Any = None) -> list[date]:
    """By months and whole days. `step`: a timedelta or (months, days, nanoseconds)."""
    months, days, rest = _parts(step, start <= stop)
    if rest or not (months or days or step is None or start == stop):
        raise SparkValueError(
            "_LEGACY_ERROR_TEMP_3242",
            "sequence step must be an interval day to second of day granularity if start and end values are dates",
        )
    _check(months * 31 + days, start, stop, step)
    result: list[date] = []
    at = start
    while at <= stop if months * 31 + days > 0 else at >= stop:
        result.append(at)
        if not months and not days:
            break
        at = add_months(start, months * len(result)) + _DAY * (days * len(result))
    return result


def times(zone: str, start: datetime, stop: datetime, step: Any = None) -> list[datetime]:
    """Instants: months and days by the clocks of the zone, what is shorter by elapsed time. Times without a zone: by their own clock."""
    months, days, rest = _parts(step, start <= stop)
    sign = months * 31 * _DAY + days * _DAY + rest
    _check(sign, start, stop, step)
    check_elements("sequence", (stop - start) // sign + 1 if sign else 1)
    clock = None if start.tzinfo is None else zone_of(zone)
    result: list[datetime] = []
    at = start
    while at <= stop if sign > timedelta(0) else at >= stop:
        result.append(at)
        if not sign:
            break
        count = len(result)
        at = _moved(start, months * count, days * count, clock) + rest * count
    return result


def _moved(start: datetime, months: int, days: int, clock: tzinfo | None) -> datetime:
    """By months and days of a clock. Where a time is there twice, the one with the offset of `start`, if there is one."""
    if not months and not days:
        return start
    local = start if clock is None else start.astimezone(clock)
    day = add_months(local.date(), months) + _DAY * days
    moved = local.replace(year=day.year, month=day.month, day=day.day, fold=0)
    if clock is None:
        return moved
    later = moved.replace(fold=1)
    if moved.utcoffset() != local.utcoffset() == later.utcoffset() and later.astimezone(UTC).astimezone(clock).replace(tzinfo=None) == (
        later.replace(tzinfo=None)
    ):
        moved = later
    return moved.astimezone(UTC)


def _parts(step: Any, rises: bool) -> tuple[int, int, timedelta]:
    """(months, days, the rest)."""
    if step is None:
        return 0, 1 if rises else -1, timedelta(0)
    if isinstance(step, timedelta):
        days = int(step / _DAY)
        return 0, days, step - _DAY * days
    months, days, nanos = step
    return months, days, timedelta(microseconds=nanos // 1000)


def _check(sign: Any, start: Any, stop: Any, step: Any) -> None:
    nothing = type(sign)(0)
    if (start < stop and sign <= nothing) or (start > stop and sign >= nothing):
        raise SparkValueError("ILLEGAL_SEQUENCE_BOUNDARIES", f"Illegal sequence boundaries: {start} to {stop} by {step}.")
