"""Users' functions over the batches of a DataFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiver.sql.dataframe_core import DataFrameCore

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame
    from quiver.sql.python.table_argument import TableArg


class PythonOperators(DataFrameCore):
    """mapInPandas, mapInArrow."""

    def mapInPandas(self, func: Any, schema: Any, barrier: bool = False, profile: Any = None) -> DataFrame:
        """`func` of an iterator of the batches of each partition, as pandas.DataFrames. It gives an iterator of DataFrames of `schema`, of
        any number of rows.

        >>> def odd(frames):
        ...     for frame in frames:
        ...         yield frame[frame.id % 2 == 1]
        >>> spark.range(4).mapInPandas(odd, "id long").collect()
        [Row(id=1), Row(id=3)]
        """
        return self._mapped(func, schema, "pandas")

    def mapInArrow(self, func: Any, schema: Any, barrier: bool = False, profile: Any = None) -> DataFrame:
        """As mapInPandas, with pyarrow.RecordBatches.

        >>> spark.range(4).mapInArrow(lambda batches: (batch.slice(0, 0) for batch in batches), "id long").count()
        0
        """
        return self._mapped(func, schema, "arrow")

    def asTable(self) -> TableArg:
        """This as what a table function (`udtf`) is called with: see there.

        >>> @F.udtf(returnType="n int")
        ... class Count:
        ...     def __init__(self):
        ...         self.n = 0
        ...     def eval(self, row):
        ...         self.n += 1
        ...     def terminate(self):
        ...         yield self.n,
        >>> Count(spark.range(3).asTable().withSinglePartition()).collect()
        [Row(n=3)]
        """
        from quiver.sql.python.table_argument import TableArg

        return TableArg(self)

    def _mapped(self, func: Any, schema: Any, kind: str) -> DataFrame:
        from quiver.sql.python.applying import mapped

        return self._with(mapped(self._session, self._relation, func, schema, kind))
