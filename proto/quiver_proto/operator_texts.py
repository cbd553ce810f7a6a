"""What the kernel's operators are called, for people: in pages and in explain(). Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from quiver_proto.errors import UnsupportedPlan
from quiver_proto.fragments import SCANS, body_of, children, exchange_of, kind_of, scans
from quiver_proto.v1.kernel_pb2 import Plan

_OF_THE_TASK = re.compile(r"(?:file_groups=\{.*?\]\}|partitions=\d+, partition_sizes=\[[^\]]*\])(?:, )?")
"""What differs from task to task."""
_NUMBERS = re.compile(r"(?<=[\w)])#\d+(?:@\d+)?\b|(?<=[\w)])@\d+\b")
"""What tells columns of one name apart, and where they stand in their input: of no use to people."""


_SAME = re.compile(r"\b(\w+) as \1\b")


def named(display: str, place: str = "") -> tuple[str, str]:
    """Name and details of an operator, from the kernel's line of it. `place` is where the files that it scans are."""
    name, _, detail = display.strip().partition(": ")
    detail = _SAME.sub(r"\1", _NUMBERS.sub("", _OF_THE_TASK.sub("", detail)))
    return name.removesuffix("Exec"), ", ".join(part for part in (place, detail) if part)


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
    """Of each operator of a fragment: the shuffle that it reads (-1: none), and where its files are.

    Each operator comes before its inputs, of those the first first.

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
