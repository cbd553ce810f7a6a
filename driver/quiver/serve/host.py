"""What `driver serve` does with its clients' calls: sessions and their jobs over one driver. Knows nothing of gRPC."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from quiver.plan.model import PlannedJob
from quiver.plan.selection import JobSelection
from quiver.scheduler.blocks import StoredSummary
from quiver.serve.broadcasts import receive
from quiver.serve.outcome import failed, pieces, update_pieces
from quiver.serve.plans import from_message
from quiver.serve.sessions import Session, SessionTable
from quiver_proto.cluster import Ack, HeartbeatReply
from quiver_proto.errors import JobCancelled, QuiverError, ResourcesUnavailable
from quiver_proto.events import AccumulatorsUpdated, QueryEvent, decode
from quiver_proto.ids import ApplicationId, JobId, ShuffleId
from quiver_proto.messages import BroadcastTable
from quiver_proto.sessions import (
    ANY_JOB,
    AskSizes,
    AskStatus,
    AskStored,
    CancelJobs,
    CloseSession,
    ExecutePlan,
    MapSizes,
    OpenSession,
    PlanEvent,
    PlanFailed,
    PlanProgress,
    PlanSucceeded,
    PlanWaiting,
    ReleaseBroadcast,
    ReleaseShuffle,
    ReportAccumulators,
    ReportQuery,
    SendBroadcast,
    SessionHeartbeat,
    SessionOpened,
    StatusReport,
    Stored,
    Unpersist,
)

log = logging.getLogger("quiver.serve")

MOST_JOBS = 400
"""Jobs at once over all sessions: each holds a thread of the server."""
LOOK_INTERVAL_S = 0.25
LISTENER_GRACE_S = 30.0
"""A running job to which no client listens is cancelled after this."""
KEEP_OUTCOME_S = 60.0
"""A delivered outcome is kept this long, for a client whose connection broke at the last moment."""
SMALL_OUTCOME_BYTES = 1 << 20
"""A larger one goes when it has been delivered."""


class HostedDriver(Protocol):
    """The driver that does the work: quiver.runner.inprocess.InProcessDriver."""

    application_id: str
    default_parallelism: int
    ui_url: str | None
    started_at: float

    def executor_cores(self) -> int: ...

    def execute(self, job: PlannedJob) -> Sequence[bytes]: ...

    def cancel(self, job_id: JobId, reason: str) -> None: ...

    def release_shuffle(self, shuffle_id: ShuffleId) -> None: ...

    def status(self, what: str, ids: Sequence[int] = ()) -> StatusReport: ...
    def accumulated(self, event: AccumulatorsUpdated) -> None: ...

    def record(self, event: Callable[[], QueryEvent]) -> None: ...

    def unpersist(self, dataset_id: int, blocking: bool = False) -> None: ...

    def stored(self, dataset_id: int) -> StoredSummary: ...

    def map_sizes(self, shuffle_id: ShuffleId) -> Sequence[bytes]: ...

    def broadcast_dir(self) -> str: ...

    def add_broadcast(self, table: BroadcastTable) -> None: ...

    def remove_broadcast(self, broadcast_id: int, *, destroy: bool, blocking: bool) -> None: ...


Look = Callable[[PlannedJob], tuple[Sequence[PlanProgress], str]]
"""A running job's running stages, and why it waits ("" when it does not)."""


class HostedJob:
    """One job of one session. `done` is set once, after `frames` or `failure`."""

    def __init__(self, job: PlannedJob, now: float) -> None:
        self.job = job
        self.done = threading.Event()
        self.frames: Sequence[bytes] = ()
        self.failure: PlanFailed | None = None
        self.listeners = 0
        self.unheard_since = now
        self.delivered_at: float | None = None

    def run(self, execute: Callable[[PlannedJob], Sequence[bytes]]) -> None:
        try:
            self.frames = execute(self.job)
        except BaseException as error:
            if not isinstance(error, Exception):
                log.exception("job %d ended strangely", self.job.job_id)
            self.failure = failed(error)
        self.done.set()


class SessionHost:
    """Thread-safe: every method may be called by any thread, and twice. `clock` is monotonic seconds; `sweep` is to be called regularly."""

    def __init__(
        self,
        driver: HostedDriver,
        look: Look,
        clock: Callable[[], float],
        conf: Mapping[str, str],
        session_timeout_s: float,
        heartbeat_interval_s: float,
    ) -> None:
        self._driver = driver
        self._look = look
        self._clock = clock
        self.address = "this driver"
        self._draining = False
        self._conf = dict(conf)
        self._heartbeat_interval_s = heartbeat_interval_s
        self._sessions = SessionTable(session_timeout_s)
        self._jobs: dict[tuple[str, JobId], HostedJob] = {}
        self._lock = threading.Lock()

    @property
    def sessions(self) -> int:
        with self._lock:
            return len(self._sessions)

    def drain(self) -> bool:
        """From now on no new job is taken; True once none runs."""
        with self._lock:
            self._draining = True
            return all(hosted.done.is_set() for hosted in self._jobs.values())

    def open(self, request: OpenSession) -> SessionOpened:
        with self._lock:
            known = len(self._sessions)
            session = self._sessions.open(request.session_id, request.name, request.user, self._clock())
            if len(self._sessions) > known:
                log.info("session %s (%s of %s on %s) opened", request.session_id, request.name, request.user, request.host)
        driver = self._driver
        return SessionOpened(
            application_id=ApplicationId(driver.application_id),
            default_parallelism=driver.default_parallelism,
            ui_url=driver.ui_url or "",
            id_base=session.id_base,
            started_at=driver.started_at,
            conf=self._conf,
            heartbeat_interval_s=self._heartbeat_interval_s,
            executor_cores=driver.executor_cores(),
        )

    def beat(self, request: SessionHeartbeat) -> HeartbeatReply:
        with self._lock:
            return HeartbeatReply(self._sessions.beat(request.session_id, self._clock()))

    def close(self, request: CloseSession) -> Ack:
        with self._lock:
            session = self._sessions.close(request.session_id)
        if session is None:
            return Ack(False, "no such session")
        self._abandon(session, "its client has closed the session")
        return Ack()

    def cancel(self, request: CancelJobs) -> Ack:
        with self._lock:
            session = self._sessions.get(request.session_id, self.address)
            running = [self._jobs[session.session_id, number].job for number in session.jobs]
            selection = JobSelection(request.group, request.tag, request.future)
            session.refused.add(selection, request.reason or "cancelled by its client")
            one = request.job_id != ANY_JOB
            if one and request.job_id not in session.jobs | session.answered:
                session.early.add(request.job_id, request.reason or "cancelled by its client")
        wanted = [job for job in running if (request.job_id == job.job_id if one else selection.concerns(job.properties))]
        for job in wanted:
            self._driver.cancel(job.job_id, request.reason or "cancelled by its client")
        return Ack(bool(wanted), "" if wanted else "no such job runs")

    def status(self, request: AskStatus) -> StatusReport:
        """Of the session's own jobs and stages, and of all executors."""
        with self._lock:
            session = self._sessions.get(request.session_id, self.address)
        report = self._driver.status(request.what, request.ids)
        mine = functools.partial(self._sessions.owns, session)
        return StatusReport(
            tuple(job for job in report.jobs if mine(job.job_id)),
            tuple(stage for stage in report.stages if mine(stage.stage_id)),
            report.executors,
            tuple(found for found in report.skew if mine(found.stage_id)),
            tuple(row for row in report.operators if mine(row.stage_id)),
        )

    def release(self, request: ReleaseShuffle) -> Ack:
        with self._lock:
            session = self._sessions.get(request.session_id, self.address)
            if request.shuffle_id not in session.shuffles:
                return Ack(False, "no such shuffle")
            session.shuffles.discard(request.shuffle_id)
        self._driver.release_shuffle(request.shuffle_id)
        return Ack()

    def send_broadcast(self, request: SendBroadcast) -> Ack:
        with self._lock:
            session = self._sessions.get(request.session_id, self.address)
            if not self._sessions.owns(session, request.broadcast_id):
                raise QuiverError(f"broadcast {request.broadcast_id} is not in the session's range; this is a fault of the client")
            session.broadcasts.add(request.broadcast_id)
        table = receive(self._driver.broadcast_dir(), request)
        if table is not None:
            self._driver.add_broadcast(table)
        return Ack()

    def release_broadcast(self, request: ReleaseBroadcast) -> Ack:
        with self._lock:
            session = self._sessions.get(request.session_id, self.address)
            if request.broadcast_id not in session.broadcasts:
                return Ack(False, "no such broadcast")
            if request.destroy:
                session.broadcasts.discard(request.broadcast_id)
        self._driver.remove_broadcast(request.broadcast_id, destroy=request.destroy, blocking=request.blocking)
        return Ack()

    def report_accumulators(self, request: ReportAccumulators) -> Ack:
        with self._lock:
            session = self._sessions.get(request.session_id, self.address)
            if not self._sessions.owns(session, request.stage_id):
                return Ack(False, "no stage of this session")
        self._driver.accumulated(AccumulatorsUpdated(request.at, request.stage_id, request.ids, request.types, request.values))
        return Ack()

    def report_query(self, request: ReportQuery) -> Ack:
        try:
            event = decode(request.event)
        except (ValueError, TypeError):
            return Ack(False, "no event")
        with self._lock:
            session = self._sessions.get(request.session_id, self.address)
            if not isinstance(event, QueryEvent) or not self._sessions.owns(session, event.query_id):
                return Ack(False, "no query of this session")
        self._driver.record(lambda: event)
        return Ack()

    def unpersist(self, request: Unpersist) -> Ack:
        with self._lock:
            session = self._sessions.get(request.session_id, self.address)
            if request.dataset_id not in session.datasets:
                return Ack(False, "no such dataset")
            session.datasets.discard(request.dataset_id)
        self._driver.unpersist(request.dataset_id, blocking=True)
        return Ack()

    def stored(self, request: AskStored) -> Stored:
        with self._lock:
            session = self._sessions.get(request.session_id, self.address)
            if request.dataset_id not in session.datasets:
                return Stored()
        return Stored(*self._driver.stored(request.dataset_id))

    def map_sizes(self, request: AskSizes) -> MapSizes:
        with self._lock:
            session = self._sessions.get(request.session_id, self.address)
            if request.shuffle_id not in session.shuffles:
                return MapSizes()
        return MapSizes(tuple(self._driver.map_sizes(request.shuffle_id)))

    def execute(self, plan: ExecutePlan) -> Iterator[PlanEvent]:
        """The job's progress, then its outcome. Asked for again, the job goes on and this caller sees its outcome too."""
        hosted = self._listen(plan)
        try:
            yield from self._follow(hosted)
            yield from map(PlanEvent, update_pieces(hosted.job.updates))
            if hosted.failure is not None:
                yield PlanEvent(hosted.failure)
            else:
                yield from (PlanEvent(piece) for piece in pieces(hosted.frames))
                yield PlanEvent(PlanSucceeded(len(hosted.frames)))
            hosted.delivered_at = self._clock()
        finally:
            with self._lock:
                hosted.listeners -= 1
                hosted.unheard_since = self._clock()

    def sweep(self) -> None:
        """Let go of what nobody needs: sessions that went silent, jobs without listeners, outcomes that were delivered."""
        now = self._clock()
        with self._lock:
            unheard = [
                hosted.job.job_id
                for hosted in self._jobs.values()
                if not hosted.done.is_set() and not hosted.listeners and now - hosted.unheard_since > LISTENER_GRACE_S
            ]
            for key in [key for key, hosted in self._jobs.items() if _may_forget(hosted, now)]:
                self._forget(key)
            late = self._sessions.expire(now)
        for session in late:
            self._abandon(session, f"nothing was heard from its client for {self._sessions.timeout_s:.0f} s")
        for job_id in unheard:
            self._driver.cancel(job_id, "its client is gone")

    def _listen(self, plan: ExecutePlan) -> HostedJob:
        key = (plan.session_id, plan.job_id)
        with self._lock:
            session = self._sessions.get(plan.session_id, self.address)
            hosted = self._jobs.get(key)
            if hosted is not None:
                hosted.listeners += 1
                return hosted
            if plan.job_id in session.answered:
                raise QuiverError(f"the result of job {plan.job_id} was delivered before and is no longer held. Call the action again.")
            self._check_ids(session, plan)
            if refused := session.early.take(plan.job_id) or session.refused.reason(plan.properties):
                raise JobCancelled(plan.job_id, refused)
            if self._draining:
                raise ResourcesUnavailable("another job", "this driver is shutting down", "Connect to it again once it has been restarted.")
            if sum(not each.done.is_set() for each in self._jobs.values()) >= MOST_JOBS:
                raise ResourcesUnavailable("another job", f"{MOST_JOBS} run on this driver", "Wait for some to end.")
            hosted = self._jobs[key] = HostedJob(from_message(plan), self._clock())
            hosted.listeners = 1
            session.jobs.add(plan.job_id)
            session.datasets.update(dataset.dataset_id for stage in plan.stages for dataset in stage.datasets)
            session.shuffles.update(stage.shuffle_id for stage in plan.stages if stage.shuffle_id >= 0)
        threading.Thread(target=hosted.run, args=(self._driver.execute,), name=f"job-{plan.job_id}", daemon=True).start()
        return hosted

    def _check_ids(self, session: Session, plan: ExecutePlan) -> None:
        # A client that numbers wrongly would read or end another client's work.
        shuffles = [stage.shuffle_id for stage in plan.stages if stage.shuffle_id >= 0]
        numbers = [plan.job_id, *(stage.stage_id for stage in plan.stages), *shuffles, *(r for stage in plan.stages for r in stage.reads)]
        numbers += [dataset.dataset_id for stage in plan.stages for dataset in stage.datasets]
        numbers += [number for stage in plan.stages for given in stage.variants for way in given.ways for number in way.datasets]
        numbers += [broadcast_id for stage in plan.stages for broadcast_id in stage.broadcasts]
        if not all(self._sessions.owns(session, number) for number in numbers):
            raise QuiverError(f"job {plan.job_id} has ids outside the session's range; this is a fault of the client, please report it")

    def _follow(self, hosted: HostedJob) -> Iterator[PlanEvent]:
        shown: dict[int, PlanProgress] = {}
        told = ""
        while not hosted.done.wait(LOOK_INTERVAL_S):
            stages, waiting = self._look(hosted.job)
            for stage in stages:
                if shown.get(stage.stage_id) != stage:
                    shown[stage.stage_id] = stage
                    yield PlanEvent(stage)
            if waiting != told:
                told = waiting
                yield PlanEvent(PlanWaiting(waiting))

    def _abandon(self, session: Session, reason: str) -> None:
        log.info("session %s is over: %s", session.session_id, reason)
        with self._lock:
            # A sweep may have forgotten some of them since the session was closed.
            hosted = {number: self._jobs.pop((session.session_id, number), None) for number in session.jobs}
            running = [number for number, job in hosted.items() if job is not None and not job.done.is_set()]
        for number in running:
            self._driver.cancel(number, reason)
        for shuffle_id in session.shuffles:
            self._driver.release_shuffle(shuffle_id)
        for dataset_id in session.datasets:
            self._driver.unpersist(dataset_id)
        for broadcast_id in session.broadcasts:
            self._driver.remove_broadcast(broadcast_id, destroy=True, blocking=False)

    def _forget(self, key: tuple[str, JobId]) -> None:
        if self._jobs.pop(key, None) is not None:
            session = self._sessions.get(key[0], self.address)
            session.jobs.discard(key[1])
            session.answered.add(key[1])


def _may_forget(hosted: HostedJob, now: float) -> bool:
    if hosted.delivered_at is None or hosted.listeners:
        return False
    return now - hosted.delivered_at > KEEP_OUTCOME_S or sum(map(len, hosted.frames)) > SMALL_OUTCOME_BYTES
