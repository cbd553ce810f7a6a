"""Windows of a cut plan say themselves how their rows must be sorted. Pure.

The kernel leaves out a sort when it knows of the rows below that they are in order anyway: at most one row, or a column that equals
another, sorted one. Such knowledge ends at an exchange, and a decoded window refuses rows that it can't tell to be in its order.
"""

from __future__ import annotations

from quiver_proto.fragments import body_of, kind_of
from quiver_proto.v1.kernel_pb2 import Expression, Plan, Sort, SortKey, WindowExpression


def in_order(window: Plan, below: Plan) -> Plan:
    """The input `below` of `window`, with a sort on top unless there is one of these keys."""
    if window.window.HasField("linear") or window.window.HasField("partially_sorted"):
        return below  # It takes rows in any order, or in less.
    needed = window.window.expressions[0]
    if not _keys(needed) or _is_sorted(below, needed):
        return below
    result = Plan()
    source = below.sort.input if kind_of(below) == "sort" and below.sort.fetch < 0 and below.sort.preserve_partitioning else below
    result.sort.CopyFrom(Sort(input=source, expr=_keys(needed), fetch=-1, preserve_partitioning=True))
    return result


def _keys(needed: WindowExpression) -> list[Expression]:
    keys = [SortKey(expr=key, ascending=True) for key in needed.partition_by]
    return [Expression(sort=key) for key in _distinct([*keys, *needed.order_by])]


def _is_sorted(plan: Plan, needed: WindowExpression) -> bool:
    """By the keys that make partitions in any order and direction, then by the window's own."""
    while kind_of(plan) == "window":  # Adds columns to the right, and keeps its rows.
        plan = plan.window.input
    if kind_of(plan) != "sort":
        return False
    having = _distinct([key.sort for key in body_of(plan).expr])
    needing = _distinct([key.sort for key in _keys(needed)])
    count = len({key.SerializeToString() for key in needed.partition_by})
    if {key.expr.SerializeToString() for key in having[:count]} != {key.expr.SerializeToString() for key in needing[:count]}:
        return False
    return having[count : len(needing)] == needing[count:]


def _distinct(keys: list[SortKey]) -> list[SortKey]:
    """Without those whose expression comes before: rows that differ in it are in order already."""
    first: dict[bytes, SortKey] = {}
    for key in keys:
        first.setdefault(key.expr.SerializeToString(), key)
    return list(first.values())
