"""How many rows a relation has at most, between which bounds its columns lie, and which calls of arithmetic need no check for that. Pure.

Unlike the estimates of cardinality.py these are bounds: what they say is so whatever the rows are. Filters are not looked at, columns of
which nothing is known are as their types, and where rows can't be counted there is no bound of them. A sum over groups is known by what
all rows come to: grouping and summing again never makes it more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from quiver.sql.analysis.ranges import Column, Extent, Ranges, hull, limit_of
from quiver.sql.analysis.rewriting import changed, parts
from quiver.sql.analysis.typing import function_of
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

OfLeaf = Callable[[r.Files | r.Local], Extent]
"""What is known of stored rows."""


def without_needless_checks(relation: r.Relation, of_leaf: OfLeaf) -> r.Relation:
    """The relation with `fits` written into calls whose result can't leave its type; the same object where there are none. Leaves are only
    asked where types don't tell."""
    if not any(isinstance(part, e.Call) and function_of(part).unchecked is not None for part in parts(relation)):
        return relation
    return _Marker(of_leaf).relation(relation)


class Extents:
    """Of relations, kept by their identity: they must outlive it."""

    def __init__(self, of_leaf: OfLeaf) -> None:
        self._of_leaf = of_leaf
        self._known: dict[int, Extent] = {}

    def of(self, relation: r.Relation) -> Extent:
        """What is known of its rows."""
        key = id(relation)
        if key not in self._known:
            self._known[key] = self._of(relation)
        return self._known[key]

    def within(self, relation: r.Relation) -> Extent:
        """Of the rows that a relation's own expressions are about."""
        if isinstance(relation, r.Join):
            left, right = self.of(relation.left), self.of(relation.right)
            return _side_by_side(left, right, _product(left.rows, right.rows), right.rows, left.rows)
        return self.of(relation.child) if isinstance(relation, r.Unary) else Extent()

    def _of(self, relation: r.Relation) -> Extent:
        match relation:
            case r.Files() | r.Local():
                return self._of_leaf(relation)
            case r.Span():
                values = range(relation.start, relation.end, relation.step)
                ends = (values[0], values[-1]) if len(values) else (0, 0)
                return Extent(len(values), {relation.columns[0].id: Column((min(ends), max(ends)))})
            case r.Join():
                return self._joined(relation)
            case r.Union():
                return self._union(relation)
            case r.SetOperation():
                return self.of(relation.left)
            case r.Project():
                child = self.of(relation.child)
                return Extent(child.rows, self._columns(relation.expressions, child))
            case r.Aggregate():
                return self._grouped(relation)
            case r.Aliased():
                child = self.of(relation.child)
                pairs = zip(relation.child.output, relation.columns, strict=True)
                return Extent(child.rows, {new.id: child.columns[old.id] for old, new in pairs if old.id in child.columns})
            case r.Limit():
                child = self.of(relation.child)
                return child if relation.count is None else replace(child, rows=_least(child.rows, relation.count))
            case r.Filter() | r.Sort() | r.Deduplicate() | r.Hint() | r.Repartition():
                return self.of(relation.child)
            case r.Sample() if not relation.with_replacement:
                return self.of(relation.child)
            case r.Generate() | r.Sample():  # A row may be there any number of times.
                columns = self.of(relation.child).columns
                return Extent(None, {column: replace(known, total=None) for column, known in columns.items()})
            case _:
                return Extent()

    def _columns(self, expressions: Iterable[e.Expression], child: Extent, times: int = 1) -> dict[int, Column]:
        """Of analysed Attributes and Aliases, over the child's rows; `times`: how often each of these counts."""
        ranges = Ranges(child, self.of)
        found: dict[int, Column] = {}
        for expression in expressions:
            bounds = ranges.of(expression)
            if bounds is not None and isinstance(expression, e.Attribute | e.Alias):
                total = ranges.total(expression)
                found[expression.id] = Column(bounds, None if total is None else total * times)
        return found

    def _grouped(self, relation: r.Aggregate) -> Extent:
        child = self.of(relation.child)
        sets = 1 if relation.sets is None else len(relation.sets)
        # Without keys there is a group of no rows.
        least_one = replace(child, rows=None if child.rows is None else max(1, child.rows))
        rows = 1 if not relation.keys and relation.sets is None else _product(least_one.rows, sets)
        return Extent(rows, self._columns(relation.outputs, least_one, sets))

    def _joined(self, join: r.Join) -> Extent:
        left, right = self.of(join.left), self.of(join.right)
        if join.kind in ("semi", "anti"):
            return left
        # A row without a partner is there once.
        lefts = right.rows if right.rows is None or join.kind not in ("left", "full") else max(1, right.rows)
        rights = left.rows if left.rows is None or join.kind not in ("right", "full") else max(1, left.rows)
        rows = _product(left.rows, right.rows)
        if rows is not None and left.rows is not None and right.rows is not None:
            rows += (left.rows if join.kind in ("left", "full") else 0) + (right.rows if join.kind in ("right", "full") else 0)
        return _side_by_side(left, right, rows, lefts, rights)

    def _union(self, union: r.Union) -> Extent:
        branches = [self.of(branch) for branch in union.branches]
        columns: dict[int, Column] = {}
        for place, column in enumerate(union.columns):
            inputs = [branch.output[place] for branch in union.branches]
            known = [branch.columns.get(each.id) or _by_type(each) for branch, each in zip(branches, inputs, strict=True)]
            if all(each.type == column.type for each in inputs):
                told = [each for each in known if each is not None]
                if told and len(told) == len(known):
                    columns[column.id] = Column(hull([each.range for each in told]), _sum([each.total for each in told]))
        return Extent(_sum([branch.rows for branch in branches]), columns)


def _side_by_side(left: Extent, right: Extent, rows: int | None, lefts: int | None, rights: int | None) -> Extent:
    """Columns of both, each value of the left there `lefts` times at most."""
    columns: dict[int, Column] = {}
    for side, times in ((left, lefts), (right, rights)):
        for column, known in side.columns.items():
            repeated = Column(known.range, _product(known.total, times))
            other = columns.get(column)
            columns[column] = (
                repeated if other is None else Column(hull([other.range, repeated.range]), _sum([other.total, repeated.total]))
            )
    return Extent(rows, columns)


def _by_type(column: e.Attribute) -> Column | None:
    limit = limit_of(column.type)
    return None if limit is None else Column(limit)


def _product(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one * other


def _least(one: int | None, other: int) -> int:
    return other if one is None else min(one, other)


def _sum(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


class _Marker:
    def __init__(self, of_leaf: OfLeaf) -> None:
        self._extents = Extents(of_leaf)
        self._types = Ranges()
        self._made: dict[int, r.Relation] = {}

    def relation(self, node: r.Relation) -> r.Relation:
        key = id(node)
        if key not in self._made:
            self._made[key] = self._relation(node)
        return self._made[key]

    def _relation(self, node: r.Relation) -> r.Relation:
        # What Python makes is made by queries of its own.
        if isinstance(node, r.PythonMap | r.GroupedMap | r.Recursive) or not is_dataclass(node):
            return node
        scope: list[Ranges] = []

        def fits(call: e.Call) -> bool:
            if function_of(call).unchecked is None:
                return False
            if self._types.fits(call):
                return True
            if not scope:
                scope.append(Ranges(self._extents.within(node), self._extents.of))
            return scope[0].fits(call)

        def marked(part: e.Expression) -> e.Expression | None:
            if not isinstance(part, e.Call) or part.fits or not fits(part):
                return None
            return replace(
                part, **{item.name: changed(getattr(part, item.name), marked, self.relation) for item in fields(part)} | {"fits": True}
            )

        changes: dict[str, Any] = {}
        for item in fields(node):
            old = getattr(node, item.name)
            if isinstance(old, r.Relation | e.Expression | tuple):
                new = changed(old, marked, self.relation)
                if new is not old:
                    changes[item.name] = new
        return replace(node, **changes) if changes else node
