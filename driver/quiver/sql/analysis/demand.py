"""What a query asks of its leaves: which columns, and under which conditions rows can matter. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from quiver.sql.analysis.volatile import is_volatile
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import attributes_in, conjuncts, fields_of, walk


@dataclass(frozen=True, slots=True)
class Demand:
    """`columns`: ids of attributes that are used. `conditions`: rows for which one of them does not hold are not used."""

    columns: frozenset[int]
    conditions: tuple[e.Expression, ...] = ()

    def and_also(self, other: Demand) -> Demand:
        """Of a leaf that is read twice."""
        return Demand(self.columns | other.columns, tuple(each for each in self.conditions if each in other.conditions))


def demands(relation: r.Relation, stop: r.Relation | None = None) -> dict[int, Demand]:
    """By id() of the leaves (relations without inputs, and `stop`). Of one that is not among them, all is used."""
    found: dict[int, Demand] = {}
    if _has_subquery(relation):
        return found
    _visit(relation, Demand(_ids(relation.output)), found, stop)
    return found


def _ids(columns: Iterable[e.Attribute]) -> frozenset[int]:
    return frozenset(column.id for column in columns)


def _used(expressions: Iterable[e.Expression]) -> frozenset[int]:
    return frozenset(attribute.id for expression in expressions for attribute in attributes_in(expression))


def columns_below(relation: r.Relation, columns: frozenset[int]) -> tuple[frozenset[int], ...]:
    """What is used of each input's columns when these are used of the relation's; all, where their places matter."""
    match relation:
        case r.Project():
            return (_used(kept(relation, columns)),)
        case r.Filter():
            return (columns | _used((relation.condition,)),)
        case r.Sort():
            return (columns | _used(relation.keys),)
        case r.Limit() | r.Hint():
            return (columns,)
        case r.Aggregate():
            return (_used((*relation.keys, *relation.outputs)),)
        case r.Aliased():
            pairs = zip(relation.child.output, relation.columns, strict=True)
            return (frozenset(old.id for old, new in pairs if new.id in columns),)
        case r.Join() if relation.kind in _JOINS:
            both = columns if relation.condition is None else columns | _used((relation.condition,))
            return both & _ids(relation.left.output), both & _ids(relation.right.output)
    return tuple(_ids(child.output) for child in relation.inputs)


def kept(relation: r.Project, columns: frozenset[int]) -> tuple[e.Expression, ...]:
    """Its expressions of which one of these columns comes, or more than one may."""
    return tuple(each for each in relation.expressions if not isinstance(each, e.Attribute | e.Alias) or each.id in columns)


def _visit(relation: r.Relation, demand: Demand, found: dict[int, Demand], stop: r.Relation | None = None) -> None:
    if not relation.inputs or relation is stop:
        known = found.get(id(relation))
        found[id(relation)] = demand if known is None else known.and_also(demand)
        return
    conditions: tuple[tuple[e.Expression, ...], ...] = ((),) * len(relation.inputs)
    match relation:
        case r.Project():
            # What is computed from several rows at once needs all of them.
            nodes = (node for each in kept(relation, demand.columns) for node in walk(each))
            if not any(isinstance(node, e.Windowed) or is_volatile(node) for node in nodes):
                conditions = (_below(demand, relation.child),)
        case r.Filter():
            conditions = ((*demand.conditions, *conjuncts(relation.condition)),)
        case r.Sort() | r.Hint():
            conditions = (demand.conditions,)
        case r.Join() if relation.kind in _JOINS:
            left, right = relation.kind in ("inner", "cross", "left", "semi", "anti"), relation.kind in ("inner", "cross", "right")
            conditions = (_below(demand, relation.left) if left else (), _below(demand, relation.right) if right else ())
    for child, columns, each in zip(relation.inputs, columns_below(relation, demand.columns), conditions, strict=True):
        _visit(child, Demand(columns, each), found, stop)


def _below(demand: Demand, child: r.Relation) -> tuple[e.Expression, ...]:
    """The conditions that say something of the child's own columns only."""
    columns = _ids(child.output)
    return tuple(each for each in demand.conditions if (used := _used((each,))) and used <= columns)


def _has_subquery(relation: r.Relation) -> bool:
    """Subqueries may refer to any column around them, and have leaves of their own."""
    pending: list[r.Relation] = [relation]
    while pending:
        top = pending.pop()
        pending += top.inputs
        values = [getattr(top, name) for name in fields_of(type(top))]
        for value in values:
            for expression in value if isinstance(value, tuple) else (value,):
                if isinstance(expression, e.Expression) and any(isinstance(node, _SUBQUERIES) for node in walk(expression)):
                    return True
    return False


_JOINS = frozenset({"inner", "cross", "left", "right", "full", "semi", "anti"})
_SUBQUERIES = (e.ScalarSubquery, e.Exists, e.InSubquery)
