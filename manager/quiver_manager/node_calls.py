"""Calls to node daemons, made beside the manager's own work: in order for each node, several nodes at once."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from quiver_manager.model import ApplicationRemoved, Event, LaunchRefused, NodeRefusesConnections
from quiver_proto import cluster as c
from quiver_proto.auth import TlsFiles
from quiver_proto.errors import QuiverError
from quiver_proto.ids import NodeId
from quiver_proto.logs import Log
from quiver_proto.rpc import Client
from quiver_proto.services import Node

_THREADS = 16
_LIMIT_S = 10.0
_PROBE_LIMIT_S = 2.0


@dataclass(frozen=True, slots=True)
class ProbeNode:
    epoch: int


Call = c.LaunchExecutor | c.StopExecutor | c.RemoveApplication | ProbeNode


class NodeCalls:
    """`tell` is given what became of a call, as an event of the manager; it is called in threads of this object."""

    def __init__(self, secret: str, tls: TlsFiles | None, tell: Callable[[Event], object]) -> None:
        self._secret, self._tls, self._tell = secret, tls, tell
        self._log = Log("manager.nodes")
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="node-calls")
        self._lock = threading.Lock()
        self._queues: dict[NodeId, deque[tuple[str, Call]]] = {}
        self._clients: dict[str, Client] = {}
        self._closed = False

    def submit(self, node_id: NodeId, address: str, call: Call) -> None:
        """Make the call after the earlier ones to this node. Does not block."""
        with self._lock:
            if self._closed:
                return
            queue = self._queues.get(node_id)
            if queue is not None:
                queue.append((address, call))
                return
            self._queues[node_id] = deque([(address, call)])
            self._pool.submit(self._drain, node_id)

    def forget(self, address: str) -> None:
        """The node at `address` is gone: calls to it that wait end now."""
        with self._lock:
            client = self._clients.pop(address, None)
        if client is not None:
            client.close()

    def close(self) -> None:
        """Ends what is under way. Twice does nothing."""
        with self._lock:
            self._closed = True
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _drain(self, node_id: NodeId) -> None:
        while True:
            with self._lock:
                queue = self._queues[node_id]
                if self._closed or not queue:
                    del self._queues[node_id]
                    return
                address, call = queue.popleft()
            try:
                self._make(node_id, address, call)
            except Exception:
                self._log.exception("a call to a node failed unexpectedly", node=node_id, call=type(call).__name__)

    def _make(self, node_id: NodeId, address: str, call: Call) -> None:
        match call:
            case ProbeNode():
                if self._refuses(address):
                    self._tell(NodeRefusesConnections(node_id, call.epoch))
            case c.LaunchExecutor():
                try:
                    ack = self._client(address).call(Node.LAUNCH_EXECUTOR, call, _LIMIT_S)
                    problem = "" if ack.done else ack.reason or "the node refused"
                except (QuiverError, ValueError) as error:
                    problem = str(error)
                if problem:
                    self._tell(LaunchRefused(call.executor_id, call.attempt, problem))
            case c.StopExecutor():
                self._try(node_id, lambda: self._client(address).call(Node.STOP_EXECUTOR, call, _LIMIT_S))
            case c.RemoveApplication():
                if self._try(node_id, lambda: self._client(address).call(Node.REMOVE_APPLICATION, call, _LIMIT_S)):
                    self._tell(ApplicationRemoved(node_id, call.application_id))

    def _try(self, node_id: NodeId, call: Callable[[], c.Ack]) -> bool:
        """False when it did not arrive; it is asked for again later."""
        try:
            call()
        except (QuiverError, ValueError) as error:  # ValueError: the channel was closed under the call
            self._log.warning("a node could not be asked", node=node_id, problem=error)
            return False
        return True

    def _refuses(self, address: str) -> bool:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _PROBE_LIMIT_S).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return False

    def _client(self, address: str) -> Client:
        with self._lock:
            client = self._clients.get(address)
            if client is None:
                client = self._clients[address] = Client(address, "node", self._secret, self._tls)
            return client
