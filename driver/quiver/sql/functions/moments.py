"""Timestamps and intervals made of their parts, and windows of time."""

from __future__ import annotations

from quiver.sql.column import Column
from quiver.sql.errors import PySparkTypeError, PySparkValueError
from quiver.sql.functions.arguments import ColumnOrName, call, optional
from quiver.sql.literals import column_of, expression_of
from quiver.sql.tree import expressions as e

__all__ = [
    "convert_timezone", "make_dt_interval", "make_interval", "make_timestamp", "make_timestamp_ltz", "make_timestamp_ntz",
    "make_ym_interval", "session_window", "try_make_interval", "try_make_timestamp", "try_make_timestamp_ltz",
    "try_make_timestamp_ntz", "window", "window_time",
]  # fmt: skip


def _parts(name: str, *values: ColumnOrName | None) -> Column:
    """A call with the arguments up to the last that is given; those before it that are not are 0."""
    given = list(values)
    while given and given[-1] is None:
        given.pop()
    return call(name, *(expression_of(0) if value is None else column_of(value) for value in given))


def make_dt_interval(
    days: ColumnOrName | None = None, hours: ColumnOrName | None = None, mins: ColumnOrName | None = None, secs: ColumnOrName | None = None
) -> Column:
    """An interval of days, hours, minutes and seconds; what is left out is 0.

    >>> spark.range(1).select(F.make_dt_interval(F.lit(1), F.lit(12), F.lit(30), F.lit(1.5)).alias("i")).first()[0]
    datetime.timedelta(days=1, seconds=45001, microseconds=500000)
    """
    return call("make_dt_interval", *(expression_of(0) if value is None else column_of(value) for value in (days, hours, mins, secs)))


def make_interval(
    years: ColumnOrName | None = None, months: ColumnOrName | None = None, weeks: ColumnOrName | None = None,
    days: ColumnOrName | None = None, hours: ColumnOrName | None = None, mins: ColumnOrName | None = None,
    secs: ColumnOrName | None = None,
) -> Column:  # fmt: skip
    """An interval of months, days and microseconds, to be added to a date or time, or shown; what is left out is 0.

    >>> spark.range(1).select(F.to_date(F.lit("2024-01-31")) + F.make_interval(months=F.lit(1), days=F.lit(1))).first()[0]
    datetime.date(2024, 3, 1)
    """
    given = (years, months, weeks, days, hours, mins, secs)
    return call("make_interval", *(expression_of(0) if value is None else column_of(value) for value in given))


def try_make_interval(
    years: ColumnOrName, months: ColumnOrName | None = None, weeks: ColumnOrName | None = None, days: ColumnOrName | None = None,
    hours: ColumnOrName | None = None, mins: ColumnOrName | None = None, secs: ColumnOrName | None = None,
) -> Column:  # fmt: skip
    """As make_interval, or null where it is too long.

    >>> spark.range(1).select(F.try_make_interval(F.lit(2147483647), F.lit(12)).cast("string").alias("i")).first()[0] is None
    True
    """
    given = (years, months, weeks, days, hours, mins, secs)
    return call("try_make_interval", *(expression_of(0) if value is None else column_of(value) for value in given))


def make_ym_interval(years: ColumnOrName | None = None, months: ColumnOrName | None = None) -> Column:
    """An interval of years and months; what is left out is 0.

    >>> spark.range(1).select(F.make_ym_interval(F.lit(1), F.lit(2)).cast("string").alias("i")).first()[0]
    "INTERVAL '1-2' YEAR TO MONTH"
    """
    return _parts("make_ym_interval", years, months)


def convert_timezone(sourceTz: Column | None, targetTz: Column, sourceTs: ColumnOrName) -> Column:
    """What clocks of one zone show when those of another (the session's when it is None) show this.

    >>> df = spark.createDataFrame([("2015-04-08 00:00:00",)], ["t"])
    >>> df.select(F.convert_timezone(F.lit("UTC"), F.lit("Asia/Tokyo"), "t").alias("r")).first()[0]
    datetime.datetime(2015, 4, 8, 9, 0)
    """
    source = e.Call("current_timezone") if sourceTz is None else expression_of(sourceTz)
    return call("convert_timezone", source, expression_of(targetTz), column_of(sourceTs))


def _moment(
    name: str,
    parts: tuple[ColumnOrName | None, ...],
    zone: ColumnOrName | None,
    date: ColumnOrName | None,
    time: ColumnOrName | None,
) -> Column:
    """Of six parts, or of a date and a time. Raises PySparkValueError for both, PySparkTypeError for a part that is left out."""
    by_parts = any(part is not None for part in parts)
    if by_parts and (date is not None or time is not None):
        raise PySparkValueError("years|months|days|hours|mins|secs and date|time should not be set together.", "CANNOT_SET_TOGETHER")
    given = parts if by_parts or (date is None and time is None) else (date, time)
    for part in given:
        if part is None:
            raise PySparkTypeError("Argument `arg` should be Column or str, got NoneType.", "NOT_EXPECTED_TYPE")
    return call(name, *(column_of(part) for part in given if part is not None), *optional(column_of, zone))


def make_timestamp(
    years: ColumnOrName | None = None, months: ColumnOrName | None = None, days: ColumnOrName | None = None,
    hours: ColumnOrName | None = None, mins: ColumnOrName | None = None, secs: ColumnOrName | None = None,
    timezone: ColumnOrName | None = None, date: ColumnOrName | None = None, time: ColumnOrName | None = None,
) -> Column:  # fmt: skip
    """The instant when clocks of the zone (or the session's) show this. Fails for parts that are no time.

    >>> parts = [F.lit(2014), F.lit(12), F.lit(28), F.lit(6), F.lit(30), F.lit(45.5)]
    >>> spark.range(1).select(F.make_timestamp(*parts, F.lit("UTC")).cast("string").alias("t")).first()[0]
    '2014-12-28 06:30:45.5'
    >>> day, clock = F.make_date(F.lit(2014), F.lit(12), F.lit(28)), F.make_time(F.lit(6), F.lit(30), F.lit(0))
    >>> spark.range(1).select(F.make_timestamp(date=day, time=clock).cast("string").alias("t")).first()[0]
    '2014-12-28 06:30:00'
    """
    return _moment("make_timestamp", (years, months, days, hours, mins, secs), timezone, date, time)


def make_timestamp_ltz(
    years: ColumnOrName, months: ColumnOrName, days: ColumnOrName, hours: ColumnOrName, mins: ColumnOrName, secs: ColumnOrName,
    timezone: ColumnOrName | None = None,
) -> Column:  # fmt: skip
    """See make_timestamp.

    >>> parts = [F.lit(2014), F.lit(12), F.lit(28), F.lit(6), F.lit(30), F.lit(45)]
    >>> spark.range(1).select(F.make_timestamp_ltz(*parts).cast("string").alias("t")).first()[0]
    '2014-12-28 06:30:45'
    """
    return call("make_timestamp_ltz", *map(column_of, (years, months, days, hours, mins, secs)), *optional(column_of, timezone))


def make_timestamp_ntz(
    years: ColumnOrName | None = None, months: ColumnOrName | None = None, days: ColumnOrName | None = None,
    hours: ColumnOrName | None = None, mins: ColumnOrName | None = None, secs: ColumnOrName | None = None,
    date: ColumnOrName | None = None, time: ColumnOrName | None = None,
) -> Column:  # fmt: skip
    """A time without zone. Fails for parts that are no time.

    >>> parts = [F.lit(2014), F.lit(12), F.lit(28), F.lit(6), F.lit(30), F.lit(45)]
    >>> spark.range(1).select(F.make_timestamp_ntz(*parts).alias("t")).first()[0]
    datetime.datetime(2014, 12, 28, 6, 30, 45)
    """
    return _moment("make_timestamp_ntz", (years, months, days, hours, mins, secs), None, date, time)


def try_make_timestamp(
    years: ColumnOrName | None = None, months: ColumnOrName | None = None, days: ColumnOrName | None = None,
    hours: ColumnOrName | None = None, mins: ColumnOrName | None = None, secs: ColumnOrName | None = None,
    timezone: ColumnOrName | None = None, date: ColumnOrName | None = None, time: ColumnOrName | None = None,
) -> Column:  # fmt: skip
    """See make_timestamp; null for parts that are no time.

    >>> parts = [F.lit(2014), F.lit(13), F.lit(28), F.lit(6), F.lit(30), F.lit(45)]
    >>> spark.range(1).select(F.try_make_timestamp(*parts).alias("t")).first()
    Row(t=None)
    """
    return _moment("try_make_timestamp", (years, months, days, hours, mins, secs), timezone, date, time)


def try_make_timestamp_ltz(
    years: ColumnOrName, months: ColumnOrName, days: ColumnOrName, hours: ColumnOrName, mins: ColumnOrName, secs: ColumnOrName,
    timezone: ColumnOrName | None = None,
) -> Column:  # fmt: skip
    """See try_make_timestamp.

    >>> parts = [F.lit(2014), F.lit(13), F.lit(28), F.lit(6), F.lit(30), F.lit(45)]
    >>> spark.range(1).select(F.try_make_timestamp_ltz(*parts).alias("t")).first()
    Row(t=None)
    """
    return call("try_make_timestamp_ltz", *map(column_of, (years, months, days, hours, mins, secs)), *optional(column_of, timezone))


def try_make_timestamp_ntz(
    years: ColumnOrName | None = None, months: ColumnOrName | None = None, days: ColumnOrName | None = None,
    hours: ColumnOrName | None = None, mins: ColumnOrName | None = None, secs: ColumnOrName | None = None,
    date: ColumnOrName | None = None, time: ColumnOrName | None = None,
) -> Column:  # fmt: skip
    """See make_timestamp_ntz; null for parts that are no time.

    >>> parts = [F.lit(2014), F.lit(13), F.lit(28), F.lit(6), F.lit(30), F.lit(45)]
    >>> spark.range(1).select(F.try_make_timestamp_ntz(*parts).alias("t")).first()
    Row(t=None)
    """
    return _moment("try_make_timestamp_ntz", (years, months, days, hours, mins, secs), None, date, time)


def window(timeColumn: ColumnOrName, windowDuration: str, slideDuration: str | None = None, startTime: str | None = None) -> Column:
    """The window of time that a timestamp lies in, a struct of start (inside) and end (outside): "10 minutes", "1 day".

    With a slide that is shorter than the window a row is in several, and stands once for each.

    >>> df = spark.createDataFrame([("2016-03-11 09:00:07", 1), ("2016-03-11 09:00:08", 2)], ["t", "v"])
    >>> df = df.select(F.col("t").cast("timestamp"), "v").groupBy(F.window("t", "5 seconds")).agg(F.sum("v").alias("s"))
    >>> df.select(F.col("window.start").cast("string").alias("start"), F.col("window.end").cast("string").alias("end"), "s").collect()
    [Row(start='2016-03-11 09:00:05', end='2016-03-11 09:00:10', s=3)]
    """
    given = [windowDuration, slideDuration or windowDuration, *([] if startTime is None else [startTime])]
    return call("window", column_of(timeColumn), *map(expression_of, given))


def window_time(windowColumn: ColumnOrName) -> Column:
    """The last microsecond of a window that `window` made.

    >>> df = spark.createDataFrame([("2016-03-11 09:00:07",)], ["t"]).select(F.col("t").cast("timestamp"))
    >>> df = df.groupBy(F.window("t", "5 seconds")).agg(F.count("*").alias("n"))
    >>> df.select(F.window_time("window").cast("string").alias("t")).first()[0]
    '2016-03-11 09:00:09.999999'
    """
    return call("window_time", column_of(windowColumn))


def session_window(timeColumn: ColumnOrName, gapDuration: Column | str) -> Column:
    """Groups rows whose times are no more than a gap apart: a struct of when a session starts, and ends, which is that gap after its last
    row. The gap is a text such as "5 minutes", or a column of such texts that are constants.

    >>> import datetime
    >>> df = spark.createDataFrame([(datetime.datetime(2024, 1, 1, 0, minute),) for minute in (0, 3, 30)], ["t"])
    >>> df.groupBy(F.session_window("t", "5 minutes").alias("w")).count().select("w.end", "count").orderBy("end").collect()
    [Row(end=datetime.datetime(2024, 1, 1, 0, 8), count=2), Row(end=datetime.datetime(2024, 1, 1, 0, 35), count=1)]
    """
    return call("session_window", column_of(timeColumn), expression_of(gapDuration))
