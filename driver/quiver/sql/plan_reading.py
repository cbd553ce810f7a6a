"""From physical plans to what explain() draws: the kernel tells what it calls its operators, a cut tells what lies between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from quiver.sql.cutting import CutPlan, CutStage
from quiver.sql.plan_drawing import Operator, why_one_task
from quiver_proto.fragments import width
from quiver_proto.operator_texts import locations, named, sources
from quiver_proto.v1.kernel_pb2 import Plan

if TYPE_CHECKING:
    from datafusion import SessionContext


class PlanReader:
    """`made`: what RDDs bring, by shuffle. `context` knows the functions of the plans."""

    def __init__(self, context: SessionContext, made: Mapping[int, str]) -> None:
        self._context = context
        self._made = made
        self._stages: dict[int, tuple[int, CutStage]] = {}
        self._shown: set[int] = set()

    def whole(self, plan: Plan) -> Operator:
        """Of a plan that is one task."""
        return self._operators(plan)

    def staged(self, plan: CutPlan) -> Operator:
        """Of a plan in stages."""
        self._stages = {stage.shuffle_id: (number, stage) for number, stage in enumerate(plan.stages)}
        self._shown = set()
        return self._operators(plan.result)

    def _operators(self, plan: Plan) -> Operator:
        from datafusion.plan import ExecutionPlan

        execution = ExecutionPlan.from_bytes(self._context, plan.SerializeToString())
        read = sources(plan, locations(plan))
        root = Operator("")
        pending: list[tuple[Any, Operator]] = [(execution, root)]
        position = 0
        while pending:
            node, reader = pending.pop()
            shuffle_id, place = read[position] if position < len(read) else (-1, "")
            position += 1
            if shuffle_id >= 0:
                reader.inputs.append(self._exchange(shuffle_id))
                continue
            operator = Operator(*named(node.display(), place))
            reader.inputs.append(operator)
            pending += ((child, operator) for child in reversed(node.children()))
        return root.inputs[0]

    def _exchange(self, shuffle_id: int) -> Operator:
        if shuffle_id in self._made:
            return Operator("RDD", self._made[shuffle_id])
        number, stage = self._stages[shuffle_id]
        tasks = width(stage.plan)
        where = f"stage {number}, {tasks} task{'s' if tasks > 1 else ''}"
        if shuffle_id in self._shown:
            return Operator("ReusedExchange", where)
        self._shown.add(shuffle_id)
        if stage.hash is None or stage.pieces == 1:
            return Operator("Exchange", f"one partition, {where}", [self._operators(stage.plan)])
        dealt = Plan()
        dealt.repartition.input.CopyFrom(stage.plan)
        dealt.repartition.partitioning.hash.CopyFrom(stage.hash)
        below = self._operators(dealt)
        how = below.detail.removeprefix("partitioning=").partition(", input_partitions")[0]
        return Operator("Exchange", f"{how}, {where}", below.inputs)


def single_tasks(plan: CutPlan) -> list[str]:
    """What is said of stages that have one task only, though others have more."""
    stages = [stage.plan for stage in plan.stages] + [plan.result]
    if all(width(stage) == 1 for stage in stages):
        return []
    return [f"Stage {number} is one task: {why_one_task(stage)}." for number, stage in enumerate(stages) if width(stage) == 1]
