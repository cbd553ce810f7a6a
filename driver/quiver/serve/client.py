"""The driver interface over gRPC: plans go to a `driver serve` daemon, results come back."""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import queue
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from quiver.plan.model import PlannedJob, StageUpdates
from quiver.plan.selection import JobSelection
from quiver.runner.workdir import WorkDir
from quiver.scheduler.blocks import StoredSummary
from quiver.serve.outcome import to_exception
from quiver.serve.plans import to_message
from quiver.serve.sessions import SessionLost
from quiver_proto import versions
from quiver_proto.auth import TlsFiles, find_secret
from quiver_proto.broadcast_file import file_path, pieces_of
from quiver_proto.cluster import Ack, Hello
from quiver_proto.errors import ContextStopped, DriverUnreachable, QuiverError
from quiver_proto.events import AccumulatorsUpdated, QueryEvent, encode
from quiver_proto.ids import JobId, ShuffleId, StageId, new_application_id
from quiver_proto.messages import BroadcastTable
from quiver_proto.rpc import Client
from quiver_proto.secret_texts import names_a_secret
from quiver_proto.services import DriverService, Unary
from quiver_proto.sessions import (
    ANY_JOB,
    AskSizes,
    AskStatus,
    AskStored,
    CancelJobs,
    CloseSession,
    ExecutePlan,
    OpenSession,
    PlanEvent,
    PlanEventBody,
    PlanFailed,
    PlanProgress,
    PlanResults,
    PlanSucceeded,
    PlanUpdates,
    PlanWaiting,
    ReleaseBroadcast,
    ReleaseShuffle,
    ReportAccumulators,
    ReportQuery,
    SendBroadcast,
    SessionHeartbeat,
    StatusReport,
    Unpersist,
)

if TYPE_CHECKING:
    from quiver.runner.launch import Settings

log = logging.getLogger("quiver.driver")

T = TypeVar("T")

CONNECT_TIMEOUT_S = 5.0
RECONNECT_LIMIT_S = 30.0
"""A job whose connection broke is asked for again for this long; the driver runs it once however often it is asked."""
RECONNECT_PAUSE_S = 0.5
_SIGNAL_LOOK_S = 0.5


class RemoteDriver:
    """Implements quiver.plan.model.Driver. Raises DriverUnreachable, AuthenticationFailed, IncompatibleVersions when made."""

    def __init__(self, address: str, app_name: str, conf: Settings) -> None:
        from quiver.runner.launch import console_progress

        self.address = address
        self._conf = conf
        self._directory: WorkDir | None = None
        self._directory_lock = threading.Lock()
        self._stopped = threading.Event()
        self._session_id = f"session-{secrets.token_hex(8)}"
        ca = conf.get("quiver.tls.ca") or os.environ.get("QUIVER_TLS_CA") or ""
        self._client = Client(address, "driver", find_secret(conf.get("quiver.secret.file") or ""), TlsFiles("", "", ca) if ca else None)
        self._progress = console_progress(conf)
        mine = versions.local_versions()
        try:
            self._client.wait_until_reachable(CONNECT_TIMEOUT_S)
            hello = self._client.call(DriverService.HANDSHAKE, Hello("client", app_name, mine))
            versions.check(f"the driver at {address}", mine, hello.versions)
            opened = self._client.call(
                DriverService.OPEN_SESSION,
                OpenSession(self._session_id, app_name, getpass.getuser(), socket.gethostname(), os.getpid(), mine, _without_secrets(conf)),
            )
        except BaseException:
            self._client.close()
            raise
        self.application_id: str = opened.application_id
        self.default_parallelism = opened.default_parallelism
        self._executor_cores = opened.executor_cores
        self.ui_url: str | None = opened.ui_url or None
        self.id_base = opened.id_base
        self.started_at = opened.started_at
        self._to_tell: queue.SimpleQueue[tuple[Unary[Any, Ack], Any] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._beat, args=(opened.heartbeat_interval_s,), name="quiver-session", daemon=True),
            threading.Thread(target=self._tell, name="quiver-tell", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def run(self, job: PlannedJob) -> Sequence[bytes]:
        """See quiver.plan.model.Driver.run."""
        if self._stopped.is_set():
            raise ContextStopped(str(job.call_site))
        plan = to_message(self._session_id, job)
        try:
            outcome = _aside(lambda: self._outcome(plan, job.updates))
        except KeyboardInterrupt:
            self.cancel(job.job_id, "interrupted")
            raise
        if isinstance(outcome, PlanFailed):
            raise to_exception(outcome)
        return outcome

    def cancel(self, job_id: JobId, reason: str) -> None:
        self._cancel(CancelJobs(self._session_id, job_id, "", reason))

    def cancel_jobs(self, selection: JobSelection, reason: str) -> None:
        self._cancel(CancelJobs(self._session_id, ANY_JOB, selection.group, reason, selection.tag, selection.future))

    def status(self, what: str, ids: Sequence[int] = ()) -> StatusReport:
        """Raises ContextStopped, and what an unreachable driver is."""
        if self._stopped.is_set():
            raise ContextStopped("statusTracker")
        return self._client.call(DriverService.GET_JOBS_STATUS, AskStatus(self._session_id, what, tuple(ids)))

    def executor_cores(self) -> int:
        return max(1, self._executor_cores)

    def release_shuffle(self, shuffle_id: ShuffleId) -> None:
        # Called from the collector: the call itself is made by a thread of its own.
        self._to_tell.put((DriverService.RELEASE_SHUFFLE, ReleaseShuffle(self._session_id, shuffle_id)))

    def broadcast_dir(self) -> str:
        """Here: the files are written here, and sent from here."""
        with self._directory_lock:
            if self._directory is None:
                from quiver.runner.launch import work_dir_root

                self._directory = WorkDir(work_dir_root(self._conf), new_application_id())
                self._directory.sweep()
            return self._directory.path

    def add_broadcast(self, table: BroadcastTable) -> None:
        """Send the file up, piece by piece; a broken connection is waited for."""
        if self._stopped.is_set():
            raise ContextStopped("broadcast")
        with open(table.path, "rb") as file:
            for piece in range(pieces_of(table.size, table.piece_bytes)):
                data = file.read(min(table.piece_bytes, table.size - piece * table.piece_bytes))
                request = SendBroadcast(self._session_id, table.broadcast_id, table.size, table.checksums, piece, data)
                _aside(partial(self._send_piece, request))

    def _send_piece(self, request: SendBroadcast) -> None:
        give_up = time.monotonic() + RECONNECT_LIMIT_S
        while True:
            try:
                self._client.call(DriverService.SEND_BROADCAST, request)
                return
            except DriverUnreachable:
                if time.monotonic() >= give_up or self._stopped.wait(RECONNECT_PAUSE_S):
                    raise

    def remove_broadcast(self, broadcast_id: int, *, destroy: bool, blocking: bool) -> None:
        if self._stopped.is_set():
            return
        request = ReleaseBroadcast(self._session_id, broadcast_id, destroy, blocking)
        if blocking:
            _aside(lambda: self._client.call(DriverService.RELEASE_BROADCAST, request))
        else:
            self._to_tell.put((DriverService.RELEASE_BROADCAST, request))
        if destroy and self._directory is not None:
            with contextlib.suppress(OSError):
                os.unlink(file_path(self._directory.path, broadcast_id))

    def accumulated(self, event: AccumulatorsUpdated) -> None:
        report = ReportAccumulators(
            self._session_id, event.at, StageId(event.stage_id), tuple(event.ids), tuple(event.types), tuple(event.values)
        )
        self._to_tell.put((DriverService.REPORT_ACCUMULATORS, report))

    def record(self, event: Callable[[], QueryEvent]) -> None:
        self._to_tell.put((DriverService.REPORT_QUERY, lambda: ReportQuery(self._session_id, encode(event()))))

    def unpersist(self, dataset_id: int, blocking: bool = False) -> None:
        request = Unpersist(self._session_id, dataset_id)
        if not blocking:
            self._to_tell.put((DriverService.UNPERSIST, request))
        elif not self._stopped.is_set():
            self._client.call(DriverService.UNPERSIST, request)

    def stored(self, dataset_id: int) -> StoredSummary:
        told = self._client.call(DriverService.ASK_STORED, AskStored(self._session_id, dataset_id))
        return StoredSummary(told.partitions, told.copies, told.memory_bytes, told.disk_bytes)

    def map_sizes(self, shuffle_id: ShuffleId) -> Sequence[bytes]:
        return self._client.call(DriverService.ASK_SIZES, AskSizes(self._session_id, shuffle_id)).maps

    def stop(self) -> None:
        if self._stopped.is_set():
            return
        self._stopped.set()
        self._to_tell.put(None)
        with contextlib.suppress(QuiverError):
            _aside(lambda: self._client.call(DriverService.CLOSE_SESSION, CloseSession(self._session_id), timeout_s=5.0))
        self._client.close()
        if self._directory is not None:
            self._directory.close()

    def _outcome(self, plan: ExecutePlan, updates: list[StageUpdates]) -> PlanFailed | list[bytes]:
        give_up: float | None = None
        while True:
            frames: list[bytes] = []
            updates.clear()
            try:
                for event in self._events(plan):
                    give_up = None
                    match event:
                        case PlanResults():
                            frames.extend(event.frames)
                        case PlanUpdates():
                            updates.extend(map(StageUpdates, event.stage_ids, event.partitions, event.updates))
                        case PlanFailed():
                            return event
                        case PlanSucceeded():
                            return frames
                raise DriverUnreachable(self.address, "the stream ended before the job did")
            except (QuiverError, ValueError) as error:
                if self._stopped.is_set():
                    # Our own channel was closed under the call.
                    raise ContextStopped(str(plan.call_site)) from None
                if not isinstance(error, DriverUnreachable):
                    raise
                now = time.monotonic()
                give_up = give_up if give_up is not None else now + RECONNECT_LIMIT_S
                if now >= give_up:
                    raise
                log.warning("the connection to the driver at %s broke; asking for job %d again", self.address, plan.job_id)
                self._stopped.wait(RECONNECT_PAUSE_S)

    def _events(self, plan: ExecutePlan) -> Iterator[PlanResults | PlanUpdates | PlanFailed | PlanSucceeded]:
        """What decides the job; its progress is shown on the way."""
        running: dict[int, PlanProgress] = {}
        stream = self._client.stream(DriverService.EXECUTE_PLAN, plan)
        try:
            for message in stream:
                match _body(message):
                    case PlanProgress() as stage:
                        running[stage.stage_id] = stage
                        self._draw(running)
                    case PlanWaiting() as waiting:
                        if waiting.reason:
                            log.warning("job %d waits: %s", plan.job_id, waiting.reason)
                    case decisive:
                        yield decisive
        finally:
            stream.cancel()
            if self._progress is not None and running:
                self._progress.clear()

    def _draw(self, running: dict[int, PlanProgress]) -> None:
        if self._progress is None:
            return
        from quiver.progress import StageProgress

        stages = [
            StageProgress(stage.stage_id, stage.name, stage.done, stage.running, stage.failed, stage.width)
            for stage in running.values()
            if stage.done < stage.width
        ]
        self._progress.update(stages)

    def _cancel(self, request: CancelJobs) -> None:
        if self._stopped.is_set():
            return
        try:
            _aside(lambda: self._client.call(DriverService.CANCEL_JOBS, request))
        except QuiverError as error:
            log.warning("the driver could not be told to cancel: %s", error)

    def _beat(self, interval_s: float) -> None:
        while not self._stopped.wait(interval_s):
            try:
                known = self._client.call(DriverService.SESSION_HEARTBEAT, SessionHeartbeat(self._session_id)).known
            except (QuiverError, ValueError):
                # Not reachable for now, or our channel has just been closed; a running job says so to the user.
                continue
            if not known:
                log.warning("%s", SessionLost(self.address))
                return

    def _tell(self) -> None:
        while (call := self._to_tell.get()) is not None:
            method, request = call
            # What can't be told now goes with the session.
            with contextlib.suppress(QuiverError, ValueError):
                self._client.call(method, request() if callable(request) else request)


def _aside(call: Callable[[], T]) -> T:
    """What `call` gives or raises, from a thread of its own.

    Ctrl-C in the middle of a gRPC call leaves gRPC's locks locked, and every later call then hangs. So the user's thread makes none
    while a job runs: it waits here, where Ctrl-C does no harm.
    """
    ended: queue.SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = queue.SimpleQueue()

    def run() -> None:
        try:
            ended.put((call(), None))
        except BaseException as error:
            ended.put((None, error))

    threading.Thread(target=run, name="quiver-call", daemon=True).start()
    while True:
        # Not for ever at a time: a signal that comes just before the wait begins does not wake it.
        with contextlib.suppress(queue.Empty):
            value, error = ended.get(timeout=_SIGNAL_LOOK_S)
            break
    if error is not None:
        raise error
    return cast("T", value)


def _body(message: PlanEvent) -> PlanEventBody:
    return message.event


def _without_secrets(conf: Settings) -> dict[str, str]:
    return {key: value for key, value in conf.getAll() if not names_a_secret(key)}
