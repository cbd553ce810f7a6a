"""HyperLogLog and theta sketches, in the bytes in which Spark keeps them. Executors need datasketches (`quiver-cluster[sketches]`).

And count-min sketches, which need nothing.
"""

from __future__ import annotations

import random

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call, optional
from quiver.sql.literals import column_of, expression_of

__all__ = [
    "count_min_sketch", "hll_sketch_agg", "hll_sketch_estimate", "hll_union", "hll_union_agg", "theta_difference", "theta_intersection",
    "theta_intersection_agg", "theta_sketch_agg", "theta_sketch_estimate", "theta_union", "theta_union_agg",
]  # fmt: skip
Number = Column | int | None


def count_min_sketch(col: ColumnOrName, eps: Column | float, confidence: Column | float, seed: Column | int | None = None) -> Column:
    """A count-min sketch of how often values occur: counts are too large by at most a share `eps` of all, with this confidence.

    >>> spark.range(100).agg(F.hex(F.count_min_sketch("id", 3.0, 0.1, 1))).first()[0]
    '0000000100000000000000640000000100000001000000005D8D6AB90000000000000064'
    """
    drawn = random.getrandbits(31) if seed is None else seed
    return call("count_min_sketch", column_of(col), expression_of(eps), expression_of(confidence), expression_of(drawn))


def hll_sketch_agg(col: ColumnOrName, lgConfigK: Number = None) -> Column:
    """A HyperLogLog sketch of the group's distinct values, of 2 to the power `lgConfigK` (4 to 21; else 12) registers.

    >>> df = spark.createDataFrame([(1,), (2,), (2,)], ["v"])
    >>> df.agg(F.hll_sketch_estimate(F.hll_sketch_agg("v"))).first()[0]
    2
    """
    return call("hll_sketch_agg", column_of(col), *optional(expression_of, lgConfigK))


def hll_sketch_estimate(col: ColumnOrName) -> Column:
    """How many distinct values a HyperLogLog sketch has met, about.

    >>> spark.range(10000).agg(F.hll_sketch_estimate(F.hll_sketch_agg("id"))).first()[0]
    9967
    """
    return call("hll_sketch_estimate", column_of(col))


def hll_union(col1: ColumnOrName, col2: ColumnOrName, allowDifferentLgConfigK: bool | None = None) -> Column:
    """The HyperLogLog sketch of the values of two.

    >>> df = spark.createDataFrame([(1, 4), (2, 1)], ["v", "w"])
    >>> df.agg(F.hll_sketch_estimate(F.hll_union(F.hll_sketch_agg("v"), F.hll_sketch_agg("w")))).first()[0]
    3
    """
    return call("hll_union", column_of(col1), column_of(col2), *optional(expression_of, allowDifferentLgConfigK))


def hll_union_agg(col: ColumnOrName, allowDifferentLgConfigK: bool | Column | None = None) -> Column:
    """The HyperLogLog sketch of the values of all the group's.

    >>> days = spark.createDataFrame([(1, 1), (1, 2), (2, 2), (2, 3)], ["day", "v"]).groupBy("day").agg(F.hll_sketch_agg("v").alias("s"))
    >>> days.agg(F.hll_sketch_estimate(F.hll_union_agg("s"))).first()[0]
    3
    """
    return call("hll_union_agg", column_of(col), *optional(expression_of, allowDifferentLgConfigK))


def theta_sketch_agg(col: ColumnOrName, lgNomEntries: Number = None) -> Column:
    """A theta sketch of the group's distinct values, of about 2 to the power `lgNomEntries` (4 to 26; else 12) entries.

    >>> df = spark.createDataFrame([(1,), (2,), (2,)], ["v"])
    >>> df.agg(F.theta_sketch_estimate(F.theta_sketch_agg("v"))).first()[0]
    2
    """
    return call("theta_sketch_agg", column_of(col), *optional(expression_of, lgNomEntries))


def theta_sketch_estimate(col: ColumnOrName) -> Column:
    """How many distinct values a theta sketch has met, about.

    >>> spark.range(10000).agg(F.theta_sketch_estimate(F.theta_sketch_agg("id"))).first()[0]
    9898
    """
    return call("theta_sketch_estimate", column_of(col))


def theta_union(col1: ColumnOrName, col2: ColumnOrName, lgNomEntries: Number = None) -> Column:
    """The theta sketch of the values that either has.

    >>> df = spark.createDataFrame([(1, 4), (2, 1)], ["v", "w"])
    >>> df.agg(F.theta_sketch_estimate(F.theta_union(F.theta_sketch_agg("v"), F.theta_sketch_agg("w")))).first()[0]
    3
    """
    return call("theta_union", column_of(col1), column_of(col2), *optional(expression_of, lgNomEntries))


def theta_intersection(col1: ColumnOrName, col2: ColumnOrName) -> Column:
    """The theta sketch of the values that both have.

    >>> df = spark.createDataFrame([(1, 4), (2, 1)], ["v", "w"])
    >>> df.agg(F.theta_sketch_estimate(F.theta_intersection(F.theta_sketch_agg("v"), F.theta_sketch_agg("w")))).first()[0]
    1
    """
    return call("theta_intersection", column_of(col1), column_of(col2))


def theta_difference(col1: ColumnOrName, col2: ColumnOrName) -> Column:
    """The theta sketch of the values that the first has and the second has not.

    >>> df = spark.createDataFrame([(1, 4), (2, 1)], ["v", "w"])
    >>> df.agg(F.theta_sketch_estimate(F.theta_difference(F.theta_sketch_agg("v"), F.theta_sketch_agg("w")))).first()[0]
    1
    """
    return call("theta_difference", column_of(col1), column_of(col2))


def theta_union_agg(col: ColumnOrName, lgNomEntries: Number = None) -> Column:
    """The theta sketch of the values that any of the group's has.

    >>> days = spark.createDataFrame([(1, 1), (1, 2), (2, 2), (2, 3)], ["day", "v"]).groupBy("day").agg(F.theta_sketch_agg("v").alias("s"))
    >>> days.agg(F.theta_sketch_estimate(F.theta_union_agg("s"))).first()[0]
    3
    """
    return call("theta_union_agg", column_of(col), *optional(expression_of, lgNomEntries))


def theta_intersection_agg(col: ColumnOrName) -> Column:
    """The theta sketch of the values that all of the group's have.

    >>> days = spark.createDataFrame([(1, 1), (1, 2), (2, 2), (2, 3)], ["day", "v"]).groupBy("day").agg(F.theta_sketch_agg("v").alias("s"))
    >>> days.agg(F.theta_sketch_estimate(F.theta_intersection_agg("s"))).first()[0]
    1
    """
    return call("theta_intersection_agg", column_of(col))
