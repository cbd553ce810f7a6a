"""The fold: events in, what pages show out. Pure: no clock, no files, no threads.

Every number comes from the log alone, so the same log gives the same state whenever and however often it is read. An event
that repeats one already applied changes nothing. Memory is bounded by `Limits`: details of the oldest ended jobs, stages and tasks are
dropped first, while totals stay exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from quiver_proto import events as e
from quiver_proto.messages import FailureKind
from quiver_web import metrics
from quiver_web.metrics import Totals
from quiver_web.model import Application, Executor, Job, JobStage, JobStatus, Partitions, Stage, StageAttempt, StageStatus, WaitingReason
from quiver_web.operator_lines import totals_of
from quiver_web.queries import Queries
from quiver_web.storage import Storage
from quiver_web.tasks import TaskStatus


@dataclass(frozen=True, slots=True)
class Limits:
    """How many of each are kept in detail; those that run always are."""

    jobs: int = 1000
    stages: int = 1000
    tasks: int = 100_000
    job_stages: int = 50_000
    """Stages listed by jobs, each once a job: an iterative program's thousandth job lists a thousand skipped ones."""
    dead_executors: int = 1000
    blocks: int = 300_000
    """Cached partitions, each copy once."""
    accumulators: int = 100
    """Of one stage."""
    queries: int = 1000


class State:
    """`version` grows with every event. Jobs, stages and executors are in the order in which they appeared."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.version = 0
        self.last_event_at = 0.0
        self.application = Application()
        self.jobs: dict[int, Job] = {}
        self.stages: dict[int, Stage] = {}
        self.executors: dict[str, Executor] = {}
        self.waiting: dict[tuple[int | None, int | None], WaitingReason] = {}
        self.totals = Totals()
        self.storage = Storage(self.limits.blocks)
        self.queries = Queries(self.limits.queries)
        self.job_counts: Counter[str] = Counter()
        """Ended jobs by status, dropped ones included."""
        self.stage_counts: Counter[str] = Counter()
        """Ended stage attempts by status, dropped ones included."""
        self.dropped_jobs = 0
        self.dropped_stages = 0
        self._tasks_kept = 0
        self._running_jobs: dict[int, Job] = {}
        self._newest_dropped_job = -1
        self._job_stages = 0
        self._apply: dict[type[Any], Callable[[Any], None]] = {
            e.ApplicationStarted: self._application_started,
            e.ApplicationEnded: self._application_ended,
            e.ExecutorAdded: self._executor_added,
            e.ExecutorRemoved: self._executor_removed,
            e.ExecutorSampled: self._executor_sampled,
            e.JobStarted: self._job_started,
            e.JobEnded: self._job_ended,
            e.StageSkipped: self._stage_skipped,
            e.StageStarted: self._stage_started,
            e.StageEnded: self._stage_ended,
            e.TasksLaunched: self._tasks_launched,
            e.TasksSucceeded: self._tasks_succeeded,
            e.TaskFailed: self._task_failed,
            e.Waiting: self._waiting,
            e.DatasetPersisted: self.storage.persisted,
            e.BlocksUpdated: self._blocks_updated,
            e.DatasetUnpersisted: lambda event: self.storage.unpersisted(event.dataset_id),
            e.AccumulatorsUpdated: self._accumulators_updated,
            e.SkewDetected: self._skew_detected,
            e.QueryStarted: self.queries.started,
            e.QueryPlanned: self.queries.planned,
            e.QueryEnded: self.queries.ended,
            e.OperatorsMeasured: self._operators_measured,
        }

    def apply(self, event: e.Event) -> None:
        """Take one event in. Kinds that no page shows change only `last_event_at`."""
        self.version += 1
        self.last_event_at = max(self.last_event_at, event.at)
        handler = self._apply.get(type(event))
        if handler is not None:
            handler(event)

    # ---- queries ----

    @property
    def ended(self) -> bool:
        return self.application.ended_at is not None

    def attempts(self) -> Iterator[tuple[Stage, StageAttempt]]:
        for stage in self.stages.values():
            for attempt in stage.attempts.values():
                yield stage, attempt

    def attempt(self, stage_id: int, attempt: int) -> StageAttempt | None:
        stage = self.stages.get(stage_id)
        return None if stage is None else stage.attempts.get(attempt)

    def pending_stages(self) -> list[JobStage]:
        """Stages that a running job still needs, each once."""
        found: dict[int, JobStage] = {}
        for job in self._running_jobs.values():
            for stage_id, stage in job.stages.items():
                if stage.status == "pending":
                    found.setdefault(stage_id, stage)
        return list(found.values())

    def waiting_reason(self, job_id: int) -> str:
        """Why this job waits, "" when it does not say."""
        for waiting in self.waiting.values():
            if waiting.job_id == job_id:
                return waiting.reason
        return ""

    # ---- application and executors ----

    def _application_started(self, event: e.ApplicationStarted) -> None:
        self.application = Application(
            event.application_id, event.name, event.user, event.master, event.version, event.pid, event.host,
            event.properties, event.runtime, event.at, self.application.ended_at,
        )  # fmt: skip

    def _application_ended(self, event: e.ApplicationEnded) -> None:
        self.application.ended_at = event.at
        self.waiting.clear()
        for job in list(self._running_jobs.values()):
            self._end_job(job, "failed", event.at, "the application ended")
        self.queries.application_ended(event.at)
        for stage, attempt in list(self.attempts()):
            if attempt.status == "active":
                self._end_attempt(stage, attempt, "cancelled", event.at, "the application ended")

    def _executor_added(self, event: e.ExecutorAdded) -> None:
        executor = self._executor(event.executor_id)
        executor.node_id, executor.host, executor.cores = event.node_id, event.host, event.cores
        executor.memory_bytes, executor.pid, executor.log_dir = event.memory_bytes, event.pid, event.log_dir
        executor.added_at, executor.removed_at, executor.reason = event.at, None, ""

    def _executor_removed(self, event: e.ExecutorRemoved) -> None:
        executor = self._executor(event.executor_id)
        executor.removed_at, executor.reason = event.at, event.reason
        executor.running = executor.queued = None
        self.storage.executor_gone(event.executor_id)
        dead = [executor_id for executor_id, other in self.executors.items() if not other.alive]
        for executor_id in dead[: max(len(dead) - self.limits.dead_executors, 0)]:
            del self.executors[executor_id]

    def _blocks_updated(self, event: e.BlocksUpdated) -> None:
        executor = self.executors.get(event.executor_id)
        if executor is None or executor.alive:
            self.storage.updated(event)

    def _executor_sampled(self, event: e.ExecutorSampled) -> None:
        executor = self._executor(event.executor_id)
        executor.rss_bytes = event.rss_bytes
        executor.peak_rss_bytes = max(executor.peak_rss_bytes, event.rss_bytes)
        executor.running, executor.queued = event.running_tasks, event.queued_tasks

    def _executor(self, executor_id: str) -> Executor:
        executor = self.executors.get(executor_id)
        if executor is None:
            executor = self.executors[executor_id] = Executor(executor_id)
        return executor

    # ---- jobs ----

    def _job_started(self, event: e.JobStarted) -> None:
        if event.job_id in self.jobs or event.job_id <= self._newest_dropped_job:
            return
        stages = {}
        for info in event.stages:
            known = self.stages.setdefault(info.stage_id, Stage(info)).info
            stages[info.stage_id] = JobStage(known, Partitions(info.width))
        self._job_stages += len(stages)
        job = Job(
            event.job_id, event.name, event.call_site, event.group, event.description, event.at, stages,
            tags=event.tags, query_id=event.query_id,
        )  # fmt: skip
        if event.query_id >= 0:
            self.queries.job_started(event.query_id, event.job_id)
        self.jobs[event.job_id] = self._running_jobs[event.job_id] = job
        for info in event.stages:
            stage = self.stages[info.stage_id]
            stage.job_ids[event.job_id] = None
            if (attempt := stage.last) is not None and attempt.status == "active":
                # Another job is making it; this one waits for the same attempt.
                mine = stages[info.stage_id]
                mine.status, mine.started, mine.attempt = "active", True, attempt.attempt
                mine.partitions = Partitions(attempt.tasks_planned, set(attempt.partitions.done), attempt.partitions.done_count)
                job.tasks.active += attempt.totals.active
        self._drop_details()

    def _job_ended(self, event: e.JobEnded) -> None:
        job = self._running_jobs.get(event.job_id)
        if job is not None:
            self._end_job(job, cast(JobStatus, event.status), event.at, event.error)
            self._drop_details()

    def _end_job(self, job: Job, status: JobStatus, at: float, error: str) -> None:
        job.status, job.ended_at, job.error = status, at, error
        self.job_counts[status] += 1
        del self._running_jobs[job.job_id]
        job.tasks.killed += job.tasks.active
        job.tasks.active = 0
        for key in [key for key in self.waiting if key[0] == job.job_id]:
            del self.waiting[key]
        for stage in job.stages.values():
            stage.partitions.forget_details()
            if stage.status == "pending":
                stage.status = "not run"
            elif stage.status == "active":
                stage.status = "cancelled"

    def _waiting(self, event: e.Waiting) -> None:
        key = (event.job_id, event.stage_id)
        if event.reason:
            if event.job_id is None or event.job_id in self._running_jobs:
                self.waiting[key] = WaitingReason(event.at, event.job_id, event.stage_id, event.reason)
        else:
            # A job that goes on no longer waits for anything, whichever stage it named before.
            for other in [other for other in self.waiting if other == key or (event.stage_id is None and other[0] == event.job_id)]:
                del self.waiting[other]

    # ---- stages ----

    def _stage_skipped(self, event: e.StageSkipped) -> None:
        job = self._running_jobs.get(event.job_id)
        if job is not None and (stage := job.stages.get(event.stage_id)) is not None and not stage.started:
            stage.status = "skipped"

    def _stage_started(self, event: e.StageStarted) -> None:
        stage = self.stages.get(event.stage_id)
        if stage is None:
            info = e.StageInfo(event.stage_id, f"stage {event.stage_id}", event.tasks, (), ())
            stage = self.stages[event.stage_id] = Stage(info)
        if event.stage_attempt in stage.attempts:
            return
        attempt = StageAttempt(event.stage_id, event.stage_attempt, event.tasks, event.at, partitions=Partitions(event.tasks))
        stage.attempts[event.stage_attempt] = attempt
        for mine in self._users(event.stage_id):
            if not mine[1].started:
                # A first attempt says how much there is to do for this job; later ones only repeat parts of it.
                mine[1].started = True
                mine[1].partitions.planned = event.tasks
            mine[1].status, mine[1].attempt = "active", event.stage_attempt
        self._drop_details()

    def _stage_ended(self, event: e.StageEnded) -> None:
        stage = self.stages.get(event.stage_id)
        attempt = None if stage is None else stage.attempts.get(event.stage_attempt)
        if stage is not None and attempt is not None and attempt.status == "active":
            self._end_attempt(stage, attempt, cast(StageStatus, event.status), event.at, event.error)

    def _end_attempt(self, stage: Stage, attempt: StageAttempt, status: StageStatus, at: float, error: str) -> None:
        attempt.status, attempt.ended_at, attempt.error = status, at, error
        self.stage_counts[status] += 1
        for job_id in stage.job_ids:
            job = self.jobs.get(job_id)
            if job is not None and (mine := job.stages.get(attempt.stage_id)) is not None and mine.attempt == attempt.attempt:
                mine.status = status
        # Nothing waits for these any more; should a report of one come after all, it says what really happened.
        for row in attempt.tasks.running_rows():
            self._end_task(attempt, row, TaskStatus.KILLED, 0.0, at, None)
        attempt.partitions.forget_details()
        for key in [key for key in self.waiting if key[1] == attempt.stage_id]:
            del self.waiting[key]

    def _accumulators_updated(self, event: e.AccumulatorsUpdated) -> None:
        stage = self.stages.get(event.stage_id)
        if stage is None:
            return
        for aid, kind, value in zip(event.ids, event.types, event.values):
            if aid in stage.accumulators or len(stage.accumulators) < self.limits.accumulators:
                stage.accumulators[aid] = (kind, value)

    def _users(self, stage_id: int) -> list[tuple[Job, JobStage]]:
        """The running jobs that need the stage, and how each sees it."""
        return [(job, stage) for job in self._running_jobs.values() if (stage := job.stages.get(stage_id)) is not None]

    def _skew_detected(self, event: e.SkewDetected) -> None:
        stage = self.stages.get(event.stage_id)
        if stage is not None and stage.skew is None:
            stage.skew = event

    def _operators_measured(self, event: e.OperatorsMeasured) -> None:
        stage = self.stages.get(event.stage_id)
        if stage is not None:
            stage.operators = totals_of(event)

    # ---- tasks ----

    def _tasks_launched(self, event: e.TasksLaunched) -> None:
        attempt = self.attempt(event.stage_id, event.stage_attempt)
        if attempt is None:
            return
        count = 0
        for task_id, partition, number in zip(event.task_ids, event.partitions, event.attempts, strict=True):
            if attempt.tasks.row_of(task_id) is None:
                attempt.tasks.launch(task_id, partition, number, event.executor_id, event.at)
                count += 1
        self._launched(attempt, event.executor_id, count, event.at)
        self._drop_details()

    def _launched(self, attempt: StageAttempt, executor_id: str, count: int, at: float) -> None:
        if attempt.first_launch_at is None:
            attempt.first_launch_at = at
        self._tasks_kept += count
        for totals in self._counted(attempt, executor_id):
            totals.active += count

    def _counted(self, attempt: StageAttempt, executor_id: str) -> list[Totals]:
        """All that a task of this attempt counts for."""
        mine = attempt.by_executor.get(executor_id)
        if mine is None:
            mine = attempt.by_executor[executor_id] = Totals()
        jobs = [job.tasks for job, _ in self._users(attempt.stage_id)]
        return [self.totals, attempt.totals, mine, self._executor(executor_id).tasks, *jobs]

    def _tasks_succeeded(self, event: e.TasksSucceeded) -> None:
        attempt = self.attempt(event.stage_id, event.stage_attempt)
        if attempt is None:
            return
        table, rows, done = attempt.tasks, [], []
        before: Counter[int] = Counter()
        for task_id, partition, started_at, slot, values in zip(
            event.task_ids, event.partitions, event.started_at, event.slots, event.metrics, strict=True
        ):
            row = table.row_of(task_id)
            if row is None:
                row = table.launch(task_id, partition, 0, event.executor_id, started_at)
                self._launched(attempt, event.executor_id, 1, started_at)
            status = table.statuses[row]
            if status not in (TaskStatus.RUNNING, TaskStatus.KILLED):
                continue
            before[status] += 1
            numbers = metrics.row(values)
            table.end(row, TaskStatus.SUCCEEDED, slot, started_at, event.at, numbers)
            rows.append(numbers)
            done.append(partition)
        if not rows:
            return
        sums = metrics.summed(rows)
        for totals in self._counted(attempt, event.executor_id):
            totals.active = max(totals.active - before[TaskStatus.RUNNING], 0)
            totals.killed = max(totals.killed - before[TaskStatus.KILLED], 0)
            totals.succeeded += len(rows)
            totals.add(sums)
        for partitions in (attempt.partitions, *(stage.partitions for _, stage in self._users(event.stage_id))):
            for partition in done:
                partitions.finish(partition)

    def _task_failed(self, event: e.TaskFailed) -> None:
        attempt = self.attempt(event.stage_id, event.stage_attempt)
        if attempt is None:
            return
        table = attempt.tasks
        row = table.row_of(event.task_id)
        if row is None:
            row = table.launch(event.task_id, event.partition, event.attempt, event.executor_id, event.started_at or event.at)
            self._launched(attempt, event.executor_id, 1, event.at)
        if table.statuses[row] == TaskStatus.RUNNING:
            status = TaskStatus.KILLED if event.kind == FailureKind.KILLED.value else TaskStatus.FAILED
            values = metrics.row(event.metrics) if event.metrics else None
            self._end_task(attempt, row, status, event.started_at, event.at, values, event.slot)
        if event.task_id not in table.errors:
            table.add_error(event.task_id, event.kind, event.message, event.error)

    def _end_task(
        self,
        attempt: StageAttempt,
        row: int,
        status: TaskStatus,
        started_at: float,
        at: float,
        values: Sequence[float] | None,
        slot: int = -1,
    ) -> None:
        """A running task failed or was killed."""
        attempt.tasks.end(row, status, slot, started_at, at, values)
        for totals in self._counted(attempt, attempt.tasks.executors[row]):
            totals.active = max(totals.active - 1, 0)
            if status == TaskStatus.FAILED:
                totals.failed += 1
            else:
                totals.killed += 1
            if values is not None:
                totals.add(values)

    # ---- bounded memory ----

    def _drop_details(self) -> None:
        limits = self.limits
        while len(self.jobs) > limits.jobs or self._job_stages > limits.job_stages:
            oldest = next((job for job in self.jobs.values() if job.status != "running"), None)
            if oldest is None:
                break
            self._drop_job(oldest)
        if len(self.stages) > limits.stages:
            self._drop_stages(len(self.stages) - limits.stages)
        if self._tasks_kept > limits.tasks * 1.1:
            self._drop_tasks(self._tasks_kept - limits.tasks)

    def _drop_job(self, job: Job) -> None:
        del self.jobs[job.job_id]
        self.dropped_jobs += 1
        self._newest_dropped_job = max(self._newest_dropped_job, job.job_id)
        self._job_stages -= len(job.stages)
        for stage_id in job.stages:
            if (stage := self.stages.get(stage_id)) is not None:
                stage.job_ids.pop(job.job_id, None)

    def _drop_stages(self, excess: int) -> None:
        needed = {stage_id for job in self._running_jobs.values() for stage_id in job.stages}
        gone = [
            stage_id
            for stage_id, stage in self.stages.items()
            if stage_id not in needed and all(attempt.status != "active" for attempt in stage.attempts.values())
        ][:excess]
        for stage_id in gone:
            stage = self.stages.pop(stage_id)
            self.dropped_stages += 1
            self._tasks_kept -= sum(len(attempt.tasks) for attempt in stage.attempts.values())

    def _drop_tasks(self, excess: int) -> None:
        """Those of the oldest ended attempts first, then the oldest ended ones of attempts that run."""
        ordered = sorted(self.attempts(), key=lambda pair: (pair[1].status == "active", pair[1].started_at))
        for _, attempt in ordered:
            if excess <= 0:
                return
            if len(attempt.tasks):
                dropped = attempt.tasks.drop_oldest(excess)
                excess -= dropped
                self._tasks_kept -= dropped
