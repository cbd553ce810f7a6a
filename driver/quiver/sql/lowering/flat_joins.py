"""Chains of joins as one list, though a program's joins by column names choose columns between them. Pure.

`a.join(b, "id").join(c, "id")` drops a column after each join. Written as a SELECT in the FROM of the next, the kernel looks for each of
the columns in each of them: fifteen joins of 460 columns took 1.5 CPU seconds to plan, and 0.06 as one list of joins.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from quiver.sql.analysis.rewriting import changed
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r


def with_flat_joins(relation: r.Relation) -> r.Relation:
    """The relation with choices of a join's columns taken above the joins that it is the left side of; the same object where there are
    none."""
    result: r.Relation = changed(relation, of_relation=_flat)
    return result


def _flat(relation: r.Relation) -> r.Relation | None:
    if not isinstance(relation, r.Join):
        return None
    chain: list[r.Join] = []
    below: r.Relation = relation
    while isinstance(below, r.Join):
        chain.append(below)
        below = _chosen_from(below.left)
    result = with_flat_joins(below)
    there = _ids(result.output)
    shown: tuple[e.Attribute, ...] | None = None
    """Of the columns there, where not all of them."""
    for join in reversed(chain):
        if _chosen_from(join.left) is not join.left:
            shown = join.left.output
        right = with_flat_joins(join.right)
        new = _ids(right.output)
        if shown is not None and there & new:  # What is not shown would be taken for what is.
            result, there, shown = r.Project(result, shown), _ids(shown), None
        condition = changed(join.condition, of_relation=_flat)
        if result is join.left and right is join.right and condition is join.condition:
            result = join
        else:
            result = replace(join, left=result, right=right, condition=condition)
        if shown is not None:
            shown = join.output
        if join.kind not in ("semi", "anti"):
            there |= new
    return result if shown is None else r.Project(result, shown)


def _chosen_from(relation: r.Relation) -> r.Relation:
    """The join of which it chooses columns; itself, if it does anything else."""
    below = relation
    while isinstance(below, r.Project) and all(isinstance(item, e.Attribute) for item in below.expressions):
        below = below.child
    return below if isinstance(below, r.Join) else relation


def _ids(columns: Iterable[e.Attribute]) -> set[int]:
    return {column.id for column in columns}
