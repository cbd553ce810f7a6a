"""What can be said of a whole from some of its partitions: an estimate, and between which bounds it lies with a given confidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

from quiver_proto.statistics import StatCounter

_NORMAL_FROM = 100
"""Degrees of freedom from which Student's distribution is taken for the normal one."""

Bounds = tuple[float, float, float, float]
"""Estimate, confidence, low, high."""


def sum_from(parts: Sequence[float], width: int, confidence: float) -> Bounds:
    """The sum over `width` partitions, given those of `parts`: what is missing is taken to be like what is there."""
    if len(parts) == width:
        whole = math.fsum(parts)
        return whole, 1.0, whole, whole
    if not parts:
        return 0.0, 0.0, -math.inf, math.inf
    seen, missing = len(parts), width - len(parts)
    total = math.fsum(parts)
    estimate = total + total / seen * missing
    if seen == 1:
        return estimate, confidence, -math.inf, math.inf
    mean = total / seen
    variance = math.fsum((part - mean) ** 2 for part in parts) / (seen - 1)
    # Of the sum of those that are missing, around what the others' mean predicts.
    spread = quantile(confidence, seen - 1) * math.sqrt(variance * missing * width / seen)
    return estimate, confidence, estimate - spread, estimate + spread


def mean_from(parts: Sequence[StatCounter], width: int, confidence: float) -> Bounds:
    """The mean of all records, given what some of `width` partitions say of theirs."""
    counter = StatCounter()
    for part in parts:
        counter.mergeStats(part)
    mean = counter.mean()
    if len(parts) == width:
        return mean, 1.0, mean, mean
    if counter.count() == 0:
        return 0.0, 0.0, -math.inf, math.inf
    if counter.count() == 1:
        return mean, confidence, -math.inf, math.inf
    spread = quantile(confidence, counter.count() - 1) * math.sqrt(counter.sampleVariance() / counter.count())
    return mean, confidence, mean - spread, mean + spread


@lru_cache
def quantile(confidence: float, freedom: int) -> float:
    """How many standard errors to either side hold the truth with this confidence: Student's t, or the normal distribution."""
    if confidence <= 0.0:
        return 0.0
    if confidence >= 1.0:
        return math.inf
    if freedom >= _NORMAL_FROM:
        return NormalDist().inv_cdf(0.5 + confidence / 2)
    low, high = 0.0, 1.0
    while _within(high, freedom) < confidence:
        low, high = high, high * 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < confidence else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """The chance that Student's t is between -t and t: the finite series for whole degrees of freedom (Abramowitz and Stegun 26.7.3-4)."""
    angle = math.atan2(t, math.sqrt(freedom))
    cosine = math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = 0.0 if freedom == 1 else term
    for k in range(3 if odd else 2, freedom - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    total *= math.sin(angle)
    return (angle + total) * 2 / math.pi if odd else total
