"""A remote client and the host of its session, over real gRPC on loopback. Only the work itself is scripted."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from scripted_driver import Scripted, job

from quiver.conf import Conf
from quiver.plan.selection import JobSelection
from quiver.runner.failures import JobFailure
from quiver.serve import client as client_module
from quiver.serve import host as host_module
from quiver.serve.client import RemoteDriver
from quiver.serve.host import SessionHost
from quiver.serve.server import Service
from quiver.serve.sessions import ID_RANGE, SessionLost
from quiver_proto import versions
from quiver_proto.errors import AuthenticationFailed, ContextStopped, DriverUnreachable, IncompatibleVersions, JobCancelled, PathNotFound
from quiver_proto.ids import JobId, ShuffleId
from quiver_proto.services import DriverService
from quiver_proto.serving import listen

SECRET = "the-secret-of-these-tests"


class Daemon:
    """`driver serve` without the process: the same service on the same server."""

    def __init__(self, folder: Path) -> None:
        self.driver = Scripted()
        self.now = 100.0
        self.host = SessionHost(self.driver, lambda job: ((), ""), lambda: self.now, {}, 120.0, 60.0)
        self.secret_file = folder / "secret"
        self.secret_file.write_text(SECRET)
        self.secret_file.chmod(0o600)
        self.port = 0
        self.start()
        self.clients: list[RemoteDriver] = []

    def start(self) -> None:
        self.server, self.port = listen("127.0.0.1", self.port, SECRET, [(DriverService, Service(self.host, "shared"))])
        self.server.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def conf(self, secret_file: Path | None = None) -> Conf:
        return Conf(loadDefaults=False).set("quiver.secret.file", str(secret_file or self.secret_file))

    def connect(self) -> RemoteDriver:
        client = RemoteDriver(self.address, "test", self.conf())
        self.clients.append(client)
        return client

    def stop(self) -> None:
        for client in self.clients:
            client.stop()
        self.server.stop(None).wait()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path)
    yield daemon
    daemon.stop()


def test_clients_get_what_they_need_and_their_own_ids(daemon: Daemon) -> None:
    one, two = daemon.connect(), daemon.connect()
    assert (one.application_id, one.default_parallelism, one.ui_url, one.started_at) == ("app-1", 2, None, 1.0)
    assert two.id_base == one.id_base + ID_RANGE
    daemon.driver.end(one.id_base, lambda: [b"x", b"", b"y"])
    assert one.run(job(one.id_base)) == [b"x", b"", b"y"]


def test_errors_arrive_as_themselves(daemon: Daemon) -> None:
    client = daemon.connect()

    def fail() -> list[bytes]:
        raise JobFailure(error=PathNotFound("/in/a", "/in/*"))

    daemon.driver.end(client.id_base, fail)
    with pytest.raises(PathNotFound, match=r"'/in/a' \(from '/in/\*'\)"):
        client.run(job(client.id_base))


def test_cancelling_from_another_thread(daemon: Daemon) -> None:
    client = daemon.connect()
    started = threading.Event()
    execute = daemon.driver.execute
    daemon.driver.execute = lambda planned: (started.set(), execute(planned))[1]

    def cancel() -> None:
        assert started.wait(120)
        client.cancel_jobs(JobSelection("g"), "enough")

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(JobCancelled, match="enough"):
        client.run(job(client.id_base, group="g"))
    canceller.join()


def test_status_and_refusals_cross_the_wire(daemon: Daemon) -> None:
    client = daemon.connect()
    daemon.driver.end(client.id_base, lambda: [b"x"])
    client.run(job(client.id_base))
    (row,) = client.status("jobs").jobs
    assert (row.job_id, row.status, row.stage_ids) == (client.id_base, "running", (client.id_base,))
    client.cancel_jobs(JobSelection("g", future=True), "never again")
    with pytest.raises(JobCancelled, match="never again"):
        client.run(job(client.id_base + 1, group="g"))
    client.stop()
    with pytest.raises(ContextStopped):
        client.status("jobs")


def test_ctrl_c_cancels_the_job_and_leaves_the_client_usable(daemon: Daemon) -> None:
    client = daemon.connect()
    execute = daemon.driver.execute

    def interrupt(planned: object) -> list[bytes]:
        os.kill(os.getpid(), signal.SIGINT)
        return list(execute(planned))

    daemon.driver.execute = interrupt
    with pytest.raises(KeyboardInterrupt):
        client.run(job(client.id_base))
    assert daemon.driver.cancelled == [(client.id_base, "interrupted")]
    daemon.driver.execute = execute
    daemon.driver.end(client.id_base + 1, lambda: [b"fine"])
    assert client.run(job(client.id_base + 1)) == [b"fine"]


def test_a_broken_connection_is_made_again_and_the_job_runs_once(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "RECONNECT_PAUSE_S", 0.01)
    client = daemon.connect()
    started = threading.Event()
    execute = daemon.driver.execute
    daemon.driver.execute = lambda planned: (started.set(), execute(planned))[1]

    def cut() -> None:
        assert started.wait(120)
        daemon.server.stop(None).wait()
        daemon.start()
        daemon.driver.end(client.id_base, lambda: [b"once"])

    cutter = threading.Thread(target=cut)
    cutter.start()
    assert client.run(job(client.id_base)) == [b"once"]
    cutter.join()
    assert daemon.driver.started == [client.id_base]


def test_a_driver_that_stays_away_is_reported(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "RECONNECT_PAUSE_S", 0.01)
    monkeypatch.setattr(client_module, "RECONNECT_LIMIT_S", 0.1)
    client = daemon.connect()
    daemon.server.stop(None).wait()
    with pytest.raises(DriverUnreachable, match="driver serve"):
        client.run(job(client.id_base))


def test_a_restarted_driver_does_not_know_the_session(daemon: Daemon) -> None:
    client = daemon.connect()
    daemon.now += 500
    daemon.host.sweep()
    with pytest.raises(SessionLost, match="Create a new Context"):
        client.run(job(client.id_base))


def test_released_shuffles_are_told_and_stopping_closes_the_session(daemon: Daemon) -> None:
    client = daemon.connect()
    number = client.id_base
    daemon.driver.end(number, list)
    client.run(job(number, shuffle=number + 5))
    client.release_shuffle(ShuffleId(number + 5))
    client.stop()
    client.stop()
    assert daemon.host.sessions == 0
    # Told by itself or with the session: once.
    assert daemon.driver.released == [number + 5]
    with pytest.raises(ContextStopped):
        client.run(job(number + 1))
    client.cancel(JobId(number), "late")


def test_the_wrong_secret_is_refused(daemon: Daemon, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("another-secret-of-tests")
    other.chmod(0o600)
    with pytest.raises(AuthenticationFailed):
        RemoteDriver(daemon.address, "test", daemon.conf(other))
    assert daemon.host.sessions == 0


def test_other_versions_are_refused_with_a_table(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = versions.local_versions()
    other = SimpleNamespace(local_versions=lambda: {**ours, "python": "3.2.1"}, check=versions.check)
    monkeypatch.setattr(client_module, "versions", other)
    with pytest.raises(IncompatibleVersions, match=r"python +3\.2\.1 +3\.\d+\.\d+ +differs"):
        daemon.connect()
    other.check = lambda *_: None
    with pytest.raises(IncompatibleVersions, match=r"python +3\.\d+\.\d+ +3\.2\.1 +differs"):
        daemon.connect()
    assert daemon.host.sessions == 0


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(client_module, "CONNECT_TIMEOUT_S", 0.2)
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    with pytest.raises(DriverUnreachable, match="driver serve --port"):
        RemoteDriver("127.0.0.1:9", "test", Conf(loadDefaults=False).set("quiver.secret.file", str(secret)))


def test_results_larger_than_grpc_s_usual_limit(daemon: Daemon) -> None:
    client = daemon.connect()
    frames = [bytes([i]) * (host_module.SMALL_OUTCOME_BYTES * 6) for i in range(3)]
    daemon.driver.end(client.id_base, lambda: frames)
    planned = job(client.id_base)
    body = replace(planned.stages[0], body=b"b" * (8 << 20))
    assert client.run(replace(planned, stages=(body,))) == frames
