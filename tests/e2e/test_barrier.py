"""Task contexts and barrier stages on real processes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import MakeContext, eventually

from quiver import BarrierTaskContext, Context, JobCancelled, TaskContext
from quiver_proto.errors import BarrierChainUnsupported, BarrierFailed, BarrierTooWide


def test_an_attempt_knows_its_number(make_context: MakeContext) -> None:
    def third_time(_: int) -> int:
        attempt = TaskContext.get().attemptNumber()
        if attempt < 2:
            raise ValueError("again")
        return attempt

    assert make_context("local[1,3]").parallelize([1], 1).map(third_time).collect() == [2]


def gather(records: Iterator[Any]) -> Iterator[Any]:
    context = BarrierTaskContext.get()
    context.barrier()
    told = context.allGather(f"{context.partitionId()}:{sum(records)}")
    context.barrier()
    yield context.partitionId(), os.getpid(), told, [info.address for info in context.getTaskInfos()]


def check_gathered(context: Context, tasks: int) -> set[str]:
    rows = context.parallelize(range(2 * tasks), tasks).barrier().mapPartitions(gather).collect()
    assert [row[0] for row in rows] == list(range(tasks))
    assert len({row[1] for row in rows}) == tasks, "every task has a slot of its own"
    assert all(row[2] == [f"{i}:{4 * i + 1}" for i in range(tasks)] for row in rows)
    assert all(row[3] == rows[0][3] for row in rows)
    assert len(rows[0][3]) == tasks
    return set(rows[0][3])


def test_tasks_meet_in_local_mode(make_context: MakeContext) -> None:
    context = make_context("local[4]")
    check_gathered(context, 4)
    check_gathered(context, 2)


def test_tasks_meet_on_a_cluster(make_context: MakeContext) -> None:
    context = make_context("local-cluster[2,2,1024]")
    check_gathered(context, 4)
    # Between shuffles too: the stage reads one and writes another.
    pairs = context.parallelize(range(8), 3).map(lambda i: (i % 4, i)).groupByKey(4)

    def meet(records: Iterator[Any]) -> Iterator[Any]:
        BarrierTaskContext.get().barrier()
        return records

    sums = pairs.barrier().mapPartitions(meet).map(lambda kv: (kv[0] % 2, sum(kv[1]))).reduceByKey(lambda a, b: a + b, 2)
    assert sorted(sums.collect()) == [(0, 12), (1, 16)]


def test_inline_has_one_slot(make_context: MakeContext) -> None:
    context = make_context("inline")
    assert context.parallelize([1, 2], 1).barrier().mapPartitions(lambda _: BarrierTaskContext.get().allGather("x")).collect() == ["x"]
    with pytest.raises(BarrierTooWide, match="2 tasks, and there are 1 slots"):
        context.parallelize([1, 2], 2).barrier().mapPartitions(lambda part: part).collect()


def test_too_few_slots_are_told(make_context: MakeContext) -> None:
    context = make_context("local[2]")
    with pytest.raises(BarrierTooWide, match=r"SPARK-24819.*3 tasks, and there are 2 slots"):
        context.parallelize(range(3), 3).barrier().mapPartitions(lambda part: part).collect()
    assert context.parallelize(range(3), 3).count() == 3


def test_a_cluster_may_still_grow(make_context: MakeContext) -> None:
    prefix = "spark.scheduler.barrier.maxConcurrentTasksCheck."
    context = make_context("local-cluster[1,1,512]", **{prefix + "interval": "50ms", prefix + "maxFailures": "2"})
    assert context.parallelize([1], 1).count() == 1
    with pytest.raises(BarrierTooWide, match="2 tasks, and there are 1 slots"):
        context.parallelize(range(2), 2).barrier().mapPartitions(lambda part: part).collect()


def test_chains_that_do_not_fit(make_context: MakeContext) -> None:
    context = make_context("local[2]")
    wide = context.parallelize(range(4), 2)
    gang = wide.barrier().mapPartitions(lambda part: part)
    for rdd in (
        gang.coalesce(1),
        wide.coalesce(1).barrier().mapPartitions(lambda part: part),
        gang.union(wide),
        gang.zip(wide.barrier().mapPartitions(lambda part: part)),
        gang.cartesian(wide),
        gang.coalesce(1).map(lambda x: (x, x)).reduceByKey(max),
    ):
        with pytest.raises(BarrierChainUnsupported, match="SPARK-24820"):
            rdd.collect()
    with pytest.raises(BarrierChainUnsupported):
        gang.first()
    assert gang.zip(wide).count() == 4
    assert gang.repartition(1).count() == 4
    assert [rdd._is_barrier() for rdd in (gang, wide, gang.map(str), gang.zip(wide), gang.repartition(1))] == [
        True,
        False,
        True,
        True,
        False,
    ]


def in_turn(context: BarrierTaskContext, tasks: int) -> None:
    for _ in range(tasks):
        context.barrier()


@pytest.mark.parametrize("master", ["local[2]", "local-cluster[2,1,512]"])
def test_wrong_use_is_an_error_and_no_hang(make_context: MakeContext, master: str) -> None:
    context = make_context(master)
    # Both nodes' executors are there.
    check_gathered(context, 2)

    def mixed(_: Iterator[int]) -> Iterator[int]:
        task = BarrierTaskContext.get()
        if task.partitionId():
            task.barrier()
        else:
            task.allGather("x")
        yield 1

    def leaves(_: Iterator[int]) -> Iterator[int]:
        task = BarrierTaskContext.get()
        if task.partitionId():
            in_turn(task, 2)
        else:
            in_turn(task, 1)
        yield 1

    rdd = context.parallelize([1, 2], 2)
    with pytest.raises(BarrierFailed, match=r"Different barrier sync types found for the sync Stage .*: allGather, barrier"):
        rdd.barrier().mapPartitions(mixed).collect()
    with pytest.raises(BarrierFailed, match=r"didn't get all barrier sync requests for barrier epoch 1 .*ended without it: partition 0"):
        rdd.barrier().mapPartitions(leaves).collect()
    check_gathered(context, 2)


def test_who_does_not_come_in_time(make_context: MakeContext, tmp_path: Path) -> None:
    context = make_context("local[2,1]", spark_barrier_sync_timeout="100ms")
    fifo = str(tmp_path / "never")
    os.mkfifo(fifo)

    def one_waits(_: Iterator[int]) -> Iterator[int]:
        task = BarrierTaskContext.get()
        if task.partitionId():
            Path(fifo).read_bytes()  # Until it is killed.
        task.barrier()
        yield 1

    with pytest.raises(BarrierFailed, match=r"within 0\.1 second\(s\); these have not come: partition 1"):
        context.parallelize([1, 2], 2).barrier().mapPartitions(one_waits).collect()
    assert context.parallelize([1, 2], 2).count() == 2


def test_only_the_tasks_own_thread_can_wait(make_context: MakeContext) -> None:
    def from_a_thread(_: Iterator[int]) -> Iterator[str]:
        told: list[str] = []

        def call(task: BarrierTaskContext) -> None:
            try:
                task.barrier()
            except RuntimeError as error:
                told.append(str(error))

        thread = threading.Thread(target=call, args=(BarrierTaskContext.get(),))
        thread.start()
        thread.join()
        yield from told

    rows = make_context("local[2]").parallelize([1], 1).barrier().mapPartitions(from_a_thread).collect()
    assert len(rows) == 1
    assert "must be called in the process and the thread that run the task" in rows[0]


def test_all_run_again_when_one_fails(make_context: MakeContext, tmp_path: Path) -> None:
    context = make_context("local[3,2]")

    def fails_once(_: Iterator[int]) -> Iterator[tuple[int, int]]:
        task = BarrierTaskContext.get()
        (tmp_path / f"{task.partitionId()}.{task.taskAttemptId()}").touch()
        if task.partitionId() == 0:
            return iter([(0, task.attemptNumber())])  # Ends well at once; its result must not count twice.
        if not (tmp_path / "failed").exists():
            (tmp_path / "failed").touch()
            raise ValueError("once")
        return iter([(task.partitionId(), task.attemptNumber())])

    rows = context.parallelize(range(2), 2).barrier().mapPartitions(fails_once).collect()
    assert rows == [(0, 0), (1, 0)]
    assert len([path for path in tmp_path.iterdir() if path.name.startswith("0.")]) == 2


def test_the_users_error_ends_the_job_in_the_end(make_context: MakeContext) -> None:
    def fails(_: Iterator[int]) -> Iterator[int]:
        task = BarrierTaskContext.get()
        if task.partitionId():
            raise ValueError("always")
        task.barrier()
        yield 1

    context = make_context("local[2]")
    with pytest.raises(ValueError, match="always"):
        context.parallelize([1, 2], 2).barrier().mapPartitions(fails).collect()
    check_gathered(context, 2)


@pytest.mark.parametrize("master", ["local[2,3]", "local-cluster[2,1,512]"])
def test_a_slot_is_killed_in_a_barrier_stage(make_context: MakeContext, tmp_path: Path, master: str) -> None:
    context = make_context(master)

    def told(records: Iterator[int]) -> Iterator[list[str]]:
        task = BarrierTaskContext.get()
        victim = tmp_path / "victim"
        if task.partitionId() == 0 and not victim.exists():
            victim.with_suffix(".new").write_text(str(os.getpid()))
            victim.with_suffix(".new").rename(victim)
            signal.pause()
        yield task.allGather(str(sum(records)))

    rows: list[Any] = []
    thread = threading.Thread(target=lambda: rows.extend(context.parallelize([1, 2], 2).barrier().mapPartitions(told).collect()))
    thread.start()
    try:
        eventually((tmp_path / "victim").exists, "the barrier stage runs")
        os.kill(int((tmp_path / "victim").read_text()), signal.SIGKILL)
    finally:
        thread.join(120)
    assert rows == [["1", "2"], ["1", "2"]]


def test_tasks_that_wait_can_be_cancelled(make_context: MakeContext, tmp_path: Path) -> None:
    context = make_context("local[2]")
    errors: list[BaseException] = []

    def one_waits(_: Iterator[int]) -> Iterator[int]:
        task = BarrierTaskContext.get()
        if task.partitionId():
            (tmp_path / "waits").touch()
            signal.pause()
        task.barrier()
        yield 1

    def run() -> None:
        try:
            context.parallelize([1, 2], 2).barrier().mapPartitions(one_waits).collect()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        eventually((tmp_path / "waits").exists, "the barrier stage runs")
        context.cancelAllJobs()
    finally:
        thread.join(120)
    assert [type(error) for error in errors] == [JobCancelled]
    check_gathered(context, 2)


def test_competing_barrier_jobs_and_others_all_end(make_context: MakeContext) -> None:
    context = make_context("local[3]", spark_locality_wait="0s")
    ended: list[str] = []

    def gang(name: str) -> None:
        for _ in range(3):
            rows = context.parallelize(range(3), 3).barrier().mapPartitions(lambda _: [BarrierTaskContext.get().allGather(name)]).collect()
            assert rows == [[name] * 3] * 3
        ended.append(name)

    def others() -> None:
        for _ in range(5):
            assert context.parallelize(range(50), 50).map(lambda x: x).count() == 50
        ended.append("others")

    threads = [threading.Thread(target=gang, args=(name,)) for name in "abc"] + [threading.Thread(target=others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert sorted(ended) == ["a", "b", "c", "others"]


def test_cached_partitions_of_a_barrier_stage(make_context: MakeContext, tmp_path: Path) -> None:
    context = make_context("local[2]")

    def told(records: Iterator[int]) -> list[str]:
        task = BarrierTaskContext.get()
        (tmp_path / f"ran-{task.taskAttemptId()}").touch()
        return task.allGather(str(sum(records)))

    rdd = context.parallelize(range(4), 2).barrier().mapPartitions(told).cache()
    assert rdd.collect() == ["1", "5", "1", "5"]
    assert rdd.collect() == ["1", "5", "1", "5"]
    assert len(list(tmp_path.glob("ran-*"))) == 2
    rdd.unpersist()
    assert rdd.collect() == ["1", "5", "1", "5"]


def test_what_an_attempt_that_fails_has_added_never_counts(make_context: MakeContext, tmp_path: Path) -> None:
    context = make_context("local[2,3]")
    ended = context.accumulator(0)

    def fails_once(records: Iterator[int]) -> Iterator[int]:
        ended.add(1)
        task = BarrierTaskContext.get()
        if task.partitionId():
            task.barrier()
        else:
            task.barrier()
            if not (tmp_path / "failed").exists():
                (tmp_path / "failed").touch()
                raise ValueError("once")
        return records

    assert context.parallelize(range(4), 2).barrier().mapPartitions(fails_once).count() == 4
    assert ended.value == 2
