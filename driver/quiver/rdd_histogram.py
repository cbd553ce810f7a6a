"""RDD.histogram."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isinf
from typing import Any, TypeVar

from quiver.rdd_actions import Actions
from quiver_proto.buckets import CountInto, extent, is_missing

T = TypeVar("T")

_EVEN = 1e-10
"""Widths that differ by less count as equal."""


class Histograms(Actions[T]):
    __slots__ = ()

    def histogram(self, buckets: int | Sequence[Any]) -> tuple[Sequence[Any], list[int]]:
        """(the buckets' bounds, how many records each has). None and NaN are counted nowhere, nor is what lies outside.

        `buckets` are the bounds, sorted and without duplicates: a bucket holds its lower bound and not its upper one, but for the
        last, which holds both. Or it is a number of buckets of one width between the smallest and the largest record, which one job
        more finds out; records that are all equal make one bucket. Bounds may be of any type that can be ordered.

        Raises ValueError for bounds that will not do, or of no records; TypeError where widths can't be made.

        >>> rdd = sc.parallelize(range(51))
        >>> rdd.histogram(2)
        ([0, 25, 50], [25, 26])
        >>> rdd.histogram([0, 5, 25, 50])
        ([0, 5, 25, 50], [5, 20, 26])
        >>> sc.parallelize(["ab", "ac", "b", "bd", "ef"]).histogram(("a", "b", "c"))
        (('a', 'b', 'c'), [2, 2])
        """
        step: Any
        if isinstance(buckets, int):
            count, low, high = self._extent(buckets)
            if buckets == 1 or low == high:
                return [low, high], [count]
            step = _step(low, high, buckets)
            bounds: Sequence[Any] = [*(i * step + low for i in range(buckets)), high]
        elif isinstance(buckets, list | tuple):
            _check_bounds(buckets)
            bounds, step = buckets, _even_step(buckets)
        else:
            raise TypeError(f"buckets should be a list or tuple or number(int or long), not {type(buckets).__name__}")
        parts = self._apply(CountInto(bounds, step))
        if not parts:
            raise ValueError("Can not reduce() empty RDD")
        return bounds, [sum(counts) for counts in zip(*parts, strict=True)]

    def _extent(self, buckets: int) -> tuple[int, Any, Any]:
        if buckets < 1:
            raise ValueError(f"number of buckets must be >= 1, not {buckets}")
        found = [part for part in self._apply(extent) if part[0]]
        if not found:
            raise ValueError("Can not reduce() empty RDD: there is nothing to make buckets for")
        return sum(count for count, _, _ in found), min(low for _, low, _ in found), max(high for _, _, high in found)


def _step(low: Any, high: Any, buckets: int) -> Any:
    """A whole number where that comes out even."""
    try:
        width = (high - low) / buckets
    except TypeError:
        raise TypeError("Can not generate buckets with non-number in RDD") from None
    if isinf(width):
        raise ValueError("Can not generate buckets with infinite value")
    whole = int(width)
    return whole if whole * buckets == high - low else (high - low) * 1.0 / buckets


def _check_bounds(bounds: Sequence[Any]) -> None:
    if len(bounds) < 2:
        raise ValueError("buckets should have more than one value")
    if any(map(is_missing, bounds)):
        raise ValueError("can not have None or NaN in buckets")
    if sorted(bounds) != list(bounds):
        raise ValueError("buckets should be sorted")
    if len(set(bounds)) != len(bounds):
        raise ValueError("buckets should not contain duplicated values")


def _even_step(bounds: Sequence[Any]) -> Any:
    """The width of all buckets, or None where they differ or have none."""
    try:
        widths = [after - before for before, after in pairwise(bounds)]
        if max(widths) - min(widths) < _EVEN:
            return (bounds[-1] - bounds[0]) / (len(bounds) - 1)
    except TypeError:
        pass
    return None
