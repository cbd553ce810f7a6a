"""Which expressions may give something else each time, and which relations depend on the order and number of the rows below. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from quiver.sql import types as t
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import walk

_COUNTING: Final = {"monotonically_increasing_id": 0, "rand": 1, "random": 1, "randn": 1, "shuffle": 2, "randstr": 2, "uniform": 3}
"""Functions whose value tells a row's place in its partition, and of how many arguments: the last of these is a seed."""
VOLATILE: Final = frozenset({*_COUNTING, "spark_partition_id", "uuid"})
"""Functions that give something else for each row."""


def is_volatile(node: e.Expression) -> bool:
    """Whether it calls a function of that kind itself; those of users are not looked at."""
    return isinstance(node, e.Call) and node.name in VOLATILE


def any_volatile(expressions: Iterable[e.Expression]) -> bool:
    """Whether they call users' functions, or such that give something else each time."""
    return any(isinstance(node, e.PythonCall) or is_volatile(node) for expression in expressions for node in walk(expression))


def draws(relation: r.Relation) -> bool:
    """Whether the relation itself, not one below it, is a projection that gives something else each time, or a filter or sample by how many
    rows came before."""
    match relation:
        case r.Project():
            return any(is_volatile(node) for expression in relation.expressions for node in walk(expression))
        case r.Filter():
            return any(isinstance(node, e.Call) and len(node.args) >= _COUNTING.get(node.name, 9) for node in walk(relation.condition))
        case r.Sample():
            return not relation.by_value
        case _:
            return False


def varying(key: e.Expression) -> e.Expression:
    """The key, as what the kernel takes for no constant."""
    drawn = e.Call(">=", (e.Call("varying"), e.Literal(0.0, t.DoubleType())))
    return e.Case(((drawn, key),), None)


def counted_below_filters(relation: r.Relation) -> tuple[frozenset[int], frozenset[int]]:
    """The identities of relations that draw or count and have something above them that leaves rows out; and of the filters that do so."""
    counting: set[int] = set()
    filters: set[int] = set()
    pending: list[tuple[r.Relation, tuple[int, ...]]] = [(relation, ())]
    while pending:
        top, above = pending.pop()
        if above and draws(top):
            counting.add(id(top))
            filters.update(above)
        if isinstance(top, r.Filter | r.Join):
            above = (*above, id(top))
        pending += ((child, above) for child in top.inputs)
    return frozenset(counting), frozenset(filters)
