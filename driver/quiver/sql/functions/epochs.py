"""Functions of times as numbers since 1970."""

from __future__ import annotations

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call, optional
from quiver.sql.literals import column_of, expression_of

__all__ = [
    "date_from_unix_date",
    "from_unixtime",
    "timestamp_micros",
    "timestamp_millis",
    "timestamp_seconds",
    "to_unix_timestamp",
    "unix_date",
    "unix_micros",
    "unix_millis",
    "unix_seconds",
    "unix_timestamp",
]


def date_from_unix_date(days: ColumnOrName) -> Column:
    """The date so many days after 1970-01-01.

    >>> spark.range(1).select(F.date_from_unix_date(F.lit(1))).first()[0]
    datetime.date(1970, 1, 2)
    """
    return call("date_from_unix_date", column_of(days))


def unix_date(col: ColumnOrName) -> Column:
    """How many days after 1970-01-01 a date is.

    >>> spark.range(1).select(F.unix_date(F.to_date(F.lit("1970-01-02")))).first()[0]
    1
    """
    return call("unix_date", column_of(col))


def unix_timestamp(timestamp: ColumnOrName | None = None, format: str = "yyyy-MM-dd HH:mm:ss") -> Column:
    """Seconds since 1970, of a time or text by a pattern; without arguments: now.

    >>> spark.range(1).select(F.unix_timestamp(F.lit("2015-04-08"), "yyyy-MM-dd")).first()[0]
    1428451200
    """
    return call("unix_timestamp", *optional(column_of, timestamp), expression_of(format))


def to_unix_timestamp(timestamp: ColumnOrName, format: ColumnOrName | None = None) -> Column:
    """Seconds since 1970, of a time or text by a pattern.

    >>> spark.range(1).select(F.to_unix_timestamp(F.lit("2015-04-08"), F.lit("yyyy-MM-dd"))).first()[0]
    1428451200
    """
    return call("to_unix_timestamp", column_of(timestamp), *optional(column_of, format))


def from_unixtime(timestamp: ColumnOrName, format: str = "yyyy-MM-dd HH:mm:ss") -> Column:
    """Seconds since 1970 as text by a pattern.

    >>> spark.range(1).select(F.from_unixtime(F.lit(1428451200))).first()[0]
    '2015-04-08 00:00:00'
    """
    return call("from_unixtime", column_of(timestamp), expression_of(format))


def unix_seconds(col: ColumnOrName) -> Column:
    """Whole seconds since 1970.

    >>> spark.range(1).select(F.unix_seconds(F.to_timestamp(F.lit("2015-07-22 10:00:00")))).first()[0]
    1437559200
    """
    return call("unix_seconds", column_of(col))


def unix_millis(col: ColumnOrName) -> Column:
    """Whole milliseconds since 1970.

    >>> spark.range(1).select(F.unix_millis(F.to_timestamp(F.lit("2015-07-22 10:00:00")))).first()[0]
    1437559200000
    """
    return call("unix_millis", column_of(col))


def unix_micros(col: ColumnOrName) -> Column:
    """Microseconds since 1970.

    >>> spark.range(1).select(F.unix_micros(F.to_timestamp(F.lit("2015-07-22 10:00:00")))).first()[0]
    1437559200000000
    """
    return call("unix_micros", column_of(col))


def timestamp_seconds(col: ColumnOrName) -> Column:
    """The time so many seconds after 1970.

    >>> spark.range(1).select(F.timestamp_seconds(F.lit(1230219000))).first()[0]
    datetime.datetime(2008, 12, 25, 15, 30)
    """
    return call("timestamp_seconds", column_of(col))


def timestamp_millis(col: ColumnOrName) -> Column:
    """The time so many milliseconds after 1970.

    >>> spark.range(1).select(F.timestamp_millis(F.lit(1230219000123))).first()[0]
    datetime.datetime(2008, 12, 25, 15, 30, 0, 123000)
    """
    return call("timestamp_millis", column_of(col))


def timestamp_micros(col: ColumnOrName) -> Column:
    """The time so many microseconds after 1970.

    >>> spark.range(1).select(F.timestamp_micros(F.lit(1230219000123123))).first()[0]
    datetime.datetime(2008, 12, 25, 15, 30, 0, 123123)
    """
    return call("timestamp_micros", column_of(col))
