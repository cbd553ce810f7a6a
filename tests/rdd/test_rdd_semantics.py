"""What operators and actions give, beside the same thing in plain Python; numbers taken from PySpark where it is peculiar."""

from __future__ import annotations

import os
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from quiver import Context
from quiver_proto.errors import BadSetting, OutputExists, PathNotFound

WORDS = [f"w{i * i % 37}" for i in range(200)]
PAIRS = [(word, i) for i, word in enumerate(WORDS)]


def grouped(pairs: list[tuple[Any, Any]]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return dict(groups)


@pytest.mark.parametrize(
    ("size", "slices", "of_list", "of_range"),
    [
        (10, 3, [3, 3, 4], [3, 3, 4]),
        (11, 4, [2, 4, 2, 3], [2, 3, 3, 3]),
        (3, 5, [0, 1, 0, 1, 1], [0, 1, 0, 1, 1]),
        (100, 7, [14, 14, 14, 14, 14, 14, 16], [14, 14, 14, 15, 14, 14, 15]),
        (5000, 3, [1024, 2048, 1928], [1666, 1667, 1667]),
        (0, 2, [0, 0], [0, 0]),
    ],
)
def test_slices_are_pysparks(sc: Context, size: int, slices: int, of_list: list[int], of_range: list[int]) -> None:
    for values, lengths in ((list(range(size)), of_list), (range(size), of_range)):
        parts = sc.parallelize(values, slices).glom().collect()
        assert [len(part) for part in parts] == lengths
        assert [x for part in parts for x in part] == list(range(size))


def test_anything_iterable_can_be_parallelized(sc: Context) -> None:
    assert sc.parallelize("abc").collect() == ["a", "b", "c"]
    assert sc.parallelize({1: 2}).collect() == [1]
    assert sc.parallelize(i for i in range(3)).collect() == [0, 1, 2]
    assert sc.parallelize(range(10, 0, -3), 2).collect() == [10, 7, 4, 1]


def test_narrow_operators_keep_order(sc: Context) -> None:
    data = list(range(50))
    rdd = sc.parallelize(data, 4)
    assert rdd.map(lambda x: x * 2).filter(lambda x: x % 3).collect() == [x * 2 for x in data if x * 2 % 3]
    assert rdd.flatMap(lambda x: [x] * (x % 3)).collect() == [x for x in data for _ in range(x % 3)]
    assert rdd.keyBy(lambda x: x % 2).mapValues(str).collect() == [(x % 2, str(x)) for x in data]
    assert rdd.zipWithIndex().collect() == [(x, x) for x in data]
    assert rdd.zip(rdd.map(str)).collect() == [(x, str(x)) for x in data]
    assert rdd.mapPartitionsWithIndex(lambda i, part: [(i, len(list(part)))]).collect() == [(0, 12), (1, 12), (2, 12), (3, 14)]
    assert rdd.union(sc.parallelize([1], 1)).collect() == [*data, 1]


def test_aggregations_by_key(sc: Context) -> None:
    rdd, groups = sc.parallelize(PAIRS, 5), grouped(PAIRS)
    sums = {key: sum(values) for key, values in groups.items()}
    assert rdd.reduceByKey(lambda a, b: a + b).collectAsMap() == sums
    assert rdd.reduceByKey(max, 3, lambda key: len(key)).collectAsMap() == {key: max(values) for key, values in groups.items()}
    assert rdd.groupByKey().mapValues(sorted).collectAsMap() == groups
    assert rdd.groupByKey(2).mapValues(len).collectAsMap() == {key: len(values) for key, values in groups.items()}
    lists = rdd.aggregateByKey([], lambda acc, v: [*acc, v], lambda a, b: a + b).mapValues(sorted).collectAsMap()
    assert lists == groups
    assert (
        rdd.combineByKey(lambda v: (v, 1), lambda c, v: (c[0] + v, c[1] + 1), lambda c, d: (c[0] + d[0], c[1] + d[1]))
        .mapValues(lambda c: c[0])
        .collectAsMap()
        == sums
    )
    assert sc.parallelize([(1, 1), (1, 1)], 2).foldByKey(10, lambda a, b: a + b).collect() == [(1, 22)]


def test_a_mutable_zero_is_fresh_for_every_key_and_partition(sc: Context) -> None:
    def append(found: list[int], value: int) -> list[int]:
        found.append(value)
        return found

    def extend(left: list[int], right: list[int]) -> list[int]:
        left.extend(right)
        return left

    rdd = sc.parallelize([("a", 1), ("b", 2), ("a", 3)], 2)
    assert rdd.aggregateByKey([], append, extend).mapValues(sorted).collectAsMap() == {"a": [1, 3], "b": [2]}
    zero: list[int] = []
    assert sc.parallelize([1, 2, 3, 4], 3).aggregate(zero, append, extend) == [1, 2, 3, 4]
    assert zero == []


def test_joins(sc: Context) -> None:
    left, right = [("a", 1), ("b", 2), ("b", 3), ("c", 4)], [("b", "x"), ("b", "y"), ("c", "z"), ("d", "q")]
    x, y = sc.parallelize(left, 2), sc.parallelize(right, 3)
    inner = [("b", (2, "x")), ("b", (2, "y")), ("b", (3, "x")), ("b", (3, "y")), ("c", (4, "z"))]
    only_left, only_right = [("a", (1, None))], [("d", (None, "q"))]
    assert sorted(x.join(y).collect()) == inner
    assert sorted(x.leftOuterJoin(y).collect(), key=str) == sorted(only_left + inner, key=str)
    assert sorted(x.rightOuterJoin(y).collect(), key=str) == sorted(inner + only_right, key=str)
    assert sorted(x.fullOuterJoin(y).collect(), key=str) == sorted(only_left + inner + only_right, key=str)
    groups = {key: tuple(sorted(group) for group in both) for key, both in x.cogroup(y).collect()}
    assert groups == {"a": ([1], []), "b": ([2, 3], ["x", "y"]), "c": ([4], ["z"]), "d": ([], ["q"])}
    assert sorted(x.subtractByKey(y).collect()) == [("a", 1)]
    assert x.join(x).count() == 6


def test_sets(sc: Context) -> None:
    x, y = sc.parallelize([1, 1, 2, 3, 3, 9], 3), sc.parallelize([3, 9, 9, 4], 2)
    assert sorted(x.distinct().collect()) == [1, 2, 3, 9]
    assert sorted(x.intersection(y).collect()) == [3, 9]
    assert sorted(x.subtract(y).collect()) == [1, 1, 2]
    assert sorted(x.cartesian(y).collect()) == sorted((a, b) for a in x.collect() for b in y.collect())
    assert sc.parallelize([1, 2], 2).cartesian(sc.parallelize([3, 4], 2)).glom().collect() == [[(1, 3)], [(1, 4)], [(2, 3)], [(2, 4)]]


@pytest.mark.parametrize("width", [1, 2, 7])
@pytest.mark.parametrize("ascending", [True, False])
def test_sorting_is_total_stable_and_balanced(sc: Context, width: int, ascending: bool) -> None:
    chance = random.Random(5)
    data = [(chance.randrange(1000), i) for i in range(3000)]
    result = sc.parallelize(data, 4).sortByKey(ascending, width)
    assert result.collect() == sorted(data, key=lambda pair: pair[0], reverse=not ascending)
    assert result.getNumPartitions() == width
    lengths = [len(part) for part in result.glom().collect()]
    assert max(lengths) < 2.5 * len(data) / width


def test_sorting_with_keys_of_equal_value_and_by_function(sc: Context) -> None:
    assert sc.parallelize([("b", 1), ("B", 2), ("a", 3)], 3).sortByKey(True, 3, keyfunc=str.lower).collect() == [
        ("a", 3),
        ("b", 1),
        ("B", 2),
    ]
    assert sc.parallelize(WORDS, 3).sortBy(lambda w: (len(w), w), False).collect() == sorted(WORDS, key=lambda w: (len(w), w), reverse=True)
    assert sc.parallelize([(1, i) for i in range(10)], 3).sortByKey().values().collect() == list(range(10))
    assert sc.parallelize([], 3).sortByKey().getNumPartitions() == 3
    assert sc.emptyRDD().sortByKey().collect() == []


def test_placement(sc: Context) -> None:
    parts = sc.parallelize([(i, i) for i in range(20)], 3).partitionBy(4, lambda key: key // 5).keys().glom().collect()
    assert parts == [list(range(5 * p, 5 * p + 5)) for p in range(4)]
    hashed = sc.parallelize(PAIRS, 3).partitionBy(4)
    homes: dict[str, set[int]] = defaultdict(set)
    for partition, pairs in enumerate(hashed.glom().collect()):
        for key, _ in pairs:
            homes[key].add(partition)
    assert all(len(home) == 1 for home in homes.values())
    spread = sc.parallelize(range(100), 1).repartition(4).glom().map(len).collect()
    assert spread == [25, 25, 25, 25]
    assert sc.parallelize(range(10), 5).coalesce(3).glom().collect() == [[0, 1], [2, 3, 4, 5], [6, 7, 8, 9]]
    both = sc.parallelize([(1, "a"), (2, "b")], 1).partitionBy(2).union(sc.parallelize([(1, "c")], 1).partitionBy(2))
    assert sorted(map(sorted, both.glom().collect())) == [[(1, "a"), (1, "c")], [(2, "b")]]


def test_actions(sc: Context) -> None:
    data = [5, 3, 8, 1, 9, 2, 8]
    rdd = sc.parallelize(data, 3)
    assert rdd.count() == 7
    assert (rdd.first(), rdd.max(), rdd.min(), rdd.sum()) == (5, 9, 1, 36)
    assert (rdd.max(key=lambda x: -x), rdd.min(key=lambda x: -x)) == (1, 9)
    assert rdd.reduce(lambda a, b: a + b) == rdd.treeReduce(lambda a, b: a + b) == 36
    assert rdd.fold(10, lambda a, b: a + b) == 36 + 10 * 4
    assert (rdd.top(3), rdd.takeOrdered(3), rdd.top(2, key=lambda x: -x)) == ([9, 8, 8], [1, 2, 3], [1, 2])
    assert rdd.countByValue() == Counter(data)
    assert type(rdd.countByValue()) is defaultdict
    assert sc.parallelize(PAIRS, 3).countByKey() == Counter(WORDS)
    assert sc.parallelize(PAIRS, 3).lookup("w1") == grouped(PAIRS)["w1"]
    assert list(rdd.toLocalIterator()) == list(rdd.toLocalIterator(prefetchPartitions=True)) == data
    assert sc.parallelize(range(100), 30).treeAggregate(0, lambda a, b: a + b, lambda a, b: a + b, depth=3) == 4950
    stats = sc.parallelize([1.0, 2.0, 4.0], 2).stats()
    assert (stats.count(), stats.mean(), stats.sum(), stats.max()) == (3, pytest.approx(7 / 3), pytest.approx(7), 4.0)
    assert sc.parallelize([1.0, 2.0, 4.0], 2).sampleVariance() == pytest.approx(7 / 3)
    assert sc.runJob(sc.parallelize(range(6), 3), lambda part: [x * x for x in part], [2, 0]) == [16, 25, 0, 1]


def test_take_scans_only_as_far_as_it_must(sc: Context, tmp_path: Path) -> None:
    def touched(index: int, part: Any) -> Any:
        (tmp_path / str(index)).touch()
        return part

    rdd = sc.parallelize(range(100), 50).mapPartitionsWithIndex(touched)
    assert rdd.take(2) == [0, 1]
    assert os.listdir(tmp_path) == ["0"]
    assert rdd.filter(lambda x: x >= 40).take(3) == [40, 41, 42]
    assert len(os.listdir(tmp_path)) < 50
    assert rdd.take(1000) == list(range(100))
    assert rdd.take(0) == rdd.take(-1) == []


def test_nothing(sc: Context) -> None:
    for empty in (sc.emptyRDD(), sc.parallelize([], 2)):
        for action in (empty.reduce, empty.max, empty.min):
            with pytest.raises(ValueError, match=r"Can not reduce\(\) empty RDD"):
                action(max)
        with pytest.raises(ValueError, match="RDD is empty"):
            empty.first()
        assert empty.isEmpty()
        assert empty.fold(5, max) == 5
        assert (empty.sum(), empty.count(), empty.collect(), empty.top(3), empty.countByValue()) == (0, 0, [], [], {})
        assert empty.map(lambda x: (x, x)).reduceByKey(max).collect() == []
        assert empty.keyBy(str).join(sc.parallelize([(1, 2)])).collect() == []
        assert empty.zipWithIndex().collect() == []
        assert empty.union(sc.parallelize([1])).distinct().collect() == [1]
    with pytest.raises(ValueError, match=r"Cannot reduce empty RDD\."):
        sc.parallelize([], 2).treeReduce(max)
    with pytest.raises(ValueError, match="top N cannot be negative"):
        sc.parallelize([1]).takeOrdered(-1)
    with pytest.raises(ValueError, match="Depth cannot be smaller than 1"):
        sc.parallelize([1]).treeReduce(max, 0)


def test_the_users_exception_is_the_users(sc: Context) -> None:
    class Odd(Exception):
        pass

    def check(x: int) -> int:
        if x == 3:
            raise Odd(f"found {x}")
        return x

    for rdd in (sc.parallelize(range(5), 2).map(check), sc.parallelize(range(5), 2).map(lambda x: (check(x), 1)).reduceByKey(max)):
        with pytest.raises(Exception, match="found 3") as caught:
            rdd.collect()
        assert type(caught.value).__name__ == "Odd"
    with pytest.raises(ZeroDivisionError):
        sc.parallelize([0]).foreach(lambda x: 1 // x)
    with pytest.raises(Exception, match="StopIteration"):
        sc.parallelize(range(5)).map(lambda x: next(iter([]))).collect()


def test_zip_of_different_lengths(sc: Context) -> None:
    with pytest.raises(ValueError, match="same number of partitions"):
        sc.parallelize(range(4), 2).zip(sc.parallelize(range(4), 3))
    with pytest.raises(ValueError, match=r"."):
        sc.parallelize(range(4), 2).zip(sc.parallelize(range(5), 2)).collect()


def test_deep_lineages_run(sc: Context) -> None:
    rdd = sc.parallelize([1], 1)
    for _ in range(1000):
        rdd = rdd.map(lambda x: x + 1)
    assert rdd.collect() == [1001]
    unions = sc.parallelize([0], 1)
    for i in range(1, 300):
        unions = unions.union(sc.parallelize([i], 1))
    assert unions.coalesce(4).collect() == list(range(300))
    mixed = sc.parallelize([0], 1)
    for i in range(1, 300):
        mixed = mixed.union(sc.parallelize([i], 1)).map(lambda x: x)
    assert sorted(mixed.coalesce(2).collect()) == list(range(300))


def test_iterations_see_their_own_loop_variable(sc: Context) -> None:
    rdd = sc.parallelize([("a", 1)], 2)
    for step in range(4):
        rdd = rdd.mapValues(lambda v: v * 10 + step).reduceByKey(lambda a, b: a + b)  # noqa: B023
    assert rdd.collect() == [("a", 10123)]


def test_text_in_and_out(sc: Context, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sc.parallelize(["a", b"b", 3, None, "é"], 2).saveAsTextFile(str(out))
    assert (out / "part-00000").read_bytes() == b"a\nb\n"
    assert (out / "part-00001").read_bytes() == "3\nNone\né\n".encode()
    assert sorted(os.listdir(out)) == ["_SUCCESS", "part-00000", "part-00001"]
    assert sorted(sc.textFile(str(out)).collect()) == ["3", "None", "a", "b", "é"]
    assert sc.textFile(str(out / "part-00001"), use_unicode=False).collect() == [b"3", b"None", "é".encode()]
    assert sorted(text for _, text in sc.wholeTextFiles(str(out)).collect()) == ["3\nNone\né\n", "a\nb\n"]
    assert sc.textFile([str(out / "part-00000"), str(out / "part-00000")]).count() == 4
    with pytest.raises(OutputExists):
        sc.parallelize(["x"]).saveAsTextFile(str(out))
    packed = tmp_path / "packed"
    sc.parallelize(["x", "y"], 1).saveAsTextFile(str(packed), "org.apache.hadoop.io.compress.GzipCodec")
    assert sc.textFile(str(packed)).collect() == ["x", "y"]
    assert "part-00000.gz" in os.listdir(packed)
    with pytest.raises(BadSetting, match="gzip, bz2 or zstd"):
        sc.parallelize(["x"]).saveAsTextFile(str(tmp_path / "no"), "rar")
    with pytest.raises(ZeroDivisionError):
        sc.parallelize([1, 0]).map(lambda x: 1 // x).saveAsTextFile(str(tmp_path / "failed"))
    assert not (tmp_path / "failed").exists()


def test_missing_text_is_told_when_it_is_needed(sc: Context, tmp_path: Path) -> None:
    path = tmp_path / "later"
    rdd = sc.textFile(str(path)).map(len)
    with pytest.raises(PathNotFound, match="later"):
        rdd.count()
    path.write_text("one\ntwo\n")
    assert rdd.count() == 2
