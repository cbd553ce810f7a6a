"""Sums of task metrics, and what tasks of one executor or stage attempt amounted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from quiver_proto.messages import TaskMetrics

NAMES = TaskMetrics._fields
COUNT = len(NAMES)
INDEX = {name: i for i, name in enumerate(NAMES)}
_PEAK = INDEX["peak_memory_bytes"]


def row(values: Sequence[float]) -> list[float]:
    """`values` as a row of COUNT numbers: an older writer's missing ones are 0, a newer writer's additional ones are left out."""
    return [float(value) for value in values[:COUNT]] + [0.0] * (COUNT - len(values))


def summed(rows: Sequence[Sequence[float]]) -> list[float]:
    """Column by column; peak memory is the largest. Rows are COUNT long, and there is at least one."""
    columns = list(zip(*rows, strict=True))
    sums = [sum(column, 0.0) for column in columns]
    sums[_PEAK] = max(columns[_PEAK])
    return sums


@dataclass(slots=True)
class Totals:
    """How many attempts ended how, and the sum of their metrics (of peak memory: the largest). Exact, whatever details were dropped.

    `active` are launched and not ended. Seconds and bytes, as in TaskMetrics.
    """

    active: int = 0
    succeeded: int = 0
    failed: int = 0
    killed: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0] * COUNT)

    def add(self, sums: Sequence[float]) -> None:
        """Add one row, or what `summed` made of several."""
        mine = self.sums
        peak = max(mine[_PEAK], sums[_PEAK])
        for i, value in enumerate(sums):
            mine[i] += value
        mine[_PEAK] = peak

    def __getitem__(self, name: str) -> float:
        return self.sums[INDEX[name]]

    @property
    def ended(self) -> int:
        return self.succeeded + self.failed + self.killed

    @property
    def run_s(self) -> float:
        return self["run_s"]

    @property
    def gc_s(self) -> float:
        return self["gc_s"]

    @property
    def input_bytes(self) -> int:
        return int(self["input_bytes"])

    @property
    def input_records(self) -> int:
        return int(self["input_records"])

    @property
    def output_bytes(self) -> int:
        return int(self["output_bytes"])

    @property
    def shuffle_read_bytes(self) -> int:
        return int(self["shuffle_read_local_bytes"] + self["shuffle_read_remote_bytes"])

    @property
    def shuffle_read_records(self) -> int:
        return int(self["shuffle_read_records"])

    @property
    def shuffle_write_bytes(self) -> int:
        return int(self["shuffle_write_bytes"])

    @property
    def shuffle_write_records(self) -> int:
        return int(self["shuffle_write_records"])

    @property
    def spilled_bytes(self) -> int:
        return int(self["spilled_bytes"])
