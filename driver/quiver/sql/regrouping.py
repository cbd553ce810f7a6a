"""Fragments read anew: which of their partitions one task reads together, and which are read by several tasks. Pure.

A *reading* is one task's part of a fragment: partitions `start` to `stop` of it, of shuffle `split` only what some map tasks left. A
fragment may be regrouped where what it reads are exchanges by hash: partitions put together still have all rows of their keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from quiver_proto.fragments import BY_RIGHT, COLLECT_LEFT, SCANS, SINGLE, Exchange, body_of, copied, exchange_of, kind_of, width
from quiver_proto.v1.kernel_pb2 import FileGroup, Plan


class Split(NamedTuple):
    """The outputs of `many` map tasks of a shuffle, from `first` on."""

    shuffle_id: int
    first: int
    many: int


class Reading(NamedTuple):
    """Partitions `start` to `stop` (exclusive) of a fragment; with `split`, of that shuffle just some map tasks' part."""

    start: int
    stop: int
    split: Split | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """Neighbouring partitions that may be put together (`weights`: what each reads of shuffles, in bytes), or may not (None)."""

    width: int
    weights: tuple[int, ...] | None = None


class ShuffleSizes:
    """Bytes of each piece of each map output of a shuffle."""

    __slots__ = ("maps", "pieces")

    def __init__(self, maps: Sequence[Sequence[int]]) -> None:
        self.maps = maps
        """By map output, then by piece."""
        self.pieces: list[int] = [sum(column) for column in zip(*maps, strict=True)]
        """Of each piece, over all map outputs."""

    @property
    def total(self) -> int:
        return sum(self.pieces)

    def read_by(self, exchange: Exchange) -> int:
        """What one partition of a fragment reads."""
        chosen = slice(exchange.number, exchange.number + exchange.many)
        if exchange.by_map:
            return sum(map(sum, self.maps[chosen]))
        if exchange.maps is None:
            return sum(self.pieces[chosen])
        first, count = exchange.maps
        return sum(sum(pieces[chosen]) for pieces in self.maps[first : first + count])


def segments(plan: Plan, known: Mapping[int, ShuffleSizes]) -> list[Segment]:
    """The fragment's partitions in order, as far as sizes are `known`."""
    kind, body = kind_of(plan), body_of(plan)
    if kind in SCANS:
        groups = body.base_conf.file_groups
        weights = [_weight(group, known) for group in groups]
        return [Segment(len(groups), None if None in weights else tuple(weight or 0 for weight in weights))]
    if kind in SINGLE or (kind == "sort" and not body.preserve_partitioning):
        return [Segment(1)]
    if kind == "union":
        return [segment for branch in body.inputs for segment in segments(branch, known)]
    if kind in BY_RIGHT:
        right = segments(body.right, known)
        if not is_partitioned(plan):
            return right
        left = segments(body.left, known)
        if len(left) == len(right) == 1 and left[0].width == right[0].width:
            both: tuple[int, ...] | None = None
            if left[0].weights is not None and right[0].weights is not None:
                both = tuple(map(sum, zip(left[0].weights, right[0].weights, strict=True)))
            return [Segment(right[0].width, both)]
        return [Segment(width(plan))]
    if kind in ("memory_scan", "repartition", "interleave"):
        return [Segment(width(plan))]
    return segments(body.input, known)


def _weight(group: FileGroup, known: Mapping[int, ShuffleSizes]) -> int | None:
    if not group.files:
        return 0
    exchange = exchange_of(group)
    return None if exchange is None or exchange.by_map or exchange.shuffle_id not in known else known[exchange.shuffle_id].read_by(exchange)


def is_partitioned(plan: Plan) -> bool:
    """Whether partition n of this join meets partition n of both sides."""
    kind = kind_of(plan)
    return kind in ("sort_merge_join", "symmetric_hash_join") or (kind == "hash_join" and plan.hash_join.partition_mode != COLLECT_LEFT)


def regrouped(plan: Plan, readings: Sequence[Reading]) -> Plan:
    """The fragment with one partition per reading. Readings must not put together what `segments` keeps apart."""
    result = copied(plan)
    _regroup(result, readings)
    return result


def is_identity(readings: Sequence[Reading]) -> bool:
    return all(reading == Reading(number, number + 1) for number, reading in enumerate(readings))


def _regroup(plan: Plan, readings: Sequence[Reading]) -> None:
    kind, body = kind_of(plan), body_of(plan)
    if kind in SCANS:
        groups = [_group(body.base_conf.file_groups[reading.start : reading.stop], reading.split) for reading in readings]
        del body.base_conf.file_groups[:]
        body.base_conf.file_groups.extend(groups)
    elif kind == "memory_scan" or kind in SINGLE or (kind == "sort" and not body.preserve_partitioning):
        assert is_identity(readings), kind
    elif kind == "union":
        first = 0
        for branch in body.inputs:
            stop = first + width(branch)
            own = [Reading(r.start - first, r.stop - first, r.split) for r in readings if first <= r.start < stop]
            first = stop
            _regroup(branch, own)
    elif kind in BY_RIGHT:
        if is_partitioned(plan):
            _regroup(body.left, readings)
        _regroup(body.right, readings)
    else:
        _regroup(body.input, readings)


def _group(groups: Sequence[FileGroup], split: Split | None) -> FileGroup:
    result = FileGroup()
    exchanges = [exchange for group in groups if (exchange := exchange_of(group)) is not None]
    if exchanges:
        first = exchanges[0]
        maps = first.maps if split is None or split.shuffle_id != first.shuffle_id else (split.first, split.many)
        many = sum(exchange.many for exchange in exchanges)
        result.files.add(path=first._replace(many=many, maps=maps).path, size=1)
    else:
        for group in groups:
            result.files.extend(group.files)
    return result
