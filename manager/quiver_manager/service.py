"""The manager's gRPC edge and shell: messages become events, `core.step` decides, the journal is written, then the world sees it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

import grpc

from quiver_manager import core, feed
from quiver_manager.journal import Journal
from quiver_manager.model import (
    Action,
    Event,
    Launch,
    NodeState,
    Outcome,
    Policy,
    Probe,
    RemoveBlocks,
    Stop,
    Tick,
    WatchClosed,
    WatchOpened,
)
from quiver_manager.node_calls import Call, NodeCalls, ProbeNode
from quiver_manager.status import status
from quiver_proto import cluster as c
from quiver_proto import versions
from quiver_proto.auth import TlsFiles, application_token
from quiver_proto.cluster_status import ClusterStatus, GetStatus
from quiver_proto.errors import BadSetting, ConnectionFailed, ManagerUnreachable
from quiver_proto.ids import NodeId
from quiver_proto.logs import Log

Reply = TypeVar("Reply")

_APPLICATION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LOOK_UP_S = 1.0
"""How often a watch stream without news looks whether its client is still there."""


class ManagerDaemon:
    """Serves `services.Manager`, and is the `serving.Daemon`. One lock is held from the decision until it is journalled."""

    def __init__(self, journal: Journal, policy: Policy, secret: str, tls: TlsFiles | None = None) -> None:
        self._journal, self._secret = journal, secret
        self._versions = versions.local_versions()
        self._log = Log("manager")
        self._state = journal.recover(policy, time.time(), time.monotonic())
        self._nodes = NodeCalls(secret, tls, self._apply)
        self._news = threading.Condition(threading.RLock())
        self._address = ""
        self._closing = False
        self._failure: BaseException | None = None

    # ---- serving.Daemon ----

    def started(self, address: str) -> None:
        self._address = address
        state = self._state
        self._log.info(
            "journal read",
            path=self._journal.path,
            epoch=state.manager_epoch,
            nodes=len(state.nodes),
            applications=len(state.applications),
            executors=len(state.executors),
        )

    def tick(self, now: float) -> None:
        if self._failure is not None:
            raise self._failure
        self._apply(Tick())

    def drain(self) -> bool:
        """Nothing runs here: executors go on, and the journal knows them at the next start."""
        with self._news:
            self._closing = True
            self._news.notify_all()
        return True

    def stop(self) -> None:
        self.drain()
        self._nodes.close()
        with self._news:
            self._journal.close()

    # ---- services.Manager ----

    def handshake(self, request: c.Hello, context: grpc.ServicerContext) -> c.HelloReply:
        """The caller compares: it knows what it needs."""
        return c.HelloReply("manager", self._versions)

    def register_node(self, request: c.RegisterNode, context: grpc.ServicerContext) -> c.NodeRegistered:
        self._check_versions(request.versions)
        for name, value in (("--cores", request.cores), ("--memory", request.memory_bytes)):
            if value < 1:
                raise BadSetting(name, str(value), "a node has at least one core and some memory")
        return self._reply(request, c.NodeRegistered)

    def node_heartbeat(self, request: c.NodeHeartbeat, context: grpc.ServicerContext) -> c.HeartbeatReply:
        return self._reply(request, c.HeartbeatReply)

    def executor_ready(self, request: c.ExecutorReady, context: grpc.ServicerContext) -> c.Ack:
        return self._reply(request, c.Ack)

    def executor_exited(self, request: c.ExecutorExited, context: grpc.ServicerContext) -> c.Ack:
        return self._reply(request, c.Ack)

    def unregister_node(self, request: c.UnregisterNode, context: grpc.ServicerContext) -> c.Ack:
        return self._reply(request, c.Ack)

    def register_application(self, request: c.RegisterApplication, context: grpc.ServicerContext) -> c.ApplicationRegistered:
        self._check_versions(request.versions)
        if not _APPLICATION_ID.fullmatch(request.application_id):
            raise BadSetting("application id", request.application_id[:100], "must be letters, digits, dots, dashes and underscores")
        wanted = request.request
        for name, value in (
            ("--num-executors", wanted.instances),
            ("--executor-cores", wanted.cores),
            ("--executor-memory", wanted.memory_bytes),
            ("quiver.cores.max", wanted.cores_max),
        ):
            if value < 0:
                raise BadSetting(name, str(value), "must not be negative")
        if wanted.cores_max and wanted.cores > wanted.cores_max:
            raise BadSetting("--executor-cores", str(wanted.cores), f"is more than the {wanted.cores_max} cores of quiver.cores.max")
        reply = self._apply(request).reply
        if reply is None:
            raise ManagerUnreachable(self._address, "it is ending")
        if isinstance(reply, c.Ack) and not reply.done:
            raise ConnectionFailed(reply.reason)
        token = application_token(self._secret, request.application_id)
        return c.ApplicationRegistered(token, self._state.manager_epoch, self._state.policy.heartbeat_interval_s, wanted)

    def application_heartbeat(self, request: c.ApplicationHeartbeat, context: grpc.ServicerContext) -> c.HeartbeatReply:
        return self._reply(request, c.HeartbeatReply)

    def unregister_application(self, request: c.UnregisterApplication, context: grpc.ServicerContext) -> c.Ack:
        return self._reply(request, c.Ack)

    def submit_job(self, request: c.SubmitJob, context: grpc.ServicerContext) -> c.Ack:
        return self._reply(request, c.Ack)

    def job_ended(self, request: c.JobEnded, context: grpc.ServicerContext) -> c.Ack:
        return self._reply(request, c.Ack)

    def request_executors(self, request: c.RequestExecutors, context: grpc.ServicerContext) -> c.Ack:
        return self._reply(request, c.Ack)

    def release_executor(self, request: c.ReleaseExecutor, context: grpc.ServicerContext) -> c.Ack:
        return self._reply(request, c.Ack)

    def drain_node(self, request: c.DrainNode, context: grpc.ServicerContext) -> c.Ack:
        return self._reply(request, c.Ack)

    def get_status(self, request: GetStatus, context: grpc.ServicerContext) -> ClusterStatus:
        with self._news:
            return replace(status(self._state, self._versions, time.monotonic()), unix_time=time.time())

    def watch_application(self, request: c.WatchApplication, context: grpc.ServicerContext) -> Iterator[c.ClusterEvent]:
        """Ends with ApplicationOver, or when the manager ends (watch again) or the client does."""
        context.add_callback(self._wake)
        self._apply(WatchOpened(request.application_id))
        sequence = request.after_sequence
        try:
            while context.is_active():
                with self._news:
                    events = feed.events_after(self._state, request.application_id, sequence)
                    reason = self._state.ended.get(request.application_id, "the manager does not know it")
                    if self._closing:
                        return
                    if events == []:
                        self._news.wait(_LOOK_UP_S)
                        continue
                if events is None:
                    yield c.ClusterEvent(request.application_id, sequence, c.ApplicationOver(reason))
                    return
                for event in events:
                    sequence = event.sequence
                    yield event
        finally:
            self._apply(WatchClosed(request.application_id))

    # ---- between the core and the world ----

    def _wake(self) -> None:
        with self._news:
            self._news.notify_all()

    def _reply(self, event: Event, kind: type[Reply]) -> Reply:
        reply = self._apply(event).reply
        if reply is None:
            raise ManagerUnreachable(self._address, "it is ending")
        assert isinstance(reply, kind)
        return reply

    def _apply(self, event: Event) -> Outcome:
        with self._news:
            if self._closing:
                return Outcome()
            outcome = core.step(self._state, event, time.monotonic())
            try:
                self._journal.write(self._state, outcome.changed)
            except BaseException as failure:
                # What is not journalled must not be acted on, and memory is now ahead of the journal: end, and start again from it.
                self._failure = failure
                raise
            calls = [self._call(action) for action in outcome.actions]
            if outcome.notify:
                self._news.notify_all()
        for message, fields in outcome.log:
            self._log.info(message, **fields)
        for node_id, address, call in filter(None, calls):
            self._nodes.submit(node_id, address, call)
        for address in outcome.lost_addresses:
            self._nodes.forget(address)
        return outcome

    def _call(self, action: Action) -> tuple[NodeId, str, Call] | None:
        """None when the node has gone in the same step."""
        node = self._state.nodes.get(action.node_id)
        if node is None or node.state is NodeState.RECOVERING:
            return None
        epoch = self._state.manager_epoch
        call: Call
        match action:
            case Launch():
                executor = self._state.executors[action.executor_id]
                call = c.LaunchExecutor(
                    executor.application_id,
                    executor.executor_id,
                    executor.attempt,
                    epoch,
                    executor.cores,
                    executor.memory_bytes,
                    application_token(self._secret, executor.application_id),
                    self._state.applications[executor.application_id].environment,
                )
            case Stop():
                call = c.StopExecutor(action.application_id, action.executor_id, epoch, action.reason, action.now)
            case RemoveBlocks():
                call = c.RemoveApplication(action.application_id, epoch, "application over")
            case Probe():
                call = ProbeNode(action.epoch)
        return action.node_id, node.address, call

    def _check_versions(self, theirs: Mapping[str, str]) -> None:
        """Raises IncompatibleVersions as the caller will read it: its own versions are "here"."""
        versions.check(f"the manager at {self._address}", theirs, self._versions)
