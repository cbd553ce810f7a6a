"""Statistics of columns: `df.stat`, describe, summary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.column import Column
from quiver.sql.dataframe_core import DataFrameCore, listed
from quiver.sql.errors import PySparkTypeError, PySparkValueError, wrong_argument
from quiver.sql.literals import expression_of
from quiver.sql.showing import cell
from quiver.sql.tree import expressions as e

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame

_DESCRIBED = ("count", "mean", "stddev", "min", "max")
_SUMMARISED = ("count", "mean", "stddev", "min", "25%", "50%", "75%", "max")
_AGGREGATES = {"count": "count", "mean": "avg", "stddev": "stddev", "min": "min", "max": "max"}


class DataFrameStatFunctions:
    """Statistics, as `df.stat.corr("a", "b")` and so on."""

    def __init__(self, df: DataFrame) -> None:
        self.df = df

    def _one(self, column: Column) -> Any:
        (row,) = self.df.select(column).collect()
        return row[0]

    def _number(self, name: str) -> e.Expression:
        return e.Call("coalesce", (e.Cast(self.df[name]._expression, t.DoubleType()), e.Literal(0.0, t.DoubleType())))

    def corr(self, col1: str, col2: str, method: str | None = None) -> float:
        """Pearson's correlation of two columns; nulls count as 0.

        >>> df = spark.createDataFrame([(1, 12), (10, 1), (19, 8)], ["a", "b"])
        >>> round(df.stat.corr("a", "b"), 4)
        -0.3592
        """
        _two_names(col1, col2)
        if method not in (None, "pearson"):
            raise PySparkValueError(
                "Currently only the calculation of the Pearson Correlation coefficient is supported.", "VALUE_NOT_PEARSON"
            )
        value = self._one(Column(e.Call("corr", (self._number(col1), self._number(col2)))))
        return math.nan if value is None else float(value)

    def cov(self, col1: str, col2: str) -> float:
        """The sample covariance of two columns; nulls count as 0.

        >>> spark.createDataFrame([(1, 12), (10, 1), (19, 8)], ["a", "b"]).stat.cov("a", "b")
        -18.0
        """
        _two_names(col1, col2)
        value = self._one(Column(e.Call("covar_samp", (self._number(col1), self._number(col2)))))
        return 0.0 if value is None else float(value)

    def crosstab(self, col1: str, col2: str) -> DataFrame:
        """How often each pair of values comes up: a row for each value of the one, a column for each of the other. Computed at once.

        >>> df = spark.createDataFrame([(1, 11), (1, 11), (3, 10)], ["c1", "c2"])
        >>> df.stat.crosstab("c1", "c2").collect()
        [Row(c1_c2='1', 10=0, 11=2), Row(c1_c2='3', 10=1, 11=0)]
        """
        _two_names(col1, col2)
        df = self.df
        pairs = df.groupBy(df[col1].cast("string").alias("a"), df[col2].cast("string").alias("b")).count().collect()
        counts = {("null" if a is None else a, "null" if b is None else b): n for a, b, n in pairs}
        rows, columns = sorted({a for a, _ in counts}), sorted({b for _, b in counts})
        schema = t.StructType([t.StructField(f"{col1}_{col2}", t.StringType()), *(t.StructField(b, t.LongType()) for b in columns)])
        return df._session.createDataFrame([(a, *(counts.get((a, b), 0) for b in columns)) for a in rows], schema)

    def freqItems(self, cols: Sequence[str], support: float | None = None) -> DataFrame:
        """Values that make up at least a share `support` (0.01 unless told) of each column, as arrays in one row. Computed at once.

        >>> df = spark.createDataFrame([(1,), (1,), (2,)], ["a"])
        >>> df.stat.freqItems(["a"], support=0.5).collect()
        [Row(a_freqItems=[1])]
        """
        if not isinstance(cols, list | tuple):
            raise wrong_argument("cols", "list or tuple", cols)
        share, total = support or 0.01, self.df.count()
        fields, found = [], []
        for name in cols:
            counts = self.df.groupBy(self.df[name].alias("value")).count().where(Column(e.Name(("count",))) >= share * total).collect()
            found.append([row[0] for row in sorted(counts, key=lambda row: -row[1])])
            fields.append(t.StructField(f"{name}_freqItems", t.ArrayType(self.df.select(name).schema[0].dataType)))
        return self.df._session.createDataFrame([tuple(found)], t.StructType(fields))

    def approxQuantile(self, col: Any, probabilities: Sequence[float], relativeError: float) -> Any:
        """Values of the column (for a list of columns: lists of values) below which these shares of its rows lie.

        They are exact, so within any `relativeError`. Nulls and NaN are left out.

        >>> spark.range(101).stat.approxQuantile("id", [0.0, 0.5, 1.0], 0.1)
        [0.0, 50.0, 100.0]
        """
        if not isinstance(col, str | list | tuple):
            raise wrong_argument("col", "str, list or tuple", col)
        if not isinstance(probabilities, list | tuple):
            raise wrong_argument("probabilities", "list or tuple", probabilities)
        for share in probabilities:
            if not isinstance(share, float | int) or isinstance(share, bool) or not 0 <= share <= 1:
                raise PySparkTypeError(f"the probabilities should be numbers in [0, 1], got {share!r}.", "NOT_LIST_OF_FLOAT_OR_INT")
        if not isinstance(relativeError, float | int):
            raise wrong_argument("relativeError", "float or int", relativeError)
        if relativeError < 0:
            raise PySparkValueError("relativeError must be >= 0.", "NEGATIVE_VALUE")
        if isinstance(col, str):
            return quantiles(self.df, col, probabilities)
        return [quantiles(self.df, name, probabilities) for name in col]

    def sampleBy(self, col: Any, fractions: dict[Any, float], seed: int | None = None) -> DataFrame:
        """Of the rows with each of these values, about that fraction, without replacement.

        >>> df = spark.range(100).withColumn("key", F.col("id") % 3)
        >>> df.stat.sampleBy("key", {0: 1.0, 1: 0.0}).select("key").distinct().collect()
        [Row(key=0)]
        """
        if not isinstance(col, str | Column):
            raise wrong_argument("col", "Column or str", col)
        if not isinstance(fractions, dict):
            raise wrong_argument("fractions", "dict", fractions)
        from quiver.sql.dataframe_rows import seed_of

        column, chosen = self.df[col] if isinstance(col, str) else col, seed_of(seed)
        drawn = e.Call("rand", (e.Literal(chosen, t.LongType()),))
        shares = tuple(
            (_equal(column._expression, value), e.Literal(float(fraction), t.DoubleType())) for value, fraction in fractions.items()
        )
        wanted = e.Case(shares, e.Literal(0.0, t.DoubleType())) if shares else e.Literal(0.0, t.DoubleType())
        return self.df.filter(Column(e.Call("<", (drawn, wanted))))


def _equal(column: e.Expression, value: Any) -> e.Expression:
    return e.Call("=", (column, expression_of(value)))


def quantiles(df: DataFrame, name: str, shares: Sequence[float]) -> list[float]:
    """Exact ones: the values at these shares of the ordered rows."""
    from quiver.sql.nulls import is_present

    column = df[name]
    rows = df.filter(Column(is_present(column._expression))).select(column.cast("double").alias("value"))
    total = rows.count()
    if not total:
        return []
    ranks = [min(max(math.ceil(share * total), 1), total) for share in shares]
    window = e.WindowSpec((), (e.SortKey(e.Name(("value",))),))
    ranked = rows.withColumn("rank", Column(e.Windowed(e.Call("row_number"), window)))
    found = {row.rank: row.value for row in ranked.filter(ranked.rank.isin(sorted(set(ranks)))).collect()}
    return [found[rank] for rank in ranks]


def _two_names(col1: object, col2: object) -> None:
    for name, value in (("col1", col1), ("col2", col2)):
        if not isinstance(value, str):
            raise wrong_argument(name, "str", value)


class StatisticOperators(DataFrameCore):
    """describe, summary, corr, cov, crosstab, …"""

    @property
    def stat(self) -> DataFrameStatFunctions:
        """Statistics of columns.

        >>> spark.createDataFrame([(1, 1), (2, 2)], ["a", "b"]).stat.corr("a", "b")
        1.0
        """
        return DataFrameStatFunctions(self._self)

    def _summary(self, statistics: Sequence[str], columns: Sequence[e.Attribute]) -> DataFrame:
        df = self._self
        items: list[Column] = []
        wanted: list[tuple[str, int]] = []
        for statistic in statistics:
            for number, column in enumerate(columns):
                source: e.Expression = column
                if statistic in ("mean", "stddev") and isinstance(column.type, t.StringType):
                    source = e.Cast(column, t.DoubleType(), lenient=True)
                if statistic in _AGGREGATES:
                    items.append(Column(e.Call(_AGGREGATES[statistic], (source,))))
                elif statistic in ("count_distinct", "approx_count_distinct"):
                    items.append(Column(e.Call("count", (source,), distinct=True)))
                else:
                    continue
                wanted.append((statistic, number))
        values: dict[tuple[str, int], str | None] = {}
        if items:
            named = df.agg(*(item.alias(f"s{i}") for i, item in enumerate(items)))
            (row,) = named.collect()
            for key, value, field in zip(wanted, row, named.schema):
                values[key] = None if value is None else cell(value, field.dataType)
        shares = {statistic: _share(statistic) for statistic in statistics if statistic.endswith("%")}
        for number, column in enumerate(columns):
            if shares and isinstance(column.type, t.NumericType):
                named = df.select(Column(column).alias("value"))
                for statistic, value in zip(shares, quantiles(named, "value", list(shares.values()))):
                    whole = isinstance(column.type, t.IntegralType)
                    values[statistic, number] = str(int(value)) if whole else cell(value, t.DoubleType())
        schema = t.StructType([t.StructField("summary", t.StringType()), *(t.StructField(c.name, t.StringType()) for c in columns)])
        rows = [(statistic, *(values.get((statistic, number)) for number in range(len(columns)))) for statistic in statistics]
        return df._session.createDataFrame(rows, schema)

    def _describable(self) -> list[e.Attribute]:
        return [column for column in self._relation.output if isinstance(column.type, t.NumericType | t.StringType)]

    def describe(self, *cols: Any) -> DataFrame:
        """Count, mean, standard deviation, least and largest of columns of numbers and text, as text. Computed at once.

        >>> spark.createDataFrame([(1,), (3,)], ["a"]).describe("a").collect()[1]
        Row(summary='mean', a='2.0')
        """
        names = listed(cols)
        columns = [self._self[name]._expression for name in names] if names else self._describable()
        return self._summary(_DESCRIBED, columns)

    def summary(self, *statistics: str) -> DataFrame:
        """These statistics of columns of numbers and text, as text: count, mean, stddev, min, max, count_distinct, percentiles as `75%`.

        Computed at once. Raises IllegalArgumentException for others.

        >>> spark.createDataFrame([(1,), (3,)], ["a"]).summary("max", "50%").collect()
        [Row(summary='max', a='3'), Row(summary='50%', a='1')]
        """
        wanted = listed(statistics) or list(_SUMMARISED)
        for statistic in wanted:
            if statistic.endswith("%"):
                _share(statistic)
            elif statistic not in (*_AGGREGATES, "count_distinct", "approx_count_distinct"):
                from quiver.sql.errors import IllegalArgumentException

                raise IllegalArgumentException(f"{statistic} is not a recognised statistic")
        return self._summary(wanted, self._describable())

    def corr(self, col1: str, col2: str, method: str | None = None) -> float:
        """As df.stat.corr.

        >>> spark.createDataFrame([(1, 2), (2, 1)], ["a", "b"]).corr("a", "b")
        -1.0
        """
        return self.stat.corr(col1, col2, method)

    def cov(self, col1: str, col2: str) -> float:
        """As df.stat.cov.

        >>> spark.createDataFrame([(1, 2), (2, 4)], ["a", "b"]).cov("a", "b")
        1.0
        """
        return self.stat.cov(col1, col2)

    def crosstab(self, col1: str, col2: str) -> DataFrame:
        """As df.stat.crosstab.

        >>> spark.createDataFrame([("x", "y")], ["a", "b"]).crosstab("a", "b").collect()
        [Row(a_b='x', y=1)]
        """
        return self.stat.crosstab(col1, col2)

    def freqItems(self, cols: Sequence[str], support: float | None = None) -> DataFrame:
        """As df.stat.freqItems.

        >>> spark.createDataFrame([(1,), (1,)], ["a"]).freqItems(["a"]).collect()
        [Row(a_freqItems=[1])]
        """
        return self.stat.freqItems(cols, support)

    def approxQuantile(self, col: Any, probabilities: Sequence[float], relativeError: float) -> Any:
        """As df.stat.approxQuantile.

        >>> spark.range(11).approxQuantile("id", [0.5], 0.0)
        [5.0]
        """
        return self.stat.approxQuantile(col, probabilities, relativeError)

    def sampleBy(self, col: Any, fractions: dict[Any, float], seed: int | None = None) -> DataFrame:
        """As df.stat.sampleBy.

        >>> spark.range(10).sampleBy("id", {3: 1.0}).collect()
        [Row(id=3)]
        """
        return self.stat.sampleBy(col, fractions, seed)


def _share(statistic: str) -> float:
    try:
        share = float(statistic[:-1]) / 100
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        from quiver.sql.errors import IllegalArgumentException

        raise IllegalArgumentException(f"Unable to parse {statistic} as a percentile")
    return share
