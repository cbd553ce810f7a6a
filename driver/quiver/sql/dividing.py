"""Queries too deep or too large for one plan: which part is computed first, as rows of its own. Pure.

The kernel's messages nest a hundred levels, an operator takes two; and its planner recurses on a stack that no one can enlarge. So of a
deep relation what lies halfway down is made an RDD of batches, which the rest reads as it reads those of any program.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from quiver.sql.analysis.demand import columns_below, demands, kept
from quiver.sql.analysis.rewriting import changed, outer_references
from quiver.sql.errors import AnalysisException
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import walk

DEEPEST: Final = 60
"""Operators in each other, above which it is not tried to plan them together."""
_MOST: Final = 200_000


def check_size(relation: r.Relation) -> None:
    """Raises AnalysisException for a relation that names its parts so often that it has no end: two uses of each of 20 views in a row are a
    million. As in Spark, each use is computed."""
    sizes: dict[int, int] = {}

    def visit(node: r.Relation) -> int:
        found = sizes.get(id(node))
        if found is None:
            found = sizes[id(node)] = 1 + sum(map(visit, node.inputs))
        return found

    if visit(relation) > _MOST:
        raise AnalysisException(
            f"The query has {sizes[id(relation)]:,} operators, more than {_MOST:,}: it uses what uses its parts several times, and so on "
            "down. Keep a DataFrame or view on the way with localCheckpoint(), or as a table.",
            "QUERY_TOO_LARGE",
        )


def height(relation: r.Relation) -> int:
    """How many operators are in each other."""
    return _heights(relation)[id(relation)]


def divided(relation: r.Relation, rows: Callable[[r.Relation], r.Relation]) -> r.Relation | None:
    """The relation, with `rows` of the operator halfway down its deepest path, of the columns that are used of it, in the place of that;
    None: there is no such place."""
    heights = _heights(relation)
    path = [relation]
    while path[-1].inputs:
        path.append(max(path[-1].inputs, key=lambda node: heights[id(node)]))
    wanted = heights[id(relation)] / 2
    nearest = sorted((node for node in path[1:] if heights[id(node)]), key=lambda node: abs(heights[id(node)] - wanted))
    # Rows that are in an order would have lost it.
    free = (node for node in nearest if not _in_order(node) and _has_columns(node) and not outer_references(node))
    chosen = next(free, None)
    if chosen is None:
        return None
    asked = demands(relation, chosen).get(id(chosen))
    if asked is None:
        made = rows(chosen)
        result: r.Relation = changed(relation, of_relation=lambda node: made if node is chosen else None)
        return result
    used = tuple(column for column in chosen.output if column.id in asked.columns) or chosen.output[:1]
    made = rows(chosen if len(used) == len(chosen.output) else r.Project(chosen, used))
    return _put(relation, frozenset(column.id for column in relation.output), chosen, made)


def _put(relation: r.Relation, columns: frozenset[int], chosen: r.Relation, made: r.Relation) -> r.Relation:
    """The relation, of which these columns are used, with `made` in the place of `chosen`; the same object where that is not in it."""
    if relation is chosen:
        return made
    below = zip(relation.inputs, columns_below(relation, columns), strict=True)
    new = {id(child): _put(child, wanted, chosen, made) for child, wanted in below}
    if all(new[id(child)] is child for child in relation.inputs):
        return relation
    match relation:
        case r.Project():
            return replace(relation, child=new[id(relation.child)], expressions=kept(relation, columns))
        case r.Aliased():
            child = new[id(relation.child)]
            there = {column.id for column in child.output}
            pairs = zip(relation.child.output, relation.columns, strict=True)
            named = tuple(column for old, column in pairs if old.id in there)
            return replace(relation, child=child, columns=named) if named else child
    result: r.Relation = changed(relation, of_relation=lambda node: new.get(id(node)))
    return result


def _heights(relation: r.Relation) -> dict[int, int]:
    found: dict[int, int] = {}

    def visit(node: r.Relation) -> int:
        known = found.get(id(node))
        if known is None:
            known = found[id(node)] = max((visit(child) for child in node.inputs), default=-1) + 1
        return known

    visit(relation)
    return found


def _has_columns(relation: r.Relation) -> bool:
    """Each once, as rows of a program have them."""
    columns = relation.output
    return bool(columns) and len({column.id for column in columns}) == len(columns)


def _in_order(relation: r.Relation) -> bool:
    while isinstance(relation, r.Project | r.Filter | r.Limit | r.Aliased | r.Hint | r.Generate | r.Sample):
        if isinstance(relation, r.Project) and any(isinstance(node, e.Windowed) for item in relation.expressions for node in walk(item)):
            return False  # They have put rows in their own.
        relation = relation.child
    return isinstance(relation, r.Sort)
