"""Days beyond Python's years 1 to 9999, as Spark writes them: +10000-01-01."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Final

from quiver.sql import types as t
from quiver.sql.local_zone import clock

if TYPE_CHECKING:
    import pyarrow as pa

_CYCLE_YEARS: Final = 400
_CYCLE_DAYS: Final = 146_097
"""After which the calendar repeats itself."""
_DAY: Final = 86_400_000_000
_EPOCH: Final = datetime.date(1970, 1, 1).toordinal()
_FIRST: Final = 5 * _CYCLE_DAYS - _EPOCH + 1
"""The first day of the cycle in which days are looked up: of the year 2001, whose clocks are those that zones keep to in future."""


def texts(column: pa.Array | pa.ChunkedArray, kind: t.DateType | t.TimestampType | t.TimestampNTZType, zone: str) -> list[str | None]:
    """One text a row; instants by the clocks of `zone` (empty: the machine's)."""
    import pyarrow as pa

    if isinstance(kind, t.DateType):
        return [None if days is None else _date(days) for days in column.cast(pa.int32()).to_pylist()]
    zoned = isinstance(kind, t.TimestampType)
    return [None if micros is None else _moment(micros, zone, zoned) for micros in column.cast(pa.int64()).to_pylist()]


def _date(days: int) -> str:
    """
    >>> _date(2932897), _date(2147483647), _date(-2147483647), _date(0), _date(-719163)
    ('+10000-01-01', '+5881580-07-11', '-5877641-06-24', '1970-01-01', '0000-12-31')
    """
    cycles, rest = divmod(days - _FIRST, _CYCLE_DAYS)
    return _written(datetime.date.fromordinal(rest + _FIRST + _EPOCH), cycles)


def _moment(micros: int, zone: str, zoned: bool) -> str:
    """
    >>> _moment(9223372036854775807, "UTC", True), _moment(-62135596800000001, "", False)
    ('+294247-01-10 04:00:54.775807', '0000-12-31 23:59:59.999999')
    """
    cycles, rest = divmod(micros - _FIRST * _DAY, _CYCLE_DAYS * _DAY)
    moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(microseconds=rest + _FIRST * _DAY)
    if zoned:
        moment = moment.astimezone(clock(zone))
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return f"{_written(moment.date(), cycles)} {moment:%H:%M:%S}{fraction}"


def _written(day: datetime.date, cycles: int) -> str:
    year = day.year + cycles * _CYCLE_YEARS
    sign = "+" if year > 9999 else "-" if year < 0 else ""
    return f"{sign}{abs(year):04d}-{day:%m-%d}"
