"""Random samples, drawn in slots. The numbers are PySpark's, so that a seed picks the same records there and here.

Each partition has a generator of its own: Python's `Random(seed ^ partition index)`, of which ten draws of `randint(0, 1)` are thrown
away. Then, record after record: without replacement one `random()` decides; with replacement a Poisson variate says how often.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import compress
from random import Random
from typing import Any

Records = Iterator[Any]

_DISCARDED = 10
_LARGE_MEAN = 20.0
"""From here on a product of uniform draws would come near the smallest float."""


def generator(seed: int, partition: int) -> Random:
    """The generator of one partition."""
    chance = Random(seed ^ partition)
    for _ in range(_DISCARDED):
        chance.randint(0, 1)
    return chance


def poisson(chance: Random, mean: float) -> int:
    """A Poisson variate, by Knuth's product of uniform draws; for large means by counting exponential gaps."""
    count = 0
    if mean < _LARGE_MEAN:
        floor = math.exp(-mean)
        product = chance.random()
        while product > floor:
            count += 1
            product *= chance.random()
        return count
    passed = chance.expovariate(mean)
    while passed < 1.0:
        count += 1
        passed += chance.expovariate(mean)
    return count


@dataclass(frozen=True, slots=True)
class Between:
    """The records whose uniform draw is in [low, high): with low 0 a sample without replacement, else one part of a random split."""

    seed: int
    low: float
    high: float

    def __call__(self, partition: int, records: Records) -> Records:
        draw, low, high = generator(self.seed, partition).random, self.low, self.high
        if low <= 0.0:
            # A draw is never None: all of this runs in C.
            return compress(records, map(float(high).__gt__, iter(draw, None)))
        return (record for record in records if low <= draw() < high)


@dataclass(frozen=True, slots=True)
class WithReplacement:
    """Each record as often as a Poisson variate of mean `fraction` says."""

    seed: int
    fraction: float

    def __call__(self, partition: int, records: Records) -> Records:
        chance, fraction = generator(self.seed, partition), self.fraction
        for record in records:
            for _ in range(poisson(chance, fraction)):
                yield record


@dataclass(frozen=True, slots=True)
class ByKey:
    """A sample of (key, value) pairs, the fraction depending on the key. A key without a fraction is a KeyError."""

    seed: int
    replace: bool
    fractions: Mapping[Any, float]

    def __call__(self, partition: int, records: Records) -> Records:
        chance, fractions = generator(self.seed, partition), self.fractions
        times: Callable[[float], int] = (lambda mean: poisson(chance, mean)) if self.replace else (lambda share: chance.random() < share)
        for key, value in records:
            for _ in range(times(fractions[key])):
                yield key, value


def fraction_for(size: int, total: int, replace: bool) -> float:
    """The fraction at which a sample of `total` records has at least `size` of them in all but one of 10,000 tries.

    With replacement: the mean of a Poisson count plus nine standard deviations (five from 12 records on). Without: the bound that
    Chernoff's inequality gives for a binomial count.
    """
    fraction = float(size) / total
    if replace:
        deviations = 9 if size < 12 else 5
        return fraction + deviations * math.sqrt(fraction / total)
    gamma = -math.log(0.00005) / total
    return min(1, fraction + gamma + math.sqrt(gamma * gamma + 2 * gamma * fraction))
