"""Tasks of a barrier stage in their slots: what they say, what they are told, and what else may come meanwhile."""

from __future__ import annotations

from supervised import Executor, result

from quiver_executor.barrier import arrived
from quiver_proto.ids import ExecutorId, StageId, TaskId
from quiver_proto.messages import AddStage, BarrierArrived, BarrierReleased, ForgetStage, KillTasks, LaunchTasks, TaskFailure

MEET = """
from quiver_proto.task_context import BarrierTaskContext
context = BarrierTaskContext.get()
return [context.allGather(f"{round}.{partition}") for round in range(2)]
"""


def barrier_stage(executor: Executor, source: str, width: int = 2) -> StageId:
    stage = StageId(1000)
    executor.handle(AddStage(stage, 0, source.encode(), {}, {}, {}, barrier=width))
    return stage


def launch(executor: Executor, stage: StageId, ids: list[TaskId]) -> None:
    executor.handle(LaunchTasks(stage, 0, ids, list(range(len(ids))), [0] * len(ids), [b""] * len(ids)))


def waiting(executor: Executor, count: int) -> list[BarrierArrived]:
    def those() -> list[BarrierArrived]:
        return [report for report in executor.reports if isinstance(report, BarrierArrived)]

    executor.wait(lambda: len(those()) >= count, f"{count} tasks have arrived")
    return those()


def test_tasks_arrive_and_are_released(executor: Executor) -> None:
    stage = barrier_stage(executor, MEET)
    ids = [TaskId(1), TaskId(2)]
    launch(executor, stage, ids)
    came = sorted(waiting(executor, 2), key=lambda message: message.partition)
    assert [(m.task_id, m.partition, m.round, m.payload) for m in came] == [(1, 0, 0, b"g0.0"), (2, 1, 0, b"g0.1")]
    executor.handle(BarrierReleased(stage, 0, 0, [b"ga", b"gb"]))
    assert {m.round for m in waiting(executor, 4)[2:]} == {1}
    # Of another round or attempt: not for them.
    executor.handle(BarrierReleased(stage, 0, 0, [b"gx", b"gx"]), BarrierReleased(stage, 1, 1, [b"gx", b"gx"]))
    executor.handle(BarrierReleased(stage, 0, 1, [b"gc", b"gd"]))
    assert [result(end) for end in executor.ends(ids)] == [[["a", "b"], ["c", "d"]]] * 2


def test_an_error_is_raised_in_those_that_wait(executor: Executor) -> None:
    stage = barrier_stage(executor, MEET)
    launch(executor, stage, [TaskId(1)])
    waiting(executor, 1)
    executor.handle(BarrierReleased(stage, 0, 0, (), "nobody comes"))
    (end,) = executor.ends([TaskId(1)])
    assert isinstance(end, TaskFailure)
    assert (end.exception_type, end.message) == ("BarrierFailed", "nobody comes")
    assert executor.results("return partition", 4) == [0, 1, 2, 3]


def test_what_comes_while_a_task_waits_is_obeyed_later(executor: Executor) -> None:
    executor.all_slots_ready()
    old = executor.stage("return 'old'")
    assert [result(end) for end in executor.ends(executor.launch(old, 4))] == ["old"] * 4
    stage = barrier_stage(executor, MEET)
    launch(executor, stage, [TaskId(1), TaskId(2)])
    waiting(executor, 2)
    # Told with the release, in front of it.
    executor.handle(ForgetStage(StageId(old), 0))
    for number in range(2):
        waiting(executor, 2 * number + 2)
        executor.handle(BarrierReleased(stage, 0, number, [b"g", b"g"]))
    assert [result(end) for end in executor.ends([TaskId(1), TaskId(2)])] == [[["", ""], ["", ""]]] * 2
    assert executor.results("return partition", 4) == [0, 1, 2, 3]


def test_a_task_that_waits_can_be_killed(executor: Executor) -> None:
    stage = barrier_stage(executor, MEET)
    ids = [TaskId(1), TaskId(2)]
    launch(executor, stage, ids)
    waiting(executor, 2)
    executor.handle(KillTasks(ids, "enough"))
    ends = executor.ends(ids)
    assert all(isinstance(end, TaskFailure) and end.message == "enough" for end in ends)
    assert executor.results("return partition", 4) == [0, 1, 2, 3]


def test_only_a_barrier_stage_can_wait(executor: Executor) -> None:
    source = """
import os
from quiver_executor.envelopes import ARRIVED, pack
for fd in map(int, os.listdir("/proc/self/fd")):
    try:
        if os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"): os.write(fd, pack((ARRIVED, 0.0, (100, 0, b""))))
    except FileNotFoundError: pass
import time
while True: time.sleep(0.01)
"""
    (end,) = executor.run(source)
    assert isinstance(end, TaskFailure)
    assert "in a stage that is no barrier stage" in end.message
    assert not [report for report in executor.reports if isinstance(report, BarrierArrived)]


def test_a_message_that_is_too_long_is_refused(executor: Executor) -> None:
    source = "from quiver_proto.task_context import BarrierTaskContext\nBarrierTaskContext.get().allGather('x' * (16 << 20))"
    stage = barrier_stage(executor, source)
    launch(executor, stage, [TaskId(1)])
    (end,) = executor.ends([TaskId(1)])
    assert isinstance(end, TaskFailure)
    assert "a message of 16,777,217 bytes" in end.message


def test_tasks_that_are_not_held_any_more_tell_nothing(executor: Executor) -> None:
    executor.all_slots_ready()
    message = executor.ask(lambda supervisor: arrived(ExecutorId("x"), next(iter(supervisor._pool.slots.values())), (5, 0, b"b")))
    assert message is None
