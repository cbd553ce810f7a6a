"""Bitmaps, encryption, vectors."""

from __future__ import annotations

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call, optional
from quiver.sql.literals import column_of

__all__ = [
    "aes_decrypt",
    "aes_encrypt",
    "bitmap_and_agg",
    "bitmap_bit_position",
    "bitmap_bucket_number",
    "bitmap_construct_agg",
    "bitmap_count",
    "bitmap_or_agg",
    "hmac",
    "try_aes_decrypt",
    "vector_avg",
    "vector_cosine_similarity",
    "vector_inner_product",
    "vector_l2_distance",
    "vector_norm",
    "vector_normalize",
    "vector_sum",
]


def bitmap_bit_position(col: ColumnOrName) -> Column:
    """The bit of a number in its bucket's bitmap, from 0.

    >>> spark.range(1).select(F.bitmap_bit_position(F.lit(123))).first()[0]
    122
    """
    return call("bitmap_bit_position", column_of(col))


def bitmap_bucket_number(col: ColumnOrName) -> Column:
    """The bucket of a number: each holds 32768.

    >>> spark.range(1).select(F.bitmap_bucket_number(F.lit(40000))).first()[0]
    2
    """
    return call("bitmap_bucket_number", column_of(col))


def bitmap_count(col: ColumnOrName) -> Column:
    """How many bits are set.

    >>> spark.range(1).select(F.bitmap_count(F.unhex(F.lit("FF01")))).first()[0]
    9
    """
    return call("bitmap_count", column_of(col))


def bitmap_construct_agg(col: ColumnOrName) -> Column:
    """The bitmap of these positions, which `bitmap_bit_position` gives: counted, an exact number of distinct values.

    >>> df = spark.createDataFrame([(1,), (3,), (3,)], ["n"])
    >>> df.select(F.bitmap_count(F.bitmap_construct_agg(F.bitmap_bit_position("n")))).first()[0]
    2
    """
    return call("bitmap_construct_agg", column_of(col))


def bitmap_or_agg(col: ColumnOrName) -> Column:
    """The bits that are set in any of the bitmaps.

    >>> df = spark.createDataFrame([("10",), ("20",)], ["b"])
    >>> df.select(F.bitmap_count(F.bitmap_or_agg(F.unhex("b")))).first()[0]
    2
    """
    return call("bitmap_or_agg", column_of(col))


def bitmap_and_agg(col: ColumnOrName) -> Column:
    """The bits that are set in all of the bitmaps.

    >>> df = spark.createDataFrame([("30",), ("10",)], ["b"])
    >>> df.select(F.bitmap_count(F.bitmap_and_agg(F.unhex("b")))).first()[0]
    1
    """
    return call("bitmap_and_agg", column_of(col))


def hmac(key: ColumnOrName, message: ColumnOrName, algorithm: ColumnOrName | None = None) -> Column:
    """The message's keyed hash: MD5, SHA-1, SHA-224, SHA-256 (unless told otherwise), SHA-384 or SHA-512.

    >>> spark.range(1).select(F.hex(F.hmac(F.lit("key"), F.lit("message"), F.lit("MD5")))).first()[0]
    '4E4748E62B463521F6775FBF921234B5'
    """
    return call("hmac", column_of(key), column_of(message), *optional(column_of, algorithm))


def _given(*values: ColumnOrName | None) -> list[ColumnOrName]:
    """The arguments up to the first that was left out."""
    result: list[ColumnOrName] = []
    for value in values:
        if value is None:
            break
        result.append(value)
    return result


def aes_encrypt(
    input: ColumnOrName,
    key: ColumnOrName,
    mode: ColumnOrName | None = None,
    padding: ColumnOrName | None = None,
    iv: ColumnOrName | None = None,
    aad: ColumnOrName | None = None,
) -> Column:
    """Encrypted by AES with a key of 16, 24 or 32 bytes; GCM unless `mode` is ECB or CBC. Executors need the package cryptography.

    >>> spark.range(1).select(F.hex(F.aes_encrypt(F.lit("Spark"), F.lit("0000111122223333"), F.lit("ECB")))).first()[0]
    '348FF37EBDE05B7880BA339068FBDA5E'
    """
    return call("aes_encrypt", *map(column_of, (input, key, *_given(mode, padding, iv, aad))))


def aes_decrypt(
    input: ColumnOrName,
    key: ColumnOrName,
    mode: ColumnOrName | None = None,
    padding: ColumnOrName | None = None,
    aad: ColumnOrName | None = None,
) -> Column:
    """What `aes_encrypt` was given.

    >>> secret = F.aes_encrypt(F.lit("Spark"), F.lit("0000111122223333"))
    >>> spark.range(1).select(F.aes_decrypt(secret, F.lit("0000111122223333")).cast("string")).first()[0]
    'Spark'
    """
    return call("aes_decrypt", *map(column_of, (input, key, *_given(mode, padding, aad))))


def try_aes_decrypt(
    input: ColumnOrName,
    key: ColumnOrName,
    mode: ColumnOrName | None = None,
    padding: ColumnOrName | None = None,
    aad: ColumnOrName | None = None,
) -> Column:
    """As aes_decrypt; null where it can't be decrypted.

    >>> spark.range(1).select(F.try_aes_decrypt(F.lit("?"), F.lit("0000111122223333"))).first()[0] is None
    True
    """
    return call("try_aes_decrypt", *map(column_of, (input, key, *_given(mode, padding, aad))))


def vector_inner_product(left: ColumnOrName, right: ColumnOrName) -> Column:
    """The sum of products, of two arrays of floats.

    >>> df = spark.createDataFrame([([1.0, 2.0], [3.0, 4.0])], "a array<float>, b array<float>")
    >>> df.select(F.vector_inner_product("a", "b")).first()[0]
    11.0
    """
    return call("vector_inner_product", column_of(left), column_of(right))


def vector_l2_distance(left: ColumnOrName, right: ColumnOrName) -> Column:
    """How far two vectors lie from each other.

    >>> df = spark.createDataFrame([([0.0, 0.0], [3.0, 4.0])], "a array<float>, b array<float>")
    >>> df.select(F.vector_l2_distance("a", "b")).first()[0]
    5.0
    """
    return call("vector_l2_distance", column_of(left), column_of(right))


def vector_cosine_similarity(left: ColumnOrName, right: ColumnOrName) -> Column:
    """The cosine of the angle between two vectors; null where one is 0.

    >>> df = spark.createDataFrame([([1.0, 0.0], [0.0, 4.0])], "a array<float>, b array<float>")
    >>> df.select(F.vector_cosine_similarity("a", "b")).first()[0]
    0.0
    """
    return call("vector_cosine_similarity", column_of(left), column_of(right))


def vector_norm(vector: ColumnOrName, degree: ColumnOrName | None = None) -> Column:
    """A vector's length, of degree 2 unless `degree` is 1 or infinite.

    >>> spark.createDataFrame([([3.0, 4.0],)], "a array<float>").select(F.vector_norm("a")).first()[0]
    5.0
    """
    return call("vector_norm", column_of(vector), *optional(column_of, degree))


def vector_normalize(vector: ColumnOrName, degree: ColumnOrName | None = None) -> Column:
    """The vector divided by its norm; null where that is 0.

    >>> spark.createDataFrame([([2.0, 0.0],)], "a array<float>").select(F.vector_normalize("a")).first()[0]
    [1.0, 0.0]
    """
    return call("vector_normalize", column_of(vector), *optional(column_of, degree))


def vector_sum(col: ColumnOrName) -> Column:
    """The sum of vectors, number by number.

    >>> spark.createDataFrame([([1.0, 2.0],), ([3.0, 4.0],)], "a array<float>").select(F.vector_sum("a")).first()[0]
    [4.0, 6.0]
    """
    return call("vector_sum", column_of(col))


def vector_avg(col: ColumnOrName) -> Column:
    """The mean of vectors, number by number.

    >>> spark.createDataFrame([([1.0, 2.0],), ([3.0, 4.0],)], "a array<float>").select(F.vector_avg("a")).first()[0]
    [2.0, 3.0]
    """
    return call("vector_avg", column_of(col))
