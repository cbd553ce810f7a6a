"""Random samples of an RDD. With a seed, the same records in every run and on every master, and those that PySpark picks."""

from __future__ import annotations

import random
import sys
from collections.abc import Hashable, Mapping, Sequence
from itertools import accumulate, pairwise
from math import sqrt
from typing import TYPE_CHECKING, Any, TypeVar

from quiver.rdd_actions import Actions
from quiver_proto import ops, sampling
from quiver_proto.errors import NegativeFraction

if TYPE_CHECKING:
    from quiver.rdd import RDD

T = TypeVar("T")
V = TypeVar("V")
K = TypeVar("K", bound=Hashable)

_MOST = sys.maxsize - int(10.0 * sqrt(sys.maxsize))
"""The largest sample that takeSample gives."""


class Sampling(Actions[T]):
    """Which records a seed picks depends on the partitions they are in and on their order there. Without a seed, every call differs."""

    __slots__ = ()

    def sample(self, withReplacement: bool, fraction: float, seed: int | None = None) -> RDD[T]:
        """About `fraction` of the records, in order: each with that probability, or, with replacement, that often on average.

        Raises ValueError for a negative fraction, TypeError for a seed that is no int.

        >>> 6 <= sc.parallelize(range(100), 4).sample(False, 0.1, 81).count() <= 14
        True
        >>> sc.parallelize(range(10), 2).sample(True, 0.5, 7).collect()
        [6, 9]
        """
        if not fraction >= 0:
            raise ValueError(f"Fraction must be nonnegative, not {fraction}.")
        draw: sampling.WithReplacement | sampling.Between
        number = _seed(seed)
        draw = sampling.WithReplacement(number, fraction) if withReplacement else sampling.Between(number, 0.0, fraction)
        return self._narrow(ops.MapPartitions, draw, keep=True, with_index=True)

    def sampleByKey(self: Sampling[tuple[K, V]], withReplacement: bool, fractions: Mapping[K, float], seed: int | None = None) -> RDD[Any]:
        """A sample of pairs in which each key has its own fraction. A job meets a KeyError at a key that has none.

        Raises NegativeFraction (a ValueError and an AssertionError).

        >>> rdd = sc.parallelize(["a", "b"]).cartesian(sc.parallelize(range(0, 1000)))
        >>> sample = dict(rdd.sampleByKey(False, {"a": 0.2, "b": 0.1}, 2).groupByKey().collect())
        >>> 100 < len(sample["a"]) < 300 and 50 < len(sample["b"]) < 150
        True
        """
        for fraction in fractions.values():
            if not fraction >= 0.0:
                raise NegativeFraction(fraction)
        draw = sampling.ByKey(_seed(seed), bool(withReplacement), dict(fractions))
        return self._narrow(ops.MapPartitions, draw, keep=True, with_index=True)

    def randomSplit(self, weights: Sequence[float], seed: int | None = None) -> list[RDD[T]]:
        """One RDD a weight: every record goes to one of them, with a probability in proportion to its weight. Order is kept.

        Each of them computes this RDD: cache it first if that is costly. Raises ValueError for a negative weight, or when all are 0.

        >>> rdd = sc.parallelize(range(500), 1)
        >>> fewer, more = rdd.randomSplit([2, 3], 17)
        >>> fewer.count() + more.count(), 150 < fewer.count() < 250, 250 < more.count() < 350
        (500, True, True)
        """
        if not all(weight >= 0 for weight in weights):
            raise ValueError(f"Weights must be nonnegative, not {list(weights)}")
        total = float(sum(weights))
        if not total > 0:
            raise ValueError("Sum of weights must be positive")
        number = random.randint(0, 2**32 - 1) if seed is None else _seed(seed)
        bounds = accumulate((weight / total for weight in weights), initial=0.0)
        draws = (sampling.Between(number, low, high) for low, high in pairwise(bounds))
        return [self._narrow(ops.MapPartitions, draw, keep=True, with_index=True) for draw in draws]

    def takeSample(self, withReplacement: bool, num: int, seed: int | None = None) -> list[T]:
        """`num` random records as a list, in random order; fewer only without replacement, when there are no more.

        Starts two jobs, which count and sample, and rarely more. Raises ValueError for a negative `num`.

        >>> rdd = sc.parallelize(range(0, 10))
        >>> len(rdd.takeSample(True, 20, 1)), len(rdd.takeSample(False, 5, 2)), len(rdd.takeSample(False, 15, 3))
        (20, 5, 10)
        """
        if num < 0:
            raise ValueError("Sample size cannot be negative.")
        if num > _MOST:
            raise ValueError(f"Sample size cannot be greater than {_MOST}.")
        if num == 0 or self.getNumPartitions() == 0:
            return []
        total = sum(self._counts())
        if total == 0:
            return []
        chance = random.Random(seed)
        if not withReplacement and num >= total:
            everything = self._collect()
            chance.shuffle(everything)
            return everything
        fraction = sampling.fraction_for(num, total, withReplacement)
        drawn = self.sample(withReplacement, fraction, seed)._collect()
        while len(drawn) < num:
            drawn = self.sample(withReplacement, fraction, chance.randint(0, sys.maxsize))._collect()
        chance.shuffle(drawn)
        return drawn[:num]


def _seed(seed: int | None) -> int:
    if seed is None:
        return random.randint(0, sys.maxsize)
    if not hasattr(seed, "__index__"):
        raise TypeError(f"a seed is an int, not {seed!r}")
    return int(seed)
