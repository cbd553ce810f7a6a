"""The scheduler: `step(event, now) -> actions`. Pure: time is an argument, there is no input or output, and nothing is random.

    jobs.py        a job                              lifecycle.py   jobs and stages begin and end
    stages.py      a stage, its attempts, its table   placement.py   which executor runs what next
    executors.py   executors, and who has room        locality.py    delay scheduling
    outputs.py     where map outputs are              reports.py     task ends; lost executors and nodes
    retries.py     what a failure means               recalling.py   queued tasks move to idle executors
    waiting.py     why something waits                state.py       all that is known
    barriers.py    all tasks of a stage or none       launching.py   the books of a launch
    blocks.py      where cached blocks are            caching.py     what they change for a stage
    holdings.py    reports about them; replicas
    resources.py   who has which addresses            needy.py       launching what needs resources

What always holds:
* a (stage attempt, partition) is accepted at most once, a result partition of a job exactly once before JobSucceeded;
* a job ends by exactly one JobSucceeded or JobEndedBadly, after the StageFinished of every attempt that ran only for it;
* StageBegan comes before the first Launch of an attempt, StageFinished after its last accepted task; then nothing of it counts;
* an executor never holds tasks for more cores than it has plus the queue it is allowed; a killed task counts until its end is reported;
* all tasks of a barrier stage's attempt are launched in one step, and accepted in one step;
* equal events at equal times give equal actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from quiver.scheduler import holdings, lifecycle, placement, recalling, reports, waiting
from quiver.scheduler.blocks import StoredSummary
from quiver.scheduler.model import (
    BlocksReported,
    ClusterWaiting,
    DatasetReleased,
    ExecutorDraining,
    ExecutorGone,
    ExecutorRegistered,
    JobCancelRequested,
    JobSubmitted,
    Kill,
    NodeLost,
    Policy,
    SchedulerAction,
    SchedulerEvent,
    ShuffleReleased,
    StageCancelRequested,
    StageSpec,
    TaskKillRequested,
    TasksReported,
    Tick,
)
from quiver.scheduler.stages import StageState
from quiver.scheduler.state import State
from quiver_proto.ids import ExecutorId, JobId, ShuffleId, StageId, TaskId
from quiver_proto.messages import CacheTable, MapOutput


class Scheduler:
    """The state of one application's scheduling. Not thread-safe: one caller at a time.

    `seed` is part of the interface so that a random choice, if there ever is one, is repeatable; today there is none.
    """

    def __init__(self, policy: Policy | None = None, seed: int = 0) -> None:
        policy = Policy() if policy is None else policy
        policy.validate()
        self.policy = policy
        self.seed = seed
        self._state = State(policy)

    def step(self, event: SchedulerEvent, now: float) -> list[SchedulerAction]:
        """Take in one event; returns what is to be done, in order. `now` is monotonic seconds and never decreases.

        Raises ValueError or IllegalTransition for a job that can't be (see JobSubmitted), which changes nothing.
        """
        state = self._state
        actions: list[SchedulerAction] = []
        state.actions = actions
        match event:
            case TasksReported(executor_id, done, failed):
                reports.reported(state, executor_id, done, failed, now)
            case Tick():
                pass
            case JobSubmitted(job):
                lifecycle.submit(state, job, now)
            case ExecutorRegistered():
                reports.executor_registered(state, event, now)
            case ExecutorDraining(executor_id):
                reports.executor_draining(state, executor_id, now)
                self._availability_changed(now)
            case ExecutorGone(executor_id, reason, asked):
                reports.executor_gone(state, executor_id, reason, asked, now)
                self._availability_changed(now)
            case NodeLost(node_id, reason):
                reports.node_lost(state, node_id, reason, now)
                self._availability_changed(now)
            case ClusterWaiting(reason, final):
                state.cluster_reason, state.cluster_final = reason, final
                self._availability_changed(now)
            case BlocksReported(executor_id, blocks):
                holdings.changed(state, executor_id, blocks)
            case ShuffleReleased(shuffle_id):
                lifecycle.release(state, shuffle_id)
            case DatasetReleased(dataset_id):
                holdings.release(state, dataset_id)
            case JobCancelRequested(job_id, reason):
                self._cancel_job(job_id, reason)
            case StageCancelRequested(stage_id, reason):
                self._cancel_stage(stage_id, reason)
            case TaskKillRequested(task_id, reason):
                self._kill_task(task_id, reason)
            case _:
                assert_never(event)
        if state.blocks_lost:
            holdings.settle(state, now)
        if state.steal_at is not None and now >= state.steal_at:
            recalling.recall(state, now)
        if state.queue or state.reserved:
            placement.launch(state, now)
        else:
            state.wake_at = None
            state.freshened.clear()
        if state.rooms.overfull or state.steal_at is not None:
            recalling.schedule(state, now)
        if state.check_at is not None and now >= state.check_at:
            waiting.check(state, now)
        return actions

    def next_deadline(self) -> float | None:
        """When a Tick is wanted, if nothing else comes before; None: never."""
        state = self._state
        times = [at for at in (state.check_at, state.wake_at, state.steal_at) if at is not None]
        return min(times) if times else None

    def map_outputs(self, shuffle_id: ShuffleId) -> list[MapOutput]:
        """The current outputs, in map order; all of them whenever a stage that reads the shuffle begins. [] for an unknown shuffle."""
        stage = self._state.shuffles.get(shuffle_id)
        return [] if stage is None or stage.outputs is None else stage.outputs.current()

    def map_sizes(self, shuffle_id: ShuffleId) -> list[bytes]:
        """Of each output, in map order, the bytes of its pieces (array('Q')); [] unless all outputs are there."""
        stage = self._state.shuffles.get(shuffle_id)
        if stage is None or stage.outputs is None or not stage.outputs.complete:
            return []
        return [output.sizes for output in stage.outputs.current()]

    def cache_table(self, dataset_id: int, partitions: Sequence[int] | None = None) -> CacheTable:
        """Where the blocks of these partitions (None: all) are believed to be."""
        return self._state.blocks.table(dataset_id, partitions)

    def stored(self, dataset_id: int) -> StoredSummary:
        """How much of a dataset is in blocks."""
        return self._state.blocks.summary(dataset_id)

    def spec_in_use(self, stage_id: StageId) -> StageSpec | None:
        """The description by which a stage that is waiting or active is being computed; None for any other."""
        stage = self._state.stages.get(stage_id)
        return None if stage is None or stage.state is StageState.IDLE else stage.spec

    def waiting_reason(self, job_id: JobId) -> str:
        """Why no task of the job runs; "" when one does, or when there is no such job."""
        job = self._state.jobs.get(job_id)
        return "" if job is None else waiting.job_reason(self._state, job)

    def stage_waiting_reason(self, stage_id: StageId) -> str:
        """Why no task of the stage runs; "" when one does, or when it is not needed."""
        stage = self._state.stages.get(stage_id)
        return "" if stage is None else waiting.stage_reason(self._state, stage)

    def running_jobs(self) -> list[JobId]:
        """Jobs that were submitted and have not ended, in order of submission."""
        return list(self._state.jobs)

    def running_stages(self) -> list[StageId]:
        """Stages with a current attempt, ascending."""
        return sorted(self._state.active)

    def executors(self) -> list[ExecutorId]:
        """Those registered and not gone, draining ones included."""
        return list(self._state.executors)

    def tasks_on(self, executor_id: ExecutorId) -> list[TaskId]:
        """What the executor holds: running, queued, and killed but not yet reported. In launch order."""
        executor = self._state.executors.get(executor_id)
        return [] if executor is None else list(executor.tasks)

    def _availability_changed(self, now: float) -> None:
        if self._state.jobs:
            self._state.check_by(now)

    def _cancel_job(self, job_id: JobId, reason: str) -> None:
        job = self._state.jobs.get(job_id)
        if job is not None:
            lifecycle.end_badly(self._state, job, "cancelled", reason)

    def _cancel_stage(self, stage_id: StageId, reason: str) -> None:
        stage = self._state.stages.get(stage_id)
        if stage is not None and stage.state is not StageState.IDLE:
            lifecycle.fail_jobs(self._state, stage, "cancelled", reason)

    def _kill_task(self, task_id: TaskId, reason: str) -> None:
        for run in self._state.active.values():
            executor = run.running.get(task_id)
            if executor is not None:
                self._state.actions.append(Kill(executor.id, [task_id], reason))
                return


def step(state: Scheduler, event: SchedulerEvent, now: float) -> list[SchedulerAction]:
    """`state.step(event, now)`."""
    return state.step(event, now)
