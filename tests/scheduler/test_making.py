"""Jobs whose result is a stage without tasks: they are run for the shuffles that they make."""

from __future__ import annotations

import pytest

from quiver.scheduler import model as m
from quiver.scheduler.core import Scheduler
from quiver_proto.ids import ExecutorId, JobId, NodeId, ShuffleId, StageId
from quiver_proto.messages import MapOutput, TaskDone, TaskMetrics

NODE, EXECUTOR = NodeId("node"), ExecutorId("node/0")
MAPS = m.StageSpec(StageId(1), "map", 2, shuffle_id=ShuffleId(7))


def _job(number: int) -> m.JobSubmitted:
    result = m.StageSpec(StageId(10 + number), "nothing", 0, (MAPS.stage_id,))
    assert result.makes_parents
    return m.JobSubmitted(m.JobSpec(JobId(number), (MAPS, result)))


def _run(scheduler: Scheduler, launch: m.Launch) -> list[m.SchedulerAction]:
    done = tuple(
        TaskDone(task, 0, 0.0, TaskMetrics(), map_output=MapOutput(partition, task, NODE, EXECUTOR, "/path", b"", 1))
        for task, partition in zip(launch.task_ids, launch.partitions, strict=True)
    )
    return scheduler.step(m.TasksReported(EXECUTOR, done, ()), 1.0)


def _ended(actions: list[m.SchedulerAction]) -> list[int]:
    return [action.job_id for action in actions if isinstance(action, m.JobSucceeded)]


def test_it_ends_when_its_parents_are_made_and_launches_nothing_else() -> None:
    scheduler = Scheduler()
    scheduler.step(m.ExecutorRegistered(EXECUTOR, NODE, 2), 0.0)
    begun = scheduler.step(_job(1), 0.0)
    launches = [action for action in begun if isinstance(action, m.Launch)]
    assert sorted(partition for launch in launches for partition in launch.partitions) == [0, 1]
    assert not _ended(begun)
    ends = [_run(scheduler, launch) for launch in launches]
    assert [_ended(actions) for actions in ends] == [[]] * (len(ends) - 1) + [[1]]
    assert not any(isinstance(action, m.Launch) for actions in ends for action in actions)
    assert (scheduler.running_jobs(), scheduler.running_stages()) == ([], [])
    # The shuffle is there: the next such job has nothing to do.
    assert _ended(scheduler.step(_job(2), 2.0)) == [2]


@pytest.mark.parametrize("reads", [(), (ShuffleId(7),)])
def test_a_result_without_partitions_has_nothing_made_that_it_would_read(reads: tuple[ShuffleId, ...]) -> None:
    scheduler = Scheduler()
    result = m.StageSpec(StageId(9), "of an empty dataset", 0, (MAPS.stage_id,) if reads else (), reads)
    assert _ended(scheduler.step(m.JobSubmitted(m.JobSpec(JobId(1), (MAPS, result))), 0.0)) == [1]


def test_it_can_be_cancelled() -> None:
    scheduler = Scheduler()
    scheduler.step(m.ExecutorRegistered(EXECUTOR, NODE, 2), 0.0)
    scheduler.step(_job(1), 0.0)
    actions = scheduler.step(m.JobCancelRequested(JobId(1), "enough"), 1.0)
    assert [action.status for action in actions if isinstance(action, m.JobEndedBadly)] == ["cancelled"]
    assert not scheduler.running_stages()
