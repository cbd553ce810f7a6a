"""Subqueries in expressions that the kernel can't plan, or would plan with another meaning, as joins. Pure.

The kernel is left with: any subquery that depends on nothing around it; EXISTS and IN as conditions of a filter of their own; scalar
subqueries of one aggregate whose outer columns are compared by `=`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from quiver.sql import types as t
from quiver.sql.analysis.decorrelation import EMPTY, ZERO, Domain, lateral
from quiver.sql.analysis.implicit_casts import as_type
from quiver.sql.analysis.rewriting import changed, outer_references, parts
from quiver.sql.analysis.typing import nullable, type_of
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import all_of, children_of, conjuncts

if TYPE_CHECKING:
    from quiver.sql.analysis.analyser import Analyser

_SUBQUERIES = (e.Exists, e.InSubquery, e.ScalarSubquery)
_TRUE = e.Literal(True, t.BooleanType())


def unnested(analyser: Analyser, relation: r.Relation) -> r.Relation:
    """A Project, Filter or Aggregate whose subqueries the kernel can take; the same object when they are such already."""
    match relation:
        case r.Filter():
            if not _has(relation.condition):
                return relation
            return _filter(analyser, relation)
        case r.Project():
            if not _has(relation.expressions):
                return relation
            values = _Values(analyser, relation.child)
            made = values.of(relation.expressions)
            return relation if made is relation.expressions else r.Project(values.source, made)
        case r.Aggregate():
            if not _has((relation.keys, relation.outputs)):
                return relation
            values = _Values(analyser, relation.child)
            keys, outputs = values.of(relation.keys), values.of(relation.outputs)
            if keys is relation.keys and outputs is relation.outputs:
                return relation
            return replace(relation, child=values.source, keys=keys, outputs=outputs)
        case _:
            return relation


def _has(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_has, value))
    return isinstance(value, _SUBQUERIES) or any(map(_has, _operands(value)))


def _operands(value: Any) -> Iterator[Any]:
    if isinstance(value, e.Expression):
        yield from children_of(value)


def _filter(analyser: Analyser, relation: r.Filter) -> r.Relation:
    every = conjuncts(_said_of_parts(relation.condition))
    simple = [part for part in every if not _has(part)]
    asking = [part for part in every if _has(part)]
    # What needs no subquery comes first: else one might be asked about every pair of rows of a cross join.
    below = r.Filter(relation.child, all_of(simple)) if simple else relation.child
    values = _Values(analyser, below)
    kept: list[e.Expression] = []
    for part in asking:
        negated = isinstance(part, e.Call) and part.name == "not" and isinstance(part.args[0], e.Exists | e.InSubquery)
        subquery = part.args[0] if isinstance(part, e.Call) and negated else part
        kind = "anti" if negated else "semi"
        if isinstance(subquery, e.Exists):
            if _plain(subquery.relation, values.ids):
                kept.append(part)
            else:
                values.source = lateral(analyser, values.source, subquery.relation, kind, None)
        elif isinstance(subquery, e.InSubquery):
            right = subquery.relation
            # The kernel's null-aware anti join compares one column.
            plain = _plain(right, values.ids) and not (negated and values.depends(right))
            if len(right.output) == 1 and plain and not _has(subquery.child):
                kept.append(part)
            else:
                right = analyser.distinct_from(right, values.source.output)
                test = _equal(values.of(subquery.child), right)
                if negated:
                    test = e.Call("coalesce", (test, _TRUE))
                values.source = lateral(analyser, values.source, right, kind, test)
        else:
            kept.append(values.of(part, in_filter=True))
    if values.source is below and kept == asking:
        return relation
    result = r.Filter(values.source, all_of(kept)) if kept else values.source
    return result if result.output == relation.output else r.Project(result, relation.output)


def _said_of_parts(value: Any) -> Any:
    """With NOT of AND, OR and NOT put on their parts, where one is IN: as in Spark, NOT IN as a value is not what IN is not."""

    def visit(node: e.Expression) -> e.Expression | None:
        if not isinstance(node, e.Call) or node.name != "not" or not _has_in(node):
            return None
        (inner,) = node.args
        if not isinstance(inner, e.Call) or inner.name not in ("and", "or", "not"):
            return None
        if inner.name == "not":
            return cast(e.Expression, _said_of_parts(inner.args[0]))
        negated = tuple(cast(e.Expression, _said_of_parts(e.Call("not", (part,)))) for part in inner.args)
        return e.Call("or" if inner.name == "and" else "and", negated)

    return changed(value, visit, lambda relation: relation)


def _has_in(value: e.Expression) -> bool:
    return isinstance(value, e.InSubquery) or any(map(_has_in, _operands(value)))


def _is_null(expression: e.Expression) -> bool:
    """Whether it is written as null."""
    while isinstance(expression, e.Cast):
        expression = expression.child
    return isinstance(expression, e.Literal) and expression.value is None


def _equal(child: e.Expression, right: r.Relation) -> e.Expression:
    """The test of IN, over both sides."""
    values = child.values if isinstance(child, e.StructOf) and len(right.output) > 1 else (child,)
    return all_of([_compared(value, column) for value, column in zip(values, right.output, strict=True)])


def _compared(left: e.Expression, right: e.Expression) -> e.Expression:
    from quiver.sql.analysis.coercion import expect_common

    kind = expect_common("IN", [type_of(left), type_of(right)])
    return e.Call("=", (as_type(left, kind), as_type(right, kind)))


class _Values:
    """Subqueries as values: `source` is the relation with what they need joined to it."""

    def __init__(self, analyser: Analyser, source: r.Relation) -> None:
        self._analyser = analyser
        self.source = source
        self.ids = frozenset(column.id for column in source.output)

    def of(self, value: Any, in_filter: bool = False) -> Any:
        """Expressions with their subqueries replaced where that is needed."""

        def visit(node: e.Expression) -> e.Expression | None:
            match node:
                case e.Exists():
                    if in_filter and _plain(node.relation, self.ids):
                        return node
                    return self._exists(node.relation)
                case e.InSubquery() if _is_null(node.child):
                    return e.Case(((self._exists(node.relation), e.Literal(None, t.BooleanType())),), e.Literal(False, t.BooleanType()))
                case e.InSubquery():
                    return self._in(self.of(node.child), node.relation)
                case e.Call(name="not") if isinstance(inner := node.args[0], e.InSubquery) and not _is_null(inner.child):
                    return e.Call("not", (self._in(self.of(inner.child), inner.relation, maybe=True),))
                case e.ScalarSubquery():
                    return node if self._kernels(node.relation) else self._scalar(node.relation)
                case _:
                    return None

        return changed(_said_of_parts(value), visit, lambda relation: relation)

    def depends(self, relation: r.Relation) -> bool:
        """Whether a subquery refers to the source's columns."""
        return not self.ids.isdisjoint(outer_references(relation))

    def _domain(self, relation: r.Relation) -> tuple[r.Relation, dict[int, e.Attribute], list[e.Expression]]:
        refers = {number: column for number, column in outer_references(relation).items() if number in self.ids}
        pushed, columns = Domain(self._analyser, self.source, refers).push(relation)
        return pushed, columns, [e.Call("<=>", (refers[number], columns[number])) for number in refers]

    def _exists(self, relation: r.Relation) -> e.Expression:
        if not self.depends(relation):
            if outer_references(relation):
                return e.Exists(relation)
            count = e.Alias(e.Call("count"), "#count", self._analyser.fresh())
            counted = r.Aggregate(r.Limit(relation, 1), (), (count,))
            return e.Call(">", (e.ScalarSubquery(counted), e.Literal(0, t.LongType())))
        pushed, columns, pairs = self._domain(relation)
        found = r.Deduplicate(r.Project(pushed, tuple(columns.values())))
        mark = e.Alias(_TRUE, "#found", self._analyser.fresh())
        marked = r.Project(found, (*columns.values(), mark))
        self.source = r.Join(self.source, marked, "left", all_of(pairs))
        return e.Call("isnotnull", (self.source.output[-1],))

    def _in(self, child: e.Expression, relation: r.Relation, maybe: bool = False) -> e.Expression:
        """Whether a row is equal, or (`maybe`) null may stand for what is. As in Spark, IN and NOT IN as values are never null."""

        def around(node: e.Expression) -> e.Expression | None:
            if isinstance(node, e.OuterReference):
                return node
            return e.OuterReference(node) if isinstance(node, e.Attribute) else None

        fresh = self._analyser.distinct_from(relation, self.source.output)
        test = _equal(changed(child, around), fresh)
        found = self._exists(r.Filter(fresh, test))
        if not maybe:
            return found
        if len(fresh.output) > 1:
            return e.Call("or", (found, self._exists(r.Filter(fresh, e.Call("isnull", (test,))))))
        if nullable(child):
            found = e.Call("or", (found, e.Call("and", (e.Call("isnull", (child,)), self._exists(relation)))))
        for column in fresh.output:
            if column.nullable:
                found = e.Call("or", (found, self._exists(r.Filter(fresh, e.Call("isnull", (column,))))))
        return found

    def _kernels(self, relation: r.Relation) -> bool:
        return not self.depends(relation) or _plain(relation, self.ids, scalar=True)

    def _scalar(self, relation: r.Relation) -> e.Expression:
        pushed, columns, pairs = self._domain(relation)
        value = pushed_value = next(column for column in pushed.output if column.id == relation.output[0].id)
        if not _one_row(relation):
            first = e.Alias(e.Call("first", (pushed_value,)), value.name, self._analyser.fresh())
            count = e.Alias(e.Call("count"), "#count", self._analyser.fresh())
            keys = tuple(columns.values())
            pushed = r.Aggregate(pushed, keys, (*keys, first, count))
        self.source = r.Join(self.source, pushed, "left", all_of(pairs))
        output = self.source.output
        if _one_row(relation):
            return next(column for column in output if column.id == value.id)
        return e.Call("only_row", (output[-2], output[-1]))


def _one_row(relation: r.Relation) -> bool:
    """Whether there is at most one row for each value of the outer columns, whatever the data."""
    while isinstance(relation, r.Project | r.Aliased | r.Filter | r.Sort):
        relation = relation.child
    if isinstance(relation, r.Limit):
        return relation.count is not None and relation.count <= 1
    return isinstance(relation, r.Aggregate) and not relation.keys and relation.sets is None


def _plain(relation: r.Relation, ids: frozenset[int], scalar: bool = False) -> bool:
    """Whether the kernel can plan a subquery that refers to columns of `ids`: only filters do, right below it."""

    def refers(value: Any) -> bool:
        return not ids.isdisjoint(outer_references(value))

    aggregated = computed = False
    while refers(relation):
        match relation:
            case r.Project():
                if refers(relation.expressions):
                    return False
                computed = computed or not all(isinstance(_bare(item), e.Attribute) for item in relation.expressions)
            case r.Filter():
                if any(isinstance(part, _SUBQUERIES) and refers(part) for part in parts(relation.condition)):
                    return False
                if scalar and (not aggregated or not all(map(_by_equality(refers), conjuncts(relation.condition)))):
                    return False
            case r.Aggregate():
                if not scalar or aggregated or relation.keys or relation.sets is not None or refers(relation.outputs):
                    return False
                if computed and any(_of_nothing(item) for item in relation.outputs):
                    return False  # The kernel computes on with what it takes for a group without rows.
                aggregated = True
            case r.Aliased():
                pass
            case _:
                return False
        relation = relation.child
    return True


def _bare(expression: e.Expression) -> e.Expression:
    return expression.child if isinstance(expression, e.Alias) else expression


def _of_nothing(output: e.Expression) -> bool:
    """Whether an aggregate of no rows is not null."""
    call = _bare(output)
    return isinstance(call, e.Call) and call.name in ZERO | EMPTY


def _by_equality(refers: Callable[[Any], bool]) -> Callable[[e.Expression], bool]:
    def check(part: e.Expression) -> bool:
        if not refers(part):
            return True
        if not isinstance(part, e.Call) or part.name != "=":
            return False
        left, right = part.args
        return (isinstance(left, e.OuterReference) and not refers(right)) or (isinstance(right, e.OuterReference) and not refers(left))

    return check
