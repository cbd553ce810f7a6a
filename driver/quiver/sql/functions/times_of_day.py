"""Functions of times of the day (the type TIME), and buckets of time."""

from __future__ import annotations

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call, optional
from quiver.sql.literals import column_of, expression_of

__all__ = [
    "current_time", "make_time", "time_bucket", "time_diff", "time_from_micros", "time_from_millis", "time_from_seconds", "time_to_micros",
    "time_to_millis", "time_to_seconds", "time_trunc", "to_time", "try_to_time",
]  # fmt: skip


def current_time(precision: int | None = None) -> Column:
    """The time of the day when the query began, by the session's clocks, with so many digits of the second (0 to 6; else 6).

    >>> spark.range(1).select(F.current_time(0).alias("t")).first().t.microsecond
    0
    """
    return call("current_time", *optional(expression_of, precision))


def make_time(hour: ColumnOrName, minute: ColumnOrName, second: ColumnOrName) -> Column:
    """A time of its parts; the second may have a fraction. Fails for parts that are no time.

    >>> spark.range(1).select(F.make_time(F.lit(6), F.lit(30), F.lit(45.887))).first()[0]
    datetime.time(6, 30, 45, 887000)
    """
    return call("make_time", column_of(hour), column_of(minute), column_of(second))


def to_time(str: ColumnOrName, format: ColumnOrName | None = None) -> Column:
    """A time of its text, by a pattern if one is given. Fails for what is none.

    >>> spark.range(1).select(F.to_time(F.lit("1.30 pm"), F.lit("h.mm a")).alias("t")).show()
    +--------+
    |       t|
    +--------+
    |13:30:00|
    +--------+
    <BLANKLINE>
    """
    return call("to_time", column_of(str), *optional(column_of, format))


def try_to_time(str: ColumnOrName, format: ColumnOrName | None = None) -> Column:
    """As to_time; null for what is none.

    >>> spark.range(1).select(F.try_to_time(F.lit("25:00")).alias("t")).first()
    Row(t=None)
    """
    return call("try_to_time", column_of(str), *optional(column_of, format))


def time_diff(unit: ColumnOrName, start: ColumnOrName, end: ColumnOrName) -> Column:
    """How many whole hours, minutes, seconds, milliseconds or microseconds from one time to another.

    >>> times = F.lit("MINUTE"), F.to_time(F.lit("20:30:29")), F.to_time(F.lit("21:30:28"))
    >>> spark.range(1).select(F.time_diff(*times)).first()[0]
    59
    """
    return call("time_diff", column_of(unit), column_of(start), column_of(end))


def time_trunc(unit: ColumnOrName, time: ColumnOrName) -> Column:
    """The start of the hour, minute, second, millisecond or microsecond that a time is in.

    >>> spark.range(1).select(F.time_trunc(F.lit("HOUR"), F.to_time(F.lit("20:30:29")))).first()[0]
    datetime.time(20, 0)
    """
    return call("time_trunc", column_of(unit), column_of(time))


def time_from_seconds(col: ColumnOrName) -> Column:
    """The time so many seconds after midnight, which may have a fraction. Fails for what is in no day.

    >>> spark.range(1).select(F.time_from_seconds(F.lit(52200.5))).first()[0]
    datetime.time(14, 30, 0, 500000)
    """
    return call("time_from_seconds", column_of(col))


def time_from_millis(col: ColumnOrName) -> Column:
    """The time so many milliseconds after midnight. Fails for what is in no day.

    >>> spark.range(1).select(F.time_from_millis(F.lit(1500))).first()[0]
    datetime.time(0, 0, 1, 500000)
    """
    return call("time_from_millis", column_of(col))


def time_from_micros(col: ColumnOrName) -> Column:
    """The time so many microseconds after midnight. Fails for what is in no day.

    >>> spark.range(1).select(F.time_from_micros(F.lit(1500))).first()[0]
    datetime.time(0, 0, 0, 1500)
    """
    return call("time_from_micros", column_of(col))


def time_to_seconds(col: ColumnOrName) -> Column:
    """Seconds since midnight, with six digits of a fraction.

    >>> spark.range(1).select(F.time_to_seconds(F.to_time(F.lit("14:30:00.5")))).first()[0]
    Decimal('52200.500000')
    """
    return call("time_to_seconds", column_of(col))


def time_to_millis(col: ColumnOrName) -> Column:
    """Milliseconds since midnight.

    >>> spark.range(1).select(F.time_to_millis(F.to_time(F.lit("00:00:01.5")))).first()[0]
    1500
    """
    return call("time_to_millis", column_of(col))


def time_to_micros(col: ColumnOrName) -> Column:
    """Microseconds since midnight.

    >>> spark.range(1).select(F.time_to_micros(F.to_time(F.lit("00:00:01.5")))).first()[0]
    1500000
    """
    return call("time_to_micros", column_of(col))


def time_bucket(bucket_size: Column, ts: ColumnOrName, origin: Column | None = None) -> Column:
    """Where the bucket of time that a timestamp is in begins. `bucket_size`: a constant interval; a bucket begins at `origin`, 1970 unless
    it is given. Months and days are those of the session's clocks.

    >>> df = spark.createDataFrame([("2024-01-01 11:27:00",)], ["t"]).select(F.col("t").cast("timestamp_ntz"))
    >>> df.select(F.time_bucket(F.expr("INTERVAL '15' MINUTE"), "t").alias("b")).first()
    Row(b=datetime.datetime(2024, 1, 1, 11, 15))
    """
    return call("time_bucket", expression_of(bucket_size), column_of(ts), *optional(expression_of, origin))
