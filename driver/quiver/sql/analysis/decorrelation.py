"""Subqueries that depend on the row around them, as joins that don't. Pure.

A subquery is computed for all values of the outer columns that it refers to at once: these values, each once, are its *domain*, which is
joined in at the leaves and carried up as further columns; grouping, numbering and comparing are then done per value of the domain.
(T. Neumann, A. Kemper: Unnesting Arbitrary Queries, 2015.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from quiver.sql import types as t
from quiver.sql.analysis.rewriting import changed, outer_references
from quiver.sql.analysis.typing import type_of
from quiver.sql.errors import AnalysisException
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import all_of

if TYPE_CHECKING:
    from quiver.sql.analysis.analyser import Analyser

ZERO = frozenset({"count", "count_if", "approx_count_distinct", "regr_count"})
EMPTY = frozenset({"collect_list", "collect_set", "array_agg"})
Columns = Mapping[int, e.Attribute]
"""Columns that stand for outer ones, by the ids of those."""


def lateral(analyser: Analyser, left: r.Relation, right: r.Relation, kind: str, condition: e.Expression | None) -> r.Relation:
    """The join of each row of `left` with what `right` gives for it. `kind`: inner, left, semi or anti."""
    wanted = {column.id for column in left.output}
    refers = {number: column for number, column in outer_references(right).items() if number in wanted}
    if not refers:
        return r.Join(left, right, "cross" if condition is None and kind == "inner" else kind, condition)
    domain = Domain(analyser, left, refers)
    pushed, columns = domain.push(right)
    conditions = [e.Call("<=>", (refers[number], columns[number])) for number in refers]
    joined = r.Join(left, pushed, kind, all_of([*conditions, *([] if condition is None else [condition])]))
    if kind in ("semi", "anti"):
        return joined
    ids = {column.id for column in (*left.output, *right.output)}
    return r.Project(joined, tuple(column for column in joined.output if column.id in ids))


def _typed(value: e.Expression, kind: t.DataType) -> e.Expression:
    return value if type_of(value) == kind else e.Cast(value, kind)


class Domain:
    """The values of outer columns (`refers`, by id) that `left` has; `push` computes a subquery for all of them."""

    def __init__(self, analyser: Analyser, left: r.Relation, refers: Mapping[int, e.Attribute]) -> None:
        self._analyser = analyser
        self._left = left
        self._refers = refers

    def _made(self) -> tuple[r.Relation, dict[int, e.Attribute]]:
        """The domain, with columns of its own."""
        analyser = self._analyser
        values = r.Deduplicate(r.Project(self._left, tuple(self._refers.values())))
        fresh = tuple(replace(column, id=analyser.fresh(), qualifier=()) for column in self._refers.values())
        return r.Aliased(values, "", fresh), dict(zip(self._refers, fresh, strict=True))

    def _depends(self, value: Any) -> bool:
        return any(number in self._refers for number in outer_references(value))

    def push(self, relation: r.Relation) -> tuple[r.Relation, dict[int, e.Attribute]]:
        """(the relation for all values of the domain, the columns that say of which)."""
        if not self._depends(relation):
            domain, columns = self._made()
            return r.Join(domain, relation, "cross", None), columns
        match relation:
            case r.Project():
                child, columns = self.push(relation.child)
                kept = [column for column in columns.values() if all(column != item for item in relation.expressions)]
                return r.Project(child, (*self._over(relation.expressions, columns), *kept)), columns
            case r.Filter():
                child, columns = self.push(relation.child)
                return r.Filter(child, self._over(relation.condition, columns)), columns
            case r.Aggregate():
                return self._aggregate(relation)
            case r.Limit():
                return self._limit(relation)
            case r.Sort():
                child, columns = self.push(relation.child)
                return replace(relation, child=child, keys=self._over(relation.keys, columns)), columns
            case r.Deduplicate():
                child, columns = self.push(relation.child)
                keys = None if relation.keys is None else (*relation.keys, *columns.values())
                return r.Deduplicate(child, keys), columns
            case r.Aliased():
                child, columns = self.push(relation.child)
                fresh = self._renewed(columns)
                below = r.Project(child, (*relation.child.output, *columns.values()))
                return r.Aliased(below, relation.name, (*relation.columns, *fresh.values())), fresh
            case r.Generate():
                child, columns = self.push(relation.child)
                return replace(relation, child=child, generator=self._over(relation.generator, columns)), columns
            case r.Join():
                return self._join(relation)
            case r.Union():
                pushed = [self._aligned(branch) for branch in relation.branches]
                columns = self._renewed(pushed[0][1])
                return r.Union(tuple(branch for branch, _ in pushed), (*relation.columns, *columns.values())), columns
            case r.SetOperation():
                (left, columns), (right, _) = self._aligned(relation.left), self._aligned(relation.right)
                return replace(relation, left=left, right=right), columns
            case r.Hint() | r.Repartition() | r.Sample():
                child, columns = self.push(relation.child)
                return replace(relation, child=child), columns
            case _:
                raise AnalysisException(
                    f"A correlated subquery can't hold {type(relation).__name__} that refers to the query around.",
                    "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.ACCESSING_OUTER_QUERY_COLUMN_IS_NOT_ALLOWED",
                )

    def _over(self, value: Any, columns: Columns) -> Any:
        """Outer references as columns of the domain; windows are per value of it."""

        def visit(node: e.Expression) -> e.Expression | None:
            if isinstance(node, e.OuterReference):
                return columns.get(node.attribute.id)
            if isinstance(node, e.Windowed):
                function, window = changed(node.function, visit, inside), changed(node.window, visit, inside)
                return e.Windowed(function, replace(window, partition_by=(*window.partition_by, *columns.values())))
            return None

        def inside(relation: r.Relation) -> r.Relation:
            def deeper(node: e.Expression) -> e.Expression | None:
                if isinstance(node, e.OuterReference) and node.attribute.id in columns:
                    return e.OuterReference(columns[node.attribute.id])
                return None

            found: r.Relation = changed(relation, deeper)
            return found

        return changed(value, visit, inside)

    def _renewed(self, columns: Columns) -> dict[int, e.Attribute]:
        return {number: replace(column, id=self._analyser.fresh()) for number, column in columns.items()}

    def _aligned(self, branch: r.Relation) -> tuple[r.Relation, dict[int, e.Attribute]]:
        pushed, columns = self.push(branch)
        return r.Project(pushed, (*branch.output, *columns.values())), columns

    def _aggregate(self, relation: r.Aggregate) -> tuple[r.Relation, dict[int, e.Attribute]]:
        if relation.sets is not None:
            raise AnalysisException(
                "Grouping sets can't be used in a correlated subquery.",
                "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.CORRELATED_REFERENCE",
            )
        child, columns = self.push(relation.child)
        marks = tuple(columns.values())
        keys, outputs = self._over(relation.keys, columns), self._over(relation.outputs, columns)
        grouped = r.Aggregate(child, (*marks, *keys), (*outputs, *marks))
        if relation.keys:
            return grouped, columns
        # Without keys there is a row for every value of the domain, even where there was nothing to aggregate.
        domain, fresh = self._made()
        pairs = [e.Call("<=>", (fresh[number], columns[number])) for number in columns]
        joined = r.Join(domain, grouped, "left", all_of(pairs))
        items = [
            replace(column, child=self._of_nothing(column.child, output)) if isinstance(column, e.Alias) else output
            for column, output in zip(relation.outputs, joined.output[len(fresh) :], strict=False)
        ]
        return r.Project(joined, (*items, *fresh.values())), fresh

    def _of_nothing(self, made: e.Expression, column: e.Attribute) -> e.Expression:
        if isinstance(made, e.Call) and made.name in ZERO:
            return e.Call("coalesce", (column, _typed(e.Literal(0, t.LongType()), column.type)))
        if isinstance(made, e.Call) and made.name in EMPTY:
            return e.Call("coalesce", (column, e.Cast(e.Call("array"), column.type)))
        return column

    def _limit(self, relation: r.Limit) -> tuple[r.Relation, dict[int, e.Attribute]]:
        below = relation.child
        if isinstance(below, r.Project) and isinstance(below.child, r.Sort):
            return self.push(replace(below, child=replace(relation, child=below.child)))
        keys: tuple[e.SortKey, ...] = ()
        if isinstance(below, r.Sort):
            keys, below = below.keys, below.child
        child, columns = self.push(below)
        marks = tuple(columns.values())
        order = self._over(keys, columns) or tuple(map(e.SortKey, marks))
        number = e.Alias(e.Windowed(e.Call("row_number"), e.WindowSpec(marks, order)), "#number", self._analyser.fresh())
        numbered = r.Project(child, (*child.output, number))
        position = _typed(numbered.output[-1], t.LongType())
        tests: list[e.Expression] = [e.Call(">", (position, e.Literal(relation.offset, t.LongType())))]
        if relation.count is not None:
            tests.append(e.Call("<=", (position, e.Literal(relation.offset + relation.count, t.LongType()))))
        return r.Project(r.Filter(numbered, all_of(tests)), child.output), columns

    def _join(self, relation: r.Join) -> tuple[r.Relation, dict[int, e.Attribute]]:
        if relation.kind == "full":
            raise AnalysisException(
                "A FULL JOIN can't refer to the query around it.", "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.CORRELATED_REFERENCE"
            )
        mirrored = relation.kind == "right"
        main, other = (relation.right, relation.left) if mirrored else (relation.left, relation.right)
        pushed, columns = self.push(main)
        conditions = [] if relation.condition is None else [self._over(relation.condition, columns)]
        if self._depends(other):
            other, others = self.push(other)
            conditions += [e.Call("<=>", (columns[number], others[number])) for number in columns]
        left, right = (other, pushed) if mirrored else (pushed, other)
        kind = "inner" if relation.kind == "cross" and conditions else relation.kind
        return r.Join(left, right, kind, all_of(conditions) if conditions else None, relation.hint), columns
