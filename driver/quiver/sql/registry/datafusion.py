"""Functions that DataFusion's SQL has and Spark's has not."""

from __future__ import annotations

from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.errors import AnalysisException
from quiver.sql.lowering.names import cast, constant_number
from quiver.sql.registry.datetime import instant_at, wall_clock_at
from quiver.sql.registry.define import mismatch
from quiver.sql.registry.model import Function, Types, register

_WALL = t.TimestampNTZType()
_MICROS = t.LongType()


def _moment(name: str, number: int, kind: t.DataType) -> t.DataType:
    """What a moment is taken as: dates and texts tell no zone."""
    if isinstance(kind, t.TimestampType | t.TimestampNTZType):
        return kind
    if isinstance(kind, t.DateType | t.StringType | t.NullType):
        return _WALL
    raise mismatch(name, number, 'the "TIMESTAMP" type', kind)


# ---- AT TIME ZONE ----


def _at_time_zone(args: Sequence[str], kinds: Types) -> str:
    """An instant's wall-clock time in a zone, or the instant of a wall-clock time there."""
    moment, zone = args
    return wall_clock_at(moment, zone) if isinstance(kinds[0], t.TimestampType) else instant_at(moment, zone)


register(
    Function(
        "at time zone",
        _at_time_zone,
        lambda kinds: _WALL if isinstance(kinds[0], t.TimestampType) else t.TimestampType(),
        lambda kinds: [_moment("at time zone", 1, kinds[0]), t.StringType()],
        arity=(2, 2),
    )
)

# ---- extract(epoch FROM …) ----


def _timed(kinds: Types) -> Sequence[t.DataType]:
    (kind,) = kinds
    return [kind if isinstance(kind, t.DayTimeIntervalType | t.TimeType) else _moment("extract epoch", 1, kind)]


register(
    Function(
        "extract epoch",
        lambda args, kinds: f"({cast(cast(cast(args[0], kinds[0]), _MICROS), t.DoubleType())} / 1000000.0)",
        lambda kinds: t.DoubleType(),
        _timed,
        arity=(1, 1),
    )
)

# ---- date_bin ----


def _binned(kinds: Types) -> Sequence[t.DataType]:
    if not isinstance(kinds[0], t.DayTimeIntervalType):
        raise mismatch("date_bin", 1, '"INTERVAL DAY TO SECOND" (of months date_trunc tells where they begin)', kinds[0])
    moment = _moment("date_bin", 2, kinds[1])
    return [kinds[0], moment, *[moment] * (len(kinds) - 2)]


def _bin(args: Sequence[str], kinds: Types) -> str:
    """Counted in whole microseconds, before the origin, too."""
    width, moment, *origins = (cast(cast(value, kind), _MICROS) for value, kind in zip(args, kinds, strict=True))
    (known,) = (constant_number(value) for value in (args[0].removeprefix("arrow_cast(").split(",")[0],))
    if known is not None and known <= 0:
        raise AnalysisException("The width of date_bin is more than nothing.", "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE")
    since = f"({moment} - {origins[0]})" if origins else moment
    return cast(f"({moment} - (({since} % {width} + {width}) % {width}))", kinds[1])


register(Function("date_bin", _bin, lambda kinds: kinds[1], _binned, arity=(2, 3)))
