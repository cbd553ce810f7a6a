"""PySpark's functions: `from quiver.sql import functions as F`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiver.sql.column import Column, column_of, expression_of, literal
from quiver.sql.functions.generators import explode, explode_outer, inline, inline_outer, posexplode, posexplode_outer, stack
from quiver.sql.tree import expressions as e

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame

__all__ = [
    "array",
    "asc",
    "avg",
    "broadcast",
    "coalesce",
    "col",
    "column",
    "concat",
    "count",
    "countDistinct",
    "count_distinct",
    "desc",
    "explode",
    "explode_outer",
    "expr",
    "inline",
    "inline_outer",
    "length",
    "lit",
    "lower",
    "max",
    "min",
    "posexplode",
    "posexplode_outer",
    "row_number",
    "stack",
    "struct",
    "substring",
    "sum",
    "upper",
    "when",
    "year",
]  # fmt: skip


def col(col: str) -> Column:
    """The column of that name.

    >>> col("a")
    Column<'a'>
    """
    return Column(column_of(col))


column = col


def lit(col: Any) -> Column:
    """A constant; a Column stays as it is."""
    return col if isinstance(col, Column) else Column(literal(col))


def expr(str: str) -> Column:
    """The expression that a text in SQL means."""
    from quiver.sql.frontend.expressions import parse_expression

    return Column(parse_expression(str))


def when(condition: Column, value: Any) -> Column:
    """`value` where the condition holds; see Column.when and Column.otherwise."""
    if not isinstance(condition, Column):
        raise TypeError(f"[NOT_COLUMN] Argument `condition` should be a Column, got {type(condition).__name__}.")
    return Column(e.Case(((condition._expression, expression_of(value)),)))


def _call(name: str, *args: Any, distinct: bool = False) -> Column:
    return Column(e.Call(name, tuple(map(column_of, args)), distinct))


def asc(col: Any) -> Column:
    return Column(e.SortKey(column_of(col), True))


def desc(col: Any) -> Column:
    return Column(e.SortKey(column_of(col), False))


def sum(col: Any) -> Column:
    return _call("sum", col)


def avg(col: Any) -> Column:
    return _call("avg", col)


def min(col: Any) -> Column:
    return _call("min", col)


def max(col: Any) -> Column:
    return _call("max", col)


def count(col: Any) -> Column:
    """How many values are not null; of "*": how many rows."""
    expression = column_of(col)
    return Column(e.Call("count", () if isinstance(expression, e.Star) else (expression,)))


def count_distinct(col: Any, *cols: Any) -> Column:
    return _call("count", col, *cols, distinct=True)


countDistinct = count_distinct


def coalesce(*cols: Any) -> Column:
    return _call("coalesce", *cols)


def concat(*cols: Any) -> Column:
    return _call("concat", *cols)


def upper(col: Any) -> Column:
    return _call("upper", col)


def lower(col: Any) -> Column:
    return _call("lower", col)


def length(col: Any) -> Column:
    return _call("length", col)


def substring(str: Any, pos: Any, len: Any) -> Column:
    return Column(e.Call("substring", (column_of(str), expression_of(pos), expression_of(len))))


def year(col: Any) -> Column:
    return _call("year", col)


def row_number() -> Column:
    return _call("row_number")


def array(*cols: Any) -> Column:
    """An array of these columns' values.

    >>> spark.range(1).select(array("id", lit(5)).alias("xs")).collect()
    [Row(xs=[0, 5])]
    """
    return _call("array", *(cols[0] if len(cols) == 1 and isinstance(cols[0], list | tuple | set) else cols))


def struct(*cols: Any) -> Column:
    """A struct of these columns, whose members have their names.

    >>> spark.range(1).select(struct("id", lit("x").alias("letter")).alias("s")).select("s.letter").collect()
    [Row(letter='x')]
    """
    return _call("struct", *(cols[0] if len(cols) == 1 and isinstance(cols[0], list | tuple | set) else cols))


def broadcast(df: DataFrame) -> DataFrame:
    """The same rows, small enough to be given whole to every task of a join.

    >>> spark.range(3).join(broadcast(spark.range(2)), "id").count()
    2
    """
    return df.hint("broadcast")
