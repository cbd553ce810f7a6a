"""A running job as its caller sees it: results come in, one end comes out."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from quiver.plan.model import PlannedJob, StageUpdates
from quiver.runner.failures import JobFailure
from quiver.scheduler.model import Succeeded
from quiver_proto.errors import ResultTooLarge
from quiver_proto.ids import StageId
from quiver_proto.messages import ResultBlock

_SIGNAL_LOOK_S = 0.5


class RunningJob:
    """Collects the result stage's partitions; `wait` blocks its caller's thread, everything else runs in the engine's.

    A partition is stored at most once. Small results are held as frames, large ones as blocks that the caller fetches.
    """

    __slots__ = ("_done", "_index", "failure", "job", "missing", "result_bytes", "results")

    def __init__(self, job: PlannedJob) -> None:
        self.job = job
        spec = job.stages[-1].spec
        self._index = None if spec.partitions is None else {partition: i for i, partition in enumerate(spec.partitions)}
        count = spec.width if spec.partitions is None else len(spec.partitions)
        self.results: list[bytes | ResultBlock | None] = [None] * count
        self.missing = count
        self.result_bytes = 0
        self.failure: JobFailure | None = None
        self._done = threading.Lock()
        self._done.acquire()

    def store(self, tasks: Sequence[Succeeded]) -> None:
        index = self._index
        for partition, _, done in tasks:
            result = done.result if done.result is not None else done.block
            if result is None:
                result = b""
            self.results[partition if index is None else index[partition]] = result
            self.result_bytes += len(result) if isinstance(result, bytes) else result.size
        self.missing -= len(tasks)

    def check_size(self, limit: int) -> JobFailure | None:
        """The failure to end with when results have outgrown `limit` bytes (0: no limit)."""
        return JobFailure(error=ResultTooLarge(self.result_bytes, limit)) if limit and self.result_bytes > limit else None

    def finish(self, failure: JobFailure | None = None) -> None:
        """End the job, once; later calls change nothing."""
        if self._done.locked():
            if self.failure is None:
                self.failure = failure
            self._done.release()

    def wait(self) -> None:
        """Until `finish`. A signal handler that raises (Ctrl-C) breaks it off."""
        # Not for ever at a time: a signal that comes just before the wait begins does not wake it.
        while not self._done.acquire(timeout=_SIGNAL_LOOK_S):
            pass
        self._done.release()


def keep_updates(running: Iterable[RunningJob], stage_id: StageId, task: Succeeded) -> None:
    """Give what an accepted task added to accumulators to every job that waits for its stage: whichever returns first, counts it."""
    assert task.done.extras is not None
    updates = StageUpdates(stage_id, task.partition, task.done.extras.updates)
    for each in running:
        if any(stage.spec.stage_id == stage_id for stage in each.job.stages):
            each.job.updates.append(updates)
