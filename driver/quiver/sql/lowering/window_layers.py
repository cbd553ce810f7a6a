"""Projections with functions over many windows, as several above each other. Pure.

The kernel puts an operator and a sort, maybe an exchange as well, above those of the window before, for each order there is: some twenty
nest more deeply than a plan's messages may. Of layers above each other some can be computed first (dividing.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from quiver.sql.analysis.rewriting import changed, parts
from quiver.sql.lowering.repeats import each_once
from quiver.sql.lowering.replacing import named
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

MOST: Final = 8
"""Windows of different partitions or orders in one projection."""


def with_few_windows(relation: r.Relation) -> r.Relation:
    """The relation, with no more than MOST windows in each projection; the same object where there are none with more."""
    result: r.Relation = changed(relation, of_relation=_layered)
    return result


def _layered(relation: r.Relation) -> r.Relation | None:
    if not isinstance(relation, r.Project):
        return None
    windows: dict[str, dict[int, e.Windowed]] = {}
    used = set()
    for part in parts(relation.expressions):
        if isinstance(part, e.Attribute):
            used.add(part.id)
        elif isinstance(part, e.Windowed):
            windows.setdefault(repr((part.window.partition_by, part.window.order_by)), {})[id(part)] = part
    if len(windows) <= MOST:
        return None
    child = with_few_windows(relation.child)
    kept = tuple(column for column in each_once(child.output) if column.id in used)
    orders = list(windows.values())[:-MOST]  # The last stay where they are, so that each layer has some of its own.
    given: dict[int, e.Attribute] = {}
    """By identity."""
    for first in range(0, len(orders), MOST):
        made = {key: named(windowed, "window") for order in orders[first : first + MOST] for key, windowed in order.items()}
        child = r.Project(child, (*kept, *given.values(), *made.values()))
        given.update(zip(made, child.output[-len(made) :], strict=True))

    def put(part: e.Expression) -> e.Expression | None:
        return given.get(id(part)) if isinstance(part, e.Windowed) else None

    return replace(relation, child=child, expressions=tuple(changed(item, put) for item in relation.expressions))
