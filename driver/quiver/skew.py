"""Which stages suffer from skew, and what to do about it. Pure: sizes and heavy keys in, a report out, once per set of shuffles.

The rule is Spark's: a partition is skewed when it is larger than `factor` times the median and larger than a threshold. What the map
tasks tell about their heavy keys then says whose fault it is (executor/quiver_executor/heavy_keys.py).
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import add
from statistics import median_low
from typing import TYPE_CHECKING

from quiver_proto.events import SkewDetected
from quiver_proto.ids import ShuffleId
from quiver_proto.messages import HeavyKey, MapOutput
from quiver_proto.ops import CallSite
from quiver_proto.units import format_bytes

if TYPE_CHECKING:
    from quiver_proto.sessions import SkewReport

MOST_KEYS = 5
RETAINED = 100

_JOINS = (
    "join", "leftOuterJoin", "rightOuterJoin", "fullOuterJoin", "cogroup", "groupWith", "subtractByKey", "subtract", "intersection",
)  # fmt: skip
_SORTS = ("sortBy", "sortByKey", "repartitionAndSortWithinPartitions")
_REMEDIES: Mapping[str, str] = {
    "groupByKey": "groupByKey sends every value of a key to one task and holds them there. Use reduceByKey, aggregateByKey or "
    "combineByKey, which combine before they send; where all values are needed, group by a finer key first.",
    "groupBy": "groupBy sends every record of a group to one task and holds them there. Use reduceByKey or aggregateByKey, which "
    "combine before they send; where all records are needed, group by a finer key first.",
    **dict.fromkeys(
        _JOINS,
        "All records of a key meet in one task. Broadcast the small side and look keys up in a map, or salt the heavy key: add a random "
        "number to it on the large side, and every such number to copies of its records on the other.",
    ),
    **dict.fromkeys(_SORTS, "Records that sort alike stay in one partition. Sort by a further field, or into fewer, larger partitions."),
}
_OTHERWISE = "All records of a key go to one partition. Partition by a finer key, or use repartition, which deals records evenly."


@dataclass(frozen=True, slots=True)
class SkewPolicy:
    """When a partition is skewed: more than `factor` times the median, and more than `threshold_bytes`."""

    factor: float = 5.0
    threshold_bytes: int = 64 << 20


def skewed(sizes: Sequence[int], policy: SkewPolicy) -> tuple[int, int] | None:
    """(the largest partition, the median size) when it is skewed. Of two partitions the smaller is the median."""
    largest = max(sizes, default=0)
    if len(sizes) < 2 or largest <= policy.threshold_bytes:
        return None
    middle = median_low(sizes)
    return (sizes.index(largest), middle) if largest > policy.factor * middle else None


def partition_sizes(outputs: Iterable[MapOutput]) -> list[int]:
    """Bytes of each reduce partition, over all map outputs."""
    totals: list[int] = []
    for output in outputs:
        sizes = array("Q", output.sizes)
        totals = list(map(add, totals, sizes)) if totals else list(sizes)
    return totals


class SkewWatch:
    """Hears of map tasks' heavy keys, looks at stages as they begin. For one thread; `reports` may be read by any."""

    def __init__(self, policy: SkewPolicy) -> None:
        self._policy = policy
        self._heavy: dict[ShuffleId, dict[int, Sequence[HeavyKey]]] = {}
        self._judged: dict[ShuffleId, set[tuple[ShuffleId, ...]]] = {}
        self.reports: tuple[SkewReport, ...] = ()

    def heard(self, shuffle_id: ShuffleId, map_index: int, keys: Sequence[HeavyKey]) -> None:
        """A map task ended. Made again, it replaces what was told before."""
        self._heavy.setdefault(shuffle_id, {})[map_index] = keys

    def forget(self, shuffle_id: ShuffleId) -> None:
        """The shuffle is gone."""
        self._heavy.pop(shuffle_id, None)
        self._judged.pop(shuffle_id, None)

    def look(
        self, stage_id: int, name: str, width: int, operators: Sequence[CallSite], inputs: Mapping[ShuffleId, Sequence[MapOutput]]
    ) -> SkewReport | None:
        """The report on a stage of `width` partitions that begins to read these shuffles, the first time that anyone reads them."""
        reads = tuple(inputs)
        judged = self._judged.setdefault(reads[0], set())
        if reads in judged:
            return None
        judged.add(reads)
        sizes = {shuffle_id: partition_sizes(outputs) for shuffle_id, outputs in inputs.items()}
        if all(len(one) == width for one in sizes.values()):
            # A join: its task number i reads partition i of each. In a union each partition has a task of its own.
            candidates: list[tuple[tuple[ShuffleId, ...], list[int]]] = [(reads, [sum(row) for row in zip(*sizes.values(), strict=True)])]
        else:
            candidates = [((shuffle_id,), one) for shuffle_id, one in sizes.items()]
        for of, one in candidates:
            found = skewed(one, self._policy)
            if found is not None:
                records = sum(output.records for shuffle_id in of for output in inputs[shuffle_id])
                report = _report(stage_id, name, operators, one, found, self._heaviest(of, found[0]), records)
                self.reports = (*self.reports[1 - RETAINED :], report)
                return report
        return None

    def _heaviest(self, reads: Sequence[ShuffleId], partition: int) -> list[tuple[str, int]]:
        counts: Counter[str] = Counter()
        for shuffle_id in reads:
            for keys in self._heavy.get(shuffle_id, {}).values():
                for key in keys:
                    if key.partition == partition:
                        counts[key.key] += key.records
        return counts.most_common(MOST_KEYS)


def _report(
    stage_id: int,
    name: str,
    operators: Sequence[CallSite],
    sizes: Sequence[int],
    found: tuple[int, int],
    keys: Sequence[tuple[str, int]],
    records: int,
) -> SkewReport:
    from quiver_proto.sessions import HeavyKeyReport, SkewReport

    partition, middle = found
    site = next((site for site in operators if site.operator in _REMEDIES), operators[0] if operators else None)
    remedy = _OTHERWISE if site is None else _REMEDIES.get(site.operator, _OTHERWISE)
    shares = tuple(HeavyKeyReport(key, count, min(1.0, count / records) if records else 0.0) for key, count in keys)
    size = sizes[partition]
    times = f"{size / middle:.0f} times the median of {format_bytes(middle)}" if middle else "while most others are empty"
    text = f"stage {stage_id} ({name}) is skewed: partition {partition} of {len(sizes)} has {format_bytes(size)}, {times}"
    if shares:
        text += f". Key {shares[0].key} has at least {shares[0].share:.0%} of all records"
    operator = name if site is None else str(site)
    return SkewReport(stage_id, operator, partition, len(sizes), size, middle, sum(sizes), shares, remedy, f"{text}. {remedy}")


def as_event(report: SkewReport, at: float) -> SkewDetected:
    """The report for the event log."""
    return SkewDetected(
        at, report.stage_id, report.operator, report.partition, report.size_bytes, report.median_bytes, report.total_bytes,
        report.partitions, [(key.key, key.records, key.share) for key in report.keys], report.remedy, report.text,
    )  # fmt: skip
