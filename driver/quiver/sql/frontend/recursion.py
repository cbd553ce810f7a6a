"""WITH RECURSIVE: an anchor, and a step over the rows of the round before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.sql.errors import AnalysisException
from quiver.sql.tree import relations as r

if TYPE_CHECKING:
    from quiver.sql.frontend.queries import Query


def refers(query: Node, name: str) -> bool:
    """Whether a query reads from the name of its own."""
    return any(len(table.parts) == 1 and table.name.lower() == name for table in query.find_all(g.Table))


def recursive(query: Query, node: Node, name: str, columns: Sequence[str]) -> r.Relation:
    """The relation of a WITH RECURSIVE query that reads itself. Raises AnalysisException where it is no anchor UNION ALL step."""
    while isinstance(node, g.Subquery):
        node = node.this
    if not isinstance(node, g.Union) or node.args.get("distinct") or node.args.get("limit") or node.args.get("order"):
        raise _invalid(f"`{name}` must be an anchor, UNION ALL, and a step that reads from `{name}`")
    if refers(cast(Node, node.left), name.lower()):
        raise _invalid(f"the anchor of `{name}` can't read from `{name}`")
    analyser = query.analyser
    anchor = query.read(cast(Node, node.left))
    names = list(columns) or [column.name for column in anchor.output]
    if len(names) != len(anchor.output):
        raise AnalysisException(
            f"`{name}` has {len(anchor.output)} columns, not the {len(names)} that are named", "ASSIGNMENT_ARITY_MISMATCH"
        )
    shape = tuple(
        replace(column, id=analyser.fresh(), name=given, nullable=True, qualifier=())
        for column, given in zip(anchor.output, names, strict=True)
    )
    before = r.Round(shape)
    outer = dict(query.named)
    query.named[name.lower()] = before
    try:
        step = query.read(cast(Node, node.right))
    finally:
        query.named.clear()
        query.named.update(outer)
    both = analyser.union((anchor, step))
    for wanted, got in zip(anchor.output, both.output, strict=True):
        if wanted.type != got.type:
            raise _invalid(f"the step of `{name}` gives {got.type.simpleString()} where the anchor has {wanted.type.simpleString()}")
    anchor, step = both.branches
    rows = query.catalogue.rounds(name, anchor, step, before)
    return r.Recursive(name, anchor, step, before, tuple(replace(column, id=analyser.fresh()) for column in shape), rows)


def _invalid(why: str) -> AnalysisException:
    return AnalysisException(f"Invalid recursive definition: {why}.", "INVALID_RECURSIVE_CTE")
