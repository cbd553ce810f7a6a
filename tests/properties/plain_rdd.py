"""What PySpark's RDD means, in plain Python lists: the model that Quiver is compared with. Nothing here is lazy, parallel or clever.

Where PySpark promises an order, `ordered` is true and answers are exact. Where it doesn't, answers are `Bag`s: equal as multisets.
Functions given to it must not tell equal values apart (1, 1.0 and True), since any of them may stand for the others as a key.
"""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Function = Callable[..., Any]


def rank(value: Any) -> Any:
    """A sort key that orders values of any type that occurs in these tests. Equal values have equal ranks."""
    match value:
        case None:
            return (0,)
        case int() | float():
            return (1, value)
        case str():
            return (2, value)
        case bytes():
            return (3, value)
        case tuple() | list():
            return (4, [rank(each) for each in value])
    raise TypeError(f"no rank for {value!r}")


def bag(values: Iterable[Any]) -> tuple[Any, ...]:
    """The values of a group, whose order is not promised, in an order that depends on nothing else."""
    return tuple(sorted(values, key=rank))


class Bag:
    """Records in no promised order; equal to any list of the same records. `least`, `most`: how many of them there may be."""

    def __init__(self, records: Iterable[Any], size: int | None = None) -> None:
        self.records = list(records)
        self.size = len(self.records) if size is None else size

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, list) or len(other) != self.size:
            return False
        left = sorted(self.records, key=rank)
        for record in sorted(other, key=rank):
            while left and left[0] != record:
                left.pop(0)
            if not left:
                return False
            left.pop(0)
        return True

    def __repr__(self) -> str:
        return f"{self.size} of {self.records} in any order"


class PlainRDD:
    """`records` as collect() gives them; `ordered`: in this order; `placed`: perhaps partitioned by key, so that a union with another
    such dataset may interleave them.
    """

    def __init__(self, records: Iterable[Any], ordered: bool = True, placed: bool = False) -> None:
        self.records = list(records)
        self.ordered = ordered
        self.placed = placed

    def _same_order(self, records: Iterable[Any], placed: bool = False) -> PlainRDD:
        return PlainRDD(records, self.ordered, placed)

    def _any_order(self, records: Iterable[Any]) -> PlainRDD:
        return PlainRDD(records, ordered=False, placed=True)

    def _answer(self, records: list[Any]) -> Any:
        return records if self.ordered else Bag(records)

    # ---- narrow ----

    def map(self, f: Function) -> PlainRDD:
        return self._same_order(f(x) for x in self.records)

    def flatMap(self, f: Function) -> PlainRDD:
        return self._same_order(y for x in self.records for y in f(x))

    def filter(self, f: Function) -> PlainRDD:
        return self._same_order((x for x in self.records if f(x)), self.placed)

    def mapPartitions(self, f: Function) -> PlainRDD:
        """`f` must not care where partitions end."""
        return self._same_order(f(iter(self.records)))

    def mapPartitionsWithIndex(self, f: Function) -> PlainRDD:
        """`f` must not care where partitions end, nor for the index."""
        return self._same_order(f(0, iter(self.records)))

    def keyBy(self, f: Function) -> PlainRDD:
        return self._same_order((f(x), x) for x in self.records)

    def glom(self) -> PlainRDD:
        """To be flattened again: where partitions end is not modelled."""
        return self._same_order([self.records])

    def keys(self) -> PlainRDD:
        return self._same_order(k for k, _ in self.records)

    def values(self) -> PlainRDD:
        return self._same_order(v for _, v in self.records)

    def mapValues(self, f: Function) -> PlainRDD:
        return self._same_order(((k, f(v)) for k, v in self.records), self.placed)

    def flatMapValues(self, f: Function) -> PlainRDD:
        return self._same_order(((k, w) for k, v in self.records for w in f(v)), self.placed)

    def zipWithIndex(self) -> PlainRDD:
        assert self.ordered
        return PlainRDD((x, i) for i, x in enumerate(self.records))

    def zip(self, other: PlainRDD) -> PlainRDD:
        assert self.ordered
        assert other.ordered
        return PlainRDD(zip(self.records, other.records, strict=True))

    def _unchanged(self, *_: Any) -> PlainRDD:
        return self

    cache = persist = checkpoint = localCheckpoint = unpersist = setName = _unchanged

    # ---- several datasets ----

    def union(self, other: PlainRDD) -> PlainRDD:
        ordered = self.ordered and other.ordered and not (self.placed and other.placed)
        return PlainRDD(self.records + other.records, ordered, self.placed and other.placed)

    def cartesian(self, other: PlainRDD) -> PlainRDD:
        return self._any_order((x, y) for x in self.records for y in other.records)

    def intersection(self, other: PlainRDD) -> PlainRDD:
        return self._any_order(set(self.records) & set(other.records))

    def subtract(self, other: PlainRDD) -> PlainRDD:
        return self._any_order(x for x in self.records if x not in set(other.records))

    # ---- wide ----

    def distinct(self, n: int | None = None) -> PlainRDD:
        return self._any_order(set(self.records))

    def repartition(self, n: int) -> PlainRDD:
        return PlainRDD(self.records, ordered=False)

    def coalesce(self, n: int) -> PlainRDD:
        return self._same_order(self.records)

    def partitionBy(self, n: int) -> PlainRDD:
        return self._any_order(self.records)

    def sortBy(self, keyfunc: Function, ascending: bool = True, n: int | None = None) -> PlainRDD:
        """Stable. Of records that come in no order, those with equal keys stay in none, unless `keyfunc` is `rank`: then they are equal."""
        return PlainRDD(sorted(self.records, key=keyfunc, reverse=not ascending), self.ordered or keyfunc is rank, placed=True)

    def sortByKey(self, ascending: bool = True, n: int | None = None, keyfunc: Function = rank) -> PlainRDD:
        pairs = sorted(self.records, key=lambda pair: keyfunc(pair[0]), reverse=not ascending)
        return PlainRDD(pairs, self.ordered, placed=True)

    def _grouped(self) -> dict[Any, list[Any]]:
        groups: dict[Any, list[Any]] = defaultdict(list)
        for key, value in self.records:
            groups[key].append(value)
        return groups

    def groupBy(self, f: Function, n: int | None = None) -> PlainRDD:
        return self.keyBy(f).groupByKey()

    def groupByKey(self, n: int | None = None) -> PlainRDD:
        return self._any_order(self._grouped().items())

    def reduceByKey(self, f: Function, n: int | None = None) -> PlainRDD:
        return self._any_order((k, functools.reduce(f, values)) for k, values in self._grouped().items())

    def foldByKey(self, zero: Any, f: Function, n: int | None = None) -> PlainRDD:
        """`zero` must be neutral: it is used once a partition."""
        return self._any_order((k, functools.reduce(f, values, zero)) for k, values in self._grouped().items())

    def aggregateByKey(self, zero: Any, seq: Function, comb: Function, n: int | None = None) -> PlainRDD:
        """`zero` must be neutral, and `comb` agree with `seq`."""
        return self._any_order((k, functools.reduce(seq, values, zero)) for k, values in self._grouped().items())

    def combineByKey(self, create: Function, merge: Function, merge_combiners: Function, n: int | None = None) -> PlainRDD:
        """`merge_combiners` must agree with `create` and `merge`."""
        return self._any_order((k, functools.reduce(merge, rest, create(first))) for k, (first, *rest) in self._grouped().items())

    def _both(self, other: PlainRDD) -> Iterator[tuple[Any, list[Any], list[Any]]]:
        here, there = self._grouped(), other._grouped()
        for key in here | there:
            yield key, here.get(key, []), there.get(key, [])

    def cogroup(self, other: PlainRDD, n: int | None = None) -> PlainRDD:
        return self._any_order((k, (here, there)) for k, here, there in self._both(other))

    groupWith = cogroup

    def join(self, other: PlainRDD, n: int | None = None) -> PlainRDD:
        return self._any_order((k, (v, w)) for k, here, there in self._both(other) for v in here for w in there)

    def leftOuterJoin(self, other: PlainRDD, n: int | None = None) -> PlainRDD:
        return self._any_order((k, (v, w)) for k, here, there in self._both(other) for v in here for w in there or [None])

    def rightOuterJoin(self, other: PlainRDD, n: int | None = None) -> PlainRDD:
        return self._any_order((k, (v, w)) for k, here, there in self._both(other) for v in here or [None] for w in there)

    def fullOuterJoin(self, other: PlainRDD, n: int | None = None) -> PlainRDD:
        return self._any_order((k, (v, w)) for k, here, there in self._both(other) for v in here or [None] for w in there or [None])

    def subtractByKey(self, other: PlainRDD, n: int | None = None) -> PlainRDD:
        return self._any_order((k, v) for k, v in self.records if k not in other._grouped())

    # ---- actions ----

    def collect(self) -> Any:
        return self._answer(self.records)

    def toLocalIterator(self) -> Any:
        return self._answer(self.records)

    def count(self) -> int:
        return len(self.records)

    def isEmpty(self) -> bool:
        return not self.records

    def take(self, n: int) -> Any:
        return self.records[:n] if self.ordered else Bag(self.records, min(n, len(self.records)))

    def reduce(self, f: Function) -> Any:
        return functools.reduce(f, self.records)

    def treeReduce(self, f: Function) -> Any:
        return functools.reduce(f, self.records)

    def fold(self, zero: Any, f: Function) -> Any:
        return functools.reduce(f, self.records, zero)

    def aggregate(self, zero: Any, seq: Function, comb: Function) -> Any:
        return functools.reduce(seq, self.records, zero)

    treeAggregate = aggregate

    def max(self, key: Function) -> Any:
        return max(self.records, key=key)

    def min(self, key: Function) -> Any:
        return min(self.records, key=key)

    def sum(self) -> Any:
        return sum(self.records)

    def top(self, n: int, key: Function) -> list[Any]:
        return sorted(self.records, key=key, reverse=True)[:n]

    def takeOrdered(self, n: int, key: Function) -> list[Any]:
        return sorted(self.records, key=key)[:n]

    def countByValue(self) -> dict[Any, int]:
        return Counter(self.records)

    def countByKey(self) -> dict[Any, int]:
        return Counter(k for k, _ in self.records)

    def lookup(self, key: Any) -> Any:
        return self._answer([v for k, v in self.records if k == key])

    def reduceByKeyLocally(self, f: Function) -> dict[Any, Any]:
        return {k: functools.reduce(f, values) for k, values in self._grouped().items()}
