"""Functions of dates and times."""

from __future__ import annotations

from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.errors import AnalysisException
from quiver.sql.lowering.names import cast
from quiver.sql.lowering.zones import wall_clock
from quiver.sql.registry.define import Lower, define, result
from quiver.sql.registry.model import Types
from quiver.sql.registry.python import python
from quiver_proto.spark_functions import times

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
    define(_name, "N", "i", f"CAST(date_part('{_name}', {{0}}) AS INT)")
define("monthname", "D", "s", python(times.monthname, S))
define("dayname", "D", "s", python(times.dayname, S))
define("current_date", "", "D", lambda args, kinds: cast(_now(args[0]), t.DateType()), "curdate", nullable=False, zoned=True)
define("current_timestamp", "", "T", lambda args, kinds: cast("now()", t.TimestampType()), "now", nullable=False)
define("localtimestamp", "", "N", lambda args, kinds: _now(args[0]), nullable=False, zoned=True)
define("current_timezone", "", "s", "{0}", nullable=False, zoned=True)


def _now(zone: str) -> str:
    return wall_clock(cast("now()", t.TimestampType()), zone.strip("'"))


# ---- arithmetic ----


def _shifted(sign: str) -> Lower:
    return lambda args, kinds: cast(f"(arrow_cast({args[0]}, 'Int32') {sign} {args[1]})", t.DateType())


define("date_add", "Di", "D", _shifted("+"), "dateadd")
define("date_sub", "Di", "D", _shifted("-"))
define("datediff", "DD", "i", "(arrow_cast({0}, 'Int32') - arrow_cast({1}, 'Int32'))", "date_diff")
define("unix_date", "D", "i", "arrow_cast({0}, 'Int32')")
define("date_from_unix_date", "i", "D", "arrow_cast({0}, 'Date32')")
define("add_months", "Di", "D", python(times.add_months, D))
define("months_between", "TT?b", "d", python(times.months_between, result("d")))
define("last_day", "D", "D", "last_day")
define("next_day", "Ds", "D", python(times.next_day, D))
define("trunc", "Ds", "D", python(times.trunc, D))
define("date_trunc", "sT", "T", python(times.date_trunc, T))
define("make_date", "iii", "D", python(times.make_date, D))
define("timestamp_add", "slT", "T", python(times.timestamp_add, T), "timestampadd")
define("timestamp_diff", "sTT", "l", python(times.timestamp_diff, L), "timestampdiff")

# ---- text and numbers ----


def _date_or_text(name: str, kind: t.DataType, lenient: bool) -> None:
    function = getattr(times, name)

    def coerce_lower(args: Sequence[str], kinds: Types) -> str:
        if not isinstance(kinds[0], t.StringType):
            return cast(args[0], kind, lenient)
        return python(function, lambda kinds: kind)(args, kinds)

    define(name, "*?s", lambda kinds: kind, coerce_lower, nullable=True if lenient else None)


_date_or_text("to_date", t.DateType(), False)
_date_or_text("try_to_date", t.DateType(), True)
_date_or_text("to_timestamp", t.TimestampType(), False)
_date_or_text("try_to_timestamp", t.TimestampType(), True)
_date_or_text("to_timestamp_ntz", t.TimestampNTZType(), False)
_date_or_text("to_timestamp_ltz", t.TimestampType(), False)

define("date_format", "Ts", "s", python(times.date_format, S))


def _unix(args: Sequence[str], kinds: Types) -> str:
    if not args:
        return "CAST(floor(date_part('epoch', now())) AS BIGINT)"
    if isinstance(kinds[0], t.StringType):
        return python(times.unix_timestamp, L)(args, kinds)
    return f"arrow_cast(arrow_cast(date_trunc('second', {cast(args[0], t.TimestampType())}), 'Timestamp(Second, Some(\"UTC\"))'), 'Int64')"


define("unix_timestamp", "?*s", "l", _unix)
define("to_unix_timestamp", "*?s", "l", _unix)
define("from_unixtime", "l?s", "s", python(times.from_unixtime, S))
define("unix_seconds", "T", "l", python(times.unix_seconds, L))
define("unix_millis", "T", "l", python(times.unix_millis, L))
define("unix_micros", "T", "l", "arrow_cast({0}, 'Int64')")


def _of_number(name: str) -> None:
    define(name, "n", "T", python(getattr(times, name), T))


_of_number("timestamp_seconds")
_of_number("timestamp_millis")
_of_number("timestamp_micros")
define("from_utc_timestamp", "Ts", "T", python(times.from_utc_timestamp, T))
define("to_utc_timestamp", "Ts", "T", python(times.to_utc_timestamp, T))
define("convert_timezone", "ss?N", "N", python(times.convert_timezone, N))
_PARTS = "iiiiid?s"
define("make_timestamp", _PARTS, "T", python(times.make_timestamp, T))
define("make_timestamp_ltz", _PARTS, "T", python(times.make_timestamp, T))
define("make_timestamp_ntz", "iiiiid", "N", python(times.make_timestamp_ntz, N))
define("try_make_timestamp", _PARTS, "T", python(times.try_make_timestamp, T), nullable=True)
define("try_make_timestamp_ltz", _PARTS, "T", python(times.try_make_timestamp, T), nullable=True)
define("try_make_timestamp_ntz", "iiiiid", "N", python(times.try_make_timestamp_ntz, N), nullable=True)
define(
    "make_dt_interval",
    "?iiid",
    lambda kinds: t.DayTimeIntervalType(),
    python(times.make_dt_interval, lambda kinds: t.DayTimeIntervalType()),
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
    if field in parts:
        return f"CAST(date_part('{parts[field]}', {args[1]}) AS INT)"
    if field in ("dow", "dayofweek"):
        return f"CAST(date_part('dow', {args[1]}) + 1 AS INT)"
    if field in ("dow_iso", "dayofweek_iso"):
        return f"CAST((date_part('dow', {args[1]}) + 6) % 7 + 1 AS INT)"
    if field in ("second", "s", "sec", "seconds", "secs"):
        raise AnalysisException(
            "the seconds of extract are a decimal: use `second`, or `extract_seconds` for the fraction too.", "INVALID_EXTRACT_FIELD"
        )
    raise AnalysisException(f"The field `{field}` is not supported for extract.", "INVALID_EXTRACT_FIELD")


define("extract", "sT", "i", _extract, "date_part", "datepart")
define("extract_seconds", "T", lambda kinds: t.DecimalType(8, 6), python(times.extract_seconds, lambda kinds: t.DecimalType(8, 6)))
