"""Persisted and checkpointed datasets in plans: where Cache nodes come, what splits are made, what is forgotten."""

from __future__ import annotations

import gc
import operator
import pickle
from pathlib import Path
from typing import Any

import pytest
from recording import RecordingDriver

from quiver import RDD, Context, StorageLevel
from quiver.plan.model import PlannedJob, PlannedStage
from quiver.scheduler.blocks import StoredSummary
from quiver_proto import ops
from quiver_proto.errors import CannotChangeStorageLevel, CheckpointDirectoryNotSet
from quiver_proto.frames import dump_value


def shape(node: Any) -> str:
    """A tree of nodes on one line: `Map(Cache#3(Items))`."""
    kind = type(node).__name__
    if isinstance(node, ops.Cache):
        kind = f"Cache#{node.dataset_id - 1000}"
    if isinstance(node, ops.Union):
        return f"{kind}({', '.join(map(shape, node.parents))})"
    if isinstance(node, ops.Cartesian | ops.Zip):
        return f"{kind}({shape(node.left)}, {shape(node.right)})"
    return f"{kind}({shape(node.parent)})" if hasattr(node, "parent") else kind


def body(stage: PlannedStage) -> ops.StageBody:
    loaded: ops.StageBody = pickle.loads(stage.body)
    return loaded


def planned(driver: RecordingDriver, rdd: RDD[Any]) -> PlannedJob:
    rdd.collect()
    return driver.jobs[-1]


def outline(job: PlannedJob) -> list[str]:
    return [shape(body(stage).sink) for stage in job.stages]


def ways(stage: PlannedStage, partition: int) -> list[tuple[tuple[tuple[int, int], ...], tuple[int, ...], Any]]:
    """Each variant of a partition: the blocks it needs (dataset ids from 0), the shuffles it reads, its split."""
    assert stage.spec.caching is not None
    assert stage.variant is not None
    return [
        (
            tuple((dataset - 1000, index) for dataset, index in way.needs),
            tuple(shuffle - 1000 for shuffle in way.reads),
            pickle.loads(stage.variant(partition, number)),
        )
        for number, way in enumerate(stage.spec.caching.variants(partition))
    ]


def frame(*records: Any) -> bytes:
    return dump_value(list(records))


def test_nothing_persisted_is_planned_as_ever(driver: RecordingDriver, recorder: Context) -> None:
    (stage,) = planned(driver, recorder.parallelize([1], 1).map(str)).stages
    assert stage.spec.caching is None
    assert stage.variant is None


def test_a_cache_stands_on_top_of_what_was_persisted(driver: RecordingDriver, recorder: Context) -> None:
    base = recorder.parallelize([1, 2], 2)
    kept = base.map(str).cache()
    child = kept.filter(bool)
    (stage,) = planned(driver, child).stages
    assert outline(driver.jobs[-1]) == ["Collect(Filter(Cache#1(Map(Items))))"]
    assert ways(stage, 1) == [(((1, 1),), (), (1, None)), ((), (), (1, frame(2)))]
    assert pickle.loads(stage.split(1)) == (1, frame(2))
    # Itself, and what was made before it was persisted.
    assert outline(planned(driver, kept)) == ["Collect(Cache#1(Map(Items)))"]
    assert outline(planned(driver, base.map(int))) == ["Collect(Map(Items))"]


def test_persist_holds_for_what_was_made_before(driver: RecordingDriver, recorder: Context) -> None:
    base = recorder.parallelize([(1, 2)], 1).map(tuple)
    narrow, zipped, reduced = base.filter(bool), base.zip(base), base.reduceByKey(operator.add)
    assert outline(planned(driver, reduced))[0] == "ShuffleWrite(Map(Items))"
    base.setName("named").persist()
    assert outline(planned(driver, narrow)) == ["Collect(Filter(Cache#1(Map(Items))))"]
    assert outline(planned(driver, zipped)) == ["Collect(Zip(Cache#1(Map(Items)), Cache#1(Map(Items))))"]
    assert outline(planned(driver, reduced))[0] == "ShuffleWrite(Cache#1(Map(Items)))"
    base.unpersist()
    assert outline(planned(driver, narrow)) == ["Collect(Filter(Map(Items)))"]
    assert outline(planned(driver, reduced))[0] == "ShuffleWrite(Map(Items))"


def test_functions_of_a_boundary_stay_as_they_were_sealed(driver: RecordingDriver, recorder: Context) -> None:
    factor = [1]
    base = recorder.parallelize([1], 1)
    shuffled = base.map(lambda x: (x * factor[0], 1)).reduceByKey(operator.add)
    factor[0] = 100
    base.cache()
    write = body(planned(driver, shuffled).stages[0]).sink
    assert isinstance(write, ops.ShuffleWrite)
    assert isinstance(write.parent, ops.Map)
    assert pickle.loads(write.parent.function.pickled)(3) == (3, 1)


def test_a_shuffle_planned_twice_is_one_stage_until_a_mark_changes_it(driver: RecordingDriver, recorder: Context) -> None:
    base = recorder.parallelize([(1, 2)], 1)
    other = recorder.parallelize([1])
    reduced = base.reduceByKey(operator.add)
    first = planned(driver, reduced).stages[0]
    other.cache()
    assert planned(driver, reduced).stages[0] is first
    base.cache()
    second = planned(driver, reduced).stages[0]
    assert second is not first
    assert second.spec.stage_id == first.spec.stage_id
    assert planned(driver, reduced).stages[0] is second


def test_with_index_wraps_splits_below_and_above(driver: RecordingDriver, recorder: Context) -> None:
    below = recorder.parallelize([1, 2], 2).mapPartitionsWithIndex(lambda i, part: part).cache()
    (stage,) = planned(driver, below.mapPartitionsWithIndex(lambda i, part: part)).stages
    assert ways(stage, 1) == [(((1, 1),), (), (1, (1, None))), ((), (), (1, (1, (1, frame(2)))))]
    below.foreachPartition(lambda part: None)
    assert ways(driver.jobs[-1].stages[-1], 0)[0] == (((1, 0),), (), (0, None))


def test_caches_above_one_another_give_one_variant_each(driver: RecordingDriver, recorder: Context) -> None:
    lower = recorder.parallelize([(1, 2)], 1).reduceByKey(operator.add, 2).cache()
    upper = lower.mapValues(str).cache()
    stage = planned(driver, upper.map(len)).stages[-1]
    assert outline(driver.jobs[-1])[-1] == "Collect(Map(Cache#2(MapValues(Cache#1(ShuffleRead)))))"
    assert ways(stage, 1) == [
        (((2, 1),), (), (1, None)),
        (((1, 1),), (), (1, (1, None))),
        ((), (0,), (1, (1, 1))),
    ]


def test_a_unions_partition_needs_blocks_of_its_own_branch(driver: RecordingDriver, recorder: Context) -> None:
    left = recorder.parallelize([(1, 2)], 1).reduceByKey(operator.add, 2).cache()
    right = recorder.parallelize([(3, 4)], 1)
    (*_, stage) = planned(driver, left.union(right)).stages
    assert ways(stage, 1) == [(((1, 1),), (), (0, (1, None))), ((), (0,), (0, (1, 1)))]
    assert ways(stage, 2) == [((), (), (1, frame((3, 4)))), ((), (), (1, frame((3, 4))))]


def test_a_coalesced_partition_needs_the_blocks_of_all_its_parts(driver: RecordingDriver, recorder: Context) -> None:
    base = recorder.parallelize(range(4), 4).cache()
    (stage,) = planned(driver, base.coalesce(2)).stages
    assert ways(stage, 1)[0] == (((0, 2), (0, 3)), (), [(2, None), (3, None)])


def test_both_sides_of_a_cartesian(driver: RecordingDriver, recorder: Context) -> None:
    left, right = recorder.parallelize([1, 2], 2).cache(), recorder.parallelize([3, 4], 2)
    (stage,) = planned(driver, left.cartesian(right)).stages
    assert ways(stage, 1) == [(((0, 0),), (), ((0, None), frame(4))), ((), (), ((0, frame(1)), frame(4)))]


def test_a_union_inside_a_union_can_be_persisted_before_or_after(driver: RecordingDriver, recorder: Context) -> None:
    a, b, c = (recorder.parallelize([i], 1) for i in range(3))
    inner = a.union(b)
    outer = c.union(inner).union(c)
    assert outline(planned(driver, outer)) == ["Collect(Union(Items, Items, Items, Items))"]
    flat = [pickle.loads(driver.jobs[-1].stages[0].split(p)) for p in range(4)]
    inner.cache()
    (stage,) = planned(driver, outer).stages
    assert outline(driver.jobs[-1]) == ["Collect(Union(Items, Cache#3(Union(Items, Items)), Items))"]
    assert [ways(stage, p)[0][0] for p in range(4)] == [(), ((3, 0),), ((3, 1),), ()]
    assert ways(stage, 2)[0][2] == (1, (1, None))
    assert pickle.loads(stage.split(2)) == (1, (1, (1, frame(1))))
    inner.unpersist()
    assert [pickle.loads(planned(driver, outer).stages[0].split(p)) for p in range(4)] == flat


def test_unions_within_unions_within_unions(driver: RecordingDriver, recorder: Context) -> None:
    a, b, c, d = (recorder.parallelize([i], 1) for i in range(4))
    ab = a.union(b)
    abc = ab.union(c)
    abcd = abc.union(d)
    abc.cache()
    ab.cache()
    (stage,) = planned(driver, abcd).stages
    assert outline(driver.jobs[-1]) == ["Collect(Union(Cache#5(Union(Cache#4(Union(Items, Items)), Items)), Items))"]
    assert pickle.loads(stage.split(1)) == (0, (1, (0, (1, (1, frame(1))))))
    assert [way[0] for way in ways(stage, 1)] == [((5, 1),), ((4, 1),), ()]


def test_a_long_lineage_with_a_cache_below_needs_no_recursion(driver: RecordingDriver, recorder: Context) -> None:
    rdd = recorder.parallelize([1], 1).cache()
    for _ in range(1500):
        rdd = rdd.union(rdd.context.emptyRDD()).map(abs)
    planned(driver, rdd)
    stage = driver.jobs[-1].stages[0]
    assert stage.spec.caching is not None
    assert [len(way.needs) for way in stage.spec.caching.variants(0)] == [1, 0]


# ---- the API ----


def test_levels(recorder: Context) -> None:
    rdd = recorder.parallelize([1])
    assert (rdd.is_cached, rdd.getStorageLevel()) == (False, StorageLevel.NONE)
    assert rdd.persist(StorageLevel.DISK_ONLY) is rdd
    assert rdd.persist(StorageLevel.DISK_ONLY).is_cached
    with pytest.raises(CannotChangeStorageLevel, match=r"Cannot change storage level of an RDD after it was already assigned a level"):
        rdd.cache()
    assert rdd.unpersist() is rdd
    assert (rdd.is_cached, rdd.getStorageLevel()) == (False, StorageLevel.NONE)
    assert rdd.cache().getStorageLevel() == StorageLevel.MEMORY_ONLY
    assert recorder.parallelize([1]).persist(StorageLevel.NONE).getStorageLevel() == StorageLevel.NONE


@pytest.mark.parametrize("level", ["MEMORY_ONLY", 1, None])
def test_only_storage_levels_are_levels(recorder: Context, level: Any) -> None:
    with pytest.raises(TypeError, match="storageLevel must be a StorageLevel"):
        recorder.parallelize([1]).persist(level)


def test_a_level_of_none_keeps_nothing(driver: RecordingDriver, recorder: Context) -> None:
    assert outline(planned(driver, recorder.parallelize([1], 1).persist(StorageLevel.NONE))) == ["Collect(Items)"]


def test_blocks_are_dropped_by_unpersist_and_with_the_last_reference(driver: RecordingDriver, recorder: Context) -> None:
    kept = recorder.parallelize([1], 1).cache()
    kept.unpersist(blocking=True)
    assert driver.unpersisted == [(1000, True)]
    kept.cache()
    child = kept.map(str).reduceByKey(operator.add)
    del kept
    gc.collect()
    assert driver.unpersisted == [(1000, True)]
    del child
    gc.collect()
    assert driver.unpersisted == [(1000, True), (1000, False)]


# ---- checkpoints ----


def test_checkpoint_needs_a_directory(recorder: Context) -> None:
    assert recorder.getCheckpointDir() is None
    with pytest.raises(CheckpointDirectoryNotSet, match="Checkpoint directory has not been set in the SparkContext"):
        recorder.parallelize([1]).checkpoint()


def test_a_local_checkpoint_keeps_and_forgets(driver: RecordingDriver, recorder: Context) -> None:
    rdd = recorder.parallelize([(1, 2)], 1).reduceByKey(operator.add, 2)
    child = rdd.mapValues(str)
    rdd.localCheckpoint()
    assert rdd.getStorageLevel() == StorageLevel.MEMORY_AND_DISK_DESER
    assert (rdd.isLocallyCheckpointed(), rdd.isCheckpointed(), rdd.is_cached, rdd.is_checkpointed) == (True, False, False, False)
    driver.kept = StoredSummary(1, 1, 5, 0)
    child.collect()
    # The job, then the one that keeps what is missing. Not all could be kept: the lineage stays.
    assert [outline(job)[-1] for job in driver.jobs] == ["Collect(MapValues(Cache#1(ShuffleRead)))", "Count(Cache#1(ShuffleRead))"]
    assert not rdd.isCheckpointed()
    driver.kept = StoredSummary(2, 2, 5, 0)
    child.collect()
    assert (rdd.isCheckpointed(), rdd.getCheckpointFile()) == (True, None)
    gc.collect()
    (stage,) = planned(driver, rdd.mapValues(int)).stages
    assert outline(driver.jobs[-1]) == ["Collect(MapValues(Cache#1(Items)))"]
    assert ways(stage, 1) == [(((1, 1),), (), (1, None)), (((1, 1),), (), (1, None))]
    assert len(planned(driver, child).stages) == 1
    del child, stage
    driver.jobs.clear()
    gc.collect()
    assert driver.released, "the lineage is let go of"


def test_a_checkpoint_is_made_once_after_the_next_job(recorder: Context, driver: RecordingDriver, tmp_path: Path) -> None:
    recorder.setCheckpointDir(str(tmp_path))
    directory = recorder.getCheckpointDir()
    assert directory is not None
    assert directory.startswith(f"file:{tmp_path}/")
    rdd = recorder.parallelize([1], 1).map(str)
    child = rdd.map(len)
    rdd.checkpoint()
    rdd.checkpoint()
    staged = tmp_path / Path(directory).name / "rdd-1001" / "_temporary"
    answers = iter([[], ("part-00000-7", 10, 1, b"d")])

    def run(job: PlannedJob) -> list[bytes]:
        driver.jobs.append(job)
        answer = next(answers)
        if answer:
            (where,) = staged.iterdir()
            (where / answer[0]).write_text("frames")
        return [dump_value(answer)]

    driver.run = run
    child.collect()
    assert [outline(job)[-1] for job in driver.jobs] == ["Collect(Map(Map(Items)))", "SaveFrames(Map(Items))"]
    assert (rdd.isCheckpointed(), rdd.is_checkpointed, rdd.getCheckpointFile()) == (True, True, f"{directory}/rdd-1001")
    answers = iter([[], []])
    for made in (rdd.map(int), child):
        (stage,) = planned(driver, made).stages
        assert outline(driver.jobs[-1]) == ["Collect(Map(CheckpointRead))"]
        assert pickle.loads(stage.split(0)) == (f"{directory}/rdd-1001/part-00000", 10, 1, b"d")
    rdd.checkpoint()
    assert len(driver.jobs) == 4


def test_a_local_checkpoint_takes_the_place_of_a_wanted_reliable_one(recorder: Context, tmp_path: Path) -> None:
    recorder.setCheckpointDir(str(tmp_path))
    both = recorder.parallelize([1])
    both.checkpoint()
    both.localCheckpoint()
    assert both.isLocallyCheckpointed()
    other = recorder.parallelize([1])
    other.localCheckpoint()
    other.checkpoint()
    assert other.isLocallyCheckpointed()


def test_a_local_checkpoint_adds_the_disk_to_a_level(recorder: Context) -> None:
    rdd = recorder.parallelize([1]).cache()
    rdd.localCheckpoint()
    assert rdd.getStorageLevel() == StorageLevel(True, True, False, False, 1)
    assert rdd.persist(StorageLevel.MEMORY_ONLY_2).getStorageLevel() == StorageLevel(True, True, False, False, 2)


def test_what_is_joined_in_place_needs_the_blocks_of_both_sides(driver: RecordingDriver, recorder: Context) -> None:
    left = recorder.parallelize([(1, 2)], 1).partitionBy(2).cache()
    right = recorder.parallelize([(1, 3)], 1).partitionBy(2)
    stage = planned(driver, left.cogroup(right, 2)).stages[-1]
    (shuffle,) = (number for number in stage.spec.reads if number != stage.spec.reads[0])
    first, last = ways(stage, 1)
    assert first[1] == (shuffle - 1000,)
    assert len(first[0]) == 1
    assert first[2] == [(1, None), 1]
    assert len(last[1]) == 2
