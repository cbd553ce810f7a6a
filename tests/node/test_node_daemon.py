"""A real node daemon and real executors under a manager that records what it is told."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from processes import APP, Node, RecordingManager, alive, descendants, eventually, launch, remove, stop, write_secret

from quiver_proto.cluster import (
    ExecutorEnvironment,
    ExecutorExited,
    ExecutorReady,
    GetNodeStatus,
    NodeHeartbeat,
    RegisterNode,
    UnregisterNode,
)
from quiver_proto.errors import AuthenticationFailed, ConnectionFailed
from quiver_proto.messages import ExecutorHello
from quiver_proto.rpc import Client
from quiver_proto.services import Executor
from quiver_proto.services import Node as NodeService


@dataclass
class Setup:
    secret: str
    manager: RecordingManager
    node: Node
    client: Client
    directory: Path

    def launched(self, number: int = 0) -> ExecutorReady:
        self.client.call(NodeService.LAUNCH_EXECUTOR, launch(self.secret, number))
        ready: ExecutorReady = self.manager.wait_for(ExecutorReady, number + 1)
        return ready

    def exited(self, number: int) -> ExecutorExited:
        """What was reported of this executor's end."""
        found: list[ExecutorExited] = eventually(
            lambda: [exited for exited in self.manager.of(ExecutorExited) if exited.executor_id == f"{APP}/{number}"],
            f"the end of executor {number}",
        )
        return found[0]


@contextmanager
def running(directory: Path) -> Iterator[Setup]:
    secret = write_secret(directory)
    manager = RecordingManager(secret)
    node = Node(directory, manager.address)
    client = node.client(secret)
    manager.wait_for(RegisterNode)
    yield Setup(secret, manager, node, client, directory)
    client.close()
    node.stop()
    manager.stop()


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    """A node of the test's own, to be killed."""
    with running(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    """A node whose executor 0 may be used, and left alive, by several tests."""
    with running(tmp_path_factory.mktemp("shared")) as made:
        yield made


def test_launch_stop_and_remove(setup: Setup) -> None:
    registration: RegisterNode = setup.manager.wait_for(RegisterNode)
    assert (registration.cores, registration.memory_bytes) == (2, 1 << 30)
    ready = setup.launched()
    assert ready.pid in descendants(setup.node.process.pid)
    blocks = setup.node.local_dir / registration.node_id / APP
    assert blocks.stat().st_mode & 0o777 == 0o700
    again = setup.client.call(NodeService.LAUNCH_EXECUTOR, launch(setup.secret))
    assert again.reason == "launched already"
    status = setup.client.call(NodeService.GET_NODE_STATUS, GetNodeStatus())
    assert [executor.pid for executor in status.executors] == [ready.pid]
    eventually(lambda: any(beat.rss_bytes > 0 for beat in setup.manager.of(NodeHeartbeat)), "a heartbeat that counts the executor")

    setup.client.call(NodeService.STOP_EXECUTOR, stop())
    exited: ExecutorExited = setup.manager.wait_for(ExecutorExited)
    assert (exited.asked, exited.exit_code, exited.signal, exited.failed_to_launch) == (True, 0, 0, False)
    (blocks / "block").write_bytes(b"x")
    setup.client.call(NodeService.REMOVE_APPLICATION, remove())
    eventually(lambda: not blocks.exists(), "the application's blocks are deleted")
    assert len(setup.manager.of(ExecutorReady)) == 1


def test_a_killed_executor_is_reported_at_once_with_its_signal(setup: Setup) -> None:
    ready = setup.launched()
    slots = eventually(lambda: descendants(ready.pid), "the executor's template")
    os.kill(ready.pid, signal.SIGKILL)
    exited: ExecutorExited = setup.manager.wait_for(ExecutorExited)
    assert (exited.exit_code, exited.signal, exited.asked, exited.failed_to_launch) == (-1, 9, False, False)
    assert "listens at" in exited.log_tail
    eventually(lambda: not any(map(alive, slots)), "its slots are gone")


def test_a_killed_node_daemon_takes_its_executors_along_and_the_next_sweeps(setup: Setup) -> None:
    setup.launched(0)
    setup.launched(1)
    eventually(lambda: len(descendants(setup.node.process.pid)) >= 4, "executors and templates")
    everyone = descendants(setup.node.process.pid)
    (left,) = setup.node.local_dir.glob("node-*")
    setup.node.process.kill()
    setup.node.process.wait()
    eventually(lambda: not any(map(alive, everyone)), "no process of the dead node daemon is left")
    assert left.exists()
    second = Node(setup.directory, setup.manager.address, name="second")
    try:
        eventually(lambda: "removed what a dead node daemon had left" in second.log, "the sweep")
        assert not left.exists()
        assert second.terminate() == 0
    finally:
        second.stop()


def test_sigterm_ends_the_executors_and_leaves_nothing(setup: Setup) -> None:
    ready = setup.launched()
    everyone = [ready.pid, *descendants(ready.pid)]
    assert setup.node.terminate() == 0
    assert not any(map(alive, everyone))
    setup.manager.wait_for(UnregisterNode)
    assert list(setup.node.local_dir.glob("node-*")) == []
    assert not setup.node.port_file.exists()


def test_only_the_applications_token_opens_an_executor(shared: Setup) -> None:
    ready = shared.launched()
    for token in (shared.secret, "0" * 64):
        with Client(ready.address, "executor", token) as wrong, pytest.raises(AuthenticationFailed):
            list(wrong.connect(Executor.CONNECT, []))
    with Client(ready.address, "executor", launch(shared.secret).token) as right:
        hello = next(iter(right.connect(Executor.CONNECT, [])))
    assert isinstance(hello, ExecutorHello)
    assert (hello.executor_id, hello.pid, hello.cores) == (ready.executor_id, ready.pid, 1)


def test_no_secret_is_on_a_command_line_or_in_an_executors_environment(shared: Setup) -> None:
    ready = shared.launched()
    token = launch(shared.secret).token.encode()
    for pid in [shared.node.process.pid, ready.pid, *descendants(ready.pid)]:
        for file in ("cmdline", "environ"):
            text = Path(f"/proc/{pid}/{file}").read_bytes()
            assert token not in text
            assert shared.secret.encode() not in text


def test_a_wrong_secret_is_refused_by_the_node(shared: Setup) -> None:
    with Client(shared.client.address, "node", "not the secret of this cluster") as stranger, pytest.raises(AuthenticationFailed):
        stranger.call(NodeService.LAUNCH_EXECUTOR, launch(shared.secret))


def test_an_executor_that_cannot_start_says_why_with_the_end_of_its_log(shared: Setup) -> None:
    broken = ExecutorEnvironment(env={"PYTHONHOME": "/nonexistent"})
    shared.client.call(NodeService.LAUNCH_EXECUTOR, launch(shared.secret, 1, environment=broken))
    exited = shared.exited(1)
    assert exited.failed_to_launch
    assert exited.reason == "it exited with code 1 before it was up"
    assert "encodings" in exited.log_tail


def test_memory_that_no_executor_can_live_in_is_refused_with_the_reason(shared: Setup) -> None:
    shared.client.call(NodeService.LAUNCH_EXECUTOR, launch(shared.secret, 2, memory_bytes=1000))
    exited = shared.exited(2)
    assert exited.failed_to_launch
    assert "less than the 32.0 MiB" in exited.reason


def test_executors_outlive_the_manager_and_are_told_to_the_next(setup: Setup, tmp_path: Path) -> None:
    ready = setup.launched()
    port = setup.manager.port
    setup.manager.stop()
    eventually(lambda: "did not reach the manager" in setup.node.log, "a failed heartbeat")
    second = RecordingManager(setup.secret, port)
    try:
        second.known = False
        registration: RegisterNode = second.wait_for(RegisterNode)
        assert registration.epoch > 1
        assert [(e.executor_id, e.address) for e in registration.executors] == [(ready.executor_id, ready.address)]
        assert alive(ready.pid)
    finally:
        second.stop()


def test_an_executor_ends_without_its_driver(tmp_path: Path) -> None:
    secret = write_secret(tmp_path)
    manager = RecordingManager(secret)
    node = Node(tmp_path, manager.address, "--driver-gone-limit-s", "0.1")
    try:
        client = node.client(secret)
        manager.wait_for(RegisterNode)
        client.call(NodeService.LAUNCH_EXECUTOR, launch(secret))
        exited: ExecutorExited = manager.wait_for(ExecutorExited)
        assert exited.exit_code == 0
        assert "no driver for 0.1 s" in exited.log_tail
        client.close()
    finally:
        node.stop()
        manager.stop()


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--memory", "lots"], "--memory: 'lots' is not an amount of memory"),
        (["--quota", "much"], "--quota: 'much' is not an amount of memory"),
        (["--manager", "nowhere"], "must be quiver://HOST:PORT"),
        (["--cores", "0"], "--cores"),
        (["--label", "blue"], "'blue' is not KEY=VALUE"),
        (["--local-dir", "/proc/nothing"], "local_dir"),
    ],
)
def test_bad_settings_end_the_daemon_with_one_line(tmp_path: Path, flags: list[str], text: str) -> None:
    write_secret(tmp_path)
    node = Node(tmp_path, "127.0.0.1:1", *flags)
    assert node.process.wait(120) in (1, 2)
    assert text in node.log
    assert "Traceback" not in node.log


def test_a_wrong_secret_ends_the_daemon(tmp_path: Path) -> None:
    write_secret(tmp_path)
    manager = RecordingManager("another secret of another cluster")
    node = Node(tmp_path, manager.address)
    try:
        assert node.process.wait(120) == 1
        assert "refused the secret" in node.log
        assert list((tmp_path / "local").glob("node-*")) == []
    finally:
        node.stop()
        manager.stop()


def test_waits_for_a_manager_that_is_not_there_yet(tmp_path: Path) -> None:
    secret = write_secret(tmp_path)
    manager = RecordingManager(secret)
    port = manager.port
    manager.stop()
    node = Node(tmp_path, f"127.0.0.1:{port}")
    try:
        eventually(lambda: "does not answer yet" in node.log, "the node says that it waits")
        manager = RecordingManager(secret, port)
        manager.wait_for(RegisterNode)
    finally:
        node.stop()
        manager.stop()


def test_unreachable_nodes_are_typed_errors() -> None:
    with Client("127.0.0.1:1", "node", "x" * 20) as nobody, pytest.raises(ConnectionFailed, match="no node answers"):
        nobody.call(NodeService.GET_NODE_STATUS, GetNodeStatus())
