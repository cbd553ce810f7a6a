"""Count, mean, variance and extremes in one pass, mergeable."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Any


class StatCounter:
    """Statistics of numbers, or of numpy arrays of one shape (element by element), as PySpark's class of that name.

    Merging two is as exact as one pass over both.

    Differs from PySpark: results are Python's floats where PySpark, where numpy is installed, gives numpy's.

    >>> stats = StatCounter([1, 2, 3, 4])
    >>> stats.count(), stats.mean(), stats.variance(), stats.max()
    (4, 2.5, 1.25, 4.0)
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        self.n = 0
        self.mu: Any = 0.0
        self.m2: Any = 0.0
        self.maxValue: Any = -math.inf
        self.minValue: Any = math.inf
        for value in values or ():
            self.merge(value)

    def merge(self, value: Any) -> StatCounter:
        """Add one number; returns itself.

        >>> StatCounter([1.0]).merge(2.0).mean()
        1.5
        """
        delta = value - self.mu
        self.n += 1
        self.mu += delta / self.n
        self.m2 += delta * (value - self.mu)
        if type(value) is float or type(value) is int:
            # A NaN stays, as numpy's maximum would have it.
            if not value <= self.maxValue and self.maxValue == self.maxValue:
                self.maxValue = float(value)
            if not value >= self.minValue and self.minValue == self.minValue:
                self.minValue = float(value)
        else:
            self.maxValue, self.minValue = _larger(self.maxValue, value), _smaller(self.minValue, value)
        return self

    def mergeStats(self, other: StatCounter) -> StatCounter:
        """Add what another has seen; returns itself. Raises TypeError for anything else.

        >>> StatCounter([1, 2]).mergeStats(StatCounter([3])).count()
        3
        """
        if not isinstance(other, StatCounter):
            raise TypeError(f"Can only merge StatCounter but got {type(other)}")
        if other is self:
            return self.mergeStats(other.copy())
        if not self.n:
            self.__dict__.update(other.__dict__)
            return self
        if not other.n:
            return self
        delta, n = other.mu - self.mu, self.n + other.n
        # The larger side's mean moves by a share of the difference: that is more exact than weighing both.
        if other.n * 10 < self.n:
            self.mu = self.mu + delta * other.n / n
        elif self.n * 10 < other.n:
            self.mu = other.mu - delta * self.n / n
        else:
            self.mu = (self.mu * self.n + other.mu * other.n) / n
        self.maxValue, self.minValue = _larger(self.maxValue, other.maxValue), _smaller(self.minValue, other.minValue)
        self.m2 += other.m2 + delta * delta * self.n * other.n / n
        self.n = n
        return self

    def copy(self) -> StatCounter:
        """An independent copy.

        >>> StatCounter([1, 2]).copy().count()
        2
        """
        same = StatCounter()
        same.__dict__.update(copy.deepcopy(self.__dict__))
        return same

    def count(self) -> int:
        """How many numbers.

        >>> StatCounter([1, 2]).count()
        2
        """
        return self.n

    def mean(self) -> Any:
        """0.0 of nothing.

        >>> StatCounter([1, 2]).mean()
        1.5
        """
        return self.mu

    def sum(self) -> Any:
        """The number times the mean.

        >>> StatCounter([1, 2]).sum()
        3.0
        """
        return self.n * self.mu

    def min(self) -> Any:
        """The smallest, as a float; infinity of nothing.

        >>> StatCounter([1, 2]).min()
        1.0
        """
        return self.minValue

    def max(self) -> Any:
        """The largest, as a float; minus infinity of nothing.

        >>> StatCounter([1, 2]).max()
        2.0
        """
        return self.maxValue

    def variance(self) -> Any:
        """Of the whole population; NaN of nothing.

        >>> StatCounter([1, 2, 3, 4]).variance()
        1.25
        """
        return self.m2 / self.n if self.n else math.nan

    def sampleVariance(self) -> Any:
        """Corrected for a sample (n - 1); NaN of fewer than two.

        >>> StatCounter([1, 2, 3]).sampleVariance()
        1.0
        """
        return self.m2 / (self.n - 1) if self.n > 1 else math.nan

    def stdev(self) -> Any:
        """Of the whole population.

        >>> StatCounter([1, 3]).stdev()
        1.0
        """
        return _root(self.variance())

    def sampleStdev(self) -> Any:
        """Corrected for a sample.

        >>> StatCounter([1, 2, 3]).sampleStdev()
        1.0
        """
        return _root(self.sampleVariance())

    def asDict(self, sample: bool = False) -> dict[str, Any]:
        """All of them by name. As in PySpark, `sample=False` gives the variance that is corrected for a sample, True the population's.

        >>> StatCounter([1, 2, 3]).asDict()["variance"], StatCounter([1, 3]).asDict(sample=True)["variance"]
        (1.0, 1.0)
        """
        return {
            "count": self.count(), "mean": self.mean(), "sum": self.sum(), "min": self.min(), "max": self.max(),
            "stdev": self.stdev() if sample else self.sampleStdev(),
            "variance": self.variance() if sample else self.sampleVariance(),
        }  # fmt: skip

    def __repr__(self) -> str:
        return f"(count: {self.count()}, mean: {self.mean()}, stdev: {self.stdev()}, max: {self.max()}, min: {self.min()})"


def _larger(one: Any, other: Any) -> Any:
    if hasattr(one, "__array__") or hasattr(other, "__array__"):
        import numpy

        return _plain(numpy.maximum(one, other))
    return one if one != one else other if other != other else max(one, other)


def _smaller(one: Any, other: Any) -> Any:
    if hasattr(one, "__array__") or hasattr(other, "__array__"):
        import numpy

        return _plain(numpy.minimum(one, other))
    return one if one != one else other if other != other else min(one, other)


def _root(value: Any) -> Any:
    return value**0.5 if hasattr(value, "__array__") else math.sqrt(value)


def _plain(value: Any) -> Any:
    """A numpy scalar as Python's own number."""
    return value if getattr(value, "ndim", 0) else float(value)
