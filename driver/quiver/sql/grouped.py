"""GroupedData: what groupBy gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.column import Column, column_of
from quiver.sql.tree import expressions as e

if TYPE_CHECKING:
    from quiver.sql.dataframe import DataFrame


class GroupedData:
    """Rows of equal keys together. `agg` and its short forms (count, sum, avg, min, max) make a DataFrame of one row per group."""

    def __init__(self, df: DataFrame, keys: Sequence[e.Expression], sets: tuple[tuple[int, ...], ...] | None = None) -> None:
        self._df = df
        self._keys = keys
        self._sets = sets

    def agg(self, *exprs: Any) -> DataFrame:
        """One column for each aggregate: Columns, or a dict of column name to function name."""
        if not exprs:
            raise ValueError("exprs should not be empty")
        if len(exprs) == 1 and isinstance(exprs[0], dict):
            wanted = [_aggregate(function, column_of(name)) for name, function in exprs[0].items()]
        else:
            wanted = [item._expression if isinstance(item, Column) else _not_column(item) for item in exprs]
        session = self._df._session
        analyser, child = session._analyser, self._df._relation
        keys = analyser.expand(self._keys, child.output)
        return self._df._with(analyser.aggregate(child, keys, [*keys, *wanted], self._sets))

    def count(self) -> DataFrame:
        """How many rows each group has, as `count`."""
        return self.agg(Column(e.Alias(e.Call("count"), "count")))

    def _of_numbers(self, function: str, cols: Sequence[str]) -> DataFrame:
        names = list(cols) or [
            column.name
            for column in self._df._relation.output
            if isinstance(column.type, t.NumericType) and column not in self._key_columns()
        ]
        return self.agg(*(Column(e.Call(function, (column_of(name),))) for name in names))

    def _key_columns(self) -> list[e.Expression]:
        analyser, child = self._df._session._analyser, self._df._relation
        return [analyser.resolve(key, child.output) for key in analyser.expand(self._keys, child.output)]

    def sum(self, *cols: str) -> DataFrame:
        """Sums of these columns, or of all numbers."""
        return self._of_numbers("sum", cols)

    def avg(self, *cols: str) -> DataFrame:
        """Means of these columns, or of all numbers."""
        return self._of_numbers("avg", cols)

    mean = avg

    def min(self, *cols: str) -> DataFrame:
        """Least values of these columns, or of all numbers."""
        return self._of_numbers("min", cols)

    def max(self, *cols: str) -> DataFrame:
        """Largest values of these columns, or of all numbers."""
        return self._of_numbers("max", cols)


def _aggregate(function: str, column: e.Expression) -> e.Expression:
    return e.Call(function.lower(), () if isinstance(column, e.Star) else (column,))


def _not_column(item: Any) -> e.Expression:
    raise TypeError(f"[NOT_LIST_OF_COLUMN] agg() takes Columns or one dict, not {type(item).__name__}: {item!r}")
