"""A body module for slots in these tests: a split is marshalled source of a function body over `task` and `partition`."""

from __future__ import annotations

import pickle
import time
import traceback
from typing import Any

from quiver_executor.environment import SlotEnvironment
from quiver_proto.ids import TaskId
from quiver_proto.messages import AddStage, FailureKind, TaskDone, TaskFailure, TaskMetrics


class Program:
    def __init__(self, source: str, environment: SlotEnvironment) -> None:
        self.environment = environment
        self.wears_out = "wears out" in source
        scope: dict[str, Any] = {}
        exec(
            compile(
                "def body(partition, attempt, split, env):\n" + "\n".join("    " + line for line in source.splitlines()), "user.py", "exec"
            ),
            scope,
        )
        self.body = scope["body"]

    def run(self, task_id: int, partition: int, attempt: int, split: bytes) -> TaskDone | TaskFailure:
        started_at, begun = time.time(), time.perf_counter()
        try:
            result = self.body(partition, attempt, split, self.environment)
        except Exception as error:
            return TaskFailure(
                TaskId(task_id), FailureKind.USER, type(error).__name__, str(error), traceback.format_exc(), pickle.dumps(error)
            )
        return TaskDone(
            TaskId(task_id), self.environment.slot, started_at, TaskMetrics(run_s=time.perf_counter() - begun), pickle.dumps(result)
        )


def open_stage(stage: AddStage, environment: SlotEnvironment) -> Program:
    return Program(stage.body.decode(), environment)
