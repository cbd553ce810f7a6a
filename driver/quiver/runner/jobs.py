"""A running job as its caller sees it: results come in, one end comes out."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Sequence

from quiver.plan.model import PlannedJob, StageUpdates
from quiver.runner.failures import JobFailure
from quiver.scheduler.model import Succeeded
from quiver_proto.errors import JobCancelled, ResultTooLarge
from quiver_proto.ids import StageId
from quiver_proto.messages import ResultBlock

_SIGNAL_LOOK_S = 0.5


OUT_OF_TIME = "it was given a limited time, and what it has so far is its result"


class RunningJob:
    """Collects the result stage's partitions; `wait` blocks its caller's thread, everything else runs in the engine's.

    A partition is stored at most once. Small results are held as frames, large ones as blocks that the caller fetches.
    """

    __slots__ = ("_done", "_index", "failure", "job", "missing", "out_of_time", "result_bytes", "results")

    def __init__(self, job: PlannedJob) -> None:
        self.job = job
        spec = job.stages[-1].spec
        self._index = None if spec.partitions is None else {partition: i for i, partition in enumerate(spec.partitions)}
        count = spec.width if spec.partitions is None else len(spec.partitions)
        self.results: list[bytes | ResultBlock | None] = [None] * count
        self.missing = count
        self.result_bytes = 0
        self.out_of_time = False
        """Set by who cancels the job because its `within_s` have passed."""
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

    def wait(self, limit_s: float = 0.0) -> bool:
        """Until `finish`: True; or for `limit_s` at most (0: no limit): False. A signal handler that raises (Ctrl-C) breaks it off."""
        end = time.monotonic() + limit_s if limit_s else math.inf
        # Not for ever at a time: a signal that comes just before the wait begins does not wake it.
        while not self._done.acquire(timeout=_SIGNAL_LOOK_S if not limit_s else max(0.0, min(_SIGNAL_LOOK_S, end - time.monotonic()))):
            if limit_s and time.monotonic() >= end:
                return False
        self._done.release()
        return True

    def outcome(self) -> Sequence[bytes | ResultBlock | None]:
        """The results of an ended job; None for what is missing when it was cancelled because it was out of time. Raises JobFailure."""
        if self.failure is not None and not (self.out_of_time and isinstance(self.failure.error, JobCancelled)):
            raise self.failure
        return self.results


def keep_updates(running: Iterable[RunningJob], stage_id: StageId, task: Succeeded) -> None:
    """Give what an accepted task added to accumulators to every job that waits for its stage: whichever returns first, counts it."""
    assert task.done.extras is not None
    updates = StageUpdates(stage_id, task.partition, task.done.extras.updates)
    for each in running:
        if any(stage.spec.stage_id == stage_id for stage in each.job.stages):
            each.job.updates.append(updates)
