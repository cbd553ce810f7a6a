"""Which relations are sorted, and what depends on it: the kernel drops a sort that nothing above it asks for. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from quiver.sql.registry.model import WITH_NULLS
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import attributes_in, rebuilt, walk

_IN_ORDER: Final = frozenset({
    "first", "first_value", "last", "last_value", "any_value", "collect_list", "array_agg", "listagg", "string_agg",
    f"collect_list{WITH_NULLS}",
})  # fmt: skip
"""Aggregates that show in which order rows come."""


def sorted_by(relation: r.Relation) -> tuple[r.Relation, tuple[e.SortKey, ...]] | None:
    """The keys of a sort whose order the relation keeps, and the relation with all columns that they name."""
    match relation:
        case r.Sort() if relation.globally:
            return relation, relation.keys
        case r.Filter() | r.Limit() | r.Hint():
            below = sorted_by(relation.child)
            return below and (replace(relation, child=below[0]), below[1])
        case r.Project():
            below = sorted_by(relation.child)
            if below is None:
                return None
            wanted = dict.fromkeys(attribute for key in below[1] for attribute in attributes_in(key.child))
            shown = {attribute.id for attribute in relation.output}
            more = [attribute for attribute in wanted if attribute.id not in shown]
            return r.Project(below[0], (*relation.expressions, *more)), below[1]
        case r.Aliased():
            below = sorted_by(relation.child)
            return below and _renamed(relation, *below)
        case _:
            return None


def _renamed(relation: r.Aliased, below: r.Relation, keys: tuple[e.SortKey, ...]) -> tuple[r.Relation, tuple[e.SortKey, ...]]:
    names: dict[e.Expression, e.Expression] = dict(zip(relation.child.output, relation.columns, strict=True))

    def renamed(expression: e.Expression) -> e.Expression:
        return names[expression] if expression in names else rebuilt(expression, renamed)

    more = below.output[len(relation.child.output) :]
    now = tuple(replace(key, child=renamed(key.child)) for key in keys)
    return r.Aliased(below, relation.name, (*relation.columns, *more)), now


def aggregated_in_order(relation: r.Aggregate) -> r.Aggregate:
    """With the order of the rows below written into the aggregates that show it."""
    if not any(_shows_order(node) for output in relation.outputs for node in walk(output)):
        return relation
    below = sorted_by(relation.child)
    if below is None:
        return relation
    child, keys = below

    def ordered(node: e.Expression) -> e.Expression:
        return replace(node, order=keys) if isinstance(node, e.Call) and _shows_order(node) else rebuilt(node, ordered)

    return r.Aggregate(child, relation.keys, tuple(map(ordered, relation.outputs)), relation.sets)


def _shows_order(node: e.Expression) -> bool:
    return isinstance(node, e.Call) and node.name in _IN_ORDER and not node.order and not node.distinct
