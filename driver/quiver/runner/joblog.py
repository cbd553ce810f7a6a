"""Jobs, stages and attempts in the event log."""

from __future__ import annotations

from collections.abc import Callable

from quiver.eventlog import EventLog
from quiver.plan.model import PlannedJob
from quiver.plan.selection import DESCRIPTION, GROUP, query_of, tags_of
from quiver.scheduler import model as m
from quiver_proto import events as e
from quiver_proto.ids import JobId, StageId


class JobLog:
    """For the thread that runs the engine."""

    def __init__(self, events: EventLog, wall_clock: Callable[[], float]) -> None:
        self._events = events
        self._wall_clock = wall_clock

    def submitted(self, job: PlannedJob) -> None:
        """A job begins; what its line says is put together by the thread that writes it."""
        at = self._wall_clock()
        self._events.append(lambda: _job_started(job, at))

    def ended(self, job_id: JobId, status: str, error: str) -> None:
        """A job ended; `error` is "" when it succeeded."""
        self._events.append(e.JobEnded(self._wall_clock(), job_id, status, error))

    def waits(self, action: m.WaitingBecause) -> None:
        """A job waits, or ("" for the reason) does so no longer."""
        self._events.append(e.Waiting(self._wall_clock(), action.job_id, action.stage_id, action.reason))

    def stage_began(self, stage_id: StageId, attempt: int, tasks: int) -> None:
        """An attempt at so many of a stage's tasks begins."""
        self._events.append(e.StageStarted(self._wall_clock(), stage_id, attempt, tasks))

    def stage_skipped(self, action: m.StageWasSkipped) -> None:
        """A stage's output is there already."""
        self._events.append(e.StageSkipped(self._wall_clock(), action.job_id, action.stage_id))

    def stage_ended(self, action: m.StageFinished) -> None:
        """An attempt at a stage is over."""
        self._events.append(e.StageEnded(self._wall_clock(), action.stage_id, action.stage_attempt, action.status, action.error))

    def launched(self, action: m.Launch) -> None:
        """Tasks were sent to an executor."""
        self._events.append(
            e.TasksLaunched(
                self._wall_clock(),
                action.stage_id,
                action.stage_attempt,
                action.executor_id,
                action.task_ids,
                action.partitions,
                action.attempts,
            )
        )

    def succeeded(self, action: m.TasksAccepted) -> None:
        """Tasks of one executor were accepted."""
        tasks = action.tasks
        self._events.append(
            e.TasksSucceeded(
                self._wall_clock(),
                action.stage_id,
                action.stage_attempt,
                action.executor_id,
                [task.done.task_id for task in tasks],
                [task.partition for task in tasks],
                [task.done.started_at for task in tasks],
                [task.done.slot for task in tasks],
                [task.done.metrics for task in tasks],
            )
        )

    def failed(self, action: m.TaskAttemptFailed, kind: str, message: str) -> None:
        """An attempt at a task failed, with an error of this kind and message."""
        failure = action.failure
        text = f"{kind}: {message}\n{failure.traceback}".rstrip()
        self._events.append(
            e.TaskFailed(
                self._wall_clock(),
                action.stage_id,
                action.stage_attempt,
                action.executor_id,
                failure.task_id,
                action.partition,
                action.attempt,
                failure.started_at,
                failure.kind.value,
                message,
                text,
                failure.metrics,
                failure.slot,
            )
        )


def _job_started(job: PlannedJob, at: float) -> e.JobStarted:
    return e.JobStarted(
        at,
        job.job_id,
        job.call_site.operator,
        str(job.call_site),
        [
            e.StageInfo(
                stage.spec.stage_id,
                stage.spec.name,
                stage.spec.width,
                stage.spec.parents,
                [(site.operator, f"{site.file.rsplit('/', 1)[-1]}:{site.line}") for site in stage.operators],
                stage.spec.shuffle_id,
            )
            for stage in job.stages
        ],
        job.properties.get(GROUP, ""),
        job.properties.get(DESCRIPTION, ""),
        tags_of(job.properties),
        query_of(job.properties),
    )
