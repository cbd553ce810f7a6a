"""Queries of many columns as steps that the kernel takes one by one, in place of one text.

The kernel's reader of SQL looks up every column of a SELECT among all there are: `SELECT *` of 5,000 columns takes it 2.5 CPU seconds, four
times as much for twice as many columns. Its interface for programs does not: the same projection takes 0.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from quiver.sql.analysis.rewriting import parts
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import fields_of

if TYPE_CHECKING:
    from datafusion import DataFrame, SessionContext
    from datafusion.expr import Expr

MANY: Final = 400
"""Columns from which on the text is the dearer way."""


_CALL = re.compile(r"\w+\(")
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""")
_UNREAD: Final = (e.Windowed, e.ScalarSubquery, e.Exists, e.InSubquery, e.OuterReference)
"""What stands for more than an expression."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A SELECT of these items."""

    items: tuple[str, ...]

    def over(self, frame: DataFrame) -> DataFrame:
        return frame.select(*_read(frame, self.items))


@dataclass(frozen=True, slots=True)
class Where:
    """Its WHERE."""

    condition: str

    def over(self, frame: DataFrame) -> DataFrame:
        return frame.filter(frame.parse_sql_expr(self.condition))


@dataclass(frozen=True, slots=True)
class Grouped:
    """Its GROUP BY: `outputs` are names of the keys and of `items`, each one call of an aggregate."""

    keys: tuple[str, ...]
    items: tuple[str, ...]
    outputs: tuple[str, ...]
    is_in_place: bool
    """Whether these are just the keys, then the items."""

    def over(self, frame: DataFrame) -> DataFrame:
        from datafusion import col

        grouped = frame.aggregate(_read(frame, self.keys), _read(frame, self.items))
        # Over aggregates it looks for each column among all.
        return grouped if self.is_in_place else grouped.select(*map(col, self.outputs))


@dataclass(frozen=True, slots=True)
class Limited:
    """Its LIMIT and OFFSET."""

    count: int | None
    offset: int

    def over(self, frame: DataFrame) -> DataFrame:
        return frame.limit((1 << 63) - 1 if self.count is None else self.count, self.offset)


@dataclass(frozen=True, slots=True)
class Sorted:
    """Its ORDER BY: (key, ascending, nulls first)."""

    keys: tuple[tuple[str, bool, bool], ...]

    def over(self, frame: DataFrame) -> DataFrame:
        return frame.sort(*(frame.parse_sql_expr(key).sort(ascending, nulls_first) for key, ascending, nulls_first in self.keys))


Step = Chosen | Where | Grouped | Limited | Sorted


@dataclass(frozen=True, slots=True)
class Wide:
    """A query over a table, or the rows of a query, as `steps`."""

    source: str
    is_table: bool
    steps: tuple[Step, ...]

    def frame(self, context: SessionContext) -> DataFrame:
        frame = context.table(self.source) if self.is_table else context.sql(self.source)
        for step in self.steps:
            frame = step.over(frame)
        return frame


def chain_of_many(relation: r.Relation) -> list[r.Relation]:
    """A chain of operators with MANY columns somewhere, from the lowest on, after what they are over: a table, or what has fewer columns.
    Else nothing."""
    chain = [relation]
    while isinstance(chain[-1], r.Project | r.Filter | r.Aggregate | r.Limit | r.Sort):
        chain.append(chain[-1].child)
    chain.reverse()
    first = next((place for place, node in enumerate(chain) if len(node.output) >= MANY), len(chain))
    if first == len(chain) or (first == 0 and not isinstance(chain[0], r.Files | r.Local)):
        return []
    chain = chain[max(0, first - 1) :]
    return [] if any(isinstance(part, _UNREAD) for node in chain[1:] for part in _expressions(node)) else chain


def _expressions(node: r.Relation) -> Iterator[e.Expression | r.Relation]:
    """All parts of the expressions of a relation itself."""
    return (part for name in fields_of(type(node)) if name != "child" for part in parts(getattr(node, name)))


def is_one_call(item: str) -> bool:
    """Whether a named item is a call, and nothing around it: of what is computed from aggregates the interface takes no aggregate twice."""
    call = _CALL.match(item)
    if call is None:
        return False
    depth = 1
    for place, letter in enumerate(_QUOTED.sub(lambda found: "x" * len(found[0]), item)[call.end() :], call.end()):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return item.startswith(' AS "', place + 1)
    return False


def _read(frame: DataFrame, items: tuple[str, ...]) -> list[Expr]:
    return list(map(frame.parse_sql_expr, items))
