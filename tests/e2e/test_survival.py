"""Real daemons, real SIGKILLs, in the middle of a shuffle: the job still ends with the right answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from operator import add
from pathlib import Path

import pytest
from harness import MakeContext, children, command_line, eventually
from programs import mark, wait_for

from quiver import Context

RECORDS = 4000
EXPECTED = sorted((key, sum(range(key, RECORDS, 10))) for key in range(10))


class Cluster:
    """A manager and node daemons started as a user would, on loopback."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {**os.environ, "QUIVER_SECRET_FILE": str(directory / "secret"), "HOME": str(directory)}
        self.start(
            "manager", "-m", "quiver_manager", "--port", "0", "--port-file", str(directory / "manager.port"), "--journal", self.journal
        )
        eventually(lambda: (directory / "manager.port").exists(), "the manager's port file")
        self.port = int((directory / "manager.port").read_text().split(":")[-1])
        self.url = f"quiver://127.0.0.1:{self.port}"

    @property
    def journal(self) -> str:
        return str(self.directory / "journal.db")

    def start(self, name: str, *arguments: str) -> None:
        with open(self.directory / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *arguments], env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def start_node(self, name: str, cores: int = 1, memory: str = "512m") -> None:
        arguments = [
            "--manager",
            self.url,
            "--cores",
            str(cores),
            "--memory",
            memory,
            "--local-dir",
            str(self.directory / name),
            "--port",
            "0",
        ]
        self.start(name, "-m", "quiver_executor", *arguments)

    def restart_manager(self) -> None:
        self.start("manager", "-m", "quiver_manager", "--port", str(self.port), "--journal", self.journal)

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(120)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    made.start_node("node-a")
    made.start_node("node-b")
    yield made
    made.stop()


def executor_pids(root: int) -> list[int]:
    return [pid for pid in children(root) if "quiver_executor.executor_process" in command_line(pid)]


def node_pids(root: int) -> list[int]:
    return [pid for pid in children(root) if "-m quiver_executor " in command_line(pid)]


def sums(sc: Context, directory: str, where: str) -> list[tuple[int, int]]:
    """A shuffle whose `where` side (map or reduce) stops in one task until the test lets it go on."""

    def hold(index: int, records: Iterator[tuple[int, int]], side: str) -> Iterator[tuple[int, int]]:
        if side == where:
            mark(directory, f"{side}-{index}")
            if index >= 2:
                wait_for(f"{directory}/go")
        return records

    pairs = sc.parallelize(range(RECORDS), 8).map(lambda x: (x % 10, x)).mapPartitionsWithIndex(lambda i, it: hold(i, it, "map"))
    return sorted(pairs.reduceByKey(add, 4).mapPartitionsWithIndex(lambda i, it: hold(i, it, "reduce")).collect())


def run_and_disturb(sc: Context, tmp_path: Path, where: str, disturb: object) -> list[tuple[int, int]]:
    results: list[list[tuple[int, int]] | BaseException] = []

    def run() -> None:
        try:
            results.append(sums(sc, str(tmp_path), where))
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    eventually(lambda: bool(list(tmp_path.glob(f"{where}-2")) or list(tmp_path.glob(f"{where}-3"))), f"a held {where} task")
    disturb()
    mark(str(tmp_path), "go")
    thread.join(100)
    assert results, "the job did not end"
    (result,) = results
    if isinstance(result, BaseException):
        raise result
    return result


@pytest.mark.parametrize("where", ["map", "reduce"])
def test_local_cluster_survives_a_killed_executor(make_context: MakeContext, tmp_path: Path, where: str) -> None:
    sc = make_context("local-cluster[2,1,512m]")

    def disturb() -> None:
        os.kill(executor_pids(os.getpid())[0], signal.SIGKILL)

    assert run_and_disturb(sc, tmp_path, where, disturb) == EXPECTED


@pytest.mark.parametrize("where", ["map", "reduce"])
def test_local_cluster_survives_a_killed_node(make_context: MakeContext, tmp_path: Path, where: str) -> None:
    sc = make_context("local-cluster[2,1,512m]")

    def disturb() -> None:
        os.kill(node_pids(os.getpid())[0], signal.SIGKILL)

    assert run_and_disturb(sc, tmp_path, where, disturb) == EXPECTED


@pytest.mark.parametrize("victim", ["executor", "node", "manager"])
def test_stand_alone_survives(make_context: MakeContext, cluster: Cluster, tmp_path: Path, victim: str) -> None:
    sc = make_context(cluster.url, **{"quiver.secret.file": str(tmp_path / "secret")})

    def disturb() -> None:
        if victim == "executor":
            os.kill(executor_pids(cluster.processes["node-a"].pid)[0], signal.SIGKILL)
        elif victim == "node":
            cluster.kill("node-a")
        else:
            cluster.kill("manager")
            cluster.restart_manager()

    assert run_and_disturb(sc, tmp_path, "reduce", disturb) == EXPECTED
    # The application goes on: new allocations too, once the manager knows its nodes again.
    assert sc.parallelize(range(100), 4).map(lambda x: (x % 3, 1)).reduceByKey(add).count() == 3


def test_a_killed_driver_leaves_no_executor(cluster: Cluster, tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(
        "import os, sys, time\n"
        "from quiver import Conf, Context\n"
        f"sc = Context(conf=Conf().setMaster({cluster.url!r}).setAppName('doomed').set('spark.ui.port', '0'))\n"
        "def slow(x):\n"
        f"    open({str(tmp_path / 'running')!r}, 'w').close()\n"
        "    time.sleep(600)\n"
        "sc.parallelize([1], 1).map(slow).collect()\n"
    )
    with open(tmp_path / "app.log", "wb") as log:
        driver = subprocess.Popen([sys.executable, str(program)], env=cluster.environment, stdout=log, stderr=log)
    try:
        eventually(lambda: (tmp_path / "running").exists(), "the task runs")
        nodes = [cluster.processes["node-a"].pid, cluster.processes["node-b"].pid]
        assert any(executor_pids(pid) for pid in nodes)
    finally:
        driver.kill()
        driver.wait()
    eventually(lambda: not any(executor_pids(pid) for pid in nodes), "its executors end")
    blocks = [path for name in ("node-a", "node-b") for path in (tmp_path / name).glob("*/app-*")]
    eventually(lambda: not any(path.exists() for path in blocks), "its blocks go")
