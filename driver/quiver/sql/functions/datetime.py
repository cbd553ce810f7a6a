"""Functions of dates and times."""

from __future__ import annotations

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call, column_or_value, optional
from quiver.sql.literals import column_of, expression_of

__all__ = [
    "add_months",
    "curdate",
    "current_date",
    "current_timestamp",
    "date_add",
    "date_diff",
    "date_format",
    "date_part",
    "date_sub",
    "date_trunc",
    "dateadd",
    "datediff",
    "datepart",
    "day",
    "dayname",
    "dayofmonth",
    "dayofweek",
    "dayofyear",
    "extract",
    "from_utc_timestamp",
    "hour",
    "last_day",
    "localtimestamp",
    "make_date",
    "minute",
    "month",
    "monthname",
    "months_between",
    "next_day",
    "now",
    "quarter",
    "second",
    "timestamp_add",
    "timestamp_diff",
    "to_date",
    "to_timestamp",
    "to_timestamp_ltz",
    "to_timestamp_ntz",
    "to_utc_timestamp",
    "trunc",
    "try_to_date",
    "try_to_timestamp",
    "weekday",
    "weekofyear",
    "year",
]


def year(col: ColumnOrName) -> Column:
    """The year.

    >>> spark.range(1).select(F.year(F.lit("2015-04-08"))).first()[0]
    2015
    """
    return call("year", column_of(col))


def quarter(col: ColumnOrName) -> Column:
    """The quarter, 1 to 4.

    >>> spark.range(1).select(F.quarter(F.lit("2015-04-08"))).first()[0]
    2
    """
    return call("quarter", column_of(col))


def month(col: ColumnOrName) -> Column:
    """The month, 1 to 12.

    >>> spark.range(1).select(F.month(F.lit("2015-04-08"))).first()[0]
    4
    """
    return call("month", column_of(col))


def day(col: ColumnOrName) -> Column:
    """The day of the month.

    >>> spark.range(1).select(F.day(F.lit("2015-04-08"))).first()[0]
    8
    """
    return call("day", column_of(col))


def dayofmonth(col: ColumnOrName) -> Column:
    """The day of the month.

    >>> spark.range(1).select(F.dayofmonth(F.lit("2015-04-08"))).first()[0]
    8
    """
    return call("dayofmonth", column_of(col))


def dayofweek(col: ColumnOrName) -> Column:
    """The day of the week: Sunday is 1.

    >>> spark.range(1).select(F.dayofweek(F.lit("2015-04-08"))).first()[0]
    4
    """
    return call("dayofweek", column_of(col))


def weekday(col: ColumnOrName) -> Column:
    """The day of the week: Monday is 0.

    >>> spark.range(1).select(F.weekday(F.lit("2015-04-08"))).first()[0]
    2
    """
    return call("weekday", column_of(col))


def dayofyear(col: ColumnOrName) -> Column:
    """The day of the year.

    >>> spark.range(1).select(F.dayofyear(F.lit("2015-04-08"))).first()[0]
    98
    """
    return call("dayofyear", column_of(col))


def weekofyear(col: ColumnOrName) -> Column:
    """The ISO week of the year.

    >>> spark.range(1).select(F.weekofyear(F.lit("2015-04-08"))).first()[0]
    15
    """
    return call("weekofyear", column_of(col))


def hour(col: ColumnOrName) -> Column:
    """The hour.

    >>> spark.range(1).select(F.hour(F.lit("2015-04-08 13:08:15"))).first()[0]
    13
    """
    return call("hour", column_of(col))


def minute(col: ColumnOrName) -> Column:
    """The minute.

    >>> spark.range(1).select(F.minute(F.lit("2015-04-08 13:08:15"))).first()[0]
    8
    """
    return call("minute", column_of(col))


def second(col: ColumnOrName) -> Column:
    """The second.

    >>> spark.range(1).select(F.second(F.lit("2015-04-08 13:08:15"))).first()[0]
    15
    """
    return call("second", column_of(col))


def monthname(col: ColumnOrName) -> Column:
    """The month's short name.

    >>> spark.range(1).select(F.monthname(F.lit("2015-04-08"))).first()[0]
    'Apr'
    """
    return call("monthname", column_of(col))


def dayname(col: ColumnOrName) -> Column:
    """The day's short name.

    >>> spark.range(1).select(F.dayname(F.lit("2015-04-08"))).first()[0]
    'Wed'
    """
    return call("dayname", column_of(col))


def extract(field: Column, source: ColumnOrName) -> Column:
    """A field of a date or time.

    >>> spark.range(1).select(F.extract(F.lit("YEAR"), F.to_timestamp(F.lit("2015-04-08 13:08:15")))).first()[0]
    2015
    """
    return call("extract", expression_of(field), column_of(source))


def date_part(field: Column, source: ColumnOrName) -> Column:
    """A field of a date or time; see extract.

    >>> spark.range(1).select(F.date_part(F.lit("MONTH"), F.to_timestamp(F.lit("2015-04-08 13:08:15")))).first()[0]
    4
    """
    return call("date_part", expression_of(field), column_of(source))


def datepart(field: Column, source: ColumnOrName) -> Column:
    """A field of a date or time; see extract.

    >>> spark.range(1).select(F.datepart(F.lit("DAY"), F.to_timestamp(F.lit("2015-04-08 13:08:15")))).first()[0]
    8
    """
    return call("datepart", expression_of(field), column_of(source))


def date_add(start: ColumnOrName, days: ColumnOrName | int) -> Column:
    """So many days later.

    >>> spark.range(1).select(F.date_add(F.lit("2015-04-08"), 1)).first()[0]
    datetime.date(2015, 4, 9)
    """
    return call("date_add", column_of(start), column_or_value(days))


def dateadd(start: ColumnOrName, days: ColumnOrName | int) -> Column:
    """So many days later.

    >>> spark.range(1).select(F.dateadd(F.lit("2015-04-08"), 1)).first()[0]
    datetime.date(2015, 4, 9)
    """
    return call("dateadd", column_of(start), column_or_value(days))


def date_sub(start: ColumnOrName, days: ColumnOrName | int) -> Column:
    """So many days earlier.

    >>> spark.range(1).select(F.date_sub(F.lit("2015-04-08"), 1)).first()[0]
    datetime.date(2015, 4, 7)
    """
    return call("date_sub", column_of(start), column_or_value(days))


def datediff(end: ColumnOrName, start: ColumnOrName) -> Column:
    """How many days from the second to the first.

    >>> spark.range(1).select(F.datediff(F.lit("2015-05-10"), F.lit("2015-04-08"))).first()[0]
    32
    """
    return call("datediff", column_of(end), column_of(start))


def date_diff(end: ColumnOrName, start: ColumnOrName) -> Column:
    """How many days from the second to the first.

    >>> spark.range(1).select(F.date_diff(F.lit("2015-05-10"), F.lit("2015-04-08"))).first()[0]
    32
    """
    return call("date_diff", column_of(end), column_of(start))


def add_months(start: ColumnOrName, months: ColumnOrName | int) -> Column:
    """So many months later, the day cut to the month's last.

    >>> spark.range(1).select(F.add_months(F.lit("2015-01-31"), 1)).first()[0]
    datetime.date(2015, 2, 28)
    """
    return call("add_months", column_of(start), column_or_value(months))


def months_between(date1: ColumnOrName, date2: ColumnOrName, roundOff: bool = True) -> Column:
    """How many months from the second to the first, as a fraction of 31 days.

    >>> spark.range(1).select(F.months_between(F.lit("1997-02-28 10:30:00"), F.lit("1996-10-30"))).first()[0]
    3.94959677
    """
    return call("months_between", column_of(date1), column_of(date2), expression_of(roundOff))


def last_day(date: ColumnOrName) -> Column:
    """The last day of the month.

    >>> spark.range(1).select(F.last_day(F.lit("2015-02-10"))).first()[0]
    datetime.date(2015, 2, 28)
    """
    return call("last_day", column_of(date))


def next_day(date: ColumnOrName, dayOfWeek: str) -> Column:
    """The next such day of the week after a date.

    >>> spark.range(1).select(F.next_day(F.lit("2015-07-27"), "Sun")).first()[0]
    datetime.date(2015, 8, 2)
    """
    return call("next_day", column_of(date), expression_of(dayOfWeek))


def trunc(date: ColumnOrName, format: str) -> Column:
    """A date cut to its year, quarter, month or week.

    >>> spark.range(1).select(F.trunc(F.lit("1997-02-28"), "month")).first()[0]
    datetime.date(1997, 2, 1)
    """
    return call("trunc", column_of(date), expression_of(format))


def date_trunc(format: str, timestamp: ColumnOrName) -> Column:
    """A timestamp cut to that unit.

    >>> spark.range(1).select(F.date_trunc("hour", F.lit("1997-02-28 05:02:11"))).first()[0]
    datetime.datetime(1997, 2, 28, 5, 0)
    """
    return call("date_trunc", expression_of(format), column_of(timestamp))


def make_date(year: ColumnOrName, month: ColumnOrName, day: ColumnOrName) -> Column:
    """A date of its parts.

    >>> spark.range(1).select(F.make_date(F.lit(2020), F.lit(6), F.lit(26))).first()[0]
    datetime.date(2020, 6, 26)
    """
    return call("make_date", column_of(year), column_of(month), column_of(day))


def to_date(col: ColumnOrName, format: str | None = None) -> Column:
    """A date from text, maybe by a pattern of Java.

    >>> spark.range(1).select(F.to_date(F.lit("28/02/1997"), "dd/MM/yyyy")).first()[0]
    datetime.date(1997, 2, 28)
    """
    return call("to_date", column_of(col), *optional(expression_of, format))


def try_to_date(col: ColumnOrName, format: str | None = None) -> Column:
    """As to_date, null where it can't be.

    >>> spark.range(1).select(F.try_to_date(F.lit("nonsense"))).first()[0] is None
    True
    """
    return call("try_to_date", column_of(col), *optional(expression_of, format))


def to_timestamp(col: ColumnOrName, format: str | None = None) -> Column:
    """A timestamp from text, maybe by a pattern of Java.

    >>> spark.range(1).select(F.to_timestamp(F.lit("1997-02-28 10:30:00"))).first()[0]
    datetime.datetime(1997, 2, 28, 10, 30)
    """
    return call("to_timestamp", column_of(col), *optional(expression_of, format))


def try_to_timestamp(col: ColumnOrName, format: ColumnOrName | None = None) -> Column:
    """As to_timestamp, null where it can't be.

    >>> spark.range(1).select(F.try_to_timestamp(F.lit("nonsense"))).first()[0] is None
    True
    """
    return call("try_to_timestamp", column_of(col), *optional(column_of, format))


def to_timestamp_ltz(timestamp: ColumnOrName, format: ColumnOrName | None = None) -> Column:
    """A timestamp from text.

    >>> spark.range(1).select(F.to_timestamp_ltz(F.lit("2016-12-31"), F.lit("yyyy-MM-dd"))).first()[0]
    datetime.datetime(2016, 12, 31, 0, 0)
    """
    return call("to_timestamp_ltz", column_of(timestamp), *optional(column_of, format))


def to_timestamp_ntz(timestamp: ColumnOrName, format: ColumnOrName | None = None) -> Column:
    """A timestamp without zone from text.

    >>> spark.range(1).select(F.to_timestamp_ntz(F.lit("2016-12-31"), F.lit("yyyy-MM-dd"))).first()[0]
    datetime.datetime(2016, 12, 31, 0, 0)
    """
    return call("to_timestamp_ntz", column_of(timestamp), *optional(column_of, format))


def date_format(date: ColumnOrName, format: str) -> Column:
    """A date or time as text by a pattern of Java.

    >>> spark.range(1).select(F.date_format(F.lit("2015-04-08"), "MM/dd/yyyy")).first()[0]
    '04/08/2015'
    """
    return call("date_format", column_of(date), expression_of(format))


def from_utc_timestamp(timestamp: ColumnOrName, tz: Column | str) -> Column:
    """What clocks in a zone show at that time of UTC.

    >>> spark.range(1).select(F.from_utc_timestamp(F.lit("1997-02-28 10:30:00"), "PST")).first()[0]
    datetime.datetime(1997, 2, 28, 2, 30)
    """
    return call("from_utc_timestamp", column_of(timestamp), expression_of(tz))


def to_utc_timestamp(timestamp: ColumnOrName, tz: Column | str) -> Column:
    """The time of UTC when clocks in a zone show this.

    >>> spark.range(1).select(F.to_utc_timestamp(F.lit("1997-02-28 10:30:00"), "PST")).first()[0]
    datetime.datetime(1997, 2, 28, 18, 30)
    """
    return call("to_utc_timestamp", column_of(timestamp), expression_of(tz))


def timestamp_add(unit: str, quantity: ColumnOrName, ts: ColumnOrName) -> Column:
    """So many units later.

    >>> spark.range(1).select(F.timestamp_add("HOUR", F.lit(2), F.to_timestamp(F.lit("2024-01-01 10:00:00")))).first()[0]
    datetime.datetime(2024, 1, 1, 12, 0)
    """
    return call("timestamp_add", expression_of(unit), column_of(quantity), column_of(ts))


def timestamp_diff(unit: str, start: ColumnOrName, end: ColumnOrName) -> Column:
    """How many whole units from the first to the second.

    >>> spark.range(1).select(F.timestamp_diff("DAY", F.to_timestamp(F.lit("2024-01-01")), F.to_timestamp(F.lit("2024-02-01")))).first()[0]
    31
    """
    return call("timestamp_diff", expression_of(unit), column_of(start), column_of(end))


def current_date() -> Column:
    """Today, as of the query's start.

    >>> spark.range(1).select(F.typeof(F.current_date())).first()[0]
    'date'
    """
    return call("current_date")


def curdate() -> Column:
    """Today, as of the query's start.

    >>> spark.range(1).select(F.typeof(F.curdate())).first()[0]
    'date'
    """
    return call("curdate")


def current_timestamp() -> Column:
    """Now, as of the query's start.

    >>> spark.range(1).select(F.typeof(F.current_timestamp())).first()[0]
    'timestamp'
    """
    return call("current_timestamp")


def now() -> Column:
    """Now, as of the query's start.

    >>> spark.range(1).select(F.typeof(F.now())).first()[0]
    'timestamp'
    """
    return call("now")


def localtimestamp() -> Column:
    """Now without a zone, as of the query's start.

    >>> spark.range(1).select(F.typeof(F.localtimestamp())).first()[0]
    'timestamp_ntz'
    """
    return call("localtimestamp")
