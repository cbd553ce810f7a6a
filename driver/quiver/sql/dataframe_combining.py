"""Operators on two DataFrames: joins, unions, set operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiver.sql.column import Column, expression_of
from quiver.sql.dataframe_core import DataFrameCore
from quiver.sql.errors import AnalysisException, wrong_argument
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame

_JOINS = {
    "inner": "inner", "cross": "cross", "left": "left", "leftouter": "left", "right": "right", "rightouter": "right", "outer": "full",
    "full": "full", "fullouter": "full", "semi": "semi", "leftsemi": "semi", "anti": "anti", "leftanti": "anti",
}  # fmt: skip
_BROADCAST = frozenset({"broadcast", "broadcastjoin", "mapjoin"})


class CombiningOperators(DataFrameCore):
    """join, union, intersect, …"""

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
        analyser = self._session._analyser
        hint = "right" if _hinted(other._relation) else "left" if _hinted(self._relation) else None
        items = [] if on is None else list(on) if isinstance(on, list | tuple) else [on]
        if not items:
            return self._with(analyser.join(self._relation, other._relation, kind, hint=hint))
        if all(isinstance(item, str) for item in items):
            return self._with(analyser.join(self._relation, other._relation, kind, using=items, hint=hint))
        for item in items:
            if not isinstance(item, Column):
                raise wrong_argument("on", "Column", item)
        from quiver.sql.analysis.analyser import all_of

        condition = all_of([expression_of(item) for item in items])
        return self._with(analyser.join(self._relation, other._relation, kind, condition, hint=hint))

    def crossJoin(self, other: DataFrame) -> DataFrame:
        """Every row with every other.

        >>> spark.range(2).crossJoin(spark.range(3)).count()
        6
        """
        return self._with(self._session._analyser.join(self._relation, other._relation, "cross"))

    def union(self, other: DataFrame) -> DataFrame:
        """All rows of both, columns by position.

        >>> spark.range(1).union(spark.range(1)).collect()
        [Row(id=0), Row(id=0)]
        """
        return self._with(self._session._analyser.union((self._relation, other._relation)))

    unionAll = union

    def unionByName(self, other: DataFrame, allowMissingColumns: bool = False) -> DataFrame:
        """All rows of both, columns by name; `allowMissingColumns`: null where one has no such column.

        >>> a, b = spark.createDataFrame([(1, 2)], ["x", "y"]), spark.createDataFrame([(3, 4)], ["y", "x"])
        >>> a.unionByName(b).collect()
        [Row(x=1, y=2), Row(x=4, y=3)]
        """
        return self._with(self._session._analyser.union((self._relation, other._relation), True, allowMissingColumns))

    def _combined(self, kind: str, all_rows: bool, other: DataFrame) -> DataFrame:
        return self._with(self._session._analyser.set_operation(kind, all_rows, self._relation, other._relation))

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
    return isinstance(relation, r.Hint) and relation.name in _BROADCAST
