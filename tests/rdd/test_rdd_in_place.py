"""Operators on datasets that are partitioned alike give what they give through a shuffle."""

from __future__ import annotations

import operator
import random
from pathlib import Path
from typing import Any

import pytest

from quiver import RDD, Context
from quiver.errors import NotAPair, UnhashableKey
from quiver_proto.hashing import portable_hash

CHANCE = random.Random(11)
LEFT: list[tuple[Any, int]] = [(CHANCE.choice("abcdefghij"), i) for i in range(200)]
RIGHT: list[tuple[Any, int]] = [(CHANCE.choice("fghijklmno"), -i) for i in range(150)]


def plain(value: Any) -> Any:
    """Groups in any order, as lists."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return sorted(value) if hasattr(value, "data") else value


def collected(rdd: RDD[Any]) -> list[Any]:
    return sorted(map(plain, rdd.collect()), key=repr)


@pytest.mark.parametrize(
    "operate",
    [
        lambda x, y, n: x.join(y, n),
        lambda x, y, n: x.leftOuterJoin(y, n),
        lambda x, y, n: x.rightOuterJoin(y, n),
        lambda x, y, n: x.fullOuterJoin(y, n),
        lambda x, y, n: x.cogroup(y, n),
        lambda x, y, n: x.subtractByKey(y, n),
        lambda x, y, n: x.reduceByKey(operator.add, n),
        lambda x, y, n: x.foldByKey(3, operator.add, n).mapValues(lambda v: v % 3),
        lambda x, y, n: x.groupByKey(n),
        lambda x, y, n: x.aggregateByKey([], lambda a, v: [*a, v], operator.add, n).mapValues(sorted),
        lambda x, y, n: x.repartitionAndSortWithinPartitions(n),
    ],
)
def test_in_place_or_not_is_the_same(sc: Context, operate: Any) -> None:
    x, y = sc.parallelize(LEFT, 3), sc.parallelize(RIGHT, 2)
    wanted = collected(operate(x, y, 4))
    assert collected(operate(x.partitionBy(4), y.partitionBy(4), 4)) == wanted
    assert collected(operate(x.partitionBy(4), y, 4)) == wanted
    assert collected(operate(x, y.partitionBy(4), 4)) == wanted


def test_order_is_that_of_the_partition(sc: Context) -> None:
    parts = sc.parallelize(LEFT, 3).partitionBy(2)
    assert dict(parts.groupByKey().mapValues(list).collect()) == {key: [v for k, v in LEFT if k == key] for key in dict(LEFT)}
    descending = parts.repartitionAndSortWithinPartitions(2, ascending=False).glom().collect()
    assert descending == [sorted(part, key=lambda pair: pair[0], reverse=True) for part in parts.glom().collect()]


def test_a_shuffle_with_the_partitioner_of_a_sorted_dataset_stays_sorted_apart(sc: Context) -> None:
    ordered = sc.parallelize([(i * 37 % 100, i) for i in range(100)], 3).sortByKey(numPartitions=3)
    again = ordered.mapValues(lambda v: v + 1)
    assert again.partitioner == ordered.partitioner
    assert ordered.partitioner is not None
    assert [ordered.partitioner(key) for key in (0, 50, 99)] == [0, 1, 2]
    assert ordered.partitioner != ordered.sortByKey(numPartitions=3).partitioner


def test_errors_name_the_operator(sc: Context) -> None:
    parts = sc.parallelize([(1, 2), (3, 4)], 1).partitionBy(2)
    with pytest.raises(NotAPair, match="reduceByKey"):
        parts.mapPartitions(lambda part: [5], preservesPartitioning=True).reduceByKey(max).collect()
    with pytest.raises(UnhashableKey, match="groupByKey"):
        parts.map(lambda pair: ([pair[0]], 1), preservesPartitioning=True).groupByKey().collect()
    with pytest.raises(ZeroDivisionError):
        sc.parallelize([(1, 1), (1, 2)], 1).partitionBy(2).reduceByKey(lambda a, b: 1 // 0).collect()
    with pytest.raises(RuntimeError, match="StopIteration"):
        parts.mapValues(lambda v: next(iter(()))).reduceByKey(max).collect()


def test_lookup_looks_at_one_partition(sc: Context, tmp_path: Path) -> None:
    def touched(index: int, part: Any) -> Any:
        (tmp_path / str(index)).touch()
        return part

    def looked_at(rdd: RDD[Any], key: Any) -> tuple[list[Any], int]:
        for file in tmp_path.iterdir():
            file.unlink()
        found = rdd.mapPartitionsWithIndex(touched, preservesPartitioning=True).lookup(key)
        return found, len(list(tmp_path.iterdir()))

    words = sc.parallelize(LEFT, 3)
    wanted = [value for key, value in LEFT if key == "c"]
    assert looked_at(words.partitionBy(5), "c") == (wanted, 1)
    assert looked_at(words.partitionBy(5), "nowhere") == ([], 1)
    assert looked_at(words.partitionBy(5, ord), "c") == (wanted, 1)
    assert looked_at(words.sortByKey(numPartitions=4), "c") == (wanted, 1)
    assert looked_at(words.sortByKey(False, 4, str.upper), "c") == (wanted, 1)
    assert looked_at(words, "c") == (wanted, 3)
    numbers = sc.parallelize([(i, i) for i in range(20)], 3).partitionBy(7)
    assert looked_at(numbers, 3) == looked_at(numbers, 3.0) == ([3], 1)
    assert looked_at(sc.parallelize([((1, None), 5)], 1).partitionBy(4), (1, None)) == ([5], 1)


def test_the_partitioner_can_be_asked(sc: Context) -> None:
    pairs = sc.parallelize([(i, i) for i in range(9)], 2)
    assert pairs.partitioner is None
    parted = pairs.partitionBy(3)
    assert parted.partitioner is not None
    assert (parted.partitioner.numPartitions, parted.partitioner(7), parted.partitioner.partitionFunc) == (3, 1, portable_hash)
    by = pairs.partitionBy(3, lambda key: key + 1)
    assert by.partitioner is not None
    assert by.partitioner(7) == 2
    assert by.partitioner != parted.partitioner
    kept = (parted.mapValues(str), parted.filter(bool), parted.flatMapValues(range), parted.map(tuple, True), parted.reduceByKey(max))
    assert all(rdd.partitioner == parted.partitioner for rdd in kept)
    lost = (parted.map(tuple), parted.flatMap(tuple), parted.keyBy(str), parted.glom(), parted.values(), parted.repartition(3))
    assert all(rdd.partitioner is None for rdd in lost)
