"""Checksums and hashes. `hash` is Spark's murmur3, bit by bit the same, so that buckets agree."""

from __future__ import annotations

import hashlib
import struct
import zlib
from datetime import date, datetime
from decimal import Context
from typing import Any

from quiver_proto.spark_functions.casts import parts
from quiver_proto.spark_functions.prepared import Prepared, prepared

_WIDE = Context(prec=80)

_MASK = 0xFFFFFFFF


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def sha1(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def sha2(data: bytes, bits: int) -> str | None:
    if bits not in (0, 224, 256, 384, 512):
        return None
    return hashlib.new(f"sha{bits or 256}", data).hexdigest()


def crc32(data: bytes) -> int:
    return zlib.crc32(data)


def _mix_key(k: int) -> int:
    k = k * 0xCC9E2D51 & _MASK
    k = (k << 15 | k >> 17) & _MASK
    return k * 0x1B873593 & _MASK


def _mix(h: int, k: int) -> int:
    h ^= _mix_key(k)
    h = (h << 13 | h >> 19) & _MASK
    return (h * 5 + 0xE6546B64) & _MASK


def _finish(h: int, length: int) -> int:
    h ^= length
    h ^= h >> 16
    h = h * 0x85EBCA6B & _MASK
    h ^= h >> 13
    h = h * 0xC2B2AE35 & _MASK
    return h ^ h >> 16


def _of_int(value: int, seed: int) -> int:
    return _finish(_mix(seed, value & _MASK), 4)


def _of_long(value: int, seed: int) -> int:
    return _finish(_mix(_mix(seed, value & _MASK), value >> 32 & _MASK), 8)


def of_bytes(data: bytes, seed: int) -> int:
    """Murmur3 of the bytes, of 32 bits without a sign; the last bytes count one by one, as in Spark."""
    whole = len(data) // 4 * 4
    for (k,) in struct.iter_unpack("<I", data[:whole]):
        seed = _mix(seed, k)
    for byte in data[whole:]:
        seed = _mix(seed, (byte - 256 if byte > 127 else byte) & _MASK)
    return _finish(seed, len(data))


def _one(kind: str, value: Any, seed: int) -> int:
    if value is None:
        return seed
    if kind in ("int", "smallint", "tinyint", "boolean"):
        return _of_int(int(value), seed)
    if kind == "bigint":
        return _of_long(value, seed)
    if kind == "double":
        return _of_long(struct.unpack("<q", struct.pack("<d", value + 0.0))[0], seed)
    if kind == "float":
        return _of_int(struct.unpack("<i", struct.pack("<f", value + 0.0))[0], seed)
    if kind == "date":
        return _of_int((value - date(1970, 1, 1)).days, seed)
    if isinstance(value, datetime):
        from datetime import timedelta

        return _of_long((value.replace(tzinfo=None) - datetime(1970, 1, 1)) // timedelta(microseconds=1), seed)
    if kind.startswith("decimal"):
        precision, scale = map(int, kind[8:-1].split(","))
        unscaled = int(value.scaleb(scale, _WIDE))
        if precision <= 18:
            return _of_long(unscaled, seed)
        return of_bytes(unscaled.to_bytes(((unscaled if unscaled >= 0 else ~unscaled).bit_length()) // 8 + 1, "big", signed=True), seed)
    if kind.startswith("struct<"):
        for member, item in zip(parts(kind[7:-1]), value.values(), strict=True):
            seed = _one(member.partition(":")[2], item, seed)
        return seed
    if kind.startswith("array<"):
        for item in value:
            seed = _one(kind[6:-1], item, seed)
        return seed
    return of_bytes(value if isinstance(value, bytes) else str(value).encode(), seed)


class Hasher:
    """The hash of values of these types, in order."""

    def __init__(self, kinds: tuple[str, ...]) -> None:
        self._kinds = kinds

    def __call__(self, *values: Any) -> int:
        seed = 42
        for kind, value in zip(self._kinds, values, strict=True):
            seed = _one(kind, value, seed)
        return seed - (1 << 32) if seed >> 31 else seed


def hasher(kinds: tuple[str, ...]) -> Prepared:
    """For columns of these types."""
    return prepared("hash", Hasher, kinds)
