"""Operators on two DataFrames: joins, unions, set operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.column import Column
from quiver.sql.dataframe_core import DataFrameCore
from quiver.sql.deferred import correlated
from quiver.sql.errors import AnalysisException, IllegalArgumentException, wrong_argument
from quiver.sql.hinting import BROADCAST
from quiver.sql.literals import expression_of
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame
    from quiver.sql.deferred import Deferred

_JOINS = {
    "inner": "inner", "cross": "cross", "left": "left", "leftouter": "left", "right": "right", "rightouter": "right", "outer": "full",
    "full": "full", "fullouter": "full", "semi": "semi", "leftsemi": "semi", "anti": "anti", "leftanti": "anti",
}  # fmt: skip
_LATERAL = {"inner": "inner", "cross": "inner", "left": "left", "leftouter": "left"}
_MOST_NEAREST = 100_000
_TRUE = e.Literal(True, t.BooleanType())


class CombiningOperators(DataFrameCore):
    """join, union, intersect, …"""

    @correlated
    def join(self, other: DataFrame, on: Any = None, how: str | None = None) -> DataFrame:
        """Rows of both that fit: on a condition, or on columns of the same name, which are there once in the result.

        `how`: inner, cross, left, right, outer, left_semi, left_anti, or another of their names. Raises AnalysisException for others.

        >>> people = spark.createDataFrame([("Tom", 1), ("Ann", 2)], ["name", "team"])
        >>> teams = spark.createDataFrame([(1, "red")], ["team", "colour"])
        >>> people.join(teams, "team", "left").orderBy("team").collect()
        [Row(team=1, name='Tom', colour='red'), Row(team=2, name='Ann', colour=None)]
        """
        if not isinstance(other, DataFrameCore):
            raise wrong_argument("other", "DataFrame", other)
        if how is not None and not isinstance(how, str):
            raise wrong_argument("how", "str", how)
        kind = _JOINS.get((how or ("inner" if on is not None else "cross")).lower().replace("_", ""))
        if kind is None:
            raise AnalysisException(
                f"Unsupported join type '{how}'. Supported join types include: {', '.join(sorted(_JOINS))}.", "UNSUPPORTED_JOIN_TYPE"
            )
        analyser = self._session._state.analyser
        hint = "right" if _hinted(other._relation) else "left" if _hinted(self._relation) else None
        items = [] if on is None else list(on) if isinstance(on, list | tuple) else [on]
        if not items:
            return self._with(analyser.join(self._relation, other._relation, kind, hint=hint))
        if all(isinstance(item, str) for item in items):
            return self._with(analyser.join(self._relation, other._relation, kind, using=items, hint=hint))
        for item in items:
            if not isinstance(item, Column):
                raise wrong_argument("on", "Column", item)
        from quiver.sql.tree.walking import all_of

        condition = all_of([expression_of(item) for item in items])
        return self._with(analyser.join(self._relation, other._relation, kind, condition, hint=hint))

    def crossJoin(self, other: DataFrame) -> DataFrame:
        """Every row with every other.

        >>> spark.range(2).crossJoin(spark.range(3)).count()
        6
        """
        return self._with(self._session._state.analyser.join(self._relation, other._relation, "cross"))

    @correlated
    def lateralJoin(self, other: DataFrame | Deferred, on: Column | None = None, how: str | None = None) -> DataFrame:
        """Each row with what `other` gives for it: `other` refers to this DataFrame's columns by `col("…").outer()`.

        `how`: inner, cross or left. Raises AnalysisException for others.

        >>> people = spark.createDataFrame([("Ann", 1), ("Bob", 2)], ["name", "team"]).alias("p")
        >>> points = spark.createDataFrame([(1, 5), (1, 9), (3, 7)], ["team", "points"]).alias("q")
        >>> best = points.where(F.col("q.team") == F.col("p.team").outer()).orderBy(F.desc("points")).limit(1).select("points")
        >>> people.lateralJoin(best, how="left").orderBy("name").collect()
        [Row(name='Ann', team=1, points=9), Row(name='Bob', team=2, points=None)]
        """
        from quiver.sql.analysis.decorrelation import lateral
        from quiver.sql.deferred import Deferred

        kind = _LATERAL.get((how or "inner").lower().replace("_", ""))
        if kind is None:
            supported = ", ".join(sorted(_LATERAL))
            raise AnalysisException(
                f"Unsupported join type '{how}'. Supported join types of lateral joins: {supported}.", "UNSUPPORTED_JOIN_TYPE"
            )
        if on is not None and not isinstance(on, Column):
            raise wrong_argument("on", "Column", on)
        if not isinstance(other, DataFrameCore | Deferred):
            raise wrong_argument("other", "DataFrame", other)
        analyser = self._session._state.analyser
        given = other.within(self._relation.output) if isinstance(other, Deferred) else other._relation
        right = analyser.distinct_from(given, self._relation.output)
        scope = (*self._relation.output, *right.output)
        condition = None if on is None else analyser.resolve(on._expression, scope)
        return self._with(lateral(analyser, self._relation, right, kind, condition))

    def nearestByJoin(
        self, other: DataFrame, rankingExpression: Column, numResults: int, mode: str, direction: str, *, joinType: str = "inner"
    ) -> DataFrame:
        """Each row with the `numResults` rows of `other` that `rankingExpression` ranks first.

        `direction`: distance (smallest first) or similarity (largest first). `mode`: exact or approx, which are the same here: all pairs
        are ranked. `joinType`: inner or leftouter. Raises AnalysisException, IllegalArgumentException for other arguments.

        >>> users = spark.createDataFrame([(1, 10.0), (2, 20.0)], ["user", "score"])
        >>> goods = spark.createDataFrame([("A", 11.0), ("B", 22.0)], ["product", "price"])
        >>> users.nearestByJoin(goods, F.abs(users.score - goods.price), 1, "exact", "distance").select("user", "product").collect()
        [Row(user=1, product='A'), Row(user=2, product='B')]
        """
        if not isinstance(numResults, int) or not 1 <= numResults <= _MOST_NEAREST:
            raise IllegalArgumentException(f"numResults must be between 1 and {_MOST_NEAREST}, not {numResults!r}")
        if mode not in ("exact", "approx"):
            raise IllegalArgumentException(f"mode must be 'approx' or 'exact', not {mode!r}")
        if direction not in ("distance", "similarity"):
            raise IllegalArgumentException(f"direction must be 'distance' or 'similarity', not {direction!r}")
        kind = {"inner": "inner", "left": "left", "leftouter": "left"}.get(joinType.lower().replace("_", ""))
        if kind is None:
            raise AnalysisException(f"Unsupported join type '{joinType}'. It must be inner or leftouter.", "UNSUPPORTED_JOIN_TYPE")
        analyser = self._session._state.analyser
        # Rows are ranked for each row of this DataFrame, of which equal ones are told apart by a number.
        numbered = analyser.project(self._relation, [e.Star(), e.Alias(e.NUMBER_AS_THEY_COME, "#row")])
        pairs = analyser.join(numbered, other._relation, kind if kind == "left" else "cross", _TRUE if kind == "left" else None)
        pairs = analyser.project(pairs, [*pairs.output, e.Alias(rankingExpression._expression, "#key")])
        order = e.SortKey(pairs.output[-1], direction == "distance", False)
        rank = e.Windowed(e.Call("row_number"), e.WindowSpec((numbered.output[-1],), (order,)))
        ranked = analyser.project(pairs, [*pairs.output, e.Alias(rank, "#rank")])
        best = analyser.filter(ranked, e.Call("<=", (ranked.output[-1], e.Literal(numResults, t.IntegerType()))))
        hidden = {numbered.output[-1].id, pairs.output[-1].id, ranked.output[-1].id}
        return self._with(r.Project(best, tuple(column for column in best.output if column.id not in hidden)))

    def zip(self, other: DataFrame) -> DataFrame:
        """The columns of both, row by row: both must be selections (select, withColumn, …) of the same DataFrame.

        Raises AnalysisException ZIP_PLANS_NOT_MERGEABLE.

        >>> df = spark.createDataFrame([(1, 2), (3, 4)], ["a", "b"])
        >>> df.select("b").zip(df.select((df.a * 10).alias("x"))).collect()
        [Row(b=2, x=10), Row(b=4, x=30)]
        """
        from quiver.sql.analysis.rewriting import changed, merged_projection
        from quiver.sql.analysis.sameness import shape

        if not isinstance(other, DataFrameCore):
            raise wrong_argument("other", "DataFrame", other)
        (source, mine), (theirs, others) = merged_projection(self._relation), merged_projection(other._relation)
        if source is not theirs and shape(source) != shape(theirs):
            raise AnalysisException(
                "The two DataFrames can't be zipped: they are not selections of the same rows.", "ZIP_PLANS_NOT_MERGEABLE"
            )
        places = {column.id: source.output[place] for place, column in enumerate(theirs.output)}
        taken = {column.id for column in self._relation.output}
        moved: list[e.Expression] = []
        for item, column in zip(others, other._relation.output, strict=True):
            new = changed(item, lambda node: places.get(node.id) if isinstance(node, e.Attribute) else None)
            child = new.child if isinstance(new, e.Alias) else new
            number = self._session._state.new_id() if column.id in taken else column.id
            moved.append(e.Alias(child, column.name, number))
            taken.add(number)
        return self._with(r.Project(source, (*mine, *moved)))

    def union(self, other: DataFrame) -> DataFrame:
        """All rows of both, columns by position.

        >>> spark.range(1).union(spark.range(1)).collect()
        [Row(id=0), Row(id=0)]
        """
        return self._with(self._session._state.analyser.union((self._relation, other._relation)))

    unionAll = union

    def unionByName(self, other: DataFrame, allowMissingColumns: bool = False) -> DataFrame:
        """All rows of both, columns by name; `allowMissingColumns`: null where one has no such column.

        >>> a, b = spark.createDataFrame([(1, 2)], ["x", "y"]), spark.createDataFrame([(3, 4)], ["y", "x"])
        >>> a.unionByName(b).collect()
        [Row(x=1, y=2), Row(x=4, y=3)]
        """
        return self._with(self._session._state.analyser.union((self._relation, other._relation), True, allowMissingColumns))

    def _combined(self, kind: str, all_rows: bool, other: DataFrame) -> DataFrame:
        return self._with(self._session._state.analyser.set_operation(kind, all_rows, self._relation, other._relation))

    def intersect(self, other: DataFrame) -> DataFrame:
        """Rows that both have, each once.

        >>> spark.range(3).intersect(spark.range(2, 5)).collect()
        [Row(id=2)]
        """
        return self._combined("intersect", False, other)

    def intersectAll(self, other: DataFrame) -> DataFrame:
        """Rows that both have, as often as both have them.

        >>> df = spark.createDataFrame([(1,), (1,), (2,)], ["a"])
        >>> df.intersectAll(df).count()
        3
        """
        return self._combined("intersect", True, other)

    def subtract(self, other: DataFrame) -> DataFrame:
        """Rows that the other has not, each once.

        >>> spark.range(3).subtract(spark.range(2)).collect()
        [Row(id=2)]
        """
        return self._combined("except", False, other)

    def exceptAll(self, other: DataFrame) -> DataFrame:
        """Rows, less one for each that the other has.

        >>> df = spark.createDataFrame([(1,), (1,), (2,)], ["a"])
        >>> df.exceptAll(df.limit(1)).count()
        2
        """
        return self._combined("except", True, other)


def _hinted(relation: r.Relation) -> bool:
    return isinstance(relation, r.Hint) and relation.name in BROADCAST
