"""Functions of bytes as text, and of text as bytes: characters, base 64 and 32, hexadecimal digits, addresses."""

from __future__ import annotations

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call, optional
from quiver.sql.literals import column_of, expression_of

__all__ = [
    "base64",
    "decode",
    "encode",
    "from_base32",
    "hex",
    "is_valid_utf8",
    "make_valid_utf8",
    "parse_url",
    "to_base32",
    "to_binary",
    "try_parse_url",
    "try_to_binary",
    "try_url_decode",
    "try_validate_utf8",
    "unbase64",
    "unhex",
    "url_decode",
    "url_encode",
    "validate_utf8",
]


def base64(col: ColumnOrName) -> Column:
    """Bytes as text in base64.

    >>> spark.range(1).select(F.base64(F.lit("Spark"))).first()[0]
    'U3Bhcms='
    """
    return call("base64", column_of(col))


def unbase64(col: ColumnOrName) -> Column:
    """The bytes that a text in base64 means.

    >>> bytes(spark.range(1).select(F.unbase64(F.lit("U3Bhcms="))).first()[0])
    b'Spark'
    """
    return call("unbase64", column_of(col))


def encode(col: ColumnOrName, charset: str) -> Column:
    r"""The bytes of a string in a charset.

    >>> bytes(spark.range(1).select(F.encode(F.lit("ab"), "UTF-16BE")).first()[0])
    b'\x00a\x00b'
    """
    return call("encode", column_of(col), expression_of(charset))


def decode(col: ColumnOrName, charset: str) -> Column:
    """The string that bytes mean in a charset.

    >>> spark.range(1).select(F.decode(F.encode(F.lit("ab"), "UTF-8"), "UTF-8")).first()[0]
    'ab'
    """
    return call("decode", column_of(col), expression_of(charset))


def hex(col: ColumnOrName) -> Column:
    """A number, string or binary in hexadecimal digits.

    >>> spark.range(1).select(F.hex(F.lit("ABC"))).first()[0]
    '414243'
    """
    return call("hex", column_of(col))


def unhex(col: ColumnOrName) -> Column:
    """The bytes that hexadecimal digits mean; null if they are none.

    >>> bytes(spark.range(1).select(F.unhex(F.lit("414243"))).first()[0])
    b'ABC'
    """
    return call("unhex", column_of(col))


def to_binary(col: ColumnOrName, format: ColumnOrName | None = None) -> Column:
    """The bytes that a text means: in hex, utf-8 or base64.

    >>> bytes(spark.range(1).select(F.to_binary(F.lit("414243"), F.lit("hex"))).first()[0])
    b'ABC'
    """
    return call("to_binary", column_of(col), *optional(column_of, format))


def try_to_binary(col: ColumnOrName, format: ColumnOrName | None = None) -> Column:
    """As to_binary, null where it can't be.

    >>> spark.range(1).select(F.try_to_binary(F.lit("xyz"), F.lit("hex"))).first()[0] is None
    True
    """
    return call("try_to_binary", column_of(col), *optional(column_of, format))


def is_valid_utf8(str: ColumnOrName) -> Column:
    """Whether the bytes are a string.

    >>> spark.range(1).select(F.is_valid_utf8(F.lit("abc"))).first()[0]
    True
    """
    return call("is_valid_utf8", column_of(str))


def make_valid_utf8(str: ColumnOrName) -> Column:
    """The string, with marks where bytes are none.

    >>> spark.range(1).select(F.make_valid_utf8(F.lit("abc"))).first()[0]
    'abc'
    """
    return call("make_valid_utf8", column_of(str))


def validate_utf8(str: ColumnOrName) -> Column:
    """The string; an error where bytes are none.

    >>> spark.range(1).select(F.validate_utf8(F.lit("abc"))).first()[0]
    'abc'
    """
    return call("validate_utf8", column_of(str))


def try_validate_utf8(str: ColumnOrName) -> Column:
    """The string; null where bytes are none.

    >>> spark.range(1).select(F.try_validate_utf8(F.lit("abc"))).first()[0]
    'abc'
    """
    return call("try_validate_utf8", column_of(str))


def url_encode(str: ColumnOrName) -> Column:
    """As a part of a URL.

    >>> spark.range(1).select(F.url_encode(F.lit("a b&c"))).first()[0]
    'a+b%26c'
    """
    return call("url_encode", column_of(str))


def url_decode(str: ColumnOrName) -> Column:
    """What a part of a URL means.

    >>> spark.range(1).select(F.url_decode(F.lit("a+b%26c"))).first()[0]
    'a b&c'
    """
    return call("url_decode", column_of(str))


def try_url_decode(str: ColumnOrName) -> Column:
    """As url_decode, null where it can't be.

    >>> spark.range(1).select(F.try_url_decode(F.lit("%zz"))).first()[0] is None
    True
    """
    return call("try_url_decode", column_of(str))


def parse_url(url: ColumnOrName, partToExtract: ColumnOrName, key: ColumnOrName | None = None) -> Column:
    """A part of a URL: HOST, PATH, QUERY, REF, PROTOCOL, FILE, AUTHORITY, USERINFO; of the query, one key.

    >>> spark.range(1).select(F.parse_url(F.lit("https://example.com/p?k=v"), F.lit("QUERY"), F.lit("k"))).first()[0]
    'v'
    """
    return call("parse_url", column_of(url), column_of(partToExtract), *optional(column_of, key))


def try_parse_url(url: ColumnOrName, partToExtract: ColumnOrName, key: ColumnOrName | None = None) -> Column:
    """As parse_url, null for what is no URL.

    >>> spark.range(1).select(F.try_parse_url(F.lit("https://example.com/p"), F.lit("HOST"))).first()[0]
    'example.com'
    """
    return call("try_parse_url", column_of(url), column_of(partToExtract), *optional(column_of, key))


def to_base32(col: ColumnOrName) -> Column:
    """As text in base 32.

    >>> spark.range(1).select(F.to_base32(F.lit("Spark").cast("binary"))).first()[0]
    'KNYGC4TL'
    """
    return call("to_base32", column_of(col))


def from_base32(col: ColumnOrName) -> Column:
    """Of text in base 32.

    >>> spark.range(1).select(F.from_base32(F.lit("KNYGC4TL"))).first()[0]
    b'Spark'
    """
    return call("from_base32", column_of(col))
