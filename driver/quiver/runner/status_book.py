"""What is known of recent jobs and stages, for those who ask while they run: `Context.statusTracker()`.

Written by the engine's thread, read by any. Of ended jobs and stages the last RETAINED are kept, without their plans: a plan holds users'
data. The web UI has its own fold over the event log; this one answers at once, and where no UI runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from quiver.plan.model import PlannedJob
from quiver.plan.selection import GROUP
from quiver.progress import StageProgress
from quiver.runner.links import ExecutorLink
from quiver.skew import SkewWatch
from quiver_proto.ids import ExecutorId, JobId, StageId
from quiver_proto.operators import OperatorTable

if TYPE_CHECKING:
    from quiver_proto.sessions import ExecutorStatus, JobStatus, OperatorStatus, StageStatus, StatusReport

RETAINED = 1000


@dataclass(slots=True)
class _StageRow:
    """`before`: partitions that earlier attempts had done. `progress` is the engine's own, and counts on."""

    attempt: int
    before: int
    progress: StageProgress
    status: str = "running"


class _JobRow(NamedTuple):
    group: str
    status: str
    stage_ids: tuple[StageId, ...]


class StatusBook:
    """`tasks_on` is asked for how many tasks an executor holds. Thread-safe."""

    def __init__(
        self, tasks_on: Callable[[ExecutorId], Collection[object]], skew: SkewWatch, operators: Mapping[StageId, OperatorTable]
    ) -> None:
        self._tasks_on = tasks_on
        self._skew = skew
        self._operators = operators
        self._lock = threading.Lock()
        self._running: dict[JobId, PlannedJob] = {}
        self._ended: dict[JobId, _JobRow] = {}
        self._active: dict[StageId, _StageRow] = {}
        self._past: dict[StageId, _StageRow] = {}
        self._links: dict[ExecutorId, ExecutorLink] = {}

    # ---- the engine's thread ----

    def job_started(self, job: PlannedJob) -> None:
        with self._lock:
            self._running[job.job_id] = job

    def job_ended(self, job_id: JobId, status: str) -> None:
        with self._lock:
            job = self._running.pop(job_id, None)
            if job is not None:
                self._ended[job_id] = _row(job, status)
                if len(self._ended) > RETAINED:
                    del self._ended[next(iter(self._ended))]

    def stage_began(self, attempt: int, tasks: int, progress: StageProgress) -> None:
        stage_id = StageId(progress.stage_id)
        with self._lock:
            self._past.pop(stage_id, None)
            self._active[stage_id] = _StageRow(attempt, progress.width - tasks, progress)

    def stage_ended(self, stage_id: StageId, status: str) -> None:
        with self._lock:
            row = self._active.pop(stage_id, None)
            if row is not None:
                row.status = status
                self._past[stage_id] = row
                if len(self._past) > RETAINED:
                    del self._past[next(iter(self._past))]

    def executor_added(self, link: ExecutorLink) -> None:
        with self._lock:
            self._links[link.executor_id] = link

    def executor_gone(self, executor_id: ExecutorId) -> None:
        with self._lock:
            self._links.pop(executor_id, None)

    # ---- any thread ----

    def report(self, what: str, ids: Sequence[int] = ()) -> StatusReport:
        """Rows of `what` (jobs, stages, executors, skew, operators), oldest first: of these ids as far as they are known, or () for all."""
        # Only those who ask pay for these classes: they take as long to make as all else here.
        from quiver_proto.sessions import StatusReport

        match what:
            case "jobs":
                return StatusReport(jobs=self._jobs(ids))
            case "stages":
                return StatusReport(stages=self._stages(ids))
            case "executors":
                return StatusReport(executors=self._executors())
            case "skew":
                return StatusReport(skew=self._skew.reports)
            case "operators":
                return StatusReport(operators=self._operator_rows(ids))
            case _:
                return StatusReport()

    def _operator_rows(self, ids: Sequence[int]) -> tuple[OperatorStatus, ...]:
        from dataclasses import astuple

        from quiver_proto.sessions import OperatorStatus

        # The engine may add a stage meanwhile.
        tables = [(stage_id, table) for stage_id, table in list(self._operators.items()) if not ids or stage_id in ids]
        return tuple(OperatorStatus(stage_id, *astuple(row)) for stage_id, table in tables for row in table.rows())

    def _jobs(self, ids: Sequence[int]) -> tuple[JobStatus, ...]:
        from quiver_proto.sessions import JobStatus

        with self._lock:
            rows = [*self._ended.items(), *((job_id, _row(job, "running")) for job_id, job in self._running.items())]
        return tuple(JobStatus(job_id, *row) for job_id, row in rows if not ids or job_id in ids)

    def _stages(self, ids: Sequence[int]) -> tuple[StageStatus, ...]:
        from quiver_proto.sessions import StageStatus

        with self._lock:
            rows = [*self._past.items(), *self._active.items()]
            specs = [stage.spec for job in self._running.values() for stage in job.stages]
        found = {stage_id: _stage_status(row) for stage_id, row in rows if not ids or stage_id in ids}
        for spec in specs:
            if spec.stage_id not in found and (not ids or spec.stage_id in ids):
                found[spec.stage_id] = StageStatus(spec.stage_id, 0, spec.name, "pending", spec.width, 0, 0, 0)
        return tuple(found.values())

    def _executors(self) -> tuple[ExecutorStatus, ...]:
        from quiver_proto.sessions import ExecutorStatus

        with self._lock:
            links = list(self._links.values())
        return tuple(ExecutorStatus(one.executor_id, one.host, one.memory_bytes, len(self._tasks_on(one.executor_id))) for one in links)


def _row(job: PlannedJob, status: str) -> _JobRow:
    return _JobRow(job.properties.get(GROUP, ""), status, tuple(stage.spec.stage_id for stage in job.stages))


def _stage_status(row: _StageRow) -> StageStatus:
    from quiver_proto.sessions import StageStatus

    progress = row.progress
    running = progress.running if row.status == "running" else 0
    tasks, done = progress.width - row.before, progress.done - row.before
    return StageStatus(StageId(progress.stage_id), row.attempt, progress.name, row.status, tasks, running, done, progress.failed)
