"""Columns, constants, conditions, order, counting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call, optional, spread
from quiver.sql.literals import column_of, expression_of, literal
from quiver.sql.tree import expressions as e

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame

__all__ = [
    "asc",
    "asc_nulls_first",
    "asc_nulls_last",
    "broadcast",
    "call_function",
    "col",
    "column",
    "count",
    "countDistinct",
    "count_distinct",
    "desc",
    "desc_nulls_first",
    "desc_nulls_last",
    "expr",
    "grouping",
    "input_file_name",
    "lit",
    "max_by",
    "min_by",
    "monotonically_increasing_id",
    "raise_error",
    "rand",
    "randn",
    "spark_partition_id",
    "struct",
    "uniform",
    "uuid",
    "when",
]  # fmt: skip


def col(col: str) -> Column:
    """The column of that name.

    >>> F.col("a")
    Column<'a'>
    """
    return Column(column_of(col))


column = col


def lit(col: Any) -> Column:
    """A constant; a Column stays as it is.

    >>> spark.range(1).select(F.lit("x")).first()[0]
    'x'
    """
    return col if isinstance(col, Column) else Column(literal(col))


def expr(str: str) -> Column:
    """The expression that a text in SQL means.

    >>> spark.range(1).select(F.expr("id + 1")).first()[0]
    1
    """
    from quiver.sql.frontend.expressions import Surroundings, parse_expression
    from quiver.sql.nesting import with_room
    from quiver.sql.session import Session

    active = Session.getActiveSession()
    around = None if active is None else Surroundings(active.conf.zone(), {}, active._state.routines)
    return Column(with_room(lambda: parse_expression(str, around)))


def when(condition: Column, value: Any) -> Column:
    """`value` where the condition holds; see Column.when and Column.otherwise.

    >>> spark.range(2).select(F.when(F.col("id") == 0, "none").otherwise("some").alias("r")).collect()
    [Row(r='none'), Row(r='some')]
    """
    if not isinstance(condition, Column):
        raise TypeError(f"[NOT_COLUMN] Argument `condition` should be a Column, got {type(condition).__name__}.")
    return Column(e.Case(((condition._expression, expression_of(value)),)))


def struct(*cols: Any) -> Column:
    """A struct of the columns, by their names.

    >>> spark.createDataFrame([(1, "a")], ["x", "y"]).select(F.struct("x", "y")).first()[0]
    Row(x=1, y='a')
    """
    return call("struct", *map(column_of, spread(cols)))


def call_function(funcName: str, *cols: ColumnOrName) -> Column:
    """A function by its name. Raises AnalysisException for one that is not known, with those like it.

    >>> spark.range(1).select(F.call_function("upper", F.lit("a"))).first()[0]
    'A'
    """
    from quiver.sql.python.user_defined import call_udf

    return call_udf(funcName, *cols)


def asc(col: ColumnOrName) -> Column:
    """To sort by, smallest first, nulls before all.

    >>> spark.createDataFrame([(2,), (None,)], ["a"]).sort(F.asc("a")).collect()
    [Row(a=None), Row(a=2)]
    """
    return Column(e.SortKey(column_of(col), True))


def desc(col: ColumnOrName) -> Column:
    """To sort by, largest first, nulls after all.

    >>> spark.createDataFrame([(None,), (2,)], ["a"]).sort(F.desc("a")).collect()
    [Row(a=2), Row(a=None)]
    """
    return Column(e.SortKey(column_of(col), False))


def asc_nulls_first(col: ColumnOrName) -> Column:
    """To sort by, smallest first, nulls before all.

    >>> spark.createDataFrame([(2,), (None,)], ["a"]).sort(F.asc_nulls_first("a")).collect()
    [Row(a=None), Row(a=2)]
    """
    return Column(e.SortKey(column_of(col), True, True))


def asc_nulls_last(col: ColumnOrName) -> Column:
    """To sort by, smallest first, nulls after all.

    >>> spark.createDataFrame([(None,), (2,)], ["a"]).sort(F.asc_nulls_last("a")).collect()
    [Row(a=2), Row(a=None)]
    """
    return Column(e.SortKey(column_of(col), True, False))


def desc_nulls_first(col: ColumnOrName) -> Column:
    """To sort by, largest first, nulls before all.

    >>> spark.createDataFrame([(2,), (None,)], ["a"]).sort(F.desc_nulls_first("a")).collect()
    [Row(a=None), Row(a=2)]
    """
    return Column(e.SortKey(column_of(col), False, True))


def desc_nulls_last(col: ColumnOrName) -> Column:
    """To sort by, largest first, nulls after all.

    >>> spark.createDataFrame([(None,), (2,)], ["a"]).sort(F.desc_nulls_last("a")).collect()
    [Row(a=2), Row(a=None)]
    """
    return Column(e.SortKey(column_of(col), False, False))


def count(col: ColumnOrName) -> Column:
    """How many values are not null; of "*": how many rows.

    >>> spark.createDataFrame([(1,), (None,)], ["a"]).select(F.count("a"), F.count("*")).first()
    Row(count(a)=1, count(1)=2)
    """
    expression = column_of(col)
    return Column(e.Call("count", () if isinstance(expression, e.Star) else (expression,)))


def count_distinct(col: ColumnOrName, *cols: ColumnOrName) -> Column:
    """How many different values, or rows of values, are there without a null.

    >>> spark.createDataFrame([(1,), (1,), (2,)], ["a"]).select(F.count_distinct("a")).first()[0]
    2
    """
    return Column(e.Call("count", (column_of(col), *map(column_of, cols)), distinct=True))


countDistinct = count_distinct


def max_by(col: ColumnOrName, ord: ColumnOrName, k: int | None = None) -> Column:
    """The value where the other column is greatest; with `k`, the list of as many values.

    >>> spark.createDataFrame([("a", 1), ("b", 2)], ["x", "y"]).select(F.max_by("x", "y")).first()[0]
    'b'
    """
    return call("max_by", column_of(col), column_of(ord), *optional(expression_of, k))


def min_by(col: ColumnOrName, ord: ColumnOrName, k: int | None = None) -> Column:
    """The value where the other column is least; with `k`, the list of as many values.

    >>> spark.createDataFrame([("a", 1), ("b", 2)], ["x", "y"]).select(F.min_by("x", "y")).first()[0]
    'a'
    """
    return call("min_by", column_of(col), column_of(ord), *optional(expression_of, k))


def grouping(col: ColumnOrName) -> Column:
    """With cube or rollup: 1 where the column is aggregated over, else 0."""
    return call("grouping", column_of(col))


def raise_error(errMsg: Column | str) -> Column:
    """Fails the job with that message, where it is computed."""
    return call("raise_error", expression_of(errMsg))


def rand(seed: int | None = None) -> Column:
    """A random number from 0.0 to 1.0. With a seed, Spark's own numbers, by a row's partition and its place in that.

    >>> spark.range(1).select(F.rand(seed=0)).first()[0]
    0.7604953758285915
    >>> 0 <= spark.range(1).select(F.rand()).first()[0] < 1
    True
    """
    return call("rand", *optional(expression_of, seed))


def randn(seed: int | None = None) -> Column:
    """A random number of the standard normal distribution. With a seed, Spark's own numbers, as for `rand`.

    >>> spark.range(1).select(F.randn(seed=0)).first()[0]
    1.6034991609278433
    >>> isinstance(spark.range(1).select(F.randn()).first()[0], float)
    True
    """
    return call("randn", *optional(expression_of, seed))


def uniform(min: Column | int | float, max: Column | int | float, seed: Column | int | None = None) -> Column:
    """A random number between the two.

    >>> 5 <= spark.range(1).select(F.uniform(5, 10)).first()[0] <= 10
    True
    """
    return call("uniform", expression_of(min), expression_of(max), *optional(expression_of, seed))


def uuid() -> Column:
    """A random UUID.

    >>> len(spark.range(1).select(F.uuid()).first()[0])
    36
    """
    return call("uuid")


def input_file_name() -> Column:
    """The file that a row was read from, as a URL; empty for rows that are no file's.

    >>> spark.range(1).select(F.input_file_name().alias("file")).collect()
    [Row(file='')]
    """
    return call("input_file_name")


def monotonically_increasing_id() -> Column:
    """A row's number in its partition, from 0, plus 2**33 times the partition's: different for all rows, but with gaps.

    >>> spark.range(0, 4, 1, 2).select(F.monotonically_increasing_id().alias("n")).collect()
    [Row(n=0), Row(n=1), Row(n=8589934592), Row(n=8589934593)]
    """
    return call("monotonically_increasing_id")


def spark_partition_id() -> Column:
    """The number of the partition that a row is in where this is computed.

    >>> spark.range(0, 4, 1, 2).select(F.spark_partition_id().alias("p")).collect()
    [Row(p=0), Row(p=0), Row(p=1), Row(p=1)]
    """
    return call("spark_partition_id")


def broadcast(df: DataFrame) -> DataFrame:
    """Marks a small DataFrame as one to give to every task of a join.

    >>> spark.range(3).join(F.broadcast(spark.range(2)), "id").count()
    2
    """
    return df.hint("broadcast")
