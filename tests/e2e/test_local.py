"""Programs on `local[2]`: real slots, real kills."""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections import Counter
from operator import add
from pathlib import Path

import pytest
from harness import MakeContext, children, eventually
from programs import mark, wait_for

from quiver_proto.errors import ContextStopped, JobCancelled, ResultTooLarge, SlotDied, UnpicklableClosure
from quiver_proto.events import JobStarted, StageSkipped, TaskFailed, decode


def test_word_count(make_context: MakeContext, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.mkdir()
    (text / "a.txt").write_text("to be or not to be\n" * 100)
    (text / "b.txt").write_text("that is the question\nto be\n")
    sc = make_context("local[2]")
    counts = sc.textFile(str(text), 4).flatMap(str.split).map(lambda word: (word, 1)).reduceByKey(add).collect()
    expected = Counter(word for file in text.iterdir() for word in file.read_text().split())
    assert dict(counts) == expected
    assert len(counts) == len(expected)


def test_no_tcp_port_is_opened_but_the_uis(make_context: MakeContext) -> None:
    before = listening_sockets()
    sc = make_context("local[2]", **{"spark.ui.enabled": "false"})
    assert sc.parallelize(range(10), 2).map(lambda x: x + 1).sum() == 55
    assert listening_sockets() <= before


def listening_sockets() -> set[str]:
    """Inodes of the TCP sockets on which this process and its descendants listen."""
    listening = {line.split()[9] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[3] == "0A"}
    held = set()
    for pid in [os.getpid(), *children(os.getpid())]:
        with contextlib.suppress(OSError):  # It ended meanwhile.
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):  # It was closed meanwhile.
                    held.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return {target for target in held if target.startswith("socket:[") and target[8:-1] in listening}


def test_a_users_exception_keeps_its_type_and_says_where(make_context: MakeContext) -> None:
    sc = make_context("local[2]")

    def parse(text: str) -> int:
        return int(text)

    rdd = sc.parallelize(["1", "2", "3", "x", "5"], 1).map(parse)
    line = sys._getframe().f_lineno - 1
    with pytest.raises(ValueError, match="invalid literal for int") as caught:
        rdd.collect()
    (note,) = caught.value.__notes__
    assert f"map at test_local.py:{line}" in note
    assert "partition 0, record 3" in note
    assert "'x'" in note
    assert "return int(text)" in note
    assert "quiver_executor" not in note


def test_a_retried_task_counts_once(make_context: MakeContext, tmp_path: Path) -> None:
    sc = make_context("local[2]")
    directory = str(tmp_path)

    def once(x: int) -> int:
        if x == 3 and not os.path.exists(f"{directory}/failed"):
            mark(directory, "failed")
            raise OSError("transient")
        return x

    assert sc.parallelize(range(8), 4).map(once).sum() == 28
    (log,) = (tmp_path / "events").iterdir()
    sc.stop()
    failed = [event for event in map(decode, log.read_text().splitlines()) if isinstance(event, TaskFailed)]
    assert len(failed) == 1
    assert failed[0].kind == "user"


def test_a_closure_that_does_not_pickle_fails_before_anything_is_sent(make_context: MakeContext) -> None:
    sc = make_context("local[2]")
    lock = _thread.allocate_lock()
    with pytest.raises(UnpicklableClosure, match="lock") as caught:
        sc.parallelize(range(4), 2).map(lambda x: (x, lock)).collect()
    assert "map at test_local.py" in str(caught.value)


@pytest.mark.parametrize("end", ["segfault", "sigkill", "exit"])
def test_a_slot_that_dies_costs_one_attempt(make_context: MakeContext, tmp_path: Path, end: str) -> None:
    sc = make_context("local[2]")
    directory = str(tmp_path)

    def die_once(x: int) -> tuple[int, int]:
        if x == 5 and not os.path.exists(f"{directory}/died"):
            mark(directory, "died")
            if end == "segfault":
                ctypes.string_at(0)
            elif end == "sigkill":
                os.kill(os.getpid(), signal.SIGKILL)
            else:
                os._exit(7)
        return x % 3, x

    assert sorted(sc.parallelize(range(30), 10).map(die_once).reduceByKey(add).collect()) == [(0, 135), (1, 145), (2, 155)]
    sc.stop()
    (log,) = (tmp_path / "events").iterdir()
    (failed,) = [event for event in map(decode, log.read_text().splitlines()) if isinstance(event, TaskFailed)]
    assert failed.kind == "slot died"
    assert {"segfault": "SIGSEGV", "sigkill": "SIGKILL", "exit": "7"}[end] in failed.message


def test_a_task_that_always_kills_its_slot_ends_the_job_with_a_death_certificate(make_context: MakeContext) -> None:
    sc = make_context("local[2]")
    with pytest.raises(SlotDied, match="SIGSEGV") as caught:
        sc.parallelize([0], 1).map(ctypes.string_at).collect()
    assert "test_local.py" in str(caught.value) or "ctypes" in str(caught.value)
    assert sc.parallelize(range(4), 2).count() == 4


def test_prints_go_to_the_executors_log(make_context: MakeContext, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sc = make_context("local[2]")
    sc.parallelize(range(2), 2).foreach(lambda x: print(f"hello from {x}"))
    eventually(lambda: all(f"hello from {x}" in text for text in [log_text(tmp_path)] for x in range(2)), "prints in the log")
    assert "hello" not in capfd.readouterr().out


def log_text(tmp_path: Path) -> str:
    return "".join(path.read_text() for path in (tmp_path / "local").rglob("stdout*"))


def test_ctrl_c_cancels_the_job_and_leaves_the_context_usable(make_context: MakeContext, tmp_path: Path) -> None:
    sc = make_context("local[2]")
    directory = str(tmp_path)

    def block(x: int) -> int:
        mark(directory, f"running-{x}")
        wait_for(f"{directory}/never")
        return x

    def interrupt() -> None:
        wait_for(f"{directory}/running-0")
        wait_for(f"{directory}/running-1")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        sc.parallelize(range(2), 2).map(block).collect()
    thread.join()
    assert sc.parallelize(range(10), 2).sum() == 45


def test_a_job_group_is_cancelled_from_another_thread(make_context: MakeContext, tmp_path: Path) -> None:
    sc = make_context("local[2]")
    directory = str(tmp_path)
    ends: list[BaseException] = []

    def run() -> None:
        sc.setJobGroup("slow", "a slow one")
        try:
            sc.parallelize(range(2), 2).map(lambda x: (mark(directory, f"on-{x}"), wait_for(f"{directory}/never"))).collect()
        except JobCancelled as error:
            ends.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(f"{directory}/on-0")
    sc.cancelJobGroup("slow")
    thread.join(120)
    assert len(ends) == 1
    assert sc.parallelize(range(3), 3).count() == 3


def test_jobs_of_several_threads_run_at_once(make_context: MakeContext, tmp_path: Path) -> None:
    sc = make_context("local[2]")
    directory = str(tmp_path)

    def meet(name: str, other: str) -> list[int]:
        def both(x: int) -> int:
            mark(directory, name)
            wait_for(f"{directory}/{other}")
            return x

        return sc.parallelize([1], 1).map(both).collect()

    results: list[list[int]] = []
    threads = [threading.Thread(target=lambda a=a, b=b: results.append(meet(a, b))) for a, b in (("left", "right"), ("right", "left"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert results == [[1], [1]]


def test_a_shared_stage_is_computed_once_and_shown_as_skipped(make_context: MakeContext, tmp_path: Path) -> None:
    sc = make_context("local[2]")
    directory = str(tmp_path)

    def count(x: int) -> tuple[int, int]:
        with open(f"{directory}/calls", "a") as file:
            file.write("x")
        return x % 2, x

    summed = sc.parallelize(range(10), 2).map(count).reduceByKey(add)
    assert sorted(summed.collect()) == [(0, 20), (1, 25)]
    assert summed.count() == 2
    assert (tmp_path / "calls").read_text() == "x" * 10
    sc.stop()
    (log,) = (tmp_path / "events").iterdir()
    events = [decode(line) for line in log.read_text().splitlines()]
    assert sum(isinstance(event, JobStarted) for event in events) == 2
    assert sum(isinstance(event, StageSkipped) for event in events) == 1


def test_a_lost_shuffle_file_is_made_again(make_context: MakeContext, tmp_path: Path) -> None:
    sc = make_context("local[2]")
    grouped = sc.parallelize(range(100), 4).map(lambda x: (x % 7, 1)).reduceByKey(add)
    expected = sorted(grouped.collect())
    files = sorted((tmp_path / "local").rglob("shuffle-*/map-*.arrow"))
    assert len(files) == 4
    files[0].unlink()
    data = bytearray(files[1].read_bytes())
    data[len(data) // 2] ^= 0xFF
    files[1].write_bytes(data)
    assert sorted(grouped.collect()) == expected


def test_a_result_larger_than_a_message_comes_whole(make_context: MakeContext) -> None:
    sc = make_context("local[2]")
    (value,) = sc.parallelize([3_000_000], 1).map(lambda n: b"x" * n).collect()
    assert value == b"x" * 3_000_000


def test_results_beyond_the_limit_end_the_job(make_context: MakeContext) -> None:
    sc = make_context("local[2]", **{"spark.driver.maxResultSize": "1m"})
    with pytest.raises(ResultTooLarge, match="maxResultSize"):
        sc.parallelize([400_000] * 8, 8).map(lambda n: b"x" * n).collect()
    assert sc.parallelize(range(3)).count() == 3


def test_a_sort_larger_than_memory_spills(make_context: MakeContext) -> None:
    import random

    sc = make_context("local[2]", **{"spark.executor.memory": "64m"})
    numbers = list(range(400_000))
    random.Random(1).shuffle(numbers)
    result = sc.parallelize(numbers, 4).map(lambda x: (x, "some payload of forty bytes or a bit more")).sortByKey(numPartitions=2)
    assert result.keys().collect() == list(range(400_000))


def test_stop_leaves_nothing_behind(make_context: MakeContext, tmp_path: Path) -> None:
    sc = make_context("local[2]")
    before = set(children(os.getpid()))
    assert sc.parallelize(range(4), 2).map(lambda x: (x, x)).groupByKey().count() == 4
    assert before | set(children(os.getpid()))
    sc.stop()
    assert children(os.getpid()) == []
    assert list((tmp_path / "local").iterdir()) == []
    with pytest.raises(ContextStopped):
        sc.parallelize([1]).count()


@pytest.mark.parametrize("master", ["local[1]", "local-cluster[1,1,512m]"])
def test_executors_have_the_environment_that_was_set_and_no_secret(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch, master: str
) -> None:
    monkeypatch.setenv("QUIVER_SECRET", "not-for-tasks-not-for-tasks-not-for-tasks")
    sc = make_context(master, **{"spark.executorEnv.GREETING": "hello"})
    seen = dict(sc.parallelize([1], 1).flatMap(lambda _: os.environ.items()).collect())
    assert seen["GREETING"] == "hello"
    assert "QUIVER_SECRET" not in seen
