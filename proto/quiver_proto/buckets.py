"""RDD.histogram in a slot: what there is to count, and into which bucket it goes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Records = Iterator[Any]


def is_missing(value: Any) -> bool:
    """None and NaN are counted nowhere."""
    return value is None or (isinstance(value, float) and value != value)


def extent(records: Records) -> tuple[int, Any, Any]:
    """(how many records are not missing, the smallest, the largest)."""
    count, low, high = 0, None, None
    for record in records:
        if is_missing(record):
            continue
        if not count:
            low = high = record
        elif record < low:
            low = record
        elif record > high:
            high = record
        count += 1
    return count, low, high


@dataclass(frozen=True, slots=True)
class CountInto:
    """How many records each bucket has. Buckets are [a, b), the last one [a, b]; `step` is the width of buckets that are even, or None."""

    bounds: Sequence[Any]
    step: Any

    def __call__(self, records: Records) -> list[int]:
        bounds, step = self.bounds, self.step
        low, high = bounds[0], bounds[-1]
        counts = [0] * len(bounds)
        for record in records:
            if is_missing(record) or record > high or record < low:
                continue
            counts[bisect_right(bounds, record) - 1 if step is None else int((record - low) / step)] += 1
        last = counts.pop()
        counts[-1] += last
        return counts
