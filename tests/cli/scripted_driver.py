"""A driver whose jobs end when the test says so, and plans to give it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from quiver.plan.model import PlannedJob, PlannedStage
from quiver.runner.failures import JobFailure
from quiver.scheduler.blocks import StoredSummary
from quiver.scheduler.model import StageSpec
from quiver_proto.errors import JobCancelled
from quiver_proto.events import AccumulatorsUpdated, QueryEvent
from quiver_proto.ids import JobId, ShuffleId, StageId
from quiver_proto.messages import BroadcastTable
from quiver_proto.ops import CallSite
from quiver_proto.sessions import ExecutorStatus, JobStatus, StageStatus, StatusReport

SITE = CallSite("collect", "/home/me/app.py", 12)


class Scripted:
    """A driver whose jobs end when the test says so."""

    application_id = "app-1"
    default_parallelism = 2
    ui_url: str | None = None
    started_at = 1.0

    def __init__(self) -> None:
        self.started: list[JobId] = []
        self.cancelled: list[tuple[JobId, str]] = []
        self.unpersisted: list[int] = []
        self.released: list[ShuffleId] = []
        self.directory = ""
        self.broadcasts: dict[int, BroadcastTable] = {}
        self.removed: list[tuple[int, bool, bool]] = []
        self.events: list[AccumulatorsUpdated] = []
        self.ends: dict[JobId, Callable[[], Sequence[bytes]]] = {}
        self.gates: dict[JobId, threading.Event] = {}

    def execute(self, job: PlannedJob) -> Sequence[bytes]:
        self.started.append(job.job_id)
        assert self.gates.setdefault(job.job_id, threading.Event()).wait(120)
        return self.ends[job.job_id]()

    def end(self, number: int, outcome: Callable[[], Sequence[bytes]]) -> None:
        job_id = JobId(number)
        self.ends[job_id] = outcome
        self.gates.setdefault(job_id, threading.Event()).set()

    def cancel(self, job_id: JobId, reason: str) -> None:
        self.cancelled.append((job_id, reason))

        def raise_cancelled() -> Sequence[bytes]:
            raise JobFailure(error=JobCancelled(job_id, reason))

        self.end(job_id, raise_cancelled)

    def status(self, what: str, ids: Sequence[int] = ()) -> StatusReport:
        """Every job it was ever given runs, each with a stage of its own number; in one executor."""
        jobs = tuple(JobStatus(job_id, "", "running", (StageId(job_id),)) for job_id in self.started)
        stages = tuple(StageStatus(StageId(job_id), 0, "result", "running", 3, 1, 0, 0) for job_id in self.started)
        return StatusReport(jobs if what == "jobs" else (), stages if what == "stages" else (), (ExecutorStatus("e", "h", 1, 2),))

    def broadcast_dir(self) -> str:
        return self.directory

    def add_broadcast(self, table: BroadcastTable) -> None:
        self.broadcasts[table.broadcast_id] = table

    def remove_broadcast(self, broadcast_id: int, *, destroy: bool, blocking: bool) -> None:
        self.removed.append((broadcast_id, destroy, blocking))

    def accumulated(self, event: AccumulatorsUpdated) -> None:
        self.events.append(event)

    def record(self, event: Callable[[], QueryEvent]) -> None:
        self.events.append(event())

    def executor_cores(self) -> int:
        return 2

    def release_shuffle(self, shuffle_id: ShuffleId) -> None:
        self.released.append(shuffle_id)

    def unpersist(self, dataset_id: int, blocking: bool = False) -> None:
        self.unpersisted.append(dataset_id)

    def stored(self, dataset_id: int) -> StoredSummary:
        return StoredSummary(2, 3, 4, dataset_id)

    def map_sizes(self, shuffle_id: ShuffleId) -> Sequence[bytes]:
        return [b"12345678"]


def job(number: int, *, group: str = "", shuffle: int | None = None) -> PlannedJob:
    stages = []
    if shuffle is not None:
        stages.append(PlannedStage(StageSpec(StageId(number + 1), "map", 2, shuffle_id=ShuffleId(shuffle)), b"map", lambda i: b"m%d" % i))
    reads = () if shuffle is None else (ShuffleId(shuffle),)
    parents = () if shuffle is None else (StageId(number + 1),)
    result = StageSpec(StageId(number), "result", 3, parents=parents, reads=reads)
    stages.append(PlannedStage(result, b"body", lambda i: b"split%d" % i, (SITE,)))
    return PlannedJob(JobId(number), tuple(stages), SITE, {"spark.jobGroup.id": group} if group else {})
