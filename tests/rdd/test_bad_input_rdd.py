"""What users get wrong with RDDs: the exception is of the type that PySpark's Python code raises, and says what, where and what to try."""

# A table, one line a mistake:
# ruff: noqa: E501

from __future__ import annotations

import operator
import pickle
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from quiver import Context
from quiver_proto.errors import (
    BadPartitionNumber,
    BroadcastDestroyed,
    DriverObjectInClosure,
    NotAnRDD,
    NotAPair,
    UnhashableKey,
    UnorderableKeys,
    UnpicklableClosure,
    UnpicklableOutput,
    UnpicklableRecord,
)

Case = tuple[Callable[[Context], Any], type[BaseException], type[BaseException], str]
LIST_KEY = [([1], 2)]
MIXED = [(1, "a"), ("b", 2), (None, 3)]
TRIPLES = [(1, 2, 3)]


LOCK = threading.Lock()


def lock(_: object = None) -> Any:
    return threading.Lock()


# What is done, our type, the type that programs written for PySpark catch, and what the message (or its note) says.
UNHASHABLE: dict[str, Case] = {
    "reduceByKey": (lambda sc: sc.parallelize(LIST_KEY).reduceByKey(operator.add).collect(), UnhashableKey, TypeError, r"reduceByKey at .*tuple instead of a list"),
    "groupByKey": (lambda sc: sc.parallelize(LIST_KEY).groupByKey().collect(), UnhashableKey, TypeError, r"groupByKey at .*\(\[1\], 2\)"),
    "groupBy": (lambda sc: sc.parallelize([1]).groupBy(lambda x: [x]).collect(), UnhashableKey, TypeError, "groupBy at"),
    "distinct": (lambda sc: sc.parallelize([[1]]).distinct().collect(), UnhashableKey, TypeError, "distinct at"),
    "join": (lambda sc: sc.parallelize(LIST_KEY).join(sc.parallelize(LIST_KEY)).collect(), UnhashableKey, TypeError, "join at"),
    "subtract": (lambda sc: sc.parallelize([{}]).subtract(sc.parallelize([1])).collect(), UnhashableKey, TypeError, "sorted items instead of a dict"),
    "partitionBy": (lambda sc: sc.parallelize([((1, [2]), 2)]).partitionBy(2).collect(), UnhashableKey, TypeError, "partitionBy at"),
    "collectAsMap": (lambda sc: sc.parallelize(LIST_KEY).collectAsMap(), UnhashableKey, TypeError, "collectAsMap at"),
    "countByKey": (lambda sc: sc.parallelize(LIST_KEY).countByKey(), TypeError, TypeError, "countByKey at"),
    "countByValue": (lambda sc: sc.parallelize([[1]]).countByValue(), TypeError, TypeError, "countByValue at"),
}  # fmt: skip
UNORDERABLE: dict[str, Case] = {
    "sortByKey": (lambda sc: sc.parallelize(MIXED, 2).sortByKey(), UnorderableKeys, TypeError, "sortByKey at .*'str' and 'int'.*filter"),
    "sortByKey in one partition": (lambda sc: sc.parallelize(MIXED, 2).sortByKey(True, 1).collect(), UnorderableKeys, TypeError, "'str' and 'int'"),
    "sortByKey of None": (lambda sc: sc.parallelize([(1, 1), (None, 2)], 2).sortByKey(), UnorderableKeys, TypeError, "NoneType"),
    "sortBy": (lambda sc: sc.parallelize([1, "a", 2j], 3).sortBy(lambda x: x), UnorderableKeys, TypeError, "sortBy at"),
    "sortBy's own function": (lambda sc: sc.parallelize([1, "a"], 2).sortBy(lambda x: x + 1), TypeError, TypeError, "sortBy at .*partition 1"),
    "top": (lambda sc: sc.parallelize([1, "a"], 2).top(1), UnorderableKeys, TypeError, "top at"),
    "takeOrdered": (lambda sc: sc.parallelize([1, "a"], 2).takeOrdered(1), UnorderableKeys, TypeError, "takeOrdered at"),
    "max": (lambda sc: sc.parallelize([1, "a"], 2).max(), UnorderableKeys, TypeError, "max at"),
    "max in a task": (lambda sc: sc.parallelize([1, "a"], 1).max(), TypeError, TypeError, "max at .*Record: 'a'"),
    "repartitionAndSort": (lambda sc: sc.parallelize(MIXED, 2).repartitionAndSortWithinPartitions(1).collect(), UnorderableKeys, TypeError, "'int'"),
}  # fmt: skip
UNPICKLABLE: dict[str, Case] = {
    "a record": (lambda sc: sc.parallelize([1, lock()], 1), UnpicklableRecord, pickle.PicklingError, r"records\[1\] is a _thread.lock"),
    "a generator as record": (lambda sc: sc.parallelize([iter([1]), (x for x in [1])]), UnpicklableRecord, pickle.PicklingError, "is a generator"),
    "a result": (lambda sc: sc.parallelize([1]).map(lock).collect(), UnpicklableOutput, pickle.PicklingError, "collect at .*lock.*Return plain values"),
    "what is shuffled": (lambda sc: sc.parallelize([(1, 1)]).mapValues(lock).groupByKey().count(), UnpicklableOutput, pickle.PicklingError, "groupByKey at"),
    "what is cached": (lambda sc: sc.parallelize([1]).map(lambda x: (y for y in [x])).cache().count(), UnpicklableOutput, pickle.PicklingError, "cached"),
    "what reduce gives": (lambda sc: sc.parallelize([1, 2]).map(lock).reduce(lambda a, b: a), UnpicklableOutput, pickle.PicklingError, "reduce at"),
    "what a function captures": (lambda sc: sc.parallelize([1]).map(lambda x, held=LOCK: x).collect(), UnpicklableClosure, pickle.PicklingError, "map at .*defaults"),
    "a generator that a function captures": (lambda sc: captures_a_generator(sc), UnpicklableClosure, pickle.PicklingError, "closure.numbers is a generator"),
    "a broadcast": (lambda sc: sc.broadcast(lock()), pickle.PicklingError, pickle.PicklingError, "Could not serialize broadcast"),
}  # fmt: skip
WRONG_SHAPE: dict[str, Case] = {
    "no parameter": (lambda sc: sc.parallelize([1]).map(lambda: 1).collect(), TypeError, TypeError, "takes 0 positional .*: map at"),
    "two parameters": (lambda sc: sc.parallelize([(1, 2)]).filter(lambda a, b: a).collect(), TypeError, TypeError, r"missing 1 required .*: filter at .*Record: \(1, 2\)"),
    "reduce with one": (lambda sc: sc.parallelize([1, 2], 1).reduce(lambda a: a), TypeError, TypeError, "takes 1 positional .*: reduce at"),
    "reduceByKey with one": (lambda sc: sc.parallelize([(1, 2), (1, 3)], 1).reduceByKey(lambda a: a).collect(), TypeError, TypeError, "takes 1 .*: reduceByKey at"),
    "an index is not taken": (lambda sc: sc.parallelize([1]).mapPartitionsWithIndex(lambda it: it).collect(), TypeError, TypeError, ": mapPartitionsWithIndex at"),
    "flatMap to a number": (lambda sc: sc.parallelize([1]).flatMap(lambda x: x).collect(), TypeError, TypeError, "'int' object is not iterable.*: flatMap at"),
    "mapPartitions to None": (lambda sc: sc.parallelize([1]).mapPartitions(lambda it: None).collect(), TypeError, TypeError, "mapPartitions at .*must return an iterable of records, not NoneType"),
    "no function": (lambda sc: sc.parallelize([1]).map(5), TypeError, TypeError, "map takes a function, not 5"),
    "numbers by key": (lambda sc: sc.parallelize([7]).reduceByKey(operator.add).collect(), NotAPair, TypeError, r"reduceByKey at .*a record is 7 of type int.*keyBy"),
    "triples by key": (lambda sc: sc.parallelize(TRIPLES).groupByKey().collect(), NotAPair, ValueError, r"groupByKey at .*\(1, 2, 3\) of type tuple"),
    "keys of numbers": (lambda sc: sc.parallelize([7]).keys().collect(), TypeError, TypeError, ": keys at .*Record: 7"),
    "a dictionary of numbers": (lambda sc: sc.parallelize([7]).collectAsMap(), NotAPair, TypeError, "collectAsMap at .*7 of type int"),
    "a dictionary of triples": (lambda sc: sc.parallelize(TRIPLES).collectAsMap(), NotAPair, ValueError, "collectAsMap at"),
    "a partition that is no number": (lambda sc: sc.parallelize([(1, 2)]).partitionBy(2, lambda key: key / 2).collect(), BadPartitionNumber, TypeError, "gave 0.5 for the key 1"),
    "a partition that is None": (lambda sc: sc.parallelize([(1, 2)]).partitionBy(2, lambda key: None).collect(), BadPartitionNumber, TypeError, "gave None .*: partitionBy at"),
    "a list as RDD": (lambda sc: sc.parallelize([1]).union([2]), NotAnRDD, AttributeError, r"union at .*\[2\] of type list.*parallelize"),
    "a list to join": (lambda sc: sc.parallelize([(1, 1)]).join([(1, 2)]), NotAnRDD, TypeError, "join at"),
    "a list to subtract": (lambda sc: sc.parallelize([1]).subtract([1]), NotAnRDD, TypeError, "subtract at"),
    "a list among RDDs": (lambda sc: sc.union([sc.parallelize([1]), [2]]), NotAnRDD, TypeError, "union at"),
    "a number to parallelize": (lambda sc: sc.parallelize(5), TypeError, TypeError, "not iterable"),
    "no path": (lambda sc: sc.textFile(None), TypeError, TypeError, "a path, or a list of paths, is needed, not None"),
}  # fmt: skip
NUMBERS: dict[str, Case] = {
    "sample": (lambda sc: sc.parallelize([1]).sample(False, -0.1, 1), ValueError, ValueError, "Fraction must be nonnegative, not -0.1"),
    "sample with replacement": (lambda sc: sc.parallelize([1]).sample(True, float("nan")), ValueError, ValueError, "Fraction must be nonnegative, not nan"),
    "sampleByKey": (lambda sc: sc.parallelize([(1, 1)]).sampleByKey(False, {1: -0.5}), ValueError, AssertionError, "Negative fraction value: -0.5"),
    "sampleByKey of a key without": (lambda sc: sc.parallelize([(2, 1)]).sampleByKey(False, {1: 0.5}).collect(), KeyError, KeyError, ": sampleByKey at"),
    "takeSample": (lambda sc: sc.parallelize([1]).takeSample(False, -1), ValueError, ValueError, "Sample size cannot be negative"),
    "randomSplit": (lambda sc: sc.parallelize([1]).randomSplit([-1, 2]), ValueError, ValueError, "Weights must be nonnegative"),
    "randomSplit to nothing": (lambda sc: sc.parallelize([1]).randomSplit([0.0]), ValueError, ValueError, "Sum of weights must be positive"),
    "parallelize": (lambda sc: sc.parallelize([1], -1), ValueError, ValueError, "numSlices must be at least 1, not -1"),
    "range": (lambda sc: sc.range(5, numSlices=0), ValueError, ValueError, "numSlices must be at least 1, not 0"),
    "repartition": (lambda sc: sc.parallelize([1]).repartition(-1), ValueError, ValueError, "Number of partitions must be positive.*not -1"),
    "coalesce": (lambda sc: sc.parallelize([1]).coalesce(0), ValueError, ValueError, "Number of partitions must be positive"),
    "partitionBy": (lambda sc: sc.parallelize([(1, 1)]).partitionBy(-3), ValueError, ValueError, "Number of partitions must be positive"),
    "partitions as text": (lambda sc: sc.parallelize([(1, 1)]).partitionBy("3"), TypeError, TypeError, "must be an int, not '3'"),
    "sortBy": (lambda sc: sc.parallelize([1]).sortBy(lambda x: x, True, -1), ValueError, ValueError, "Number of partitions must be positive"),
    "distinct": (lambda sc: sc.parallelize([1]).distinct(0), ValueError, ValueError, "Number of partitions must be positive"),
    "join": (lambda sc: sc.parallelize([(1, 1)]).join(sc.parallelize([(1, 1)]), -1), ValueError, ValueError, "Number of partitions must be positive"),
    "textFile": (lambda sc: sc.textFile("x", -1), ValueError, ValueError, "minPartitions must be at least 1, not -1"),
    "take": (lambda sc: sc.parallelize([1]).take("a"), TypeError, TypeError, "take takes an int, not 'a'"),
    "takeOrdered": (lambda sc: sc.parallelize([1]).takeOrdered(-1), ValueError, ValueError, "top N cannot be negative"),
    "histogram": (lambda sc: sc.parallelize([1]).histogram(0), ValueError, ValueError, "number of buckets must be >= 1"),
    "treeReduce": (lambda sc: sc.parallelize([1]).treeReduce(max, 0), ValueError, ValueError, "Depth cannot be smaller than 1"),
}  # fmt: skip
ON_EXECUTORS: dict[str, Case] = {
    "an RDD": (lambda sc: counts_in_tasks(sc), DriverObjectInClosure, pickle.PicklingError, r"map at .*numbers is an RDD\. .*attempting to reference an RDD .*(J|j)oin"),
    "an RDD, as a RuntimeError": (lambda sc: counts_in_tasks(sc), DriverObjectInClosure, RuntimeError, "can only be used on the driver"),
    "an RDD as record": (lambda sc: sc.parallelize([sc.parallelize([1])]), UnpicklableRecord, pickle.PicklingError, "attempting to reference RDD"),
    "the Context": (lambda sc: sc.parallelize([1]).map(lambda x: sc.parallelize([x]).count()).count(), DriverObjectInClosure, pickle.PicklingError, "attempting to reference a Context"),
    "an RDD in a broadcast": (lambda sc: sc.broadcast(sc.parallelize([1])), pickle.PicklingError, pickle.PicklingError, "Could not serialize broadcast.*collect"),
    "a destroyed broadcast": (lambda sc: uses_destroyed(sc), BroadcastDestroyed, RuntimeError, r"Attempted to use Broadcast\(\d+\) after it was destroyed"),
}  # fmt: skip

ALL = {
    f"{table}: {name}": case
    for table, cases in {
        "unhashable": UNHASHABLE, "unorderable": UNORDERABLE, "unpicklable": UNPICKLABLE, "wrong shape": WRONG_SHAPE, "numbers": NUMBERS,
        "on executors": ON_EXECUTORS,
    }.items()
    for name, case in cases.items()
}  # fmt: skip


def captures_a_generator(sc: Context) -> Any:
    numbers = (x for x in range(3))
    return sc.parallelize([1]).map(lambda x: list(numbers)).collect()


def counts_in_tasks(sc: Context) -> Any:
    numbers = sc.parallelize([1])
    return sc.parallelize([1]).map(lambda x: numbers.count()).collect()


def uses_destroyed(sc: Context) -> Any:
    shared = sc.broadcast(5)
    rdd = sc.parallelize([1]).map(lambda x: x + shared.value)
    assert rdd.collect() == [6]
    shared.destroy()
    return rdd.collect()


@pytest.mark.parametrize("name", ALL)
def test_a_mistake_is_told(sc: Context, name: str) -> None:
    run, ours, pysparks, says = ALL[name]
    with pytest.raises(ours) as caught:
        run(sc)
    assert isinstance(caught.value, pysparks)
    told = " ".join([str(caught.value), *getattr(caught.value, "__notes__", [])]).replace("\n", " ")
    assert re.search(says, told), told
    assert sc.parallelize([1, 2], 2).sum() == 3, "and the Context goes on"


def test_none_is_a_key_like_any_other(sc: Context) -> None:
    rdd = sc.parallelize([(None, 1), (None, 2), (1, 3), ((None, None), 4)], 3)
    assert rdd.reduceByKey(operator.add).collectAsMap() == {None: 3, 1: 3, (None, None): 4}
    assert dict(rdd.countByKey()) == {None: 2, 1: 1, (None, None): 1}
    assert sorted(rdd.join(rdd.filter(lambda pair: pair[0] is None)).collect()) == [
        (None, (1, 1)),
        (None, (1, 2)),
        (None, (2, 1)),
        (None, (2, 2)),
    ]
    assert sorted(rdd.lookup(None)) == [1, 2]
    assert rdd.keys().distinct().count() == 3


def test_a_fraction_above_one_takes_all(sc: Context) -> None:
    assert sc.parallelize(range(5), 2).sample(False, 1.5, 1).collect() == [0, 1, 2, 3, 4]


def test_generators_are_read_once_and_values_of_a_group_as_often_as_one_likes(sc: Context) -> None:
    made = sc.parallelize((x for x in range(4)), 2)
    assert made.collect() == made.collect() == [0, 1, 2, 3]
    assert sc.parallelize([1, 2, 3], 1).mapPartitions(lambda it: [sum(it), sum(it)]).collect() == [6, 0]
    pairs = sc.parallelize([(1, 1), (1, 2)], 1)
    assert pairs.groupByKey().mapValues(lambda v: (sum(v), sum(v), len(v))).collect() == [(1, (3, 3, 2))]
    assert pairs.cogroup(pairs).mapValues(lambda both: (sum(both[0]), sum(both[0]))).collect() == [(1, (3, 3))]


def test_what_a_task_changes_in_its_function_is_its_own(sc: Context) -> None:
    box: list[int] = []

    def counts(x: int) -> int:
        box.append(x)
        return len(box)

    def with_default(x: int, seen: list[int] = []) -> int:  # noqa: B006
        seen.append(x)
        return len(seen)

    for function in (counts, with_default):
        assert sc.parallelize(range(4), 4).map(function).collect() == [1, 1, 1, 1]
        assert sc.parallelize(range(4), 4).map(function).collect() == [1, 1, 1, 1]
        assert sc.parallelize(range(4), 2).map(function).collect() == [1, 2, 1, 2]
    assert box == []
    assert with_default.__defaults__ == ([],)


def test_a_zero_value_is_not_changed(sc: Context) -> None:
    zero: list[int] = []

    def put(found: list[int], x: int) -> list[int]:
        found.append(x)
        return found

    def extend(left: list[int], right: list[int]) -> list[int]:
        left.extend(right)
        return left

    for _ in range(2):
        assert sc.parallelize(range(4), 2).aggregate(zero, put, extend) == [0, 1, 2, 3]
        assert sorted(sc.parallelize([(1, 1), (1, 2), (2, 3)], 2).aggregateByKey(zero, put, extend).mapValues(sorted).collect()) == [
            (1, [1, 2]),
            (2, [3]),
        ]
        assert sc.parallelize([[1], [2]], 2).fold(zero, extend) == [1, 2]
    assert zero == []


def test_an_unpersisted_broadcast_is_sent_again(sc: Context) -> None:
    shared = sc.broadcast([1, 2])
    assert sc.parallelize([0], 1).map(lambda x: shared.value).collect() == [[1, 2]]
    shared.unpersist(True)
    assert sc.parallelize([0], 1).map(lambda x: shared.value).collect() == [[1, 2]]
    shared.destroy()
    for use in (lambda: shared.value, shared.unpersist, shared.destroy):
        with pytest.raises(BroadcastDestroyed, match="Call broadcast"):
            use()
