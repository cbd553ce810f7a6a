"""Scalar subqueries that look at no more than rows of the query around ask for. Pure.

The kernel computes a subquery that depends on the row around it for all values there are, and joins. Where few rows of a table are wanted,
and the subquery is asked with a column of that table, others of its rows are left out before they are grouped:

    l_partkey = p_partkey AND p_brand = … AND l_quantity < (SELECT avg(l_quantity) FROM lineitem WHERE l_partkey = p_partkey)

groups lines of those parts only, by `l_partkey IN (SELECT p_partkey FROM part WHERE p_brand = …)`. It changes no answer: rows around that
do not meet these conditions are not in the result, whatever the subquery gives for them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from quiver.sql.analysis.cardinality import Estimate, Estimates, OfFiles, share
from quiver.sql.analysis.rewriting import changed
from quiver.sql.analysis.volatile import any_volatile
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import all_of, attributes_in, conjuncts, walk

_FEW = 0.1
"""The share of a table's rows that are wanted, from which on it is not worth reading it twice."""
_LARGER = 4.0
"""So many times more rows than the table the subquery reads."""
_ids = itertools.count(1 << 43)
"""Of columns that only lowered queries have: sessions count from one."""


def with_narrowed_subqueries(relation: r.Relation, of_files: OfFiles) -> r.Relation:
    """The relation with such conditions in its subqueries; the same object where there are none."""
    expected = Estimates(of_files)

    def rewritten(node: r.Relation) -> r.Relation | None:
        if not isinstance(node, r.Filter) or not any(isinstance(each, e.ScalarSubquery) for each in walk(node.condition)):
            return None
        given = conjuncts(node.condition)
        narrowing = _Narrowing(list(_inputs(node.child)), given, expected)
        made = tuple(changed(each, narrowing.expression) for each in given)
        if all(one is other for one, other in zip(made, given, strict=True)):
            return None
        return r.Filter(changed(node.child, of_relation=rewritten), all_of(made))

    result: r.Relation = changed(relation, of_relation=rewritten)
    return result


def _inputs(node: r.Relation) -> Iterator[r.Relation]:
    """What a chain of joins is made from, all of whose rows meet conditions above it."""
    if isinstance(node, r.Join) and node.kind in ("inner", "cross"):
        yield from _inputs(node.left)
        yield from _inputs(node.right)
    else:
        yield node


class _Narrowing:
    """Of subqueries in conditions (`given`) above joins of `inputs`."""

    def __init__(self, inputs: Sequence[r.Relation], given: Sequence[e.Expression], expected: Estimates) -> None:
        self._inputs = inputs
        self._given = given
        self._expected = expected

    def expression(self, part: e.Expression) -> e.Expression | None:
        if not isinstance(part, e.ScalarSubquery):
            return None
        made = self._relation(part.relation)
        return None if made is part.relation else replace(part, relation=made)

    def _relation(self, node: r.Relation) -> r.Relation:
        if isinstance(node, r.Filter):
            asked = [each for condition in conjuncts(node.condition) for each in self._memberships(condition, node.child)]
            if asked:
                return r.Filter(r.Filter(node.child, all_of(asked)), node.condition)
        if isinstance(node, r.Project | r.Aggregate | r.Filter | r.Aliased):
            child = self._relation(node.child)
            return node if child is node.child else replace(node, child=child)
        return node

    def _memberships(self, condition: e.Expression, asked: r.Relation) -> Iterator[e.Expression]:
        if not isinstance(condition, e.Call) or condition.name != "=":
            return
        for inner, outer in (condition.args, condition.args[::-1]):
            if isinstance(inner, e.Attribute) and isinstance(outer, e.OuterReference) and inner.type == outer.attribute.type:
                for each in self._given:
                    if isinstance(each, e.InSubquery) and each.child == outer.attribute and _is_stored(each.relation):
                        yield replace(each, child=inner)
                wanted = self._wanted(outer.attribute, asked)
                if wanted is not None:
                    yield e.InSubquery(inner, wanted)

    def _wanted(self, column: e.Attribute, asked: r.Relation) -> r.Relation | None:
        """The values of a column around that rows have which are wanted, if these are few."""
        for owner in self._inputs:
            columns = {each.id for each in owner.output}
            if column.id in columns:
                own = [each for each in self._given if _concerns(each, columns)]
                table, read = self._expected.of(owner), self._expected.of(asked)
                if (
                    not own
                    or not _is_stored(owner)
                    or table is None
                    or read is None
                    or _share(own, table) > _FEW
                    or read.rows < _LARGER * table.rows
                ):
                    return None
                return r.Project(r.Filter(owner, all_of(own)), (e.Alias(column, column.name, next(_ids)),))
        return None


def _is_stored(relation: r.Relation) -> bool:
    """Whether it is cheap to read twice, and surely the same."""
    match relation:
        case r.Files() | r.Local():
            return True
        case r.Filter():
            return _concerns(relation.condition, {each.id for each in relation.output}) and _is_stored(relation.child)
        case r.Project():
            bare = (each.child if isinstance(each, e.Alias) else each for each in relation.expressions)
            return all(isinstance(each, e.Attribute) for each in bare) and _is_stored(relation.child)
        case r.Aliased():
            return _is_stored(relation.child)
        case _:
            return False


def _share(conditions: Sequence[e.Expression], of: Estimate) -> float:
    found = 1.0
    for condition in conditions:
        found *= share(condition, of)
    return found


def _concerns(condition: e.Expression, columns: set[int]) -> bool:
    """Whether it is about these columns only, and says the same whenever it is asked."""
    used = {each.id for each in attributes_in(condition)}
    asks = any(isinstance(each, e.ScalarSubquery | e.Exists | e.InSubquery | e.OuterReference) for each in walk(condition))
    return bool(used) and used <= columns and not asks and not any_volatile((condition,))
