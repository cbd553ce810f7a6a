"""The driver's side of a cluster: one manager, and a link to every executor that it gives.

    watch thread    manager's events ──▶ links opened and dropped, callbacks
    calls thread    jobs' starts and ends, releases, heartbeats ──▶ manager, in order, again and again while it is away
    a link's thread an executor's messages ──▶ on_message

A manager that is away is only a pause in new allocations: executors and their streams stay.
"""

from __future__ import annotations

import getpass
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from quiver.plan.model import PlannedJob
from quiver.runner.grpc_link import GrpcLink
from quiver_proto.auth import TlsFiles
from quiver_proto.cluster import (
    AllocationWaiting,
    ApplicationHeartbeat,
    ApplicationOver,
    ApplicationRegistered,
    ClusterEvent,
    ExecutorEnvironment,
    ExecutorGone,
    ExecutorLaunched,
    ExecutorRequest,
    Hello,
    JobEnded,
    NodeGone,
    RegisterApplication,
    ReleaseExecutor,
    Snapshot,
    StageDemand,
    SubmitJob,
    UnregisterApplication,
    WatchApplication,
)
from quiver_proto.errors import AuthenticationFailed, ConnectionFailed, ManagerUnreachable, QuiverError
from quiver_proto.ids import ApplicationId, ExecutorId, JobId, NodeId
from quiver_proto.messages import FromExecutor
from quiver_proto.rpc import Client, Stream
from quiver_proto.services import Manager, Unary
from quiver_proto.versions import check, local_versions
from quiver_proto.wire_errors import load_fields

log = logging.getLogger("quiver.driver")

CONNECT_LIMIT_S = 3.0
"""How long a manager may not be there."""
_ANSWER_LIMIT_S = 10.0
"""How long one that is there may take to answer: the machine may be busy."""
_FIRST_RETRY_S = 0.1
_LONGEST_RETRY_S = 2.0
_TROUBLE_AFTER_S = 3.0


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the cluster tells its driver.

    `on_message` is called from the threads of the executors' streams, with everything but their hello. All others are given to
    `post`, which must run them one after the other in the order of its calls; an executor's `on_executor` is posted before its
    first `on_message` is called.

    on_executor_gone: the manager says so; `asked` when it was told to go. on_node_lost: with it every executor and block on it.
    on_waiting: why there are fewer executors than wanted ("" takes that back); with an error none will ever come: raise it.
    on_broken: the stream to this executor ended, and nothing is known yet of the executor itself.
    """

    post: Callable[[Callable[[], None]], None]
    on_executor: Callable[[GrpcLink], None]
    on_executor_gone: Callable[[ExecutorId, str, bool], None]
    on_node_lost: Callable[[NodeId, str], None]
    on_waiting: Callable[[str, QuiverError | None], None]
    on_message: Callable[[FromExecutor], None]
    on_broken: Callable[[ExecutorId, str], None]


class Cluster:
    """An application registered with a manager. The constructor returns when it is; executors come by `callbacks`.

    `token` opens the application's executors and blocks. `granted` is what the request came to. Raises ManagerUnreachable,
    AuthenticationFailed, IncompatibleVersions, or what the manager has against the request (ResourcesUnavailable, BadSetting),
    within a few seconds.
    """

    def __init__(
        self,
        master_url: str,
        application_id: ApplicationId,
        app_name: str,
        request: ExecutorRequest,
        secret: str,
        hash_seed: int,
        python_path: tuple[str, ...],
        callbacks: Callbacks,
        *,
        tls: TlsFiles | None = None,
        working_dir: str = "",
        env: Mapping[str, str] | None = None,
        conf: Mapping[str, str] | None = None,
        ui_url: str = "",
    ) -> None:
        self.application_id = application_id
        self._callbacks = callbacks
        self._tls = tls
        self._registration = RegisterApplication(
            application_id, app_name, getpass.getuser(), socket.gethostname(), os.getpid(), request,
            ExecutorEnvironment(hash_seed, python_path, working_dir or os.getcwd(), env or {}, conf or {}),
            local_versions(), time.time(), ui_url,
        )  # fmt: skip
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._stopped = False
        self._links: dict[ExecutorId, GrpcLink] = {}
        self._troubled: dict[ExecutorId, float] = {}
        self._jobs: dict[JobId, SubmitJob] = {}
        self._calls: deque[tuple[Unary[Any, Any], Any]] = deque()
        self._watch: Stream[ClusterEvent] | None = None
        self._manager = Client(master_url.removeprefix("quiver://").rstrip("/"), "manager", secret, tls)
        try:
            registered = self._introduce()
        except BaseException:
            self._manager.close()
            raise
        self.token = registered.token
        self.granted = registered.granted
        self._heartbeat_interval_s = registered.heartbeat_interval_s
        self._watcher = threading.Thread(target=self._watch_events, name="cluster-watch", daemon=True)
        self._caller = threading.Thread(target=self._make_calls, name="cluster-calls", daemon=True)
        self._watcher.start()
        self._caller.start()

    # ---- quiver.runner.engine.JobObserver ----

    def job_started(self, job: PlannedJob) -> None:
        """Tell the manager of the job's stages. Does not block."""
        stages = tuple(
            StageDemand(s.spec.stage_id, s.spec.name, s.spec.width, tuple(s.spec.parents), s.spec.cores_per_task) for s in job.stages
        )
        submit = SubmitJob(self.application_id, job.job_id, stages)
        with self._changed:
            self._jobs[job.job_id] = submit
            self._call(Manager.SUBMIT_JOB, submit)

    def job_ended(self, job_id: JobId, status: str = "") -> None:
        """Tell the manager that the job needs nothing more. Does not block."""
        with self._changed:
            if self._jobs.pop(job_id, None) is not None:
                self._call(Manager.JOB_ENDED, JobEnded(self.application_id, job_id, status))

    # ---- executors ----

    def release(self, executor_id: ExecutorId, reason: str) -> None:
        """Give this executor back, which can't be used: it is stopped, and another may take its place. Does not block."""
        with self._changed:
            self._call(Manager.RELEASE_EXECUTOR, ReleaseExecutor(self.application_id, executor_id, reason, replace=True))

    def stop(self, reason: str = "the driver stopped") -> None:
        """Close the links and unregister: the manager ends the executors and removes the blocks. Twice does nothing."""
        with self._changed:
            if self._stopped:
                return
            self._stopped = True
            self._calls.clear()
            self._changed.notify_all()
            links = list(self._links.values())
            self._links.clear()
        for link in links:
            link.close()
        # A heartbeat on its way would find the application unregistered, and register it again.
        if self._caller is not threading.current_thread():
            self._caller.join(2.0)
        try:
            self._manager.call(Manager.UNREGISTER_APPLICATION, UnregisterApplication(self.application_id, reason), 2.0)
        except QuiverError as error:
            log.warning("the manager could not be told that the application ended (%s); it will notice by itself", error.message)
        if self._watch is not None:
            self._watch.cancel()
        for link in links:
            link.join(2.0)
        self._manager.close()
        if self._watcher is not threading.current_thread():
            self._watcher.join(2.0)

    # ---- getting in ----

    def _introduce(self) -> ApplicationRegistered:
        ours = local_versions()
        hello = Hello("driver", self.application_id, ours)
        deadline = time.monotonic() + CONNECT_LIMIT_S
        while True:
            try:
                reply = self._manager.call(Manager.HANDSHAKE, hello, _ANSWER_LIMIT_S)
                break
            except ManagerUnreachable:
                # It may be starting just now, which nothing tells. No thread of ours runs yet that could end the wait.
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_FIRST_RETRY_S)
        check(f"the manager at {self._manager.address}", ours, reply.versions)
        return self._manager.call(Manager.REGISTER_APPLICATION, self._registration, _ANSWER_LIMIT_S)

    # ---- the calls thread ----

    def _call(self, method: Unary[Any, Any], request: Any) -> None:
        if not self._stopped:
            self._calls.append((method, request))
            self._changed.notify_all()

    def _make_calls(self) -> None:
        retry_s = _FIRST_RETRY_S
        beat_at = time.monotonic() + self._heartbeat_interval_s
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or bool(self._calls), max(0.0, beat_at - time.monotonic()))
                if self._stopped:
                    return
                call = self._calls[0] if self._calls else None
            try:
                if call is not None:
                    self._manager.call(*call)
                    with self._changed:
                        if self._calls and self._calls[0] is call:
                            self._calls.popleft()
                if time.monotonic() >= beat_at:
                    self._beat()
                    beat_at = time.monotonic() + self._heartbeat_interval_s
                retry_s = _FIRST_RETRY_S
            except ConnectionFailed as error:
                log.debug("the manager did not take a call: %s", error.message)
                with self._changed:
                    if self._changed.wait_for(lambda: self._stopped, retry_s):
                        return
                retry_s = min(_LONGEST_RETRY_S, retry_s * 2)
            except QuiverError as error:
                log.warning("the manager refused a call: %s", error.message)
                with self._changed:
                    if self._calls and self._calls[0] is call:
                        self._calls.popleft()
                beat_at = max(beat_at, time.monotonic() + _FIRST_RETRY_S)

    def _beat(self) -> None:
        reply = self._manager.call(Manager.APPLICATION_HEARTBEAT, ApplicationHeartbeat(self.application_id))
        if reply.known or self._stopped:
            return
        log.warning("the manager does not know this application any more: registering again")
        self._manager.call(Manager.REGISTER_APPLICATION, self._registration)
        with self._changed:
            for submit in self._jobs.values():
                self._call(Manager.SUBMIT_JOB, submit)

    # ---- the watch thread ----

    def _watch_events(self) -> None:
        sequence = 0
        retry_s = _FIRST_RETRY_S
        away = False
        while not self._stopped:
            reason = "the manager ended the stream"
            try:
                self._watch = self._manager.stream(Manager.WATCH_APPLICATION, WatchApplication(self.application_id, sequence))
                for event in self._watch:
                    if away:
                        log.info("the manager is back")
                    away, retry_s = False, _FIRST_RETRY_S
                    sequence = event.sequence
                    self._handle(event)
                    if isinstance(event.event, ApplicationOver):
                        return
            except AuthenticationFailed as error:
                reason = error.message
            except QuiverError as error:
                reason = error.message
            if self._stopped:
                return
            if not away:
                log.warning("no word from the manager (%s); running executors go on, new ones have to wait", reason)
                away = True
            with self._changed:
                if self._changed.wait_for(lambda: self._stopped, retry_s):
                    return
            retry_s = min(_LONGEST_RETRY_S, retry_s * 2)

    def _handle(self, message: ClusterEvent) -> None:
        event = message.event
        match event:
            case ExecutorLaunched():
                self._open_link(event)
            case ExecutorGone():
                if event.log_tail and not event.asked:
                    log.warning("executor %s is gone: %s. Its log ends:\n%s", event.executor_id, event.reason, event.log_tail)
                self._executor_gone(event.executor_id, event.reason, event.asked)
            case NodeGone():
                with self._lock:
                    links = [link for link in self._links.values() if link.node_id == event.node_id]
                for link in links:
                    self._drop_link(link.executor_id)
                self._post(lambda: self._callbacks.on_node_lost(event.node_id, event.reason))
            case AllocationWaiting():
                error = load_fields(event.error_code, event.error_fields) if event.final and event.error_code else None
                if event.final and error is None:
                    error = ConnectionFailed(event.reason)
                self._post(lambda: self._callbacks.on_waiting(event.reason, error))
            case Snapshot():
                there = {launched.executor_id for launched in event.executors}
                with self._lock:
                    missing = [executor_id for executor_id in self._links if executor_id not in there]
                for executor_id in missing:
                    self._executor_gone(executor_id, "the manager knows it no more", False)
                for launched in event.executors:
                    self._open_link(launched)
            case ApplicationOver():
                problem = ConnectionFailed(f"the manager has ended application {self.application_id}: {event.reason}")
                with self._lock:
                    links = list(self._links.values())
                for link in links:
                    self._executor_gone(link.executor_id, problem.message, True)
                self._post(lambda: self._callbacks.on_waiting(event.reason, problem))
            case _:
                assert_never(event)

    def _open_link(self, launched: ExecutorLaunched) -> None:
        with self._lock:
            if self._stopped or launched.executor_id in self._links:
                return
            # Its thread's callbacks take the lock, so they see the link in its place.
            self._links[launched.executor_id] = GrpcLink(
                launched, self.token, self._link_up, self._callbacks.on_message, self._link_broken, self._link_troubled, self._tls
            )

    def _executor_gone(self, executor_id: ExecutorId, reason: str, asked: bool) -> None:
        self._drop_link(executor_id)
        self._post(lambda: self._callbacks.on_executor_gone(executor_id, reason, asked))

    def _drop_link(self, executor_id: ExecutorId) -> None:
        with self._lock:
            link = self._links.pop(executor_id, None)
            troubled = self._troubled.pop(executor_id, 0.0)
        if link is not None:
            link.close()
        if troubled < 0:
            self._post(lambda: self._callbacks.on_waiting("", None))

    # ---- the links' threads ----

    def _link_up(self, link: GrpcLink) -> None:
        with self._lock:
            if self._links.get(link.executor_id) is not link:
                return
            troubled = self._troubled.pop(link.executor_id, 0.0)
        if troubled < 0:
            self._post(lambda: self._callbacks.on_waiting("", None))
        self._post(lambda: self._callbacks.on_executor(link))

    def _link_broken(self, link: GrpcLink, reason: str) -> None:
        self._post(lambda: self._callbacks.on_broken(link.executor_id, reason))

    def _link_troubled(self, link: GrpcLink, reason: str) -> None:
        now = time.monotonic()
        with self._lock:
            if self._links.get(link.executor_id) is not link:
                return
            since = self._troubled.setdefault(link.executor_id, now)
            if since < 0 or now - since < _TROUBLE_AFTER_S:
                return
            # Told once; a negative time marks it.
            self._troubled[link.executor_id] = -1.0
        text = f"executor {link.executor_id} is up but can't be reached from the driver: {reason}"
        self._post(lambda: self._callbacks.on_waiting(text, None))

    def _post(self, callback: Callable[[], None]) -> None:
        if not self._stopped:
            self._callbacks.post(callback)
