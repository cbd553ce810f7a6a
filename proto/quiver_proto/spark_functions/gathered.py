"""Aggregates of all values of a group, gathered into a list."""

from __future__ import annotations

import bisect
import itertools
import math
import operator
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any

from quiver_proto.spark_functions.lists import key_of, order_of


def mode(values: list[Any] | None, deterministic: bool = False) -> Any:
    """The commonest; of those as common the least, or the first."""
    tied = _commonest(values)
    return (min(tied, key=order_of) if deterministic else tied[0]) if tied else None


def least_mode(values: list[Any] | None) -> Any:
    return mode(values, True)


def greatest_mode(values: list[Any] | None) -> Any:
    return max(_commonest(values), key=order_of, default=None)


def _commonest(values: list[Any] | None) -> list[Any]:
    counts: dict[Any, list[Any]] = {}
    for value in values or ():
        if value is not None:
            counts.setdefault(key_of(value), [0, value])[0] += 1
    most = max((count for count, _ in counts.values()), default=0)
    return [value for count, value in counts.values() if count == most]


def listed_in_order(rows: list[Any] | None, separator: str | None, directions: str) -> str | None:
    """The values "v" that are not null as one text, by the keys "0", "1" …; `directions` has two letters for each key: "a"scending or
    "d"escending, nulls "f"irst or "l"ast."""
    present = [row for row in rows or () if row["v"] is not None]
    for place in reversed(range(len(directions) // 2)):
        ascending, first = directions[2 * place] == "a", directions[2 * place + 1] == "f"
        key = str(place)
        known = [row for row in present if row[key] is not None]
        known.sort(key=lambda row: _comparable(row[key]), reverse=not ascending)
        nulls = [row for row in present if row[key] is None]
        present = nulls + known if first else known + nulls
    return (separator or "").join(row["v"] for row in present) if present else None


def _comparable(value: Any) -> Any:
    """By which values sort as in SQL: NaN is the greatest number, null members are less than others."""
    match value:
        case dict():
            return tuple((member is not None, _comparable(member) if member is not None else 0) for member in value.values())
        case list():
            return tuple((member is not None, _comparable(member) if member is not None else 0) for member in value)
        case float():
            return (value != value, value if value == value else 0.0)
        case _:
            return value


def weighed_percentile(pairs: list[Any] | None, share: float) -> float | None:
    """Between the values beside the rank, where each value is there as often as its pair says."""
    present = sorted((pair["v"], pair["n"]) for pair in pairs or () if pair["v"] is not None and pair["n"])
    if not present:
        return None
    ends = list(itertools.accumulate(count for _, count in present))
    rank = (ends[-1] - 1) * share
    low, high = (present[bisect.bisect_right(ends, place)][0] for place in (math.floor(rank), math.ceil(rank)))
    return float(low if low == high else (math.ceil(rank) - rank) * low + (rank - math.floor(rank)) * high)


def _deviations(values: list[float | None] | None, but: int, root: bool) -> float | None:
    present = [value for value in values or () if value is not None]
    if len(present) <= but:
        return None
    mean = math.fsum(present) / len(present)
    variance = math.fsum((value - mean) ** 2 for value in present) / (len(present) - but)
    return math.sqrt(variance) if root else variance


def stddev_samp_of(values: list[float | None] | None) -> float | None:
    return _deviations(values, 1, True)


def stddev_pop_of(values: list[float | None] | None) -> float | None:
    return _deviations(values, 0, True)


def var_samp_of(values: list[float | None] | None) -> float | None:
    return _deviations(values, 1, False)


def var_pop_of(values: list[float | None] | None) -> float | None:
    return _deviations(values, 0, False)


def union(arrays: list[list[Any] | None] | None) -> list[Any]:
    """The different elements, without nulls, in the order in which they came."""
    seen: dict[Any, Any] = {}
    for array in arrays or ():
        for value in array or ():
            if value is not None:
                seen.setdefault(key_of(value), value)
    return list(seen.values())


def product(values: list[float | None] | None) -> float | None:
    present = [value for value in values or () if value is not None]
    if not present:
        return None
    result = 1.0
    for value in present:
        result *= value
    return result


def _ranked(pairs: list[Any] | None, count: int, largest: bool) -> list[Any]:
    present = [pair for pair in pairs or () if pair["o"] is not None]
    return [pair["v"] for pair in sorted(present, key=lambda pair: order_of(pair["o"]), reverse=largest)[:count]]


def largest_by(pairs: list[Any] | None, count: int) -> list[Any]:
    return _ranked(pairs, count, True)


def smallest_by(pairs: list[Any] | None, count: int) -> list[Any]:
    return _ranked(pairs, count, False)


class _Draws:
    """Java's Random, as far as fractions are drawn of it."""

    def __init__(self, seed: int) -> None:
        self._state = (seed ^ 0x5DEECE66D) & _48_BITS

    def _next(self, bits: int) -> int:
        self._state = (self._state * 0x5DEECE66D + 0xB) & _48_BITS
        return self._state >> (48 - bits)

    def fraction(self) -> float:
        """At least 0, less than 1."""
        return float((self._next(26) << 27) + self._next(27)) * 2.0**-53


_48_BITS = (1 << 48) - 1
_SEED = 31183
"""With which Spark draws one of several pairs that are equally near."""


def histogram(values: list[Any] | None, bins: int) -> list[dict[str, Any]] | None:
    """Bins of about as many values each, as of Ben-Haim and Tom-Tov: where there are too many the two nearest are merged."""
    kept: list[list[float]] = []
    draws = _Draws(_SEED)
    known: Any = None
    for value in values or ():
        if value is None:
            continue
        known = value
        at = bisect.bisect_left(kept, float(value), key=operator.itemgetter(0))
        if at < len(kept) and kept[at][0] == float(value):
            kept[at][1] += 1
            continue
        kept.insert(at, [float(value), 1.0])
        if len(kept) > bins:
            place = _nearest([more[0] - less[0] for less, more in pairwise(kept)], draws)
            (x, n), (y, m) = kept[place : place + 2]
            kept[place : place + 2] = [[x * (n / (n + m)) + y / (n + m) * m, n + m]]
    return [{"x": _alike(x, known), "y": n} for x, n in kept] if kept else None


def _nearest(distances: list[float], draws: _Draws) -> int:
    place, least, ties = 0, distances[0], 1
    for at, distance in enumerate(distances[1:], 1):
        if distance < least:
            place, least, ties = at, distance, 1
        elif distance == least:
            ties += 1
            if draws.fraction() <= 1.0 / ties:
                place = at
    return place


def _alike(number: float, known: Any) -> Any:
    """As a value of the column's type: an integer without its fraction, a decimal of as many digits behind the point."""
    if isinstance(known, Decimal):
        return Decimal(repr(number)).quantize(Decimal(1).scaleb(known.as_tuple().exponent), ROUND_HALF_UP)  # type: ignore[arg-type]
    return type(known)(number)
