"""What is kept when executors and nodes are killed, and when files are touched by others."""

from __future__ import annotations

import os
import signal
from operator import add
from pathlib import Path
from typing import Any

import pytest
from counted import computed, counting
from harness import MakeContext, children, command_line, eventually

from quiver import RDD, Context, StorageLevel
from quiver_proto.errors import CheckpointLost, CheckpointUnreadable

CLUSTER = "local-cluster[2,1,512m]"


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    directory = tmp_path / "calls"
    directory.mkdir()
    return directory


def kill_executor_with(sc: Context, rdd: RDD[Any]) -> None:
    """SIGKILL an executor that holds blocks of the RDD; back when the driver knows."""
    engine = sc._driver.engine
    holder = engine._scheduler.cache_table(rdd.id()).executor_ids[0]
    os.kill(engine._executors.links[holder].pid, signal.SIGKILL)
    eventually(lambda: holder not in engine._executors.links, "the driver hears of it")


def test_blocks_of_a_killed_executor_are_made_again(make_context: MakeContext, calls: Path) -> None:
    sc = make_context(CLUSTER)
    rdd = sc.parallelize(range(100), 8).mapPartitionsWithIndex(counting(calls)).cache()
    assert rdd.sum() == 4950
    kill_executor_with(sc, rdd)
    left = sc._driver.stored(rdd.id()).partitions
    assert left < 8
    assert [rdd.sum(), rdd.count()] == [4950, 100]
    counts = computed(calls)
    assert sum(counts.values()) == 8 + 8 - left
    assert set(counts.values()) <= {1, 2}


def test_replicated_blocks_survive_a_kill(make_context: MakeContext, calls: Path) -> None:
    sc = make_context(CLUSTER)
    rdd = sc.parallelize(range(100), 4).mapPartitionsWithIndex(counting(calls)).persist(StorageLevel.MEMORY_ONLY_2)
    assert rdd.sum() == 4950
    forgetful = sc.parallelize(range(10), 2).persist(StorageLevel.MEMORY_AND_DISK_2)
    forgetful.localCheckpoint()
    assert forgetful.sum() == 45
    eventually(lambda: sc._driver.stored(rdd.id()).copies == 8, "every block has two copies")
    eventually(lambda: sc._driver.stored(forgetful.id()).copies == 4, "every block has two copies")
    kill_executor_with(sc, rdd)
    assert sc._driver.stored(rdd.id()).partitions == 4
    assert rdd.sum() == 4950
    assert forgetful.isCheckpointed()
    assert forgetful.sum() == 45
    assert computed(calls) == dict.fromkeys(range(4), 1)
    # The executor that takes the place of the killed one gets the copies that are missing now.
    eventually(lambda: sc._driver.stored(rdd.id()).copies == 8, "every block has two copies again")


@pytest.mark.parametrize("how", ["changed", "replaced", "cut", "gone", "appended"])
def test_a_checkpoint_that_others_touched_is_not_opened(make_context: MakeContext, tmp_path: Path, how: str) -> None:
    import pickle

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "owned"),)

    sc = make_context("local[2]")
    sc.setCheckpointDir(str(tmp_path))
    rdd = sc.parallelize(range(10), 1)
    rdd.checkpoint()
    assert rdd.count() == 10
    directory = rdd.getCheckpointFile()
    assert directory is not None
    path = Path(directory.removeprefix("file:")) / "part-00000"
    data = path.read_bytes()
    evil = pickle.dumps([Evil()])
    path.unlink()
    if how == "changed":
        path.write_bytes(evil[: len(data)] + data[len(evil) :])
    elif how == "replaced":
        path.write_bytes(evil)
    elif how == "cut":
        path.write_bytes(data[:-10])
    elif how == "appended":
        path.write_bytes(data + evil)
    if how == "appended":
        assert rdd.count() == 10
    else:
        with pytest.raises(CheckpointUnreadable, match="part-00000"):
            rdd.count()
    assert not (tmp_path / "owned").exists()


def test_a_local_checkpoint_works_until_its_executor_dies(make_context: MakeContext, calls: Path) -> None:
    sc = make_context(CLUSTER)
    rdd = sc.parallelize(range(100), 4).mapPartitionsWithIndex(counting(calls))
    rdd.localCheckpoint()
    assert rdd.sum() == 4950
    assert rdd.isCheckpointed()
    assert rdd.sum() == 4950
    assert computed(calls) == dict.fromkeys(range(4), 1)
    kill_executor_with(sc, rdd)
    with pytest.raises(CheckpointLost, match=r"localCheckpoint\(\) gave up its lineage"):
        rdd.sum()


def test_blocks_stand_for_map_outputs_that_went_with_a_node(make_context: MakeContext, calls: Path, tmp_path: Path) -> None:
    sc = make_context(CLUSTER)
    maps = tmp_path / "maps"
    maps.mkdir()
    pairs = sc.parallelize(range(40), 4).mapPartitionsWithIndex(counting(maps)).map(lambda x: (x % 4, x))
    sums = pairs.reduceByKey(add, 4).mapPartitionsWithIndex(counting(calls)).persist(StorageLevel.MEMORY_ONLY_2)
    expected = [(k, sum(range(k, 40, 4))) for k in range(4)]
    assert sorted(sums.collect()) == expected
    eventually(lambda: sc._driver.stored(sums.id()).copies == 8, "every block has two copies")
    links = sc._driver.engine._executors.links
    before = set(links)
    os.kill(next(pid for pid in children(os.getpid()) if "-m quiver_executor " in command_line(pid)), signal.SIGKILL)
    eventually(lambda: bool(before - set(links)), "the driver hears of it")
    assert sorted(sums.collect()) == expected
    assert computed(calls) == dict.fromkeys(range(4), 1)
    assert computed(maps) == dict.fromkeys(range(4), 1)


def test_a_checkpoint_in_an_object_store(make_context: MakeContext) -> None:
    sc = make_context("inline")
    sc.setCheckpointDir("memory://checkpoints")
    rdd = sc.parallelize(range(10), 2).map(str)
    rdd.checkpoint()
    assert rdd.count() == 10
    assert (rdd.getCheckpointFile() or "").startswith("memory://checkpoints/")
    assert rdd.collect() == [str(x) for x in range(10)]
