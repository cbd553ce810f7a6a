"""Recursive queries: round by round, each a query over the rows of the one before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from quiver.sql.analysis.rewriting import changed
from quiver.sql.errors import SparkRuntimeException
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    import pyarrow as pa

Collect = Callable[[r.Relation], "pa.Table"]
LEVELS, ROWS = 100, 1_000_000
"""How many rounds and rows a recursive query may have, unless the session's settings tell otherwise (Spark's limits)."""


class Rounds:
    """The rows of `anchor`, and of `step` over each round's, once they are asked for. Raises SparkRuntimeException beyond the limits."""

    def __init__(
        self, name: str, anchor: r.Relation, step: r.Relation, before: r.Round, collect: Collect, levels: int = LEVELS, rows: int = ROWS
    ) -> None:
        self._name = name
        self._anchor, self._step, self._before = anchor, step, before
        self._collect = collect
        self._levels, self._rows = levels, rows
        self._table: pa.Table | None = None

    def __call__(self) -> pa.Table:
        if self._table is None:
            self._table = self._computed()
        return self._table

    def _over(self, table: pa.Table) -> r.Relation:
        """The step over the rows of a round."""
        last = r.Local(table, self._before.columns)
        step: r.Relation = changed(self._step, of_relation=lambda relation: last if relation is self._before else None)
        return step

    def _computed(self) -> pa.Table:
        import pyarrow as pa

        names = [f"{number}" for number in range(len(self._before.columns))]
        rounds = [self._collect(self._anchor).rename_columns(names)]
        total = rounds[0].num_rows
        while rounds[-1].num_rows:
            if 0 <= self._levels < len(rounds):
                raise SparkRuntimeException(
                    f"Recursion level limit {self._levels} reached but query has not exhausted, try increasing "
                    "'spark.sql.cteRecursionLevelLimit'.",
                    "RECURSION_LEVEL_LIMIT_EXCEEDED",
                )
            rounds.append(self._collect(self._over(rounds[-1])).rename_columns(names).cast(rounds[0].schema))
            total += rounds[-1].num_rows
            if 0 <= self._rows < total:
                raise SparkRuntimeException(
                    f"Recursion row limit {self._rows} reached but query has not exhausted, try setting a larger "
                    "'spark.sql.cteRecursionRowLimit'.",
                    "RECURSION_ROW_LIMIT_EXCEEDED",
                )
        return pa.concat_tables(rounds)


def without_rounds(relation: r.Relation) -> tuple[r.Relation, list[str]]:
    """(the relation with empty tables for recursive queries, their names): for looking at plans without computing."""
    import pyarrow as pa

    from quiver.sql.arrow_types import arrow_schema
    from quiver.sql.types import StructField, StructType

    names: list[str] = []

    def empty(part: r.Relation) -> r.Relation | None:
        if not isinstance(part, r.Recursive):
            return None
        names.append(part.name)
        schema = arrow_schema(StructType([StructField(column.name, column.type) for column in part.columns]))
        return r.Local(pa.Table.from_batches([], schema), part.columns)

    return changed(relation, of_relation=empty), names
