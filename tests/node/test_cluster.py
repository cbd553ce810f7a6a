"""The driver's side of a cluster, on a real manager, node daemons and executors."""

from __future__ import annotations

import os
import pickle
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from processes import Node, alive, descendants, eventually, write_secret

from quiver.runner.cluster import Callbacks, Cluster
from quiver.runner.grpc_link import GrpcLink
from quiver.runner.local_cluster import RunningCluster
from quiver_proto import frames
from quiver_proto.auth import TlsFiles
from quiver_proto.cluster import ExecutorRequest
from quiver_proto.errors import AuthenticationFailed, ManagerUnreachable
from quiver_proto.ids import ApplicationId, StageId, TaskId, new_application_id
from quiver_proto.messages import AddStage, FromExecutor, LaunchTasks, Shutdown, TasksEnded
from quiver_proto.ops import Count, Items, StageBody
from quiver_proto.services import Manager

LIMIT_S = 120.0
AS_MANY_AS_FIT = ExecutorRequest()


class Driver:
    """Takes what a cluster tells, in order."""

    def __init__(self, running: RunningCluster, request: ExecutorRequest = AS_MANY_AS_FIT, tls: TlsFiles | None = None) -> None:
        self.told: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self.messages: queue.SimpleQueue[FromExecutor] = queue.SimpleQueue()
        self.waiting: list[tuple[str, Any]] = []
        self.application_id: ApplicationId = new_application_id()
        callbacks = Callbacks(
            post=lambda callback: callback(),
            on_executor=lambda link: self.told.put(("executor", link)),
            on_executor_gone=lambda *gone: self.told.put(("gone", *gone)),
            on_node_lost=lambda *lost: self.told.put(("node lost", *lost)),
            on_waiting=lambda reason, error: self.waiting.append((reason, error)),
            on_message=self.messages.put,
            on_broken=lambda *broken: self.told.put(("broken", *broken)),
        )
        self.cluster = Cluster(running.url, self.application_id, "test", request, running.secret, 7, (), callbacks, tls=tls)

    def executor(self) -> GrpcLink:
        what, link = self.told.get(timeout=LIMIT_S)
        assert what == "executor"
        assert isinstance(link, GrpcLink)
        return link

    def told_of(self, what: str) -> tuple[Any, ...]:
        """The next of this kind; others before it are passed over."""
        while (told := self.told.get(timeout=LIMIT_S))[0] != what:
            pass
        return told

    def ended(self) -> TasksEnded:
        while not isinstance(message := self.messages.get(timeout=LIMIT_S), TasksEnded):
            pass
        return message


def count_tasks(link: GrpcLink, lengths: list[int], first_id: int = 0) -> None:
    body = pickle.dumps(StageBody(Count(Items())))
    link.send(AddStage(StageId(first_id), 0, body, {}, {}, {}))
    for i, length in enumerate(lengths):
        split = frames.dump_value(frames.dump_records(list(range(length))))
        link.send(LaunchTasks(StageId(first_id), 0, [TaskId(first_id + i)], [i], [0], [split]))


def counts(driver: Driver, tasks: int) -> dict[int, int]:
    found: dict[int, int] = {}
    while len(found) < tasks:
        ended = driver.ended()
        assert not ended.failed, ended.failed
        for task in ended.done:
            assert task.result is not None
            found[task.task_id] = frames.load(task.result)
    return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    started = RunningCluster(2, 1, 512 << 20, str(tmp_path_factory.mktemp("cluster")))
    yield started
    started.stop()


@pytest.fixture
def drivers() -> Iterator[Callable[..., Driver]]:
    made: list[Driver] = []

    def make(running: RunningCluster, request: ExecutorRequest = AS_MANY_AS_FIT) -> Driver:
        made.append(Driver(running, request))
        return made[-1]

    yield make
    for driver in made:
        driver.cluster.stop()


def test_tasks_go_through_manager_node_and_executor(running: RunningCluster, drivers: Callable[..., Driver]) -> None:
    driver = drivers(running)
    links = [driver.executor(), driver.executor()]
    assert {link.cores for link in links} == {1}
    assert len({link.node_id for link in links}) == 2
    for i, link in enumerate(links):
        assert link.block_server
        assert Path(link.log_dir).is_dir()
        count_tasks(link, [10, 20, 30], first_id=100 * i)
    assert counts(driver, 6) == {0: 10, 1: 20, 2: 30, 100: 10, 101: 20, 102: 30}
    driver.cluster.stop()
    eventually(lambda: not any(alive(link.pid) for link in links), "the executors end with their application")


def test_a_killed_executor_is_told_of_and_replaced(running: RunningCluster, drivers: Callable[..., Driver]) -> None:
    driver = drivers(running, ExecutorRequest(instances=1, cores=1))
    link = driver.executor()
    os.kill(link.pid, signal.SIGKILL)
    _, executor_id, reason, asked = driver.told_of("gone")
    assert (executor_id, asked) == (link.executor_id, False)
    assert "signal 9" in reason
    (_, replacement) = driver.told_of("executor")
    assert replacement.executor_id != link.executor_id
    count_tasks(replacement, [5])
    assert counts(driver, 1) == {0: 5}


def test_a_stream_that_ends_unexpectedly_is_told_once(running: RunningCluster, drivers: Callable[..., Driver]) -> None:
    driver = drivers(running, ExecutorRequest(instances=1, cores=1))
    link = driver.executor()
    link.send(Shutdown("test"))
    assert driver.told_of("broken")[1] == link.executor_id
    assert driver.told_of("gone")[1] == link.executor_id


def test_a_released_executor_goes_and_another_comes(running: RunningCluster, drivers: Callable[..., Driver]) -> None:
    driver = drivers(running)
    links = [driver.executor(), driver.executor()]
    driver.cluster.release(links[0].executor_id, "idle")
    _, executor_id, _, asked = driver.told_of("gone")
    assert (executor_id, asked) == (links[0].executor_id, True)
    assert driver.executor().executor_id not in {link.executor_id for link in links}
    count_tasks(links[1], [1, 2])
    assert counts(driver, 2) == {0: 1, 1: 2}


def test_a_heartbeat_while_the_driver_stops_does_not_register_it_again(
    running: RunningCluster, drivers: Callable[..., Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = drivers(running).cluster
    asked, call = threading.Event(), cluster._manager.call
    calls: list[Any] = []

    def answered(method: Any, *request: Any) -> Any:
        calls.append(method)
        if method is not Manager.APPLICATION_HEARTBEAT:
            return call(method, *request)
        asked.set()
        with cluster._changed:
            assert cluster._changed.wait_for(lambda: cluster._stopped, LIMIT_S)
        return SimpleNamespace(known=False)

    monkeypatch.setattr(cluster._manager, "call", answered)
    assert asked.wait(LIMIT_S)
    cluster.stop()
    assert calls[-2:] == [Manager.APPLICATION_HEARTBEAT, Manager.UNREGISTER_APPLICATION]
    assert Manager.REGISTER_APPLICATION not in calls


def test_more_than_any_node_has_is_told_with_its_error(running: RunningCluster, drivers: Callable[..., Driver]) -> None:
    driver = drivers(running, ExecutorRequest(instances=1, cores=64))
    eventually(lambda: any(error is not None for _, error in driver.waiting), "a final reason")
    reason, error = next(told for told in driver.waiting if told[1] is not None)
    assert "the largest of 2 nodes has 1" in str(error)
    assert reason


def test_a_wrong_secret_is_refused(running: RunningCluster) -> None:
    impostor = RunningCluster.__new__(RunningCluster)
    impostor.url, impostor.secret = running.url, "not the secret of this cluster"
    with pytest.raises(AuthenticationFailed, match="refused the secret"):
        Driver(impostor)


def test_an_absent_manager_is_told_of_at_once() -> None:
    nobody = RunningCluster.__new__(RunningCluster)
    nobody.url, nobody.secret = "quiver://127.0.0.1:1", "x" * 20
    with pytest.raises(ManagerUnreachable, match=r"no manager answers at 127\.0\.0\.1:1"):
        Driver(nobody)


def test_nothing_is_left_of_a_stopped_cluster(tmp_path: Path) -> None:
    running = RunningCluster(2, 1, 256 << 20, str(tmp_path))
    driver = Driver(running)
    driver.executor()
    everyone = [*running.pids.values(), *(pid for parent in running.pids.values() for pid in descendants(parent))]
    driver.cluster.stop()
    running.stop()
    assert not [pid for pid in everyone if alive(pid)]
    assert list(tmp_path.iterdir()) == []
    running.stop()


def test_a_killed_driver_takes_its_local_cluster_along(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from quiver.runner.local_cluster import RunningCluster\n"
        f"running = RunningCluster(1, 1, 256 << 20, {str(tmp_path)!r})\n"
        "print(*running.pids.values(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    driver = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert driver.stdout is not None
    assert driver.stdin is not None
    pids = [int(pid) for pid in driver.stdout.readline().split()]
    assert len(pids) == 2
    driver.kill()
    driver.wait()
    driver.stdin.close()
    driver.stdout.close()
    eventually(lambda: not any(map(alive, pids)), "manager and node end with the driver")
    assert len(list(tmp_path.iterdir())) == 1
    RunningCluster(1, 1, 256 << 20, str(tmp_path)).stop()
    assert list(tmp_path.iterdir()) == []


def restart_manager(running: RunningCluster) -> subprocess.Popen[bytes]:
    port = running.address.rsplit(":", 1)[1]
    arguments = ["--port", port, "--journal", str(running.directory / "journal.db"), "--secret-file", str(running.directory / "secret")]
    with open(running.directory / "manager-2.log", "wb") as log:
        return subprocess.Popen([sys.executable, "-m", "quiver_manager", *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def test_a_restarted_manager_is_only_a_pause(tmp_path: Path) -> None:
    running = RunningCluster(1, 1, 256 << 20, str(tmp_path))
    driver = Driver(running)
    second = None
    try:
        link = driver.executor()
        os.kill(running.pids["manager"], signal.SIGKILL)
        count_tasks(link, [3])
        assert counts(driver, 1) == {0: 3}, "tasks go on without a manager"
        second = restart_manager(running)
        os.kill(link.pid, signal.SIGKILL)
        (_, replacement) = driver.told_of("executor")
        count_tasks(replacement, [5], first_id=20)
        assert counts(driver, 1) == {20: 5}
    finally:
        driver.cluster.stop()
        running.stop()
        if second is not None:
            second.terminate()
            second.wait()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_everything_can_be_encrypted(tmp_path: Path) -> None:
    request = "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out cert.pem -subj /CN=quiver -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(["openssl", *request.split()], cwd=tmp_path, check=True, capture_output=True)
    cert, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    flags = ["--tls-cert", cert, "--tls-key", key, "--tls-ca", cert]
    plain = RunningCluster.__new__(RunningCluster)
    plain.secret = write_secret(tmp_path)
    port_file = tmp_path / "manager.port"
    arguments = ["--port", "0", "--port-file", str(port_file), "--journal", str(tmp_path / "journal.db")]
    command = [sys.executable, "-m", "quiver_manager", *arguments, "--secret-file", str(tmp_path / "secret"), *flags]
    manager = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    node = Node(tmp_path, f"@{port_file}", *flags)
    try:
        eventually(port_file.exists, "the manager's port file")
        plain.url = f"quiver://{port_file.read_text().strip()}"
        with pytest.raises(ManagerUnreachable):
            Driver(plain)
        driver = Driver(plain, tls=TlsFiles("", "", cert))
        count_tasks(driver.executor(), [7])
        assert counts(driver, 1) == {0: 7}
        driver.cluster.stop()
    finally:
        node.stop()
        manager.terminate()
        manager.wait()
