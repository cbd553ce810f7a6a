"""Count, mean, variance and extremes in one pass, mergeable."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any


class StatCounter:
    """Statistics of numbers, as PySpark's class of that name. Merging two is as exact as one pass over both.

    >>> stats = StatCounter([1, 2, 3, 4])
    >>> stats.count(), stats.mean(), stats.variance(), stats.max()
    (4, 2.5, 1.25, 4)
    """

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self.n = 0
        self.mu: Any = 0.0
        self.m2: Any = 0.0
        self.maxValue: Any = -math.inf
        self.minValue: Any = math.inf
        for value in values:
            self.merge(value)

    def merge(self, value: Any) -> StatCounter:
        """Add one number; returns itself."""
        delta = value - self.mu
        self.n += 1
        self.mu += delta / self.n
        self.m2 += delta * (value - self.mu)
        self.maxValue = max(self.maxValue, value)
        self.minValue = min(self.minValue, value)
        return self

    def mergeStats(self, other: StatCounter) -> StatCounter:
        """Add what another has seen; returns itself."""
        if not isinstance(other, StatCounter):
            raise TypeError(f"can merge only a StatCounter, not {type(other).__name__}")
        if other is self:
            return self.mergeStats(other.copy())
        if other.n:
            delta, n = other.mu - self.mu, self.n + other.n
            self.mu = (self.mu * self.n + other.mu * other.n) / n
            self.m2 += other.m2 + delta * delta * self.n * other.n / n
            self.n = n
            self.maxValue = max(self.maxValue, other.maxValue)
            self.minValue = min(self.minValue, other.minValue)
        return self

    def copy(self) -> StatCounter:
        same = StatCounter()
        same.__dict__.update(self.__dict__)
        return same

    def count(self) -> int:
        return self.n

    def mean(self) -> float:
        """0.0 of nothing."""
        return float(self.mu)

    def sum(self) -> float:
        return float(self.n * self.mu)

    def min(self) -> Any:
        """Infinity of nothing."""
        return self.minValue

    def max(self) -> Any:
        return self.maxValue

    def variance(self) -> float:
        """Of the whole population; NaN of nothing."""
        return float(self.m2 / self.n) if self.n else math.nan

    def sampleVariance(self) -> float:
        """Corrected for a sample (n - 1); NaN of fewer than two."""
        return float(self.m2 / (self.n - 1)) if self.n > 1 else math.nan

    def stdev(self) -> float:
        return math.sqrt(self.variance())

    def sampleStdev(self) -> float:
        return math.sqrt(self.sampleVariance())

    def asDict(self, sample: bool = False) -> dict[str, Any]:
        """All of them by name; `sample` chooses the corrected variance."""
        variance = self.sampleVariance() if sample else self.variance()
        return {
            "count": self.count(), "mean": self.mean(), "sum": self.sum(), "min": self.min(), "max": self.max(),
            "stdev": math.sqrt(variance), "variance": variance,
        }  # fmt: skip

    def __repr__(self) -> str:
        return f"(count: {self.count()}, mean: {self.mean()}, stdev: {self.stdev()}, max: {self.max()}, min: {self.min()})"
