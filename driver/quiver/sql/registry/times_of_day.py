"""Functions of times of the day (Spark's TIME), and buckets of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from quiver.sql import types as t
from quiver.sql.lowering.interval_casts import months_of
from quiver.sql.lowering.names import cast, constant_text, text
from quiver.sql.lowering.times_of_day import micros_of, of_micros
from quiver.sql.lowering.zones import instant, wall_clock
from quiver.sql.registry.define import Gives, define, mismatch, result
from quiver.sql.registry.model import Function, Lower, Types, register
from quiver.sql.registry.python import python
from quiver_proto.spark_functions import times_of_day
from quiver_proto.spark_functions.times_of_day import SIZES

TIME = t.TimeType()
_L = result("l")


def _time(kinds: Types) -> t.DataType:
    return TIME


def _of_times(name: str, takes: str, gives: Gives, lower: Lower) -> None:
    """`takes`: a letter for each argument: `t` a time, `s` a string, `i` an integer of any size, `n` a number."""
    wanted: dict[str, tuple[Any, str]] = {
        "t": (t.TimeType, '"TIME"'), "i": (t.IntegralType, '"INTEGRAL"'), "n": (t.NumericType, '"NUMERIC"'),
        "s": (t.StringType, '"STRING"'),
    }  # fmt: skip
    stands: dict[str, t.DataType] = {"t": TIME, "i": t.LongType(), "n": t.LongType(), "s": t.StringType()}
    required, _, optional = takes.partition("?")

    def coerce(kinds: Types) -> Sequence[t.DataType | None]:
        given: list[t.DataType | None] = []
        for number, (letter, kind) in enumerate(zip(takes.replace("?", ""), kinds, strict=False), 1):
            if not isinstance(kind, (wanted[letter][0], t.NullType)):
                raise mismatch(name, number, wanted[letter][1], kind)
            whole = isinstance(kind, t.IntegralType | t.NullType)
            given.append(stands[letter] if whole else None)
        return given

    register(Function(name, lower, gives, coerce, arity=(len(required), len(required + optional))))


define("current_time", "?i", _time, "{0}", "localtime", nullable=False)  # Analysis writes it as a cast.


def _made_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    return [t.IntegerType(), t.IntegerType(), t.DecimalType(16, 6)]


register(Function("make_time", python(times_of_day.make_time, _time), _time, _made_kinds, arity=(3, 3)))
_of_times("to_time", "s?s", _time, python(times_of_day.parsed_time, _time))


_TRY_TO_TIME = python(times_of_day.try_parsed_time, _time)
register(Function("try_to_time", _TRY_TO_TIME, _time, lambda kinds: [t.StringType()] * len(kinds), nullable=True, arity=(1, 2)))


def _in_kernel(own: Callable[[str, Sequence[str]], str], otherwise: Lower) -> Lower:
    """Of a unit that is a constant, in the kernel."""

    def lower(args: Sequence[str], kinds: Types) -> str:
        size = SIZES.get((constant_text(args[0]) or "").upper())
        return otherwise(args, kinds) if size is None else own(str(size), args)

    return lower


def _truncated(kinds: Types) -> t.DataType:
    return kinds[1]


def _trunc(size: str, args: Sequence[str]) -> str:
    micros = micros_of(args[1])
    return of_micros(f"({micros} - {micros} % {size})", TIME)


_of_times("time_trunc", "st", _truncated, _in_kernel(_trunc, python(times_of_day.time_trunc, _truncated)))
_of_times(
    "time_diff",
    "stt",
    _L,
    _in_kernel(
        lambda size, args: f"(({micros_of(args[2])} - {micros_of(args[1])}) / {size})",
        python(times_of_day.time_diff, _L),
    ),
)
_of_times("time_from_seconds", "n", _time, python(times_of_day.time_from_seconds, _time))
_of_times("time_from_millis", "i", _time, python(times_of_day.time_from_millis, _time))
_of_times("time_from_micros", "i", _time, python(times_of_day.time_from_micros, _time))
_SECONDS = t.DecimalType(14, 6)


def _to_seconds(args: Sequence[str], kinds: Types) -> str:
    return cast(f"({cast(micros_of(args[0]), t.DecimalType(20, 0))} / {cast(text('1000000'), t.DecimalType(7, 0))})", _SECONDS)


_of_times("time_to_seconds", "t", lambda kinds: _SECONDS, _to_seconds)
_of_times("time_to_millis", "t", _L, lambda args, kinds: f"({micros_of(args[0])} / 1000)")
_of_times("time_to_micros", "t", _L, lambda args, kinds: micros_of(args[0]))


def _fraction(kinds: Types) -> t.DataType:
    precision = kinds[0].precision if isinstance(kinds[0], t.TimeType) else 6
    return t.DecimalType(2 + precision, precision)


def _seconds_of(args: Sequence[str], kinds: Types) -> str:
    rest = cast(f"({micros_of(args[0])} % 60000000)", t.DecimalType(20, 0))
    return cast(f"({rest} / {cast(text('1000000'), t.DecimalType(7, 0))})", _fraction(kinds))


register(Function("seconds of a time", _seconds_of, _fraction, arity=(1, 1)))

# ---- buckets ----


def _bucket_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    name = "time_bucket"
    if not isinstance(kinds[0], t.AnsiIntervalType | t.NullType):
        raise mismatch(name, 1, '("INTERVAL DAY TO SECOND" or "INTERVAL YEAR TO MONTH")', kinds[0])
    if not isinstance(kinds[1], t.TimestampType | t.TimestampNTZType):
        raise mismatch(name, 2, '"(TIMESTAMP OR TIMESTAMP WITHOUT TIME ZONE)"', kinds[1])
    if len(kinds) > 2 and kinds[2] != kinds[1]:
        raise mismatch(name, 3, f'"{kinds[1].simpleString().upper()}"', kinds[2])
    return [None, None, None][: len(kinds)]


def _bucket(args: Sequence[str], kinds: Types) -> str:
    size, moment, *given, zone = args
    kind, at = kinds[1], constant_text(zone) or ""
    if isinstance(kinds[0], t.NullType):
        return cast("NULL", kind)
    is_instant = isinstance(kind, t.TimestampType)
    first = cast(text("1970-01-01 00:00:00"), t.TimestampNTZType())
    origin = given[0] if given else instant(first, at) if is_instant else first
    if isinstance(kinds[0], t.YearMonthIntervalType):
        walls = [wall_clock(value, at) if is_instant else value for value in (moment, origin)]
        wall = t.TimestampNTZType()
        start = python(times_of_day.bucket_of_months, lambda kinds: wall)(
            [walls[0], cast(months_of(size), t.LongType()), walls[1]], [wall, t.LongType(), wall]
        )
        return instant(start, at) if is_instant else start
    if not is_instant:
        return python(times_of_day.bucket_of_span, lambda kinds: kind)([moment, size, origin], [kind, kinds[0], kind])
    short = f"{cast(size, t.LongType())} < {times_of_day.DAY}"
    absolute = python(times_of_day.bucket_of_span, lambda kinds: kind)([moment, size, origin], [kind, kinds[0], kind])
    days = python(times_of_day.bucket_of_days, lambda kinds: kind)([moment, size, origin, zone], [kind, kinds[0], kind, t.StringType()])
    return f"(CASE WHEN {short} THEN {absolute} ELSE {days} END)"


register(Function("time_bucket", _bucket, lambda kinds: kinds[1], _bucket_kinds, arity=(2, 3), zoned=True))
