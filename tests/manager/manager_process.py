"""A real manager process, and a node daemon that is a gRPC server in this process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

from quiver_proto import cluster as c
from quiver_proto.errors import QuiverError
from quiver_proto.rpc import Client
from quiver_proto.services import Manager, Node
from quiver_proto.serving import listen
from quiver_proto.versions import local_versions

GIB = 1 << 30


def eventually(condition, what, limit_s=120.0):
    """What `condition` gives, once that is true."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {limit_s} s: {what}")


class ManagerProcess:
    """Started as a user would; `kill` is kill -9, `start` again uses the same port and journal."""

    def __init__(self, directory, *flags):
        self.directory, self.flags = directory, flags
        self.secret_file, self.port_file = directory / "secret", directory / "manager.port"
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("QUIVER_")}
        self.environment |= {"QUIVER_SECRET_FILE": str(self.secret_file), "HOME": str(directory)}
        self.port = 0
        self.start()

    def start(self):
        self.port_file.unlink(missing_ok=True)
        with open(self.directory / "manager.log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "quiver_manager", "--port", str(self.port), "--port-file", str(self.port_file)),
                    *("--journal", str(self.directory / "journal.db"), "--heartbeat-interval-s", "0.2", *self.flags),
                ],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        eventually(lambda: self.port_file.exists() or self.process.poll() is not None, "the manager's port file")
        assert self.process.poll() is None, self.log()
        self.address = self.port_file.read_text().strip()
        self.port = int(self.address.rsplit(":", 1)[1])
        self.secret = self.secret_file.read_text().strip()

    def client(self):
        return Client(self.address, "manager", self.secret)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)

    def log(self):
        return (self.directory / "manager.log").read_text()


class NodeDaemon:
    """Says that each executor is ready as soon as it is asked for; registers again when it is not known. Runs nothing."""

    def __init__(self, manager, name="n1", cores=2):
        self.name, self.cores, self.epoch = name, cores, 0
        self.executors, self.calls = {}, []
        self.server, port = listen("127.0.0.1", 0, manager.secret, [(Node, self)])
        self.address = f"127.0.0.1:{port}"
        self.client = manager.client()
        self.server.start()
        self._over = threading.Event()
        self._tellers = []
        self._thread = threading.Thread(target=self._beat)
        self._thread.start()

    def rows(self):
        return tuple(self.executors.values())

    def _beat(self):
        while not self._over.wait(0.1):
            try:
                known = (
                    self.epoch and self.client.call(Manager.NODE_HEARTBEAT, c.NodeHeartbeat(self.name, self.epoch, self.rows()), 2).known
                )
                if not known:
                    self.epoch += 1
                    self.client.call(
                        Manager.REGISTER_NODE,
                        c.RegisterNode(
                            self.name, self.epoch, "host", self.address, "b:1", self.cores, 4 * GIB, local_versions(), {}, self.rows()
                        ),
                        2,
                    )
            except QuiverError:
                continue  # the manager is away: keep running, try again

    def handshake(self, request, context):
        return c.HelloReply(self.name, local_versions())

    def launch_executor(self, request, context):
        self.calls.append(request)
        row = c.RunningExecutor(request.executor_id, request.application_id, request.cores, request.memory_bytes, "e:1", 1)
        self.executors[request.executor_id] = row  # the next heartbeat says that it is up
        return c.Ack()

    def stop_executor(self, request, context):
        self.calls.append(request)
        self.executors.pop(request.executor_id, None)
        self.tell_exited(request.executor_id, asked=True)
        return c.Ack()

    def tell_exited(self, executor_id, **fields):
        report = c.ExecutorExited(self.name, self.epoch, executor_id.split("/")[0], executor_id, 1, **fields)
        teller = threading.Thread(target=self.client.call, args=(Manager.EXECUTOR_EXITED, report))
        self._tellers.append(teller)
        teller.start()

    def remove_application(self, request, context):
        self.calls.append(request)
        return c.Ack()

    def remove_shuffle(self, request, context):
        return c.Ack()

    def get_node_status(self, request, context):
        return c.NodeStatus(self.name, self.epoch, "host", self.cores, 4 * GIB, "b:1")

    def close(self):
        self._over.set()
        self._thread.join()
        self.server.stop(None).wait()
        for teller in self._tellers:
            teller.join()
        self.client.close()


class Watcher:
    """Follows an application as a driver does: reconnects with the last sequence number that it has seen."""

    def __init__(self, manager, application_id):
        self.events, self.connections, self.ended_by = [], 0, []
        self._manager, self._application_id = manager, application_id
        self._over = threading.Event()
        self._client = manager.client()
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def _follow(self):
        while not self._over.is_set():
            after = self.events[-1].sequence if self.events else 0
            self._stream = self._client.stream(Manager.WATCH_APPLICATION, c.WatchApplication(self._application_id, after))
            self.connections += 1
            try:
                for event in self._stream:
                    self.events.append(event)
                    if isinstance(event.event, c.ApplicationOver):
                        return
            except QuiverError as problem:
                self.ended_by.append(problem)
            self._over.wait(0.05)

    def seen(self, kind):
        return [event.event for event in self.events if isinstance(event.event, kind)]

    def close(self):
        self._over.set()
        self._stream.cancel()
        self._client.close()
        self._thread.join()
