"""Keys of joins by names, of which the result shows one column: each side's can still be asked for, as `a.k` and `b.k`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from quiver.sql.analysis.resolver import HIDDEN
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import walk

if TYPE_CHECKING:
    from quiver.sql.analysis.resolver import Resolver

THROUGH: Final = (r.Filter, r.Sort, r.Limit, r.Deduplicate, r.Sample, r.Repartition, r.Hint)
"""What shows the columns of what is below it."""


def over_wider(relation: r.Unary, below: r.Relation) -> r.Relation:
    """The operator over what it is over with further columns: which rows there are doesn't change."""
    if isinstance(relation, r.Deduplicate) and relation.keys is None:
        return r.Deduplicate(below, relation.output)
    return replace(relation, child=below)


def with_asked(analyser: Resolver, relation: r.Relation, expressions: Sequence[e.Expression]) -> r.Relation:
    """The relation with those of them that expressions ask for as further columns, hidden ones."""
    output = relation.output
    shown = {column.id for column in output}
    nodes = [node for one in expressions for node in walk(one)]
    asked = [node for node in nodes if isinstance(node, e.Attribute) and node.id not in shown and not analyser.now(node, output)]
    named = [node for node in nodes if isinstance(node, e.Name) and len(node.parts) > 1 and analyser.lookup(node.parts, output) is None]
    if not asked and not named:
        return relation
    there = tuple(column for column in _left_out(relation) if column.id not in shown)
    found = [column for attribute in asked for column in analyser.now(attribute, there)]
    found += (column for name in named if isinstance(column := analyser.lookup(name.parts, there), e.Attribute))
    return _showing(relation, {column.id for column in found}) if found else relation


def _left_out(relation: r.Relation) -> list[e.Attribute]:
    found: list[e.Attribute] = []
    waiting = [relation]
    while waiting:
        node = waiting.pop()
        if isinstance(node, r.Project):
            found += node.left_out
        if isinstance(node, (r.Project, r.Join, *THROUGH)):
            waiting += node.inputs
    return found


def _showing(relation: r.Relation, asked: set[int]) -> r.Relation:
    """With these columns after its own."""
    if not asked:
        return relation
    match relation:
        case r.Join():
            left, right = (_showing(side, asked) for side in (relation.left, relation.right))
            return relation if left is relation.left and right is relation.right else replace(relation, left=left, right=right)
        case r.Project():
            child = _showing(relation.child, asked - {column.id for column in relation.child.output})
            found = tuple(_hidden(column) for column in child.output if column.id in asked)
            return replace(relation, child=child, expressions=(*relation.expressions, *found)) if found else relation
    if not isinstance(relation, THROUGH):
        return relation
    below = _showing(relation.child, asked)
    return relation if below is relation.child else over_wider(relation, below)


def _hidden(column: e.Attribute) -> e.Attribute:
    return column if HIDDEN in column.metadata else replace(column, metadata=(*column.metadata, HIDDEN))
