"""Bitmaps of 4096 bytes, which count distinct numbers exactly: a number has a bucket, and a bit in its bucket's bitmap."""

from __future__ import annotations

from functools import reduce

from quiver_proto.spark_functions.java import SparkValueError

BYTES = 4096
BITS = 8 * BYTES


def construct(positions: list[int | None] | None) -> bytes:
    """The bitmap with these bits set. Raises SparkValueError for a position beyond it."""
    result = bytearray(BYTES)
    for position in positions or ():
        if position is None:
            continue
        if not 0 <= position < BITS:
            raise SparkValueError(
                "INVALID_BITMAP_POSITION", f"The 0-indexed bitmap position {position} is out of bounds. The bitmap has {BITS} bits."
            )
        result[position // 8] |= 1 << position % 8
    return bytes(result)


def union(bitmaps: list[bytes | None] | None) -> bytes:
    """The bits that are set in any."""
    return reduce(lambda a, b: a | b, map(_number, bitmaps or ()), 0).to_bytes(BYTES, "little")


def intersection(bitmaps: list[bytes | None] | None) -> bytes:
    """The bits that are set in all; all bits where there are none. Bytes that a shorter one lacks are zero."""
    full = (1 << BITS) - 1
    return reduce(lambda a, b: a & b, (_number(one) for one in bitmaps or () if one is not None), full).to_bytes(BYTES, "little")


def count(bitmap: bytes) -> int:
    return int.from_bytes(bitmap, "little").bit_count()


def _number(bitmap: bytes | None) -> int:
    return int.from_bytes((bitmap or b"")[:BYTES], "little")
