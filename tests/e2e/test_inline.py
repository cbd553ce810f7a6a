"""`inline`: the calling thread runs the tasks, and stays usable whatever they do."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from harness import MakeContext
from programs import mark, wait_for

from quiver_proto.errors import JobCancelled


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_job_that_ended_badly_leaves_the_slot_free(make_context: MakeContext, error: type[BaseException]) -> None:
    sc = make_context("inline")

    def fail(x: int) -> int:
        if x == 5:
            raise error("at 5")
        return x

    with pytest.raises(error):
        sc.parallelize(range(20), 20).map(fail).collect()
    assert sc.parallelize(range(20), 20).count() == 20


def test_another_thread_cancels_between_two_tasks(make_context: MakeContext, tmp_path: Path) -> None:
    sc = make_context("inline")
    directory = str(tmp_path)
    ends: list[BaseException] = []

    def step(x: int) -> None:
        mark(directory, "begun")
        wait_for(f"{directory}/cancelled")

    def run() -> None:
        try:
            sc.parallelize(range(50), 50).foreach(step)
        except JobCancelled as error:
            ends.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(f"{directory}/begun")
    sc.cancelAllJobs()
    mark(directory, "cancelled")
    thread.join(120)
    assert len(ends) == 1
    assert sc.parallelize(range(3), 3).count() == 3


def test_a_lost_shuffle_file_is_made_again(make_context: MakeContext, tmp_path: Path) -> None:
    sc = make_context("inline")
    grouped = sc.parallelize(range(100), 4).map(lambda x: (x % 7, 1)).groupByKey()
    assert grouped.count() == 7
    next((tmp_path / "local").rglob("map-*.arrow")).unlink()
    assert grouped.count() == 7
