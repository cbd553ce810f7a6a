"""How often values occur, about: Spark's count-min sketch, byte for byte."""

from __future__ import annotations

import math
import struct
from typing import Any

from quiver_proto.spark_functions.digests import of_bytes

_PRIME = (1 << 31) - 1
_MASK = (1 << 48) - 1


def _signed(value: int, bits: int) -> int:
    """What is left of an integer in so many bits."""
    return (value + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


def _drawn(seed: int, count: int) -> list[int]:
    """So many numbers below 2**31 - 1 of Java's Random."""
    state = (seed ^ 0x5DEECE66D) & _MASK
    numbers: list[int] = []
    while len(numbers) < count:
        state = (state * 0x5DEECE66D + 0xB) & _MASK
        if (number := state >> 17) < _PRIME:  # All but one of 2**31 are below it.
            numbers.append(number)
    return numbers


def _places(value: Any, factors: list[int], width: int) -> list[int]:
    """Of a value in each row of counts."""
    if isinstance(value, int):
        places = []
        for factor in factors:
            product = _signed(factor * value, 64)
            places.append(_signed(product + (product >> 32), 64) & _PRIME)
        return [place % width for place in places]
    data = value.encode() if isinstance(value, str) else value
    first = of_bytes(data, 0)
    second = _signed(of_bytes(data, first), 32)
    # The remainder has the sign of what is divided.
    return [abs(_signed(_signed(first, 32) + number * second, 32)) % width for number in range(len(factors))]


def count_min_sketch(values: list[Any] | None, error: float, confidence: float, seed: int) -> bytes:
    """Of the values that are not null. `error`: of counts, as a share of all; `confidence`: that it is kept."""
    width = math.ceil(2 / error)
    depth = math.ceil(-math.log(1 - confidence) / math.log(2))
    factors = _drawn(seed, depth)
    counts = [[0] * width for _ in factors]
    present = [value for value in values or () if value is not None]
    known: dict[Any, list[int]] = {}
    for value in present:
        places = known.get(value)
        if places is None:
            places = known[value] = _places(value, factors, width)
        for row, place in zip(counts, places, strict=True):
            row[place] += 1
    return struct.pack(
        f">iqii{depth}q{depth * width}q", 1, len(present), depth, width, *factors, *(count for row in counts for count in row)
    )
