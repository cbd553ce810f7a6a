"""Instants and wall-clock times in the kernel's SQL. Instants are UTC in the kernel; a zone is put on them only where a clock is read.

The zone is the session's when a query was analysed: the analyser writes it into casts between instants and everything that clocks show
(`Cast.zone`) and into calls of functions that are `zoned` or `wall` (`Call.zone`).
"""

from __future__ import annotations

from quiver.sql import types as t
from quiver.sql.lowering.names import cast, text
from quiver.sql.types.holding import holds

_INSTANT = t.TimestampType()
_WALL = t.TimestampNTZType()
_UTC = ("", "UTC", "Etc/UTC", "GMT", "+00:00")


def clocks_change(zone: str) -> bool:
    """Whether a day of the zone's may be of other than 24 hours."""
    return zone not in _UTC and zone[0] not in "+-"


def reads_clock(source: t.DataType, target: t.DataType) -> bool:
    """Whether a cast between these types depends on the zone."""
    if isinstance(source, t.VariantType):
        return source != target
    if isinstance(source, t.ArrayType) and isinstance(target, t.ArrayType):
        return reads_clock(source.elementType, target.elementType)
    if isinstance(target, t.StringType):
        return holds(source, t.TimestampType | t.VariantType)
    if isinstance(source, t.MapType) and isinstance(target, t.MapType):
        return reads_clock(source.keyType, target.keyType) or reads_clock(source.valueType, target.valueType)
    if isinstance(source, t.StructType) and isinstance(target, t.StructType):
        return any(reads_clock(a.dataType, b.dataType) for a, b in zip(source, target, strict=True))
    shown = (t.TimestampNTZType, t.DateType, t.StringType, t.TimeType)
    return (
        (isinstance(source, t.TimestampType) and isinstance(target, shown))
        or (isinstance(target, t.TimestampType) and isinstance(source, shown))
        or (isinstance(source, t.TimeType) and isinstance(target, t.TimestampNTZType))  # Of today.
    )


def wall_clock(instant: str, zone: str) -> str:
    """What clocks of the zone show at an instant (timestamp_ntz)."""
    if zone in _UTC:
        return cast(instant, _WALL)
    return f"to_local_time(arrow_cast({instant}, {_zoned(zone)}))"


def instant(wall: str, zone: str) -> str:
    """The instant when clocks of the zone show this: the earlier of two, and as much later as the gap is long where there is none."""
    if zone in _UTC:
        return cast(wall, _INSTANT)
    simple = cast(f"arrow_try_cast({wall}, {_zoned(zone)})", _INSTANT)
    if zone[0] in "+-":
        return simple
    # Where the clock is changed: the offset of a day before, which is what holds before the change.
    before = f"({cast(wall, _WALL)} - INTERVAL '1 day')"
    offset = f"({wall_clock(cast(before, _INSTANT), zone)} - {before})"
    return f"coalesce({simple}, {cast(f'({cast(wall, _WALL)} - {offset})', _INSTANT)})"


def cast_in_zone(value: str, source: t.DataType, target: t.DataType, lenient: bool, zone: str) -> str | None:
    """A cast that reads a clock; None: one that does not."""
    match source, target:
        case t.ArrayType(), t.ArrayType() if reads_clock(source, target):
            inner = cast_in_zone("clock", source.elementType, target.elementType, lenient, zone)
            return None if inner is None else f"array_transform({value}, clock -> {inner})"
        case t.TimestampType(), t.TimestampNTZType():
            return wall_clock(value, zone)
        case t.TimestampType(), t.DateType():
            return cast(wall_clock(value, zone), target)
        case (t.TimestampType(), t.StringType()):
            return shown(wall_clock(value, zone))
        case (t.TimestampNTZType(), t.StringType()):
            return shown(value)
        case t.TimestampNTZType(), t.TimestampType():
            return instant(value, zone)
        case t.DateType(), t.TimestampType():
            return instant(cast(value, _WALL), zone)
        case t.StringType(), t.TimestampType():
            if zone in _UTC:
                return None
            return cast(f"{'arrow_try_cast' if lenient else 'arrow_cast'}({value}, {_zoned(zone)})", _INSTANT)
        case _:
            return None


def shown(wall: str) -> str:
    """As Spark writes it: 2024-07-15 12:00:00.5."""
    return rf"regexp_replace(replace(arrow_cast({wall}, 'Utf8'), 'T', ' '), '(\.[0-9]*[1-9])0+$', '\1')"


def _zoned(zone: str) -> str:
    return text(f'Timestamp(Microsecond, Some("{zone}"))')
