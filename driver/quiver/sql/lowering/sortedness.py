"""Which relations are sorted, and what depends on it: the kernel drops a sort that nothing above it asks for. Pure."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Final, NamedTuple

from quiver.sql import types as t
from quiver.sql.registry.model import LISTED_BY_ITSELF, WITH_NULLS
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import attributes_in, rebuilt, walk

_IN_ORDER: Final = frozenset({
    "first", "first_value", "last", "last_value", "any_value", "collect_list", "array_agg", "listagg", "string_agg",
    f"collect_list{WITH_NULLS}",
})  # fmt: skip
"""Aggregates that show in which order rows come."""


_ids = itertools.count(1 << 43)
_LONG = 100_000
"""Numbers of a series that are worth dealing to several cores."""


class Order(NamedTuple):
    """What becomes of the order in which rows are sorted or stored.

    `is_kept`: every operator above leaves rows in it, so that a program sees it. `is_long_series`: some are numbers that can be dealt to
    several cores, in order.
    """

    is_kept: bool = False
    is_long_series: bool = False


def order_of(relation: r.Relation) -> Order:
    """Spark promises no order without a sort, but programs see that of files, lists and ranges, and so do ours."""
    limited = more = False
    while isinstance(relation, r.Project | r.Filter | r.Limit | r.Aliased | r.Hint | r.Generate | r.Sample):
        columns_only = isinstance(relation, r.Project) and all(isinstance(item, e.Attribute) for item in relation.expressions)
        more = more or not (columns_only or isinstance(relation, r.Aliased | r.Hint))
        limited = limited or isinstance(relation, r.Limit)
        relation = relation.child
    match relation:
        case r.Sort():  # The kernel ends with its merge, unless there is something to do above.
            return Order(more)
        case r.Span():
            return Order(True, not limited and len(range(relation.start, relation.end, relation.step)) >= _LONG)
        case r.Files() | r.Local() | r.Produced() | r.Sourced() | r.PythonMap() | r.GroupedMap():
            return Order(True)
        case r.Union():
            branches = list(map(order_of, relation.branches))
            return Order(any(each.is_kept for each in branches), not limited and any(each.is_long_series for each in branches))
        case _:
            return Order()


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
    calls = [node for output in relation.outputs for node in walk(output) if isinstance(node, e.Call)]
    if not any(map(_shows_order, calls)):
        return _by_themselves(relation) if len({call.order for call in calls if call.order}) > 1 else relation
    if any(call.order for call in calls):
        relation = _by_themselves(relation)
    below = sorted_by(relation.child)
    if below is None:
        return relation
    child, keys = below

    def ordered(node: e.Expression) -> e.Expression:
        return replace(node, order=keys) if isinstance(node, e.Call) and _shows_order(node) else rebuilt(node, ordered)

    return r.Aggregate(child, relation.keys, tuple(map(ordered, relation.outputs)), relation.sets)


def firsts_in_order(relation: r.Deduplicate) -> r.Relation | None:
    """Of each group of equal keys the first row, in the order of the rows below; None where these are not sorted, or any will do."""
    keys = relation.keys
    if keys is None or (below := sorted_by(relation.child)) is None:
        return None
    chosen = {key.id for key in keys}
    rest = {column.id: column for column in relation.output if column.id not in chosen}
    if not rest:
        return None
    # As one value: of rows that the sort leaves equal, each column might be another's.
    members = e.StructOf(tuple(f"c{place}" for place in range(len(rest))), tuple(rest.values()))
    row = e.Alias(e.Call("first", (members,), order=below[1]), "row", next(_ids))
    firsts = r.Aggregate(below[0], keys, (*dict.fromkeys(keys), row))
    of_row = dict(zip(rest, members.names, strict=True))
    found = firsts.output[-1]
    items = [
        e.Alias(e.Member(found, of_row[column.id]), column.name, column.id, column.metadata) if column.id in of_row else column
        for column in relation.output
    ]
    return r.Project(firsts, tuple(items))


def _by_themselves(relation: r.Aggregate) -> r.Aggregate:
    """With texts of an order of their own sorted one by one: the kernel sorts rows by one of the orders, which other aggregates show."""

    def alone(node: e.Expression) -> e.Expression:
        if not (isinstance(node, e.Call) and node.name.lower() in ("listagg", "string_agg") and node.order and not node.distinct):
            return rebuilt(node, alone)
        value, *rest = node.args
        separator = rest[0] if rest else e.Literal("", t.StringType())
        firsts = [key.ascending if key.nulls_first is None else key.nulls_first for key in node.order]
        ways = ["a" if key.ascending else "d" for key in node.order]
        directions = "".join(way + ("f" if first else "l") for way, first in zip(ways, firsts, strict=True))
        args = (value, separator, e.Literal(directions, t.StringType()), *(key.child for key in node.order))
        return replace(node, name=LISTED_BY_ITSELF, args=args, order=())

    return r.Aggregate(relation.child, relation.keys, tuple(map(alone, relation.outputs)), relation.sets)


def _shows_order(node: e.Expression) -> bool:
    return isinstance(node, e.Call) and node.name in _IN_ORDER and not node.order and not node.distinct
