"""How many partitions rows are in, where the program says so and it shows: `df.repartition(8).write…`, `df.coalesce(1).rdd`. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from quiver.sql import types as t
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver_proto.errors import UnsupportedPlan
from quiver_proto.fragments import width
from quiver_proto.v1.kernel_pb2 import ColumnExpression, Opaque, Plan


@dataclass(frozen=True, slots=True)
class Spread:
    """Rows in `count` partitions (None: as many as there are), by the hash of `columns` (name in the kernel, position). `at_most`: fewer
    do as well."""

    count: int | None
    columns: tuple[tuple[str, int], ...]
    at_most: bool = False

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
    # By range, too, rows of equal keys are together; which other keys lie beside them is not what files or partitions are counted by.
    asked = [key.child if isinstance(key, e.SortKey) else key for key in node.keys]
    keys = [key.id for key in asked if isinstance(key, e.Attribute)]
    if not keys or len(keys) < len(node.keys) or any(key not in kept for key in keys):
        # Rows that are equal stay together: what is made again deals them alike.
        keys = [column.id for column in relation.output if isinstance(column.type, t.AtomicType)] or [c.id for c in relation.output]
    return Spread(node.count, tuple(kept[key] for key in keys), node.coalesce)


def _is_rebalance(node: r.Relation) -> bool:
    return isinstance(node, r.Hint) and node.name == "rebalance"
