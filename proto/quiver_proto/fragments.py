"""Fragments: pieces of a DataFusion physical plan, as both sides of the wire handle them.

A fragment reads files, and *exchanges*: what an earlier stage left. An exchange is an Arrow scan whose file groups, one per partition
of the fragment, hold one placeholder path each:

    exchange/<shuffle id>/partition/<n>   piece n of every map output
    exchange/<shuffle id>/map/<n>         the only piece of map output n: sorted runs, one group each, for a sort-preserving merge

`<n>+<count>` stands for so many of them from n on, and `/maps/<a>+<count>` after it for the outputs of these map tasks only.

The kernel's wire format is no contract between its versions: the version is pinned and part of the handshake, and the descriptors
(v1/kernel.proto) hold only what is touched here; everything else passes through as unknown fields.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from quiver_proto.errors import MalformedMessage, UnsupportedPlan
from quiver_proto.v1.kernel_pb2 import FileGroup, FileScan, PartitionedFile, Plan

SCANS = frozenset({"parquet_scan", "csv_scan", "json_scan", "avro_scan", "arrow_scan"})
PASSING = frozenset(
    {"projection", "local_limit", "aggregate", "coalesce_batches", "filter", "window", "unnest", "cooperative", "async_func", "buffer"}
)
"""One input, as many partitions as it has."""
SINGLE = frozenset({"merge", "sort_preserving_merge", "global_limit", "empty", "placeholder_row", "generate_series"})
"""One partition, whatever is below."""
BY_RIGHT = frozenset({"hash_join", "nested_loop_join", "cross_join", "sort_merge_join", "symmetric_hash_join"})
"""Joins: as many partitions as the right input has."""


class JoinType(IntEnum):
    """As the kernel numbers them."""

    INNER, LEFT, RIGHT, FULL, LEFT_SEMI, LEFT_ANTI, RIGHT_SEMI, RIGHT_ANTI, LEFT_MARK, RIGHT_MARK = range(10)


COLLECT_LEFT, PARTITIONED = 0, 1
"""Modes of a hash join."""

MISSING_IS_EMPTY, UNREADABLE_IS_EMPTY, SCHEMA_UNKNOWN = 1, 2, 4
"""Bits of PartitionedFile.checks: a file that is gone, or is no file of its format, has no rows instead of failing the task; whether its
columns have the types that the scan expects has to be seen first."""

_PREFIX = "exchange/"


class Exchange(NamedTuple):
    """What one partition of a fragment reads of a shuffle: `many` pieces from `number` on of all map outputs, or (`by_map`) all of
    `many` map outputs from `number` on.

    `maps`: (first, count) of the map outputs whose pieces are meant; None for all.
    """

    shuffle_id: int
    by_map: bool
    number: int
    many: int = 1
    maps: tuple[int, int] | None = None

    @property
    def path(self) -> str:
        some = "" if self.maps is None else f"/maps/{self.maps[0]}+{self.maps[1]}"
        rest = "" if self.many == 1 else f"+{self.many}"
        return f"{_PREFIX}{self.shuffle_id}/{'map' if self.by_map else 'partition'}/{self.number}{rest}{some}"


def parse(data: bytes) -> Plan:
    """Raises MalformedMessage."""
    try:
        return Plan.FromString(data)
    except DecodeError as problem:
        raise MalformedMessage("physical plan", str(problem)) from None


def kind_of(plan: Plan) -> str:
    """The node's name. Raises UnsupportedPlan for one that is not known here."""
    kind = plan.WhichOneof("node")
    if kind is None:
        raise UnsupportedPlan("an operator that can't be cut into stages")
    return kind


def body_of(plan: Plan) -> Any:
    """The node's own message."""
    return getattr(plan, kind_of(plan))


def copied(plan: Plan) -> Plan:
    copy = Plan()
    copy.CopyFrom(plan)
    return copy


def children(plan: Plan) -> list[Plan]:
    """Direct inputs, left to right; a scalar subquery's own plans last."""
    kind = kind_of(plan)
    single, several = _places_below(kind)
    body = getattr(plan, kind)
    found = [getattr(body, name) for name in single if body.HasField(name)]
    for name in several:
        found += getattr(body, name)
    return found


@functools.cache
def _places_below(kind: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The fields of a node that hold one input, and those that hold several."""
    body = Plan.DESCRIPTOR.fields_by_name[kind].message_type
    assert body is not None
    single, several = (
        tuple(name for name in names if name in body.fields_by_name) for names in (("input", "left", "right"), ("inputs", "subqueries"))
    )
    return single, several


def width(plan: Plan) -> int:
    """How many partitions the plan has."""
    kind, body = kind_of(plan), body_of(plan)
    if kind in SCANS:
        return len(body.base_conf.file_groups)
    if kind in SINGLE:
        return 1
    if kind in PASSING or kind == "scalar_subquery":
        return width(body.input)
    if kind in BY_RIGHT:
        return width(body.right)
    match kind:
        case "memory_scan":
            return len(body.partitions)
        case "sort":
            return width(body.input) if body.preserve_partitioning else 1
        case "repartition":
            scheme = body.partitioning.WhichOneof("scheme")
            return int(body.partitioning.hash.partition_count if scheme == "hash" else getattr(body.partitioning, scheme))
        case "union":
            return sum(map(width, body.inputs))
        case "interleave":
            return width(body.inputs[0])
        case _:
            raise AssertionError(kind)


def scan_nodes(plan: Plan) -> Iterator[Plan]:
    """All scans of files and exchanges in the plan."""
    pending = [plan]
    while pending:
        top = pending.pop()
        if kind_of(top) in SCANS:
            yield top
        else:
            pending += children(top)


def read_bytes(file: PartitionedFile) -> int:
    """How many bytes of a file a scan reads, at most: its range of it, where it has one."""
    return int(file.range.end - file.range.start) if file.HasField("range") else int(file.size)


def holds_rows(plan: Plan) -> bool:
    """Whether some operator has to hold a large part of what it reads."""
    pending = [plan]
    while pending:
        top = pending.pop()
        kind = kind_of(top)
        if kind in _HOLDING or (kind == "aggregate" and top.aggregate.mode != 0):
            return True
        pending += children(top)
    return False


_HOLDING = frozenset({"hash_join", "sort_merge_join", "nested_loop_join", "cross_join", "sort", "window"})


def scans(plan: Plan) -> Iterator[FileScan]:
    """The bodies of `scan_nodes`."""
    return map(body_of, scan_nodes(plan))


def exchange_of(group: FileGroup) -> Exchange | None:
    """What a file group stands for; None when it holds files."""
    files = group.files
    return _exchange_at(files[0].path) if len(files) == 1 else None


@functools.lru_cache(maxsize=1024)
def _exchange_at(path: str) -> Exchange | None:
    if not path.startswith(_PREFIX):
        return None
    _, shuffle_id, how, which, *maps = path.split("/")
    number, count = _range(which)
    return Exchange(int(shuffle_id), how == "map", number, count, _range(maps[1]) if maps else None)


def _range(text: str) -> tuple[int, int]:
    first, _, count = text.partition("+")
    return int(first), int(count or 1)


def at_partition(plan: Plan, partition: int) -> Plan:
    """The fragment that computes only this partition; it has one partition. `plan` is left as it is.

    Executing one partition of a whole plan is not enough: scans steal files from one another, and a partitioned join waits for all
    of its partitions.
    """
    result = copied(plan)
    _narrow(result, partition)
    return result


def _narrow(plan: Plan, partition: int) -> None:
    kind, body = kind_of(plan), body_of(plan)
    if kind in SCANS:
        _keep(body.base_conf.file_groups, partition)
    elif kind == "memory_scan":
        _keep(body.partitions, partition)
    elif kind in SINGLE or (kind == "sort" and not body.preserve_partitioning):
        pass
    elif kind == "union":
        for branch in body.inputs:
            count = width(branch)
            if partition < count:
                _narrow(branch, partition)
                chosen = copied(branch)
                plan.CopyFrom(chosen)
                return
            partition -= count
        raise AssertionError(partition)
    elif kind == "interleave":
        for branch in body.inputs:
            _narrow(branch, partition)
    elif kind in BY_RIGHT:
        if kind in ("sort_merge_join", "symmetric_hash_join") or (kind == "hash_join" and body.partition_mode != COLLECT_LEFT):
            _narrow(body.left, partition)
        _narrow(body.right, partition)
    else:
        _narrow(body.input, partition)


def _keep(groups: Any, partition: int) -> None:
    if len(groups) > 1:
        del groups[partition + 1 :]
        del groups[:partition]
