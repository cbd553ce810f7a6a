"""Projections of projections as one, so that a plan is not as deep as a program's chain of withColumn is long. Pure.

As in Spark's CollapseProject, a computed column may be put in the place of its name where it is named once, or costs nothing; never one
that may give something else each time, unless it is only handed on. It stays where it is when the expression would nest more deeply than
a plan's messages may, when it stands in a lambda (where it would be computed for each element), and beside subqueries, which may name
it too.

The kernel merges projections itself, but after it has put parts that it finds twice into projections of their own, which are in the way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from quiver.sql.analysis.rewriting import changed
from quiver.sql.analysis.volatile import any_volatile
from quiver.sql.lowering.depths import depth
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import children_of, strip_alias, walk

DEEPEST: Final = 12
"""Levels of the expressions that are made so, at most."""
_UNMOVED: Final = (e.Windowed, e.ScalarSubquery, e.Exists, e.InSubquery, e.OuterReference)
_Made = dict[int, e.Expression]
"""What the columns of a projection are, by id: an attribute of its child, or what is computed of those."""
_Unmoved = dict[int, tuple[e.Expression, bool]]
"""What was found of expressions, by their identity."""


def collapsed(relation: r.Relation) -> r.Relation:
    """The relation with such projections merged; the same object where there are none."""
    result: r.Relation = changed(relation, of_relation=_collapsed)
    return result


def _collapsed(relation: r.Relation) -> r.Relation | None:
    if not isinstance(relation, r.Project) or not isinstance(relation.child, r.Project):
        return None
    chain: list[r.Project] = []
    below: r.Relation = relation
    while isinstance(below, r.Project):
        chain.append(below)
        below = below.child
    result = collapsed(below)
    pending = chain[-1]  # What is merged so far; over `result`.
    unmoved: _Unmoved = {}
    for upper in reversed(chain[:-1]):
        merged = _merged(pending, upper, unmoved)
        if merged is None:
            result = replace(pending, child=result)
            pending = upper
        else:
            pending = merged
    return replace(pending, child=result)


def _merged(lower: r.Project, upper: r.Project, unmoved: _Unmoved) -> r.Project | None:
    """`upper` of what `lower` is made from; None where it may not be."""
    made: _Made = {}
    for item in lower.expressions:
        if isinstance(item, e.Alias):
            made[item.id] = item.child
        elif isinstance(item, e.Attribute):
            made[item.id] = item
    computed = {number: each for number, each in made.items() if not _is_cheap(each)}
    new = [item for item in upper.expressions if not isinstance(strip_alias(item), e.Attribute)]
    if computed:
        handed = (each.id for item in upper.expressions if isinstance(each := strip_alias(item), e.Attribute))
        within = [node.id for item in new for node in walk(item) if isinstance(node, e.Attribute) and node.id in computed]
        if any(count > 1 for count in Counter((*(each for each in handed if each in computed), *within)).values()):
            return None
        if any(_stays(computed[each], unmoved) for each in within):
            return None
    if not _movable_into(new, computed):
        return None
    expressions = tuple(_put(item, made) for item in upper.expressions)
    if any(depth(_put(item, made)) > DEEPEST for item in new):
        return None
    return replace(lower, expressions=expressions)


def _is_cheap(expression: e.Expression) -> bool:
    if isinstance(expression, e.Cast):
        return isinstance(expression.child, e.Literal)
    return isinstance(expression, e.Attribute | e.Literal)


def _stays(expression: e.Expression, known: _Unmoved) -> bool:
    """Whether it may be handed on, but not be put into another."""
    found = known.get(id(expression))
    if found is None:
        answer = any_volatile((expression,)) or any(isinstance(node, _UNMOVED) for node in walk(expression))
        found = known[id(expression)] = (expression, answer)
    return found[1]


def _movable_into(expressions: Iterable[e.Expression], computed: _Made) -> bool:
    """Whether what is computed may be put into these."""
    pending = [(each, False) for each in expressions]
    while pending:
        node, in_lambda = pending.pop()
        if isinstance(node, e.ScalarSubquery | e.Exists | e.InSubquery):
            return False
        if in_lambda and isinstance(node, e.Attribute) and node.id in computed:
            return False
        inside = in_lambda or isinstance(node, e.Lambda)
        pending += ((child, inside) for child in children_of(node))
    return True


def _put(item: e.Expression, made: _Made) -> e.Expression:
    if isinstance(item, e.Attribute):
        value = made.get(item.id, item)
        # A column that is handed on keeps its name and number, whatever it is made of now.
        same = isinstance(value, e.Attribute) and value.id == item.id
        return item if same else e.Alias(value, item.name, item.id, item.metadata)
    result: e.Expression = changed(item, lambda node: made.get(node.id) if isinstance(node, e.Attribute) else None)
    return result
