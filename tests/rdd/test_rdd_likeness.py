"""Where PySpark is peculiar, and what it refuses: taken from PySpark 4.x on local[2]."""

from __future__ import annotations

import importlib
import math
import operator
from pathlib import Path

import numpy as np
import pytest

import quiver
from quiver import Context, StatCounter
from quiver.errors import NotAPair
from quiver_proto.files import text_chunks


def test_joins_take_the_first_two_of_longer_records(sc: Context) -> None:
    left, right = sc.parallelize([(1, 2, 3), (2, 5)], 2), sc.parallelize([(1, "a", "b"), [1, "c"]], 1)
    assert sorted(left.join(right).collect()) == [(1, (2, "a")), (1, (2, "c"))]
    assert sorted(left.leftOuterJoin(right).collect(), key=repr) == [(1, (2, "a")), (1, (2, "c")), (2, (5, None))]
    groups = {key: tuple(map(list, sides)) for key, sides in left.cogroup(right).collect()}
    assert groups == {1: ([2], ["a", "c"]), 2: ([5], [])}
    assert left.subtractByKey(right).collect() == [(2, 5)]
    parted = sc.parallelize([(1, 2), (2, 5)], 2).partitionBy(3)
    assert sorted(parted.join(left, 3).collect()) == [(1, (2, 2)), (2, (5, 5))]
    assert sc.parallelize(["ab"]).join(sc.parallelize(["ac"])).collect() == [("a", ("b", "c"))]
    for bad in (5, (1,), []):
        with pytest.raises(NotAPair):
            sc.parallelize([bad]).join(right).collect()
    for use in (lambda: left.groupByKey(), lambda: left.reduceByKey(max), lambda: left.partitionBy(2), lambda: left.sortByKey()):
        with pytest.raises(NotAPair):
            use().collect()


def test_a_union_of_what_is_partitioned_alike_is_no_wider(sc: Context) -> None:
    one, two = (sc.parallelize([(i, name) for i in range(6)], 2).partitionBy(3) for name in "ab")
    both = sc.union([one, two, one])
    assert both.glom().map(sorted).collect() == [[(i, name) for i in (p, p + 3) for name in "aab"] for p in range(3)]
    assert both.partitioner is None
    assert one.union(two).partitioner == one.partitioner
    assert sc.union([one, two.partitionBy(2)]).getNumPartitions() == 5


def test_run_job_runs_what_is_asked_for_in_order(sc: Context) -> None:
    rdd = sc.parallelize(range(6), 3)
    assert sc.runJob(rdd, lambda part: [x * x for x in part], [0, 0]) == [0, 1, 0, 1]
    assert sc.runJob(rdd, list, [2, 0, 2]) == [4, 5, 0, 1, 4, 5]
    assert sc.runJob(rdd, lambda part: part, []) == []
    for partition in (3, -1):
        with pytest.raises(ValueError, match=f"non-existent partition: {partition}. Total number of partitions: 3"):
            sc.runJob(rdd, list, [0, partition])


def test_numbers_of_partitions_and_records_are_ints(sc: Context) -> None:
    pairs = sc.parallelize([(1, 2)], 2)
    for use in (lambda: pairs.repartition("3"), lambda: pairs.groupByKey(2.0), lambda: pairs.coalesce(True), lambda: pairs.take(1.5)):
        with pytest.raises(TypeError, match="int"):
            use()
    assert sc.parallelize([1], "2").getNumPartitions() == 2
    assert pairs.repartition(np.int64(3)).getNumPartitions() == 3


def test_an_empty_file_is_no_partition(sc: Context, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert sc.textFile(str(tmp_path / "empty")).getNumPartitions() == 0
    assert sc.textFile(str(tmp_path / "empty"), 0).collect() == []
    assert sc.wholeTextFiles(str(tmp_path / "empty")).values().collect() == [""]
    (tmp_path / "full").write_text("x")
    assert len(text_chunks(str(tmp_path), 1)) == 1


def test_statistics_are_floats(sc: Context) -> None:
    stats = sc.parallelize([1, 2, 3, 4], 2).stats()
    assert str(stats) == "(count: 4, mean: 2.5, stdev: 1.118033988749895, max: 4.0, min: 1.0)"
    assert all(type(value) is float for value in (stats.max(), stats.min(), stats.sum(), stats.mean(), stats.stdev()))
    assert sc.parallelize([0.1 * i for i in range(50)], 7).sampleStdev() == 1.457737973711325
    assert sc.parallelize([1.5 * i for i in range(1000)], 2).union(sc.parallelize([3.3], 1)).stdev() == 433.4372275045098
    seven = sc.parallelize([1, 2, 3, 7]).stats()
    assert (seven.asDict()["variance"], seven.asDict(True)["variance"]) == (6.916666666666667, 5.1875)
    assert math.isnan(StatCounter([1.0, math.nan, 2.0]).max())
    assert math.isnan(StatCounter([3.0]).mergeStats(StatCounter([math.nan])).min())
    assert (StatCounter().max(), StatCounter().min(), StatCounter().count()) == (-math.inf, math.inf, 0)


def test_statistics_of_arrays_are_arrays(sc: Context) -> None:
    stats = sc.parallelize([np.array([1.0, 8.0]), np.array([3.0, 4.0])], 2).stats()
    found = (stats.mean(), stats.max(), stats.min(), stats.variance(), stats.stdev())
    for value, wanted in zip(found, ([2, 6], [3, 8], [1, 4], [1, 4], [1, 2]), strict=True):
        assert value.tolist() == wanted
    assert type(StatCounter([np.float64(2.0)]).max()) is float


def test_sums_are_added_partition_by_partition(sc: Context) -> None:
    assert sc.parallelize([0.1] * 10, 3).sum() == 0.1 + 0.1 + 0.1 + (0.1 + 0.1 + 0.1) + (0.1 + 0.1 + 0.1 + 0.1)
    assert sc.parallelize([True, False, True]).sum() == 2
    assert sc.parallelize([(1, "b"), (1, "a")], 2).max(key=operator.itemgetter(0)) == (1, "b")


def test_chunks_of_a_text_file_have_the_lines_that_hadoop_gives_them(sc: Context, tmp_path: Path) -> None:
    # A line starts at byte 38, just where the third chunk does.
    (tmp_path / "lines").write_text("\n".join(map(str, range(30))))
    assert sc.textFile(str(tmp_path / "lines"), 4).glom().map(len).collect() == [10, 7, 6, 6, 1]


def test_datasets_of_files_are_named_for_their_paths(sc: Context, tmp_path: Path) -> None:
    path = str(tmp_path / "lines")
    for made in (sc.textFile(path), sc.wholeTextFiles(path), sc.binaryFiles(path)):
        assert (made.name(), made.cache().name(), made.map(str).name()) == (path, path, None)
    assert sc.textFile([path, tmp_path / "more"]).name() == f"{path},{tmp_path / 'more'}"
    assert sc.binaryRecords(path, 2).name() is None


@pytest.mark.parametrize("paths", ["", "{},", ["{}", ""]])
def test_an_empty_path_is_not_the_current_directory(sc: Context, tmp_path: Path, paths: str | list[str]) -> None:
    (tmp_path / "lines").write_text("x")
    here = str(tmp_path / "lines")
    given = paths.format(here) if isinstance(paths, str) else [path.format(here) for path in paths]
    with pytest.raises(ValueError, match="Can not create a Path from an empty string"):
        sc.textFile(given).count()


def test_a_stop_iteration_of_a_merging_function_ends_no_loop_of_the_program(sc: Context) -> None:
    numbers = sc.parallelize([1, 2], 2)

    def stop(a: object, b: object) -> object:
        if a == 1:
            return next(iter(()))
        return b

    actions = (
        lambda: numbers.reduce(stop),
        lambda: numbers.fold(1, stop),
        lambda: numbers.aggregate(1, lambda a, b: b, stop),
        lambda: numbers.map(lambda x: (0, x)).reduceByKeyLocally(stop),
        lambda: numbers.treeReduce(stop),
    )
    for action in actions:
        with pytest.raises(RuntimeError, match="Caught StopIteration thrown from user's code"):
            action()


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("accumulators", "Accumulator AccumulatorParam"),
        ("broadcast", "Broadcast"),
        ("conf", "SparkConf"),
        ("context", "SparkContext"),
        ("files", "SparkFiles"),
        ("profiler", "BasicProfiler Profiler"),
        ("rdd", "RDD"),
        ("resultiterable", "ResultIterable"),
        ("statcounter", "StatCounter"),
        ("status", "SparkJobInfo SparkStageInfo StatusTracker"),
        ("storagelevel", "StorageLevel"),
        ("taskcontext", "BarrierTaskContext BarrierTaskInfo TaskContext"),
    ],
)
def test_names_are_also_in_the_modules_where_pyspark_has_them(module: str, names: str) -> None:
    for name in names.split():
        assert getattr(importlib.import_module(f"quiver.{module}"), name) is getattr(quiver, name)
