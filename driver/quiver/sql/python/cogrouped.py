"""groupBy(...).cogroup(other.groupBy(...))."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiver.sql.python.applying import grouped

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame
    from quiver.sql.grouped import GroupedData


class PandasCogroupedOps:
    """Two DataFrames' groups of equal keys, side by side."""

    def __init__(self, gd1: GroupedData, gd2: GroupedData) -> None:
        self._sides = gd1, gd2

    def applyInPandas(self, func: Any, schema: Any) -> DataFrame:
        """`func` of each pair of groups, one pandas.DataFrame of each side (maybe without rows), with the key before them where it has
        three parameters. It gives a pandas.DataFrame of `schema`.

        >>> a = spark.createDataFrame([(1, 1.0), (2, 2.0)], ["id", "v"])
        >>> b = spark.createDataFrame([(1, "x"), (3, "y")], ["id", "w"])
        >>> both = a.groupBy("id").cogroup(b.groupBy("id")).applyInPandas(lambda l, r: l.merge(r, on="id"), "id long, v double, w string")
        >>> both.collect()
        [Row(id=1, v=1.0, w='x')]
        """
        return self._applied(func, schema, "pandas")

    def applyInArrow(self, func: Any, schema: Any) -> DataFrame:
        """As applyInPandas, with pyarrow.Tables.

        >>> a = spark.createDataFrame([(1, 1.0), (2, 2.0)], ["id", "v"])
        >>> sizes = a.groupBy("id").cogroup(a.groupBy("id")).applyInArrow(lambda l, r: l.select(["id"]), "id long")
        >>> sorted(row.id for row in sizes.collect())
        [1, 2]
        """
        return self._applied(func, schema, "arrow")

    def _applied(self, func: Any, schema: Any, kind: str) -> DataFrame:
        left, right = self._sides
        session = left._df._session
        relation = grouped(session, [left._df._relation, right._df._relation], [left._keys, right._keys], func, schema, kind)
        return left._df._with(relation)
