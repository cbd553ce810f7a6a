"""From RDDs to DataFrames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from quiver.rdd_core import RddCore

if TYPE_CHECKING:
    from quiver.rdd import RDD
    from quiver.sql import DataFrame

T = TypeVar("T")


class Relational(RddCore[T]):
    """toDF."""

    __slots__ = ()

    def toDF(self, schema: Any = None, sampleRatio: float | None = None) -> DataFrame:
        """Its rows (Rows, tuples, dicts) as a DataFrame of the Context's active session, or of a new one: see Session.createDataFrame.

        >>> sc.parallelize([(1, "a"), (2, "b")]).toDF(["n", "letter"]).collect()
        [Row(n=1, letter='a'), Row(n=2, letter='b')]
        """
        from quiver.sql.session import Session

        active = Session.getActiveSession()
        session = Session(self._context) if active is None or active.context is not self._context else active
        return session.createDataFrame(cast("RDD[T]", self), schema, sampleRatio)
