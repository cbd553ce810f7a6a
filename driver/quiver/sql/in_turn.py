"""Partitions of one task that are read one after the other, where it shows in which order their rows come.

The kernel lets partitions race for what reads them all: a limit's rows were any of them, a list of all rows was in any order. Nobody
promises an order without a sort, but rows of files, lists and series are stored in one, and programs see it. Below what shows it, here:

* what deals rows round robin, only to have more partitions, is left out;
* where rows are still in several partitions, each is numbered, and a merge of runs sorted by that number reads them in turn, while they
  are computed side by side.

It is so wherever rows lie in their partitions as they are stored: above scans, series and rows of the program, through what works on each
row by itself, and unions. Other partitions, as those of joins and groups, still race. In stages pieces are read in the order of their
tasks.

The merge takes each row by itself (up to 0.3 us), on one core. So the rows that are dealt to groups by their keys come in turn only where
few bytes are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from quiver_proto.errors import UnsupportedPlan
from quiver_proto.fragments import PASSING, SCANS, at_partition, body_of, children, copied, kind_of, read_bytes, scans, width
from quiver_proto.v1.kernel_pb2 import ColumnExpression, Opaque, Plan

Columns = Callable[[Plan], Sequence[str]]
"""The names of a fragment's columns, which only the kernel knows."""

SHOWING: Final = frozenset({
    "first_value", "last_value", "any_value", "array_agg", "collect_list", "string_agg", "listagg", "nth_value",
})  # fmt: skip
"""The kernel's aggregates that depend on the order of rows."""
_TEXTS: Final = (" LIMIT ", " OFFSET ", " OVER (", "DISTINCT ON", *(f"{name}(" for name in sorted(SHOWING)))
_STORED: Final = SCANS | {"memory_scan", "generate_series", "empty", "placeholder_row"}
_SORTED: Final = frozenset({"sort", "sort_preserving_merge"})
_ROW_BY_ROW: Final = (PASSING - {"aggregate"}) | {"global_limit"}
_EACH_ROW: Final = _ROW_BY_ROW - {"filter", "window"}
"""What gives all rows that it is given, or more."""
_PARTIAL = 0
"""The mode of an aggregate of a partition's rows, of which another makes the result."""
_FEW = 128 << 20
"""Bytes of files, of which the groups' rows come in turn."""
_NUMBER = "#partition"


def may_show_order(text: str) -> bool:
    """Whether a query may have anything that shows in which order rows come: nothing is to be done for others."""
    return any(each in text for each in _TEXTS)


def with_partitions_in_turn(plan: Plan, columns: Columns) -> bool:
    """Have limits, aggregates and windows of `plan` that show in which order rows come see them as they are stored.

    Whether there was anything to do.
    """
    try:
        return _seen_in_order(plan, columns)
    except UnsupportedPlan:  # There is an operator that only the kernel knows.
        return False


def in_turn(plan: Plan, columns: Columns) -> Plan | None:
    """The plan's rows as one partition, as they are stored; None where its partitions don't follow one another."""
    result = Plan()
    result.merge.input.CopyFrom(plan)
    _put_in_order(result, columns)
    return None if result.WhichOneof("node") == "merge" else result


def _seen_in_order(plan: Plan, columns: Columns) -> bool:
    changed = [_seen_in_order(child, columns) for child in children(plan)]
    kind, body = kind_of(plan), body_of(plan)
    if kind == "global_limit" or (kind == "merge" and body.HasField("fetch")):
        return _put_in_order(plan, columns) or any(changed)
    lists = kind == "aggregate" and body.mode != _PARTIAL and any(call.function.name in SHOWING for call in body.calls)
    numbers = kind == "window" and not any(function.partition_by for function in body.expressions)
    return _put_in_order(body.input, columns) or any(changed) if lists or numbers else any(changed)


def _put_in_order(plan: Plan, columns: Columns) -> bool:
    """Have `plan` give its rows as they are stored, as far as they are; whether that changed it."""
    kind, body = kind_of(plan), body_of(plan)
    if kind == "union":
        return sum([_put_in_order(branch, columns) for branch in body.inputs]) > 0
    if kind in _ROW_BY_ROW or (kind == "aggregate" and body.mode == _PARTIAL):
        return _put_in_order(body.input, columns)
    if kind == "repartition" and body.partitioning.WhichOneof("scheme") != "hash":
        plan.CopyFrom(copied(body.input))
        _put_in_order(plan, columns)
        return True
    if kind not in ("repartition", "merge"):
        return False
    changed = _put_in_order(body.input, columns)
    several = width(body.input) > 1
    single = _as_one(body.input, columns) if kind == "merge" or (several and _bytes(body.input) <= _FEW) else None
    if single is None:
        return changed
    if kind == "repartition":
        body.input.CopyFrom(single)
    elif body.HasField("fetch"):
        fetch = body.fetch
        plan.global_limit.input.CopyFrom(single)
        plan.global_limit.fetch = fetch
    else:
        plan.CopyFrom(single)
    return True


def _as_one(plan: Plan, columns: Columns) -> Plan | None:
    """The plan's rows as one partition, in order; None where they are in none."""
    if width(plan) == 1:
        return copied(plan)
    if not _is_stored(plan):
        return None
    below = plan
    while kind_of(below) in _EACH_ROW:
        below = body_of(below).input
    if kind_of(below) not in SCANS:
        return _one_after_the_other(plan, columns)
    # Whoever wants some of these rows finds them in the first files: others need not be opened.
    result = copied(plan)
    (scan,) = scans(result)
    for group in scan.base_conf.file_groups[1:]:
        scan.base_conf.file_groups[0].files.extend(group.files)
    del scan.base_conf.file_groups[1:]
    return result


def _bytes(plan: Plan) -> int:
    return sum(read_bytes(file) for scan in scans(plan) for group in scan.base_conf.file_groups for file in group.files)


def _is_stored(plan: Plan) -> bool:
    """Whether rows lie in their partitions as they are stored, one partition after the other."""
    kind, body = kind_of(plan), body_of(plan)
    if kind == "union":
        return all(map(_is_stored, body.inputs))
    if kind in _ROW_BY_ROW or (kind == "aggregate" and body.mode == _PARTIAL):
        return _is_stored(body.input)
    return kind in _STORED or (kind in _SORTED and width(plan) == 1)


def _one_after_the_other(plan: Plan, columns: Columns) -> Plan:
    names = columns(plan)
    merged = Plan()
    for partition in range(width(plan)):
        number = ColumnExpression()
        number.literal.int32 = partition
        _project(merged.sort_preserving_merge.input.union.inputs.add(), at_partition(plan, partition), names, number)
    key = merged.sort_preserving_merge.expr.add().sort
    key.expr.CopyFrom(_opaque(_column(_NUMBER, len(names))))
    key.ascending = True
    merged.sort_preserving_merge.fetch = -1
    result = Plan()
    _project(result, merged, names)
    return result


def _project(into: Plan, below: Plan, names: Sequence[str], number: ColumnExpression | None = None) -> None:
    """Columns of these names, the first of `below`, and maybe the number of its partition."""
    body = into.projection
    body.input.CopyFrom(below)
    for place, name in enumerate(names):
        body.expressions.append(_opaque(_column(name, place)))
        body.names.append(name)
    if number is not None:
        body.expressions.append(_opaque(number))
        body.names.append(_NUMBER)


def _column(name: str, index: int) -> ColumnExpression:
    made = ColumnExpression()
    made.column.name = name
    made.column.index = index
    return made


def _opaque(expression: ColumnExpression) -> Opaque:
    return Opaque.FromString(expression.SerializeToString())
