"""Caching in a real executor: what its supervisor drops, tells and copies, and what a killed slot leaves."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from supervised import Executor, eventually

from quiver_executor.block_store import BlockStore
from quiver_executor.executor_storage import environment_of
from quiver_executor.store_ledger import StoreLedger
from quiver_proto import frames, ops
from quiver_proto.ids import NodeId, StageId
from quiver_proto.messages import (
    AddStage,
    BlocksChanged,
    CachedBlock,
    CacheTable,
    FailureKind,
    LaunchTasks,
    RemoveDataset,
    ReplicateBlock,
    TaskDone,
    TaskFailure,
    TasksEnded,
)
from quiver_proto.ops import CallSite, Function
from quiver_proto.storage import StorageLevel

MB = 1 << 20
SITE = CallSite("cache", "/home/user/app.py", 1)
Start = Callable[..., Executor]


def blob(x: int) -> bytes:
    return bytes([x % 251]) * MB


def cached_count(executor: Executor, dataset: int, function: Callable[[Any], Any], level: StorageLevel = StorageLevel.MEMORY_ONLY) -> int:
    """A stage that counts the dataset's records, which `function` makes of the items."""
    made = ops.Map(ops.Items(), Function(cloudpickle.dumps(function), SITE, "function"))
    body = ops.StageBody(ops.Count(ops.Cache(made, dataset, level)), (SITE,))
    stage_id = executor.new_stage_id()
    table = CacheTable(dataset, [], [], [], [])
    executor.handle(AddStage(StageId(stage_id), 0, pickle.dumps(body), {}, {}, {}, {dataset: table}))
    return stage_id


def run(executor: Executor, stage: int, partitions: Sequence[int], records: Sequence[Any] | None) -> list[TaskDone | TaskFailure]:
    """Tasks of these partitions; without records the block must be there."""
    inner = None if records is None else frames.dump_records(records)
    splits = [frames.dump_value((partition, inner)) for partition in partitions]
    ids = executor.new_task_ids(len(partitions))
    executor.handle(LaunchTasks(StageId(stage), 0, ids, list(partitions), [0] * len(ids), splits, 1))
    return executor.ends(ids)


def stored(end: TaskDone | TaskFailure) -> CachedBlock:
    assert isinstance(end, TaskDone), end
    assert end.extras is not None
    (block,) = end.extras.cached
    return block


def changes(executor: Executor) -> list[CachedBlock]:
    return [block for report in executor.reports if isinstance(report, BlocksChanged) for block in report.blocks]


def ledger_of(executor: Executor) -> StoreLedger:
    return BlockStore(environment_of(executor.config)).ledger


@pytest.fixture
def begin(start: Start, tmp_path: Path) -> Start:
    def begin(cores: int = 2, storage: int = 64 * MB, **changes: Any) -> Executor:
        memory = tmp_path / "shm"
        memory.mkdir(exist_ok=True)
        return start(cores, "quiver_executor.body", memory_bytes=2 * storage, memory_dir=str(memory), storage_fraction=0.5, **changes)

    return begin


def test_every_slot_finds_what_one_has_stored(begin: Start) -> None:
    executor = begin()
    stage = cached_count(executor, 5, lambda x: (x, [x]))
    (end,) = run(executor, stage, [0], list(range(100)))
    assert os.path.dirname(os.path.dirname(stored(end).path)) == executor.config.memory_dir
    ends = run(executor, stage, [0] * 8, None)
    assert all(isinstance(end, TaskDone) and end.result == frames.dump_value(100) for end in ends)
    executor.close()
    assert os.listdir(executor.config.memory_dir) == []
    assert [name for name in os.listdir(executor.config.blocks_dir) if name.startswith("cached")] == []


def test_a_removed_dataset_is_gone_everywhere(begin: Start) -> None:
    executor = begin()
    stage = cached_count(executor, 5, lambda x: x)  # Such records are kept as live objects, too.
    blocks = [stored(end) for end in run(executor, stage, [0, 1, 2, 3], list(range(100)))]
    assert {block.slot for block in blocks} <= {0, 1}
    other = stored(run(executor, cached_count(executor, 6, lambda x: x), [0], [1])[0])
    executor.handle(RemoveDataset(5))
    # By a thread of its own: tasks that come before it is done may still find a block.
    eventually(lambda: not any(os.path.exists(block.path) for block in blocks), "the files are deleted")
    for end in run(executor, stage, [0, 1, 2, 3] * 2, None):
        assert isinstance(end, TaskFailure)
        assert end.kind is FailureKind.CACHE_MISS
        assert end.cache is not None
        assert end.cache[0] == 5
    assert os.path.exists(other.path)
    assert [held.dataset for held in ledger_of(executor).blocks()] == [6]
    again = stored(run(executor, stage, [0], list(range(100)))[0])
    assert os.path.exists(again.path)


def test_what_is_evicted_or_moved_is_told_after_the_task_that_caused_it(begin: Start) -> None:
    executor = begin(cores=1, storage=3 * MB)
    first = stored(run(executor, cached_count(executor, 1, blob), [0], [1])[0])
    second = stored(run(executor, cached_count(executor, 2, blob, StorageLevel.MEMORY_AND_DISK), [0], [2])[0])
    for dataset in (3, 4):
        run(executor, cached_count(executor, dataset, blob), [0], [dataset])
    executor.wait(lambda: len(changes(executor)) == 2, "both changes are told")
    gone, moved = changes(executor)
    assert gone == first._replace(slot=-1, path="", memory_bytes=0, disk_bytes=0)
    assert moved == second._replace(path=moved.path, memory_bytes=0, disk_bytes=second.memory_bytes)
    assert os.path.getsize(moved.path) == moved.disk_bytes
    assert not os.path.exists(second.path)
    kinds = [type(report) for report in executor.reports if isinstance(report, BlocksChanged | TasksEnded)]
    assert kinds.index(BlocksChanged) == 3


def test_a_slot_killed_in_the_middle_of_storing_leaves_nothing(begin: Start, tmp_path: Path) -> None:
    executor = begin()
    reached, pids = tmp_path / "reached", executor.all_slots_ready()

    def wait_in_the_middle(x: int) -> bytes:
        import time

        if x == 5:
            reached.write_text(str(os.getpid()))
            while True:
                time.sleep(60)
        return blob(x)

    stage = cached_count(executor, 5, wait_in_the_middle)
    ids = executor.new_task_ids(1)
    split = frames.dump_value((0, frames.dump_records(list(range(10)))))
    executor.handle(LaunchTasks(StageId(stage), 0, ids, [0], [0], [split], 1))
    eventually(lambda: reached.exists() and reached.read_text(), "the task has stored some of its records")
    pid = int(reached.read_text())
    assert pid in pids.values()
    ledger = ledger_of(executor)
    assert ledger.used() > 3 * MB
    os.kill(pid, signal.SIGKILL)
    (end,) = executor.ends(ids)
    assert isinstance(end, TaskFailure)
    assert end.kind is FailureKind.SLOT_DIED
    eventually(lambda: ledger.used() == 0, "what it had claimed is given back")
    assert [name for name in os.listdir(ledger.memory_dir) if name.endswith((".tmp", ".block"))] == []
    (end,) = run(executor, stage, [1], [1, 2, 3])
    assert ledger.used() >= stored(end).memory_bytes
    ledger.close()


def test_an_executor_lives_without_its_ledger(begin: Start) -> None:
    executor = begin()
    ledger = ledger_of(executor)
    os.makedirs(ledger.memory_dir)
    Path(ledger.memory_dir, "ledger").write_bytes(b"garbage" * 1000)
    stage = cached_count(executor, 5, lambda x: (x, [x]))
    for end in run(executor, stage, [0, 1, 2], list(range(10))):
        assert isinstance(end, TaskDone)
        assert end.extras is None
    executor.handle(RemoveDataset(5))
    killed = executor.all_slots_ready()[0]
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: executor.slot_pids().get(0) not in (None, killed), "another slot takes its place")
    (end,) = run(executor, stage, [0], list(range(10)))
    assert isinstance(end, TaskDone)


def test_a_slot_stopped_in_the_middle_of_a_change_holds_up_nobody_for_long(begin: Start, tmp_path: Path) -> None:
    executor = begin(stopped_limit_s=0.2)
    reached = tmp_path / "reached"
    stored(run(executor, cached_count(executor, 4, blob), [0], [1])[0])
    lock_path = os.path.join(ledger_of(executor).memory_dir, "ledger.lock")

    def stop_inside(records: Any) -> list[int]:
        import fcntl

        lock = os.open(lock_path, os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
        reached.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
        return [lock]

    body = ops.StageBody(ops.Apply(ops.Items(), Function(cloudpickle.dumps(stop_inside), SITE, "stop")), (SITE,))
    stage, ids = executor.new_stage_id(), executor.new_task_ids(1)
    executor.handle(AddStage(StageId(stage), 0, pickle.dumps(body), {}, {}, {}))
    split = frames.dump_value(frames.dump_records([1]))
    executor.handle(LaunchTasks(StageId(stage), 0, ids, [0], [0], [split], 1))
    eventually(reached.exists, "the slot has the lock")
    executor.handle(RemoveDataset(4))
    assert executor.ask(lambda supervisor: supervisor.running_tasks) == 1
    (end,) = executor.ends(ids)
    assert isinstance(end, TaskFailure)
    assert end.kind is FailureKind.SLOT_DIED
    eventually(lambda: ledger_of(executor).blocks() == [], "the dataset is removed once the lock is free")


def test_a_replica_is_a_block_like_any_other(begin: Start) -> None:
    source = begin()
    target = begin(executor_id="app-test/1")
    block = stored(run(source, cached_count(source, 5, lambda x: (x, [x])), [3], list(range(1000)))[0])
    target.handle(ReplicateBlock(block, "", True, False))
    target.wait(lambda: changes(target), "the copy is told")
    (copy,) = changes(target)
    assert copy == block._replace(executor_id=target.config.executor_id, path=copy.path)
    assert Path(copy.path).read_bytes() == Path(block.path).read_bytes()
    source.close()
    stage = cached_count(target, 5, lambda x: x)
    (end,) = run(target, stage, [3], None)
    assert isinstance(end, TaskDone)
    assert end.result == frames.dump_value(1000)


@pytest.mark.parametrize("why", ["no room", "damaged", "gone", "no address"])
def test_a_replica_that_can_not_be_had_is_told(begin: Start, why: str) -> None:
    source = begin()
    target = begin(executor_id="app-test/1", storage=MB // 2 if why == "no room" else 64 * MB)
    block = stored(run(source, cached_count(source, 5, blob), [3], [1, 2])[0])
    if why == "damaged":
        with open(block.path, "r+b") as file:
            file.seek(MB)
            file.write(b"?")
    elif why == "gone":
        os.unlink(block.path)
    elif why == "no address":
        block = block._replace(node_id=NodeId("node-far"))
    target.handle(ReplicateBlock(block, "", True, False))
    target.wait(lambda: changes(target), "the refusal is told")
    (refused,) = changes(target)
    assert (refused.dataset_id, refused.partition, refused.memory_bytes, refused.disk_bytes) == (5, 3, 0, 0)
    assert refused.executor_id == target.config.executor_id
    ledger = ledger_of(target)
    assert ledger.used() == 0
    assert list(Path(target.config.memory_dir).rglob("*-5-3-*")) == []
    ledger.close()
