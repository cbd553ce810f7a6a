"""The demo's decisions: the tally of an event log, the line that tells the UI, and which log to read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quiver.cli.demo import dead_daemons, find_program, parse_ui_line, where_to_look
from quiver.cli.tally import Tally, tally
from quiver_proto.events import Event, JobEnded, JobStarted, StageEnded, StageSkipped, TaskFailed, TasksSucceeded, encode
from quiver_proto.messages import TaskMetrics


def lines(*events: Event) -> list[str]:
    return [encode(event) + "\n" for event in events]


def succeeded(stage: int, *metrics: TaskMetrics) -> TasksSucceeded:
    count = len(metrics)
    return TasksSucceeded(5.0, stage, 0, "e", list(range(count)), list(range(count)), [1.0] * count, [0] * count, metrics)


def test_tally_counts_what_succeeded() -> None:
    log = lines(
        JobStarted(10.0, 0, "job", "site", []),
        succeeded(1, TaskMetrics(input_bytes=100, shuffle_write_bytes=7), TaskMetrics(input_bytes=50, shuffle_write_bytes=3)),
        TaskFailed(5.0, 1, 0, "e", 9, 0, 0, 1.0, "user", "m", "t"),
        StageEnded(11.0, 1, 0, "failed"),
        StageEnded(11.0, 1, 1, "succeeded"),
        StageSkipped(11.0, 0, 3),
        succeeded(2, TaskMetrics(shuffle_read_local_bytes=10)),
        StageEnded(12.0, 2, 0, "succeeded"),
        JobEnded(12.5, 0, "succeeded"),
    )
    assert tally(log) == Tally(jobs=1, stages=2, tasks=3, failed_tasks=1, seconds=2.5, read_bytes=150, shuffled_bytes=10)
    assert str(tally(log)) == "2.5 s, 2 stages, 3 tasks, 150 B read, 10 B shuffled, 1 failed attempts"


def test_tally_of_a_log_that_is_cut_off_or_empty() -> None:
    log = lines(JobStarted(1.0, 0, "job", "site", []), JobEnded(2.0, 0, "succeeded"))
    assert tally([*log, '{"event":"StageEn']).seconds == 1.0
    assert tally([]) == Tally(0, 0, 0, 0, 0.0, 0, 0)
    with pytest.raises(ValueError, match="Expecting value"):
        tally(["garbage\n"])


def test_the_ui_line() -> None:
    assert parse_ui_line("UI: http://127.0.0.1:4041/?token=a_b-C\n") == ("http://127.0.0.1:4041/?token=a_b-C", "127.0.0.1", 4041, "a_b-C")
    assert parse_ui_line("UI: None\n") is None
    assert parse_ui_line("self                 100\n") is None


def test_a_dead_daemon_s_log_comes_first() -> None:
    logs = {"manager": Path("/l/manager.log"), "node-0": Path("/l/node-0.log")}
    text = where_to_look(["node-0"], logs)
    assert text.index("The node-0 daemon has ended. Read /l/node-0.log") < text.index("/l/manager.log")
    assert "All daemons were running" in where_to_look([], logs)


def test_dead_daemons_are_seen_and_not_reaped() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.DEVNULL)
    living = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    with ended, living:
        assert living.stdin is not None
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert dead_daemons({"ended": ended.pid, "living": living.pid}) == ["ended"]
        assert ended.wait() == 0
        living.stdin.close()
        living.wait()


def test_the_program_is_there() -> None:
    assert Path(find_program()).name == "wordcount.py"
