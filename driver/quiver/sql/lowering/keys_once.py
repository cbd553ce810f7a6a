"""Semi and anti joins that look for keys among rows that have each key once. Pure.

The kernel compares a row with all rows of the other side that have its key, though the first would do: 10,000 million pairs, where two
tables of a million rows have a hundred keys. Only whether there is a row is asked, so one of each kind answers as well: the side that is
looked at is made distinct in the columns that the condition names, where many rows are expected for each of them and many pairs in all.
Where nothing is known of the rows or the keys, and keys are only compared for equality, it is as well: that costs one hash table more, and
leaving it out as many pairs as there may be.

    SELECT … FROM a WHERE EXISTS (SELECT * FROM b WHERE b.g = a.g AND b.x > 1)      b.g of (SELECT DISTINCT g FROM b WHERE x > 1)
    SELECT … FROM a WHERE g IN (SELECT g FROM b)                                    g of (SELECT DISTINCT g FROM b)
    SELECT … FROM a LEFT SEMI JOIN b ON a.g = b.g                                   the same
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from quiver.sql.analysis.cardinality import Estimate, Estimates, OfFiles, share
from quiver.sql.analysis.rewriting import changed
from quiver.sql.lowering.replacing import can_group
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import all_of, attributes_in, conjuncts, walk

_ROWS_A_KEY = 16.0
"""From which on grouping rows costs less than a hash table of all of them."""
_PAIRS_A_ROW = 16.0
"""Of both sides: fewer pairs are not worth an operator more."""
_PAIRS = 1e6
"""Up to so many are done in no time."""
_MANY = 1e9
"""So many, where nothing else is known, may be too many: seconds."""


def with_keys_once(relation: r.Relation, of_files: OfFiles) -> r.Relation:
    """The relation with such sides made distinct; the same object where there are none."""
    result: r.Relation = _Once(of_files).everywhere(relation)
    return result


class _Once:
    def __init__(self, of_files: OfFiles) -> None:
        self._expected = Estimates(of_files)

    def everywhere(self, value: Any) -> Any:
        """In a relation, an expression with its subqueries, or a tuple of them."""
        return changed(value, of_relation=self._rewritten)

    def _rewritten(self, node: r.Relation) -> r.Relation | None:
        match node:
            case r.Join(kind="semi" | "anti") if node.condition is not None:
                left, right, condition = self.everywhere(node.left), self.everywhere(node.right), self.everywhere(node.condition)
                columns = _asked(node.condition, node.right)
                if self._pays(node.left, node.right, columns, node.condition):
                    return replace(node, left=left, right=_distinct(right, columns), condition=condition)
                is_same = left is node.left and right is node.right and condition is node.condition
                return node if is_same else replace(node, left=left, right=right, condition=condition)
            case r.Filter() if any(isinstance(each, e.Exists | e.InSubquery) for each in walk(node.condition)):
                condition = changed(node.condition, lambda each: self._of_subquery(each, node.child), self._rewritten)
                child = self.everywhere(node.child)
                return node if child is node.child and condition is node.condition else r.Filter(child, condition)
            case _:
                return None

    def _of_subquery(self, part: e.Expression, around: r.Relation) -> e.Expression | None:
        if isinstance(part, e.InSubquery) and len(part.relation.output) == 1:
            found, (column,) = part.relation, part.relation.output
            if self._pays(around, found, (column,), e.Call("=", (part.child, column))):
                return replace(part, child=self.everywhere(part.child), relation=_distinct(self.everywhere(found), (column,)))
        if isinstance(part, e.Exists):
            made = self._of_rows(part.relation, around)
            return None if made is None else replace(part, relation=made)
        return None

    def _of_rows(self, found: r.Relation, around: r.Relation) -> r.Relation | None:
        """For EXISTS, which does not ask for columns, rows that depend on `around` by a condition at the top."""
        while isinstance(found, r.Project | r.Aliased):
            found = found.child
        if not isinstance(found, r.Filter):
            return None
        every = conjuncts(found.condition)
        asking = [each for each in every if any(isinstance(part, e.OuterReference) for part in walk(each))]
        if not asking or any(isinstance(part, e.Exists | e.InSubquery | e.ScalarSubquery) for each in every for part in walk(each)):
            return None
        own = [each for each in every if not any(each is one for one in asking)]
        below = r.Filter(found.child, all_of(own)) if own else found.child
        condition = all_of(asking)
        columns = _asked(condition, below)
        joined = changed(condition, lambda part: part.attribute if isinstance(part, e.OuterReference) else None)
        if not self._pays(around, below, columns, joined):
            return None
        child = self.everywhere(found.child)
        return r.Filter(_distinct(r.Filter(child, all_of(own)) if own else child, columns), condition)

    def _pays(self, asking: r.Relation, looked_at: r.Relation, columns: Sequence[e.Attribute], condition: e.Expression) -> bool:
        if not columns or not can_group(columns):
            return False
        left, right = self._expected.of(asking), self._expected.of(looked_at)
        if left is None or right is None or not all(column.id in right.columns for column in columns):
            most = _MANY if left is None or right is None else left.rows * right.rows
            return most >= _MANY and _is_lookup(condition) and not _has_once(looked_at, {column.id for column in columns})
        keys = 1.0
        for column in columns:
            keys *= right.distinct(column.id)
        both = Estimate(left.rows * right.rows, {**left.columns, **right.columns})
        pairs = both.rows * share(condition, both)
        return right.rows >= _ROWS_A_KEY * keys and pairs > max(_PAIRS, _PAIRS_A_ROW * (left.rows + right.rows))


def _is_lookup(condition: e.Expression) -> bool:
    """Whether it only compares for equality: there are no more kinds of rows than keys."""
    return all(isinstance(each, e.Call) and each.name in ("=", "<=>") for each in conjuncts(condition))


def _has_once(relation: r.Relation, columns: set[int]) -> bool:
    """Whether its rows surely differ in these columns."""
    match relation:
        case r.Deduplicate():
            return {key.id for key in (relation.output if relation.keys is None else relation.keys)} <= columns
        case r.Aggregate(sets=None):
            given = [output.child if isinstance(output, e.Alias) else output for output in relation.outputs]
            ids = [column.id for column in relation.output]
            return all(any(one is key or one == key for one, id in zip(given, ids, strict=True) if id in columns) for key in relation.keys)
        case r.Project():
            same = {expression.id for expression in relation.expressions if isinstance(expression, e.Attribute)}
            pairs = zip(relation.expressions, relation.output, strict=True)
            renamed = {
                each.child.id
                for each, new in pairs
                if isinstance(each, e.Alias) and isinstance(each.child, e.Attribute) and new.id in columns
            }
            return _has_once(relation.child, (same & columns) | renamed)
        case r.Aliased():
            pairs_of = zip(relation.child.output, relation.columns, strict=True)
            return _has_once(relation.child, {old.id for old, new in pairs_of if new.id in columns})
        case r.Filter() | r.Sort() | r.Limit() | r.Hint():
            return _has_once(relation.child, columns)
        case _:
            return False


def _asked(condition: e.Expression, side: r.Relation) -> tuple[e.Attribute, ...]:
    """The columns of one side that a condition is about."""
    used = {each.id for each in attributes_in(condition)}
    return tuple({each.id: each for each in side.output if each.id in used}.values())


def _distinct(relation: r.Relation, columns: Sequence[e.Attribute]) -> r.Relation:
    return r.Deduplicate(r.Project(relation, tuple(columns)))
