"""A body module for slots: partition 0 ends with more than can be told, the others fail with more than can be told."""

from __future__ import annotations

from quiver_executor.envelopes import REPORT_LIMIT
from quiver_executor.environment import SlotEnvironment
from quiver_proto.ids import TaskId
from quiver_proto.messages import AddStage, FailureKind, TaskDone, TaskFailure, TaskMetrics


class Long:
    wears_out = False

    def run(self, task_id: int, partition: int, attempt: int, split: bytes) -> TaskDone | TaskFailure:
        if partition == 0:
            return TaskDone(TaskId(task_id), 0, 1.0, TaskMetrics(), bytes(REPORT_LIMIT))
        return TaskFailure(TaskId(task_id), FailureKind.USER, "ValueError", "m" * REPORT_LIMIT)


def open_stage(stage: AddStage, environment: SlotEnvironment) -> Long:
    return Long()
