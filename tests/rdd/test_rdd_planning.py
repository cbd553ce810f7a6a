"""Lineage to stages: where it is cut, what is fused, what is shared, how wide it is."""

from __future__ import annotations

import gc
import operator
import pickle
import sys
import threading
from typing import Any

import pytest
from recording import RecordingDriver

from quiver import RDD, Context
from quiver.plan.model import PlannedJob, PlannedStage
from quiver_proto import ops
from quiver_proto.frames import dump_value


def shape(node: Any) -> str:
    """A tree of nodes on one line: `Map(Filter(Items))`."""
    kind = type(node).__name__
    if isinstance(node, ops.ShuffleRead):
        return f"{kind}[{type(node.merge).__name__}]"
    if isinstance(node, ops.Gather):
        return f"{kind}[{type(node.merge).__name__}]({', '.join(map(shape, node.parents))})"
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
    """One line a stage: index of parents, width, tree."""
    place = {stage.spec.stage_id: i for i, stage in enumerate(job.stages)}
    return [
        f"{i} <- {[place[parent] for parent in stage.spec.parents]} x{stage.spec.width} {shape(body(stage).sink)}"
        for i, stage in enumerate(job.stages)
    ]


def splits(stage: PlannedStage) -> list[Any]:
    return [pickle.loads(stage.split(partition)) for partition in range(stage.spec.width)]


def test_a_narrow_chain_is_one_stage(driver: RecordingDriver, recorder: Context) -> None:
    rdd = recorder.parallelize([1, 2, 3], 3).map(str).filter(bool).flatMap(list).mapPartitions(iter).keyBy(len).mapValues(len)
    assert outline(planned(driver, rdd)) == ["0 <- [] x3 Collect(MapValues(KeyBy(MapPartitions(FlatMap(Filter(Map(Items)))))))"]


def test_operators_are_listed_from_source_to_sink(driver: RecordingDriver, recorder: Context) -> None:
    rdd = recorder.parallelize([(1, 2)], 1).mapValues(str)
    line = sys._getframe().f_lineno - 1
    sites = body(planned(driver, rdd).stages[-1]).operators
    assert [site.operator for site in sites] == ["parallelize", "mapValues", "collect"]
    assert all(site.file == __file__ for site in sites)
    assert [site.line for site in sites[:2]] == [line, line]


def test_a_call_site_names_what_the_user_called_not_what_that_is_made_of(driver: RecordingDriver, recorder: Context) -> None:
    rdd = recorder.parallelize([1, 2], 1).distinct()
    sites = [site.operator for stage in planned(driver, rdd).stages for site in body(stage).operators]
    assert set(sites) == {"parallelize", "distinct", "collect"}


def test_word_count_is_two_stages(driver: RecordingDriver, recorder: Context) -> None:
    rdd = recorder.parallelize(["a b"], 3).flatMap(str.split).map(lambda w: (w, 1)).reduceByKey(operator.add)
    job = planned(driver, rdd)
    assert outline(job) == ["0 <- [] x3 ShuffleWrite(Map(FlatMap(Items)))", "1 <- [0] x3 Collect(ShuffleRead[Combine])"]
    write = body(job.stages[0]).sink
    assert isinstance(write, ops.ShuffleWrite)
    assert write.partitioner == ops.HashPartitioner(3)
    assert write.aggregator is not None
    assert write.aggregator.create is None
    assert pickle.loads(write.aggregator.merge_value.pickled) is operator.add
    map_spec, reduce_spec = job.stages[0].spec, job.stages[1].spec
    assert map_spec.shuffle_id == write.shuffle_id
    assert reduce_spec.reads == (write.shuffle_id,)
    assert reduce_spec.shuffle_id is None
    assert splits(job.stages[1]) == [0, 1, 2]


def test_join_reads_two_shuffles_and_is_as_wide_as_both_together(driver: RecordingDriver, recorder: Context) -> None:
    left, right = recorder.parallelize([(1, 2)], 2), recorder.parallelize([(1, 3)], 5)
    assert outline(planned(driver, left.join(right))) == [
        "0 <- [] x2 ShuffleWrite(Items)",
        "1 <- [] x5 ShuffleWrite(Items)",
        "2 <- [0, 1] x7 Collect(FlatMapValues(ShuffleRead[CoGroup]))",
    ]


def test_what_is_partitioned_alike_is_put_together_without_a_shuffle(driver: RecordingDriver, recorder: Context) -> None:
    left = recorder.parallelize([(1, 2)], 2).partitionBy(3)
    right = recorder.parallelize([(1, 3)], 5).reduceByKey(operator.add, 3)
    both = ["0 <- [] x2 ShuffleWrite(Items)", "1 <- [] x5 ShuffleWrite(Items)"]
    read, reduced = "ShuffleRead[Concatenate]", "ShuffleRead[Combine]"
    assert outline(planned(driver, left.join(right))) == [
        *both, f"2 <- [0, 1] x3 Collect(FlatMapValues(Gather[CoGroup]({read}, {reduced})))",
    ]  # fmt: skip
    for rdd, tree in (
        (left.reduceByKey(operator.add), f"Gather[Combine]({read})"),
        (left.mapValues(str).groupByKey(), f"MapValues(Gather[Group](MapValues({read})))"),
        (left.filter(bool).aggregateByKey(0, operator.add, operator.add), f"Gather[Combine](Filter({read}))"),
        (left.repartitionAndSortWithinPartitions(3), f"Gather[Sort]({read})"),
        (left.subtractByKey(left), f"FlatMapValues(Filter(Gather[CoGroup]({read}, {read})))"),
        (left.partitionBy(3), read),
    ):
        assert outline(planned(driver, rdd)) == [both[0], f"1 <- [0] x3 Collect({tree})"]
        assert rdd.partitioner == left.partitioner


def test_a_side_that_is_partitioned_is_not_shuffled_again_for_one_that_is_not(driver: RecordingDriver, recorder: Context) -> None:
    left, right = recorder.parallelize([(1, 2)], 2).partitionBy(3), recorder.parallelize([(1, 3)], 5)
    assert outline(planned(driver, left.join(right, 3))) == [
        "0 <- [] x2 ShuffleWrite(Items)",
        "1 <- [] x5 ShuffleWrite(Items)",
        "2 <- [0, 1] x3 Collect(FlatMapValues(Gather[CoGroup](ShuffleRead[Concatenate], ShuffleRead[Concatenate])))",
    ]
    assert left.join(right).getNumPartitions() == 8


def test_another_width_or_function_is_shuffled(driver: RecordingDriver, recorder: Context) -> None:
    left = recorder.parallelize([(1, 2)], 2).partitionBy(3)
    for rdd in (left.reduceByKey(operator.add, 4), left.groupByKey(3, int), left.map(tuple).groupByKey(3), left.sortByKey(True, 1)):
        assert len(planned(driver, rdd).stages) == 3


def test_too_much_in_place_becomes_a_shuffle(driver: RecordingDriver, recorder: Context) -> None:
    rdd = recorder.parallelize([(1, 1)], 1).partitionBy(2)
    for _ in range(40):
        rdd = rdd.mapValues(abs).reduceByKey(operator.add)
    assert len(planned(driver, rdd).stages) == 4
    twice = recorder.parallelize([(1, 1)], 1).partitionBy(2)
    for _ in range(20):
        twice = twice.cogroup(twice).mapValues(len)
    job = planned(driver, twice)
    assert len(job.stages) > 4
    assert sum(stage.body.count(b"Gather") for stage in job.stages) < 100


def test_ids_start_at_the_drivers_base(driver: RecordingDriver, recorder: Context) -> None:
    job = planned(driver, recorder.parallelize([(1, 2)]).groupByKey())
    ids = [job.job_id, *(stage.spec.stage_id for stage in job.stages), job.stages[0].spec.shuffle_id]
    assert all(i is not None and 1000 <= i < 1100 for i in ids)


def test_a_shuffle_keeps_its_stage_in_later_jobs(driver: RecordingDriver, recorder: Context) -> None:
    counts = recorder.parallelize([(1, 2)], 2).reduceByKey(operator.add)
    first, second = planned(driver, counts), planned(driver, counts.mapValues(str))
    assert first.stages[0] is second.stages[0]
    assert first.stages[1].spec.stage_id != second.stages[1].spec.stage_id
    assert first.job_id != second.job_id


def test_a_shuffle_read_twice_in_a_job_is_one_stage(driver: RecordingDriver, recorder: Context) -> None:
    counts = recorder.parallelize([(1, 2)], 2).reduceByKey(operator.add)
    job = planned(driver, counts.map(str).union(counts.map(int)))
    assert outline(job) == [
        "0 <- [] x2 ShuffleWrite(Items)",
        "1 <- [0] x4 Collect(Union(Map(ShuffleRead[Combine]), Map(ShuffleRead[Combine])))",
    ]


def test_stages_come_parents_first(driver: RecordingDriver, recorder: Context) -> None:
    left = recorder.parallelize([(1, 2)], 1).reduceByKey(operator.add)
    job = planned(driver, left.join(left.groupByKey(2), 3).sortByKey(numPartitions=1))
    seen: set[int] = set()
    for stage in job.stages:
        assert set(stage.spec.parents) <= seen
        seen.add(stage.spec.stage_id)
    assert len(job.stages) == 6


def test_the_last_reference_to_a_shuffled_dataset_releases_its_files(driver: RecordingDriver, recorder: Context) -> None:
    counts = recorder.parallelize([(1, 2)], 2).reduceByKey(operator.add)
    shuffle_id = planned(driver, counts).stages[0].spec.shuffle_id
    child = counts.mapValues(str)
    driver.jobs.clear()
    del counts
    gc.collect()
    assert driver.released == []
    del child
    gc.collect()
    assert driver.released == [shuffle_id]


def test_a_shuffle_that_no_job_needed_has_nothing_to_release(driver: RecordingDriver, recorder: Context) -> None:
    rdd: RDD[Any] | None = recorder.parallelize([(1, 2)], 2).groupByKey()
    assert rdd is not None
    del rdd
    gc.collect()
    assert driver.released == []


def test_splits_have_the_shape_of_the_tree(driver: RecordingDriver, recorder: Context) -> None:
    two, three = recorder.range(4, numSlices=2), recorder.range(0, 30, 10, numSlices=3)
    assert splits(planned(driver, two).stages[-1]) == [(0, 2, 1), (2, 4, 1)]
    assert splits(planned(driver, two.mapPartitionsWithIndex(lambda i, p: p)).stages[-1]) == [(0, (0, 2, 1)), (1, (2, 4, 1))]
    assert splits(planned(driver, two.union(three)).stages[-1]) == [
        (0, (0, 2, 1)), (0, (2, 4, 1)), (1, (0, 10, 10)), (1, (10, 20, 10)), (1, (20, 30, 10)),
    ]  # fmt: skip
    assert splits(planned(driver, three.coalesce(2)).stages[-1]) == [[(0, 10, 10)], [(10, 20, 10), (20, 30, 10)]]
    assert splits(planned(driver, two.cartesian(two)).stages[-1])[1] == ((0, 2, 1), (2, 4, 1))
    assert splits(planned(driver, two.zip(two)).stages[-1])[1] == ((2, 4, 1), (2, 4, 1))
    indexed_union = two.union(two).mapPartitionsWithIndex(lambda i, p: p)
    assert splits(planned(driver, indexed_union).stages[-1])[2] == (2, (1, (0, 2, 1)))


def test_parallelized_records_are_a_frame_a_partition(driver: RecordingDriver, recorder: Context) -> None:
    stage = planned(driver, recorder.parallelize(["a", "b", "c"], 2)).stages[-1]
    assert [pickle.loads(frame) for frame in splits(stage)] == [["a"], ["b", "c"]]


def test_records_are_taken_when_parallelized(driver: RecordingDriver, recorder: Context) -> None:
    record = [1]
    rdd = recorder.parallelize([record], 1)
    record.append(2)
    assert [pickle.loads(frame) for frame in splits(planned(driver, rdd).stages[-1])] == [[[1]]]


def test_coalesce_never_widens(recorder: Context) -> None:
    assert recorder.range(10, numSlices=3).coalesce(7).getNumPartitions() == 3


def test_unions_of_unions_are_flat(driver: RecordingDriver, recorder: Context) -> None:
    rdd = recorder.range(1, numSlices=1)
    for _ in range(300):
        rdd = rdd.union(recorder.range(1, numSlices=1))
    job = planned(driver, rdd)
    sink = body(job.stages[0]).sink
    assert isinstance(sink, ops.Collect)
    assert isinstance(sink.parent, ops.Union)
    assert len(sink.parent.parents) == job.stages[0].spec.width == 301
    assert splits(job.stages[0])[300] == (300, (0, 1, 1))


def test_deep_lineages_plan_without_recursion(driver: RecordingDriver, recorder: Context) -> None:
    chain = recorder.range(4, numSlices=2)
    for _ in range(3000):
        chain = chain.map(operator.neg)
    node = body(planned(driver, chain).stages[-1]).sink
    depth = 0
    while hasattr(node, "parent"):
        node, depth = node.parent, depth + 1
    assert depth == 3001

    mixed = recorder.range(1, numSlices=1)
    for _ in range(1500):
        mixed = mixed.union(recorder.range(1, numSlices=1)).map(operator.neg)
    job = planned(driver, mixed)
    assert job.stages[0].spec.width == 1501
    split = pickle.loads(job.stages[0].split(0))
    for _ in range(1500):
        branch, split = split
        assert branch == 0
    assert split == (0, 1, 1)

    shuffles = recorder.parallelize([(1, 1)], 1)
    for i in range(1200):
        shuffles = shuffles.reduceByKey(operator.add, 1 + i % 2)
    assert len(planned(driver, shuffles).stages) == 1201


def test_widths_follow_pyspark(recorder: Context) -> None:
    pairs = recorder.parallelize([(1, 2)], 3)
    assert recorder.parallelize([1]).getNumPartitions() == 2
    assert recorder.emptyRDD().getNumPartitions() == 0
    assert pairs.reduceByKey(operator.add).getNumPartitions() == 3
    assert pairs.groupByKey(7).getNumPartitions() == 7
    assert pairs.union(pairs).getNumPartitions() == 6
    assert pairs.cartesian(pairs).getNumPartitions() == 9
    assert pairs.repartition(5).getNumPartitions() == 5
    recorder._conf.set("spark.default.parallelism", 2)
    assert pairs.reduceByKey(operator.add).getNumPartitions() == 2


def test_partitioners_are_kept_where_keys_are(recorder: Context) -> None:
    placed = recorder.parallelize([(1, 2)], 3).partitionBy(4)
    assert placed.partitioner is not None
    for kept in (placed.mapValues(str), placed.filter(bool), placed.flatMapValues(str), placed.map(str, True), placed.groupByKey()):
        assert kept.partitioner == placed.partitioner
    for lost in (placed.map(str), placed.flatMap(str), placed.keyBy(str), placed.coalesce(2), placed.keys()):
        assert lost.partitioner is None
    assert placed.partitionBy(4) is placed
    assert placed.partitionBy(5) is not placed
    assert placed.partitionBy(4, hash) is not placed


def test_a_union_of_equally_partitioned_datasets_stays_partitioned(driver: RecordingDriver, recorder: Context) -> None:
    left = recorder.parallelize([(1, 2)], 1).partitionBy(2)
    right = recorder.parallelize([(1, 3)], 1).partitionBy(2)
    both = left.union(right)
    assert both.partitioner == left.partitioner
    assert splits(planned(driver, both).stages[-1]) == [[(0, 0), (1, 0)], [(0, 1), (1, 1)]]


def test_an_empty_dataset_still_has_a_map_stage(driver: RecordingDriver, recorder: Context) -> None:
    job = planned(driver, recorder.emptyRDD().reduceByKey(operator.add))
    assert outline(job) == ["0 <- [] x1 ShuffleWrite(Items)", "1 <- [0] x1 Collect(ShuffleRead[Combine])"]
    assert pickle.loads(splits(job.stages[0])[0]) == []


def test_no_partitions_no_job(driver: RecordingDriver, recorder: Context) -> None:
    assert recorder.emptyRDD().collect() == []
    assert recorder.emptyRDD().count() == 0
    assert recorder.runJob(recorder.range(3), list, []) == []
    assert driver.jobs == []


def test_functions_are_sealed_at_the_action_or_the_next_boundary(driver: RecordingDriver, recorder: Context) -> None:
    narrow = recorder.parallelize([1], 1)
    shuffled: RDD[Any] = recorder.parallelize([(1, 1)], 1)
    for step in range(3):
        narrow = narrow.map(lambda x: x + step)  # noqa: B023
        shuffled = shuffled.mapValues(lambda x: x + step).reduceByKey(operator.add, step + 1)  # noqa: B023
    sink: Any = body(planned(driver, narrow).stages[-1]).sink
    assert pickle.loads(sink.parent.parent.function.pickled)(0) == 2
    stages = planned(driver, shuffled).stages[:3]
    found: list[Any] = [body(stage).sink for stage in stages]
    assert [pickle.loads(sink.parent.function.pickled)(0) for sink in found] == [0, 1, 2]


def test_local_properties_belong_to_their_thread(driver: RecordingDriver, recorder: Context) -> None:
    recorder.setJobGroup("g1", "first")

    def elsewhere() -> None:
        recorder.setLocalProperty("team", "b")
        recorder.range(1).collect()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    recorder.range(1).collect()
    there, here = driver.jobs
    assert dict(there.properties) == {"team": "b"}
    assert here.properties["spark.jobGroup.id"] == "g1"
    assert here.properties["spark.job.description"] == "first"
    recorder.setJobDescription(None)
    assert recorder.getLocalProperty("spark.job.description") is None


def test_plans_made_by_several_threads_have_different_ids(driver: RecordingDriver, recorder: Context) -> None:
    def plan() -> None:
        for _ in range(50):
            recorder.parallelize([(1, 2)], 1).reduceByKey(operator.add).collect()

    threads = [threading.Thread(target=plan) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stages = [stage.spec.stage_id for job in driver.jobs for stage in job.stages]
    assert len(set(stages)) == len(stages) == 400
    assert len({job.job_id for job in driver.jobs}) == 200


@pytest.mark.parametrize("count", [0, -1])
def test_partition_counts_below_one_are_refused(recorder: Context, count: int) -> None:
    pairs = recorder.parallelize([(1, 2)], 2)
    for attempt in (
        lambda: recorder.parallelize([1], count),
        lambda: recorder.range(3, numSlices=count),
        lambda: recorder.textFile("x", count or -1),  # 0 is the default, as in PySpark
        lambda: pairs.repartition(count),
        lambda: pairs.coalesce(count),
        lambda: pairs.partitionBy(count),
        lambda: pairs.reduceByKey(operator.add, count),
        lambda: pairs.join(pairs, count),
        lambda: pairs.sortByKey(numPartitions=count),
        lambda: pairs.distinct(count),
    ):
        with pytest.raises(ValueError, match="at least 1"):
            attempt()


def test_what_is_not_a_function_is_refused_at_once(recorder: Context) -> None:
    with pytest.raises(TypeError, match="map takes a function, not 3"):
        recorder.range(3).map(3)


def test_debug_string_shows_stages(recorder: Context) -> None:
    text = recorder.parallelize([(1, 2)], 3).setName("pairs").mapValues(str).reduceByKey(max, 2).toDebugString().decode()
    lines = text.splitlines()
    assert lines[0].startswith("(2) Shuffled")
    assert "reduceByKey at test_rdd_planning.py" in lines[0]
    assert lines[1].startswith(" +-(3) Narrow")
    assert "pairs Parallelized" in lines[2]


def test_an_approximate_job_says_how_long_it_may_take(driver: RecordingDriver, recorder: Context) -> None:
    driver.frame = b""
    about = recorder.parallelize(range(10), 3).sumApprox(5)
    assert (about, about.confidence, about.low, about.high) == (0.0, 0.0, float("-inf"), float("inf"))
    assert driver.jobs[-1].within_s == 0.005
    assert recorder.parallelize(range(10), 3).countApprox(0) == 0
    assert driver.jobs[-1].within_s == 0.001
    driver.frame = dump_value(3)
    assert recorder.parallelize(range(10), 3).countApprox(1000) == 9
    assert recorder.parallelize(range(10), 3).sum() == 9
    assert driver.jobs[-1].within_s == 0


def test_cleaning_releases_shuffles_down_to_what_is_kept(driver: RecordingDriver, recorder: Context) -> None:
    first = recorder.parallelize([(1, 2)], 2).reduceByKey(operator.add)
    second = first.map(tuple).groupByKey(3)
    both = [stage.spec.shuffle_id for stage in planned(driver, second).stages[:2]]
    second.mapValues(list).cleanShuffleDependencies()
    assert sorted(driver.released) == sorted(both)
    second.cleanShuffleDependencies(True)
    assert len(driver.released) == 2
    planned(driver, second)
    driver.released.clear()
    first.persist()
    second.cleanShuffleDependencies()
    assert driver.released == both[1:]
