"""Cached partitions in a slot: stored once, found again, whole or not at all."""

from __future__ import annotations

import os
import pickle
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from body_bench import Bench, fn, items

from quiver_executor import block_store, block_writer, remote_block
from quiver_executor.block_server import BlockServer
from quiver_executor.block_store import BlockStore, store_of
from quiver_executor.cache_node import _stored
from quiver_executor.disk import used_bytes
from quiver_executor.memory import MemoryWatch
from quiver_executor.store_ledger import Held
from quiver_executor.task import Cursor, End, Task
from quiver_proto import frames, ops
from quiver_proto.block_client import DATA, BlockClient, Piece
from quiver_proto.errors import AuthenticationFailed
from quiver_proto.ids import ExecutorId, NodeId
from quiver_proto.messages import CacheTable, FailureKind, TaskDone, TaskFailure
from quiver_proto.storage import StorageLevel

MB = 1 << 20
LEVELS = [StorageLevel.MEMORY_ONLY, StorageLevel.DISK_ONLY, StorageLevel.MEMORY_AND_DISK, StorageLevel.MEMORY_AND_DISK_DESER]


class Caching(Bench):
    """A Bench that counts how often a record's parent was computed."""

    def __init__(self, root: Path, storage: int = 64 * MB, live: int = 0, **rest: Any) -> None:
        super().__init__(root, storage_bytes=storage, live_bytes=live, **rest)
        self.calls = root / "calls"
        self.calls.touch()

    def node(self, dataset: int, level: StorageLevel, function: Any = lambda x: (x, str(x))) -> ops.Cache:
        path = str(self.calls)

        def computed(record: Any) -> Any:
            with open(path, "a") as file:
                file.write("x")
            return function(record)

        return ops.Cache(ops.Map(ops.Items(), fn(computed)), dataset, level)

    def computed(self) -> int:
        return self.calls.stat().st_size

    @property
    def store(self) -> BlockStore:
        return store_of(self.env)

    def held(self) -> list[Held]:
        return self.store.ledger.blocks()

    def unfinished(self) -> list[Path]:
        return list(self.root.rglob("*.tmp"))


@pytest.fixture
def caching(tmp_path: Path) -> Iterator[Caching]:
    bench = Caching(tmp_path)
    yield bench
    block_store.close_store(bench.env)


@pytest.mark.parametrize("level", LEVELS, ids=str)
def test_the_second_time_nothing_is_computed(caching: Caching, level: StorageLevel) -> None:
    node = caching.node(5, level)
    first = caching.done(ops.Collect(node), (3, items(range(1000))))
    assert first.result is not None
    assert first.extras is not None
    (block,) = first.extras.cached
    assert (block.dataset_id, block.partition, block.records, block.slot) == (5, 3, 1000, -1)
    assert (block.memory_bytes > 0, block.disk_bytes > 0) == (level.useMemory, not level.useMemory)
    assert os.path.getsize(block.path) == block.memory_bytes + block.disk_bytes
    assert os.stat(block.path).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(block.path)).st_mode & 0o777 == 0o700
    second = caching.done(ops.Collect(node), (3, None))
    assert second.extras is None
    assert second.result is not None
    assert frames.load(second.result) == frames.load(first.result) == [(x, str(x)) for x in range(1000)]
    assert caching.computed() == 1000


def test_of_tables_one_batch_is_held_at_a_time(bench: Bench) -> None:
    made: list[weakref.ref[Any]] = []
    most = 0

    def table(number: int) -> pa.RecordBatch:
        nonlocal most
        batch = pa.record_batch({"n": np.zeros(1 + number * 1000)})  # The first ones are small.
        made.append(weakref.ref(batch))
        most = max(most, sum(each() is not None for each in made))
        return batch

    stored = _stored(Task(bench.env, (), (), None, {}, {}, 0, 0, 0), BlockStore(bench.env).writer(1, 0, LEVELS[1]),
                     map(table, range(40)), End(reached=True), Cursor(), Cursor())  # fmt: skip
    assert sum(len(batch) for batch in stored) == 40
    assert most <= 3


def test_an_empty_partition_is_a_block_too(caching: Caching) -> None:
    node = caching.node(5, StorageLevel.MEMORY_ONLY)
    assert caching.collect(node, (0, items([]))) == []
    assert caching.collect(node, (0, None)) == []


def test_a_miss_without_the_parents_split_names_the_partition(caching: Caching) -> None:
    failure = caching.failed(ops.Count(caching.node(5, StorageLevel.MEMORY_ONLY)), (7, None))
    assert failure.kind is FailureKind.CACHE_MISS
    assert failure.cache == (5, 7)


def test_records_that_are_not_read_to_their_end_leave_no_block(caching: Caching) -> None:
    from itertools import islice

    node = caching.node(5, StorageLevel.MEMORY_AND_DISK)
    take = ops.Apply(node, fn(lambda records: list(islice(records, 3))))
    assert len(caching.value(take, (0, items(range(5000))))) == 3
    assert caching.held() == []
    assert caching.unfinished() == []
    assert caching.store.ledger.used() == 0
    assert caching.value(ops.Count(node), (0, items(range(5000)))) == 5000
    assert len(caching.held()) == 1


def test_a_failing_parent_leaves_no_block_and_names_its_record(caching: Caching) -> None:
    node = caching.node(5, StorageLevel.MEMORY_ONLY, lambda x: 1 // (700 - x))
    failure = caching.failed(ops.Count(node), (0, items(range(1000))))
    assert (failure.exception_type, failure.record_index, failure.record) == ("ZeroDivisionError", 700, "700")
    assert caching.held() == []


def test_a_failure_behind_the_cache_names_the_cached_record(caching: Caching) -> None:
    node = ops.Map(caching.node(5, StorageLevel.MEMORY_ONLY), fn(lambda pair: 1 // (700 - pair[0])))
    failure = caching.failed(ops.Count(node), (0, items(range(1000))))
    assert (failure.record_index, failure.record) == (700, "(700, '700')")


def test_stop_iteration_in_the_parent_is_no_end(caching: Caching) -> None:
    def stop(x: int) -> int:
        if x == 500:
            raise StopIteration
        return x

    failure = caching.failed(ops.Count(caching.node(5, StorageLevel.MEMORY_ONLY, stop)), (0, items(range(1000))))
    assert failure.exception_type == "RuntimeError"
    assert caching.held() == []


@pytest.mark.parametrize("level", [StorageLevel.MEMORY_ONLY, StorageLevel.DISK_ONLY], ids=str)
@pytest.mark.parametrize("live", [0, 8 * MB])
def test_what_a_task_does_to_its_records_stays_its_own(tmp_path: Path, level: StorageLevel, live: int) -> None:
    bench = Caching(tmp_path, live=live)
    node = bench.node(5, level, lambda x: ([x], np.full(40_000, x, "i8"), {"x": x}))

    def spoil(records: Iterator[Any]) -> int:
        seen = 0
        for one, array, mapping in records:
            assert one == [mapping["x"]]
            assert array.sum() == 40_000 * one[0]
            one.append(99)
            array[:] = -1
            mapping["x"] = -5
            seen += 1
        return seen

    for _ in range(3):
        assert bench.value(ops.Apply(node, fn(spoil)), (0, items(range(20)))) == 20
    assert bench.computed() == 20
    block_store.close_store(bench.env)


def test_large_arrays_in_memory_are_views_of_the_block(caching: Caching) -> None:
    node = caching.node(5, StorageLevel.MEMORY_ONLY, lambda x: np.full(1 << 15, x))
    caching.collect(node, (0, items(range(4))))
    mapped = ops.Apply(node, fn(lambda records: [(type(a.base.base.obj).__name__, a.ctypes.data % 64) for a in records]))
    assert caching.value(mapped, (0, None)) == [("mmap", 0)] * 4


def test_live_objects_only_of_what_nobody_can_change(tmp_path: Path) -> None:
    bench = Caching(tmp_path, live=8 * MB)
    done = bench.done(ops.Count(bench.node(5, StorageLevel.MEMORY_ONLY)), (0, items(range(100))))
    assert done.extras is not None
    assert done.extras.cached[0].slot == 0
    assert bench.store.live.get((5, 0)) == [(x, str(x)) for x in range(100)]
    done = bench.done(ops.Count(bench.node(6, StorageLevel.MEMORY_ONLY, lambda x: (x, [x]))), (0, items(range(100))))
    assert done.extras is not None
    assert done.extras.cached[0].slot == -1
    assert bench.store.live.get((6, 0)) is None
    assert bench.store.ledger.used() == sum(held.memory_bytes for held in bench.held()) + bench.store.live.bytes
    block_store.forget_live(5)
    assert bench.store.live.get((5, 0)) is None
    assert bench.store.ledger.used() == sum(held.memory_bytes for held in bench.held())
    block_store.close_store(bench.env)


def flip(path: str, at: int) -> None:
    with open(path, "r+b") as file:
        file.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
        byte = file.read(1)
        file.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
        file.write(bytes([byte[0] ^ 0xFF]))


@pytest.mark.parametrize("level", [StorageLevel.MEMORY_ONLY, StorageLevel.DISK_ONLY], ids=str)
@pytest.mark.parametrize("at", [3, 20, 70, -5])
def test_a_damaged_block_is_made_again(caching: Caching, level: StorageLevel, at: int, caplog: pytest.LogCaptureFixture) -> None:
    node = caching.node(5, level)
    split = (0, items(range(100)))
    caching.collect(node, split)
    (held,) = caching.held()
    flip(caching.store.ledger.path(held), at)
    assert caching.collect(node, split) == [(x, str(x)) for x in range(100)]
    assert caching.computed() == 200
    assert "can't be read and is dropped" in caplog.text
    assert len(caching.held()) == 1
    assert caching.collect(node, (0, None)) == [(x, str(x)) for x in range(100)]


def test_damage_found_too_late_is_a_miss_and_nothing_is_read_from_it(caching: Caching) -> None:
    node = caching.node(5, StorageLevel.MEMORY_ONLY, lambda x: os.urandom(1000))
    split = (0, items(range(2000)))
    caching.done(ops.Count(node), split)
    (held,) = caching.held()
    flip(caching.store.ledger.path(held), held.memory_bytes // 2)
    failure = caching.failed(ops.Count(node), split)
    assert failure.kind is FailureKind.CACHE_MISS
    assert failure.cache == (5, 0)
    assert caching.held() == []
    assert isinstance(caching.attempt(ops.Count(node), split), TaskDone)


def test_a_truncated_or_missing_block_is_made_again(caching: Caching) -> None:
    node = caching.node(5, StorageLevel.MEMORY_ONLY)
    split = (0, items(range(100)))
    for damage in (lambda path: os.truncate(path, 100), lambda path: os.truncate(path, 0), os.unlink):
        caching.collect(node, split)
        damage(caching.store.ledger.path(caching.held()[0]))
        assert caching.collect(node, split) == [(x, str(x)) for x in range(100)]


def test_arrays_of_a_damaged_block_are_never_seen(caching: Caching) -> None:
    node = caching.node(5, StorageLevel.MEMORY_ONLY, lambda x: np.full(1 << 15, x))
    split = (0, items(range(4)))
    caching.done(ops.Count(node), split)
    assert caching.value(ops.Count(node), (0, None)) == 4  # Its checksums are known to be right from here on.
    (held,) = caching.held()
    path = caching.store.ledger.path(held)
    before = os.stat(path)
    flip(path, 5000)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert caching.failed(ops.Count(node), (0, None)).kind is FailureKind.CACHE_MISS


# ---- room ----


def blob(x: int) -> bytes:
    return bytes([x % 251]) * MB


def test_memory_only_evicts_the_least_recently_used_of_other_datasets(tmp_path: Path) -> None:
    bench = Caching(tmp_path, storage=4 * MB)
    for dataset in (1, 2, 3):
        bench.done(ops.Count(bench.node(dataset, StorageLevel.MEMORY_ONLY, blob)), (0, items([dataset])))
    assert bench.value(ops.Count(bench.node(1, StorageLevel.MEMORY_ONLY, blob)), (0, None)) == 1
    bench.done(ops.Count(bench.node(4, StorageLevel.MEMORY_ONLY, blob)), (0, items([4])))
    assert sorted(held.dataset for held in bench.held()) == [1, 3, 4]
    gone = bench.store.ledger.take_changes()
    assert [(held.dataset, held.memory_bytes, held.disk_bytes) for held in gone] == [(2, 0, 0)]
    assert bench.store.ledger.used() == sum(held.memory_bytes for held in bench.held()) <= 4 * MB
    block_store.close_store(bench.env)


def test_memory_and_disk_moves_to_disk(tmp_path: Path) -> None:
    bench = Caching(tmp_path, storage=2 * MB + 1000)
    node = bench.node(1, StorageLevel.MEMORY_AND_DISK, blob)
    bench.done(ops.Count(node), (0, items([1])))
    bench.done(ops.Count(bench.node(2, StorageLevel.MEMORY_ONLY, blob)), (0, items([2])))
    bench.done(ops.Count(bench.node(3, StorageLevel.MEMORY_ONLY, blob)), (0, items([3])))
    (moved,) = bench.store.ledger.take_changes()
    assert (moved.dataset, moved.memory_bytes) == (1, 0)
    assert moved.disk_bytes > MB
    assert bench.collect(node, (0, None)) == [blob(1)]
    assert bench.store.ledger.used() == sum(held.memory_bytes for held in bench.held())
    block_store.close_store(bench.env)


def test_a_dataset_never_chases_its_own_blocks_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bench = Caching(tmp_path, storage=3 * MB)
    node = bench.node(1, StorageLevel.MEMORY_ONLY, blob)
    for partition in range(4):
        assert bench.value(ops.Count(node), (partition, items([partition]))) == 1
    assert [held.partition for held in bench.held()] == [0, 1]
    assert "do not fit" in caplog.text
    block_store.close_store(bench.env)


@pytest.mark.parametrize("quota", [0, 40 * MB])
def test_a_partition_too_large_for_memory_goes_to_disk_on_its_way(tmp_path: Path, quota: int) -> None:
    bench = Caching(tmp_path, storage=3 * MB, quota=quota)
    node = bench.node(1, StorageLevel.MEMORY_AND_DISK, blob)
    assert bench.value(ops.Count(node), (0, items(range(10)))) == 10
    (held,) = bench.held()
    assert held.memory_bytes == 0
    assert held.disk_bytes > 10 * MB
    assert bench.store.ledger.used() == 0
    check = ops.Apply(node, fn(lambda records: [record == bytes([n]) * (1 << 20) for n, record in enumerate(records)]))
    assert bench.value(check, (0, None)) == [True] * 10
    assert bench.unfinished() == []
    block_store.close_store(bench.env)


def test_without_room_on_disk_the_records_flow_all_the_same(tmp_path: Path) -> None:
    bench = Caching(tmp_path, storage=MB, quota=4 * MB)
    node = bench.node(1, StorageLevel.MEMORY_AND_DISK, blob)
    assert bench.value(ops.Count(node), (0, items(range(10)))) == 10
    assert bench.held() == []
    assert bench.unfinished() == []
    assert bench.store.ledger.used() == 0
    assert used_bytes(str(bench.blocks)) < MB
    block_store.close_store(bench.env)


@pytest.mark.parametrize("level", LEVELS, ids=str)
def test_without_a_usable_ledger_nothing_is_kept_and_nothing_fails(
    tmp_path: Path, level: StorageLevel, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Caching(tmp_path, live=8 * MB)
    os.makedirs(bench.store.ledger.memory_dir)
    Path(bench.store.ledger.memory_dir, "ledger").write_bytes(b"garbage" * 1000)
    node = bench.node(5, level)
    for _ in range(2):
        assert bench.collect(node, (0, items(range(100)))) == [(x, str(x)) for x in range(100)]
    assert bench.failed(ops.Count(node), (0, None)).cache == (5, 0)
    assert bench.computed() == 200
    assert "ledger" in caplog.text
    assert bench.unfinished() == []
    block_store.remove_dataset(bench.env, 5)
    block_store.close_store(bench.env)


def test_records_that_do_not_pickle_are_refused_by_name(caching: Caching) -> None:
    import threading

    failure = caching.failed(ops.Count(caching.node(5, StorageLevel.MEMORY_ONLY, lambda x: threading.Lock())), (0, items([1])))
    assert failure.error is not None
    assert failure.error[0] == "UnpicklableOutput"
    assert "cached" in failure.message


def test_the_same_partition_twice_in_one_task(caching: Caching) -> None:
    node = caching.node(5, StorageLevel.MEMORY_ONLY, lambda x: x)
    zipped = ops.Zip(node, node)
    part = (0, items(range(3000)))
    assert caching.value(ops.Count(zipped), (part, part)) == 3000
    assert len(caching.held()) == 1
    assert caching.unfinished() == []
    assert caching.store.ledger.used() == caching.held()[0].memory_bytes


def test_room_claimed_at_once_and_beyond(caching: Caching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_writer, "AT_ONCE", 1000)
    node = caching.node(5, StorageLevel.MEMORY_ONLY, lambda x: os.urandom(100))
    caching.done(ops.Count(node), (0, items(range(5000))))
    (held,) = caching.held()
    assert caching.store.ledger.used() == held.memory_bytes == os.path.getsize(caching.store.ledger.path(held))
    assert len(caching.collect(node, (0, None))) == 5000


# ---- other executors ----


def table(dataset: int, partition: int, node: str, executor: str, path: str) -> dict[int, CacheTable]:
    return {dataset: CacheTable(dataset, [partition], [NodeId(node)], [ExecutorId(executor)], [path])}


def test_a_block_of_another_executor_of_the_node(caching: Caching, tmp_path: Path) -> None:
    other = Caching(tmp_path / "other")
    node = other.node(5, StorageLevel.MEMORY_ONLY)
    done = other.done(ops.Count(node), (2, items(range(100))))
    assert done.extras is not None
    (block,) = done.extras.cached
    cached = table(5, 2, "node-a", "app-1/9", block.path)
    assert caching.collect(node, (2, None), cached=cached) == [(x, str(x)) for x in range(100)]
    assert other.computed() == 100
    flip(block.path, 70)
    end = caching.attempt(ops.Count(node), (2, None), cached=cached)
    assert isinstance(end, TaskFailure)
    assert end.cache == (5, 2)
    assert pickle.loads(pickle.dumps(end)) == end
    block_store.close_store(other.env)


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Caching]:
    """Another node's executor; its memory tier is in a directory of its own, as in shared memory."""
    memory = tmp_path / "shm" / "app-1"
    memory.mkdir(parents=True)
    bench = Caching(tmp_path / "far", node="node-b", memory_dir=str(memory))
    yield bench
    block_store.close_store(bench.env)


@pytest.fixture
def server(far: Caching, tmp_path: Path) -> Iterator[BlockServer]:
    tokens = {"app-1": "secret-1"}
    server = BlockServer("127.0.0.1", 0, str(far.root), lambda name: tokens.get(name, ""), memory_dir=str(tmp_path / "shm"))
    yield server
    server.shutdown()


@pytest.mark.parametrize("level", [StorageLevel.MEMORY_ONLY, StorageLevel.DISK_ONLY], ids=str)
@pytest.mark.parametrize("held_in_memory", [16 * MB, 1000])
def test_a_block_of_another_node(
    far: Caching, server: BlockServer, tmp_path: Path, level: StorageLevel, held_in_memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_block, "IN_MEMORY", held_in_memory)
    near = Caching(tmp_path / "near", token="secret-1")
    node = far.node(5, level, lambda x: (x, np.full(1 << 14, x)))
    done = far.done(ops.Count(node), (2, items(range(10))))
    assert done.extras is not None
    (block,) = done.extras.cached
    cached = table(5, 2, "node-b", "app-1/7", block.path)
    sums = ops.Apply(node, fn(lambda records: [(x, int(array.sum())) for x, array in records]))
    expected = [(x, x << 14) for x in range(10)]
    assert near.value(sums, (2, None), cached=cached, servers={"node-b": server.address}) == expected
    assert near.last is not None
    assert near.last.metrics.fetch_wait_s > 0
    # It is read, not kept: the driver decides where copies are.
    assert near.held() == []
    flip(block.path, 1 << 15)
    end = near.attempt(sums, (2, None), cached=cached, servers={"node-b": server.address})
    assert isinstance(end, TaskFailure)
    assert end.cache == (5, 2)
    block_store.close_store(near.env)


def test_blocks_in_shared_memory_are_for_their_application(far: Caching, server: BlockServer, tmp_path: Path) -> None:
    done = far.done(ops.Count(far.node(5, StorageLevel.MEMORY_ONLY)), (2, items(range(10))))
    assert done.extras is not None
    (block,) = done.extras.cached
    assert block.path.startswith(str(tmp_path / "shm"))
    secret = tmp_path / "shm" / "secret"
    secret.write_text("not yours")
    for path, token in ((block.path, "wrong"), (str(secret), "secret-1"), (str(tmp_path / "elsewhere"), "secret-1")):
        client = BlockClient(server.address, token, sleep=lambda _: None)
        with pytest.raises(AuthenticationFailed):
            list(client.read([Piece(path)]))
        client.close()
    client = BlockClient(server.address, "secret-1")
    assert b"".join(data for _, kind, data in client.read([Piece(block.path)]) if kind == DATA) == Path(block.path).read_bytes()
    client.close()


def test_mapped_blocks_do_not_count_as_a_tasks_own_memory(caching: Caching) -> None:
    node = caching.node(5, StorageLevel.MEMORY_ONLY, lambda x: np.full(MB, x))
    caching.done(ops.Count(node), (0, items(range(4))))
    watch = MemoryWatch(16 * MB)

    def is_over(records: Iterator[Any]) -> tuple[int, bool]:
        # 32 MiB, all of it looked at.
        held = list(records)
        return sum(int(array.sum()) for array in held) >> 20, watch.is_over(0)

    found = caching.store.open(5, 0)
    assert found is not None
    assert is_over(record for batch in found[1].batches() for record in batch) == (6, False)
    copied = np.ones(4 * MB)
    assert watch.is_over(0)
    del copied
    watch.close()
