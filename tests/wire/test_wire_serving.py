"""The daemon shell: port, files, drain, exit codes; in a thread for its logic, in a process for its signals."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from quiver_proto.errors import BadSetting, PortInUse
from quiver_proto.serving import EXIT_FAILED, EXIT_OK, StopSignals, announced, listen, serve
from quiver_proto.settings import DaemonSettings, load

TOKEN = "a-token-of-enough-length"


class Recorder:
    """A daemon that notes what the shell does with it; drains after `drains` calls."""

    def __init__(self, drains=2, failing=False):
        self.story, self.drains, self.failing = [], drains, failing
        self.ticked = threading.Event()

    def started(self, address):
        self.story.append("started")
        self.address = address

    def tick(self, now):
        if self.failing:
            raise ZeroDivisionError("in tick")
        if self.story[-1] != "tick":
            self.story.append("tick")
        self.ticked.set()

    def drain(self):
        self.drains -= 1
        self.story.append("drain")
        return self.drains <= 0

    def stop(self):
        self.story.append("stop")


@pytest.fixture(autouse=True)
def quiet_logs():
    """The shell configures the process's logging; put it back."""
    root, quiver = logging.getLogger(), logging.getLogger("quiver")
    before = list(root.handlers), root.level, quiver.level
    yield
    root.handlers[:], root.level = before[0], before[1]
    quiver.setLevel(before[2])


def run_in_thread(daemon, **flags):
    stop, code = StopSignals(), []
    settings = load(DaemonSettings, flags, {})
    thread = threading.Thread(target=lambda: code.append(serve(settings, TOKEN, [], daemon, tick_s=0.01, stop=stop)))
    thread.start()
    return stop, thread, code


def test_a_life(tmp_path, capfd):
    daemon = Recorder()
    stop, thread, code = run_in_thread(daemon, port_file=str(tmp_path / "port"), pid_file=str(tmp_path / "run" / "pid"))
    assert daemon.ticked.wait(120)
    assert (tmp_path / "port").read_text() == daemon.address + "\n"
    assert (tmp_path / "run" / "pid").read_text() == f"{os.getpid()}\n"
    host, port = daemon.address.split(":")
    socket.create_connection((host, int(port))).close()
    stop.ask()
    thread.join(120)
    assert code == [EXIT_OK]
    assert daemon.story == ["started", "tick", "drain", "tick", "drain", "stop"]
    assert os.listdir(tmp_path) == ["run"]
    assert os.listdir(tmp_path / "run") == []
    assert f"daemon listens on {daemon.address}\n" in capfd.readouterr().out


def test_a_drain_that_takes_too_long_ends_anyway():
    daemon = Recorder(drains=10**9)
    stop, thread, code = run_in_thread(daemon, drain_timeout_s=0)
    stop.ask()
    thread.join(120)
    assert code == [EXIT_OK]
    assert daemon.story[-2:] == ["drain", "stop"]


def test_a_daemon_that_fails_is_stopped_and_leaves_nothing(tmp_path, capfd):
    daemon = Recorder(failing=True)
    _, thread, code = run_in_thread(daemon, port_file=str(tmp_path / "port"))
    thread.join(120)
    assert code == [EXIT_FAILED]
    assert daemon.story == ["started", "stop"]
    assert os.listdir(tmp_path) == []
    assert "ZeroDivisionError: in tick" in capfd.readouterr().err


def test_a_port_in_use_is_said_before_anything_starts():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        daemon = Recorder()
        with pytest.raises(PortInUse, match=f"port {port} on 127.0.0.1 is in use"):
            serve(load(DaemonSettings, {"port": port}, {}), TOKEN, [], daemon, stop=StopSignals())
    assert daemon.story == []


def test_two_of_our_own_can_not_share_a_port():
    server, port = listen("127.0.0.1", 0, TOKEN, [])
    server.start()
    try:
        with pytest.raises(PortInUse):
            listen("127.0.0.1", port, TOKEN, [])
    finally:
        server.stop(None).wait()


@pytest.mark.parametrize("host", ["203.0.113.1", "no-such-host.invalid"])
def test_a_host_that_is_not_ours_is_named(host):
    with pytest.raises(BadSetting, match=host):
        listen(host, 0, TOKEN, [])


def test_a_file_that_another_process_has_replaced_is_left_alone(tmp_path):
    with announced(str(tmp_path / "port"), "mine"):
        (tmp_path / "port").write_text("theirs")
    assert (tmp_path / "port").read_text() == "theirs"


def test_a_file_that_can_not_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSetting, match="file/port"), announced(str(tmp_path / "file" / "port"), "x"):
        pass


PROGRAM = """
import sys
from quiver_proto.serving import serve
from quiver_proto.settings import DaemonSettings, load

class Stubborn:
    def started(self, address): pass
    def tick(self, now): pass
    def drain(self):
        print("draining", flush=True)
        return sys.argv[2] == "soon"
    def stop(self): pass

sys.exit(serve(load(DaemonSettings, {"port_file": sys.argv[1], "drain_timeout_s": 60}, {}), "t" * 20, [], Stubborn(), tick_s=0.01))
"""


def start(port_file, when):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(port_file), when], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("daemon listens on 127.0.0.1:")
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_first_signal_drains(tmp_path, number):
    process = start(tmp_path / "port", "soon")
    process.send_signal(number)
    out, _ = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "draining\n")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once_and_leaves_no_file(tmp_path, number):
    process = start(tmp_path / "port", "never")
    process.send_signal(number)
    assert process.stdout.readline() == "draining\n"
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert os.listdir(tmp_path) == []


def test_the_wait_for_a_signal_is_interrupted_by_it():
    stop = StopSignals()
    waiter = threading.Thread(target=stop.wait, args=(60,))
    waiter.start()
    assert stop.ask()
    assert not stop.ask()
    waiter.join(120)
    assert not waiter.is_alive()
