"""Cached and checkpointed RDDs: computed once, on every master."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from operator import add
from pathlib import Path

import pytest
from counted import computed, counting
from harness import eventually

from quiver import Conf, Context, StorageLevel


@pytest.fixture(scope="module", params=["inline", "local[2]", "local-cluster[2,1,512m]"])
def sc(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    place = tmp_path_factory.mktemp("caching")
    conf = Conf(loadDefaults=False).setMaster(request.param).setAppName("caching").set("spark.ui.enabled", False)
    conf.set("quiver.local.dir", str(place / "local")).set("quiver.eventLog.dir", str(place / "events"))
    with Context(conf=conf) as context:
        yield context


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    directory = tmp_path / "calls"
    directory.mkdir()
    return directory


@pytest.mark.parametrize("level", ["MEMORY_ONLY", "DISK_ONLY", "MEMORY_AND_DISK_DESER"])
def test_a_cached_rdd_is_computed_once(sc: Context, calls: Path, level: str) -> None:
    rdd = sc.parallelize(range(100), 4).mapPartitionsWithIndex(counting(calls)).persist(getattr(StorageLevel, level))
    child = rdd.map(lambda x: (x % 3, x))
    assert rdd.count() == 100
    assert rdd.sum() == 4950
    assert sorted(child.reduceByKey(add, 2).collect()) == [(k, sum(range(k, 100, 3))) for k in range(3)]
    assert rdd.take(3) == [0, 1, 2]
    assert rdd.zip(rdd).map(lambda pair: pair[0] == pair[1]).reduce(lambda a, b: a and b)
    assert computed(calls) == dict.fromkeys(range(4), 1)
    stored = sc._driver.stored(rdd.id())
    assert (stored.partitions, stored.copies) == (4, 4)
    assert bool(stored.memory_bytes) == (level != "DISK_ONLY")


def test_unpersist_frees_and_the_next_job_computes(sc: Context, calls: Path) -> None:
    rdd = sc.parallelize(range(10), 2).mapPartitionsWithIndex(counting(calls)).cache()
    assert rdd.count() == 10
    rdd.unpersist(blocking=True)
    assert sc._driver.stored(rdd.id()).copies == 0
    assert rdd.count() == 10
    assert computed(calls) == {0: 2, 1: 2}
    # With the last reference to a persisted RDD its blocks go.
    other = sc.parallelize(range(10), 2).cache()
    child = other.map(str)
    assert child.count() == 10
    number = other.id()
    del other
    gc.collect()
    assert sc._driver.stored(number).copies == 2
    del child
    gc.collect()
    eventually(lambda: sc._driver.stored(number).copies == 0, "the blocks go")


def test_what_comes_after_a_cached_shuffle_skips_the_map_side(sc: Context, calls: Path, tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.mkdir()
    pairs = sc.parallelize(range(40), 4).mapPartitionsWithIndex(counting(maps)).map(lambda x: (x % 4, x))
    sums = pairs.reduceByKey(add, 4).mapPartitionsWithIndex(counting(calls)).cache()
    expected = [(k, sum(range(k, 40, 4))) for k in range(4)]
    assert sorted(sums.collect()) == expected
    assert sorted(sums.mapValues(lambda v: v + 1).collect()) == [(k, v + 1) for k, v in expected]
    assert sorted(sums.groupByKey(2).mapValues(list).collect()) == [(k, [v]) for k, v in expected]
    assert computed(calls) == dict.fromkeys(range(4), 1)
    assert computed(maps) == dict.fromkeys(range(4), 1)


def test_iterations_over_a_cached_rdd(sc: Context, calls: Path) -> None:
    points = sc.parallelize([float(x % 97) for x in range(400)], 4).mapPartitionsWithIndex(counting(calls)).cache()
    centres = [1.0, 50.0, 90.0]
    for _ in range(10):
        now = list(centres)
        near = points.map(lambda p, now=now: (min(range(3), key=lambda i: abs(now[i] - p)), (p, 1)))
        sums = near.reduceByKey(lambda a, b: (a[0] + b[0], a[1] + b[1]), 2).collectAsMap()
        centres = [total / count for _, (total, count) in sorted(sums.items())]
    assert centres == sorted(centres)
    assert computed(calls) == dict.fromkeys(range(4), 1)


def test_a_checkpoint_stands_for_the_lineage(sc: Context, calls: Path, tmp_path: Path) -> None:
    sc.setCheckpointDir(str(tmp_path / "checkpoints"))
    rdd = sc.parallelize(range(1000), 4).mapPartitionsWithIndex(counting(calls)).map(lambda x: (x, str(x))).cache()
    child = rdd.mapValues(len)
    rdd.checkpoint()
    assert child.count() == 1000
    directory = rdd.getCheckpointFile()
    assert directory is not None
    names = sorted(os.listdir(directory.removeprefix("file:")))
    assert names == ["_SUCCESS", *(f"part-{i:05d}" for i in range(4))]
    rdd.unpersist(blocking=True)
    assert rdd.collect() == [(x, str(x)) for x in range(1000)]
    assert child.take(2) == [(0, 1), (1, 1)]
    assert computed(calls) == dict.fromkeys(range(4), 1)
    assert rdd.toDebugString().decode().count("\n") == 0
