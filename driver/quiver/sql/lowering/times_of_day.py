"""Times of the day (Spark's TIME) in the kernel's SQL: casts of them, and their microseconds."""

from __future__ import annotations

from quiver.sql import types as t
from quiver.sql.lowering.names import cast, text
from quiver.sql.lowering.zones import instant, wall_clock
from quiver.sql.registry.python import python
from quiver_proto.spark_functions import times_of_day
from quiver_proto.spark_functions.times_of_day import DAY

_L = t.LongType()
_PLAIN = "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?$"


def micros_of(value: str) -> str:
    """Microseconds since midnight (bigint)."""
    return cast(value, _L)


def of_micros(micros: str, kind: t.DataType) -> str:
    """The time of so many microseconds, which are less than a day's."""
    return cast(cast(micros, _L), kind)


def of_day(wall: str) -> str:
    """Of a timestamp_ntz, its microseconds since midnight, before 1970 too."""
    return f"(({cast(wall, _L)} % {DAY} + {DAY}) % {DAY})"


def cut(micros: str, precision: int) -> str:
    """Microseconds with so many digits of the second's fraction."""
    return micros if precision >= 6 else f"({micros} - {micros} % {10 ** (6 - precision)})"


def with_day(day: str, value: str) -> str:
    """The wall-clock time (timestamp_ntz) at a time of a day (date)."""
    return cast(f"({cast(cast(day, t.IntegerType()), _L)} * {DAY} + {micros_of(value)})", t.TimestampNTZType())


def today(zone: str) -> str:
    """Of the clocks of a zone, now (timestamp_ntz)."""
    return wall_clock(cast("now()", t.TimestampType()), zone)


def cast_of_time(value: str, source: t.DataType, target: t.DataType, lenient: bool, zone: str) -> str | None:
    """A cast from or to a time; None: it is none."""
    match source, target:
        case t.TimeType(), t.TimeType():
            return value if target.precision >= source.precision else of_micros(cut(micros_of(value), target.precision), target)
        case t.StringType(), t.TimeType():
            plain = f"CASE WHEN regexp_like({value}, {text(_PLAIN)}) THEN {cast(value, target, True)} END"
            own = of_micros(cut(micros_of(f"({plain})"), target.precision), target)
            kinds = [t.StringType(), t.BooleanType(), _L]
            rest = python(times_of_day.time_of, lambda kinds: target)([value, str(lenient).upper(), str(target.precision)], kinds)
            return f"(CASE WHEN ({plain}) IS NOT NULL THEN {own} WHEN {value} IS NOT NULL THEN {rest} END)"
        case t.TimeType(), t.StringType():
            return rf"regexp_replace(arrow_cast({value}, 'Utf8'), '(\.[0-9]*[1-9])0+$', '\1')"
        case ((t.TimestampType() | t.TimestampNTZType()), t.TimeType()):
            wall = wall_clock(value, zone) if isinstance(source, t.TimestampType) else value
            return of_micros(cut(of_day(wall), target.precision), target)
        case t.TimeType(), (t.TimestampType() | t.TimestampNTZType()):
            wall = with_day(cast(today(zone), t.DateType()), value)
            return wall if isinstance(target, t.TimestampNTZType) else instant(wall, zone)
        case t.TimeType(), t.IntegralType():
            return cast(f"({micros_of(value)} / 1000000)", target, lenient)
        case t.TimeType(), t.DecimalType():
            seconds = f"({cast(micros_of(value), t.DecimalType(20, 0))} / {cast(text('1000000'), t.DecimalType(7, 0))})"
            return cast(seconds, target, lenient)
        case _:
            return None
