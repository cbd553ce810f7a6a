"""A driver that records plans instead of running them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence

from quiver.plan.model import PlannedJob
from quiver.plan.selection import JobSelection
from quiver.scheduler.blocks import StoredSummary
from quiver_proto.events import AccumulatorsUpdated, QueryEvent
from quiver_proto.frames import dump_value
from quiver_proto.ids import JobId, ShuffleId
from quiver_proto.messages import BroadcastTable
from quiver_proto.sessions import StatusReport


class RecordingDriver:
    """Keeps the jobs it is given; each partition's result is `answer`, or the bytes in `frame`."""

    application_id = "app-test"
    default_parallelism = 2
    ui_url = None
    id_base = 1000
    started_at = 12.5

    def __init__(self) -> None:
        self.jobs: list[PlannedJob] = []
        self.released: list[int] = []
        self.cancelled: list[tuple[str, str]] = []
        self.unpersisted: list[tuple[int, bool]] = []
        self.kept = StoredSummary()
        self.stops = 0
        self.broadcasts: dict[int, BroadcastTable] = {}
        self.removed: list[tuple[int, bool, bool]] = []
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self.events: list[AccumulatorsUpdated] = []
        self.answer: object = []
        self.frame: bytes | None = None

    def run(self, job: PlannedJob) -> Sequence[bytes]:
        self.jobs.append(job)
        spec = job.stages[-1].spec
        return [dump_value(self.answer) if self.frame is None else self.frame] * (
            spec.width if spec.partitions is None else len(spec.partitions)
        )

    def cancel(self, job_id: JobId, reason: str) -> None:
        self.cancelled.append((str(job_id), reason))

    def cancel_jobs(self, selection: JobSelection, reason: str) -> None:
        self.cancelled.append((selection.group or selection.tag, reason))

    def status(self, what: str, ids: Sequence[int] = ()) -> StatusReport:
        return StatusReport()

    def executor_cores(self) -> int:
        return 2

    def release_shuffle(self, shuffle_id: ShuffleId) -> None:
        self.released.append(shuffle_id)

    def broadcast_dir(self) -> str:
        self._directory = self._directory or tempfile.TemporaryDirectory()
        return self._directory.name

    def add_broadcast(self, table: BroadcastTable) -> None:
        self.broadcasts[table.broadcast_id] = table

    def remove_broadcast(self, broadcast_id: int, *, destroy: bool, blocking: bool) -> None:
        self.removed.append((broadcast_id, destroy, blocking))
        if destroy:
            del self.broadcasts[broadcast_id]

    def accumulated(self, event: AccumulatorsUpdated) -> None:
        self.events.append(event)

    def record(self, event: Callable[[], QueryEvent]) -> None:
        self.events.append(event())

    def unpersist(self, dataset_id: int, blocking: bool = False) -> None:
        self.unpersisted.append((dataset_id, blocking))

    def stored(self, dataset_id: int) -> StoredSummary:
        return self.kept

    def map_sizes(self, shuffle_id: ShuffleId) -> Sequence[bytes]:
        return ()

    def stop(self) -> None:
        self.stops += 1
        if self._directory is not None:
            self._directory.cleanup()
