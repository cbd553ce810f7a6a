"""What a query asks of its leaves: which columns, and under which conditions rows can matter. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from quiver.sql.analysis.volatile import is_volatile
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import attributes_in, conjuncts, walk


@dataclass(frozen=True, slots=True)
class Demand:
    """`columns`: ids of attributes that are used. `conditions`: rows for which one of them does not hold are not used."""

    columns: frozenset[int]
    conditions: tuple[e.Expression, ...] = ()

    def and_also(self, other: Demand) -> Demand:
        """Of a leaf that is read twice."""
        return Demand(self.columns | other.columns, tuple(each for each in self.conditions if each in other.conditions))


def demands(relation: r.Relation) -> dict[int, Demand]:
    """By id() of the leaves (relations without inputs). Of one that is not among them, all is used."""
    found: dict[int, Demand] = {}
    if _has_subquery(relation):
        return found
    _visit(relation, Demand(_ids(relation.output)), found)
    return found


def _ids(columns: Iterable[e.Attribute]) -> frozenset[int]:
    return frozenset(column.id for column in columns)


def _used(expressions: Iterable[e.Expression]) -> frozenset[int]:
    return frozenset(attribute.id for expression in expressions for attribute in attributes_in(expression))


def _visit(relation: r.Relation, demand: Demand, found: dict[int, Demand]) -> None:
    if not relation.inputs:
        known = found.get(id(relation))
        found[id(relation)] = demand if known is None else known.and_also(demand)
        return
    match relation:
        case r.Project():
            kept = [each for each in relation.expressions if not isinstance(each, e.Attribute | e.Alias) or each.id in demand.columns]
            # What is computed from several rows at once needs all of them.
            by_row = not any(isinstance(node, e.Windowed) or is_volatile(node) for each in kept for node in walk(each))
            _visit(relation.child, Demand(_used(kept), _below(demand, relation.child) if by_row else ()), found)
        case r.Filter():
            conditions = tuple(each for each in conjuncts(relation.condition))
            _visit(relation.child, Demand(demand.columns | _used(conditions), (*demand.conditions, *conditions)), found)
        case r.Sort():
            _visit(relation.child, Demand(demand.columns | _used(relation.keys), demand.conditions), found)
        case r.Limit():
            _visit(relation.child, Demand(demand.columns), found)
        case r.Hint():
            _visit(relation.child, demand, found)
        case r.Aggregate():
            _visit(relation.child, Demand(_used((*relation.keys, *relation.outputs))), found)
        case r.Aliased():
            pairs = zip(relation.child.output, relation.columns, strict=True)
            _visit(relation.child, Demand(frozenset(old.id for old, new in pairs if new.id in demand.columns)), found)
        case r.Join() if relation.kind in ("inner", "cross", "left", "right", "full", "semi", "anti"):
            columns = demand.columns | (_used((relation.condition,)) if relation.condition is not None else frozenset())
            for side, stays in ((relation.left, ("inner", "cross", "left", "semi", "anti")), (relation.right, ("inner", "cross", "right"))):
                _visit(side, Demand(columns & _ids(side.output), _below(demand, side) if relation.kind in stays else ()), found)
        case _:
            for child in relation.inputs:
                _visit(child, Demand(_ids(child.output)), found)


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
        values = [getattr(top, item.name) for item in fields(top)]  # type: ignore[arg-type]
        for value in values:
            for expression in value if isinstance(value, tuple) else (value,):
                if isinstance(expression, e.Expression) and any(isinstance(node, _SUBQUERIES) for node in walk(expression)):
                    return True
    return False


_SUBQUERIES = (e.ScalarSubquery, e.Exists, e.InSubquery)
