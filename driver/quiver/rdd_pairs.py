"""Operators on (key, value) pairs. Keys must be hashable; equal keys meet in one partition."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeVar

from quiver.callsite import capture
from quiver.closures import seal
from quiver.plan.partitioning import Partitioning
from quiver.rdd_core import check_other
from quiver.rdd_narrow import RecordOperators
from quiver_proto import comparing, functions, ops
from quiver_proto.frames import dump_value
from quiver_proto.functions import ResultIterable
from quiver_proto.hashing import portable_hash

if TYPE_CHECKING:
    from quiver.rdd import RDD

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")
W = TypeVar("W")
K = TypeVar("K", bound=Hashable)

PartitionFunction = Callable[[Any], int]

_SAMPLES_PER_PARTITION = 20


class PairOperators(RecordOperators[T]):
    """Lazy, but for sortByKey, which samples. Where `numPartitions` is not given, a shuffle has as many partitions as
    `spark.default.parallelism` says, else as all inputs have together. `partitionFunc` (key -> int) replaces the portable hash.
    """

    __slots__ = ()

    def keys(self: PairOperators[tuple[K, V]]) -> RDD[K]:
        """The keys, in order.

        >>> sc.parallelize([(1, 2), (3, 4)]).keys().collect()
        [1, 3]
        """
        return self._narrow(ops.Map, functions.key_of)

    def values(self: PairOperators[tuple[K, V]]) -> RDD[V]:
        """The values, in order.

        >>> sc.parallelize([(1, 2), (3, 4)]).values().collect()
        [2, 4]
        """
        return self._narrow(ops.Map, functions.value_of)

    def mapValues(self: PairOperators[tuple[K, V]], f: Callable[[V], U]) -> RDD[tuple[K, U]]:
        """(key, f(value)); the partitioning is kept.

        >>> sc.parallelize([("a", ["x", "y"]), ("b", ["z"])]).mapValues(len).collect()
        [('a', 2), ('b', 1)]
        """
        return self._narrow(ops.MapValues, f, keep=True)

    def flatMapValues(self: PairOperators[tuple[K, V]], f: Callable[[V], Iterable[U]]) -> RDD[tuple[K, U]]:
        """(key, element) for each element of f(value); the partitioning is kept.

        >>> sc.parallelize([("a", [1, 2]), ("b", [3])]).flatMapValues(lambda x: x).collect()
        [('a', 1), ('a', 2), ('b', 3)]
        """
        return self._narrow(ops.FlatMapValues, f, keep=True)

    # ---- aggregation ----

    def reduceByKey(
        self: PairOperators[tuple[K, V]],
        func: Callable[[V, V], V],
        numPartitions: int | None = None,
        partitionFunc: PartitionFunction | None = None,
    ) -> RDD[tuple[K, V]]:
        """(key, its values merged by `func`), which must be associative and commutative. Merged before the shuffle too.

        >>> sorted(sc.parallelize([("a", 1), ("b", 1), ("a", 1)]).reduceByKey(lambda a, b: a + b).collect())
        [('a', 2), ('b', 1)]
        """
        return self._combine(None, func, func, numPartitions, partitionFunc)

    def foldByKey(
        self: PairOperators[tuple[K, V]],
        zeroValue: V,
        func: Callable[[V, V], V],
        numPartitions: int | None = None,
        partitionFunc: PartitionFunction | None = None,
    ) -> RDD[tuple[K, V]]:
        """reduceByKey that starts each key, once per partition where it occurs, from a copy of `zeroValue`.

        >>> sorted(sc.parallelize([("a", 1), ("b", 1), ("a", 1)]).foldByKey(0, lambda a, b: a + b).collect())
        [('a', 2), ('b', 1)]
        """
        return self._combine(functions.FirstCombiner(zeroValue, func), func, func, numPartitions, partitionFunc)

    def aggregateByKey(
        self: PairOperators[tuple[K, V]],
        zeroValue: U,
        seqFunc: Callable[[U, V], U],
        combFunc: Callable[[U, U], U],
        numPartitions: int | None = None,
        partitionFunc: PartitionFunction | None = None,
    ) -> RDD[tuple[K, U]]:
        """(key, aggregate): `seqFunc` merges a value into an aggregate that starts as a copy of `zeroValue`, `combFunc` two aggregates.

        >>> rdd = sc.parallelize([("a", 1), ("b", 1), ("a", 2)])
        >>> sorted(rdd.aggregateByKey((0, 0), lambda s, v: (s[0] + v, s[1] + 1), lambda s, t: (s[0] + t[0], s[1] + t[1])).collect())
        [('a', (3, 2)), ('b', (1, 1))]
        """
        return self._combine(functions.FirstCombiner(zeroValue, seqFunc), seqFunc, combFunc, numPartitions, partitionFunc)

    def combineByKey(
        self: PairOperators[tuple[K, V]],
        createCombiner: Callable[[V], U],
        mergeValue: Callable[[U, V], U],
        mergeCombiners: Callable[[U, U], U],
        numPartitions: int | None = None,
        partitionFunc: PartitionFunction | None = None,
    ) -> RDD[tuple[K, U]]:
        """(key, combiner): the first value makes a combiner, others are merged in, and combiners of several partitions are merged.

        >>> rdd = sc.parallelize([("a", 1), ("b", 1), ("a", 2)], 1)
        >>> sorted(rdd.combineByKey(lambda v: [v], lambda c, v: c + [v], lambda c, d: c + d).collect())
        [('a', [1, 2]), ('b', [1])]
        """
        return self._combine(createCombiner, mergeValue, mergeCombiners, numPartitions, partitionFunc)

    def groupByKey(
        self: PairOperators[tuple[K, V]], numPartitions: int | None = None, partitionFunc: PartitionFunction | None = None
    ) -> RDD[tuple[K, ResultIterable[V]]]:
        """(key, its values), which can be iterated and have a len().

        Every value is sent, and one task holds all that a key has: a key with most of the records makes one task as slow as all the
        others together (see Context.skewReports). Where values are summed, counted or otherwise combined, reduceByKey and
        aggregateByKey send one value for each key and map task, however often the key comes.

        >>> sorted(sc.parallelize([("a", 1), ("b", 1), ("a", 1)]).groupByKey().mapValues(list).collect())
        [('a', [1, 1]), ('b', [1])]
        """
        call_site = capture()
        width = self._width(numPartitions)
        partitioner, partitioning = _partitioning(width, partitionFunc)
        grouped = self._exchange(partitioner, ops.Group(), partitioning, call_site)
        return grouped._narrow(ops.MapValues, ResultIterable, keep=True)

    def _combine(
        self,
        create: Callable[[Any], Any] | None,
        merge_value: Callable[[Any, Any], Any],
        merge_combiners: Callable[[Any, Any], Any],
        wanted: int | None,
        partition_function: PartitionFunction | None,
    ) -> RDD[Any]:
        call_site = capture()
        width = self._width(wanted)
        merging = seal(merge_value, call_site)
        aggregator = ops.Aggregator(
            None if create is None else seal(create, call_site),
            merging,
            merging if merge_combiners is merge_value else seal(merge_combiners, call_site),
        )
        partitioner, partitioning = _partitioning(width, partition_function)
        return self._exchange(partitioner, ops.Combine(aggregator, combined=True), partitioning, call_site, aggregator)

    # ---- joins ----

    def cogroup(
        self: PairOperators[tuple[K, V]], other: PairOperators[tuple[K, W]], numPartitions: int | None = None
    ) -> RDD[tuple[K, tuple[ResultIterable[V], ResultIterable[W]]]]:
        """(key, (its values here, its values there)) for each key of either.

        >>> x, y = sc.parallelize([("a", 1), ("b", 4)]), sc.parallelize([("a", 2)])
        >>> [(k, tuple(map(list, groups))) for k, groups in sorted(x.cogroup(y).collect())]
        [('a', ([1], [2])), ('b', ([4], []))]
        """
        groups = self._cogroup([other], numPartitions)
        return groups._narrow(ops.MapValues, functions.wrap_groups, keep=True)

    def groupWith(
        self: PairOperators[tuple[K, Any]], other: PairOperators[tuple[K, Any]], *others: PairOperators[tuple[K, Any]]
    ) -> RDD[tuple[K, tuple[ResultIterable[Any], ...]]]:
        """cogroup of any number of datasets.

        >>> x, y, z = sc.parallelize([("a", 1)]), sc.parallelize([("a", 2)]), sc.parallelize([("b", 3)])
        >>> [(k, tuple(map(list, groups))) for k, groups in sorted(x.groupWith(y, z).collect())]
        [('a', ([1], [2], [])), ('b', ([], [], [3]))]
        """
        groups = self._cogroup([other, *others], None)
        return groups._narrow(ops.MapValues, functions.wrap_groups, keep=True)

    def join(
        self: PairOperators[tuple[K, V]], other: PairOperators[tuple[K, W]], numPartitions: int | None = None
    ) -> RDD[tuple[K, tuple[V, W]]]:
        """(key, (value here, value there)), every combination, for keys in both.

        >>> x, y = sc.parallelize([("a", 1), ("b", 4)]), sc.parallelize([("a", 2), ("a", 3)])
        >>> sorted(x.join(y).collect())
        [('a', (1, 2)), ('a', (1, 3))]
        """
        return self._cogroup([other], numPartitions)._narrow(ops.FlatMapValues, functions.join_inner, keep=True)

    def leftOuterJoin(
        self: PairOperators[tuple[K, V]], other: PairOperators[tuple[K, W]], numPartitions: int | None = None
    ) -> RDD[tuple[K, tuple[V, W | None]]]:
        """join that keeps keys which are only here, with None.

        >>> sorted(sc.parallelize([("a", 1), ("b", 4)]).leftOuterJoin(sc.parallelize([("a", 2)])).collect())
        [('a', (1, 2)), ('b', (4, None))]
        """
        return self._cogroup([other], numPartitions)._narrow(ops.FlatMapValues, functions.join_left, keep=True)

    def rightOuterJoin(
        self: PairOperators[tuple[K, V]], other: PairOperators[tuple[K, W]], numPartitions: int | None = None
    ) -> RDD[tuple[K, tuple[V | None, W]]]:
        """join that keeps keys which are only there, with None.

        >>> sorted(sc.parallelize([("a", 2)]).rightOuterJoin(sc.parallelize([("a", 1), ("b", 4)])).collect())
        [('a', (2, 1)), ('b', (None, 4))]
        """
        return self._cogroup([other], numPartitions)._narrow(ops.FlatMapValues, functions.join_right, keep=True)

    def fullOuterJoin(
        self: PairOperators[tuple[K, V]], other: PairOperators[tuple[K, W]], numPartitions: int | None = None
    ) -> RDD[tuple[K, tuple[V | None, W | None]]]:
        """join that keeps the keys of both, with None for what is missing.

        >>> sorted(sc.parallelize([("a", 1), ("b", 4)]).fullOuterJoin(sc.parallelize([("a", 2), ("c", 8)])).collect())
        [('a', (1, 2)), ('b', (4, None)), ('c', (None, 8))]
        """
        return self._cogroup([other], numPartitions)._narrow(ops.FlatMapValues, functions.join_full, keep=True)

    def subtractByKey(
        self: PairOperators[tuple[K, V]], other: PairOperators[tuple[K, Any]], numPartitions: int | None = None
    ) -> RDD[tuple[K, V]]:
        """Pairs whose key is not in the other.

        >>> x = sc.parallelize([("a", 1), ("b", 4), ("b", 5), ("a", 2)])
        >>> sorted(x.subtractByKey(sc.parallelize([("a", 3), ("c", None)])).collect())
        [('b', 4), ('b', 5)]
        """
        groups = self._cogroup([other], numPartitions).filter(functions.is_in_left_only)
        return groups._narrow(ops.FlatMapValues, functions.left_values, keep=True)

    def _cogroup(self, others: Sequence[PairOperators[Any]], wanted: int | None) -> RDD[Any]:
        """(key, (list of values of each))."""
        call_site = capture()
        for other in others:
            check_other(other, self._context)
        width = self._width(wanted, others)
        partitioner, partitioning = _partitioning(width, None)
        return self._exchange(partitioner, ops.CoGroup(), partitioning, call_site, None, others)

    # ---- placement and order ----

    def partitionBy(
        self: PairOperators[tuple[K, V]], numPartitions: int | None, partitionFunc: PartitionFunction | None = None
    ) -> RDD[tuple[K, V]]:
        """The same pairs with equal keys in one partition: number `partitionFunc(key) % numPartitions`.

        Returns itself when it is partitioned so already. Raises ValueError below 1.

        >>> parts = sc.parallelize([1, 2, 3, 4]).map(lambda x: (x, x)).partitionBy(2, lambda key: key).glom().collect()
        >>> [[key for key, _ in part] for part in parts]
        [[2, 4], [1, 3]]
        """
        call_site = capture()
        width = self._width(numPartitions)
        wanted = None if partitionFunc is portable_hash else partitionFunc
        if self._dataset.partitioning == Partitioning(width, wanted):
            return self  # type: ignore[return-value]
        partitioner, partitioning = _partitioning(width, wanted)
        return self._exchange(partitioner, ops.Concatenate(), partitioning, call_site)

    def repartitionAndSortWithinPartitions(
        self: PairOperators[tuple[K, V]],
        numPartitions: int | None = None,
        partitionFunc: PartitionFunction = portable_hash,
        ascending: bool = True,
        keyfunc: Callable[[Any], Any] = functions.identity,
    ) -> RDD[tuple[K, V]]:
        """partitionBy, with each partition sorted by `keyfunc(key)`: cheaper than sorting afterwards. Pairs with equal keys stay in order.

        >>> rdd = sc.parallelize([(0, 5), (3, 8), (2, 6), (0, 8), (3, 8), (1, 3)])
        >>> rdd.repartitionAndSortWithinPartitions(2, lambda key: key % 2, True).glom().collect()
        [[(0, 5), (0, 8), (2, 6)], [(1, 3), (3, 8), (3, 8)]]
        """
        call_site = capture()
        partitioner, partitioning = _partitioning(self._width(numPartitions), partitionFunc)
        key = None if keyfunc is functions.identity else seal(keyfunc, call_site)
        return self._exchange(partitioner, ops.Sort(key, bool(ascending)), partitioning, call_site)

    def sortByKey(
        self: PairOperators[tuple[K, V]],
        ascending: bool = True,
        numPartitions: int | None = None,
        keyfunc: Callable[[Any], Any] | None = None,
    ) -> RDD[tuple[K, V]]:
        """Pairs sorted by `keyfunc(key)` across all partitions; pairs with equal keys stay in order.

        Starts one job now, which samples keys, so that partitions get about the same length.

        >>> sc.parallelize([("b", 1), ("a", 2), ("C", 3)]).sortByKey(True, 2, keyfunc=lambda k: k.lower()).collect()
        [('a', 2), ('b', 1), ('C', 3)]
        """
        width = self._width(numPartitions)
        key = None if keyfunc is functions.identity else keyfunc
        bounds: list[Any] = []
        if width > 1:
            limit = max(_SAMPLES_PER_PARTITION, -(-3 * _SAMPLES_PER_PARTITION * width // max(1, self.getNumPartitions())))
            samples = self._apply(functions.SampleKeys(limit, key), with_index=True)
            try:
                bounds = choose_bounds(samples, width)
            except TypeError as error:
                raise comparing.told(error, str(capture())) from None
            if not bounds:
                return self  # type: ignore[return-value]
        return self._sorted_by_bounds(dump_value(bounds), len(bounds) + 1, key, ascending)


def _partitioning(width: int, function: PartitionFunction | None) -> tuple[ops.Partitioner, Partitioning]:
    if function is None or function is portable_hash:
        return ops.HashPartitioner(width), Partitioning(width)
    return ops.FunctionPartitioner(width, seal(function, capture())), Partitioning(width, function)


def choose_bounds(samples: Sequence[tuple[int, Sequence[Any]]], width: int) -> list[Any]:
    """The `width` - 1 upper bounds that split all records evenly, from (records, sampled keys) of each partition.

    A sampled key stands for as many records as its partition has per sample. Fewer bounds only when there is no record at all.
    """
    weighted = [(key, seen / len(keys)) for seen, keys in samples if keys for key in keys]
    if not weighted:
        return []
    weighted.sort(key=functions.key_of)
    reached = list(accumulate(weight for _, weight in weighted))
    step = reached[-1] / width
    return [weighted[min(bisect_left(reached, step * (i + 1)), len(weighted) - 1)][0] for i in range(width - 1)]
