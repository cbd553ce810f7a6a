"""Functions of dates and times."""

from __future__ import annotations

import re
from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.errors import AnalysisException
from quiver.sql.lowering.casts import spark_cast
from quiver.sql.lowering.names import cast, constant_text, text
from quiver.sql.lowering.times_of_day import with_day
from quiver.sql.lowering.zones import instant, wall_clock
from quiver.sql.registry import chrono
from quiver.sql.registry.adding_times import DAYS, is_count_of_days
from quiver.sql.registry.define import define, mismatch, result
from quiver.sql.registry.model import Coerce, Function, Lower, Types, register, template
from quiver.sql.registry.python import python
from quiver_proto.spark_functions import times, times_of_day
from quiver_proto.spark_functions.java import SparkValueError

D, T, N, L, S = (result(letter) for letter in "DTNls")

for _name, _part in (
    ("year", "year"),
    ("quarter", "quarter"),
    ("month", "month"),
    ("day", "day"),
    ("dayofyear", "doy"),
    ("weekofyear", "week"),
):
    define(_name, "D", "i", f"CAST(date_part('{_part}', {{0}}) AS INT)", *(("dayofmonth",) if _name == "day" else ()))
define("dayofweek", "D", "i", "CAST(date_part('dow', {0}) + 1 AS INT)")
define("weekday", "D", "i", "CAST((date_part('dow', {0}) + 6) % 7 AS INT)")
for _name in ("hour", "minute", "second"):
    define(_name, "h", "i", f"CAST(date_part('{_name}', {{0}}) AS INT)")
define("monthname", "D", "s", "to_char({0}, '%b')")
define("dayname", "D", "s", "to_char({0}, '%a')")
define("current_date", "", "D", lambda args, kinds: cast(_now(args[0]), t.DateType()), "curdate", nullable=False, zoned=True)
define("current_timestamp", "", "T", lambda args, kinds: cast("now()", t.TimestampType()), "now", nullable=False)
define("localtimestamp", "", "N", lambda args, kinds: _now(args[0]), nullable=False, zoned=True)
define("current_timezone", "", "s", "{0}", nullable=False, zoned=True)


def _now(zone: str) -> str:
    return wall_clock(cast("now()", t.TimestampType()), zone.strip("'"))


# ---- arithmetic ----


def _shifted(sign: str) -> Lower:
    return lambda args, kinds: cast(f"(arrow_cast({args[0]}, 'Int32') {sign} {args[1]})", t.DateType())


def _days_counted(name: str) -> Coerce:
    def coerce(kinds: Types) -> Sequence[t.DataType | None]:
        day, count = kinds
        if not isinstance(day, t.DateType | t.TimestampType | t.TimestampNTZType | t.StringType | t.NullType):
            raise mismatch(name, 1, '"DATE"', day)
        if not is_count_of_days(count) and not isinstance(count, t.StringType):
            raise mismatch(name, 2, DAYS, count)
        return [t.DateType(), t.IntegerType()]

    return coerce


register(Function("date_add", _shifted("+"), result("D"), _days_counted("date_add"), arity=(2, 2)), "dateadd")
register(Function("date_sub", _shifted("-"), result("D"), _days_counted("date_sub"), arity=(2, 2)))
define("datediff", "DD", "i", "(arrow_cast({0}, 'Int32') - arrow_cast({1}, 'Int32'))", "date_diff")


def _dates_only(kinds: Types) -> Sequence[t.DataType | None]:
    if not isinstance(kinds[0], t.DateType | t.NullType | t.StringType):
        raise mismatch("unix_date", 1, '"DATE"', kinds[0])
    return [t.DateType()]


register(Function("unix_date", template("arrow_cast({0}, 'Int32')"), result("i"), _dates_only, arity=(1, 1)))
define("date_from_unix_date", "i", "D", "arrow_cast({0}, 'Date32')")


def _add_months(args: Sequence[str], kinds: Types) -> str:
    found = re.fullmatch(r"(?:arrow_cast\('|\()?(-?\d+)(?:', 'Int32'\)|\))?", args[1])
    if found is None:
        return python(times.add_months, D)(args, kinds)
    return cast(f"({args[0]} + INTERVAL '{found[1]} months')", t.DateType())


define("add_months", "Di", "D", _add_months)
define("months_between", "NN?b", "d", python(times.months_between, result("d")))
define("last_day", "D", "D", "last_day")
define("next_day", "Ds", "D", python(times.next_day, D))
_TRUNCATED = {
    "YEAR": "year", "YYYY": "year", "YY": "year", "QUARTER": "quarter", "MONTH": "month", "MON": "month", "MM": "month", "WEEK": "week",
}  # fmt: skip
_TRUNCATED_TIMES = {
    **_TRUNCATED, "DAY": "day", "DD": "day", "HOUR": "hour", "MINUTE": "minute", "SECOND": "second", "MILLISECOND": "millisecond",
    "MICROSECOND": "microsecond",
}  # fmt: skip


def _trunc(args: Sequence[str], kinds: Types) -> str:
    unit = constant_text(args[1])
    if unit is None:
        return python(times.trunc, D)(args, kinds)
    known = _TRUNCATED.get(unit.upper())
    if known is None:
        return f"CASE WHEN {args[0]} IS NULL THEN {cast('NULL', t.DateType())} END"
    own = cast(f"date_trunc('{known}', {cast(args[0], t.TimestampNTZType())})", t.DateType())
    # The kernel's goes through nanoseconds, which end in 2262.
    near = f"arrow_cast({args[0]}, 'Int32') BETWEEN -106000 AND 106000"
    return f"(CASE WHEN {near} THEN {own} ELSE {python(times.trunc, D)(args, kinds)} END)"


def _date_trunc(args: Sequence[str], kinds: Types) -> str:
    unit = constant_text(args[0])
    if unit is None:
        return python(times.date_trunc, N)(args, kinds)
    known = _TRUNCATED_TIMES.get(unit.upper())
    if known is None:
        return f"CASE WHEN {args[1]} IS NULL THEN {cast('NULL', t.TimestampNTZType())} END"
    if known == "microsecond":
        return args[1]
    near = f"arrow_cast({args[1]}, 'Int64') BETWEEN -9200000000000000 AND 9200000000000000"
    return f"(CASE WHEN {near} THEN date_trunc('{known}', {args[1]}) ELSE {python(times.date_trunc, N)(args, kinds)} END)"


define("trunc", "Ds", "D", _trunc, nullable=True)
define("date_trunc", "sN", "W", _date_trunc, nullable=True)
define("make_date", "iii", "D", python(times.make_date, D))


def _timestamp_add(args: Sequence[str], kinds: Types) -> str:
    """Hours and what is smaller are added to the instant; days and months to what clocks show."""
    unit, amount, moment, zone = args
    if (constant_text(unit) or "").upper() in ("HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND"):
        return python(times.timestamp_add, T)([unit, amount, moment], kinds[:3])
    wall = wall_clock(moment, constant_text(zone) or "")
    return instant(python(times.timestamp_add, N)([unit, amount, wall], [*kinds[:2], t.TimestampNTZType()]), constant_text(zone) or "")


define("timestamp_add", "slT", "T", _timestamp_add, "timestampadd", zoned=True)
define("timestamp_diff", "sNN", "l", python(times.timestamp_diff, L), "timestampdiff")

# ---- text and numbers ----

_PLAIN = "yyyy-MM-dd HH:mm:ss"


def _parsed(value: str, form: str, kind: t.DataType, lenient: bool, zone: str) -> str:
    """Text by a pattern: by where its parts stand if that is known, else, and for what does not fit, by Python."""
    in_python = python(
        {"date": times.parsed_date, "timestamp_ntz": times.parsed_wall_clock}.get(kind.simpleString(), times.parsed_instant),
        lambda kinds: kind,
    )([value, form, text(zone), "TRUE" if lenient else "FALSE"], [t.StringType(), t.StringType(), t.StringType(), t.BooleanType()])
    pattern = constant_text(form)
    fixed = None if pattern is None else chrono.read(pattern)
    if fixed is None:
        return in_python
    like, iso = fixed
    wall = kind if isinstance(kind, t.DateType) else t.TimestampNTZType()
    own = f"CASE WHEN {value} LIKE {text(like)} THEN {cast(iso.format(value), wall, True)} END"
    if isinstance(kind, t.TimestampType):
        own = instant(own, zone)
    return f"(CASE WHEN ({own}) IS NOT NULL THEN ({own}) WHEN {value} IS NOT NULL THEN {in_python} END)"


def _date_or_text(name: str, kind: t.DataType, lenient: bool) -> None:
    def lower(args: Sequence[str], kinds: Types) -> str:
        *given, zone = args
        at = constant_text(zone) or ""
        if not isinstance(kinds[0], t.StringType) or len(given) == 1:
            return spark_cast(given[0], kinds[0], kind, lenient, at)
        return _parsed(given[0], given[1], kind, lenient, at)

    def coerce(kinds: Types) -> Sequence[t.DataType | None]:
        first = kinds[0]
        known = (t.StringType, t.DateType, t.TimestampType, t.TimestampNTZType, t.NullType)
        if not isinstance(first, known if name in ("to_date", "try_to_date") else (*known, t.NumericType)):
            raise mismatch(name, 1, '("STRING" or "DATE" or "TIMESTAMP" or "TIMESTAMP_NTZ")', first)
        return [None, t.StringType()][: len(kinds)]

    register(Function(name, lower, lambda kinds: kind, coerce, nullable=True if lenient else None, arity=(1, 2), zoned=True))


_date_or_text("to_date", t.DateType(), False)
_date_or_text("try_to_date", t.DateType(), True)
_date_or_text("to_timestamp", t.TimestampType(), False)
_date_or_text("try_to_timestamp", t.TimestampType(), True)
_date_or_text("to_timestamp_ntz", t.TimestampNTZType(), False)
_date_or_text("to_timestamp_ltz", t.TimestampType(), False)


def _formatted(wall: str, form: str, zone: str) -> str:
    pattern = constant_text(form)
    own = None if pattern is None else chrono.written(pattern)
    if own is not None:
        # Without an offset: the kernel would write it behind what is shown.
        return f"to_char({wall}, {text(own)})"
    return python(times.date_format, S)([wall, form, zone], [t.TimestampNTZType(), t.StringType(), t.StringType()])


def _date_format(args: Sequence[str], kinds: Types) -> str:
    value, form, zone = args
    wall = spark_cast(value, kinds[0], t.TimestampNTZType(), False, constant_text(zone) or "")
    return _formatted(wall if isinstance(kinds[0], t.TimeType) else value, form, zone)


define("date_format", "hs", "s", _date_format, zoned=True)


def _epoch(moment: str, divisor: int) -> str:
    """Microseconds since 1970 in larger units, down before it too."""
    micros = cast(moment, t.LongType())
    return f"(({micros} - ((({micros} % {divisor}) + {divisor}) % {divisor})) / {divisor})"


def _unix(args: Sequence[str], kinds: Types) -> str:
    *given, zone = args
    if not given:
        return "CAST(floor(date_part('epoch', now())) AS BIGINT)"
    # Of times without a zone, as if it were UTC: so does Spark.
    at = "" if isinstance(kinds[0], t.TimestampNTZType) else constant_text(zone) or ""
    if isinstance(kinds[0], t.StringType):
        return _epoch(_parsed(given[0], given[1] if len(given) > 1 else text(_PLAIN), t.TimestampType(), False, at), 10**6)
    # Toward 1970, as Spark's.
    return f"({cast(spark_cast(given[0], kinds[0], t.TimestampType(), False, at), t.LongType())} / 1000000)"


define("unix_timestamp", "?*s", "l", _unix, zoned=True)
define("to_unix_timestamp", "*?s", "l", _unix, zoned=True)


def _from_unixtime(args: Sequence[str], kinds: Types) -> str:
    *given, zone = args
    moment = spark_cast(given[0], t.LongType(), t.TimestampType(), False, constant_text(zone) or "")
    return _formatted(wall_clock(moment, constant_text(zone) or ""), given[1] if len(given) > 1 else text(_PLAIN), zone)


define("from_unixtime", "l?s", "s", _from_unixtime, zoned=True)


def _instants_only(name: str, lower: str | Lower) -> None:
    def coerce(kinds: Types) -> Sequence[t.DataType | None]:
        if not isinstance(kinds[0], t.TimestampType | t.TimestampNTZType | t.NullType | t.StringType):
            raise mismatch(name, 1, '"TIMESTAMP"', kinds[0])
        return [t.TimestampType()]

    lowered = template(lower) if isinstance(lower, str) else lower
    register(Function(name, lowered, L, coerce, arity=(1, 1)))


_instants_only("unix_seconds", lambda args, kinds: _epoch(args[0], 10**6))
_instants_only("unix_millis", lambda args, kinds: _epoch(args[0], 1000))
_instants_only("unix_micros", "arrow_cast({0}, 'Int64')")


def _of_number(name: str, micros: int) -> None:
    def lower(args: Sequence[str], kinds: Types) -> str:
        if name == "timestamp_seconds":
            return spark_cast(args[0], kinds[0], t.TimestampType(), False, "")
        exact = f"({cast(args[0], t.DecimalType(20, 0))} * {micros})"
        return cast(cast(exact, t.LongType()), t.TimestampType())

    define(name, "n" if name == "timestamp_seconds" else "l", "T", lower)


_of_number("timestamp_seconds", 10**6)
_of_number("timestamp_millis", 1000)
_of_number("timestamp_micros", 1)


def _is_zone(name: str) -> bool:
    try:
        times.zone_of(name)
    except SparkValueError:
        return False
    return True


def wall_clock_at(moment: str, zone: str) -> str:
    """What clocks of a zone, which may be a column, show at an instant (timestamp_ntz)."""
    known = constant_text(zone)
    if known is None or not _is_zone(known) or not re.fullmatch(r"[A-Z][A-Za-z_]+/[A-Za-z_/]+|[+-]\d\d:\d\d", known):
        return cast(python(times.from_utc_timestamp, T)([moment, zone], [t.TimestampType(), t.StringType()]), t.TimestampNTZType())
    return wall_clock(moment, known)


def _moved(args: Sequence[str], kinds: Types) -> str:
    return cast(wall_clock_at(*args), t.TimestampType())


define("from_utc_timestamp", "Ts", "T", _moved)
define("to_utc_timestamp", "Ts", "T", python(times.to_utc_timestamp, T))


def _between_zones(args: Sequence[str], kinds: Types) -> str:
    """From the session's zone where no other is told."""
    zones = [*args[-1:], *args[:-2]][-2:]
    return python(times.convert_timezone, N)([*zones, args[-2]], [t.StringType(), t.StringType(), t.TimestampNTZType()])


register(
    Function(
        "convert_timezone",
        _between_zones,
        N,
        lambda kinds: [*[t.StringType()] * (len(kinds) - 1), t.TimestampNTZType()],
        arity=(2, 3),
        zoned=True,
    )
)
_SECONDS = t.DecimalType(16, 6)


def _day_and_time(name: str, kinds: Types, most: int) -> Sequence[t.DataType | None]:
    """Of what is made of a date, a time and, where `most` is 3, a zone."""
    if not 2 <= len(kinds) <= most:
        raise AnalysisException(
            f"The `{name}` requires {'2, 3, 6 or 7' if most == 3 else '2 or 6'} parameters but the actual number is {len(kinds)}.",
            "WRONG_NUM_ARGS.WITHOUT_SUGGESTION",
        )
    for number, (kind, wanted) in enumerate(zip(kinds, (t.DateType, t.TimeType), strict=False), 1):
        if not isinstance(kind, wanted | t.NullType):
            raise mismatch(name, number, f'"{wanted.__name__.removesuffix("Type").upper()}"', kind)
    return [t.DateType(), None if isinstance(kinds[1], t.TimeType) else t.TimeType(), t.StringType()][: len(kinds)]


def instant_at(wall: str, zone: str) -> str:
    """The instant when clocks of a zone, which may be a column, show this."""
    known = constant_text(zone)
    if known is not None and _is_zone(known):
        return instant(wall, known)
    return python(times_of_day.on_clocks, T)([wall, zone], [t.TimestampNTZType(), t.StringType()])


def _made(name: str, wall: bool) -> None:
    lenient = name.startswith("try_")

    def coerce(kinds: Types) -> Sequence[t.DataType | None]:
        if len(kinds) < 6:
            return _day_and_time(name, kinds, 2 if wall else 3)
        if not isinstance(kinds[5], t.NumericType | t.StringType | t.NullType):
            raise mismatch(name, 6, '"DECIMAL(16,6)"', kinds[5])
        return [*[t.IntegerType()] * 5, _SECONDS, t.StringType()][: len(kinds)]

    def lower(args: Sequence[str], kinds: Types) -> str:
        if len(args) < 5:
            shown = with_day(args[0], args[1])
            return shown if wall else instant_at(shown, args[2])  # The zone that is given, else the session's.
        if wall:
            function = times.try_make_timestamp_ntz if lenient else times.make_timestamp_ntz
            return python(function, N)(args[:6], kinds[:6])
        function = times.try_make_timestamp if lenient else times.make_timestamp
        return python(function, T)(args[:7], kinds[:7])  # The zone that is given, else the session's.

    returns = N if wall else T
    register(Function(name, lower, returns, coerce, nullable=True if lenient else None, arity=(2, 6 if wall else 7), zoned=True))


for _prefix in ("", "try_"):
    _made(f"{_prefix}make_timestamp", False)
    _made(f"{_prefix}make_timestamp_ltz", False)
    _made(f"{_prefix}make_timestamp_ntz", True)


def _span_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    return [*[t.IntegerType()] * 3, t.DecimalType(18, 6)][: len(kinds)]


def _span(args: Sequence[str], kinds: Types) -> str:
    given = [cast(value, t.DecimalType(20, 0)) for value in args[:3]]
    total = [f"({value} * {size})" for value, size in zip(given, (86_400_000_000, 3_600_000_000, 60_000_000), strict=False)]
    if len(args) > 3:
        total.append(f"({args[3]} * 1000000)")
    return cast(cast(f"({' + '.join(total)})", t.LongType()), t.DayTimeIntervalType()) if total else cast("0", t.DayTimeIntervalType())


_INTERVAL = t.DayTimeIntervalType()
_MONTHS = t.YearMonthIntervalType()
register(Function("make_dt_interval", _span, lambda kinds: _INTERVAL, _span_kinds, arity=(0, 4)))
define(
    "make_ym_interval",
    "?ii",
    lambda kinds: _MONTHS,
    lambda args, kinds: python(times.make_ym_interval, lambda kinds: _MONTHS)(args, kinds) if args else "INTERVAL '0 months'",
)

# ---- parts by name ----


def _extract(args: Sequence[str], kinds: Types) -> str:
    if not args[0].startswith("'"):
        raise AnalysisException('the field of "extract" must be a constant.', "NON_FOLDABLE_ARGUMENT")
    field = args[0].strip("'").lower()
    parts = {
        "year": "year", "y": "year", "years": "year", "yr": "year", "yrs": "year", "quarter": "quarter", "qtr": "quarter", "month": "month",
        "mon": "month", "mons": "month", "months": "month", "week": "week", "w": "week", "weeks": "week", "day": "day", "d": "day",
        "days": "day", "doy": "doy", "hour": "hour", "h": "hour", "hours": "hour", "hr": "hour", "hrs": "hour", "minute": "minute",
        "m": "minute", "min": "minute", "mins": "minute", "minutes": "minute",
    }  # fmt: skip
    if isinstance(kinds[1], t.TimeType) and parts.get(field) not in ("hour", "minute"):
        raise AnalysisException(f"Cannot extract `{field}` from a time.", "INVALID_EXTRACT_FIELD")
    if field in parts:
        return f"CAST(date_part('{parts[field]}', {args[1]}) AS INT)"
    if field in ("dow", "dayofweek"):
        return f"CAST(date_part('dow', {args[1]}) + 1 AS INT)"
    if field in ("dow_iso", "dayofweek_iso"):
        return f"CAST((date_part('dow', {args[1]}) + 6) % 7 + 1 AS INT)"
    if field in ("yearofweek", "year_iso", "yearofweek_iso"):
        return f"CAST(date_part('isoyear', {args[1]}) AS INT)"
    raise AnalysisException(f"The field `{field}` is not supported for extract.", "INVALID_EXTRACT_FIELD")


define("extract", "sh", "i", _extract, "date_part", "datepart")
_FRACTION = t.DecimalType(8, 6)
define(
    "extract_seconds",
    "N",
    lambda kinds: _FRACTION,
    lambda args, kinds: cast(f"({_epoch_rest(args[0])} / {cast(text('1000000'), t.DecimalType(7, 0))})", _FRACTION),
)


def _epoch_rest(moment: str) -> str:
    micros = cast(moment, t.LongType())
    return cast(f"((({micros} % 60000000) + 60000000) % 60000000)", t.DecimalType(16, 6))


# ---- windows of time ----


def _window_start(args: Sequence[str], kinds: Types) -> str:
    """Where the window of a moment begins: the moment, the slide, the start, and what is added to it, in microseconds."""
    moment, slide, start, *added = args
    at = f"({cast(moment, t.LongType())} - {start})"
    begin = f"({cast(moment, t.LongType())} - ((({at} % {slide}) + {slide}) % {slide}){f' + {added[0]}' if added else ''})"
    return cast(begin, kinds[0])


register(Function("window_start", _window_start, lambda kinds: kinds[0], arity=(3, 4)))
register(Function("window", template(""), lambda kinds: kinds[0], arity=(2, 4)))
register(Function("session_window", template(""), lambda kinds: kinds[0], arity=(2, 2)))
register(Function("window_time", template(""), lambda kinds: kinds[0], arity=(1, 1)))
