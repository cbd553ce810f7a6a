"""Projections with functions over many windows, as several above each other. Pure.

The kernel puts an operator and a sort, maybe an exchange as well, above those of the window before, for each order there is: some twenty
nest more deeply than a plan's messages may. So each layer is computed before those above it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from quiver.sql.analysis.rewriting import changed, outer_references, parts
from quiver.sql.lowering.repeats import each_once
from quiver.sql.lowering.replacing import named
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import walk

MOST: Final = 8
"""Windows of different partitions or orders in one projection."""
MANY: Final = 3 * MOST
"""Of which it is known that they are too deep together, before it is tried."""

Rows = Callable[[r.Relation], r.Relation]


def has_many_windows(relation: r.Relation) -> bool:
    """Whether a projection has more than MANY columns, and windows among them. Each relation is looked at once."""
    pending, seen = [relation], set()
    while pending:
        top = pending.pop()
        if id(top) in seen:
            continue
        seen.add(id(top))
        pending.extend(top.inputs)
        wide = top.expressions if isinstance(top, r.Project) and len(top.expressions) > MANY else ()
        if any(isinstance(part, e.Windowed) for item in wide for part in walk(item)):
            return True
    return False


def with_few_windows(relation: r.Relation, rows: Rows, beyond: int = MOST) -> r.Relation:
    """The relation, with no more than MOST windows in each projection that had more than `beyond`, above `rows` of those that are computed
    before; the same object where there are none."""
    result: r.Relation = changed(relation, of_relation=lambda node: _layered(node, rows, beyond))
    return result


def _layered(relation: r.Relation, rows: Rows, beyond: int) -> r.Relation | None:
    if not isinstance(relation, r.Project):
        return None
    windows: dict[str, dict[int, e.Windowed]] = {}
    used = set()
    for part in parts(relation.expressions):
        if isinstance(part, e.Attribute):
            used.add(part.id)
        elif isinstance(part, e.Windowed):
            windows.setdefault(repr((part.window.partition_by, part.window.order_by)), {})[id(part)] = part
    if len(windows) <= beyond or outer_references(relation):
        return None
    child = with_few_windows(relation.child, rows, beyond)
    kept = tuple(column for column in each_once(child.output) if column.id in used)
    orders = list(windows.values())[:-MOST]  # The last stay where they are, so that each layer has some of its own.
    given: dict[int, e.Attribute] = {}
    """By identity."""
    for first in range(0, len(orders), MOST):
        made = {key: named(windowed, "window") for order in orders[first : first + MOST] for key, windowed in order.items()}
        child = rows(r.Project(child, (*kept, *given.values(), *made.values())))
        given.update(zip(made, child.output[-len(made) :], strict=True))

    def put(part: e.Expression) -> e.Expression | None:
        return given.get(id(part)) if isinstance(part, e.Windowed) else None

    return replace(relation, child=child, expressions=tuple(changed(item, put) for item in relation.expressions))
