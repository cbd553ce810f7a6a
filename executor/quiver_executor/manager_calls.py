"""A node daemon's calls to its manager: each kind in a thread of its own, one at a time, answers as events to the node's loop."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from quiver_executor import node_model as m
from quiver_proto.auth import TlsFiles
from quiver_proto.cluster import ExecutorExited, ExecutorReady, Hello, NodeHeartbeat, RegisterNode, UnregisterNode
from quiver_proto.errors import QuiverError
from quiver_proto.rpc import Client
from quiver_proto.services import Manager
from quiver_proto.versions import check, local_versions

CALL_LIMIT_S = 5.0
_FAREWELL_S = 2.0


class ManagerCalls:
    """`tell(event)` is called from this object's threads."""

    def __init__(self, address: str, node_id: str, secret: str, tls: TlsFiles | None, tell: Callable[[m.NodeEvent], None]) -> None:
        self._client = Client(address, "manager", secret, tls)
        self._node_id = node_id
        self._tell = tell
        self._threads = {kind: ThreadPoolExecutor(1, f"manager-{kind}") for kind in ("register", "beat", "report")}

    def handshake(self) -> None:
        """Exchange versions. Raises ManagerUnreachable, AuthenticationFailed, IncompatibleVersions."""
        ours = local_versions()
        reply = self._client.call(Manager.HANDSHAKE, Hello("node", self._node_id, ours), CALL_LIMIT_S)
        check(f"the manager at {self._client.address}", ours, reply.versions)

    def register(self, message: RegisterNode) -> None:
        def call() -> m.NodeEvent:
            self.handshake()
            return m.Registered(message.epoch, self._client.call(Manager.REGISTER_NODE, message, CALL_LIMIT_S))

        self._run("register", call, lambda problem: m.RegisterFailed(message.epoch, problem))

    def beat(self, message: NodeHeartbeat) -> None:
        def call() -> m.NodeEvent:
            return m.HeartbeatAnswered(message.epoch, self._client.call(Manager.NODE_HEARTBEAT, message, CALL_LIMIT_S).known)

        self._run("beat", call, lambda problem: m.HeartbeatFailed(message.epoch, problem))

    def report(self, message: ExecutorReady | ExecutorExited) -> None:
        def call() -> m.NodeEvent:
            if isinstance(message, ExecutorReady):
                self._client.call(Manager.EXECUTOR_READY, message, CALL_LIMIT_S)
            else:
                self._client.call(Manager.EXECUTOR_EXITED, message, CALL_LIMIT_S)
            return m.ReportAnswered()

        self._run("report", call, m.ReportFailed)

    def farewell(self, message: UnregisterNode) -> str:
        """Unregister; why that failed, or ""."""
        try:
            self._client.call(Manager.UNREGISTER_NODE, message, _FAREWELL_S)
        except QuiverError as error:
            return error.message
        return ""

    def close(self) -> None:
        self._client.close()
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)

    def _run(self, kind: str, call: Callable[[], m.NodeEvent], failed: Callable[[str], m.NodeEvent]) -> None:
        def run() -> None:
            event: Any
            try:
                event = call()
            except QuiverError as error:
                event = failed(error.message)
            except ValueError as error:
                # gRPC's word for a channel that `close` has closed.
                event = failed(str(error))
            self._tell(event)

        self._threads[kind].submit(run)
