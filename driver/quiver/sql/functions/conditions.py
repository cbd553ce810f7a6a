"""Choices, nulls, and what a column is."""

from __future__ import annotations

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call, optional
from quiver.sql.literals import column_of, expression_of

__all__ = [
    "assert_true",
    "coalesce",
    "equal_null",
    "greatest",
    "ifnull",
    "isnotnull",
    "isnull",
    "least",
    "nullif",
    "nullifzero",
    "nvl",
    "nvl2",
    "typeof",
    "zeroifnull",
]


def coalesce(*cols: ColumnOrName) -> Column:
    """The first that is not null.

    >>> spark.range(1).select(F.coalesce(F.lit(None), F.lit(2))).first()[0]
    2
    """
    return call("coalesce", *map(column_of, cols))


def nvl(col1: ColumnOrName, col2: ColumnOrName) -> Column:
    """The first, unless it is null: then the second.

    >>> spark.range(1).select(F.nvl(F.lit(None), F.lit("b"))).first()[0]
    'b'
    """
    return call("nvl", column_of(col1), column_of(col2))


def ifnull(col1: ColumnOrName, col2: ColumnOrName) -> Column:
    """The first, unless it is null: then the second.

    >>> spark.range(1).select(F.ifnull(F.lit(None), F.lit("b"))).first()[0]
    'b'
    """
    return call("ifnull", column_of(col1), column_of(col2))


def nvl2(col1: ColumnOrName, col2: ColumnOrName, col3: ColumnOrName) -> Column:
    """The second if the first is not null, else the third.

    >>> spark.range(1).select(F.nvl2(F.lit(None), F.lit("a"), F.lit("b"))).first()[0]
    'b'
    """
    return call("nvl2", column_of(col1), column_of(col2), column_of(col3))


def nullif(col1: ColumnOrName, col2: ColumnOrName) -> Column:
    """Null if both are equal, else the first.

    >>> spark.range(1).select(F.nullif(F.lit(1), F.lit(1))).first()[0] is None
    True
    """
    return call("nullif", column_of(col1), column_of(col2))


def nullifzero(col: ColumnOrName) -> Column:
    """Null instead of 0.

    >>> spark.range(1).select(F.nullifzero(F.lit(0))).first()[0] is None
    True
    """
    return call("nullifzero", column_of(col))


def zeroifnull(col: ColumnOrName) -> Column:
    """0 instead of null.

    >>> spark.range(1).select(F.zeroifnull(F.lit(5))).first()[0]
    5
    """
    return call("zeroifnull", column_of(col))


def greatest(*cols: ColumnOrName) -> Column:
    """The greatest, nulls left out.

    >>> spark.range(1).select(F.greatest(F.lit(1), F.lit(3), F.lit(2))).first()[0]
    3
    """
    return call("greatest", *map(column_of, cols))


def least(*cols: ColumnOrName) -> Column:
    """The least, nulls left out.

    >>> spark.range(1).select(F.least(F.lit(1), F.lit(3), F.lit(2))).first()[0]
    1
    """
    return call("least", *map(column_of, cols))


def isnull(col: ColumnOrName) -> Column:
    """Whether it is null.

    >>> spark.range(1).select(F.isnull(F.lit(None))).first()[0]
    True
    """
    return call("isnull", column_of(col))


def isnotnull(col: ColumnOrName) -> Column:
    """Whether it is not null.

    >>> spark.range(1).select(F.isnotnull(F.lit(None))).first()[0]
    False
    """
    return call("isnotnull", column_of(col))


def equal_null(col1: ColumnOrName, col2: ColumnOrName) -> Column:
    """Whether both are equal, where null equals null.

    >>> spark.range(1).select(F.equal_null(F.lit(None), F.lit(None))).first()[0]
    True
    """
    return call("equal_null", column_of(col1), column_of(col2))


def assert_true(col: ColumnOrName, errMsg: Column | str | None = None) -> Column:
    """Null if the condition holds, else the job fails with the message.

    >>> spark.range(1).select(F.assert_true(F.lit(True))).first()[0] is None
    True
    """
    return call("assert_true", column_of(col), *optional(expression_of, errMsg))


def typeof(col: ColumnOrName) -> Column:
    """The type's name in SQL.

    >>> spark.range(1).select(F.typeof(F.lit(1.5))).first()[0]
    'double'
    """
    return call("typeof", column_of(col))
