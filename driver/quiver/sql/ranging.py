"""Rows dealt by ranges of keys, for `repartitionByRange`: bounds from a sample, and what the kernel deals rows by."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from quiver.rdd_pairs import choose_bounds
from quiver.sql.kernel import encoded, session
from quiver.sql.spreading import Key, Ranges, Spread
from quiver_proto.sampled_rows import SampleRows
from quiver_proto.v1.kernel_pb2 import ColumnExpression, Opaque, Plan

if TYPE_CHECKING:
    import datafusion
    import pyarrow as pa

    from quiver.rdd import RDD
    from quiver.sql.tree import relations as r

SAMPLES = 100
"""Rows that are looked at for each range."""


def bounded(spread: Spread | None, rows: Callable[[r.Relation], RDD[pa.RecordBatch]], count: int) -> Spread | None:
    """With the bounds of its ranges, for which a job samples the keys; as it is if it has none. `count`: of ranges, where it says none."""
    if spread is None or spread.ranges is None or spread.ranges.numbered or (spread.count or count) == 1:
        return spread
    found = bounds(rows(spread.ranges.sampled), spread.ranges.keys, spread.count or count)
    return replace(spread, count=spread.count or count, ranges=replace(spread.ranges, bounds=tuple(found)))


def dealing(spread: Spread | None, frame: datafusion.DataFrame) -> Spread | None:
    """With what the kernel is to hash of the rows that `frame` plans."""
    if spread is None or spread.ranges is None or not spread.ranges.bounds or spread.count is None:
        return spread
    return replace(spread, dealt_by=dealer(frame.schema(), spread.ranges, spread.count))


def bounds(rows: RDD[pa.RecordBatch], keys: Sequence[Key], count: int) -> list[tuple[Any, ...]]:
    """The keys of the last rows of all `count` ranges but the last, by a sample: runs a job. Fewer where values are few."""
    limit = max(SAMPLES, -(-3 * SAMPLES * count // max(1, rows.getNumPartitions())))
    samples = rows._apply(SampleRows(limit), with_index=True)
    placed = [(seen, [_Placed(row, keys) for row in some]) for seen, some in samples]
    result: list[tuple[Any, ...]] = []
    for each in choose_bounds(placed, count):
        if not result or each.row != result[-1]:
            result.append(each.row)
    return result


class _Placed:
    """A row of keys, as it is ordered."""

    __slots__ = ("_place", "row")

    def __init__(self, row: tuple[Any, ...], keys: Sequence[Key]) -> None:
        self.row = row
        self._place = [
            (key.nulls_first is not (value is None), _Turned(value) if not key.ascending else _Plain(value))
            for key, value in zip(keys, row)
        ]

    def __lt__(self, other: _Placed) -> bool:
        return self._place < other._place


@functools.total_ordering
class _Plain:
    """A value among those of its column: NaN is more than all others."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = (value != value, None if value != value else value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Plain) and self._value == other._value

    def __lt__(self, other: _Plain) -> bool:
        return self._value != other._value and self._value < other._value


class _Turned(_Plain):
    __slots__ = ()

    def __lt__(self, other: _Plain) -> bool:
        return _Plain.__lt__(other, self)


def dealer(schema: pa.Schema, ranges: Ranges, count: int) -> Opaque:
    """What the kernel is to hash, of rows of that schema, so that range n comes into partition n of `count`."""
    import pyarrow as pa
    from datafusion import column, functions, lit

    numbers, keys = landing(count), ranges.keys
    # Parts that are alike would be computed below, and columns would have other places.
    context = session(1, settings=(("datafusion.optimizer.max_passes", "0"),))
    context.register_record_batches("rows", [[pa.RecordBatch.from_pylist([], schema)]])
    columns = [column(_quoted(key.name)) for key in keys]
    if ranges.numbered:
        size = lit(pa.scalar(count, pa.int32()))
        columns = [((columns[0] % size) + size) % size]  # Null comes first.
    kinds = [_plain_type(schema.field(key.name).type) for key in keys]

    def in_or_below(place: int, row: tuple[Any, ...]) -> datafusion.Expr:
        """Of the keys from `place` on."""
        key, value = columns[place], row[place]
        if value is None:
            below = lit(False) if keys[place].nulls_first else key.is_not_null()
            same = key.is_null()
        else:
            bound = lit(pa.scalar(value, kinds[place]))
            nearer = key < bound if keys[place].ascending else key > bound
            below = key.is_null() | nearer if keys[place].nulls_first else key.is_not_null() & nearer
            same = key.is_not_null() & (key == bound)
        return below | same if place + 1 == len(keys) else below | (same & in_or_below(place + 1, row))

    first, *others = ranges.bounds
    case = functions.when(in_or_below(0, first), lit(numbers[0]))
    for number, row in zip(numbers[1:], others):
        case = case.when(in_or_below(0, row), lit(number))
    rows = context.table("rows")
    ranged = case.otherwise(lit(numbers[len(ranges.bounds)])).alias("range")
    # With all columns, so that those in the expression keep their places.
    plan = encoded(rows.select(*(column(_quoted(name)) for name in schema.names), ranged).execution_plan())
    return plan.projection.expressions[-1]


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    return pa.string() if pa.types.is_string_view(kind) else pa.binary() if pa.types.is_binary_view(kind) else kind


@functools.cache
def landing(count: int) -> tuple[int, ...]:
    """For each of `count` partitions a number that the kernel, dealing by hash, puts there."""
    import pyarrow as pa
    from datafusion.plan import ExecutionPlan

    context = session(1)
    tried = 32 * count
    while True:
        name = f"numbers_{tried}"
        context.register_record_batches(name, [[pa.record_batch({"number": pa.array(range(tried), pa.int64())})]])
        plan = Plan()
        plan.repartition.input.CopyFrom(encoded(context.table(name).execution_plan()))
        hashing = plan.repartition.partitioning.hash
        hashing.partition_count = count
        written = ColumnExpression()
        written.column.name = "number"
        hashing.hash_expr.append(Opaque.FromString(written.SerializeToString()))
        dealing = ExecutionPlan.from_bytes(context, plan.SerializeToString())
        firsts = (next(iter(context.execute(dealing, place)), None) for place in range(count))
        found = [batch.to_pyarrow()[0][0].as_py() for batch in firsts if batch is not None]
        if len(found) == count:
            return tuple(found)
        tried *= 2
