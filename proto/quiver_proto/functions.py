"""Functions of ours that run in slots: what operators and actions are made of beyond the stage vocabulary.

They live here, so that a slot which opens one imports nothing else. A user's function inside one is a plain attribute; the whole
is sealed with cloudpickle.
"""

from __future__ import annotations

import copy
import heapq
import random
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from itertools import count, islice, product
from typing import Any, Generic, TypeVar, cast

from quiver_proto.statistics import StatCounter

T_co = TypeVar("T_co", covariant=True)

Records = Iterator[Any]


class ResultIterable(Generic[T_co]):
    """A key's values after groupByKey or cogroup: can be iterated any number of times, and has a len()."""

    __slots__ = ("data",)

    def __init__(self, data: Iterable[T_co]) -> None:
        self.data = data

    def __iter__(self) -> Iterator[T_co]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(cast(Sized, self.data))

    def __repr__(self) -> str:
        return f"ResultIterable({self.data!r})"


# ---- records and values ----


def identity(value: Any) -> Any:
    return value


def key_of(pair: Any) -> Any:
    return pair[0]


def value_of(pair: Any) -> Any:
    return pair[1]


def with_none(record: Any) -> tuple[Any, None]:
    return record, None


def keep_first(first: Any, second: Any) -> Any:
    return first


def is_in_left_only(groups: Any) -> bool:
    """Of (key, (left values, right values))."""
    return bool(groups[1][0]) and not groups[1][1]


def is_in_both(groups: Any) -> bool:
    return bool(groups[1][0]) and bool(groups[1][1])


def left_values(groups: Any) -> Any:
    return groups[0]


def repeat_key(groups: Any) -> list[Any]:
    """(key, (left values, right values)) -> the key, once per left value."""
    return [groups[0]] * len(groups[1][0])


def wrap_groups(groups: Any) -> tuple[ResultIterable[Any], ...]:
    return tuple(ResultIterable(group) for group in groups)


def join_inner(groups: Any) -> Iterable[Any]:
    return product(groups[0], groups[1])


def join_left(groups: Any) -> Iterable[Any]:
    return product(groups[0], groups[1] or (None,))


def join_right(groups: Any) -> Iterable[Any]:
    return product(groups[0] or (None,), groups[1])


def join_full(groups: Any) -> Iterable[Any]:
    return product(groups[0] or (None,), groups[1] or (None,))


@dataclass(frozen=True, slots=True)
class FirstCombiner:
    """createCombiner of aggregateByKey and foldByKey: the zero value, fresh for each key, with the first value merged into it."""

    zero: Any
    merge: Callable[[Any, Any], Any]
    is_constant: bool = field(init=False)
    """A deep copy of the zero value is the value itself: one that can't be changed needs no copies."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_constant", copy.deepcopy(self.zero) is self.zero)

    def __call__(self, value: Any) -> Any:
        return self.merge(self.zero if self.is_constant else copy.deepcopy(self.zero), value)


@dataclass(frozen=True, slots=True)
class KeyIs:
    """Does a pair have this key?"""

    key: Any

    def __call__(self, pair: Any) -> bool:
        return bool(pair[0] == self.key)


class PlaceInRange:
    """The partition of a key after sortByKey: where it stands between the bounds, counted from the other end when descending."""

    __slots__ = ("_ascending", "_bounds", "_key")

    def __init__(self, bounds: Sequence[Any], key: Callable[[Any], Any] | None, ascending: bool) -> None:
        self._bounds, self._key, self._ascending = bounds, key, ascending

    def __call__(self, key: Any) -> int:
        place = bisect_left(self._bounds, key if self._key is None else self._key(key))
        return place if self._ascending else len(self._bounds) - place


# ---- whole partitions, lazily: records in, records out ----


def glom(records: Records) -> Records:
    yield list(records)


@dataclass(frozen=True, slots=True)
class IndexFrom:
    """(record, index), the first record of partition i numbered `starts[i]`."""

    starts: tuple[int, ...]

    def __call__(self, partition: int, records: Records) -> Records:
        return zip(records, count(self.starts[partition]))


@dataclass(frozen=True, slots=True)
class UniqueIds:
    """(record, id): ids partition, partition + width, partition + 2 * width, …"""

    width: int

    def __call__(self, partition: int, records: Records) -> Records:
        return zip(records, count(partition, self.width))


@dataclass(frozen=True, slots=True)
class DealByIndex:
    """Each record with key `partition % width`: neighbours of a tree are merged together."""

    width: int

    def __call__(self, partition: int, records: Records) -> Records:
        key = partition % self.width
        return ((key, record) for record in records)


@dataclass(frozen=True, slots=True)
class AsRecords:
    """A function from a partition to one value, as an operator that yields it; nothing where the value is NOTHING."""

    function: Callable[[Records], Any]

    def __call__(self, records: Records) -> Records:
        value = self.function(records)
        if value is not NOTHING:
            yield value


# ---- whole partitions, eagerly: records in, the action's partial result out ----


class Nothing:
    """The partial result of a partition without records. One object in every process."""

    def __reduce__(self) -> str:
        return "NOTHING"

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING = Nothing()


@dataclass(frozen=True, slots=True)
class Reduce:
    """`function` over the records from left to right; NOTHING for none."""

    function: Callable[[Any, Any], Any]

    def __call__(self, records: Records) -> Any:
        function = self.function
        for result in records:
            for record in records:
                result = function(result, record)
            return result
        return NOTHING


@dataclass(frozen=True, slots=True)
class Fold:
    """`function(accumulator, record)` from a zero of its own."""

    zero: Any
    function: Callable[[Any, Any], Any]

    def __call__(self, records: Records) -> Any:
        result, function = copy.deepcopy(self.zero), self.function
        for record in records:
            result = function(result, record)
        return result


@dataclass(frozen=True, slots=True)
class Take:
    """The first `limit` records."""

    limit: int

    def __call__(self, records: Records) -> list[Any]:
        return list(islice(records, self.limit))


@dataclass(frozen=True, slots=True)
class Largest:
    limit: int
    key: Callable[[Any], Any] | None

    def __call__(self, records: Iterable[Any]) -> list[Any]:
        return heapq.nlargest(self.limit, records, key=self.key)


@dataclass(frozen=True, slots=True)
class Smallest:
    limit: int
    key: Callable[[Any], Any] | None

    def __call__(self, records: Iterable[Any]) -> list[Any]:
        return heapq.nsmallest(self.limit, records, key=self.key)


@dataclass(frozen=True, slots=True)
class Best:
    """`choose` is max or min."""

    choose: Callable[..., Any]
    key: Callable[[Any], Any] | None

    def __call__(self, records: Records) -> Any:
        return self.choose(records, key=self.key, default=NOTHING)


def total(records: Records) -> Any:
    return sum(records)


def length(records: Records) -> int:
    return sum(1 for _ in records)


def statistics_of(records: Records) -> StatCounter:
    return StatCounter(records)


def count_values(records: Records) -> dict[Any, int]:
    counts: dict[Any, int] = defaultdict(int)
    for record in records:
        counts[record] += 1
    return dict(counts)


def count_keys(records: Records) -> dict[Any, int]:
    return count_values(map(key_of, records))


@dataclass(frozen=True, slots=True)
class ReduceByKey:
    """key -> its values merged, of (key, value) pairs."""

    function: Callable[[Any, Any], Any]

    def __call__(self, records: Records) -> dict[Any, Any]:
        return self._add({}, records)

    def merge(self, first: dict[Any, Any], second: dict[Any, Any]) -> dict[Any, Any]:
        return self._add(first, second.items())

    def _add(self, merged: dict[Any, Any], pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
        function = self.function
        for key, value in pairs:
            merged[key] = function(merged[key], value) if key in merged else value
        return merged


@dataclass(frozen=True, slots=True)
class ForEach:
    """Calls the function for its effect."""

    function: Callable[[Any], Any]

    def __call__(self, records: Records) -> None:
        function = self.function
        for record in records:
            function(record)


@dataclass(frozen=True, slots=True)
class ForEachPartition:
    """Calls the function with the iterator; what it may return is dropped, but a generator is run to its end."""

    function: Callable[[Records], Any]

    def __call__(self, records: Records) -> None:
        result = self.function(records)
        if isinstance(result, Iterator):
            for _ in result:
                pass


@dataclass(frozen=True, slots=True)
class SampleKeys:
    """(how many records, up to `limit` of their sort keys, drawn evenly): a reservoir that skips what it does not take.

    The same at every attempt: the seed is the partition's index.
    """

    limit: int
    key: Callable[[Any], Any] | None

    def __call__(self, partition: int, records: Records) -> tuple[int, list[Any]]:
        chance = random.Random(partition)
        reservoir = [pair[0] for pair in islice(records, self.limit)]
        seen = len(reservoir)
        if seen == self.limit:
            weight = chance.random() ** (1 / self.limit)
            while True:
                # Algorithm L (Li, 1994): the gap to the next record that enters is geometric.
                skip = geometric(chance, weight)
                passed = _advance(records, skip)
                seen += passed
                if passed < skip:
                    break
                pair: Any = next(records, NOTHING)
                if pair is NOTHING:
                    break
                seen += 1
                reservoir[chance.randrange(self.limit)] = pair[0]
                weight *= chance.random() ** (1 / self.limit)
        return seen, reservoir if self.key is None else list(map(self.key, reservoir))


def _advance(records: Records, steps: int) -> int:
    """Drop up to so many records; how many there were."""
    steps_taken = count()
    deque(zip(islice(records, steps), steps_taken), maxlen=0)
    return next(steps_taken)


def geometric(chance: random.Random, weight: float) -> int:
    """How many records a reservoir of such a weight passes over."""
    from math import log, log1p

    denominator = log1p(-weight) if weight < 1 else float("-inf")
    if denominator == 0:
        return 1 << 62
    return int(log(1 - chance.random()) / denominator)
