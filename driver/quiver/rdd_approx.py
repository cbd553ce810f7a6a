"""Approximate actions: an answer within a given time from the partitions that are done by then, and counts of different records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from quiver.callsite import capture
from quiver.closures import seal
from quiver.rdd_actions import Actions
from quiver_proto import bounds, distinct, frames, functions, ops

T = TypeVar("T")

_FINEST = 0.000017


class BoundedFloat(float):
    """An estimate: a float, with the bounds between which the true value lies with a probability of `confidence`.

    >>> from quiver.rdd import BoundedFloat
    >>> about = BoundedFloat(100.0, 0.95, 95.0, 105.0)
    >>> about, about.confidence, about.low, about.high
    (100.0, 0.95, 95.0, 105.0)
    """

    confidence: float
    low: float
    high: float

    def __new__(cls, mean: float, confidence: float, low: float, high: float) -> BoundedFloat:
        value = super().__new__(cls, mean)
        value.confidence, value.low, value.high = confidence, low, high
        return value

    def __getnewargs__(self) -> tuple[float, ...]:  # type: ignore[override]
        return float(self), self.confidence, self.low, self.high


class Estimates(Actions[T]):
    """`timeout` is in milliseconds. When it has passed, the job is cancelled, and what it has so far is the answer; a job that is
    done before gives the exact value, with confidence 1. Without a single partition by then it is 0, with confidence 0.
    `confidence` is what the bounds are to have. All raise ValueError for a confidence outside [0, 1], and what a job raises.
    """

    __slots__ = ()

    def countApprox(self, timeout: int, confidence: float = 0.95) -> int:
        """How many records there are, as far as can be said within `timeout` milliseconds.

        Differs from PySpark: what is not done by then is cancelled, where Spark lets it run on and drops it.

        >>> sc.parallelize(range(1000), 10).countApprox(60_000, 1.0)
        1000
        """
        return int(self._sum_within(functions.length, timeout, confidence))

    def sumApprox(self, timeout: int, confidence: float = 0.95) -> BoundedFloat:
        """The sum of numbers, as far as can be said within `timeout` milliseconds. The bounds take partitions for a sample of all.

        Differs from PySpark: what is not done by then is cancelled, where Spark lets it run on and drops it.

        >>> total = sc.parallelize(range(1000), 10).sumApprox(60_000)
        >>> total, total.confidence, total.low, total.high
        (499500.0, 1.0, 499500.0, 499500.0)
        """
        return self._sum_within(functions.total, timeout, confidence)

    def meanApprox(self, timeout: int, confidence: float = 0.95) -> BoundedFloat:
        """The mean of numbers, as far as can be said within `timeout` milliseconds. The bounds take what was seen for a sample of all.

        Differs from PySpark: what is not done by then is cancelled, where Spark lets it run on and drops it.

        >>> sc.parallelize(range(1000), 10).meanApprox(60_000)
        499.5
        """
        numbers: Estimates[float] = self.map(cast(Callable[[T], float], float))
        parts = numbers._within(functions.statistics_of, timeout, confidence)
        return BoundedFloat(*bounds.mean_from(parts, self.getNumPartitions(), confidence))

    def countApproxDistinct(self, relativeSD: float = 0.05) -> int:
        """About how many different records there are. `relativeSD` is the standard deviation of the answer, as a share of it.

        Records must be hashable. Each partition keeps 1.1 / relativeSD² small numbers at most (HyperLogLog). Raises ValueError for a
        relativeSD that is not above 0.000017.

        Differs from PySpark: the same algorithm, but other hashes, so the estimate is another one of the same accuracy.

        >>> 750 < sc.parallelize(range(1000)).map(str).countApproxDistinct() < 1250
        True
        >>> 15 <= sc.parallelize([i % 20 for i in range(1000)]).countApproxDistinct() <= 25
        True
        """
        if not relativeSD >= _FINEST:
            raise ValueError(f"relativeSD should be greater than {_FINEST:f}, not {relativeSD}")
        bits = distinct.precision(relativeSD)
        registers: distinct.Registers = {}
        for part in self._apply(distinct.Sketch(bits)):
            registers = distinct.merged(registers, part)
        return round(distinct.estimate(registers, bits))

    def _sum_within(self, add_up: Callable[[Any], Any], timeout: int, confidence: float) -> BoundedFloat:
        parts = [float(part) for part in self._within(add_up, timeout, confidence)]
        return BoundedFloat(*bounds.sum_from(parts, self.getNumPartitions(), confidence))

    def _within(self, function: Callable[[Any], Any], timeout: int, confidence: float) -> list[Any]:
        """`function(iterator)` of the partitions that are done within `timeout` milliseconds."""
        if not 0.0 <= confidence <= 1.0:
            raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
        call_site = capture()
        sealed = seal(function, call_site)
        # Checkpoints that wait for a job to come would take the time that this one has not.
        results = self._context._run_plan(self._dataset, lambda node: ops.Apply(node, sealed), call_site, within_s=max(1, timeout) / 1000)
        return [frames.load(data) for data in results if data]
