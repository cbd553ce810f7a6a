"""Relations and expressions with parts exchanged. Pure."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import fields_of

OfExpression = Callable[[e.Expression], e.Expression | None]
OfRelation = Callable[[r.Relation], r.Relation | None]

_WITH_PARTS = (r.Relation, e.Expression, e.Frame, tuple)


def _nothing(value: Any) -> None:
    return None


def changed(value: Any, of_expression: OfExpression = _nothing, of_relation: OfRelation = _nothing) -> Any:
    """An expression, a relation or a tuple of them, with every part for which a function gives something replaced by that; subqueries of
    expressions included. What has nothing to replace stays the same object."""
    if isinstance(value, r.Relation):
        found: Any = of_relation(value)
    elif isinstance(value, e.Expression):
        found = of_expression(value)
    elif isinstance(value, tuple):
        new = [changed(item, of_expression, of_relation) if isinstance(item, _WITH_PARTS) else item for item in value]
        return value if all(map(operator.is_, value, new)) else tuple(new)
    elif isinstance(value, e.Frame):
        found = None
    else:
        return value
    if found is not None:
        return found
    if isinstance(value, e.Attribute | e.Literal):
        return value
    changes = {}
    for name in fields_of(type(value)):
        old = getattr(value, name)
        if isinstance(old, _WITH_PARTS):
            fresh = changed(old, of_expression, of_relation)
            if fresh is not old:
                changes[name] = fresh
    return replace(cast("Any", value), **changes) if changes else value


def parts(value: Any) -> Iterator[e.Expression | r.Relation]:
    """An expression or relation and all that is below it, subqueries of expressions included."""
    pending = [value]
    while pending:
        top = pending.pop()
        if isinstance(top, tuple):
            pending.extend(top)
            continue
        if isinstance(top, e.Expression | r.Relation):
            yield top
        elif not isinstance(top, e.Frame):
            continue
        for name in fields_of(type(top)):
            value = getattr(top, name)
            if isinstance(value, _WITH_PARTS):
                pending.append(value)


def outer_references(value: Any) -> dict[int, e.Attribute]:
    """The columns of queries around that are referred to, by id."""
    return {part.attribute.id: part.attribute for part in parts(value) if isinstance(part, e.OuterReference)}


def merged_projection(relation: r.Relation) -> tuple[r.Relation, tuple[e.Expression, ...]]:
    """What a chain of selections is made from, and its columns as one selection from that."""
    if isinstance(relation, r.Project):
        source, below = merged_projection(relation.child)
        return source, tuple(_through(item, below, relation.child.output) for item in relation.expressions)
    if isinstance(relation, r.Aliased):
        source, below = merged_projection(relation.child)
        return source, tuple(
            e.Alias(item.child if isinstance(item, e.Alias) else item, column.name, column.id)
            for item, column in zip(below, relation.columns, strict=True)
        )
    return relation, relation.output


def _through(item: e.Expression, below: tuple[e.Expression, ...], columns: tuple[e.Attribute, ...]) -> e.Expression:
    given = {column.id: each.child if isinstance(each, e.Alias) else each for column, each in zip(columns, below, strict=True)}
    moved = changed(item, lambda node: given.get(node.id) if isinstance(node, e.Attribute) else None)
    return e.Alias(moved, item.name, item.id) if isinstance(item, e.Attribute) and moved is not item else moved
