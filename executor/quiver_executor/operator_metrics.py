"""What the kernel has measured while it ran a fragment, operator by operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiver_proto.messages import OperatorMetrics
from quiver_proto.operator_texts import named

if TYPE_CHECKING:
    from datafusion.plan import ExecutionPlan

MOST_OPERATORS = 100
MOST_DETAIL = 200
"""Characters of one operator's description."""
MOST_TEXT = 8 << 10
"""Characters of all of them together; what comes later has a name only."""
_MORE_COMPUTE = ("time_elapsed_processing", "repartition_time", "send_time")
"""Nanoseconds that scans and exchanges count apart from `elapsed_compute`."""


class Operators:
    """The operators of a decoded fragment that is about to run.

    `read`: see quiver_proto.operator_texts.sources. `deals`: its first operator deals rows into pieces.

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
            name, detail = named(node.display(), place)
            if shuffle_id >= 0:
                name, detail = "ShuffleRead", ""
            elif deals and not depth:
                name, detail = "ShuffleWrite", detail.removeprefix("partitioning=").partition(", input_partitions")[0]
            detail = "" if text >= MOST_TEXT else detail if len(detail) <= MOST_DETAIL else detail[: MOST_DETAIL - 1] + "…"
            text += len(detail)
            self._nodes.append(node)
            self._identities.append((depth, name, detail, shuffle_id))
            pending += ((depth + 1, child) for child in reversed(node.children()))

    def metrics(self) -> tuple[OperatorMetrics, ...]:
        """What each has done so far: each before its inputs, of those the first first."""
        pairs = zip(self._identities, self._nodes, strict=True)
        return tuple(OperatorMetrics._make((*identity, *_numbers(node.metrics()))) for identity, node in pairs)


def _numbers(metrics: Any) -> tuple[int, float, int, int, int]:
    if metrics is None:
        return 0, 0.0, 0, 0, 0
    compute = metrics.elapsed_compute or 0
    for name in _MORE_COMPUTE:
        compute += metrics.sum_by_name(name) or 0
    scanned = metrics.sum_by_name("bytes_scanned") or 0
    return metrics.output_rows or 0, compute / 1e9, metrics.spill_count or 0, metrics.spilled_bytes or 0, scanned
