"""`df.asTable()`: a DataFrame as what a table function is called with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiver.sql.errors import IllegalArgumentException
from quiver.sql.literals import column_of
from quiver.sql.python.table_calls import TableArgument
from quiver.sql.tree import expressions as e

if TYPE_CHECKING:
    from quiver.sql.dataframe_core import DataFrameCore


class TableArg:
    """A table for a call of a table function; made by `df.asTable()`.

    >>> @F.udtf(returnType="key int, total int")
    ... class Totals:
    ...     def __init__(self):
    ...         self.total = 0
    ...     def eval(self, row):
    ...         self.key, self.total = row.key, self.total + row.value
    ...     def terminate(self):
    ...         yield self.key, self.total
    >>> df = spark.createDataFrame([(1, 5), (2, 1), (1, 2)], ["key", "value"])
    >>> Totals(df.asTable().partitionBy("key")).orderBy("key").collect()
    [Row(key=1, total=7), Row(key=2, total=1)]
    """

    def __init__(self, df: DataFrameCore, argument: TableArgument | None = None) -> None:
        self._df = df
        self._argument = argument or TableArgument(df._relation)

    def _dealt(self) -> bool:
        return bool(self._argument.keys) or self._argument.single

    def _check_free(self, what: str) -> None:
        if self._dealt():
            raise IllegalArgumentException(f"Cannot call {what}() after partitionBy() or withSinglePartition() has been called.")

    def partitionBy(self, *cols: Any) -> TableArg:
        """Rows with equal values of these columns go to one instance. Raises IllegalArgumentException where that is settled already."""
        self._check_free("partitionBy")
        return self._changed(keys=_expressions(cols))

    def withSinglePartition(self) -> TableArg:
        """All rows go to one instance. Raises IllegalArgumentException where it is settled already which do."""
        self._check_free("withSinglePartition")
        return self._changed(single=True)

    def orderBy(self, *cols: Any) -> TableArg:
        """The order in which an instance is given its rows. Raises IllegalArgumentException before partitionBy or withSinglePartition."""
        if not self._dealt():
            raise IllegalArgumentException("Please call partitionBy() or withSinglePartition() before orderBy().")
        keys = tuple(each if isinstance(each, e.SortKey) else e.SortKey(each, True, None) for each in _expressions(cols))
        return self._changed(order=keys)

    def _changed(self, **changes: Any) -> TableArg:
        from dataclasses import replace

        return TableArg(self._df, replace(self._argument, **changes))


def _expressions(cols: tuple[Any, ...]) -> tuple[e.Expression, ...]:
    listed = cols[0] if len(cols) == 1 and isinstance(cols[0], list | tuple) else cols
    return tuple(column_of(each) for each in listed)
