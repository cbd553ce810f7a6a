"""The parts of the executor that need no process."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from quiver_executor import output
from quiver_executor.certificate import Death, certificate, users_frame
from quiver_executor.dispatch import LONG_TASK_S, MAX_TASKS_AHEAD, batch, next_mean, respawn_delay, tasks_ahead
from quiver_executor.envelopes import Unpacker, done_from_row, done_row, pack
from quiver_executor.oom import OomCounter, find_oom_counter
from quiver_executor.output import LogFile, Printed, last_lines
from quiver_executor.page import RUNNING, UNSENT, Page
from quiver_executor.seen_ids import SeenIds
from quiver_proto.ids import ExecutorId, NodeId, TaskId
from quiver_proto.messages import MapOutput, ResultBlock, TaskDone, TaskMetrics


@pytest.mark.parametrize(
    ("mean_s", "ahead"), [(None, 1), (1.0, 1), (LONG_TASK_S * 1.01, 1), (0.0005, 3), (0.0001, 15), (0.00001, 64), (0.0, MAX_TASKS_AHEAD)]
)
def test_tasks_ahead(mean_s: float | None, ahead: int) -> None:
    assert tasks_ahead(mean_s) == ahead


def test_a_batch_is_an_equal_share_and_a_refill_waits_for_half() -> None:
    assert batch(ahead=1, held=0, queued=100, slots=4) == 1
    assert batch(ahead=1, held=1, queued=100, slots=4) == 0
    assert batch(ahead=64, held=0, queued=1000, slots=4) == 64
    assert batch(ahead=64, held=0, queued=100, slots=4) == 25
    assert batch(ahead=64, held=0, queued=1, slots=4) == 1
    assert batch(ahead=64, held=33, queued=1000, slots=4) == 0
    assert batch(ahead=64, held=32, queued=1000, slots=4) == 32


def test_the_mean_forgets_a_slow_first_task_quickly() -> None:
    mean = next_mean(None, 1, 0.08)
    for _ in range(8):
        mean = next_mean(mean, 1, 0.00001)
    assert mean is not None
    assert tasks_ahead(mean) > 1
    assert next_mean(0.5, 0, 0.0) == 0.5


def test_respawn_delays_grow_to_a_limit() -> None:
    delays = [respawn_delay(strikes) for strikes in range(12)]
    assert delays[:2] == [0.0, 0.0]
    assert delays == sorted(delays)
    assert delays[-1] == 2.0


def test_envelopes_survive_any_cutting() -> None:
    envelopes = [(1, "a", None), (2, b"x" * 300, [(1, 2.5)]), (3,)]
    stream = b"".join(map(pack, envelopes))
    for size in (1, 2, 3, 7, 100, len(stream)):
        unpacker = Unpacker()
        got = [envelope for at in range(0, len(stream), size) for envelope in unpacker.feed(stream[at : at + size])]
        assert got == envelopes


def test_a_task_done_survives_its_row() -> None:
    block = ResultBlock(NodeId("n"), "/p", 3)
    output = MapOutput(1, TaskId(2), NodeId("n"), ExecutorId("a/0"), "/p", b"s", 4)
    for done in (
        TaskDone(TaskId(1), 2, 3.0, TaskMetrics(run_s=1.5), b"r"),
        TaskDone(TaskId(1), 2, 3.0, TaskMetrics(), None, block),
        TaskDone(TaskId(1), 2, 3.0, TaskMetrics(), None, None, output),
    ):
        (row,) = Unpacker().feed(pack((done_row(done),)))
        again = done_from_row(row[0])
        assert again == done
        assert type(again.metrics) is TaskMetrics
    assert type(again.map_output) is MapOutput


def test_seen_ids() -> None:
    seen = SeenIds()
    ids = [0, 1, 511, 512, 10**12, 513]
    assert [seen.add(number) for number in ids] == [True] * 6
    assert [seen.add(number) for number in ids] == [False] * 6
    assert seen.add(2)


def test_a_page_is_seen_through_another_mapping() -> None:
    page = Page.create()
    other = Page(os.dup(page.fd))
    assert other.words[RUNNING] == -1
    other.area[:3] = b"abc"
    other.words[UNSENT] = 3
    assert page.unsent() == b"abc"
    os.write(other.fd, b"Fatal Python error")  # As faulthandler does, at the descriptor's position.
    assert page.last_words() == "Fatal Python error"
    assert page.unsent() == b"abc"
    page.close()
    other.close()


STACK = f"""Fatal Python error: Segmentation fault

Current thread 0x00007f20bafc6b80 (most recent call first):
  File "{os.path.dirname(os.__file__)}/ctypes/__init__.py", line 519 in string_at
  File "/home/me/app.py", line 12 in parse
  File "/home/me/app.py", line 30 in <lambda>
  File "{os.path.dirname(output.__file__)}/slot.py", line 105 in _run

Extension modules: numpy._core (total: 1)
"""

DEATH = Death(
    executor_id="app/0",
    slot=1,
    pid=77,
    task_id=17,
    partition=3,
    attempt=2,
    stage_id=5,
    status=int(signal.SIGSEGV),
    peak_rss=1536 << 20,
    memory=2 << 30,
    oom_kills=0,
    oom_scope="in this executor's cgroup",
    stack=STACK,
    log=["one", "two"],
)


def test_a_certificate_reads_like_this() -> None:
    assert certificate(DEATH).replace(os.path.dirname(os.__file__), "LIB") == (
        "slot 1 of executor app/0 (process 77) was killed by SIGSEGV (Segmentation fault) while it ran task 17 "
        "(stage 5, partition 3, attempt 2)\n"
        "in your code: parse at /home/me/app.py:12\n"
        "peak memory of the process: 1.5 GiB (a slot's share is 2.0 GiB)\n"
        "try: a native library (or ctypes) that the task uses crashed: the stack names the call; check its version, "
        "or call it differently.\n"
        "stack when it died:\n"
        "  Fatal Python error: Segmentation fault\n"
        "  Current thread 0x00007f20bafc6b80 (most recent call first):\n"
        '    File "LIB/ctypes/__init__.py", line 519 in string_at\n'
        '    File "/home/me/app.py", line 12 in parse\n'
        '    File "/home/me/app.py", line 30 in <lambda>\n'
        "  Extension modules: numpy._core (total: 1)\n"
        "last lines of its output:\n"
        "  | one\n"
        "  | two"
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"status": 9, "oom_kills": 1},
            ["SIGKILL", "killed 1 process(es) for lack of memory in this executor's cgroup", "smaller partitions"],
        ),
        ({"status": 9, "peak_rss": 3 << 30}, ["3.0 GiB", "too much memory"]),
        ({"status": 9, "peak_rss": 1 << 20}, ["SIGKILL", "outside", "dmesg"]),
        ({"status": 3 << 8, "stack": ""}, ["exit code 3", "os._exit"]),
        ({"status": int(signal.SIGABRT)}, ["SIGABRT", "abort()"]),
        ({"status": int(signal.SIGTERM)}, ["SIGTERM", "find out who"]),
        ({"status": 64}, ["signal 64|SIGRTMAX"]),
        ({"status": None}, ["lost together with its template"]),
        ({"status": 9, "closed_connection": True}, ["lost its connection", "file descriptors"]),
    ],
)
def test_causes_and_advice(changes: dict[str, object], says: list[str]) -> None:
    text = certificate(replace(DEATH, **changes))
    for words in says:
        assert any(word in text for word in words.split("|")), text


def test_the_users_frame_is_the_innermost_of_theirs() -> None:
    assert users_frame(STACK) == "parse at /home/me/app.py:12"
    assert users_frame("Fatal Python error: Aborted\n") == ""


def test_oom_counters(tmp_path: Path) -> None:
    events = tmp_path / "memory.events"
    events.write_text("low 0\noom 3\noom_kill 2\n")
    assert OomCounter(str(events), "").read() == 2
    assert OomCounter(str(tmp_path / "none"), "").read() == 0
    assert find_oom_counter().read() >= 0


def test_log_files_rotate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "CAP_BYTES", 10)
    log = LogFile(str(tmp_path / "logs"), "stdout", "")
    for line in (b"aaaaaa\n", b"bbbbbb\n", b"cccccc\n"):
        log.write(line)
    log.close()
    assert (tmp_path / "logs" / "stdout").read_bytes() == b"cccccc\n"
    assert (tmp_path / "logs" / "stdout.1").read_bytes() == b"bbbbbb\n"


def test_a_log_that_cannot_be_written_is_told_once_and_costs_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    log = LogFile(str(tmp_path / "file"), "stdout", "stdout")
    log.write(b"one\n")
    log.write(b"two\n")
    out, err = capsys.readouterr()
    assert out == "one\ntwo\n"
    assert err.count("can't be written") == 1


def test_printed_lines(tmp_path: Path) -> None:
    read, write = os.pipe2(os.O_NONBLOCK)
    log, last = LogFile(str(tmp_path), "stdout", ""), last_lines()
    printed = Printed(read, log, last)
    os.write(write, b"one\ntw")
    assert printed.read()
    assert (tmp_path / "stdout").read_bytes() == b"one\n"
    os.write(write, b"o\nthree")
    assert printed.read(until_empty=True)
    printed.end_line()
    os.close(write)
    assert not printed.read()
    printed.close()
    log.close()
    assert (tmp_path / "stdout").read_bytes() == b"one\ntwo\nthree\n"
    assert list(last) == ["one", "two", "three"]
