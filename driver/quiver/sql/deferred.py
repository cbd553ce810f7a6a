"""DataFrames that refer to columns of a query around them, which is not known yet: `orders.where(col("o.id") == col("c.id").outer())`.

What is asked of such a DataFrame is written down, and done when the query around it is analysed: as the right side of lateralJoin, or as a
Column of another query by scalar() and exists().
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar, cast

from quiver.sql.analysis.around import AROUND, NeedsQueryAround
from quiver.sql.column import Column
from quiver.sql.errors import AnalysisException
from quiver.sql.nesting import with_room
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame

P = ParamSpec("P")
D = TypeVar("D")

_RECORDED = frozenset({
    "agg", "alias", "crossJoin", "cube", "distinct", "drop", "dropDuplicates", "drop_duplicates", "dropna", "exceptAll", "fillna",
    "filter", "groupBy", "groupby", "groupingSets", "hint", "intersect", "intersectAll", "join", "lateralJoin", "limit", "offset",
    "orderBy", "rollup", "select", "selectExpr", "sort", "subtract", "toDF", "transform", "union", "unionAll", "unionByName", "where",
    "withColumn", "withColumnRenamed", "withColumns", "withColumnsRenamed", "avg", "count", "max", "mean", "min", "pivot", "sum",
})  # fmt: skip
_OF_GROUPS = frozenset({"avg", "count", "max", "mean", "min", "pivot", "sum"})


class Deferred:
    """A DataFrame and what is to be done with it, once there is a query around it."""

    def __init__(self, frame: DataFrame, steps: tuple[tuple[str, tuple[Any, ...], dict[str, Any]], ...]) -> None:
        self._frame = frame
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        groups = self._steps[-1][0] in ("groupBy", "groupby", "cube", "rollup", "groupingSets", "pivot")
        if name not in _RECORDED or (name in _OF_GROUPS and not groups):
            self._refuse(name)
        return lambda *args, **kwargs: Deferred(self._frame, (*self._steps, (name, args, kwargs)))

    def within(self, columns: tuple[e.Attribute, ...]) -> r.Relation:
        """The relation, for a query around it that has these columns. Raises AnalysisException for others."""
        token = AROUND.set(columns)
        try:
            value: Any = self._frame
            for name, args, kwargs in self._steps:
                value = getattr(value, name)(*args, **kwargs)
        finally:
            AROUND.reset(token)
        return cast("DataFrame", value)._relation

    def scalar(self) -> Column:
        """Its only value, as a Column of the query around it."""
        return Column(e.LateSubquery("scalar", self.within))

    def exists(self) -> Column:
        """Whether it has a row, as a Column of the query around it."""
        return Column(e.LateSubquery("exists", self.within))

    def _refuse(self, name: str) -> NoReturn:
        raise AnalysisException(
            f"`{name}` can't be used here: this DataFrame refers to the columns of a query around it (`outer()`). Use it in lateralJoin, "
            "or as a Column by scalar() or exists().",
            "UNRESOLVED_COLUMN.WITHOUT_SUGGESTION",
        )


def correlated(method: Callable[P, D]) -> Callable[P, D]:
    """An operator that gives a Deferred when its columns belong to a query around it."""

    @functools.wraps(method)
    def run(*args: P.args, **kwargs: P.kwargs) -> D:
        try:
            return with_room(lambda: method(*args, **kwargs))
        except NeedsQueryAround:
            frame, *rest = args
            return cast(D, Deferred(cast("DataFrame", frame), ((method.__name__, tuple(rest), dict(kwargs)),)))

    return run
