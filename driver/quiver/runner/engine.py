"""The engine: carries out what the scheduler decides. One thread runs it; it owns no thread, socket or process itself."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, assert_never

from quiver.eventlog import EventLog
from quiver.plan.model import PlannedJob, PlannedStage
from quiver.plan.selection import CancelledEarly, JobSelection, RefusedGroups
from quiver.progress import StageProgress
from quiver.runner.blocklog import BlockLog
from quiver.runner.broadcasts import Broadcasts
from quiver.runner.executors import Executors
from quiver.runner.failures import JobFailure, failure_of, told
from quiver.runner.joblog import JobLog
from quiver.runner.jobs import RunningJob, keep_updates
from quiver.runner.links import ExecutorLink
from quiver.runner.operatorlog import OperatorLog
from quiver.runner.stage_inputs import cache_tables, map_output_table
from quiver.runner.status_book import StatusBook
from quiver.scheduler import model as m
from quiver.scheduler.blocks import StoredSummary
from quiver.scheduler.core import Scheduler
from quiver.scheduler.meetings import Meetings
from quiver.scheduler.model import Policy
from quiver.skew import SkewPolicy, SkewWatch, as_event
from quiver_proto import events as e
from quiver_proto.errors import ContextStopped, JobCancelled, QuiverError
from quiver_proto.ids import ExecutorId, JobId, NodeId, ShuffleId, StageId
from quiver_proto.messages import (
    AddStage,
    BarrierArrived,
    BarrierReleased,
    BlocksChanged,
    BroadcastTable,
    ExecutorHeartbeat,
    FailureKind,
    KillTasks,
    LaunchTasks,
    MapOutput,
    MapOutputTable,
    RemoveDataset,
    RemoveShuffle,
    ReplicateBlock,
    TasksEnded,
)

log = logging.getLogger("quiver.driver")

MOST_EARLY = 1000


class JobObserver(Protocol):
    """Told about every job as it starts and ends, in the engine's thread; must not block. The cluster's manager looks ahead by it."""

    def job_started(self, job: PlannedJob) -> None: ...

    def job_ended(self, job_id: JobId) -> None: ...


class Engine:
    """Jobs in, results out. Not thread-safe: every method is called by the one thread that owns it.

    `clock` is monotonic seconds for the scheduler, `wall_clock` Unix seconds for events. `notice(text)` tells the user
    something worth interrupting for (why a job waits); `job_over()` is called before a job's caller goes on.
    """

    def __init__(
        self,
        policy: Policy,
        events: EventLog,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        notice: Callable[[str], None],
        max_result_bytes: int = 0,
        job_over: Callable[[], None] = lambda: None,
        skew: SkewPolicy | None = None,
    ) -> None:
        self._policy = policy
        self._scheduler = Scheduler(policy)
        self._events = events
        self._job_log = JobLog(events, wall_clock)
        self._block_log = BlockLog(events, wall_clock)
        self._operator_log = OperatorLog(events, wall_clock)
        self._clock = clock
        self._wall_clock = wall_clock
        self._notice = notice
        self._max_result_bytes = max_result_bytes
        self._job_over = job_over
        self._observer: JobObserver | None = None
        self._cluster_error: BaseException | None = None
        self._executors = Executors(events, wall_clock)
        self._stages: dict[StageId, PlannedStage] = {}
        self._jobs: dict[JobId, RunningJob] = {}
        self._early = CancelledEarly(MOST_EARLY)
        self._attempts: dict[tuple[StageId, int], AddStage] = {}
        self._progress: dict[StageId, StageProgress] = {}
        self._map_stages: dict[ShuffleId, StageId] = {}
        self._skew = SkewWatch(skew or SkewPolicy())
        self.book = StatusBook(self._scheduler.tasks_on, self._skew, self._operator_log.tables)
        self._refused = RefusedGroups()
        self._meetings = Meetings(policy.barrier_sync_timeout_s)
        self.broadcasts = Broadcasts()
        self._inbox: deque[m.SchedulerEvent] = deque()
        self._stepping = False
        self._stopped = False

    # ---- from users' threads, by way of the owner ----

    def submit(self, running: RunningJob) -> None:
        job = running.job
        if self._stopped:
            running.finish(JobFailure(error=ContextStopped(str(job.call_site))))
            return
        if self._refused and (refused := self._refused.reason(job.properties)):
            running.finish(JobFailure(error=JobCancelled(job.job_id, refused)))
            return
        if (reason := self._early.take(job.job_id)) is not None:
            running.finish(JobFailure(error=JobCancelled(job.job_id, reason)))
            return
        self._jobs[job.job_id] = running
        self.book.job_started(job)
        for stage in job.stages:
            in_use = self._scheduler.spec_in_use(stage.spec.stage_id)
            if in_use is None or in_use is stage.spec:
                # A stage that is being computed goes on as it was planned then.
                self._stages[stage.spec.stage_id] = stage
            if stage.spec.shuffle_id is not None:
                self._map_stages[stage.spec.shuffle_id] = stage.spec.stage_id
        self._job_log.submitted(job)
        self._block_log.used(stage.spec for stage in job.stages)
        if self._observer is not None:
            self._observer.job_started(job)
        pool = job.properties.get("spark.scheduler.pool", "default")
        self.step(m.JobSubmitted(m.JobSpec(job.job_id, tuple(stage.spec for stage in job.stages), pool)))

    def cancel(self, job_id: JobId, reason: str) -> None:
        if job_id in self._jobs:
            self.step(m.JobCancelRequested(job_id, reason))
        elif not self._stopped:
            self._early.add(job_id, reason)

    def cancel_jobs(self, selection: JobSelection, reason: str) -> None:
        self._refused.add(selection, reason)
        for job_id, running in list(self._jobs.items()):
            if selection.concerns(running.job.properties):
                self.cancel(job_id, reason)

    def release_shuffle(self, shuffle_id: ShuffleId) -> None:
        if shuffle_id in self._map_stages and not self._stopped:
            self.step(m.ShuffleReleased(shuffle_id))

    def unpersist(self, dataset_id: int) -> None:
        """Drop the dataset's blocks, if some job has kept any."""
        if not self._stopped:
            self._block_log.dropped(dataset_id)
            self.step(m.DatasetReleased(dataset_id))

    def stored(self, dataset_id: int) -> StoredSummary:
        """How much of a persisted dataset is in blocks."""
        return self._scheduler.stored(dataset_id)

    def map_sizes(self, shuffle_id: ShuffleId) -> Sequence[bytes]:
        """The sizes of a shuffle's pieces, map output by map output; nothing unless it is complete."""
        return self._scheduler.map_sizes(shuffle_id)

    def remove_broadcast(self, broadcast_id: int, destroy: bool, done: Callable[[], None]) -> None:
        self.broadcasts.remove(broadcast_id, destroy, self._executors.links, done)

    def stop(self, error: BaseException | None = None) -> None:
        """Fail what runs, let go of the executors, close the event log. Twice does nothing."""
        if self._stopped:
            return
        self._stopped = True
        for running in list(self._jobs.values()):
            self._end_job(running, "failed", JobFailure(error=error or ContextStopped(str(running.job.call_site))))
        self._executors.close()
        self._events.append(e.ApplicationEnded(self._wall_clock()))
        self._events.close()

    # ---- from executors and the cluster ----

    def executor_added(self, link: ExecutorLink) -> None:
        self._executors.add(link)
        self.book.executor_added(link)
        self.step(m.ExecutorRegistered(link.executor_id, link.node_id, link.cores, link.memory_bytes, link.resources))

    def executor_gone(self, executor_id: ExecutorId, reason: str, asked: bool = False) -> None:
        self._drop(executor_id, reason)
        self.step(m.ExecutorGone(executor_id, reason, asked))

    def node_lost(self, node_id: NodeId, reason: str) -> None:
        for executor_id in self._executors.on_node(node_id):
            self._drop(executor_id, reason)
        self._executors.block_servers.pop(node_id, None)
        self.step(m.NodeLost(node_id, reason))

    def cluster_waiting(self, reason: str, error: BaseException | None) -> None:
        """Why there are fewer executors than wanted; "" when that is over. With an `error` none will ever come: jobs end with it."""
        self._cluster_error = error
        self.step(m.ClusterWaiting(reason, final=error is not None))

    def observe(self, observer: JobObserver) -> None:
        """Tell `observer` about jobs from now on."""
        self._observer = observer

    def tasks_ended(self, ended: TasksEnded) -> None:
        self.step(m.TasksReported(ended.executor_id, ended.done, ended.failed))
        if self._meetings:
            self._release(self._meetings.ended([done.task_id for done in ended.done]))

    def barrier_arrived(self, message: BarrierArrived) -> None:
        """A task waits for the others of its barrier stage."""
        self._release(self._meetings.arrived(message, self._clock()))

    def blocks_changed(self, changed: BlocksChanged) -> None:
        self.step(m.BlocksReported(changed.executor_id, changed.blocks))

    def heartbeat(self, beat: ExecutorHeartbeat) -> None:
        self._executors.heard(beat)

    # ---- the core's turn ----

    def step(self, event: m.SchedulerEvent) -> None:
        """Give the scheduler one event and carry out all that follows from it.

        What an action itself brings about waits until all actions before it are carried out, so that their order holds.
        """
        self._inbox.append(event)
        if self._stepping:
            return
        self._stepping = True
        try:
            while self._inbox:
                for action in self._scheduler.step(self._inbox.popleft(), self._clock()):
                    self._carry_out(action)
        finally:
            self._stepping = False

    def tick(self) -> None:
        """Time has passed."""
        self.step(m.Tick())
        if self._meetings:
            self._release(self._meetings.tick(self._clock()))

    def next_deadline(self) -> float | None:
        """When, on `clock`, `tick()` is due."""
        deadline = self._scheduler.next_deadline()
        if self._meetings and (meeting := self._meetings.next_deadline()) is not None:
            return meeting if deadline is None else min(deadline, meeting)
        return deadline

    def waiting_reason(self, job_id: JobId) -> str:
        return self._scheduler.waiting_reason(job_id)

    def has_job(self, job_id: JobId) -> bool:
        return job_id in self._jobs

    def executor_cores(self) -> int:
        """Of the largest executor; 0 when there is none."""
        return self._executors.most_cores()

    def block_server(self, node_id: str) -> str:
        """Where blocks of `node_id` are served (`host:port`), "" when they are not."""
        return self._executors.block_servers.get(node_id, "")

    @property
    def busy(self) -> bool:
        return bool(self._jobs)

    def progress(self) -> Sequence[StageProgress]:
        """The running stages, oldest first."""
        return [p for p in self._progress.values() if p.done < p.width]

    def _carry_out(self, action: m.SchedulerAction) -> None:
        match action:
            case m.Launch():
                self._launch(action)
            case m.TasksAccepted():
                self._accept(action)
            case m.StageBegan():
                self._begin_stage(action)
            case m.StageFinished():
                self._finish_stage(action)
            case m.StageWasSkipped():
                self._job_log.stage_skipped(action)
            case m.JobSucceeded():
                if (running := self._jobs.get(action.job_id)) is not None:
                    self._end_job(running, "succeeded", None)
            case m.JobEndedBadly():
                if (running := self._jobs.get(action.job_id)) is not None:
                    self._end_job(running, "cancelled" if action.status == "cancelled" else "failed", self._failure_of(action))
            case m.TaskAttemptFailed():
                self._attempt_failed(action)
            case m.Kill():
                self._executors.send(action.executor_id, KillTasks(action.task_ids, action.reason))
            case m.WaitingBecause():
                self._job_log.waits(action)
                if action.reason:
                    self._notice(f"job {action.job_id} waits: {action.reason}")
            case m.BlocksNoted():
                self._block_log.changed(action.executor_id, action.blocks)
            case m.DropDataset():
                for executor_id in action.executor_ids:
                    self._executors.send(executor_id, RemoveDataset(action.dataset_id))
            case m.Replicate():
                block = action.block
                request = ReplicateBlock(block, self.block_server(block.node_id), action.use_memory, action.use_disk)
                self._executors.send(action.executor_id, request)
            case m.ShuffleForgotten():
                self._forget_shuffle(action.shuffle_id)
            case m.TaskDiscarded():
                log.debug("late report of task %s from %s discarded", action.done.task_id, action.executor_id)
            case _:
                assert_never(action)

    def _forget_shuffle(self, shuffle_id: ShuffleId) -> None:
        if (stage_id := self._map_stages.pop(shuffle_id, None)) is not None:
            self._stages.pop(stage_id, None)
        self._skew.forget(shuffle_id)
        self._events.append(e.ShuffleRemoved(self._wall_clock(), shuffle_id))
        self._executors.send_to_all(RemoveShuffle(shuffle_id))

    def _begin_stage(self, action: m.StageBegan) -> None:
        stage = self._stages[action.stage_id]
        broadcasts = self._broadcasts_of(stage) if stage.broadcasts else {}
        # Where blocks stand for a shuffle, what there is of it may be incomplete and must not be read.
        outputs = {of: self._scheduler.map_outputs(of) for of in stage.spec.reads if of not in action.skipped}
        inputs: dict[int, MapOutputTable] = {shuffle_id: map_output_table(shuffle_id, of) for shuffle_id, of in outputs.items()}
        properties = self._properties_of(action.stage_id)
        width = 0
        if stage.spec.barrier:
            width = len(action.partitions)
            self._meetings.begin(action.stage_id, action.stage_attempt, width)
            properties = {**properties, "addresses": ",".join(self._executors.address(executor_id) for executor_id in action.executors)}
        cached = cache_tables(self._scheduler, stage.spec, action.partitions)
        self._attempts[action.stage_id, action.stage_attempt] = AddStage(
            action.stage_id, action.stage_attempt, stage.body, inputs,
            dict(self._executors.block_servers) if inputs or cached or broadcasts else {}, properties, cached, broadcasts,
            barrier=width, cores_per_task=stage.spec.cores_per_task,
        )  # fmt: skip
        count = len(action.partitions)
        progress = StageProgress(action.stage_id, stage.spec.name, stage.spec.width - count, 0, 0, stage.spec.width)
        self._progress[action.stage_id] = progress
        self.book.stage_began(action.stage_attempt, count, progress)
        self._job_log.stage_began(action.stage_id, action.stage_attempt, count)
        if outputs:
            self._look_for_skew(stage, outputs)

    def _look_for_skew(self, stage: PlannedStage, outputs: Mapping[ShuffleId, Sequence[MapOutput]]) -> None:
        spec = stage.spec
        report = self._skew.look(spec.stage_id, spec.name, spec.width, stage.operators, outputs)
        if report is not None:
            self._events.append(as_event(report, self._wall_clock()))
            self._notice(report.text)

    def _broadcasts_of(self, stage: PlannedStage) -> Mapping[int, BroadcastTable]:
        try:
            return self.broadcasts.tables(stage.broadcasts, self._executors.links.values())
        except QuiverError as error:
            self._fail_stage(stage.spec.stage_id, error)
            return {}

    def _launch(self, action: m.Launch) -> None:
        if action.executor_id not in self._executors.links:
            return
        stage = self._stages[action.stage_id]
        try:
            if stage.variant is not None:
                splits = [stage.variant(*row) for row in zip(action.partitions, action.variants, strict=True)]
            else:
                splits = [stage.split(partition) for partition in action.partitions]
        except Exception as error:
            # The data of a partition can't be sent (a record that does not pickle): no executor can mend that.
            self._fail_stage(action.stage_id, error)
            return
        if self._meetings:
            self._meetings.launched(action.stage_id, action.stage_attempt, action.task_ids, action.partitions)
        description = self._attempts[action.stage_id, action.stage_attempt]
        if self._executors.describe(action.executor_id, description):
            self.broadcasts.sent(description.broadcasts, action.executor_id)
        self._executors.send(
            action.executor_id,
            LaunchTasks(
                action.stage_id,
                action.stage_attempt,
                action.task_ids,
                action.partitions,
                action.attempts,
                splits,
                action.cores_per_task,
                action.resources or {},
            ),
        )
        self._progress[action.stage_id].running += len(splits)
        self._job_log.launched(action)

    def _accept(self, action: m.TasksAccepted) -> None:
        tasks = action.tasks
        self._job_log.succeeded(action)
        if (progress := self._progress.get(action.stage_id)) is not None:
            progress.running -= len(tasks)
            progress.done += len(tasks)
        for task in tasks:
            extras = task.done.extras
            if extras is None:
                continue
            if extras.updates:
                keep_updates(self._jobs.values(), action.stage_id, task)
            if extras.heavy and (shuffle := self._shuffle_of(action.stage_id)) is not None:
                self._skew.heard(shuffle, task.partition, extras.heavy)
            if extras.operators:
                self._operator_log.add(action.stage_id, extras.operators)
        if action.job_id is not None and (running := self._jobs.get(action.job_id)) is not None:
            running.store(tasks)
            if (failure := running.check_size(self._max_result_bytes)) is not None:
                running.failure = failure
                self.step(m.JobCancelRequested(action.job_id, str(failure.error)))

    def _attempt_failed(self, action: m.TaskAttemptFailed) -> None:
        failure = action.failure
        if (progress := self._progress.get(action.stage_id)) is not None:
            progress.running -= 1
            progress.failed += 1
        kind, message = told(failure)
        self._job_log.failed(action, kind, message)
        if failure.kind is not FailureKind.KILLED:
            then = "it will be tried again" if action.will_retry else "no more tries"
            log.warning(
                "task %d.%d of stage %d failed on %s (%s): %s; %s",
                action.partition, action.attempt, action.stage_id, action.executor_id, failure.kind.value,
                f"{kind}: {message}", then,
            )  # fmt: skip

    def _finish_stage(self, action: m.StageFinished) -> None:
        self._attempts.pop((action.stage_id, action.stage_attempt), None)
        self._progress.pop(action.stage_id, None)
        self.book.stage_ended(action.stage_id, action.status)
        if self._meetings:
            self._meetings.over(action.stage_id, action.stage_attempt)
        self._operator_log.tell(action.stage_id)
        self._job_log.stage_ended(action)
        self._executors.forget_stage(action.stage_id, action.stage_attempt)

    def _release(self, releases: Sequence[BarrierReleased]) -> None:
        for release in releases:
            self._executors.send_to_stage(release.stage_id, release.stage_attempt, release)

    def _fail_stage(self, stage_id: StageId, error: BaseException) -> None:
        for running in self._jobs.values():
            if any(stage.spec.stage_id == stage_id for stage in running.job.stages) and running.failure is None:
                running.failure = JobFailure(error=error)
        self.step(m.StageCancelRequested(stage_id, str(error)))

    def _failure_of(self, action: m.JobEndedBadly) -> JobFailure:
        stage = self._stages.get(action.failed_stage) if action.failed_stage is not None else None
        return failure_of(action, "" if stage is None else stage.spec.name, self._policy, self._cluster_error, bool(self._executors.links))

    def _end_job(self, running: RunningJob, status: str, failure: JobFailure | None) -> None:
        job = running.job
        failure = running.failure or failure
        if failure is not None and status == "succeeded":
            status = "failed"
        del self._jobs[job.job_id]
        self.book.job_ended(job.job_id, status)
        # A result stage belongs to one job; map stages stay, for the next job and for lost outputs.
        self._stages.pop(job.stages[-1].spec.stage_id, None)
        self._job_log.ended(job.job_id, status, "" if failure is None else failure.summary())
        if self._observer is not None:
            self._observer.job_ended(job.job_id)
        self._job_over()
        running.finish(failure)

    def _drop(self, executor_id: ExecutorId, reason: str) -> None:
        self.book.executor_gone(executor_id)
        self.broadcasts.executor_gone(executor_id)
        self._executors.drop(executor_id, reason)

    def _shuffle_of(self, stage_id: StageId) -> ShuffleId | None:
        stage = self._stages.get(stage_id)
        return None if stage is None else stage.spec.shuffle_id

    def _properties_of(self, stage_id: StageId) -> Mapping[str, str]:
        for running in self._jobs.values():
            if any(stage.spec.stage_id == stage_id for stage in running.job.stages):
                return running.job.properties
        return {}
