"""Where a physical plan is cut into stages: at every exchange of rows between partitions. Pure: what the kernel must be asked is given.

RepartitionExec (hash)        a stage whose tasks deal their rows into pieces; what is above reads a piece per partition
CoalescePartitionsExec        a stage of one piece, read whole
SortPreservingMergeExec       a stage of sorted runs, merged by what is above
scalar subquery               a stage of one row, read by every fragment that refers to it
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quiver.sql.window_order import in_order
from quiver_proto.errors import UnsupportedPlan
from quiver_proto.fragments import (
    COLLECT_LEFT,
    PARTITIONED,
    Exchange,
    JoinType,
    body_of,
    children,
    copied,
    exchange_of,
    kind_of,
    scans,
    width,
)
from quiver_proto.v1.kernel_pb2 import Hash, Plan

_T = JoinType
EMITS_LEFT = frozenset({_T.LEFT, _T.FULL, _T.LEFT_SEMI, _T.LEFT_ANTI, _T.LEFT_MARK})
EMITS_RIGHT = frozenset({_T.RIGHT, _T.FULL, _T.RIGHT_SEMI, _T.RIGHT_ANTI, _T.RIGHT_MARK})
"""Joins that give rows of that side by themselves, which must be seen by one task only."""
NEEDS_LEFT = frozenset({_T.INNER, _T.LEFT, _T.LEFT_SEMI, _T.LEFT_ANTI, _T.RIGHT_SEMI, _T.LEFT_MARK})
NEEDS_RIGHT = frozenset({_T.INNER, _T.RIGHT, _T.LEFT_SEMI, _T.RIGHT_SEMI, _T.RIGHT_ANTI, _T.RIGHT_MARK})
"""Joins in which rows of the other side do nothing unless they meet one of that side: nothing at all when it is empty."""


@dataclass(frozen=True, slots=True)
class CutStage:
    """One stage that leaves a shuffle: `plan` computes its partitions, `hash` (None: one piece) deals their rows into `pieces`.

    `reads` are the shuffles that it reads, each once. `schema` is the serialised Arrow schema of its rows.
    """

    shuffle_id: int
    plan: Plan
    hash: Hash | None
    pieces: int
    reads: tuple[int, ...]
    schema: bytes


@dataclass(frozen=True, slots=True)
class CutPlan:
    """`stages`, parents first, and the plan of the result with what it reads."""

    stages: tuple[CutStage, ...]
    result: Plan
    reads: tuple[int, ...]
    keeps_width: bool = False
    """The result's partitions were asked for: none are put together or split."""


@dataclass(frozen=True, slots=True)
class Described:
    """What the kernel says of a fragment's rows: their serialised Arrow schema, and an `arrow_scan` node that reads such rows."""

    schema: bytes
    scan: Plan


def cut(plan: Plan, describe: Callable[[Plan], Described], new_shuffle: Callable[[], int], pieces: int) -> CutPlan:
    """Cut `plan`. Joins that have to be partitioned anew get `pieces` partitions. Raises UnsupportedPlan."""
    cutter = _Cutter(describe, new_shuffle, pieces)
    result = cutter.cut(plan)
    return CutPlan(tuple(cutter.stages), result, reads_of(result))


def reads_of(plan: Plan) -> tuple[int, ...]:
    """The shuffles that a fragment reads, each once."""
    found = (exchange_of(group) for scan in scans(plan) for group in scan.base_conf.file_groups)
    return tuple(dict.fromkeys(exchange.shuffle_id for exchange in found if exchange is not None))


class _Cutter:
    def __init__(self, describe: Callable[[Plan], Described], new_shuffle: Callable[[], int], pieces: int) -> None:
        self.stages: list[CutStage] = []
        self._describe = describe
        self._new_shuffle = new_shuffle
        self._pieces = pieces
        self._subqueries: list[Plan] = []
        """Scans of the results of the scalar subqueries around: expressions refer to them by position."""

    def cut(self, plan: Plan) -> Plan:
        """The plan with a scan in place of everything below its exchanges."""
        kind, body = kind_of(plan), body_of(plan)
        match kind:
            case "scalar_subquery":
                return self._cut_subqueries(plan)
            case "repartition":
                below = self.cut(body.input)
                if body.partitioning.WhichOneof("scheme") != "hash":
                    return below  # Its only purpose is to have more partitions.
                hashing = Hash()
                hashing.CopyFrom(body.partitioning.hash)
                return self._exchange(below, hashing, int(hashing.partition_count))
            case "merge":
                below = self.cut(body.input)
                merged = below if width(below) == 1 else self._exchange(below, None, 1)
                if not body.HasField("fetch"):
                    return merged
                limit = Plan()
                limit.global_limit.input.CopyFrom(merged)
                limit.global_limit.fetch = body.fetch
                return limit
            case "sort_preserving_merge":
                return self._with_inputs(plan, [self._runs(self.cut(body.input))])
            case "hash_join" if body.partition_mode == COLLECT_LEFT and body.join_type in EMITS_LEFT:
                return self._cut_build_that_emits(plan)
            case "nested_loop_join" | "cross_join" if kind == "cross_join" or body.join_type in EMITS_LEFT:
                left = self._single(self.cut(body.left))
                right = self.cut(body.right)
                if kind == "nested_loop_join":
                    right = self._single(right)  # Each task would emit the left rows that only others match.
                return self._with_inputs(plan, [left, right])
            case "window":
                return self._with_inputs(plan, [in_order(plan, self.cut(body.input))])
            case "interleave":
                raise UnsupportedPlan("an interleaved union")
            case _:
                return self._with_inputs(plan, [self.cut(child) for child in children(plan)])

    def _cut_subqueries(self, plan: Plan) -> Plan:
        outer = self._subqueries
        results = []
        for query in plan.scalar_subquery.subqueries:
            self._subqueries = list(outer)
            results.append(self._exchange(self.cut(query), None, 1))
        self._subqueries = results
        below = self.cut(plan.scalar_subquery.input)
        self._subqueries = outer
        return self._with_inputs(plan, [below, *results])

    def _cut_build_that_emits(self, plan: Plan) -> Plan:
        # Every task would emit the build side's unmatched (or matched) rows. So both sides are partitioned by the key, or, where a
        # null on one side decides for all rows, the join is one task.
        body = plan.hash_join
        if width(body.right) == 1:
            return self._with_inputs(plan, [self._single(self.cut(body.left)), self.cut(body.right)])
        if body.null_aware:
            return self._with_inputs(plan, [self._single(self.cut(body.left)), self._single(self.cut(body.right))])
        result = copied(plan)
        result.hash_join.partition_mode = PARTITIONED
        left = body.left.merge.input if kind_of(body.left) == "merge" else body.left
        sides = []
        for name, side in (("left", left), ("right", body.right)):
            hashing = Hash(partition_count=self._pieces)
            for pair in body.on:
                hashing.hash_expr.add().CopyFrom(getattr(pair, name))
            sides.append(self._exchange(self.cut(side), hashing, self._pieces))
        return self._with_inputs(result, sides)

    def _single(self, plan: Plan) -> Plan:
        """The same rows as one partition."""
        return plan if width(plan) == 1 else self._exchange(plan, None, 1)

    def _runs(self, plan: Plan) -> Plan:
        """The same rows, each partition read from a shuffle."""
        count = width(plan)
        if count == 1:
            return plan
        shuffle_id, scan = self._stage(plan, None, 1)
        return _reading(scan, [Exchange(shuffle_id, True, number) for number in range(count)])

    def _exchange(self, plan: Plan, hashing: Hash | None, pieces: int) -> Plan:
        shuffle_id, scan = self._stage(plan, hashing, pieces)
        return _reading(scan, [Exchange(shuffle_id, False, number) for number in range(pieces)])

    def _stage(self, plan: Plan, hashing: Hash | None, pieces: int) -> tuple[int, Plan]:
        if self._subqueries:
            # Its expressions may refer to the subqueries around, which they find in an operator of this kind above them only.
            wrapped = Plan()
            wrapped.scalar_subquery.input.CopyFrom(plan)
            for result in self._subqueries:
                wrapped.scalar_subquery.subqueries.add().CopyFrom(result)
            plan = wrapped
        described = self._describe(plan)
        shuffle_id = self._new_shuffle()
        self.stages.append(CutStage(shuffle_id, plan, hashing, pieces, reads_of(plan), described.schema))
        return shuffle_id, described.scan

    def _with_inputs(self, plan: Plan, inputs: Sequence[Plan]) -> Plan:
        result = copied(plan)
        for place, chosen in zip(children(result), inputs, strict=True):
            place.CopyFrom(chosen)
        return result


def _reading(scan: Plan, exchanges: Sequence[Exchange]) -> Plan:
    result = copied(scan)
    groups = result.arrow_scan.base_conf.file_groups
    del groups[:]
    for exchange in exchanges:
        groups.add().files.add(path=exchange.path, size=1)
    return result
