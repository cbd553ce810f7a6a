"""How many partitions rows are in, where the program says so and it shows: `df.repartition(8).write…`, `df.coalesce(1).rdd`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quiver.sql import types as t
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver_proto.errors import UnsupportedPlan
from quiver_proto.fragments import width
from quiver_proto.v1.kernel_pb2 import ColumnExpression, Opaque, Plan


@dataclass(frozen=True, slots=True)
class Key:
    """A column that rows are in ranges of: its name in the kernel."""

    name: str
    ascending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class Ranges:
    """`keys` of the rows that are dealt; `sampled`: a relation of their values, in this order. `bounds`: keys of the last rows of all
    ranges but the last, once they are known. `numbered`: the one key says which partition, counted around."""

    keys: tuple[Key, ...]
    sampled: r.Relation
    bounds: tuple[tuple[Any, ...], ...] = ()
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """Rows in `count` partitions (None: as many as there are), by the hash of `columns` (name in the kernel, position). `at_most`: fewer
    do as well. `ranges`: rather by ranges of keys; `dealt_by` is what the kernel then hashes instead (quiver.sql.ranging)."""

    count: int | None
    columns: tuple[tuple[str, int], ...]
    at_most: bool = False
    ranges: Ranges | None = None
    dealt_by: Opaque | None = None

    @property
    def single(self) -> bool:
        """All rows in one."""
        return self.count == 1

    @property
    def exact(self) -> bool:
        """Just so many partitions."""
        return self.count is not None and not self.at_most

    def applied(self, plan: Plan, pieces: int | None) -> Plan:
        """The plan with such partitions. `pieces`: of its exchanges; None: it is one task, and one partition is left to the sink."""
        try:
            now = width(plan)
        except UnsupportedPlan:
            return plan  # Its one task leaves the files that it leaves.
        count = self.count or pieces or now
        if (count == 1 or self.at_most) and now <= count:
            return plan
        result = Plan()
        if count == 1:
            if pieces is None:
                return plan
            result.merge.input.CopyFrom(plan)
            return result
        result.repartition.input.CopyFrom(plan)
        hashing = result.repartition.partitioning.hash
        hashing.partition_count = count
        if self.dealt_by is not None:
            hashing.hash_expr.append(self.dealt_by)
            return result
        for name, position in self.columns:
            written = ColumnExpression()
            written.column.name = name
            written.column.index = position
            hashing.hash_expr.append(Opaque.FromString(written.SerializeToString()))
        return result


def spread_of(relation: r.Relation) -> Spread | None:
    """What the last repartition or coalesce says, where nothing after it moves rows; None where there is none."""
    node = relation
    while not _is_rebalance(node) and (
        isinstance(node, r.Project | r.Aliased | r.Filter | r.Hint) or (isinstance(node, r.Sort) and not node.globally)
    ):
        node = node.child
    if isinstance(node, r.Hint):
        counts = [argument for argument in node.arguments if isinstance(argument, int)]
        node = r.Repartition(
            node.child, counts[0] if counts else None, tuple(key for key in node.arguments if isinstance(key, e.Expression))
        )
    elif not isinstance(node, r.Repartition) or (node.count is None and not node.keys):
        return None
    kept = {column.id: (f"{column.name}#{column.id}", position) for position, column in enumerate(relation.output)}
    if isinstance(relation, r.Project):
        for expression, position in zip(relation.expressions, kept.copy().values(), strict=True):
            # A column's text says which value it was.
            while isinstance(expression, e.Alias | e.Cast):
                expression = expression.child
            if isinstance(expression, e.Attribute):
                kept.setdefault(expression.id, position)
    asked = [key.child if isinstance(key, e.SortKey) else key for key in node.keys]
    keys = [key.id for key in asked if isinstance(key, e.Attribute)]
    if not keys or len(keys) < len(node.keys) or any(key not in kept for key in keys):
        # Rows that are equal stay together: what is made again deals them alike.
        keys = [column.id for column in relation.output if isinstance(column.type, t.AtomicType)] or [c.id for c in relation.output]
    return Spread(
        node.count, tuple(kept[key] for key in keys), node.coalesce, _ranges(node, relation) if node.by_range or node.by_number else None
    )


def _ranges(node: r.Repartition, relation: r.Relation) -> Ranges | None:
    """None where a key is no column of the rows that are dealt, or of a type without order: equal keys are together all the same."""
    names = {column.id: f"{column.name}#{column.id}" for column in relation.output}
    if isinstance(relation, r.Project):
        for expression, column in zip(relation.expressions, relation.output, strict=True):
            while isinstance(expression, e.Alias):
                expression = expression.child
            if isinstance(expression, e.Attribute):
                names.setdefault(expression.id, f"{column.name}#{column.id}")
    keys: list[Key] = []
    columns: list[e.Attribute] = []
    for asked in node.keys:
        key = asked if isinstance(asked, e.SortKey) else e.SortKey(asked)
        if not isinstance(key.child, e.Attribute) or key.child.id not in names or not isinstance(key.child.type, t.AtomicType):
            return None
        first = key.ascending if key.nulls_first is None else key.nulls_first
        keys.append(Key(names[key.child.id], key.ascending, first))
        columns.append(key.child)
    bounds = tuple((number,) for number in range((node.count or 1) - 1)) if node.by_number else ()
    return Ranges(tuple(keys), r.Project(node.child, tuple(columns)), bounds, node.by_number)


def _is_rebalance(node: r.Relation) -> bool:
    return isinstance(node, r.Hint) and node.name == "rebalance"
