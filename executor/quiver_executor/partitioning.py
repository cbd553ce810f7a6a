"""Which reduce partition a record goes to: one decision per batch, one short loop over it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple, assert_never

from quiver_executor.columnar import Places
from quiver_executor.functions import Functions, is_identity
from quiver_executor.kernels import hash_places, range_places
from quiver_executor.task import Task
from quiver_proto import ops
from quiver_proto.columns import Column, column_of
from quiver_proto.errors import BadPartitionNumber, NotAPair, UnhashableKey
from quiver_proto.frames import load
from quiver_proto.hashing import is_plain, portable_hash
from quiver_proto.ops import CallSite
from quiver_proto.shorten import shorten

key_of = itemgetter(0)

Scatter = Callable[[Sequence[Any], list[list[Any]]], None]
"""Append each pair to the list of its partition."""


class Placement(NamedTuple):
    """How a task places pairs."""

    width: int
    scatter: Scatter
    places: Places | None
    """The same by kernels, for a column of keys; None where users' code decides."""


def compile_partitioner(partitioner: ops.Partitioner, functions: Functions) -> Callable[[Task], Placement]:
    """For a task: what places pairs by their keys. RoundRobin has none: it places records by their number."""
    width = partitioner.width
    match partitioner:
        case ops.HashPartitioner():
            return lambda task: Placement(width, partial(_by_hash, width), lambda keys: hash_places(keys, width))
        case ops.FunctionPartitioner():
            number = functions.add(partitioner.function)
            return lambda task: Placement(width, partial(_by_function, task.f[number], width), None)
        case ops.RangePartitioner():
            bounds: list[Any] = []
            columns: list[Column | None] = []
            key = None if partitioner.key is None else functions.add(partitioner.key)

            def place(task: Task) -> Placement:
                if not bounds:
                    bounds.extend(load(partitioner.bounds))
                function = None if key is None else task.f[key]
                if function is not None and is_identity(function):
                    function = None
                scatter = partial(_by_range, bounds, width, function, partitioner.ascending)
                return Placement(width, scatter, places if function is None and bounds else None)

            def places(keys: Column) -> Any:
                if not columns:
                    columns.append(column_of(bounds))
                return None if columns[0] is None else range_places(keys, columns[0], partitioner.ascending)

            return place
        case ops.RoundRobin():
            raise AssertionError("records are dealt, not placed")
        case _:
            assert_never(partitioner)


def _by_hash(width: int, pairs: Sequence[Any], lists: list[list[Any]]) -> None:
    if is_plain(set(map(type, map(key_of, pairs)))):
        for pair in pairs:
            lists[hash(pair[0]) % width].append(pair)
    else:
        for pair in pairs:
            lists[portable_hash(pair[0]) % width].append(pair)


def _by_function(function: Callable[[Any], int], width: int, pairs: Sequence[Any], lists: list[list[Any]]) -> None:
    for pair in pairs:
        number = function(pair[0])
        try:
            lists[number % width].append(pair)
        except TypeError:
            raise BadPartitionNumber(shorten(pair[0]), shorten(number)) from None


def _by_range(
    bounds: list[Any],
    width: int,
    function: Callable[[Any], Any] | None,
    ascending: bool,
    pairs: Sequence[Any],
    lists: list[list[Any]],
) -> None:
    last = width - 1
    if function is not None:
        for pair in pairs:
            place = bisect_left(bounds, function(pair[0]))
            lists[place if ascending else last - place].append(pair)
    elif ascending:
        for pair in pairs:
            lists[bisect_left(bounds, pair[0])].append(pair)
    else:
        for pair in pairs:
            lists[last - bisect_left(bounds, pair[0])].append(pair)


def as_pairs(batch: list[Any], site: CallSite, first_two: bool = False) -> list[tuple[Any, Any]]:
    """`batch` itself when all of it are tuples of two; other sequences of two become tuples. Raises NotAPair for the first that is none.

    `first_two`: of longer sequences the first two items are taken.
    """
    if set(map(type, batch)) == {tuple} and set(map(len, batch)) == {2}:
        return batch
    pairs = []
    for record in batch:
        try:
            key, value = record
        except (TypeError, ValueError):
            try:
                key, value = record[:2] if first_two else record
            except (TypeError, ValueError):
                raise not_a_pair(site, record) from None
        pairs.append((key, value))
    return pairs


def not_a_pair(site: CallSite, record: Any) -> NotAPair:
    return NotAPair(str(site), shorten(record), type(record).__qualname__)


def is_pair(record: Any) -> bool:
    try:
        _, _ = record
    except (TypeError, ValueError):
        return False
    return True


def unhashable(site: CallSite, record: Any) -> UnhashableKey | None:
    """The error for a pair whose key can't be hashed; None when it can."""
    try:
        hash(record[0])
    except TypeError:
        return UnhashableKey(str(site), type(record[0]).__qualname__, shorten(record))
    return None
