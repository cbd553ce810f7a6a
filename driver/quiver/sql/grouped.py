"""GroupedData: what groupBy gives."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.analysis.over_groups import aggregated
from quiver.sql.analysis.pivoting import pivoted
from quiver.sql.analysis.pretty import pretty
from quiver.sql.analysis.scopes import with_earlier_aliases
from quiver.sql.column import Column
from quiver.sql.dataframe_core import listed
from quiver.sql.errors import AnalysisException, PySparkTypeError
from quiver.sql.literals import column_of, expression_of
from quiver.sql.tree import expressions as e
from quiver.sql.tree.walking import walk

if TYPE_CHECKING:
    from quiver.sql.analysis.analyser import Analyser
    from quiver.sql.dataframe import DataFrame
    from quiver.sql.python.cogrouped import PandasCogroupedOps


class GroupedData:
    """Rows of equal keys together. `agg` and its short forms (count, sum, avg, min, max) make a DataFrame of one row per group."""

    def __init__(
        self, df: DataFrame, keys: Sequence[e.Expression], sets: tuple[tuple[int, ...], ...] | None = None,
        pivot: tuple[e.Expression, tuple[Any, ...]] | None = None,
    ) -> None:  # fmt: skip
        self._df = df
        self._keys = keys
        self._sets = sets
        self._pivot = pivot
        """A column, and its values that become columns."""

    def __repr__(self) -> str:
        named = [f"{key.name}: {key.type.simpleString()}" if isinstance(key, e.Attribute) else pretty(key) for key in self._keys]
        value = ", ".join(f"{name}: {kind}" for name, kind in self._df.dtypes)
        kind = "Pivot" if self._pivot is not None else "GroupBy" if self._sets is None else "GroupingSets"
        return f"GroupedData[grouping expressions: [{', '.join(named)}], value: [{value}], type: {kind}]"

    def agg(self, *exprs: Any) -> DataFrame:
        """One column for each aggregate: Columns, or a dict of column name to function name.

        >>> df = spark.createDataFrame([("a", 1), ("a", 3)], ["k", "v"])
        >>> df.groupBy("k").agg(F.max("v").alias("most"), F.count("*")).collect(), df.groupBy("k").agg({"v": "sum"}).collect()
        ([Row(k='a', most=3, count(1)=2)], [Row(k='a', sum(v)=4)])
        """
        if not exprs:
            raise AssertionError("exprs should not be empty")
        if len(exprs) == 1 and isinstance(exprs[0], dict):
            wanted = [_aggregate(function, column_of(name)) for name, function in exprs[0].items()]
        else:
            wanted = [item._expression if isinstance(item, Column) else _not_column(item) for item in exprs]
        session = self._df._session
        analyser, child = session._state.analyser, self._df._relation
        keys = analyser.expand(self._keys, child.output)
        if self._pivot is not None:
            column, values = self._pivot
            wanted = pivoted([_choice(analyser, column, value) for value in values], wanted)
        outputs = with_earlier_aliases(analyser, [*keys, *wanted], child.output)
        if any(isinstance(node, e.Windowed) for output in outputs for node in walk(output)):
            return self._df._with(aggregated(analyser, child, keys, outputs, self._sets))
        return self._df._with(analyser.aggregate(child, keys, outputs, self._sets))

    def pivot(self, pivot_col: str | Column, values: Sequence[Any] | None = None) -> GroupedData:
        """The aggregates once for each of the column's values, each in a column of its own. Unless the values are told, they are looked
        for at once. Raises AnalysisException when there are more than `spark.sql.pivotMaxValues` (10000).

        >>> df = spark.createDataFrame([(2012, "a", 1), (2012, "b", 2), (2013, "a", 3)], ["year", "k", "v"])
        >>> df.groupBy("year").pivot("k", ["a", "b"]).sum("v").orderBy("year").collect()
        [Row(year=2012, a=1, b=2), Row(year=2013, a=3, b=None)]
        """
        if self._pivot is not None:
            raise AnalysisException("Repeated PIVOT operation.", "REPEATED_CLAUSE")
        column = column_of(pivot_col)
        if values is None:
            limit = int(self._df._session.conf.get("spark.sql.pivotMaxValues", "10000"))
            found = self._df.select(Column(column).alias("value")).distinct().orderBy("value").limit(limit + 1).collect()
            if len(found) > limit:
                raise AnalysisException(
                    f"The pivot column {pivot_col} has more than {limit} distinct values, this could indicate an error. "
                    f"If this was intended, set `spark.sql.pivotMaxValues` to at least the number of distinct values.",
                    "PIVOT_MAX_VALUES",
                )
            values = [row[0] for row in found]
        return GroupedData(self._df, self._keys, self._sets, (column, tuple(values)))

    def applyInPandas(self, func: Any, schema: Any) -> DataFrame:
        """`func` of each group: of its rows as a pandas.DataFrame, with the key (a tuple) before it where it has two parameters. It gives a
        pandas.DataFrame of `schema`, by names of columns or else by place. A group must fit into memory.

        >>> df = spark.createDataFrame([(1, 1.0), (1, 3.0), (2, 5.0)], ["id", "v"])
        >>> centred = df.groupBy("id").applyInPandas(lambda rows: rows.assign(v=rows.v - rows.v.mean()), "id long, v double")
        >>> centred.orderBy("id", "v").collect()
        [Row(id=1, v=-1.0), Row(id=1, v=1.0), Row(id=2, v=0.0)]
        """
        return self._applied(func, schema, "pandas")

    def applyInArrow(self, func: Any, schema: Any) -> DataFrame:
        """As applyInPandas, with a pyarrow.Table, and a key of Arrow's scalars.

        >>> df = spark.createDataFrame([(1, 1.0), (1, 3.0)], ["id", "v"])
        >>> df.groupBy("id").applyInArrow(lambda table: table.slice(0, 1).select(["id"]), "id long").collect()
        [Row(id=1)]
        """
        return self._applied(func, schema, "arrow")

    def apply(self, udf: Any) -> DataFrame:
        """As applyInPandas, of a function with its schema: what pandas_udf makes. Use applyInPandas.

        >>> same = F.pandas_udf(lambda rows: rows, "id long")
        >>> spark.range(2).groupBy("id").apply(same).orderBy("id").collect()
        [Row(id=0), Row(id=1)]
        """
        from quiver.sql.python.user_defined import UserDefinedFunction

        if not isinstance(udf, UserDefinedFunction):
            raise PySparkTypeError("Invalid udf: the udf argument must be a pandas_udf.", "INVALID_UDF_EVAL_TYPE")
        return self._applied(udf.func, udf.returnType, "pandas")

    def cogroup(self, other: GroupedData) -> PandasCogroupedOps:
        """Its groups beside those of equal keys of another DataFrame, for applyInPandas and applyInArrow.

        >>> df = spark.range(2).groupBy("id")
        >>> df.cogroup(df).applyInPandas(lambda a, b: a, "id long").count()
        2
        """
        from quiver.sql.python.cogrouped import PandasCogroupedOps

        return PandasCogroupedOps(self, other)

    def _applied(self, func: Any, schema: Any, kind: str) -> DataFrame:
        from quiver.sql.python.applying import grouped

        return self._df._with(grouped(self._df._session, [self._df._relation], [self._keys], func, schema, kind))

    def count(self) -> DataFrame:
        """How many rows each group has, as `count`.

        >>> spark.createDataFrame([("a",), ("a",)], ["k"]).groupBy("k").count().collect()
        [Row(k='a', count=2)]
        """
        return self.agg(Column(e.Alias(e.Call("count"), "count")))

    def _of_numbers(self, function: str, cols: Sequence[str]) -> DataFrame:
        for name in listed(cols):
            kind = self._df.select(name)._relation.output[0].type
            if not isinstance(kind, t.NumericType):
                raise AnalysisException(
                    f'"{name}" is not a numeric column. Aggregation function can only be applied on a numeric column.',
                    "AGGREGATE_NON_NUMERIC",
                )
        names = listed(cols) or [
            column.name
            for column in self._df._relation.output
            if isinstance(column.type, t.NumericType) and column not in self._key_columns()
        ]
        return self.agg(*(Column(e.Call(function, (column_of(name),))) for name in names))

    def _key_columns(self) -> list[e.Expression]:
        analyser, child = self._df._session._state.analyser, self._df._relation
        return [analyser.resolve(key, child.output) for key in analyser.expand(self._keys, child.output)]

    def sum(self, *cols: str) -> DataFrame:
        """Sums of these columns, or of all numbers.

        >>> spark.createDataFrame([("a", 1), ("a", 3)], ["k", "v"]).groupBy("k").sum().collect()
        [Row(k='a', sum(v)=4)]
        """
        return self._of_numbers("sum", cols)

    def avg(self, *cols: str) -> DataFrame:
        """Means of these columns, or of all numbers.

        >>> spark.createDataFrame([("a", 1), ("a", 3)], ["k", "v"]).groupBy("k").avg().collect()
        [Row(k='a', avg(v)=2.0)]
        """
        return self._of_numbers("avg", cols)

    mean = avg

    def min(self, *cols: str) -> DataFrame:
        """Least values of these columns, or of all numbers.

        >>> spark.createDataFrame([("a", 1), ("a", 3)], ["k", "v"]).groupBy("k").min().collect()
        [Row(k='a', min(v)=1)]
        """
        return self._of_numbers("min", cols)

    def max(self, *cols: str) -> DataFrame:
        """Largest values of these columns, or of all numbers.

        >>> spark.createDataFrame([("a", 1), ("a", 3)], ["k", "v"]).groupBy("k").max().collect()
        [Row(k='a', max(v)=3)]
        """
        return self._of_numbers("max", cols)


def _aggregate(function: str, column: e.Expression) -> e.Expression:
    return e.Call(function.lower(), () if isinstance(column, e.Star) else (column,))


def _choice(analyser: Analyser, column: e.Expression, value: Any) -> tuple[str, e.Expression]:
    """What a value of the pivot column is called, and the condition that a row has it."""
    constant = expression_of(value)
    label = "null" if value is None else str(value).lower() if isinstance(value, bool) else pretty(analyser.shown(constant, ()))
    if isinstance(value, datetime.date):  # DATE '2024-01-01', and so are times.
        label = label.partition("'")[2].removesuffix("'")
    return label, e.Call("<=>", (column, constant))


def _not_column(item: Any) -> e.Expression:
    raise PySparkTypeError(f"Argument `exprs` should be Columns, got {type(item).__name__}: {item!r}.", "NOT_LIST_OF_COLUMN")
