"""Generators: functions that make rows of a row."""

from __future__ import annotations

from typing import Any

from quiver.sql.column import Column
from quiver.sql.literals import column_of, expression_of, literal
from quiver.sql.tree import expressions as e

__all__ = ["explode", "explode_outer", "inline", "inline_outer", "posexplode", "posexplode_outer", "stack"]


def _generator(name: str, *args: e.Expression) -> Column:
    return Column(e.Call(name, args))


def explode(col: Any) -> Column:
    """A row for each item of an array (as `col`), or for each entry of a map (as `key` and `value`). Rows without any are gone.

    >>> df = spark.createDataFrame([(1, [1, 2]), (2, [])], "i int, xs array<int>")
    >>> df.select("i", explode("xs")).collect()
    [Row(i=1, col=1), Row(i=1, col=2)]
    """
    return _generator("explode", column_of(col))


def explode_outer(col: Any) -> Column:
    """As explode; a row without any stays, with nulls.

    >>> df = spark.createDataFrame([(1, [1, 2]), (2, [])], "i int, xs array<int>")
    >>> df.select("i", explode_outer("xs").alias("x")).collect()
    [Row(i=1, x=1), Row(i=1, x=2), Row(i=2, x=None)]
    """
    return _generator("explode_outer", column_of(col))


def posexplode(col: Any) -> Column:
    """As explode, with the position, from 0, as `pos` before the rest.

    >>> spark.createDataFrame([(["a", "b"],)], ["xs"]).select(posexplode("xs")).collect()
    [Row(pos=0, col='a'), Row(pos=1, col='b')]
    """
    return _generator("posexplode", column_of(col))


def posexplode_outer(col: Any) -> Column:
    """As posexplode; a row without any stays, with nulls.

    >>> spark.createDataFrame([([],)], "xs array<int>").select(posexplode_outer("xs")).collect()
    [Row(pos=None, col=None)]
    """
    return _generator("posexplode_outer", column_of(col))


def inline(col: Any) -> Column:
    """A row for each struct of an array, its members as columns.

    >>> df = spark.sql("SELECT 1 AS a, 'x' AS b").select(F.array(F.struct("a", "b")).alias("xs"))
    >>> df.select(inline("xs")).collect()
    [Row(a=1, b='x')]
    """
    return _generator("inline", column_of(col))


def inline_outer(col: Any) -> Column:
    """As inline; a row without any stays, with nulls.

    >>> df = spark.createDataFrame([(None,)], "xs array<struct<a: int>>")
    >>> df.select(inline_outer("xs")).collect()
    [Row(a=None)]
    """
    return _generator("inline_outer", column_of(col))


def stack(*cols: Any) -> Column:
    """The values after the first, in as many rows as the first says; missing ones are null.

    >>> spark.range(1).select(stack(F.lit(2), F.lit("a"), F.lit("b"), F.lit("c"))).collect()
    [Row(col0='a', col1='b'), Row(col0='c', col1=None)]
    """
    count, *values = cols
    first = literal(count) if isinstance(count, int) else expression_of(count)
    return _generator("stack", first, *map(column_of, values))
