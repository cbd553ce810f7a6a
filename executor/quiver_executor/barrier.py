"""A barrier stage's meetings as the supervisor sees them: from a slot to the driver, and back to the slots that wait."""

from __future__ import annotations

from collections.abc import Iterable

from quiver_executor.envelopes import Malformed
from quiver_executor.slot_process import SlotProcess, Task
from quiver_proto.ids import ExecutorId, TaskId
from quiver_proto.messages import BarrierArrived, BarrierReleased


def arrived(executor_id: ExecutorId, slot: SlotProcess, payload: object) -> BarrierArrived | None:
    """What the driver is told; None when the task is not the slot's any more. Malformed for what no slot sends."""
    if type(payload) is not tuple or tuple(map(type, payload)) != (int, int, bytes):
        raise Malformed("a task that waits for others, with members of other types")
    task_id, number, brings = payload
    task = slot.held.get(task_id)
    if task is None:
        return None
    stage = task.stage.description
    if not stage.barrier:
        raise Malformed("a task that waits for others, in a stage that is no barrier stage")
    return BarrierArrived(executor_id, TaskId(task_id), stage.stage_id, stage.stage_attempt, task.partition, number, brings)


def release(tasks: Iterable[Task], message: BarrierReleased) -> None:
    """Tell those of the stage attempt's tasks that are in slots."""
    payloads = list(message.payloads)
    for task in tasks:
        stage = task.stage.description
        if task.slot is not None and (stage.stage_id, stage.stage_attempt) == (message.stage_id, message.stage_attempt):
            task.slot.release(task.task_id, message.round, payloads, message.error)
