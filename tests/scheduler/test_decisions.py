"""Unit tests beside the decisions: one policy question each."""

from __future__ import annotations

import pytest

from quiver.scheduler import jobs, model
from quiver.scheduler.core import Scheduler, step
from quiver.scheduler.executors import Executor, Rooms
from quiver.scheduler.locality import ANY, EXECUTOR, NODE, Nearby
from quiver.scheduler.model import JobSpec, Policy, Preference, StageSpec
from quiver.scheduler.outputs import ShuffleOutputs
from quiver.scheduler.placement import queue_depth
from quiver.scheduler.retries import Verdict, counts, verdict
from quiver.scheduler.stages import IllegalTransition, Stage, StageState
from quiver_proto.ids import ExecutorId, JobId, NodeId, ShuffleId, StageId, TaskId
from quiver_proto.messages import FailureKind, MapOutput

A, B, C = ExecutorId("a"), ExecutorId("b"), ExecutorId("c")
N1, N2 = NodeId("n1"), NodeId("n2")


def output(partition: int, task_id: int, node_id: NodeId = N1) -> MapOutput:
    return MapOutput(partition, TaskId(task_id), node_id, A, f"/{task_id}", b"", 1)


# ---- outputs ----


def test_outputs_are_complete_when_every_partition_has_one() -> None:
    outputs = ShuffleOutputs(ShuffleId(0), 2)
    outputs.add(1, output(1, 10))
    assert (outputs.complete, outputs.missing()) == (False, [0])
    outputs.add(0, output(0, 11))
    assert outputs.complete
    assert [o.task_id for o in outputs.current()] == [11, 10]


@pytest.mark.parametrize(
    ("partition", "task_id", "is_lost"), [(0, 10, True), (0, 9, False), (1, 10, False), (7, 10, False), (-1, 10, False)]
)
def test_only_the_current_output_can_be_lost(partition: int, task_id: int, is_lost: bool) -> None:
    outputs = ShuffleOutputs(ShuffleId(0), 2)
    outputs.add(0, output(0, 10))
    assert outputs.lose(partition, TaskId(task_id)) is is_lost
    assert outputs.missing() == ([0, 1] if is_lost else [1])


def test_a_node_takes_its_own_outputs_only() -> None:
    outputs = ShuffleOutputs(ShuffleId(0), 3)
    outputs.add(0, output(0, 10, N1))
    outputs.add(1, output(1, 11, N2))
    outputs.add(2, output(2, 12, N1))
    assert outputs.lose(2, TaskId(12))
    assert outputs.lose_node(N1) == 1
    assert outputs.lose_node(N1) == 0
    assert outputs.missing() == [0, 2]


# ---- retries ----


@pytest.mark.parametrize(
    ("kind", "failures", "in_row", "blameless", "expected"),
    [
        (FailureKind.USER, 0, 0, False, Verdict.ELSEWHERE),
        (FailureKind.USER, 3, 0, False, Verdict.GIVE_UP),
        (FailureKind.SLOT_DIED, 2, 0, False, Verdict.ELSEWHERE),
        (FailureKind.SLOT_DIED, 3, 0, False, Verdict.GIVE_UP),
        (FailureKind.EXECUTOR_LOST, 3, 0, False, Verdict.GIVE_UP),
        (FailureKind.EXECUTOR_LOST, 3, 0, True, Verdict.AGAIN),
        (FailureKind.KILLED, 99, 99, False, Verdict.AGAIN),
        (FailureKind.FATAL, 0, 0, False, Verdict.GIVE_UP),
        (FailureKind.FETCH_FAILED, 99, 2, False, Verdict.INPUT_FIRST),
        (FailureKind.FETCH_FAILED, 0, 3, False, Verdict.GIVE_UP),
    ],
)
def test_verdict(kind: FailureKind, failures: int, in_row: int, blameless: bool, expected: Verdict) -> None:
    assert verdict(kind, failures, in_row, Policy(max_task_failures=4, max_stage_attempts=4), blameless) is expected


def test_only_the_tasks_own_failures_count() -> None:
    assert counts(Verdict.ELSEWHERE, FailureKind.USER)
    assert counts(Verdict.GIVE_UP, FailureKind.SLOT_DIED)
    assert not counts(Verdict.AGAIN, FailureKind.KILLED)
    assert not counts(Verdict.INPUT_FIRST, FailureKind.FETCH_FAILED)


# ---- executors with room ----


def rooms_of(*free: int, cores: int = 4) -> tuple[Rooms, list[Executor]]:
    rooms = Rooms(64)
    executors = []
    for index, have in enumerate(free):
        executor = Executor(ExecutorId(str(index)), N1, cores)
        executor.free = have
        rooms.settle(executor)
        executors.append(executor)
    return rooms, executors


def test_the_executor_with_most_room_is_on_top() -> None:
    rooms, executors = rooms_of(1, 3, 2)
    assert rooms.top == 3
    assert rooms.take(3) is executors[1]
    assert rooms.top == 2
    executors[1].free = 4
    rooms.settle(executors[1])
    assert (rooms.top, rooms.count(2), rooms.free_cores()) == (4, 2, 7)


def test_full_executors_are_ordered_by_their_queue() -> None:
    rooms, executors = rooms_of(-4, 0, -9)
    assert rooms.top == 0
    assert rooms.take(0) is executors[1]
    assert rooms.top == -1
    assert set(rooms.overfull) == {executors[0], executors[2]}


def test_nothing_queues_behind_tasks_that_are_not_short() -> None:
    rooms, (executor,) = rooms_of(0)
    executor.held = 3
    rooms.settle(executor)
    assert executor.room_for(1, queue=5) == 5
    executor.held = 4
    rooms.settle(executor)
    assert executor.room_for(1, queue=5) == 0
    assert rooms.top < -64


def test_no_room_without_an_executor_or_on_a_draining_one() -> None:
    rooms, (executor,) = rooms_of(4)
    executor.draining = True
    rooms.settle(executor)
    assert rooms.top < -64
    assert executor.room_for(1, 64) == 0


@pytest.mark.parametrize(("mean_s", "depth"), [(0.0, 64), (1e-6, 64), (0.001, 5), (0.0026, 1), (0.006, 0), (10.0, 0)])
def test_queue_depth_is_the_work_that_may_wait(mean_s: float, depth: int) -> None:
    assert queue_depth(mean_s, Policy(target_queue_s=0.005, max_queue_per_slot=64)) == depth


# ---- locality ----


def nearby(preferred: dict[int, tuple[Preference, ...]], executors: tuple[ExecutorId, ...], nodes: tuple[NodeId, ...]) -> Nearby:
    near = Nearby(preferred)
    for partition in sorted(preferred, reverse=True):
        near.add(partition, executors, nodes)
    return near


def test_levels_open_one_wait_after_the_other() -> None:
    near = nearby({0: (Preference(N1, A),)}, (A,), (N1,))
    assert [near.allowed(now, 3.0) for now in (10.0, 12.9, 13.0, 15.9, 16.0)] == [EXECUTOR, EXECUTOR, NODE, NODE, ANY]


def test_the_wait_begins_with_the_first_offer() -> None:
    near = nearby({0: (Preference(N1, A),)}, (A,), (N1,))
    assert near.allowed(1000.0, 3.0) == EXECUTOR


def test_nobody_waits_for_places_that_are_not_there() -> None:
    assert nearby({0: (Preference(N1, B),)}, (A,), (N1,)).allowed(0.0, 3.0) == NODE
    assert nearby({0: (Preference(N2, B),)}, (A,), (N1,)).allowed(0.0, 3.0) == ANY


def test_a_lost_executor_is_no_longer_waited_for() -> None:
    near = nearby({0: (Preference(N1, A),)}, (A,), (N1,))
    assert near.allowed(0.0, 3.0) == EXECUTOR
    near.executor_gone(A, (), (N1,))
    assert near.allowed(0.0, 3.0) == NODE
    near.node_changed(N1, (), ())
    assert near.allowed(0.0, 3.0) == ANY


def test_a_launch_at_a_closer_level_goes_back_there() -> None:
    near = nearby({0: (Preference(N1, A),), 1: (Preference(N1, A),)}, (A,), (N1,))
    near.allowed(0.0, 3.0)
    assert near.allowed(3.0, 3.0) == NODE
    assert near.take(A, N1, EXECUTOR, 1) == [0]
    near.launched(EXECUTOR, 4.0)
    assert near.allowed(6.9, 3.0) == EXECUTOR


def test_a_partition_is_taken_once_wherever_it_is_listed() -> None:
    near = nearby({0: (Preference(N1, A), Preference(N2, B)), 1: (Preference(N2, B),)}, (A, B), (N1, N2))
    assert near.take(A, N1, EXECUTOR, 9) == [0]
    assert near.take(B, N2, NODE, 9) == [1]
    assert near.take(C, N2, ANY, 9) == []
    assert not near.left


# ---- stages and jobs ----


def test_an_illegal_move_tells_the_stages_story() -> None:
    stage = Stage(StageSpec(StageId(3), "map at app.py:3", 1), None, None)
    stage.become(StageState.WAITING, "needed by job 7")
    stage.become(StageState.IDLE, "job 7 ended")
    with pytest.raises(IllegalTransition, match=r"(?s)stage 3 .*from idle to active.*needed by job 7.*job 7 ended"):
        stage.become(StageState.ACTIVE, "a bug")


@pytest.mark.parametrize(
    "stages",
    [
        (),
        (StageSpec(StageId(0), "no result stage", 1, shuffle_id=ShuffleId(0)),),
        (StageSpec(StageId(0), "result", 1), StageSpec(StageId(1), "result", 1)),
        (StageSpec(StageId(1), "reads what is not there", 1, parents=(StageId(0),)),),
        (StageSpec(StageId(0), "no cores", 1, cores_per_task=0),),
    ],
)
def test_an_impossible_job_is_refused(stages: tuple[StageSpec, ...]) -> None:
    with pytest.raises(ValueError, match="job 1"):
        jobs.check(JobSpec(JobId(1), stages))


def test_a_refused_job_changes_nothing() -> None:
    scheduler = Scheduler(Policy())
    reads = StageSpec(StageId(1), "collect", 1, (StageId(0),), (ShuffleId(0),))
    first = JobSpec(JobId(1), (StageSpec(StageId(0), "map", 1, shuffle_id=ShuffleId(0)), reads))
    step(scheduler, model.JobSubmitted(first), 0.0)
    wider = StageSpec(StageId(0), "map", 2, shuffle_id=ShuffleId(0))
    with pytest.raises(ValueError, match="is not the stage 0"):
        step(scheduler, model.JobSubmitted(JobSpec(JobId(2), (wider, reads))), 0.0)
    with pytest.raises(IllegalTransition, match="job 1"):
        step(scheduler, model.JobSubmitted(first), 0.0)
    assert scheduler.running_jobs() == [1]


def test_a_lineage_may_be_longer_than_the_stack() -> None:
    scheduler = Scheduler()
    stages = [StageSpec(StageId(0), "map", 1, shuffle_id=ShuffleId(0))]
    stages += [StageSpec(StageId(n), "map", 1, (StageId(n - 1),), (ShuffleId(n - 1),), ShuffleId(n)) for n in range(1, 5000)]
    stages.append(StageSpec(StageId(5000), "collect", 1, (StageId(4999),), (ShuffleId(4999),)))
    scheduler.step(model.JobSubmitted(JobSpec(JobId(1), tuple(stages))), 0.0)
    assert scheduler.running_stages() == [0]


def test_a_small_stage_is_spread_over_the_executors() -> None:
    scheduler = Scheduler()
    for executor_id in (A, B, C):
        scheduler.step(model.ExecutorRegistered(executor_id, N1, 4), 0.0)
    spec = JobSpec(JobId(1), (StageSpec(StageId(0), "collect", 5),))
    launches = [a for a in scheduler.step(model.JobSubmitted(spec), 0.0) if isinstance(a, model.Launch)]
    assert sorted(len(launch.task_ids) for launch in launches) == [1, 2, 2]


def test_policy_is_checked() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Scheduler(Policy(max_task_failures=0))


def test_the_core_is_pure() -> None:
    """None of its modules imports a clock, chance, input or output."""
    import ast
    from pathlib import Path

    import quiver.scheduler

    allowed = {"__future__", "collections", "dataclasses", "enum", "heapq", "itertools", "typing", "quiver", "quiver_proto"}
    for path in Path(quiver.scheduler.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert {name.split(".")[0] for name in names} <= allowed, path.name
