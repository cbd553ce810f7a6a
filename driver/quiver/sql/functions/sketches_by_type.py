"""KLL and tuple sketches, in the bytes in which Spark keeps them. Executors need datasketches (`quiver-cluster[sketches]`).

The functions of a family differ by the type in their names only: each is made once for all types, by what it takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call, optional
from quiver.sql.literals import column_of, expression_of

__all__ = [
    "kll_merge_agg_bigint", "kll_merge_agg_double", "kll_merge_agg_float", "kll_sketch_agg_bigint", "kll_sketch_agg_double",
    "kll_sketch_agg_float", "kll_sketch_get_n_bigint", "kll_sketch_get_n_double", "kll_sketch_get_n_float",
    "kll_sketch_get_quantile_bigint", "kll_sketch_get_quantile_double", "kll_sketch_get_quantile_float", "kll_sketch_get_rank_bigint",
    "kll_sketch_get_rank_double", "kll_sketch_get_rank_float", "kll_sketch_merge_bigint", "kll_sketch_merge_double",
    "kll_sketch_merge_float", "kll_sketch_to_string_bigint", "kll_sketch_to_string_double", "kll_sketch_to_string_float",
    "tuple_difference_double", "tuple_difference_integer", "tuple_difference_theta_double", "tuple_difference_theta_integer",
    "tuple_intersection_agg_double", "tuple_intersection_agg_integer", "tuple_intersection_double", "tuple_intersection_integer",
    "tuple_intersection_theta_double", "tuple_intersection_theta_integer", "tuple_sketch_agg_double", "tuple_sketch_agg_integer",
    "tuple_sketch_estimate_double", "tuple_sketch_estimate_integer", "tuple_sketch_summary_double", "tuple_sketch_summary_integer",
    "tuple_sketch_theta_double", "tuple_sketch_theta_integer", "tuple_union_agg_double", "tuple_union_agg_integer", "tuple_union_double",
    "tuple_union_integer", "tuple_union_theta_double", "tuple_union_theta_integer",
]  # fmt: skip
Number = Column | int | None
Mode = Column | str | None
Make = Callable[[str], Callable[..., Column]]
_FRAMES = {
    "bigint": 'spark.createDataFrame([(1,), (2,), (9,)], "v bigint")',
    "double": 'spark.createDataFrame([(1.0,), (2.0,), (9.0,)], "v double")',
    "float": 'spark.createDataFrame([(1.0,), (2.0,), (9.0,)], "v float")',
    "tuple double": 'spark.createDataFrame([(1, 1.0, 2), (2, 2.5, 3), (2, 2.5, 4)], "k int, v double, j int")',
    "tuple integer": 'spark.createDataFrame([(1, 1, 2), (2, 2, 3), (2, 2, 4)], "k int, v int, j int")',
}


def _made(make: Make, name: str, frame: str, kind: str, told: str, example: str, result: str) -> Any:
    function = make(f"{name}_{kind}")
    function.__name__ = function.__qualname__ = f"{name}_{kind}"
    shown = example.replace("KIND", kind)
    function.__doc__ = f"{told}\n\n    >>> df = {_FRAMES[frame]}\n    >>> {shown}\n    {result}\n    "
    return function


def _kll(make: Make, name: str, told: str, example: str, result: str) -> Any:
    """For bigint, double and float. In `example`, S is the sketch of the column v."""
    written = re.sub(r"\bS\b", 'F.kll_sketch_agg_KIND("v")', example)
    return (_made(make, name, kind, kind, told, f"df.{written}.first()[0]", result) for kind in ("bigint", "double", "float"))


def _tuples(make: Make, name: str, told: str, example: str, result: str) -> Any:
    """For double and integer. In `example`, S and T are the sketches of the columns k and j, and A is the theta sketch of j."""
    stands = {"S": 'F.tuple_sketch_agg_KIND("k", "v")', "T": 'F.tuple_sketch_agg_KIND("j", "v")', "A": 'F.theta_sketch_agg("j")'}
    written = re.sub(r"\b[STA]\b", lambda found: stands[found[0]], example)
    return (_made(make, name, f"tuple {kind}", kind, told, f"df.{written}.first()[0]", result) for kind in ("double", "integer"))


# ---- what functions take ----


def _one(name: str) -> Callable[..., Column]:
    def function(col: ColumnOrName) -> Column:
        return call(name, column_of(col))

    return function


def _sized(name: str) -> Callable[..., Column]:
    def function(col: ColumnOrName, k: Number = None) -> Column:
        return call(name, column_of(col), *optional(expression_of, k))

    return function


def _quantile(name: str) -> Callable[..., Column]:
    def function(sketch: ColumnOrName, rank: ColumnOrName) -> Column:
        return call(name, column_of(sketch), column_of(rank))

    return function


def _rank(name: str) -> Callable[..., Column]:
    def function(sketch: ColumnOrName, quantile: ColumnOrName) -> Column:
        return call(name, column_of(sketch), column_of(quantile))

    return function


def _merge(name: str) -> Callable[..., Column]:
    def function(left: ColumnOrName, right: ColumnOrName) -> Column:
        return call(name, column_of(left), column_of(right))

    return function


def _options(lgNomEntries: Number, mode: Mode) -> tuple[Any, ...]:
    """12 where only the mode is given."""
    if mode is None:
        return tuple(optional(expression_of, lgNomEntries))
    return (expression_of(12 if lgNomEntries is None else lgNomEntries), expression_of(mode))


def _keyed(name: str) -> Callable[..., Column]:
    def function(key: ColumnOrName, summary: ColumnOrName, lgNomEntries: Number = None, mode: Mode = None) -> Column:
        return call(name, column_of(key), column_of(summary), *_options(lgNomEntries, mode))

    return function


def _by_mode(name: str) -> Callable[..., Column]:
    def function(col: ColumnOrName, mode: Mode = None) -> Column:
        return call(name, column_of(col), *optional(expression_of, mode))

    return function


def _union_of(name: str) -> Callable[..., Column]:
    def function(col: ColumnOrName, lgNomEntries: Number = None, mode: Mode = None) -> Column:
        return call(name, column_of(col), *_options(lgNomEntries, mode))

    return function


def _union(name: str) -> Callable[..., Column]:
    def function(col1: ColumnOrName, col2: ColumnOrName, lgNomEntries: Number = None, mode: Mode = None) -> Column:
        return call(name, column_of(col1), column_of(col2), *_options(lgNomEntries, mode))

    return function


def _intersection(name: str) -> Callable[..., Column]:
    def function(col1: ColumnOrName, col2: ColumnOrName, mode: Mode = None) -> Column:
        return call(name, column_of(col1), column_of(col2), *optional(expression_of, mode))

    return function


def _difference(name: str) -> Callable[..., Column]:
    def function(col1: ColumnOrName, col2: ColumnOrName) -> Column:
        return call(name, column_of(col1), column_of(col2))

    return function


# ---- KLL ----

kll_sketch_agg_bigint, kll_sketch_agg_double, kll_sketch_agg_float = _kll(
    _sized,
    "kll_sketch_agg",
    "A KLL sketch of the group's numbers: of their quantiles and ranks; the larger `k` (8 to 65535; else 200), the more exact.",
    "agg(F.kll_sketch_get_n_KIND(S))",
    "3",
)
kll_merge_agg_bigint, kll_merge_agg_double, kll_merge_agg_float = _kll(
    _sized,
    "kll_merge_agg",
    "The KLL sketch of the numbers of all the group's; `k` is that of the first unless it is given.",
    'groupBy("v").agg(S.alias("s")).agg(F.kll_sketch_get_n_KIND(F.kll_merge_agg_KIND("s")))',
    "3",
)
kll_sketch_merge_bigint, kll_sketch_merge_double, kll_sketch_merge_float = _kll(
    _merge,
    "kll_sketch_merge",
    "The KLL sketch of the numbers of two.",
    "agg(F.kll_sketch_get_n_KIND(F.kll_sketch_merge_KIND(S, S)))",
    "6",
)
kll_sketch_get_n_bigint, kll_sketch_get_n_double, kll_sketch_get_n_float = _kll(
    _one,
    "kll_sketch_get_n",
    "How many numbers a KLL sketch has met.",
    "agg(F.kll_sketch_get_n_KIND(S))",
    "3",
)
kll_sketch_get_quantile_bigint, kll_sketch_get_quantile_double, kll_sketch_get_quantile_float = _kll(
    _quantile,
    "kll_sketch_get_quantile",
    "The number at or below which a share of those of a KLL sketch are; of an array of shares, an array.",
    "agg(F.kll_sketch_get_quantile_KIND(S, F.lit(0.5)) == 2)",
    "True",
)
kll_sketch_get_rank_bigint, kll_sketch_get_rank_double, kll_sketch_get_rank_float = _kll(
    _rank,
    "kll_sketch_get_rank",
    "The share of the numbers of a KLL sketch that are at most this one; of an array of numbers, an array.",
    'agg(F.kll_sketch_get_rank_KIND(S, F.lit(9).cast("KIND")))',
    "1.0",
)
kll_sketch_to_string_bigint, kll_sketch_to_string_double, kll_sketch_to_string_float = _kll(
    _one,
    "kll_sketch_to_string",
    "What a KLL sketch tells of itself.",
    'agg(F.kll_sketch_to_string_KIND(S).contains("Min Item               : 1"))',
    "True",
)

# ---- tuple ----

tuple_sketch_agg_double, tuple_sketch_agg_integer = _tuples(
    _keyed,
    "tuple_sketch_agg",
    "A tuple sketch of the group's distinct keys, each with a summary of its values: their sum, min or max, or one (alwaysone).",
    "agg(F.tuple_sketch_summary_KIND(S) > 4)",
    "True",
)
tuple_sketch_estimate_double, tuple_sketch_estimate_integer = _tuples(
    _one,
    "tuple_sketch_estimate",
    "How many distinct keys a tuple sketch has met, about.",
    "agg(F.tuple_sketch_estimate_KIND(S))",
    "2.0",
)
tuple_sketch_theta_double, tuple_sketch_theta_integer = _tuples(
    _one,
    "tuple_sketch_theta",
    "The share of the keys that a tuple sketch has kept.",
    "agg(F.tuple_sketch_theta_KIND(S))",
    "1.0",
)
tuple_sketch_summary_double, tuple_sketch_summary_integer = _tuples(
    _by_mode,
    "tuple_sketch_summary",
    "The summaries of the keys that a tuple sketch has kept, as one.",
    'agg(F.tuple_sketch_summary_KIND(S, "min") == 1)',
    "True",
)
tuple_union_agg_double, tuple_union_agg_integer = _tuples(
    _union_of,
    "tuple_union_agg",
    "The tuple sketch of the keys that any of the group's has.",
    'groupBy("v").agg(S.alias("s")).agg(F.tuple_sketch_estimate_KIND(F.tuple_union_agg_KIND("s")))',
    "2.0",
)
tuple_intersection_agg_double, tuple_intersection_agg_integer = _tuples(
    _by_mode,
    "tuple_intersection_agg",
    "The tuple sketch of the keys that all of the group's have.",
    'groupBy("v").agg(S.alias("s")).agg(F.tuple_sketch_estimate_KIND(F.tuple_intersection_agg_KIND("s")))',
    "0.0",
)
tuple_union_double, tuple_union_integer = _tuples(
    _union,
    "tuple_union",
    "The tuple sketch of the keys that either has.",
    "agg(F.tuple_sketch_estimate_KIND(F.tuple_union_KIND(S, T)))",
    "4.0",
)
tuple_intersection_double, tuple_intersection_integer = _tuples(
    _intersection,
    "tuple_intersection",
    "The tuple sketch of the keys that both have.",
    "agg(F.tuple_sketch_estimate_KIND(F.tuple_intersection_KIND(S, T)))",
    "1.0",
)
tuple_difference_double, tuple_difference_integer = _tuples(
    _difference,
    "tuple_difference",
    "The tuple sketch of the keys that the first has and the second has not.",
    "agg(F.tuple_sketch_estimate_KIND(F.tuple_difference_KIND(S, T)))",
    "1.0",
)
tuple_union_theta_double, tuple_union_theta_integer = _tuples(
    _union,
    "tuple_union_theta",
    "The tuple sketch of the keys that it or a theta sketch has.",
    "agg(F.tuple_sketch_estimate_KIND(F.tuple_union_theta_KIND(S, A)))",
    "4.0",
)
tuple_intersection_theta_double, tuple_intersection_theta_integer = _tuples(
    _intersection,
    "tuple_intersection_theta",
    "The tuple sketch of the keys that a theta sketch has, too.",
    "agg(F.tuple_sketch_estimate_KIND(F.tuple_intersection_theta_KIND(S, A)))",
    "1.0",
)
tuple_difference_theta_double, tuple_difference_theta_integer = _tuples(
    _difference,
    "tuple_difference_theta",
    "The tuple sketch of the keys that a theta sketch has not.",
    "agg(F.tuple_sketch_estimate_KIND(F.tuple_difference_theta_KIND(S, A)))",
    "1.0",
)
