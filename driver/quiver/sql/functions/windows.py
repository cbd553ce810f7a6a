"""Window functions: of a row among those of its window."""

from __future__ import annotations

from typing import Any

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call, optional
from quiver.sql.literals import column_of, expression_of
from quiver.sql.tree import expressions as e

__all__ = ["counter_diff", "cume_dist", "dense_rank", "lag", "lead", "nth_value", "ntile", "percent_rank", "rank", "row_number"]


def counter_diff(value: ColumnOrName, startTime: ColumnOrName | None = None) -> Column:
    """What a counter, which never decreases, has grown by since the row before; null where it was reset: it is less, or its start is later.

    >>> from quiver.sql import Window
    >>> df = spark.createDataFrame([(1, 100), (2, 250), (3, 20)], ["t", "n"])
    >>> df.select(F.counter_diff("n").over(Window.orderBy("t")).alias("d")).collect()
    [Row(d=None), Row(d=150), Row(d=None)]
    """
    return call("counter_diff", column_of(value), *optional(column_of, startTime))


def row_number() -> Column:
    """The row's number in its window, from 1.

    >>> from quiver.sql import Window
    >>> spark.range(3).select(F.row_number().over(Window.orderBy(F.desc("id"))).alias("n")).collect()
    [Row(n=1), Row(n=2), Row(n=3)]
    """
    return call("row_number")


def rank() -> Column:
    """The row's rank, with gaps after equals.

    >>> from quiver.sql import Window
    >>> df = spark.createDataFrame([(1,), (1,), (2,)], ["a"])
    >>> df.select(F.rank().over(Window.orderBy("a")).alias("r")).collect()
    [Row(r=1), Row(r=1), Row(r=3)]
    """
    return call("rank")


def dense_rank() -> Column:
    """The row's rank, without gaps.

    >>> from quiver.sql import Window
    >>> df = spark.createDataFrame([(1,), (1,), (2,)], ["a"])
    >>> df.select(F.dense_rank().over(Window.orderBy("a")).alias("r")).collect()
    [Row(r=1), Row(r=1), Row(r=2)]
    """
    return call("dense_rank")


def percent_rank() -> Column:
    """The rank from 0.0 to 1.0.

    >>> from quiver.sql import Window
    >>> spark.range(3).select(F.percent_rank().over(Window.orderBy("id")).alias("r")).collect()
    [Row(r=0.0), Row(r=0.5), Row(r=1.0)]
    """
    return call("percent_rank")


def cume_dist() -> Column:
    """Which part of the rows is not after this one.

    >>> from quiver.sql import Window
    >>> spark.range(4).select(F.cume_dist().over(Window.orderBy("id")).alias("r")).collect()
    [Row(r=0.25), Row(r=0.5), Row(r=0.75), Row(r=1.0)]
    """
    return call("cume_dist")


def ntile(n: int) -> Column:
    """In which of `n` parts of equal size the row is, from 1.

    >>> from quiver.sql import Window
    >>> spark.range(4).select(F.ntile(2).over(Window.orderBy("id")).alias("r")).collect()
    [Row(r=1), Row(r=1), Row(r=2), Row(r=2)]
    """
    return call("ntile", expression_of(n))


def lag(col: ColumnOrName, offset: int = 1, default: Any = None) -> Column:
    """The value `offset` rows before, else the default.

    >>> from quiver.sql import Window
    >>> spark.range(3).select(F.lag("id", 1, -1).over(Window.orderBy("id")).alias("v")).collect()
    [Row(v=-1), Row(v=0), Row(v=1)]
    """
    return _neighbour("lag", col, offset, default)


def lead(col: ColumnOrName, offset: int = 1, default: Any = None) -> Column:
    """The value `offset` rows after, else the default.

    >>> from quiver.sql import Window
    >>> spark.range(3).select(F.lead("id").over(Window.orderBy("id")).alias("v")).collect()
    [Row(v=1), Row(v=2), Row(v=None)]
    """
    return _neighbour("lead", col, offset, default)


def _neighbour(name: str, col: ColumnOrName, offset: int, default: Any) -> Column:
    args = (column_of(col), expression_of(offset))
    return call(name, *args) if default is None else call(name, *args, expression_of(default))


def nth_value(col: ColumnOrName, offset: int, ignoreNulls: bool | None = False) -> Column:
    """The value of the window's row of that number, counted from 1.

    >>> from quiver.sql import Window
    >>> spark.range(3).select(F.nth_value("id", 2).over(Window.orderBy("id")).alias("v")).collect()
    [Row(v=None), Row(v=1), Row(v=1)]
    """
    return Column(e.Call("nth_value", (column_of(col), expression_of(offset)), ignore_nulls=bool(ignoreNulls)))
