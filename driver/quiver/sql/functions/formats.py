"""Functions that write numbers and times as text, and read them, by a format."""

from __future__ import annotations

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call
from quiver.sql.literals import column_of, expression_of

__all__ = ["format_number", "format_string", "printf", "to_char", "to_number", "to_varchar", "try_to_number"]


def format_number(col: ColumnOrName, d: int) -> Column:
    """With commas between thousands, rounded to so many places.

    >>> spark.range(1).select(F.format_number(F.lit(1234567.891), 2)).first()[0]
    '1,234,567.89'
    """
    return call("format_number", column_of(col), expression_of(d))


def format_string(format: str, *cols: ColumnOrName) -> Column:
    """As C's printf.

    >>> spark.range(1).select(F.format_string("%d %s", F.lit(5), F.lit("hello"))).first()[0]
    '5 hello'
    """
    return call("format_string", expression_of(format), *map(column_of, cols))


def printf(format: ColumnOrName, *cols: ColumnOrName) -> Column:
    """As C's printf.

    >>> spark.range(1).select(F.printf(F.lit("%05.1f"), F.lit(2.5))).first()[0]
    '002.5'
    """
    return call("printf", column_of(format), *map(column_of, cols))


def to_number(col: ColumnOrName, format: ColumnOrName) -> Column:
    """Text as a decimal by a pattern such as `$999,999.99`. Fails for text that does not fit.

    >>> spark.range(1).select(F.to_number(F.lit("$78.12"), F.lit("$99.99"))).first()[0]
    Decimal('78.12')
    """
    return call("to_number", column_of(col), column_of(format))


def try_to_number(col: ColumnOrName, format: ColumnOrName) -> Column:
    """See to_number; null for text that does not fit.

    >>> spark.range(1).select(F.try_to_number(F.lit("x"), F.lit("$99.99")).alias("n")).first()
    Row(n=None)
    """
    return call("try_to_number", column_of(col), column_of(format))


def to_char(col: ColumnOrName, format: ColumnOrName) -> Column:
    """A number by a pattern of digits; a date or time by one of letters, as date_format; a binary as base64, hex or utf-8.

    Of digits: `9` and `0` (which is written where there is none), `.` or `D`, `,` or `G`, `$`, and for the sign `S`, `MI`, or `PR` at
    the end for angle brackets. A number that the pattern has no room for becomes `#`.

    >>> spark.range(1).select(F.to_char(F.lit(1278.5), F.lit("$9,999.99"))).first()[0]
    '$1,278.50'
    """
    return call("to_char", column_of(col), column_of(format))


def to_varchar(col: ColumnOrName, format: ColumnOrName) -> Column:
    """As to_char.

    >>> spark.range(1).select(F.to_varchar(F.lit(-7), F.lit("S099"))).first()[0]
    '-007'
    """
    return call("to_varchar", column_of(col), column_of(format))
