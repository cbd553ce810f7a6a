"""Accumulators and broadcasts on every kind of master, with attempts that fail, slots and executors that die."""

from __future__ import annotations

import gc
import json
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import MakeContext, children, command_line, eventually
from programs import Vector, first_time, mark, wait_for

from quiver import AccumulatorParam, Broadcast, Context
from quiver.accumulators import AddingAccumulatorParam
from quiver_proto.errors import BroadcastDestroyed, BroadcastNotLoaded, UnpicklableBroadcast, UpdatesTooLarge, ValueNotAccessible
from quiver_proto.host import VARIABLE

MASTERS = ("inline", "local[2]", "local-cluster[1,2,512m]")


@pytest.mark.parametrize("master", MASTERS)
def test_an_accumulator_counts_each_partition_once(make_context: MakeContext, master: str) -> None:
    sc = make_context(master)
    seen, weight = sc.accumulator(0), sc.accumulator(1.5)

    def look(x: int) -> int:
        nonlocal seen
        seen += 1
        weight.add(0.5)
        return x

    rdd = sc.parallelize(range(40), 4).map(look)
    assert rdd.count() == 40
    assert (seen.value, weight.value) == (40, 21.5)
    # A transformation adds again for each job that runs it; a shuffle's map side runs once.
    pairs = rdd.map(lambda x: (x % 3, 1)).reduceByKey(add)
    assert pairs.count() == 3
    assert pairs.collectAsMap() == {0: 14, 1: 13, 2: 13}
    assert seen.value == 80


def test_a_param_of_ones_own_that_changes_its_argument(make_context: MakeContext) -> None:
    sc = make_context("local[1]")
    total = sc.accumulator([1.0, 2.0], Vector())
    sc.parallelize(range(10), 5).foreach(lambda x: total.add([1.0, x]))
    assert total.value == [11.0, 47.0]
    with pytest.raises(TypeError, match="No default accumulator param"):
        sc.accumulator([1.0])


@pytest.mark.parametrize("master", ["inline", "local[1]"])
def test_tasks_can_add_and_not_read(make_context: MakeContext, master: str) -> None:
    sc = make_context(master)
    total = sc.accumulator(7)
    with pytest.raises(ValueNotAccessible, match=r"Accumulator\.value"):
        sc.parallelize([1], 1).foreach(lambda x: total.value)

    def put(x: int) -> None:
        total.value = x

    with pytest.raises(RuntimeError, match="tasks"):
        sc.parallelize([1], 1).foreach(put)
    assert total.value == 7


def test_attempts_that_fail_never_count(make_context: MakeContext, tmp_path: Path) -> None:
    # One slot: what an attempt left behind in it would be found by the next.
    sc = make_context("local[1]")
    total = sc.accumulator(0)
    directory = str(tmp_path)

    def shaky(x: int) -> int:
        total.add(1)
        if x % 10 == 9:
            if first_time(directory, f"first-{x}"):
                os.kill(os.getpid(), signal.SIGKILL)
            if first_time(directory, f"second-{x}"):
                raise ValueError("the second attempt")
        return x

    assert sc.parallelize(range(40), 4).map(shaky).sum() == sum(range(40))
    assert total.value == 40


def test_partitions_that_succeeded_count_though_the_job_fails(make_context: MakeContext, tmp_path: Path) -> None:
    sc = make_context("local[1]")
    total = sc.accumulator(0)

    def last_fails(x: int) -> None:
        total.add(1)
        if x == 3:
            raise ValueError("always")

    with pytest.raises(ValueError, match="always"):
        sc.parallelize(range(4), 4).foreach(last_fails)
    assert total.value == 3


def test_an_addition_that_raises_is_told_and_loses_no_result(make_context: MakeContext, caplog: pytest.LogCaptureFixture) -> None:
    class Picky(AccumulatorParam[int]):
        def zero(self, value: int) -> int:
            return 0

        def addInPlace(self, value1: int, value2: int) -> int:
            if value2 > 50:
                raise OverflowError("too much")
            return value1 + value2

    sc = make_context("local[1]")
    total = sc.accumulator(0, Picky())
    assert sc.parallelize([20, 20, 20, 1], 2).map(lambda x: total.add(x) or x).collect() == [20, 20, 20, 1]
    assert total.value == 61
    sc.parallelize([20, 20, 20], 1).foreach(total.add)
    assert total.value == 61
    assert "addInPlace failed" in caplog.text


def test_what_one_task_adds_is_limited(make_context: MakeContext) -> None:
    sc = make_context("local[1]")
    text = sc.accumulator("", AddingAccumulatorParam(""))
    with pytest.raises(UpdatesTooLarge, match="accumulators are for counts"):
        sc.parallelize([1], 1).foreach(lambda x: text.add("x" * (9 << 20)))
    sc.parallelize([1], 1).foreach(lambda x: text.add("x" * (7 << 20)))
    assert len(text.value) == 7 << 20


@pytest.mark.parametrize("where", ["map", "reduce"])
@pytest.mark.parametrize("victim", ["executor_process", "quiver_executor "])
def test_what_is_lost_and_made_again_counts_once(make_context: MakeContext, tmp_path: Path, where: str, victim: str) -> None:
    """An executor (its outputs stay) or a whole node (they are made again) is killed in the middle of a shuffle."""
    sc = make_context("local-cluster[2,1,512m]")
    directory = str(tmp_path)
    mapped, reduced = sc.accumulator(0), sc.accumulator(0)

    def hold(side: str, total: Any) -> Callable[[int, Iterator[Any]], Iterator[Any]]:
        def held(index: int, records: Iterator[Any]) -> Iterator[Any]:
            if side == where:
                mark(directory, f"{side}-{index}")
                if index >= 2:
                    wait_for(f"{directory}/go")
            for record in records:
                total.add(1)
                yield record

        return held

    pairs = sc.parallelize(range(800), 8).map(lambda x: (x % 10, x)).mapPartitionsWithIndex(hold("map", mapped))
    answers: list[Any] = []

    def run() -> None:
        answers.append(sorted(pairs.reduceByKey(add, 4).mapPartitionsWithIndex(hold("reduce", reduced)).collect()))

    thread = threading.Thread(target=run)
    thread.start()
    eventually(lambda: bool(list(tmp_path.glob(f"{where}-2")) or list(tmp_path.glob(f"{where}-3"))), f"a held {where} task")
    os.kill(next(pid for pid in children(os.getpid()) if victim in command_line(pid)), signal.SIGKILL)
    mark(directory, "go")
    thread.join(100)
    assert answers == [[(key, sum(range(key, 800, 10))) for key in range(10)]]
    assert (mapped.value, reduced.value) == (800, 10)


def test_values_are_told_to_pages(make_context: MakeContext, tmp_path: Path) -> None:
    sc = make_context("local[1]")
    total = sc.accumulator(2)
    sc.parallelize(range(10), 2).foreach(total.add)
    sc.stop()
    (log,) = (tmp_path / "events").glob("*.jsonl")
    (event,) = [json.loads(line) for line in log.read_text().splitlines() if '"AccumulatorsUpdated"' in line]
    assert (event["ids"], event["types"], event["values"]) == ([total.aid], ["int"], ["47"])


# ---- broadcasts ----


@pytest.mark.parametrize("master", MASTERS)
def test_a_broadcast_from_its_making_to_its_end(make_context: MakeContext, master: str) -> None:
    sc = make_context(master)
    shared = sc.broadcast({"names": ["a", "b"], "numbers": np.arange(1000)})
    assert isinstance(shared, Broadcast)

    def look(x: int) -> tuple[str, int, bool, bool]:
        numbers = shared.value["numbers"]
        return shared.value["names"][x % 2], int(numbers[x]), numbers.flags.writeable, isinstance(shared, Broadcast)

    rdd = sc.parallelize(range(8), 4).map(look)
    expected = [("ab"[x % 2], x, False, True) for x in range(8)]
    assert rdd.collect() == expected
    # In a shuffle's map side, and on its reduce side.
    assert sorted(rdd.map(lambda row: (shared.value["names"][1], row[1])).reduceByKey(add).collect()) == [("b", 28)]
    shared.unpersist(blocking=True)
    assert rdd.collect() == expected
    shared.unpersist()
    assert rdd.collect() == expected
    assert shared.value["names"] == ["a", "b"]
    shared.destroy(blocking=True)
    for use in (lambda: shared.value, rdd.collect, shared.unpersist, shared.destroy):
        with pytest.raises(BroadcastDestroyed, match="after it was destroyed"):
            use()
    assert sc.parallelize([1]).count() == 1


@pytest.mark.parametrize("master", ["inline", "local[1]"])
def test_in_a_task_a_broadcast_can_only_be_read(make_context: MakeContext, master: str) -> None:
    sc = make_context(master)
    shared = sc.broadcast(1)
    rdd = sc.parallelize([1], 1)
    for use in (lambda x: shared.unpersist(), lambda x: shared.destroy(), lambda x: shared):
        with pytest.raises(RuntimeError, match=r"Broadcast can only be .* in driver"):
            rdd.map(use).collect()
    with pytest.raises(BroadcastNotLoaded, match="not loaded"):
        sc.parallelize([shared], 1).map(lambda b: b.value).collect()


def test_what_can_not_be_broadcast_is_named(make_context: MakeContext) -> None:
    sc = make_context("local[1]")
    with pytest.raises(pickle.PicklingError, match=r"Could not serialize broadcast .*value\['rdd'\] is an RDD"):
        sc.broadcast({"rdd": sc.parallelize([1])})
    with pytest.raises(UnpicklableBroadcast, match=r"value\[1\] is a _thread.lock"):
        sc.broadcast([1, threading.Lock()])


def test_a_broadcast_of_a_stopped_context(make_context: MakeContext) -> None:
    shared = make_context("local[1]").broadcast([1])
    Context._active.stop()
    sc = make_context("local[1]")
    assert sc.broadcast([2]).value == [2]
    with pytest.raises(BroadcastDestroyed, match="of another Context"):
        sc.parallelize([1], 1).map(lambda x: shared.value).collect()


def test_files_go_with_the_last_reference(make_context: MakeContext, tmp_path: Path) -> None:
    sc = make_context("local[1]")

    def made() -> tuple[Any, Any]:
        shared = sc.broadcast(list(range(100)))
        return shared, sc.parallelize([3], 1).map(lambda x: shared.value[x])

    shared, rdd = made()
    files = lambda: [path for path in (tmp_path / "local").rglob("broadcasts/*") if path.name.isdigit()]  # noqa: E731
    assert len(files()) == 1
    del shared
    gc.collect()
    # The function refers to it.
    assert rdd.collect() == [3]
    del rdd
    gc.collect()
    eventually(lambda: not files(), "the file of a broadcast that nothing refers to is deleted")


def test_slots_that_die_open_it_again(make_context: MakeContext, tmp_path: Path) -> None:
    sc = make_context("local[2]")
    directory = str(tmp_path)
    shared = sc.broadcast(np.ones(1000))

    def once_killed(x: int) -> float:
        total = float(shared.value.sum())
        if first_time(directory, f"killed-{x % 2}"):
            os.kill(os.getpid(), signal.SIGKILL)
        return total

    assert sc.parallelize(range(6), 6).map(once_killed).collect() == [1000.0] * 6


def test_nodes_on_other_machines_fetch_it(make_context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two nodes that take themselves for another machine than the driver's: the bytes travel, and each node keeps one copy."""
    monkeypatch.setenv(VARIABLE, "another-machine")
    sc = make_context("local-cluster[2,1,512m]")
    monkeypatch.delenv(VARIABLE)
    numbers = np.arange(1_500_000)
    shared = sc.broadcast(numbers)
    directory = str(tmp_path)

    def total(index: int, records: Iterator[int]) -> Iterator[int]:
        # Both executors have a task at the same time.
        mark(directory, f"here-{index}")
        wait_for(f"{directory}/here-{1 - index}")
        yield int(shared.value.sum())

    copies = lambda: [path for path in (tmp_path / "local").rglob("nodes/*/app-*/broadcasts/*") if path.name.isdigit()]  # noqa: E731
    assert sc.parallelize(range(2), 2).mapPartitionsWithIndex(total).collect() == [numbers.sum()] * 2
    assert len(copies()) == 2
    assert any("quiver_executor.origin" in command_line(pid) for pid in children(os.getpid()))
    shared.unpersist(blocking=True)
    assert copies() == []
    assert sc.parallelize(range(2), 2).map(lambda x: int(shared.value[x])).collect() == [0, 1]
    shared.destroy(blocking=True)
    assert copies() == []
    sc.stop()
    assert not any("quiver_executor.origin" in command_line(pid) for pid in children(os.getpid()))
    assert not list((tmp_path / "local").glob("app-*"))
