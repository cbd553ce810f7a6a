"""Vectors: arrays of floats."""

from __future__ import annotations

import math
import struct

from quiver_proto.spark_functions.java import SparkValueError

Vector = list[float | None]


def _single(value: float) -> float:
    """As near as a float of 32 bits is."""
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def _pairs(name: str, a: Vector, b: Vector) -> list[tuple[float, float]] | None:
    """None where a number is null. Raises SparkValueError for vectors of unlike lengths."""
    if len(a) != len(b):
        raise SparkValueError(
            "VECTOR_DIMENSION_MISMATCH", f"Vectors passed to `{name}` must have the same dimension, but got {len(a)} and {len(b)}."
        )
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    return pairs if len(pairs) == len(a) else None


def inner_product(a: Vector, b: Vector) -> float | None:
    pairs = _pairs("vector_inner_product", a, b)
    return None if pairs is None else _single(math.fsum(x * y for x, y in pairs) if _finite(pairs) else sum(x * y for x, y in pairs))


def l2_distance(a: Vector, b: Vector) -> float | None:
    pairs = _pairs("vector_l2_distance", a, b)
    return None if pairs is None else _single(math.sqrt(sum((x - y) * (x - y) for x, y in pairs)))


def cosine_similarity(a: Vector, b: Vector) -> float | None:
    """Null where one has no length."""
    pairs = _pairs("vector_cosine_similarity", a, b)
    if not pairs:
        return None
    lengths = math.sqrt(sum(x * x for x, _ in pairs)) * math.sqrt(sum(y * y for _, y in pairs))
    return _single(sum(x * y for x, y in pairs) / lengths) if lengths else None


def norm(vector: Vector, degree: float = 2.0) -> float | None:
    """Of degree 1, 2 or infinite."""
    length = _length("vector_norm", vector, degree)
    return None if length is None else _single(length)


def normalize(vector: Vector, degree: float = 2.0) -> Vector | None:
    """Divided by its norm; null where that is 0."""
    length = _length("vector_normalize", vector, degree)
    if length is None or (length == 0 and vector):
        return None
    return [_single((x or 0.0) / length) for x in vector]


def total(vectors: list[Vector | None] | None) -> Vector | None:
    """Number by number, of those that hold no null."""
    return _combined("vector_sum", vectors, False)


def mean(vectors: list[Vector | None] | None) -> Vector | None:
    return _combined("vector_avg", vectors, True)


def _combined(name: str, vectors: list[Vector | None] | None, divided: bool) -> Vector | None:
    present = [one for one in vectors or () if one is not None and None not in one]
    if not present:
        return None
    length = len(present[0])
    for one in present:
        _pairs(name, present[0], one)
    sums = [sum(one[at] or 0.0 for one in present) for at in range(length)]
    return [_single(value / len(present) if divided else value) for value in sums]


def _length(name: str, vector: Vector, degree: float) -> float | None:
    if None in vector:
        return None
    numbers = [abs(x) for x in vector if x is not None]
    if degree == 1:
        return sum(numbers)
    if degree == 2:
        return math.sqrt(sum(x * x for x in numbers))
    if degree == math.inf:
        return max(numbers, default=0.0)
    raise SparkValueError(
        "INVALID_VECTOR_NORM_DEGREE", f"Invalid norm degree for `{name}`. Expected 1.0, 2.0 or float('inf'), but got {degree}."
    )


def _finite(pairs: list[tuple[float, float]]) -> bool:
    return all(math.isfinite(x) and math.isfinite(y) for x, y in pairs)
