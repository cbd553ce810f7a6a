"""`quiver demo` as people run it: real daemons, and nothing left of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def start(folder: Path, **env: str) -> Iterator[subprocess.Popen[str]]:
    """The demo, in a session of its own; killed when the test fails (its daemons then end by themselves)."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("QUIVER_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "quiver.cli", "demo"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, start_new_session=True,
        env={**clean, "TMPDIR": str(folder), **env},
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def left_behind(demo_pid: int) -> list[str]:
    """Command lines of processes in sessions that began with the demo or name it as their parent, when it has gone."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                command = Path("/proc", name, "cmdline").read_bytes().replace(b"\0", b" ").decode()
                session = int(Path("/proc", name, "stat").read_text().rpartition(")")[2].split()[3])
            except OSError:
                continue
            if session == demo_pid or f"quiver_proto.lifeline {demo_pid} " in command:
                found.append(command)
    return found


def nothing_is_left(demo_pid: int, folder: Path) -> None:
    deadline = time.monotonic() + 120
    while (processes := left_behind(demo_pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes == []
    # The cluster's own folder, wherever it lies, holds its secret.
    assert list(folder.rglob("secret")) == []


def test_it_counts_and_leaves_nothing(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("arrow quiver arrow\n" * 1000)
    with start(tmp_path, TEXT=str(text)) as process:
        out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert re.search(r"^arrow +2,000\nquiver +1,000\n", out, re.MULTILINE), out
    assert re.search(r"^Watch it at http://127\.0\.0\.1:\d+/\?token=", out, re.MULTILINE)
    assert re.search(r"2 stages, \d+ tasks, [\d.]+ KiB read, [\d.]+ KiB shuffled", out), out
    nothing_is_left(process.pid, tmp_path)


def test_text_that_is_not_there_is_said_before_anything_starts(tmp_path: Path) -> None:
    with start(tmp_path, TEXT=str(tmp_path / "gone")) as process:
        out, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert out == ""
    assert "gone" in errors


def test_ctrl_c_in_the_middle_stops_everything(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Watch it at"):
                break
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=120)
    assert process.returncode == 130
    nothing_is_left(process.pid, tmp_path)


def test_sigterm_to_the_demo_alone_stops_everything(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Watch it at"):
                break
        process.terminate()
        process.communicate(timeout=120)
    assert process.returncode == 130
    nothing_is_left(process.pid, tmp_path)


def test_a_failing_program_shows_which_logs_to_read(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gz"
    damaged.write_bytes(b"not gzip at all")
    with start(tmp_path, TEXT=str(damaged)) as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "damaged.gz" in errors
    logs = re.findall(r"^  (/.*\.log)$", errors, re.MULTILINE)
    assert any("manager" in log for log in logs), errors
    assert all(Path(log).exists() for log in logs)
    nothing_is_left(process.pid, tmp_path)


def test_the_ui_is_kept_until_ctrl_c(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("arrow\n")
    with start(tmp_path, TEXT=str(text), KEEP="1") as process:
        assert process.stdout is not None
        watched = kept = ""
        for line in process.stdout:
            if line.startswith("Watch it at"):
                watched = line.split()[-1]
            if line.startswith("The UI stays at"):
                kept = line.split()[4]
                break
        assert kept == watched
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(kept, timeout=120) as page:
            assert page.status == 200
            assert b"word count" in page.read()
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=120)
    assert process.returncode == 0
    nothing_is_left(process.pid, tmp_path)
