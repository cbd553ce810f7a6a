"""Operators on records: those that need no shuffle, and those on whole datasets."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeVar

from quiver.callsite import capture
from quiver.closures import seal
from quiver.plan.lineage import Unioned
from quiver.plan.partitioning import Partitioning
from quiver.rdd_core import RddCore, check_other
from quiver_proto import functions, ops
from quiver_proto.frames import load
from quiver_proto.functions import PlaceInRange
from quiver_proto.piping import Pipe

if TYPE_CHECKING:
    from quiver.rdd import RDD

T = TypeVar("T")
U = TypeVar("U")
K = TypeVar("K", bound=Hashable)


class RecordOperators(RddCore[T]):
    """Lazy: each returns a new RDD and starts no job, unless it says so."""

    __slots__ = ()

    def map(self, f: Callable[[T], U], preservesPartitioning: bool = False) -> RDD[U]:
        """`f(record)` for each record, in order.

        >>> sc.parallelize(["b", "a"]).map(lambda x: (x, 1)).collect()
        [('b', 1), ('a', 1)]
        """
        return self._narrow(ops.Map, f, keep=preservesPartitioning)

    def flatMap(self, f: Callable[[T], Iterable[U]], preservesPartitioning: bool = False) -> RDD[U]:
        """The elements of `f(record)` for each record, in order.

        >>> sc.parallelize([2, 3, 4]).flatMap(lambda x: range(1, x)).collect()
        [1, 1, 2, 1, 2, 3]
        """
        return self._narrow(ops.FlatMap, f, keep=preservesPartitioning)

    def filter(self, f: Callable[[T], Any]) -> RDD[T]:
        """The records for which `f(record)` is true, in order.

        >>> sc.parallelize([1, 2, 3, 4, 5]).filter(lambda x: x % 2 == 0).collect()
        [2, 4]
        """
        return self._narrow(ops.Filter, f, keep=True)

    def mapPartitions(self, f: Callable[[Iterator[T]], Iterable[U]], preservesPartitioning: bool = False) -> RDD[U]:
        """What `f(iterator of a partition's records)` yields.

        >>> sc.parallelize([1, 2, 3, 4], 2).mapPartitions(lambda part: [sum(part)]).collect()
        [3, 7]
        """
        return self._narrow(ops.MapPartitions, f, keep=preservesPartitioning)

    def mapPartitionsWithIndex(self, f: Callable[[int, Iterator[T]], Iterable[U]], preservesPartitioning: bool = False) -> RDD[U]:
        """What `f(partition index, iterator)` yields.

        >>> sc.parallelize([1, 2, 3, 4], 4).mapPartitionsWithIndex(lambda i, part: [i]).sum()
        6
        """
        return self._narrow(ops.MapPartitions, f, keep=preservesPartitioning, with_index=True)

    def mapPartitionsWithSplit(self, f: Callable[[int, Iterator[T]], Iterable[U]], preservesPartitioning: bool = False) -> RDD[U]:
        """Deprecated: another name of mapPartitionsWithIndex. Warns (FutureWarning).

        >>> import warnings
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     sc.parallelize([1, 2, 3, 4], 4).mapPartitionsWithSplit(lambda i, part: [i]).sum()
        6
        """
        warnings.warn("mapPartitionsWithSplit is deprecated; use mapPartitionsWithIndex instead", FutureWarning, stacklevel=2)
        return self.mapPartitionsWithIndex(f, preservesPartitioning)

    def pipe(self, command: str, env: Mapping[str, str] | None = None, checkCode: bool = False) -> RDD[str]:
        """The lines that `command` prints when it is given each partition's records as lines; one process a partition.

        The command is split as a shell would split it, but no shell runs it. Its environment is `env` and nothing else (default:
        none), as in PySpark. With `checkCode` a job raises PipeFailed (a RuntimeError) when it ends with another exit code than 0.
        Raises ValueError for a quotation without an end, or no command at all.

        >>> sc.parallelize(["1", "2", "", "3"]).pipe("cat").collect()
        ['1', '2', '', '3']
        """
        import shlex

        arguments = tuple(shlex.split(command))
        if not arguments:
            raise ValueError("pipe needs a command, such as 'grep -i quiver'")
        return self._narrow(ops.MapPartitions, Pipe(command, arguments, dict(env or {}), bool(checkCode)))

    def keyBy(self, f: Callable[[T], K]) -> RDD[tuple[K, T]]:
        """(f(record), record) for each record.

        >>> sc.parallelize(range(3)).keyBy(lambda x: x * x).collect()
        [(0, 0), (1, 1), (4, 2)]
        """
        return self._narrow(ops.KeyBy, f)

    def glom(self) -> RDD[list[T]]:
        """Each partition as one list.

        >>> sc.parallelize([1, 2, 3, 4], 2).glom().collect()
        [[1, 2], [3, 4]]
        """
        return self._narrow(ops.MapPartitions, functions.glom)

    def zipWithIndex(self) -> RDD[tuple[T, int]]:
        """(record, its position in the dataset). Starts a job that counts, when there is more than one partition.

        >>> sc.parallelize(["a", "b", "c", "d"], 3).zipWithIndex().collect()
        [('a', 0), ('b', 1), ('c', 2), ('d', 3)]
        """
        counts = self._counts()[:-1] if self.getNumPartitions() > 1 else []
        starts = tuple(accumulate(counts, initial=0))
        return self._narrow(ops.MapPartitions, functions.IndexFrom(starts), with_index=True)

    def zipWithUniqueId(self) -> RDD[tuple[T, int]]:
        """(record, an id): partition k of n numbers its records k, k + n, k + 2 n, … No job is started.

        >>> sc.parallelize(["a", "b", "c", "d", "e"], 3).zipWithUniqueId().collect()
        [('a', 0), ('b', 1), ('c', 4), ('d', 2), ('e', 5)]
        """
        return self._narrow(ops.MapPartitions, functions.UniqueIds(max(1, self.getNumPartitions())), with_index=True)

    # ---- several datasets ----

    def union(self, other: RecordOperators[U]) -> RDD[T | U]:
        """The records of both, duplicates included: this one's partitions, then the other's.

        Two datasets with equal partitioners and widths keep both: partition i of one beside partition i of the other.

        >>> rdd = sc.parallelize([1, 1, 2, 3])
        >>> rdd.union(rdd).collect()
        [1, 1, 2, 3, 1, 1, 2, 3]
        """
        call_site = capture()
        context = self._context
        context._check(call_site.operator)
        check_other(other, context)
        left, right, planner = self._dataset, other._dataset, context._planner
        both: Unioned = planner.unioned((left, right), call_site)
        if left.partitioning is not None and left.partitioning == right.partitioning:
            width = left.partitioning.width
            return context._rdd(planner.coalesced(both, width, call_site, stride=True, partitioning=left.partitioning))
        return context._rdd(both)

    def __add__(self, other: RecordOperators[U]) -> RDD[T | U]:
        """As union.

        >>> (sc.parallelize([1]) + sc.parallelize([2])).collect()
        [1, 2]
        """
        if not isinstance(other, RecordOperators):
            raise TypeError(f"an RDD can be added to an RDD only, not to {type(other).__name__}")
        return self.union(other)

    def cartesian(self, other: RecordOperators[U]) -> RDD[tuple[T, U]]:
        """All pairs of a record here and a record there; as many partitions as the product of both.

        >>> rdd = sc.parallelize([1, 2])
        >>> sorted(rdd.cartesian(rdd).collect())
        [(1, 1), (1, 2), (2, 1), (2, 2)]
        """
        call_site = capture()
        self._context._check(call_site.operator)
        check_other(other, self._context)
        return self._context._rdd(self._context._planner.crossed(self._dataset, other._dataset, call_site))

    def zip(self, other: RecordOperators[U]) -> RDD[tuple[T, U]]:
        """Pairs of the records at the same place in both.

        Raises ValueError when the datasets have different numbers of partitions; the job does when two partitions differ in length.

        >>> sc.parallelize(range(3), 2).zip(sc.parallelize(["a", "b", "c"], 2)).collect()
        [(0, 'a'), (1, 'b'), (2, 'c')]
        """
        call_site = capture()
        self._context._check(call_site.operator)
        check_other(other, self._context)
        if self.getNumPartitions() != other.getNumPartitions():
            raise ValueError(
                f"Can only zip with RDD which has the same number of partitions: {self.getNumPartitions()} here, "
                f"{other.getNumPartitions()} in the other"
            )
        return self._context._rdd(self._context._planner.zipped(self._dataset, other._dataset, call_site))

    def intersection(self, other: RecordOperators[T]) -> RDD[T]:
        """Records that are in both, each once, in no particular order.

        >>> sorted(sc.parallelize([1, 10, 2, 3, 4, 5]).intersection(sc.parallelize([1, 6, 2, 3, 7, 8])).collect())
        [1, 2, 3]
        """
        check_other(other, self._context)
        left, right = self.map(functions.with_none), other.map(functions.with_none)
        return left.cogroup(right).filter(functions.is_in_both).keys()

    def subtract(self, other: RecordOperators[T], numPartitions: int | None = None) -> RDD[T]:
        """Records that are not in the other, as often as they are here, in no particular order.

        >>> sorted(sc.parallelize([1, 1, 2, 3]).subtract(sc.parallelize([3, 4])).collect())
        [1, 1, 2]
        """
        check_other(other, self._context)
        left, right = self.map(functions.with_none), other.map(functions.with_none)
        groups = left._cogroup([right], numPartitions)
        return groups.filter(functions.is_in_left_only)._narrow(ops.FlatMap, functions.repeat_key)

    # ---- across partitions ----

    def distinct(self, numPartitions: int | None = None) -> RDD[T]:
        """Each different record once, in no particular order. Records must be hashable.

        >>> sorted(sc.parallelize([1, 1, 2, 3]).distinct().collect())
        [1, 2, 3]
        """
        return self.map(functions.with_none).reduceByKey(functions.keep_first, numPartitions).keys()

    def groupBy(
        self, f: Callable[[T], K], numPartitions: int | None = None, partitionFunc: Callable[[Any], int] | None = None
    ) -> RDD[tuple[K, functions.ResultIterable[T]]]:
        """(f(record), all records with that key).

        >>> groups = sc.parallelize([1, 1, 2, 3, 5, 8]).groupBy(lambda x: x % 2).collect()
        >>> sorted((key, sorted(values)) for key, values in groups)
        [(0, [2, 8]), (1, [1, 1, 3, 5])]
        """
        return self.keyBy(f).groupByKey(numPartitions, partitionFunc)

    def sortBy(self, keyfunc: Callable[[T], Any], ascending: bool = True, numPartitions: int | None = None) -> RDD[T]:
        """Sorted by `keyfunc(record)` across all partitions; records with equal keys stay in order. Starts a job that samples.

        >>> sc.parallelize([("a", 1), ("b", 2), ("1", 3), ("d", 4)]).sortBy(lambda x: x[0]).collect()
        [('1', 3), ('a', 1), ('b', 2), ('d', 4)]
        """
        return self.keyBy(keyfunc).sortByKey(ascending, numPartitions).values()

    def repartition(self, numPartitions: int) -> RDD[T]:
        """The same records in exactly this many partitions, through a shuffle. Raises ValueError below 1.

        The partitions are of nearly equal length; of records that come out of an earlier shuffle, equal ones stay together.

        >>> sc.parallelize(range(8), 4).repartition(2).getNumPartitions()
        2
        """
        return self.coalesce(numPartitions, shuffle=True)

    def coalesce(self, numPartitions: int, shuffle: bool = False) -> RDD[T]:
        """Fewer partitions, by putting neighbours together without a shuffle; never more, unless `shuffle`. Raises ValueError below 1.

        >>> sc.parallelize([1, 2, 3, 4, 5], 3).coalesce(1).glom().collect()
        [[1, 2, 3, 4, 5]]
        """
        call_site = capture()
        width = self._width(numPartitions)
        if shuffle:
            return self._exchange(ops.RoundRobin(width), ops.Concatenate(), None, call_site)
        self._context._check(call_site.operator)
        return self._context._rdd(self._context._planner.coalesced(self._dataset, width, call_site))

    def _sorted_by_bounds(self, bounds: bytes, width: int, key: Callable[[Any], Any] | None, ascending: bool) -> RDD[T]:
        call_site = capture()
        sealed = None if key is None else seal(key, call_site)
        partitioner = ops.RangePartitioner(width, bounds, sealed, ascending)
        return self._exchange(
            partitioner, ops.Sort(sealed, ascending), Partitioning(width, PlaceInRange(load(bounds), key, ascending)), call_site
        )
