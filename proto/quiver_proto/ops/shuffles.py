"""Which reduce partition a record goes to, and how a reduce task puts its pieces together."""

from __future__ import annotations

from dataclasses import dataclass

from quiver_proto.ops.functions import Aggregator, Function

# ---- partitioners: key -> reduce partition in range(width) ----


@dataclass(frozen=True, slots=True)
class HashPartitioner:
    """`portable_hash(key) % width`."""

    width: int


@dataclass(frozen=True, slots=True)
class FunctionPartitioner:
    """`function(key) % width`, as PySpark's partitionBy(n, partitionFunc)."""

    width: int
    function: Function


@dataclass(frozen=True, slots=True)
class RangePartitioner:
    """Bisect into `bounds` (a frame of width-1 keys, already passed through `key` where there is one), reversed when descending."""

    width: int
    bounds: bytes
    key: Function | None
    ascending: bool


@dataclass(frozen=True, slots=True)
class RoundRobin:
    """Records, not keys: partition of the n-th record of map partition p is (p + n) % width.

    In a stage that reads a shuffle, whose order may differ between attempts, what the record holds decides instead of n.
    """

    width: int


@dataclass(frozen=True, slots=True)
class KernelPartitioner:
    """Record batches, left as a shuffle file with typed columns: `width` pieces by the kernel's hash partitioning (`hash`, serialised), or
    one (empty). `schema` is the Arrow schema of the batches, serialised.
    """

    width: int
    hash: bytes
    schema: bytes


Partitioner = HashPartitioner | FunctionPartitioner | RangePartitioner | RoundRobin


# ---- how a reduce task puts its pieces together ----


@dataclass(frozen=True, slots=True)
class Concatenate:
    """Records as the map tasks wrote them, map outputs in order."""


@dataclass(frozen=True, slots=True)
class Combine:
    """(k, combiner), each key once. `combined`: the map side has already made combiners."""

    aggregator: Aggregator
    combined: bool


@dataclass(frozen=True, slots=True)
class Group:
    """(k, list of values), each key once, values in map order."""


@dataclass(frozen=True, slots=True)
class CoGroup:
    """(k, (list of values from shuffle 0, list from shuffle 1, ...)), each key of any side once."""


@dataclass(frozen=True, slots=True)
class Sort:
    """Records ordered by `key(record key)`; stable between equal keys in map order. Spills to disk beyond the slot's memory."""

    key: Function | None
    ascending: bool


Merge = Concatenate | Combine | Group | CoGroup | Sort
