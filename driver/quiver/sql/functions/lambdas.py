"""Functions that take functions of columns: `transform(xs, lambda x: x + 1)`."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import Any

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call
from quiver.sql.literals import column_of, expression_of
from quiver.sql.tree import expressions as e

__all__ = [
    "aggregate", "exists", "filter", "forall", "map_filter", "map_zip_with", "reduce", "transform", "transform_keys", "transform_values",
    "zip_with",
]  # fmt: skip

_nesting = threading.local()


def lambda_of(f: Callable[..., Any], least: int, most: int) -> e.Lambda:
    """The lambda that a Python function builds when called with columns that stand for its parameters. Raises ValueError."""
    parameters = inspect.signature(f).parameters.values()
    if any(p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters):
        raise ValueError(
            "[UNSUPPORTED_PARAM_TYPE_FOR_HIGHER_ORDER_FUNCTION] Function `f` should use only POSITIONAL or POSITIONAL OR KEYWORD arguments."
        )
    if not least <= len(parameters) <= most:
        wanted = str(least) if least == most else f"{least} or {most}"
        raise ValueError(
            f"[WRONG_NUM_ARGS_FOR_HIGHER_ORDER_FUNCTION] Function `f` should take {wanted} arguments, but got {len(parameters)}."
        )
    depth = getattr(_nesting, "depth", 0)
    names = tuple(f"{letter}_{depth}" for letter in "xyz"[: len(parameters)])
    _nesting.depth = depth + 1
    try:
        result = f(*(Column(e.Variable(name)) for name in names))
    finally:
        _nesting.depth = depth
    if not isinstance(result, Column):
        raise ValueError(f"[HIGHER_ORDER_FUNCTION_SHOULD_RETURN_COLUMN] Function `f` should return Column, got {type(result).__name__}.")
    return e.Lambda(names, expression_of(result))


def transform(col: ColumnOrName, f: Callable[[Column], Column] | Callable[[Column, Column], Column]) -> Column:
    """The array with `f` of each value, or of each value and its index, counted from 0.

    >>> spark.createDataFrame([([1, 2, 3],)], ["xs"]).select(F.transform("xs", lambda x: x * 2)).first()[0]
    [2, 4, 6]
    """
    return call("transform", column_of(col), lambda_of(f, 1, 2))


def filter(col: ColumnOrName, f: Callable[[Column], Column] | Callable[[Column, Column], Column]) -> Column:
    """The values of which `f` holds; it may take their index too.

    >>> spark.createDataFrame([([1, 2, 3],)], ["xs"]).select(F.filter("xs", lambda x: x > 1)).first()[0]
    [2, 3]
    """
    return call("filter", column_of(col), lambda_of(f, 1, 2))


def exists(col: ColumnOrName, f: Callable[[Column], Column]) -> Column:
    """Whether `f` holds of one value at least.

    >>> spark.createDataFrame([([1, 2, 3],)], ["xs"]).select(F.exists("xs", lambda x: x > 2)).first()[0]
    True
    """
    return call("exists", column_of(col), lambda_of(f, 1, 1))


def forall(col: ColumnOrName, f: Callable[[Column], Column]) -> Column:
    """Whether `f` holds of all values.

    >>> spark.createDataFrame([([1, 2, 3],)], ["xs"]).select(F.forall("xs", lambda x: x > 2)).first()[0]
    False
    """
    return call("forall", column_of(col), lambda_of(f, 1, 1))


def zip_with(left: ColumnOrName, right: ColumnOrName, f: Callable[[Column, Column], Column]) -> Column:
    """`f` of the values at the same places of two arrays; the shorter is filled up with nulls.

    >>> spark.createDataFrame([([1, 2], [10, 20])], ["a", "b"]).select(F.zip_with("a", "b", lambda x, y: x + y)).first()[0]
    [11, 22]
    """
    return call("zip_with", column_of(left), column_of(right), lambda_of(f, 2, 2))


def map_filter(col: ColumnOrName, f: Callable[[Column, Column], Column]) -> Column:
    """The entries of which `f` of key and value holds.

    >>> spark.range(1).select(F.map_filter(F.create_map(F.lit("a"), F.lit(1), F.lit("b"), F.lit(2)), lambda k, v: v > 1)).first()[0]
    {'b': 2}
    """
    return call("map_filter", column_of(col), lambda_of(f, 2, 2))


def transform_keys(col: ColumnOrName, f: Callable[[Column, Column], Column]) -> Column:
    """The map with `f` of key and value for every key.

    >>> spark.range(1).select(F.transform_keys(F.create_map(F.lit("a"), F.lit(1)), lambda k, v: F.upper(k))).first()[0]
    {'A': 1}
    """
    return call("transform_keys", column_of(col), lambda_of(f, 2, 2))


def transform_values(col: ColumnOrName, f: Callable[[Column, Column], Column]) -> Column:
    """The map with `f` of key and value for every value.

    >>> spark.range(1).select(F.transform_values(F.create_map(F.lit("a"), F.lit(1)), lambda k, v: v + 1)).first()[0]
    {'a': 2}
    """
    return call("transform_values", column_of(col), lambda_of(f, 2, 2))


def aggregate(
    col: ColumnOrName,
    initialValue: ColumnOrName,
    merge: Callable[[Column, Column], Column],
    finish: Callable[[Column], Column] | None = None,
) -> Column:
    """The array folded: `merge` of what there is and the next value, from the start on; and `finish` of that.

    `merge` gives the type of the start. It may use arithmetic, comparisons, conditions, structs, and the commonest functions.

    >>> df = spark.createDataFrame([([20.0, 4.0, 2.0],)], ["xs"])
    >>> df.select(F.aggregate("xs", F.lit(0.0), lambda acc, x: acc + x).alias("sum")).first()[0]
    26.0
    """
    functions = [lambda_of(merge, 2, 2), *([] if finish is None else [lambda_of(finish, 1, 1)])]
    return call("aggregate", column_of(col), column_of(initialValue), *functions)


def reduce(
    col: ColumnOrName,
    initialValue: ColumnOrName,
    merge: Callable[[Column, Column], Column],
    finish: Callable[[Column], Column] | None = None,
) -> Column:
    """The array folded; see aggregate.

    >>> df = spark.createDataFrame([([1, 2, 3],)], ["xs"])
    >>> df.select(F.reduce("xs", F.lit(1).cast("bigint"), lambda acc, x: acc * x).alias("p")).first()[0]
    6
    """
    functions = [lambda_of(merge, 2, 2), *([] if finish is None else [lambda_of(finish, 1, 1)])]
    return call("reduce", column_of(col), column_of(initialValue), *functions)


def map_zip_with(col1: ColumnOrName, col2: ColumnOrName, f: Callable[[Column, Column, Column], Column]) -> Column:
    """Two maps as one: of each key, `f` of the key and both values, null where a map has none.

    >>> a, b = F.create_map(F.lit("x"), F.lit(1)), F.create_map(F.lit("x"), F.lit(2))
    >>> spark.range(1).select(F.map_zip_with(a, b, lambda k, v, w: v + w).alias("m")).first()[0]
    {'x': 3}
    """
    return call("map_zip_with", column_of(col1), column_of(col2), lambda_of(f, 3, 3))
