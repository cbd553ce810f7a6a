"""What the tests of real daemons share: a manager that records, node daemons, and what /proc says of them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from quiver_proto import services
from quiver_proto.auth import application_token, new_secret
from quiver_proto.cluster import (
    Ack,
    ExecutorEnvironment,
    ExecutorExited,
    ExecutorReady,
    HeartbeatReply,
    Hello,
    HelloReply,
    LaunchExecutor,
    NodeHeartbeat,
    NodeRegistered,
    RegisterNode,
    RemoveApplication,
    StopExecutor,
    UnregisterNode,
)
from quiver_proto.ids import ApplicationId, ExecutorId
from quiver_proto.rpc import Client
from quiver_proto.serving import listen
from quiver_proto.versions import local_versions

APP = ApplicationId("app-20261121-000000-abcdef")
LIMIT_S = 120.0


def eventually(condition: Callable[[], Any], what: str, limit_s: float = LIMIT_S) -> Any:
    """Until `condition()` holds, for real processes, whose progress has no event to wait on; what it gave."""
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        time.sleep(0.01)
    return value


class RecordingManager:
    """The Manager service as a node daemon sees it; every call is kept. `known` False makes heartbeats ask for a registration."""

    def __init__(self, secret: str, port: int = 0) -> None:
        self.calls: list[Any] = []
        self.known = True
        self.epoch = 1
        self._changed = threading.Condition()
        self._server, self.port = listen("127.0.0.1", port, secret, [])
        handlers = {
            method.name: grpc.unary_unary_rpc_method_handler(
                getattr(self, method.handler), _codec().deserializer(method.request), _codec().serializer(method.reply)
            )
            for method in services.methods_of(services.Manager)
            if hasattr(self, method.handler)
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("quiver.v1.Manager", handlers),))
        self._server.start()
        self.address = f"127.0.0.1:{self.port}"

    def handshake(self, hello: Hello, _: object) -> HelloReply:
        return HelloReply("manager", local_versions())

    def register_node(self, request: RegisterNode, _: object) -> NodeRegistered:
        self._keep(request)
        return NodeRegistered(self.epoch, 0.2)

    def node_heartbeat(self, request: NodeHeartbeat, _: object) -> HeartbeatReply:
        self._keep(request)
        return HeartbeatReply(self.known)

    def executor_ready(self, request: ExecutorReady, _: object) -> Ack:
        return self._keep(request)

    def executor_exited(self, request: ExecutorExited, _: object) -> Ack:
        return self._keep(request)

    def unregister_node(self, request: UnregisterNode, _: object) -> Ack:
        return self._keep(request)

    def of(self, kind: type) -> list[Any]:
        return [call for call in self.calls if isinstance(call, kind)]

    def wait_for(self, kind: type, count: int = 1) -> Any:
        """The count-th call of this kind."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.of(kind)) >= count, LIMIT_S), f"no {kind.__name__} within {LIMIT_S} s"
            return self.of(kind)[count - 1]

    def stop(self) -> None:
        self._server.stop(0).wait()

    def _keep(self, request: Any) -> Ack:
        with self._changed:
            self.calls.append(request)
            self._changed.notify_all()
        return Ack()


def _codec() -> Any:
    from quiver_proto import codec

    return codec


class Node:
    """A node daemon as a user starts it."""

    def __init__(self, directory: Path, manager: str, *flags: str, name: str = "node") -> None:
        self.local_dir = directory / "local"
        self.log_path = directory / f"{name}.log"
        port_file = directory / f"{name}.port"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "quiver_executor", "--manager", manager, "--cores", "2", "--memory", "1g",
                    "--local-dir", str(self.local_dir), "--port-file", str(port_file), "--secret-file", str(directory / "secret"), *flags,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "HOME": str(directory)},
            )  # fmt: skip
        self.port_file = port_file

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def client(self, secret: str) -> Client:
        eventually(self.port_file.exists, f"the node's port file; its log:\n{self.log}")
        return Client(self.port_file.read_text().strip(), "node", secret)

    def terminate(self) -> int:
        self.process.terminate()
        return self.process.wait(LIMIT_S)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def write_secret(directory: Path) -> str:
    secret = new_secret()
    path = directory / "secret"
    path.write_text(secret)
    path.chmod(0o600)
    return secret


def launch(secret: str, number: int = 0, **changes: Any) -> LaunchExecutor:
    given: dict[str, Any] = {"cores": 1, "memory_bytes": 256 << 20, "environment": ExecutorEnvironment(hash_seed=7)}
    token = application_token(secret, APP)
    return LaunchExecutor(APP, ExecutorId(f"{APP}/{number}"), 1, 1, token=token, **{**given, **changes})


def stop(number: int = 0, now: bool = False) -> StopExecutor:
    return StopExecutor(APP, ExecutorId(f"{APP}/{number}"), 1, "not needed", now)


def remove() -> RemoveApplication:
    return RemoveApplication(APP, 1, "it ended")


def descendants(pid: int) -> list[int]:
    """Living descendants, from /proc."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := _stat(int(name))) is not None and fields[0] != "Z":
            parents.setdefault(int(fields[1]), []).append(int(name))
    found, todo = [], [pid]
    while todo:
        more = parents.get(todo.pop(), [])
        todo += more
        found += more
    return found


def alive(pid: int) -> bool:
    fields = _stat(pid)
    return fields is not None and fields[0] != "Z"


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
