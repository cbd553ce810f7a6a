"""Aggregates of statistics: spread, correlation, quantiles, lines through points."""

from __future__ import annotations

from collections.abc import Sequence

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call
from quiver.sql.literals import column_of, expression_of

__all__ = [
    "approx_percentile",
    "corr",
    "covar_pop",
    "covar_samp",
    "histogram_numeric",
    "kurtosis",
    "median",
    "mode",
    "percentile",
    "percentile_approx",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "skewness",
    "std",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "var_pop",
    "var_samp",
    "variance",
]


def stddev(col: ColumnOrName) -> Column:
    """The standard deviation of a sample.

    >>> spark.createDataFrame([(1,), (2,), (3,)], ['a']).select(F.stddev("a")).first()[0]
    1.0
    """
    return call("stddev", column_of(col))


def std(col: ColumnOrName) -> Column:
    """The standard deviation of a sample.

    >>> spark.createDataFrame([(1,), (2,), (3,)], ['a']).select(F.std("a")).first()[0]
    1.0
    """
    return call("std", column_of(col))


def stddev_samp(col: ColumnOrName) -> Column:
    """The standard deviation of a sample.

    >>> spark.createDataFrame([(1,), (2,), (3,)], ['a']).select(F.stddev_samp("a")).first()[0]
    1.0
    """
    return call("stddev_samp", column_of(col))


def stddev_pop(col: ColumnOrName) -> Column:
    """The standard deviation of a population.

    >>> spark.createDataFrame([(1,), (3,)], ['a']).select(F.stddev_pop("a")).first()[0]
    1.0
    """
    return call("stddev_pop", column_of(col))


def variance(col: ColumnOrName) -> Column:
    """The variance of a sample.

    >>> spark.createDataFrame([(1,), (2,), (3,)], ['a']).select(F.variance("a")).first()[0]
    1.0
    """
    return call("variance", column_of(col))


def var_samp(col: ColumnOrName) -> Column:
    """The variance of a sample.

    >>> spark.createDataFrame([(1,), (2,), (3,)], ['a']).select(F.var_samp("a")).first()[0]
    1.0
    """
    return call("var_samp", column_of(col))


def var_pop(col: ColumnOrName) -> Column:
    """The variance of a population.

    >>> spark.createDataFrame([(1,), (3,)], ['a']).select(F.var_pop("a")).first()[0]
    1.0
    """
    return call("var_pop", column_of(col))


def skewness(col: ColumnOrName) -> Column:
    """How lopsided the values lie.

    >>> spark.createDataFrame([(1,), (1,), (4,)], ['a']).select(F.round(F.skewness("a"), 6)).first()[0]
    0.707107
    """
    return call("skewness", column_of(col))


def kurtosis(col: ColumnOrName) -> Column:
    """How heavy the tails are, less that of a normal distribution.

    >>> spark.createDataFrame([(1,), (1,), (4,)], ['a']).select(F.round(F.kurtosis("a"), 6)).first()[0]
    -1.5
    """
    return call("kurtosis", column_of(col))


def corr(col1: ColumnOrName, col2: ColumnOrName) -> Column:
    """Pearson's correlation.

    >>> spark.createDataFrame([(1, 2), (2, 4), (3, 6)], ['a', 'b']).select(F.round(F.corr("a", "b"), 6)).first()[0]
    1.0
    """
    return call("corr", column_of(col1), column_of(col2))


def covar_pop(col1: ColumnOrName, col2: ColumnOrName) -> Column:
    """The covariance of a population.

    >>> spark.createDataFrame([(1, 2), (3, 4)], ['a', 'b']).select(F.covar_pop("a", "b")).first()[0]
    1.0
    """
    return call("covar_pop", column_of(col1), column_of(col2))


def covar_samp(col1: ColumnOrName, col2: ColumnOrName) -> Column:
    """The covariance of a sample.

    >>> spark.createDataFrame([(1, 2), (3, 4)], ['a', 'b']).select(F.covar_samp("a", "b")).first()[0]
    2.0
    """
    return call("covar_samp", column_of(col1), column_of(col2))


def median(col: ColumnOrName) -> Column:
    """The median.

    >>> spark.createDataFrame([(1,), (2,), (10,)], ['a']).select(F.median("a")).first()[0]
    2.0
    """
    return call("median", column_of(col))


def percentile(col: ColumnOrName, percentage: Column | float | Sequence[float], frequency: Column | int = 1) -> Column:
    """The exact percentile, between values where it must; or several.

    >>> spark.createDataFrame([(0,), (10,)], ['a']).select(F.percentile("a", 0.3)).first()[0]
    3.0
    """
    return call("percentile", column_of(col), expression_of(percentage), expression_of(frequency))


def percentile_approx(col: ColumnOrName, percentage: Column | float | Sequence[float], accuracy: Column | int = 10000) -> Column:
    """The value at that rank: here exact.

    >>> spark.createDataFrame([(1,), (2,), (3,)], ['a']).select(F.percentile_approx("a", 0.5)).first()[0]
    2
    """
    return call("percentile_approx", column_of(col), expression_of(percentage), expression_of(accuracy))


def approx_percentile(col: ColumnOrName, percentage: Column | float | Sequence[float], accuracy: Column | int = 10000) -> Column:
    """The value at that rank; see percentile_approx.

    >>> spark.createDataFrame([(1,), (2,), (3,)], ['a']).select(F.approx_percentile("a", 0.5)).first()[0]
    2
    """
    return call("approx_percentile", column_of(col), expression_of(percentage), expression_of(accuracy))


def regr_avgx(y: ColumnOrName, x: ColumnOrName) -> Column:
    """The mean of x where neither is null.

    >>> spark.createDataFrame([(1, 2), (2, 4)], ['y', 'x']).select(F.regr_avgx("y", "x")).first()[0]
    3.0
    """
    return call("regr_avgx", column_of(y), column_of(x))


def regr_avgy(y: ColumnOrName, x: ColumnOrName) -> Column:
    """The mean of y where neither is null.

    >>> spark.createDataFrame([(1, 2), (2, 4)], ['y', 'x']).select(F.regr_avgy("y", "x")).first()[0]
    1.5
    """
    return call("regr_avgy", column_of(y), column_of(x))


def regr_count(y: ColumnOrName, x: ColumnOrName) -> Column:
    """How often neither is null.

    >>> spark.createDataFrame([(1, 2), (2, 4)], ['y', 'x']).select(F.regr_count("y", "x")).first()[0]
    2
    """
    return call("regr_count", column_of(y), column_of(x))


def regr_intercept(y: ColumnOrName, x: ColumnOrName) -> Column:
    """Where the line through the points meets the axis.

    >>> spark.createDataFrame([(1, 2), (2, 4)], ['y', 'x']).select(F.regr_intercept("y", "x")).first()[0]
    0.0
    """
    return call("regr_intercept", column_of(y), column_of(x))


def regr_r2(y: ColumnOrName, x: ColumnOrName) -> Column:
    """How well a line fits.

    >>> spark.createDataFrame([(1, 2), (2, 4)], ['y', 'x']).select(F.regr_r2("y", "x")).first()[0]
    1.0
    """
    return call("regr_r2", column_of(y), column_of(x))


def regr_slope(y: ColumnOrName, x: ColumnOrName) -> Column:
    """The slope of the line through the points.

    >>> spark.createDataFrame([(1, 2), (2, 4)], ['y', 'x']).select(F.regr_slope("y", "x")).first()[0]
    0.5
    """
    return call("regr_slope", column_of(y), column_of(x))


def regr_sxx(y: ColumnOrName, x: ColumnOrName) -> Column:
    """The sum of squares of x's distances from its mean.

    >>> spark.createDataFrame([(1, 2), (2, 4)], ['y', 'x']).select(F.regr_sxx("y", "x")).first()[0]
    2.0
    """
    return call("regr_sxx", column_of(y), column_of(x))


def regr_sxy(y: ColumnOrName, x: ColumnOrName) -> Column:
    """The sum of products of the distances from the means.

    >>> spark.createDataFrame([(1, 2), (2, 4)], ['y', 'x']).select(F.regr_sxy("y", "x")).first()[0]
    1.0
    """
    return call("regr_sxy", column_of(y), column_of(x))


def regr_syy(y: ColumnOrName, x: ColumnOrName) -> Column:
    """The sum of squares of y's distances from its mean.

    >>> spark.createDataFrame([(1, 2), (2, 4)], ['y', 'x']).select(F.regr_syy("y", "x")).first()[0]
    0.5
    """
    return call("regr_syy", column_of(y), column_of(x))


def mode(col: ColumnOrName, deterministic: bool = False) -> Column:
    """The commonest value; of those as common any, or the least when `deterministic`.

    >>> spark.createDataFrame([(1,), (2,), (2,)], ["a"]).select(F.mode("a")).first()[0]
    2
    """
    return call("mode", column_of(col), *([expression_of(True)] if deterministic else []))


def histogram_numeric(col: ColumnOrName, nBins: Column) -> Column:
    """At most so many bins of a histogram, each of a value and how many there are about it.

    >>> spark.createDataFrame([(1,), (1,), (9,)], ["a"]).select(F.histogram_numeric("a", F.lit(2))).first()[0]
    [Row(x=1, y=2.0), Row(x=9, y=1.0)]
    """
    return call("histogram_numeric", column_of(col), expression_of(nBins))
