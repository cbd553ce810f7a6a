"""Parts of a relation in others' places: which may be, and the columns that are made for it. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from quiver.sql import types as t
from quiver.sql.analysis.aggregation import is_aggregate
from quiver.sql.analysis.rewriting import changed
from quiver.sql.analysis.typing import type_of
from quiver.sql.analysis.volatile import VOLATILE
from quiver.sql.lowering.relations import Leaf
from quiver.sql.registry.model import WITH_NULLS
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import attributes_in, children_of, strip_alias, walk

T = TypeVar("T")
_ids = itertools.count(1 << 40)
"""Of columns that only such queries have: sessions count from one."""
_BY_ORDER = frozenset({
    "first", "first_value", "any_value", "last", "last_value", "nth_value", "collect_list", "array_agg", "string_agg", "listagg", "max_by",
    f"collect_list{WITH_NULLS}",
    "min_by", "mode", "row_number", "ntile", "lag", "lead", "monotonically_increasing_id", "spark_partition_id",
})  # fmt: skip
"""What rows in another order may change."""


def aggregates_in(expression: e.Expression, keys: Sequence[e.Expression]) -> Iterator[e.Expression]:
    """The aggregates of an output of a group-by of `keys`."""
    if expression in keys:
        return
    if is_aggregate(expression):
        yield expression
        return
    for child in children_of(expression):
        yield from aggregates_in(child, keys)


def with_given(expressions: Sequence[e.Expression], given: Sequence[tuple[e.Expression, e.Expression]]) -> tuple[e.Expression, ...]:
    """The expressions, which keep their names and ids, with `given` in place of parts."""
    result = []
    for expression in expressions:
        bare = strip_alias(expression)
        made = changed(bare, lambda part: next((new for old, new in given if old == part), None))
        if made is bare:
            result.append(expression)
        elif isinstance(expression, e.Alias):
            result.append(replace(expression, child=made))
        else:
            assert isinstance(expression, e.Attribute)
            result.append(e.Alias(made, expression.name, expression.id, expression.metadata))
    return tuple(result)


def unique(values: Iterable[T]) -> list[T]:
    """Without those that are equal to one before."""
    found: list[T] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def named(expression: e.Expression, name: str) -> e.Alias:
    """As a column that nothing else is called like."""
    return e.Alias(expression, name, next(_ids))


def can_group(keys: Sequence[e.Expression]) -> bool:
    """Whether rows of a group are those whose keys are equal, in a join as well."""
    kinds = [type_of(key) for key in keys]
    return all(isinstance(kind, t.AtomicType) and not isinstance(kind, t.FloatType | t.DoubleType) for kind in kinds) and all(
        attributes_in(key) and not _may_differ(key) for key in keys
    )


def is_constant(key: e.Expression) -> bool:
    """Whether it is surely the same of all rows."""
    own = (e.Windowed, e.ScalarSubquery, e.Exists, e.InSubquery)
    return not attributes_in(key) and not _may_differ(key) and not any(isinstance(node, own) or is_aggregate(node) for node in walk(key))


def is_repeatable(relation: r.Relation) -> bool:
    """Whether it surely gives the same rows whenever it is computed."""
    if isinstance(relation, Leaf | r.Span):
        return True  # What Python makes is made once for a query.
    if isinstance(relation, r.Limit | r.Sample) or (isinstance(relation, r.Deduplicate) and relation.keys is not None):
        return False
    for name in ("expressions", "outputs", "keys"):
        if any(map(_may_differ, getattr(relation, name, None) or ())):
            return False
    for name in ("condition", "generator"):
        part = getattr(relation, name, None)
        if part is not None and _may_differ(part):
            return False
    return all(map(is_repeatable, relation.inputs))


def _may_differ(expression: e.Expression) -> bool:
    for node in walk(expression):
        if isinstance(node, e.PythonCall) or (isinstance(node, e.Call) and node.name.lower() in VOLATILE | _BY_ORDER):
            return True
        if isinstance(node, e.Windowed) and node.window.order_by and node.window.frame is not None and node.window.frame.unit == "rows":
            return True
        if isinstance(node, e.ScalarSubquery | e.Exists | e.InSubquery) and not is_repeatable(node.relation):
            return True
    return False
