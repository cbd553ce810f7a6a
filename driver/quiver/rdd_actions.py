"""Actions: each starts a job, waits for it, and returns plain Python values."""

from __future__ import annotations

import copy
import functools
import operator
import warnings
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, TypeVar

from quiver.callsite import capture
from quiver.output import save_pickles, save_text
from quiver.pickle_key import pickle_key
from quiver.rdd_pairs import PairOperators
from quiver_proto import comparing, functions, ops
from quiver_proto.errors import NotAPair, UnhashableKey
from quiver_proto.functions import KeyIs
from quiver_proto.hashing import is_seedless
from quiver_proto.shorten import shorten
from quiver_proto.statistics import StatCounter

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")
K = TypeVar("K", bound=Hashable)


class Actions(PairOperators[T]):
    """All raise what a job raises: the user's own exception with a note that names operator, partition and record, or JobFailed;
    before anything is sent, UnpicklableClosure; ContextStopped after stop().
    """

    __slots__ = ()

    # ---- records ----

    def collect(self) -> list[T]:
        """All records, in order of partitions. Raises ResultTooLarge beyond quiver.driver.maxResultSize.

        >>> sc.parallelize([3, 1, 2], 2).collect()
        [3, 1, 2]
        """
        return self._collect()

    def collectWithJobGroup(self, groupId: str, description: str, interruptOnCancel: bool = False) -> list[T]:
        """`collect` after `setJobGroup` with these arguments: this thread's later jobs are in the group, too. Deprecated, as in PySpark.

        >>> import warnings
        >>> with warnings.catch_warnings(action="ignore"):
        ...     sc.parallelize([1, 2]).collectWithJobGroup("nightly", "the nightly report")
        [1, 2]
        >>> sc.setLocalProperty("spark.jobGroup.id", None)
        """
        warnings.warn("collectWithJobGroup is deprecated: call setJobGroup, in an InheritableThread.", FutureWarning, stacklevel=2)
        self._context.setJobGroup(groupId, description, interruptOnCancel)
        return self._collect()

    def collectAsMap(self: Actions[tuple[K, V]]) -> dict[K, V]:
        """The pairs as a dictionary; of equal keys the last wins.

        >>> sc.parallelize([(1, 2), (3, 4)]).collectAsMap()
        {1: 2, 3: 4}
        """
        records = self._collect()
        try:
            return dict(records)
        except (TypeError, ValueError):
            for record in records:
                _check_pair(record, str(capture()))
            raise

    def count(self) -> int:
        """How many records.

        >>> sc.parallelize([2, 3, 4]).count()
        3
        """
        return sum(self._counts())

    def take(self, num: int) -> list[T]:
        """The first `num` records. Looks at one partition first, and at more, as many as seem needed, only while some are missing.

        >>> sc.parallelize(range(100), 100).filter(lambda x: x > 90).take(3)
        [91, 92, 93]
        """
        if not hasattr(num, "__index__"):
            raise TypeError(f"take takes an int, not {num!r}")
        items: list[T] = []
        width = self.getNumPartitions()
        scanned = 0
        while len(items) < num and scanned < width:
            attempt = 1
            if scanned and not items:
                attempt = scanned * 4
            elif scanned:
                attempt = min(max(int(1.5 * num * scanned / len(items)) - scanned, 1), scanned * 4)
            partitions = range(scanned, min(scanned + attempt, width))
            for part in self._apply(functions.Take(num - len(items)), partitions):
                items += part
            scanned += attempt
        return items[:num] if num > 0 else []

    def first(self) -> T:
        """The first record. Raises ValueError when there is none.

        >>> sc.parallelize([2, 3, 4]).first()
        2
        """
        found = self.take(1)
        if not found:
            raise ValueError("RDD is empty")
        return found[0]

    def isEmpty(self) -> bool:
        """Are there no records?

        >>> sc.parallelize([]).isEmpty()
        True
        """
        return self.getNumPartitions() == 0 or not self.take(1)

    def toLocalIterator(self, prefetchPartitions: bool = False) -> Iterator[T]:
        """The records, one partition at a time: one job each, started when the iteration gets there.

        With `prefetchPartitions` the next partition is computed while this one is looked at.

        >>> list(sc.parallelize(range(4), 2).toLocalIterator())
        [0, 1, 2, 3]
        """
        width = self.getNumPartitions()
        if not prefetchPartitions or width < 2:
            for partition in range(width):
                yield from self._collect([partition])
            return
        from concurrent.futures import ThreadPoolExecutor

        call_site, properties = capture(), self._context._properties()
        with ThreadPoolExecutor(1, "quiver-prefetch", self._context._take_properties, (properties,)) as ahead:
            coming = ahead.submit(self._collect, [0], call_site)
            for partition in range(width):
                records = coming.result()
                if partition + 1 < width:
                    coming = ahead.submit(self._collect, [partition + 1], call_site)
                yield from records

    def lookup(self: Actions[tuple[K, V]], key: K) -> list[V]:
        """The values of one key, in order. Looks at one partition only, where the partitioner is known.

        >>> rdd = sc.parallelize([("a", 1), ("b", 2), ("a", 3)])
        >>> rdd.lookup("a")
        [1, 3]
        >>> rdd.sortByKey().lookup("b")
        [2]
        """
        values = self.filter(KeyIs(key)).values()
        partitioning = self._dataset.partitioning
        if partitioning is None:
            return values._collect()
        if is_seedless(key):
            place = partitioning(key)
        else:
            # Only slots hash strings as the shuffle did.
            place_of = self._context.parallelize([key], 1).map(partitioning.partitionFunc)
            place = place_of._collect()[0] % partitioning.width
        return values._collect([place])

    # ---- reductions ----

    def reduce(self, f: Callable[[T, T], T]) -> T:
        """All records merged by `f`, which must be associative and commutative. Raises ValueError when there is none.

        >>> sc.parallelize([1, 2, 3, 4, 5]).reduce(lambda a, b: a + b)
        15
        """
        parts = self._apply(functions.Reduce(f))
        if not parts:
            raise ValueError("Can not reduce() empty RDD")
        result: T = _merged(f, parts)
        return result

    def treeReduce(self, f: Callable[[T, T], T], depth: int = 2) -> T:
        """reduce that merges on executors in a tree of `depth` levels. Raises ValueError when there is no record or depth < 1.

        >>> sc.parallelize([-5, -4, 1, 2, 3], 10).treeReduce(lambda a, b: a + b)
        -3
        """
        if depth < 1:
            raise ValueError(f"Depth cannot be smaller than 1 but got {depth}.")
        partial = self._narrow(ops.MapPartitions, functions.AsRecords(functions.Reduce(f)))
        parts = partial._merged_in_tree(f, depth)._apply(functions.Reduce(f))
        if not parts:
            raise ValueError("Cannot reduce empty RDD.")
        result: T = _merged(f, parts)
        return result

    def fold(self, zeroValue: T, op: Callable[[T, T], T]) -> T:
        """All records merged by `op`; each partition, and the merge of partitions, starts with a copy of `zeroValue`.

        >>> sc.parallelize([1, 2, 3, 4, 5]).fold(0, lambda a, b: a + b)
        15
        """
        parts = self._apply(functions.Fold(zeroValue, op))
        result: T = _merged(op, [copy.deepcopy(zeroValue), *parts])
        return result

    def aggregate(self, zeroValue: U, seqOp: Callable[[U, T], U], combOp: Callable[[U, U], U]) -> U:
        """`seqOp` merges records into a copy of `zeroValue` in each partition, `combOp` the partitions' results.

        >>> sc.parallelize([1, 2, 3, 4]).aggregate((0, 0), lambda s, x: (s[0] + x, s[1] + 1), lambda s, t: (s[0] + t[0], s[1] + t[1]))
        (10, 4)
        """
        parts = self._apply(functions.Fold(zeroValue, seqOp))
        result: U = _merged(combOp, [copy.deepcopy(zeroValue), *parts])
        return result

    def treeAggregate(self, zeroValue: U, seqOp: Callable[[U, T], U], combOp: Callable[[U, U], U], depth: int = 2) -> U:
        """aggregate that merges on executors in a tree of `depth` levels. Raises ValueError for depth < 1.

        >>> sc.parallelize(range(10), 10).treeAggregate(0, lambda a, b: a + b, lambda a, b: a + b)
        45
        """
        if depth < 1:
            raise ValueError(f"Depth cannot be smaller than 1 but got {depth}.")
        if self.getNumPartitions() == 0:
            return zeroValue
        partial = self._narrow(ops.MapPartitions, functions.AsRecords(functions.Fold(zeroValue, seqOp)))
        result: U = partial._merged_in_tree(combOp, depth).reduce(combOp)
        return result

    def _merged_in_tree(self, merge: Callable[[Any, Any], Any], depth: int) -> Actions[Any]:
        partial: Actions[Any] = self
        width = float(self.getNumPartitions())
        scale = max(int(-(-(width ** (1.0 / depth)) // 1)), 2)
        while width > scale + width / scale:
            width /= scale
            dealt = partial._narrow(ops.MapPartitions, functions.DealByIndex(int(width)), with_index=True)
            partial = dealt.reduceByKey(merge, int(width)).values()
        return partial

    def max(self, key: Callable[[T], Any] | None = None) -> T:
        """The largest record, by `key` where given. Raises ValueError when there is none.

        >>> sc.parallelize([1.0, 5.0, 43.0, 10.0]).max()
        43.0
        """
        largest: T = self._best(max, key)
        return largest

    def min(self, key: Callable[[T], Any] | None = None) -> T:
        """The smallest record, by `key` where given. Raises ValueError when there is none.

        >>> sc.parallelize([2.0, 5.0, 43.0, 10.0]).min()
        2.0
        """
        smallest: T = self._best(min, key)
        return smallest

    def _best(self, choose: Callable[..., Any], key: Callable[[Any], Any] | None) -> Any:
        parts = self._apply(functions.Best(choose, key))
        if not parts:
            raise ValueError("Can not reduce() empty RDD")
        try:
            return choose(parts, key=key)
        except TypeError as error:
            raise comparing.told(error, str(capture())) from None

    def sum(self: Actions[Any]) -> Any:
        """The sum of numbers; 0 of nothing.

        >>> sc.parallelize([1.0, 2.0, 3.0]).sum()
        6.0
        """
        # Not sum(): from Python 3.12 on it rounds differently, and PySpark adds partition by partition.
        return functools.reduce(operator.add, self._apply(functions.total), 0)

    def stats(self: Actions[Any]) -> StatCounter:
        """Count, mean, variance and extremes of numbers, in one pass.

        >>> sc.parallelize([1, 2, 3, 4]).stats()
        (count: 4, mean: 2.5, stdev: 1.118033988749895, max: 4.0, min: 1.0)
        """
        return functools.reduce(StatCounter.mergeStats, self._apply(functions.statistics_of), StatCounter())

    def mean(self: Actions[Any]) -> Any:
        """The mean of numbers.

        >>> sc.parallelize([1, 2, 3]).mean()
        2.0
        """
        return self.stats().mean()

    def variance(self: Actions[Any]) -> Any:
        """The variance of the whole population.

        >>> sc.parallelize([1, 2, 3, 4]).variance()
        1.25
        """
        return self.stats().variance()

    def stdev(self: Actions[Any]) -> Any:
        """The standard deviation of the whole population.

        >>> sc.parallelize([1, 1]).stdev()
        0.0
        """
        return self.stats().stdev()

    def sampleVariance(self: Actions[Any]) -> Any:
        """The variance, corrected for a sample (n - 1).

        >>> sc.parallelize([1, 2, 3]).sampleVariance()
        1.0
        """
        return self.stats().sampleVariance()

    def sampleStdev(self: Actions[Any]) -> Any:
        """The standard deviation, corrected for a sample.

        >>> sc.parallelize([1, 2, 3]).sampleStdev()
        1.0
        """
        return self.stats().sampleStdev()

    def reduceByKeyLocally(self: Actions[tuple[K, V]], func: Callable[[V, V], V]) -> dict[K, V]:
        """(key: its values merged by `func`) as a dictionary here; merged in each partition first. Raises ValueError without partitions.

        >>> sorted(sc.parallelize([("a", 1), ("b", 1), ("a", 1)]).reduceByKeyLocally(lambda a, b: a + b).items())
        [('a', 2), ('b', 1)]
        """
        parts = self._apply(functions.ReduceByKey(func))
        if not parts:
            raise ValueError("Can not reduce() empty RDD")
        merged: dict[K, V] = _merged(functions.ReduceByKey(func).merge, parts)
        return merged

    # ---- counts and extremes ----

    def countByValue(self: Actions[K]) -> dict[K, int]:
        """How often each record occurs, as a defaultdict.

        >>> sorted(sc.parallelize([1, 2, 1, 2, 2], 2).countByValue().items())
        [(1, 2), (2, 3)]
        """
        return _added_up(self._apply(functions.count_values))

    def countByKey(self: Actions[tuple[K, Any]]) -> dict[K, int]:
        """How many pairs each key has, as a defaultdict.

        >>> sorted(sc.parallelize([("a", 1), ("b", 1), ("a", 1)]).countByKey().items())
        [('a', 2), ('b', 1)]
        """
        return _added_up(self._apply(functions.count_keys))

    def top(self, num: int, key: Callable[[T], Any] | None = None) -> list[T]:
        """The `num` largest records, by `key` where given, largest first; none for a negative number.

        >>> sc.parallelize([10, 4, 2, 12, 3]).top(3)
        [12, 10, 4]
        """
        return self._extremes(functions.Largest(num, key), max(0, num))

    def takeOrdered(self, num: int, key: Callable[[T], Any] | None = None) -> list[T]:
        """The `num` smallest records, by `key` where given, smallest first. Raises ValueError for a negative number.

        >>> sc.parallelize([10, 1, 2, 9, 3, 4, 5, 6, 7], 2).takeOrdered(6, key=lambda x: -x)
        [10, 9, 7, 6, 5, 4]
        """
        return self._extremes(functions.Smallest(num, key), num)

    def _extremes(self, choose: functions.Largest | functions.Smallest, num: int) -> list[Any]:
        if num < 0:
            raise ValueError("top N cannot be negative.")
        if num == 0:
            return []
        records = [record for part in self._apply(choose) for record in part]
        try:
            return choose(records)
        except TypeError as error:
            raise comparing.told(error, str(capture())) from None

    # ---- effects ----

    def foreach(self, f: Callable[[T], Any]) -> None:
        """Call `f` with each record, on executors, for its effect there.

        >>> sc.parallelize([1, 2, 3]).foreach(lambda x: None)
        """
        self._apply(functions.ForEach(f))

    def foreachPartition(self, f: Callable[[Iterator[T]], Any]) -> None:
        """Call `f` with an iterator over each partition, on executors, for its effect there.

        >>> sc.parallelize([1, 2, 3]).foreachPartition(lambda part: None)
        """
        self._apply(functions.ForEachPartition(f))

    def saveAsTextFile(self, path: str, compressionCodecClass: str | None = None) -> None:
        """`str(record)` lines in files `part-00000`, …, one a partition, in the new folder `path`, and then an empty file `_SUCCESS`.

        Output is staged and renamed once: a job that fails leaves nothing. `compressionCodecClass` is gzip, bz2 or zstd, or the name
        of Hadoop's codec class. Raises OutputExists, PathUnreadable, BadSetting.

        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "out")
        >>> sc.parallelize(["a", "b"], 2).saveAsTextFile(path)
        >>> sorted(os.listdir(path))
        ['_SUCCESS', 'part-00000', 'part-00001']
        """
        save_text(self, path, compressionCodecClass, capture())

    def saveAsPickleFile(self, path: str, batchSize: int = 10) -> None:
        """The records in files `part-00000`, …, one a partition, which SparkContext.pickleFile reads; types are kept.

        `batchSize` records are pickled together (0: as many as make a good size). The files are signed with a key of yours
        (`quiver.pickle.key.file`), so that pickleFile can tell them from what others wrote. Staged and put in place as by
        saveAsTextFile. Raises OutputExists, PathUnreadable, BadSetting when the key's file can't be used; a job raises
        UnpicklableOutput.

        Differs from PySpark: a format of Quiver's own, not a Hadoop sequence file.

        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "out")
        >>> sc.parallelize([1, 2, "spark", "rdd"]).saveAsPickleFile(path, 3)
        >>> sorted(sc.pickleFile(path, 5).map(str).collect())
        ['1', '2', 'rdd', 'spark']
        """
        save_pickles(self, path, batchSize, pickle_key(self._context._conf), capture())


def _check_pair(record: Any, operator: str) -> None:
    """Raises NotAPair, or UnhashableKey, for what can't be put into a dictionary."""
    try:
        key, _ = record
    except (TypeError, ValueError):
        raise NotAPair(operator, shorten(record), type(record).__qualname__) from None
    try:
        hash(key)
    except TypeError:
        raise UnhashableKey(operator, type(key).__qualname__, shorten(record)) from None


def _added_up(parts: Iterable[dict[Any, int]]) -> dict[Any, int]:
    counts: dict[Any, int] = defaultdict(int)
    for part in parts:
        for value, times in part.items():
            counts[value] += times
    return counts


def _merged(f: Callable[[Any, Any], Any], parts: Iterable[Any]) -> Any:
    """functools.reduce with a user's function: a StopIteration of it would end loops of the program that calls us, as in tasks."""
    try:
        return functools.reduce(f, parts)
    except StopIteration as stop:
        raise RuntimeError("Caught StopIteration thrown from user's code; failing the action") from stop
