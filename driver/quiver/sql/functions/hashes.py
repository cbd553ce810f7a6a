"""Checksums and hashes."""

from __future__ import annotations

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call
from quiver.sql.literals import column_of, expression_of

__all__ = [
    "crc32",
    "hash",
    "md5",
    "sha",
    "sha1",
    "sha2",
    "xxhash64",
]


def md5(col: ColumnOrName) -> Column:
    """MD5 checksum in hexadecimal digits.

    >>> spark.range(1).select(F.md5(F.lit("Spark"))).first()[0]
    '8cde774d6f7333752ed72cacddb05126'
    """
    return call("md5", column_of(col))


def sha(col: ColumnOrName) -> Column:
    """SHA-1 checksum in hexadecimal digits.

    >>> spark.range(1).select(F.sha(F.lit("Spark"))).first()[0]
    '85f5955f4b27a9a4c2aab6ffe5d7189fc298b92c'
    """
    return call("sha", column_of(col))


def sha1(col: ColumnOrName) -> Column:
    """SHA-1 checksum in hexadecimal digits.

    >>> spark.range(1).select(F.sha1(F.lit("Spark"))).first()[0]
    '85f5955f4b27a9a4c2aab6ffe5d7189fc298b92c'
    """
    return call("sha1", column_of(col))


def sha2(col: ColumnOrName, numBits: int) -> Column:
    """SHA-2 checksum of 224, 256, 384 or 512 bits (0: 256) in hexadecimal digits.

    >>> spark.range(1).select(F.sha2(F.lit("Spark"), 224)).first()[0]
    'dbeab94971678d36af2195851c0f7485775a2a7c60073d62fc04549c'
    """
    return call("sha2", column_of(col), expression_of(numBits))


def crc32(col: ColumnOrName) -> Column:
    """CRC-32 checksum.

    >>> spark.range(1).select(F.crc32(F.lit("Spark"))).first()[0]
    1557323817
    """
    return call("crc32", column_of(col))


def hash(*cols: ColumnOrName) -> Column:
    """Spark's hash of all the columns, 32 bits (murmur3): the same in PySpark.

    >>> spark.range(1).select(F.hash(F.lit("Spark"), F.lit(1))).first()[0]
    205329825
    """
    return call("hash", *map(column_of, cols))


def xxhash64(*cols: ColumnOrName) -> Column:
    """A hash of all the columns, 64 bits: the same in PySpark.

    >>> spark.range(1).select(F.xxhash64(F.lit("Spark"), F.lit(1))).first()[0]
    -4449867541325528513
    """
    return call("xxhash64", *map(column_of, cols))
