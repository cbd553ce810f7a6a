"""What the kernel has measured while it ran a fragment, operator by operator."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from quiver_proto.errors import UnsupportedPlan
from quiver_proto.fragments import SCANS, body_of, children, exchange_of, kind_of, scans
from quiver_proto.messages import OperatorMetrics
from quiver_proto.v1.kernel_pb2 import Plan

if TYPE_CHECKING:
    from datafusion.plan import ExecutionPlan

MOST_OPERATORS = 100
MOST_DETAIL = 200
"""Characters of one operator's description."""
MOST_TEXT = 8 << 10
"""Characters of all of them together; what comes later has a name only."""
_OF_THE_TASK = re.compile(r"(?:file_groups=\{.*?\]\}|partitions=\d+, partition_sizes=\[[^\]]*\])(?:, )?")
"""What differs from task to task."""
_NUMBERS = re.compile(r"(?<=\w)#\d+(?:@\d+)?\b|(?<=\w)@\d+\b")
"""What tells columns of one name apart, and where they stand in their input: of no use to people."""
_MORE_COMPUTE = ("time_elapsed_processing", "repartition_time", "send_time")
"""Nanoseconds that scans and exchanges count apart from `elapsed_compute`."""


def locations(plan: Plan) -> Mapping[str, str]:
    """What each file that a stage reads is shown as: the same for all files of one scan. Keys are paths as plans have them."""
    shown: dict[str, str] = {}
    try:
        for scan in scans(plan):
            paths = [file.path for group in scan.base_conf.file_groups if exchange_of(group) is None for file in group.files]
            if paths:
                text = paths[0] if len(set(paths)) == 1 else f"{os.path.commonpath(paths)}/… ({len(set(paths))} files)"
                shown.update(dict.fromkeys(paths, _absolute(text)))
    except (UnsupportedPlan, ValueError):
        pass  # Operators that only the kernel knows; paths of several roots.
    return shown


def _absolute(path: str) -> str:
    return path if "://" in path else f"/{path}"


def sources(fragment: Plan, shown: Mapping[str, str]) -> list[tuple[int, str]]:
    """Of each operator of a fragment, as `Operators` lists them: the shuffle that it reads (-1: none), and where its files are.

    To be asked before exchanges are replaced by files. Empty when the fragment has operators that only the kernel knows.
    """
    try:
        return [_source(node, shown) for node in _nodes(fragment)]
    except UnsupportedPlan:
        return []


def _nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    if kind_of(plan) not in SCANS:
        for child in children(plan):
            yield from _nodes(child)


def _source(node: Plan, shown: Mapping[str, str]) -> tuple[int, str]:
    if kind_of(node) in SCANS:
        for group in body_of(node).base_conf.file_groups:
            exchange = exchange_of(group)
            if exchange is not None:
                return exchange.shuffle_id, ""
            if group.files:
                return -1, shown.get(group.files[0].path, "")
    return -1, ""


class Operators:
    """The operators of a decoded fragment that is about to run. `read`: see `sources`. `deals`: its first operator deals rows into pieces.

    What they are called is asked now: once it has run, a filter's text holds what it has learned, and differs from task to task.
    """

    def __init__(self, execution: ExecutionPlan, read: list[tuple[int, str]], deals: bool = False) -> None:
        self._nodes: list[Any] = []
        self._identities: list[tuple[int, str, str, int]] = []
        pending: list[tuple[int, Any]] = [(0, execution)]
        text = 0
        while pending and len(self._nodes) < MOST_OPERATORS:
            depth, node = pending.pop()
            shuffle_id, place = read[len(self._nodes)] if len(self._nodes) < len(read) else (-1, "")
            name, _, detail = node.display().strip().partition(": ")
            if shuffle_id >= 0:
                name = "ShuffleRead"
            elif deals and not depth:
                name, detail = "ShuffleWrite", detail.removeprefix("partitioning=").partition(", input_partitions")[0]
            detail = _described(detail, shuffle_id, place) if text < MOST_TEXT else ""
            text += len(detail)
            self._nodes.append(node)
            self._identities.append((depth, name.removesuffix("Exec"), detail, shuffle_id))
            pending += ((depth + 1, child) for child in reversed(node.children()))

    def metrics(self) -> tuple[OperatorMetrics, ...]:
        """What each has done so far: each before its inputs, of those the first first."""
        pairs = zip(self._identities, self._nodes, strict=True)
        return tuple(OperatorMetrics._make((*identity, *_numbers(node.metrics()))) for identity, node in pairs)


def _described(detail: str, shuffle_id: int, place: str) -> str:
    detail = _NUMBERS.sub("", _OF_THE_TASK.sub("", detail))
    if shuffle_id >= 0:
        detail = ""
    elif place:
        detail = f"{place}, {detail}"
    return detail if len(detail) <= MOST_DETAIL else detail[: MOST_DETAIL - 1] + "…"


def _numbers(metrics: Any) -> tuple[int, float, int, int, int]:
    if metrics is None:
        return 0, 0.0, 0, 0, 0
    compute = metrics.elapsed_compute or 0
    for name in _MORE_COMPUTE:
        compute += metrics.sum_by_name(name) or 0
    scanned = metrics.sum_by_name("bytes_scanned") or 0
    return metrics.output_rows or 0, compute / 1e9, metrics.spill_count or 0, metrics.spilled_bytes or 0, scanned
