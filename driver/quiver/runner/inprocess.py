"""The driver in the user's process: an engine on a thread of its own."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from quiver.eventlog import EventLog
from quiver.plan.model import PlannedJob
from quiver.plan.selection import JobSelection
from quiver.progress import ConsoleProgress
from quiver.runner.engine import Engine
from quiver.runner.failures import JobFailure, opened
from quiver.runner.jobs import OUT_OF_TIME, RunningJob
from quiver.runner.results import read_result
from quiver.scheduler.blocks import StoredSummary
from quiver.scheduler.model import Policy
from quiver.skew import SkewPolicy
from quiver_proto.errors import ContextStopped
from quiver_proto.events import AccumulatorsUpdated, QueryEvent
from quiver_proto.ids import JobId, ShuffleId, StageId
from quiver_proto.loop import Loop, Timer
from quiver_proto.messages import BroadcastTable, ResultBlock

if TYPE_CHECKING:
    from quiver_proto.sessions import StatusReport

log = logging.getLogger("quiver.driver")

T = TypeVar("T")

PROGRESS_INTERVAL_S = 0.2
LOOK_INTERVAL_S = 0.1
"""How often a thread that waits for the engine's answer looks whether the driver was stopped."""
PROGRESS_DELAY_S = 0.1
RESULT_ATTEMPTS = 3
# Ids for re-runs of lost results, far above any that a planner hands out and below the next client's range.
_RERUN_IDS = 1 << 36


@dataclass(frozen=True, slots=True)
class Application:
    """What a driver is told about its application. Sizes in bytes; `token` authenticates this application's block reads."""

    application_id: str
    name: str
    master: str
    default_parallelism: int
    max_result_bytes: int
    policy: Policy
    token: str = ""
    tls_ca: str = ""
    skew: SkewPolicy = field(default_factory=SkewPolicy)


class InProcessDriver:
    """Implements quiver.plan.model.Driver. `on_stop` callbacks run last-registered first, after the engine has stopped."""

    def __init__(self, application: Application, event_log_dir: str, progress: ConsoleProgress | None) -> None:
        self.application = application
        self.application_id = application.application_id
        self.default_parallelism = application.default_parallelism
        self.ui_url: str | None = None
        self.id_base = 0
        self.started_at = time.time()
        self.loop = Loop()
        self.events = EventLog(event_log_dir, application.application_id, self.loop.call_later, log.warning)
        limit = application.max_result_bytes
        self.engine = Engine(application.policy, self.events, time.monotonic, time.time, self._notice, limit, self._erase, application.skew)
        self.engine.broadcasts.post = self.loop.call_soon
        self.make_broadcast_dir: Callable[[], str] = tempfile.mkdtemp
        """Where files of broadcasts go; whoever puts the driver together sets it to what goes with the application."""
        self._progress = progress
        self._progress_timer: Timer | None = None
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._on_stop: list[Callable[[], None]] = []
        self._submitted: set[RunningJob] = set()
        self._stopped = False
        self._crash: BaseException | None = None
        self._reruns = 0
        self._thread = threading.Thread(target=self._run_loop, name="quiver-driver", daemon=True)

    # ---- quiver.plan.model.Driver ----

    def run(self, job: PlannedJob) -> Sequence[bytes]:
        """See quiver.plan.model.Driver.run."""
        return opened(self.execute, job)

    def execute(self, job: PlannedJob) -> Sequence[bytes]:
        """`run`, but a failure is raised as JobFailure, unopened: for a driver that serves other processes."""
        running = self._submit(job)
        frames: list[bytes] = []
        lost: list[int] = []
        for i, result in enumerate(running.results):
            if isinstance(result, ResultBlock):
                try:
                    frames.append(self._fetch(result))
                    continue
                except OSError as error:
                    log.warning("result block %s is lost (%s): its partition is computed again", result.path, error)
                    lost.append(i)
            frames.append(result if isinstance(result, bytes) else b"")
        for i in lost:
            frames[i] = b"" if running.out_of_time else self._recompute(job, i)
        return frames

    def cancel(self, job_id: JobId, reason: str) -> None:
        self.post(lambda: self.engine.cancel(job_id, reason))

    def cancel_jobs(self, selection: JobSelection, reason: str) -> None:
        self.post(lambda: self.engine.cancel_jobs(selection, reason))

    def status(self, what: str, ids: Sequence[int] = ()) -> StatusReport:
        return self.engine.book.report(what, ids)

    def executor_cores(self) -> int:
        return max(1, self.engine.executor_cores())

    def release_shuffle(self, shuffle_id: ShuffleId) -> None:
        if not self._stopped:
            self.loop.call_soon(lambda: self.engine.release_shuffle(shuffle_id))

    def broadcast_dir(self) -> str:
        return self.make_broadcast_dir()

    def add_broadcast(self, table: BroadcastTable) -> None:
        self.engine.broadcasts.add(table)

    def remove_broadcast(self, broadcast_id: int, *, destroy: bool, blocking: bool) -> None:
        if self._stopped:
            return
        gone = threading.Event()
        self.loop.call_soon(lambda: self.engine.remove_broadcast(broadcast_id, destroy, gone.set))
        # Looked at again: a driver that stops removes everything, and answers no more.
        while blocking and not gone.wait(LOOK_INTERVAL_S) and not self._stopped:
            pass

    def accumulated(self, event: AccumulatorsUpdated) -> None:
        if not self._stopped:
            self.loop.call_soon(lambda: self.events.append(event))

    def record(self, event: Callable[[], QueryEvent]) -> None:
        if not self._stopped:
            self.loop.call_soon(lambda: self.events.append(event))

    def unpersist(self, dataset_id: int, blocking: bool = False) -> None:
        if blocking:
            self._ask(lambda: self.engine.unpersist(dataset_id), None)
        else:
            self.post(lambda: self.engine.unpersist(dataset_id))

    def stored(self, dataset_id: int) -> StoredSummary:
        return self._ask(lambda: self.engine.stored(dataset_id), StoredSummary())

    def map_sizes(self, shuffle_id: ShuffleId) -> Sequence[bytes]:
        return self._ask(lambda: self.engine.map_sizes(shuffle_id), ())

    def stop(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        self.loop.call_soon(self.engine.stop)
        self.loop.stop()
        if threading.current_thread() is not self._thread:
            self._thread.join()
            self.loop.close()
        self._end_submitted()
        self._clean_up()

    # ---- for those who put a driver together ----

    def start(self) -> None:
        self._thread.start()

    def post(self, callback: Callable[[], None]) -> None:
        """Run `callback` in the engine's thread, then look at deadlines. Dropped once the driver has stopped."""
        if not self._stopped:
            self.loop.call_soon(lambda: self._with_deadline(callback))

    def authenticate(self, token: str) -> None:
        """Read blocks of other nodes with this token."""
        self.application = replace(self.application, token=token)

    def on_stop(self, callback: Callable[[], None]) -> None:
        self._on_stop.append(callback)

    def after_step(self) -> None:
        """To be called in the engine's thread after anything that stepped the engine."""
        deadline = self.engine.next_deadline()
        if deadline is not None and (self._timer is None or deadline < self._timer_at):
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = deadline
            self._timer = self.loop.call_later(max(0.0, deadline - time.monotonic()), self._tick)
        if self._progress is not None and self._progress_timer is None and self.engine.busy:
            self._progress_timer = self.loop.call_later(PROGRESS_DELAY_S, self._draw_progress)

    # ---- inside ----

    def _ask(self, question: Callable[[], T], otherwise: T) -> T:
        """What `question` returns in the engine's thread; `otherwise` when the driver stops first."""
        answers: list[T] = []
        ready = threading.Event()

        def answer() -> None:
            try:
                answers.append(question())
            finally:
                ready.set()

        self.post(answer)
        while not ready.wait(LOOK_INTERVAL_S):
            if self._stopped:
                break
        return answers[0] if answers else otherwise

    def _submit(self, job: PlannedJob) -> RunningJob:
        running = RunningJob(job)
        if self._stopped or self._crash is not None:
            raise JobFailure(error=self._crash or ContextStopped(str(job.call_site)))
        self._submitted.add(running)
        try:
            # Looked at again: a stop that came in between ends only what it finds in the set.
            if self._stopped:
                raise JobFailure(error=self._crash or ContextStopped(str(job.call_site)))
            self.post(lambda: self.engine.submit(running))
            if not running.wait(job.within_s):
                running.out_of_time = True
                self.cancel(job.job_id, OUT_OF_TIME)
                # Until the engine has let go of it: from then on its results stay as they are.
                running.wait()
        except JobFailure:
            raise
        except BaseException:
            self.cancel(job.job_id, "interrupted")
            raise
        finally:
            self._submitted.discard(running)
        running.outcome()
        return running

    def _fetch(self, block: ResultBlock) -> bytes:
        return read_result(block, self.engine.block_server(block.node_id), self.application.token, self.application.tls_ca)

    def _recompute(self, job: PlannedJob, position: int) -> bytes:
        result = job.stages[-1]
        partition = position if result.spec.partitions is None else result.spec.partitions[position]
        last: OSError | None = None
        for attempt in range(RESULT_ATTEMPTS):
            self._reruns += 1
            # Tasks of a barrier stage can't run alone.
            partitions = result.spec.partitions if result.spec.barrier else (partition,)
            again = replace(result, spec=replace(result.spec, stage_id=StageId(_RERUN_IDS + self._reruns), partitions=partitions))
            rerun = replace(job, job_id=JobId(_RERUN_IDS + self._reruns), stages=(*job.stages[:-1], again))
            value = self._submit(rerun).results[position if result.spec.barrier else 0]
            try:
                return self._fetch(value) if isinstance(value, ResultBlock) else value or b""
            except OSError as error:
                log.warning("result block of partition %d is lost again (%s), attempt %d", partition, error, attempt + 1)
                last = error
        raise JobFailure(error=last)

    def _with_deadline(self, callback: Callable[[], None]) -> None:
        callback()
        self.after_step()

    def _tick(self) -> None:
        self._timer = None
        self.engine.tick()
        self.after_step()

    def _draw_progress(self) -> None:
        assert self._progress is not None
        if self.engine.busy:
            self._progress.update(self.engine.progress())
            self._progress_timer = self.loop.call_later(PROGRESS_INTERVAL_S, self._draw_progress)
        else:
            self._progress.clear()
            self._progress_timer = None

    def _erase(self) -> None:
        if self._progress is not None:
            self._progress.clear()

    def _notice(self, text: str) -> None:
        self._erase()
        log.warning("%s", text)

    def _run_loop(self) -> None:
        try:
            self.loop.run()
        except BaseException as error:
            # A fault of ours: nobody may wait for a thread that is gone.
            log.exception("the driver's engine failed; the application can't go on")
            self._crash = error
            self._stopped = True
            self.engine.stop(error)
            self._end_submitted()
            self._clean_up()

    def _end_submitted(self) -> None:
        # Jobs that were submitted when the loop had already taken its last round.
        for running in list(self._submitted):
            running.finish(JobFailure(error=self._crash or ContextStopped(str(running.job.call_site))))

    def _clean_up(self) -> None:
        while self._on_stop:
            callback = self._on_stop.pop()
            try:
                callback()
            except Exception:
                log.exception("stopping: %r failed", callback)
