"""Operators on rows: which there are, in which order, in which groups."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.analysis.pretty import pretty
from quiver.sql.analysis.typing import type_of
from quiver.sql.analysis.variants import check_partitioned
from quiver.sql.column import Column
from quiver.sql.dataframe_core import DataFrameCore, listed
from quiver.sql.deferred import correlated
from quiver.sql.errors import (
    AnalysisException,
    IllegalArgumentException,
    PySparkTypeError,
    PySparkValueError,
    UnsupportedOperationException,
    wrong_argument,
)
from quiver.sql.literals import column_of
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame
    from quiver.sql.grouped import GroupedData
    from quiver.sql.observation import Observation


class RowOperators(DataFrameCore):
    """filter, orderBy, limit, groupBy, sample, …"""

    @correlated
    def filter(self, condition: Column | str) -> DataFrame:
        """Rows for which the condition holds; a str is SQL.

        >>> spark.range(3).filter("id > 1").collect()
        [Row(id=2)]
        """
        from quiver.sql.functions import expr

        if not isinstance(condition, str | Column):
            raise wrong_argument("condition", "Column or str", condition)
        expression = (expr(condition) if isinstance(condition, str) else condition)._expression
        return self._with(self._session._state.analyser.filter(self._relation, expression))

    where = filter

    # ---- groups ----

    def _grouped(self, cols: tuple[Any, ...], sets: tuple[tuple[int, ...], ...] | None = None) -> GroupedData:
        from quiver.sql.grouped import GroupedData

        return GroupedData(self._self, [self._key(item) for item in listed(cols)], sets)

    def _key(self, item: Any) -> e.Expression:
        if isinstance(item, int) and not isinstance(item, bool):
            return self._at(item)
        return column_of(item)

    def _at(self, position: int) -> e.Attribute:
        # Columns by position are counted from 1, as in SQL.
        if not 1 <= abs(position) <= len(self._relation.output):
            from quiver.sql.errors import AnalysisException

            raise AnalysisException(
                f"position {position} is not in the select list (valid range is [1, {len(self.columns)}]).", "ORDER_BY_POS_OUT_OF_RANGE"
            )
        return self._relation.output[abs(position) - 1]

    def groupBy(self, *cols: Any) -> GroupedData:
        """Rows of equal columns together, to be aggregated; none: all rows. Numbers are positions, from 1.

        >>> df = spark.createDataFrame([("a", 1), ("a", 2), ("b", 3)], ["k", "v"])
        >>> df.groupBy("k").sum("v").orderBy("k").collect()
        [Row(k='a', sum(v)=3), Row(k='b', sum(v)=3)]
        """
        return self._grouped(cols)

    groupby = groupBy

    def rollup(self, *cols: Any) -> GroupedData:
        """Groups by all of the columns, by all but the last, and so on to all rows.

        >>> df = spark.createDataFrame([("a", 1), ("b", 2)], ["k", "v"])
        >>> df.rollup("k").sum("v").orderBy("k").collect()
        [Row(k=None, sum(v)=3), Row(k='a', sum(v)=1), Row(k='b', sum(v)=2)]
        """
        count = len(listed(cols))
        return self._grouped(cols, tuple(tuple(range(size)) for size in range(count, -1, -1)))

    def cube(self, *cols: Any) -> GroupedData:
        """Groups by each choice of the columns.

        >>> df = spark.createDataFrame([("a", 1)], ["k", "v"])
        >>> df.cube("k", "v").count().count()
        4
        """
        count = len(listed(cols))
        chosen = (tuple(i for i in range(count) if not mask >> (count - 1 - i) & 1) for mask in range(1 << count))
        return self._grouped(cols, tuple(chosen))

    def groupingSets(self, groupingSets: Sequence[Sequence[Any]], *cols: Any) -> GroupedData:
        """Groups by each of several choices of the columns `cols`.

        >>> df = spark.createDataFrame([("a", 1), ("b", 2)], ["k", "v"])
        >>> df.groupingSets([["k"], []], "k").count().orderBy("k").collect()
        [Row(k=None, count=2), Row(k='a', count=1), Row(k='b', count=1)]
        """
        analyser, output = self._session._state.analyser, self._relation.output
        keys = [analyser.resolve(self._key(item), output) for item in listed(cols)]
        sets = []
        for chosen in groupingSets:
            places = []
            for item in chosen:
                wanted = analyser.resolve(self._key(item), output)
                if wanted not in keys:
                    raise PySparkValueError(f"a grouping set names {item!r}, which is not among the columns.", "GROUPING_COLUMN_MISMATCH")
                places.append(keys.index(wanted))
            sets.append(tuple(places))
        return self._grouped(tuple(map(Column, keys)), tuple(sets))

    @correlated
    def agg(self, *exprs: Any) -> DataFrame:
        """Aggregates of all rows.

        >>> spark.range(4).agg(F.sum("id"), F.max("id")).collect()
        [Row(sum(id)=6, max(id)=3)]
        """
        return self.groupBy().agg(*exprs)

    # ---- order ----

    def _keys(self, cols: tuple[Any, ...], ascending: Any) -> list[e.SortKey]:
        given = listed(cols)
        if not given:
            raise PySparkValueError("Column list must not be empty.", "CANNOT_BE_EMPTY")
        if isinstance(ascending, bool | int):
            directions = [bool(ascending)] * len(given)
        elif isinstance(ascending, list | tuple):
            directions = [bool(up) for up in ascending]
        else:
            raise wrong_argument("ascending", "bool or list", ascending)
        if len(directions) != len(given):
            raise PySparkValueError(f"`ascending` has {len(directions)} entries for {len(given)} columns.", "LENGTH_SHOULD_BE_THE_SAME")
        keys = []
        for item, up in zip(given, directions, strict=True):
            if isinstance(item, int) and not isinstance(item, bool):
                keys.append(e.SortKey(self._at(item), up == (item > 0)))
                continue
            expression = column_of(item)
            if isinstance(expression, e.SortKey):
                keys.append(expression if up else e.SortKey(expression.child, False))
            else:
                keys.append(e.SortKey(expression, up))
        return keys

    @correlated
    def orderBy(self, *cols: Any, ascending: bool | Sequence[bool] = True) -> DataFrame:
        """In this order; nulls are smallest. Numbers are positions, from 1; negative ones: descending.

        >>> spark.range(3).orderBy(F.desc("id")).collect()
        [Row(id=2), Row(id=1), Row(id=0)]
        """
        return self._with(self._session._state.analyser.sort(self._relation, self._keys(cols, ascending)))

    sort = orderBy

    def sortWithinPartitions(self, *cols: Any, ascending: bool | Sequence[bool] = True) -> DataFrame:
        """Each partition in this order.

        >>> spark.range(3).sortWithinPartitions("id", ascending=False).take(1)
        [Row(id=2)]
        """
        return self._with(self._session._state.analyser.sort(self._relation, self._keys(cols, ascending), globally=False))

    def limit(self, num: int) -> DataFrame:
        """The first rows.

        >>> spark.range(5).limit(2).count()
        2
        """
        return self._with(r.Limit(self._relation, _count("num", num)))

    def offset(self, num: int) -> DataFrame:
        """Without the first rows.

        >>> spark.range(3).orderBy("id").offset(2).collect()
        [Row(id=2)]
        """
        return self._with(r.Limit(self._relation, None, _count("num", num)))

    # ---- duplicates ----

    def distinct(self) -> DataFrame:
        """Each row once.

        >>> spark.createDataFrame([(1,), (1,)], ["a"]).distinct().collect()
        [Row(a=1)]
        """
        return self._with(self._session._state.analyser.deduplicate(self._relation, None))

    def dropDuplicates(self, *subset: Any) -> DataFrame:
        """One row for each value of these columns (none: of all); which one is not told.

        >>> spark.createDataFrame([("a", 1), ("a", 1), ("b", 2)], ["k", "v"]).dropDuplicates(["k"]).count()
        2
        """
        names = listed(subset) if subset and subset != (None,) else None
        if names is not None:
            if len(subset) == 1 and isinstance(subset[0], str):
                raise wrong_argument("subset", "list or tuple", subset[0])
            for name in names:
                if not isinstance(name, str):
                    raise wrong_argument("subset", "str", name)
        return self._with(self._session._state.analyser.deduplicate(self._relation, names or None))

    drop_duplicates = dropDuplicates

    # ---- samples ----

    def sample(self, withReplacement: Any = None, fraction: Any = None, seed: int | None = None) -> DataFrame:
        """About this fraction of the rows, without replacement unless told. The same seed takes the same rows of the same partitions.

        >>> df = spark.range(1000)
        >>> 50 < df.sample(0.1, seed=3).count() < 150, df.sample(0.1, 3).collect() == df.sample(0.1, 3).collect()
        (True, True)
        """
        if isinstance(withReplacement, float) or (isinstance(withReplacement, int) and not isinstance(withReplacement, bool)):
            # sample(fraction), sample(fraction, seed)
            withReplacement, fraction, seed = False, withReplacement, fraction if fraction is not None else seed
        if not isinstance(fraction, float | int) or isinstance(fraction, bool) or not isinstance(withReplacement, bool | None):
            raise PySparkTypeError(
                "Argument `withReplacement` (optional), `fraction` (required) and `seed` (optional) should be a bool, float and number, "
                f"got [{', '.join(type(item).__name__ for item in (withReplacement, fraction, seed) if item is not None)}].",
                "NOT_BOOL_OR_FLOAT_OR_INT",
            )
        if fraction < 0 or (fraction > 1 and not withReplacement):
            raise IllegalArgumentException(
                f"requirement failed: Sampling fraction ({fraction}) must be on interval [0, 1] without replacement"
            )
        return self._with(r.Sample(self._relation, float(fraction), bool(withReplacement), seed_of(seed)))

    def randomSplit(self, weights: Sequence[float], seed: int | None = None) -> list[DataFrame]:
        """The rows dealt out by weight: each is in exactly one of the results.

        >>> parts = spark.range(100).randomSplit([1.0, 2.0], seed=24)
        >>> len(parts), sum(part.count() for part in parts)
        (2, 100)
        """
        for weight in weights:
            if weight < 0.0:
                raise PySparkValueError(f"Weights must be positive. Found weight value: {weight}.", "VALUE_NOT_POSITIVE")
        total, chosen = sum(weights), seed_of(seed)
        result, lower = [], 0.0
        for number, weight in enumerate(weights):
            upper = 1.0 if number == len(weights) - 1 else lower + weight / total
            result.append(self._with(r.Sample(self._relation, upper - lower, False, chosen, lower, by_value=True)))
            lower = upper
        return result

    # ---- partitions ----

    def _repartitioned(self, numPartitions: Any, cols: tuple[Any, ...], by_range: bool) -> DataFrame:
        count: int | None = None
        if isinstance(numPartitions, int) and not isinstance(numPartitions, bool):
            count = numPartitions
            if count < 1:
                raise IllegalArgumentException(f"requirement failed: Number of partitions ({count}) must be positive.")
        elif isinstance(numPartitions, str | Column):
            cols = (numPartitions, *cols)
        elif numPartitions is not None:
            raise wrong_argument("numPartitions", "Column, int or str", numPartitions)
        if by_range and not cols:
            raise PySparkValueError("At least one partition-by expression must be specified.", "CANNOT_BE_EMPTY")
        keys = tuple(self._session._state.analyser.resolve(column_of(item), self._relation.output) for item in cols)
        check_partitioned(keys)
        return self._with(r.Repartition(self._relation, count, keys, by_range))

    def repartition(self, numPartitions: Any, *cols: Any) -> DataFrame:
        """In so many partitions, or in the session's number by hash of columns, or both. It shows in `rdd` and in files written.

        >>> spark.range(10).repartition(3, "id").count()
        10
        """
        return self._repartitioned(numPartitions, cols, False)

    def repartitionByRange(self, numPartitions: Any, *cols: Any) -> DataFrame:
        """In so many partitions, each a range of the columns' values in their order; of about equal size, by a sample of the rows.

        It shows in `rdd`, in files written and in what Python's functions get. Where a key is computed, only equal rows are together.

        >>> spark.range(10).repartitionByRange(2, "id").count()
        10
        """
        return self._repartitioned(numPartitions, cols, True)

    def repartitionById(self, numPartitions: int, partitionIdCol: Column | str) -> DataFrame:
        """In so many partitions, whose number (counted around; 0 for null) a column of ints says. It shows in `rdd`, in files written and
        in what Python's functions get, as long as the rows have that column.

        >>> df = spark.createDataFrame([(0,), (1,), (2,), (5,)], "n int").repartitionById(3, "n")
        >>> [[row.n for row in rows] for rows in df.rdd.glom().collect()]
        [[0], [1], [2, 5]]
        """
        if not isinstance(numPartitions, int) or isinstance(numPartitions, bool):
            raise wrong_argument("numPartitions", "int", numPartitions)
        if numPartitions < 1:
            raise PySparkValueError(f"Value for `numPartitions` must be positive, got '{numPartitions}'.", "VALUE_NOT_POSITIVE")
        key = self._session._state.analyser.resolve(column_of(partitionIdCol), self._relation.output)
        if not isinstance(type_of(key), t.IntegerType):
            raise AnalysisException(
                f'Cannot resolve "direct_shuffle_partition_id({pretty(key)})" due to data type mismatch: The first parameter requires the '
                f'"INT" type, however "{pretty(key)}" has the type "{type_of(key).simpleString().upper()}".',
                "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
            )
        if not isinstance(key, e.Attribute):
            raise UnsupportedOperationException(
                "repartitionById takes a column of the DataFrame: compute it with withColumn first.", "UNSUPPORTED_OPERATION"
            )
        return self._with(r.Repartition(self._relation, numPartitions, (key,), by_number=True))

    def coalesce(self, numPartitions: int) -> DataFrame:
        """In at most so many partitions, none of them split.

        >>> spark.range(10).coalesce(1).count()
        10
        """
        if numPartitions < 1:
            raise IllegalArgumentException(f"requirement failed: Number of partitions ({numPartitions}) must be positive.")
        return self._with(r.Repartition(self._relation, numPartitions, (), False, True))

    def hint(self, name: str, *parameters: Any) -> DataFrame:
        """Advice to the planner: `broadcast` marks a side of a join to be given whole to every task, `merge` wants both sides sorted,
        `shuffle_hash` both dealt by their keys; `rebalance` is a repartition. Others are kept, and do nothing.

        >>> spark.range(3).hint("broadcast").count()
        3
        """
        if not isinstance(name, str):
            raise wrong_argument("name", "str", name)
        for parameter in listed(parameters):
            if not isinstance(parameter, str | float | int | Column | list):
                raise wrong_argument("parameters", "Column, float, int, list or str", parameter)
        return self._with(r.Hint(self._relation, name.lower(), tuple(listed(parameters))))

    def observe(self, observation: Observation | str, *exprs: Column) -> DataFrame:
        """The same rows; the first query on them tells these aggregates to `observation`. A name instead of an Observation has no effect:
        it is for listeners of streaming queries, which are not there.

        >>> from quiver.sql import Observation
        >>> seen = Observation()
        >>> spark.range(3).observe(seen, F.sum("id").alias("total")).where("id > 0").count()
        2
        >>> seen.get
        {'total': 3}
        """
        from quiver.sql.observation import Observation, metrics_of

        if not exprs:
            raise PySparkValueError("At least one `exprs` must be specified.", "CANNOT_BE_EMPTY")
        for column in exprs:
            if not isinstance(column, Column):
                raise PySparkTypeError(f"Argument `exprs` should be list[Column], got {type(exprs).__name__}.", "NOT_EXPECTED_TYPE")
        if not isinstance(observation, Observation | str):
            raise wrong_argument("observation", "Observation or str", observation)
        analyser, metrics = self._session._state.analyser, [column._expression for column in exprs]
        outputs = metrics_of(observation, self._relation, metrics, lambda: analyser.aggregate(self._relation, (), metrics))
        if isinstance(observation, str):
            return self._with(r.Hint(self._relation, "observe", (observation,)))
        observation._attach()
        return self._with(r.Observe(self._relation, "observe", (), outputs, observation))


def _count(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_argument(name, "int", value)
    if value < 0:
        from quiver.sql.errors import AnalysisException

        raise AnalysisException(
            f"The limit like expression must be equal to or greater than 0, but got {value}.", "INVALID_LIMIT_LIKE_EXPRESSION.IS_NEGATIVE"
        )
    return value


def seed_of(seed: Any) -> int:
    return random.SystemRandom().randrange(1 << 62) if seed is None else int(seed)
