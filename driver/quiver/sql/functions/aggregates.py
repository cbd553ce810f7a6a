"""Aggregates: over all rows, over groups, or over windows."""

from __future__ import annotations

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call, is_true, optional
from quiver.sql.literals import column_of, expression_of
from quiver.sql.tree import expressions as e

__all__ = [
    "any_value",
    "approx_count_distinct",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "collect_list",
    "collect_set",
    "collect_union",
    "count_if",
    "every",
    "first",
    "first_value",
    "grouping_id",
    "last",
    "last_value",
    "listagg",
    "listagg_distinct",
    "max",
    "mean",
    "min",
    "product",
    "some",
    "string_agg",
    "string_agg_distinct",
    "sum",
    "sum_distinct",
    "try_avg",
    "try_sum",
]


def sum(col: ColumnOrName) -> Column:
    """The sum.

    >>> spark.createDataFrame([(1,), (2,)], ['a']).select(F.sum("a")).first()[0]
    3
    """
    return call("sum", column_of(col))


def avg(col: ColumnOrName) -> Column:
    """The mean.

    >>> spark.createDataFrame([(1,), (2,)], ['a']).select(F.avg("a")).first()[0]
    1.5
    """
    return call("avg", column_of(col))


def mean(col: ColumnOrName) -> Column:
    """The mean; see avg.

    >>> spark.createDataFrame([(1,), (2,)], ['a']).select(F.mean("a")).first()[0]
    1.5
    """
    return call("mean", column_of(col))


def min(col: ColumnOrName) -> Column:
    """The least.

    >>> spark.createDataFrame([(1,), (2,)], ['a']).select(F.min("a")).first()[0]
    1
    """
    return call("min", column_of(col))


def max(col: ColumnOrName) -> Column:
    """The greatest; NaN is greater than all numbers.

    >>> spark.createDataFrame([(1,), (2,)], ['a']).select(F.max("a")).first()[0]
    2
    """
    return call("max", column_of(col))


def first(col: ColumnOrName, ignorenulls: bool = False) -> Column:
    """The first value met, or the first that is not null.

    >>> spark.createDataFrame([(None,), (2,)], ['a']).select(F.first("a", ignorenulls=True)).first()[0]
    2
    """
    return Column(e.Call("first", (column_of(col),), ignore_nulls=ignorenulls))


def last(col: ColumnOrName, ignorenulls: bool = False) -> Column:
    """The last value met, or the last that is not null.

    >>> spark.createDataFrame([(1,), (None,)], ['a']).select(F.last("a", ignorenulls=True)).first()[0]
    1
    """
    return Column(e.Call("last", (column_of(col),), ignore_nulls=ignorenulls))


def any_value(col: ColumnOrName, ignoreNulls: bool | Column | None = None) -> Column:
    """Some value.

    >>> spark.createDataFrame([(2,), (2,)], ['a']).select(F.any_value("a")).first()[0]
    2
    """
    return Column(e.Call("any_value", (column_of(col),), ignore_nulls=is_true(ignoreNulls)))


def first_value(col: ColumnOrName, ignoreNulls: bool | Column | None = None) -> Column:
    """The first value met, or the first that is not null.

    >>> spark.createDataFrame([(None,), (2,)], ['a']).select(F.first_value("a", True)).first()[0]
    2
    """
    return Column(e.Call("first_value", (column_of(col),), ignore_nulls=is_true(ignoreNulls)))


def last_value(col: ColumnOrName, ignoreNulls: bool | Column | None = None) -> Column:
    """The last value met, or the last that is not null.

    >>> spark.createDataFrame([(1,), (None,)], ['a']).select(F.last_value("a", True)).first()[0]
    1
    """
    return Column(e.Call("last_value", (column_of(col),), ignore_nulls=is_true(ignoreNulls)))


def collect_list(col: ColumnOrName) -> Column:
    """All values that are not null, in no certain order.

    >>> spark.createDataFrame([(1,), (2,), (1,)], ['a']).select(F.sort_array(F.collect_list("a"))).first()[0]
    [1, 1, 2]
    """
    return call("collect_list", column_of(col))


def array_agg(col: ColumnOrName) -> Column:
    """All values that are not null; see collect_list.

    >>> spark.createDataFrame([(1,), (2,), (1,)], ['a']).select(F.sort_array(F.array_agg("a"))).first()[0]
    [1, 1, 2]
    """
    return call("array_agg", column_of(col))


def collect_set(col: ColumnOrName) -> Column:
    """All values that are not null, each once, in no certain order.

    >>> spark.createDataFrame([(1,), (2,), (1,)], ['a']).select(F.sort_array(F.collect_set("a"))).first()[0]
    [1, 2]
    """
    return call("collect_set", column_of(col))


def sum_distinct(col: ColumnOrName) -> Column:
    """The sum of the values, each once.

    >>> spark.createDataFrame([(1,), (2,), (1,)], ['a']).select(F.sum_distinct("a")).first()[0]
    3
    """
    return Column(e.Call("sum", (column_of(col),), distinct=True))


def approx_count_distinct(col: ColumnOrName, rsd: float | None = None) -> Column:
    """About how many different values there are.

    >>> spark.createDataFrame([(1,), (2,), (1,)], ['a']).select(F.approx_count_distinct("a")).first()[0]
    2
    """
    return call("approx_count_distinct", column_of(col), *optional(expression_of, rsd))


def count_if(col: ColumnOrName) -> Column:
    """How often the condition holds.

    >>> spark.createDataFrame([(1,), (2,), (3,)], ['a']).select(F.count_if(F.col("a") > 1)).first()[0]
    2
    """
    return call("count_if", column_of(col))


def bool_and(col: ColumnOrName) -> Column:
    """Whether all hold.

    >>> spark.createDataFrame([(True,), (False,)], ['a']).select(F.bool_and("a")).first()[0]
    False
    """
    return call("bool_and", column_of(col))


def every(col: ColumnOrName) -> Column:
    """Whether all hold; see bool_and.

    >>> spark.createDataFrame([(True,), (True,)], ['a']).select(F.every("a")).first()[0]
    True
    """
    return call("every", column_of(col))


def bool_or(col: ColumnOrName) -> Column:
    """Whether one holds.

    >>> spark.createDataFrame([(True,), (False,)], ['a']).select(F.bool_or("a")).first()[0]
    True
    """
    return call("bool_or", column_of(col))


def some(col: ColumnOrName) -> Column:
    """Whether one holds; see bool_or.

    >>> spark.createDataFrame([(False,), (False,)], ['a']).select(F.some("a")).first()[0]
    False
    """
    return call("some", column_of(col))


def bit_and(col: ColumnOrName) -> Column:
    """The bits that all have.

    >>> spark.createDataFrame([(3,), (6,)], ['a']).select(F.bit_and("a")).first()[0]
    2
    """
    return call("bit_and", column_of(col))


def bit_or(col: ColumnOrName) -> Column:
    """The bits that one has.

    >>> spark.createDataFrame([(3,), (6,)], ['a']).select(F.bit_or("a")).first()[0]
    7
    """
    return call("bit_or", column_of(col))


def bit_xor(col: ColumnOrName) -> Column:
    """The bits that an odd number has.

    >>> spark.createDataFrame([(3,), (6,)], ['a']).select(F.bit_xor("a")).first()[0]
    5
    """
    return call("bit_xor", column_of(col))


def string_agg(col: ColumnOrName, delimiter: Column | str | bytes | None = None) -> Column:
    """All values as one string with a delimiter between.

    >>> spark.createDataFrame([("a",), ("a",)], ['s']).select(F.string_agg("s", ",")).first()[0]
    'a,a'
    """
    return call("string_agg", column_of(col), *optional(expression_of, delimiter))


def listagg(col: ColumnOrName, delimiter: Column | str | bytes | None = None) -> Column:
    """All values as one string with a delimiter between.

    >>> spark.createDataFrame([("a",), ("a",)], ['s']).select(F.listagg("s", ",")).first()[0]
    'a,a'
    """
    return call("listagg", column_of(col), *optional(expression_of, delimiter))


def try_sum(col: ColumnOrName) -> Column:
    """The sum; null where it overflows.

    >>> spark.createDataFrame([(1,), (2,)], ['a']).select(F.try_sum("a")).first()[0]
    3
    """
    return call("try_sum", column_of(col))


def try_avg(col: ColumnOrName) -> Column:
    """The mean.

    >>> spark.createDataFrame([(1,), (2,)], ['a']).select(F.try_avg("a")).first()[0]
    1.5
    """
    return call("try_avg", column_of(col))


def product(col: ColumnOrName) -> Column:
    """The product of all values.

    >>> spark.createDataFrame([(2,), (3,)], ["a"]).select(F.product("a")).first()[0]
    6.0
    """
    return call("product", column_of(col))


def listagg_distinct(col: ColumnOrName, delimiter: Column | str | bytes | None = None) -> Column:
    """Different values as one string.

    >>> spark.createDataFrame([("a",), ("a",)], ["v"]).select(F.listagg_distinct("v", ",")).first()[0]
    'a'
    """
    return Column(e.Call("listagg", (column_of(col), *optional(expression_of, delimiter)), distinct=True))


def string_agg_distinct(col: ColumnOrName, delimiter: Column | str | bytes | None = None) -> Column:
    """Different values as one string; see listagg_distinct.

    >>> spark.createDataFrame([("a",), ("a",)], ["v"]).select(F.string_agg_distinct("v", ",")).first()[0]
    'a'
    """
    return Column(e.Call("string_agg", (column_of(col), *optional(expression_of, delimiter)), distinct=True))


def grouping_id(*cols: ColumnOrName) -> Column:
    """Which of these grouping columns a row is a total over, as bits: those of a cube or rollup, in their order.

    >>> df = spark.createDataFrame([("a", 1)], ["k", "v"]).cube("k").agg(F.grouping_id("k").alias("g"))
    >>> df.sort("g").select("g").collect()
    [Row(g=0), Row(g=1)]
    """
    return call("grouping_id", *map(column_of, cols))


def collect_union(col: ColumnOrName) -> Column:
    """The different elements of all arrays.

    >>> df = spark.createDataFrame([([1, 2],), ([2, 3],)], ["a"])
    >>> df.select(F.sort_array(F.collect_union("a"))).first()[0]
    [1, 2, 3]
    """
    return call("collect_union", column_of(col))
