"""The manager as a real process: its port, its secret, its journal, and kill -9."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys

import pytest
from manager_process import GIB, ManagerProcess, NodeDaemon, Watcher, eventually

from quiver_proto import cluster as c
from quiver_proto.auth import TlsFiles, application_token
from quiver_proto.cluster_status import GetStatus
from quiver_proto.errors import AuthenticationFailed, BadSetting, IncompatibleVersions, ManagerUnreachable
from quiver_proto.rpc import Client
from quiver_proto.services import Manager
from quiver_proto.versions import local_versions


@pytest.fixture
def manager(tmp_path):
    made = ManagerProcess(tmp_path)
    yield made
    made.end()


@pytest.fixture
def client(manager):
    with manager.client() as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A manager for tests that only ask and are refused."""
    made = ManagerProcess(tmp_path_factory.mktemp("shared"))
    yield made
    made.end()


@pytest.fixture
def asking(shared):
    with shared.client() as made:
        yield made


def registration(application_id="app-1", **request):
    return c.RegisterApplication(
        application_id,
        "word count",
        "me",
        "host",
        1,
        c.ExecutorRequest(**request),
        c.ExecutorEnvironment(7, ("/src",), "/work", {"A": "b"}, {"quiver.x": "y"}),
        local_versions(),
        1.5,
        "http://ui",
    )


def test_a_life_of_an_application(manager, client):
    node = NodeDaemon(manager)
    eventually(lambda: client.call(Manager.GET_STATUS, GetStatus()).nodes, "the node")
    answer = client.call(Manager.REGISTER_APPLICATION, registration())
    assert answer.token == application_token(manager.secret, "app-1")
    watcher = Watcher(manager, "app-1")
    [up] = eventually(lambda: watcher.seen(c.ExecutorLaunched), "the executor")
    assert up == c.ExecutorLaunched("app-1/0", "n1", "host", "e:1", 2, 4 * GIB, "b:1")
    [launch] = node.calls
    assert (launch.token, launch.environment) == (answer.token, registration().environment)
    status = client.call(Manager.GET_STATUS, GetStatus())
    assert [(row.name, row.state, row.executors, row.cores) for row in status.applications] == [("word count", "running", 1, 2)]
    assert [(row.node_id, row.state, row.cores_used) for row in status.nodes] == [("n1", "alive", 2)]
    for _ in range(2):
        assert client.call(Manager.UNREGISTER_APPLICATION, c.UnregisterApplication("app-1", "done")).done
    assert eventually(lambda: watcher.seen(c.ApplicationOver), "the end") == [c.ApplicationOver("done")]
    eventually(lambda: {type(call) for call in node.calls} >= {c.StopExecutor, c.RemoveApplication}, "stop and removal")
    assert sum(isinstance(call, c.RemoveApplication) for call in node.calls) == 1
    node.close()
    watcher.close()


def test_kill_9_is_a_pause_for_a_running_application(manager, client):
    node = NodeDaemon(manager)
    client.call(Manager.REGISTER_APPLICATION, registration())
    watcher = Watcher(manager, "app-1")
    eventually(lambda: watcher.seen(c.ExecutorLaunched), "the executor")
    manager.kill()
    eventually(lambda: watcher.ended_by, "the broken stream")
    assert isinstance(watcher.ended_by[0], ManagerUnreachable)
    before, connections, epoch = list(watcher.events), watcher.connections, node.epoch

    manager.start()
    eventually(lambda: node.epoch > epoch, "the node's new registration")
    eventually(lambda: client.call(Manager.GET_STATUS, GetStatus()).nodes[0].state == "alive", "the node alive")
    eventually(lambda: watcher.connections > connections, "the watcher's new stream")
    eventually(lambda: client.call(Manager.APPLICATION_HEARTBEAT, c.ApplicationHeartbeat("app-1")).known, "the application known")
    status = client.call(Manager.GET_STATUS, GetStatus())
    assert status.manager_epoch == 2
    assert [(row.executor_id, row.state) for row in status.executors] == [("app-1/0", "running")]
    assert [type(call) for call in node.calls] == [c.LaunchExecutor]  # nothing was stopped or started
    assert watcher.events == before

    # And it goes on: an executor that dies is replaced, and the events continue where they were.
    del node.executors["app-1/0"]
    node.tell_exited("app-1/0", signal=9, log_tail="Killed")
    eventually(lambda: len(watcher.seen(c.ExecutorLaunched)) == 2, "the successor")
    assert watcher.seen(c.ExecutorGone) == [c.ExecutorGone("app-1/0", "n1", "killed by signal 9", 0, 9, "Killed")]
    assert [event.sequence for event in watcher.events] == list(range(1, len(watcher.events) + 1))
    node.close()
    watcher.close()


def test_kill_9_with_the_journal_lost_too(manager, client):
    """The node brings its executors, the driver registers again, and both belong together as before."""
    node = NodeDaemon(manager)
    client.call(Manager.REGISTER_APPLICATION, registration())
    watcher = Watcher(manager, "app-1")
    eventually(lambda: watcher.seen(c.ExecutorLaunched), "the executor")
    manager.kill()
    for path in manager.directory.glob("journal.db*"):
        path.unlink()
    manager.start()
    eventually(lambda: watcher.seen(c.ApplicationOver), "the word that it is not known")
    assert not client.call(Manager.APPLICATION_HEARTBEAT, c.ApplicationHeartbeat("app-1")).known
    client.call(Manager.REGISTER_APPLICATION, registration())
    again = Watcher(manager, "app-1")
    [up] = eventually(lambda: again.seen(c.ExecutorLaunched), "the executor, adopted")
    assert up.executor_id == "app-1/0"
    assert [type(call) for call in node.calls] == [c.LaunchExecutor]
    for closing in (node, watcher, again):
        closing.close()


def test_a_killed_driver_is_noticed_by_its_broken_stream(tmp_path):
    manager = ManagerProcess(tmp_path, "--application-timeout-s", "3")
    node = NodeDaemon(manager)
    code = (
        "import sys, time\n"
        "from quiver_proto import cluster as c\nfrom quiver_proto.rpc import Client\nfrom quiver_proto.services import Manager\n"
        "from quiver_proto.versions import local_versions\n"
        "client = Client(sys.argv[1], 'manager', sys.argv[2])\n"
        "client.call(Manager.REGISTER_APPLICATION, c.RegisterApplication('app-1', 'x', 'u', 'h', 1, versions=local_versions()))\n"
        "for event in client.stream(Manager.WATCH_APPLICATION, c.WatchApplication('app-1')):\n"
        "    if isinstance(event.event, c.ExecutorLaunched): print('up', flush=True)\n"
    )
    driver = subprocess.Popen([sys.executable, "-c", code, manager.address, manager.secret], stdout=subprocess.PIPE, text=True)
    assert driver.stdout.readline() == "up\n"
    driver.kill()
    driver.communicate()
    eventually(lambda: {type(call) for call in node.calls} >= {c.StopExecutor, c.RemoveApplication}, "stop and removal")
    node.close()
    assert manager.end() == 0


def test_it_leaves_nothing_but_its_journal_and_secret(manager):
    assert manager.end() == 0
    left = {path.name for path in manager.directory.iterdir()} - {"manager.log"}
    assert left == {"secret", "journal.db", "journal.db.lock"}
    assert stat.S_IMODE(os.stat(manager.directory / "journal.db").st_mode) == 0o600
    assert manager.secret not in manager.log()
    assert sqlite3.connect(manager.directory / "journal.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_journal_holds_no_secret_and_no_token(manager, client):
    token = client.call(Manager.REGISTER_APPLICATION, registration()).token
    manager.end()
    content = (manager.directory / "journal.db").read_bytes()
    assert b"word count" in content
    assert token.encode() not in content
    assert manager.secret.encode() not in content


def run_manager(manager, *flags):
    return subprocess.run([sys.executable, "-m", "quiver_manager", *flags], env=manager.environment, capture_output=True, text=True)


def test_a_second_manager_is_told_what_is_in_its_way(shared, tmp_path):
    taken = run_manager(shared, "--port", str(shared.port), "--journal", str(tmp_path / "other.db"))
    assert (taken.returncode, taken.stderr.count("\n")) == (1, 1)
    assert f"manager: port {shared.port} on 127.0.0.1 is in use" in taken.stderr
    locked = run_manager(shared, "--port", "0", "--journal", str(shared.directory / "journal.db"))
    assert locked.returncode == 2
    assert "another manager is using it" in locked.stderr


def test_a_journal_that_is_none_is_refused_and_kept(shared, tmp_path):
    (tmp_path / "notes.txt").write_text("not a database, " * 100)
    done = run_manager(shared, "--port", "0", "--journal", str(tmp_path / "notes.txt"))
    assert done.returncode == 2
    assert "notes.txt': is not a manager's journal" in done.stderr.replace('"', "'")
    assert (tmp_path / "notes.txt").read_text().startswith("not a database")


def test_limits_that_contradict_each_other_are_refused(shared):
    done = run_manager(shared, "--node-timeout-s", "1", "--heartbeat-interval-s", "1")
    assert done.returncode == 2
    assert "at least three heartbeat intervals" in done.stderr


def test_a_wrong_secret_and_wrong_asks_are_refused_with_their_type(shared, asking):
    with (
        Client(shared.address, "manager", "not-the-secret-at-all") as stranger,
        pytest.raises(AuthenticationFailed, match=shared.address),
    ):
        stranger.call(Manager.GET_STATUS, GetStatus())
    with pytest.raises(BadSetting, match="--num-executors"):
        asking.call(Manager.REGISTER_APPLICATION, registration(instances=-1))
    with pytest.raises(BadSetting, match=r"more than the 2 cores of quiver\.cores\.max"):
        asking.call(Manager.REGISTER_APPLICATION, registration(cores=4, cores_max=2))
    with pytest.raises(BadSetting, match="--cores"):
        asking.call(Manager.REGISTER_NODE, c.RegisterNode("n", 1, "h", "h:1", "h:2", 0, 1, local_versions()))


def test_versions_that_can_not_work_are_refused_with_a_table_from_the_callers_side(shared, asking):
    old = local_versions() | {"python": "2.7.18"}
    with pytest.raises(IncompatibleVersions) as caught:
        asking.call(Manager.REGISTER_NODE, c.RegisterNode("n", 1, "h", "h:1", "h:2", 1, 1, old))
    row = next(line.split() for line in str(caught.value).splitlines() if "python" in line)
    assert row == ["python", "2.7.18", local_versions()["python"], "differs"]
    assert asking.call(Manager.HANDSHAKE, c.Hello("client", "x", old)).versions == local_versions()


def test_an_application_that_is_not_known(shared, asking):
    [only] = asking.stream(Manager.WATCH_APPLICATION, c.WatchApplication("app-9", 4))
    assert only.event == c.ApplicationOver("the manager does not know it")
    assert not asking.call(Manager.SUBMIT_JOB, c.SubmitJob("app-9", 1, ())).done


def test_tls(tmp_path):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    flags = ("--tls-cert", str(cert), "--tls-key", str(key), "--tls-ca", str(cert))
    manager = ManagerProcess(tmp_path, *flags)
    with Client(manager.address, "manager", manager.secret, TlsFiles(str(cert), str(key), str(cert))) as client:
        assert client.call(Manager.GET_STATUS, GetStatus()).manager_epoch == 1
    with Client(manager.address, "manager", manager.secret) as plain, pytest.raises(ManagerUnreachable):
        plain.call(Manager.GET_STATUS, GetStatus())
    manager.end()
