"""Samples, histograms and pipes. What a seed picks, and what is refused, was taken from PySpark 4.x on local[2]."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from quiver import Context
from quiver.errors import NeedsJVM, NegativeFraction, PipeFailed


def test_a_seed_picks_what_it_picks_in_pyspark(sc: Context) -> None:
    numbers = sc.parallelize(range(100), 4)
    assert numbers.sample(False, 0.1, 81).collect() == [4, 26, 39, 41, 42, 52, 63, 76, 80, 86, 97]
    assert numbers.sample(True, 0.1, 7).collect() == [6, 47, 64, 66, 73, 74, 77, 83, 90, 98, 99]
    assert numbers.sample(True, 25.0, 7).countByValue()[3] == 24
    assert [part.collect() for part in sc.parallelize(range(30), 3).randomSplit([2, 3, 1], 17)] == [
        [7, 9, 10, 11, 12, 17, 18, 25, 29],
        [0, 1, 3, 4, 5, 6, 8, 13, 14, 16, 19, 20, 23, 26],
        [2, 15, 21, 22, 24, 27, 28],
    ]
    keyed = sc.parallelize(range(40), 2).keyBy(lambda x: x % 2)
    fewer = [(0, 2), (0, 6), (0, 10), (1, 15), (0, 18), (1, 23), (0, 28), (0, 30), (0, 32), (0, 34)]
    assert keyed.sampleByKey(False, {0: 0.3, 1: 0.1}, 5).collect() == fewer
    keyed = sc.parallelize(range(20), 2).keyBy(lambda x: x % 2)
    again = [(0, 0), (1, 3), (1, 5), (1, 5), (1, 7), (1, 9), (0, 12), (1, 13), (0, 14), (0, 16), (1, 17)]
    assert keyed.sampleByKey(True, {0: 0.3, 1: 1.1}, 5).collect() == again


def test_take_sample_takes_what_pyspark_takes(sc: Context) -> None:
    numbers = sc.parallelize(range(100), 4)
    assert numbers.takeSample(True, 20, 1) == [93, 98, 63, 16, 5, 12, 27, 65, 36, 31, 81, 37, 29, 16, 11, 17, 76, 41, 20, 97]
    assert numbers.takeSample(False, 5, 2) == [81, 74, 40, 84, 36]
    assert sc.parallelize(range(10), 3).takeSample(False, 15, 3) == [1, 5, 6, 0, 9, 4, 7, 2, 8, 3]
    assert sc.emptyRDD().takeSample(True, 3) == sc.parallelize([], 2).takeSample(True, 3) == numbers.takeSample(False, 0) == []


def test_without_a_seed_every_call_draws_anew_and_every_job_of_one_call_the_same(sc: Context) -> None:
    numbers = sc.parallelize(range(1000), 4)
    first, second = numbers.sample(False, 0.5), numbers.sample(False, 0.5)
    assert first.collect() == first.collect()
    assert first.collect() != second.collect()
    halves = numbers.randomSplit([1, 1])
    assert sorted(halves[0].collect() + halves[1].collect()) == list(range(1000))


def test_samples_keep_the_partitioner(sc: Context) -> None:
    pairs = sc.parallelize([(i, i) for i in range(20)], 2).partitionBy(3)
    assert pairs.sample(False, 0.5, 1).partitioner == pairs.partitioner
    assert pairs.sampleByKey(False, dict.fromkeys(range(20), 0.5), 1).partitioner == pairs.partitioner
    assert all(part.partitioner == pairs.partitioner for part in pairs.randomSplit([1, 1], 1))


@pytest.mark.parametrize(
    ("use", "kind", "message"),
    [
        (lambda rdd: rdd.sample(False, -0.1), ValueError, "Fraction must be nonnegative"),
        (lambda rdd: rdd.sample(False, float("nan")), ValueError, "Fraction must be nonnegative"),
        (lambda rdd: rdd.sample(False, 0.5, "x"), TypeError, "a seed is an int"),
        (lambda rdd: rdd.sampleByKey(False, {"a": -1.0}), AssertionError, "Negative fraction value: -1"),
        (lambda rdd: rdd.sampleByKey(False, {"a": -1.0}), NegativeFraction, "Negative fraction value: -1"),
        (lambda rdd: rdd.keyBy(str).sampleByKey(False, {}, 1).collect(), KeyError, "0"),
        (lambda rdd: rdd.randomSplit([1, -1]), ValueError, "Weights must be nonnegative"),
        (lambda rdd: rdd.randomSplit([0, 0]), ValueError, "Sum of weights must be positive"),
        (lambda rdd: rdd.takeSample(False, -1), ValueError, "Sample size cannot be negative"),
        (lambda rdd: rdd.takeSample(False, 2**63 - 1), ValueError, "Sample size cannot be greater than"),
        (lambda rdd: rdd.histogram(0), ValueError, "number of buckets must be >= 1"),
        (lambda rdd: rdd.histogram([1]), ValueError, "more than one value"),
        (lambda rdd: rdd.histogram([1, None]), ValueError, "None or NaN"),
        (lambda rdd: rdd.histogram([2, 1]), ValueError, "should be sorted"),
        (lambda rdd: rdd.histogram([1, 1, 2]), ValueError, "duplicated"),
        (lambda rdd: rdd.histogram(2.0), TypeError, "list or tuple or number"),
        (lambda rdd: rdd.map(str).histogram(2), TypeError, "non-number"),
        (lambda rdd: rdd.map(lambda x: x or float("inf")).histogram(2), ValueError, "infinite value"),
        (lambda rdd: rdd.filter(lambda x: False).histogram(2), ValueError, r"Can not reduce\(\) empty RDD"),
        (lambda rdd: rdd.context.emptyRDD().histogram([1, 2]), ValueError, r"Can not reduce\(\) empty RDD"),
        (lambda rdd: rdd.context.emptyRDD().reduceByKeyLocally(max), ValueError, r"Can not reduce\(\) empty RDD"),
        (lambda rdd: rdd.pipe(""), ValueError, "needs a command"),
        (lambda rdd: rdd.pipe("cat 'x"), ValueError, "No closing quotation"),
        (lambda rdd: rdd.pipe("no-such-command").collect(), FileNotFoundError, "no-such-command"),
        (lambda rdd: rdd.pipe("false", checkCode=True).collect(), PipeFailed, "`false` exited with error code 1"),
        (lambda rdd: rdd.saveAsHadoopFile("x", "y"), NeedsJVM, "OutputFormat"),
        (lambda rdd: rdd.context.newAPIHadoopRDD("a", "b", "c"), RuntimeError, "needs a JVM"),
    ],
)
def test_what_will_not_do_is_refused_with_pysparks_type(
    sc: Context, use: Callable[[Any], object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        use(sc.parallelize(range(10), 2))


@pytest.mark.parametrize(
    ("data", "buckets", "expected"),
    [
        (range(51), 5, ([0, 10, 20, 30, 40, 50], [10, 10, 10, 10, 11])),
        ([1.5, 7.5, None, float("nan"), 3.0], 2, ([1.5, 4.5, 7.5], [2, 1])),
        ([1, 2, 10], 4, ([1.0, 3.25, 5.5, 7.75, 10], [2, 0, 0, 1])),
        ([1.0, 2.5, 3.7, -1, 11, None], [0, 1.5, 3, 10], ([0, 1.5, 3, 10], [1, 1, 1])),
        ([5, 5], 3, ([5, 5], [2])),
        (["b", "a", "c"], 1, (["a", "c"], [3])),
        ([], (1, 2), ((1, 2), [0])),
    ],
)
def test_histograms(sc: Context, data: Any, buckets: Any, expected: Any) -> None:
    assert sc.parallelize(data, 3).histogram(buckets) == expected


def test_reduce_by_key_locally(sc: Context) -> None:
    chance = random.Random(3)
    pairs = [(chance.randrange(7), chance.randrange(100)) for _ in range(300)]
    wanted = {key: sum(value for other, value in pairs if other == key) for key, _ in pairs}
    assert sc.parallelize(pairs, 4).reduceByKeyLocally(lambda a, b: a + b) == wanted
    assert sc.parallelize([], 2).reduceByKeyLocally(max) == {}


def test_sorting_within_partitions(sc: Context) -> None:
    pairs = [(i * 7 % 23, i) for i in range(60)]
    rdd = sc.parallelize(pairs, 4).repartitionAndSortWithinPartitions(3, lambda key: key, False, lambda key: key // 2)
    parts = [sorted((pair for pair in pairs if pair[0] % 3 == p), key=lambda pair: pair[0] // 2, reverse=True) for p in range(3)]
    assert rdd.glom().collect() == parts
    assert sc.parallelize(pairs, 4).repartitionAndSortWithinPartitions().getNumPartitions() == 4


def test_a_pipe_neither_blocks_nor_loses_lines(sc: Context) -> None:
    lines = [f"{i} " + "x" * (i % 3000) for i in range(2000)]
    rdd = sc.parallelize(lines, 2)
    assert rdd.pipe("cat").collect() == lines
    assert rdd.pipe("sort -n").count() == 2000
    assert rdd.pipe("head -1").collect() == [lines[0], lines[1000]]
    assert rdd.pipe("true").collect() == []
    assert rdd.pipe("cat").take(1) == lines[:1]


def test_a_pipe_takes_anything_and_has_its_own_environment(sc: Context) -> None:
    assert sc.parallelize([1, None, "é\n", ("a", 1)], 1).pipe("cat").collect() == ["1", "None", "é", "('a', 1)"]
    assert sc.parallelize(["x"], 1).pipe("env", {"A": "1 2"}).collect() == ["A=1 2"]
    assert sc.parallelize(["x"], 1).pipe("printf 'a b\\n\\nc'").collect() == ["a b", "", "c"]


def test_what_goes_wrong_before_a_pipe_is_told(sc: Context) -> None:
    with pytest.raises(ZeroDivisionError):
        sc.parallelize([1, 0], 1).map(lambda x: 1 // x).pipe("cat").collect()
    assert sc.parallelize([1], 1).pipe("false").collect() == []
