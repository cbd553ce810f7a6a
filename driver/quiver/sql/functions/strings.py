"""Functions of strings, regular expressions and bytes as text."""

from __future__ import annotations

from quiver.sql.column import Column, column_of, expression_of
from quiver.sql.functions.arguments import ColumnOrName, call, column_or_value, optional

__all__ = [
    "ascii",
    "base64",
    "bit_length",
    "btrim",
    "char",
    "char_length",
    "character_length",
    "concat",
    "concat_ws",
    "contains",
    "decode",
    "elt",
    "encode",
    "endswith",
    "find_in_set",
    "format_number",
    "format_string",
    "from_base32",
    "hex",
    "ilike",
    "initcap",
    "instr",
    "is_valid_utf8",
    "jaro_winkler_similarity",
    "lcase",
    "left",
    "length",
    "levenshtein",
    "like",
    "locate",
    "lower",
    "lpad",
    "ltrim",
    "luhn_check",
    "make_valid_utf8",
    "mask",
    "octet_length",
    "overlay",
    "parse_url",
    "position",
    "printf",
    "quote",
    "randstr",
    "regexp",
    "regexp_count",
    "regexp_extract",
    "regexp_extract_all",
    "regexp_instr",
    "regexp_like",
    "regexp_replace",
    "regexp_substr",
    "repeat",
    "replace",
    "reverse",
    "right",
    "rlike",
    "rpad",
    "rtrim",
    "sentences",
    "soundex",
    "split",
    "split_part",
    "startswith",
    "str_to_map",
    "substr",
    "substring",
    "substring_index",
    "to_base32",
    "to_binary",
    "to_char",
    "to_number",
    "to_varchar",
    "translate",
    "trim",
    "try_parse_url",
    "try_to_binary",
    "try_to_number",
    "try_url_decode",
    "try_validate_utf8",
    "ucase",
    "unbase64",
    "unhex",
    "upper",
    "url_decode",
    "url_encode",
    "validate_utf8",
]


def upper(col: ColumnOrName) -> Column:
    """In capitals.

    >>> spark.range(1).select(F.upper(F.lit("abc"))).first()[0]
    'ABC'
    """
    return call("upper", column_of(col))


def lower(col: ColumnOrName) -> Column:
    """In small letters.

    >>> spark.range(1).select(F.lower(F.lit("ABC"))).first()[0]
    'abc'
    """
    return call("lower", column_of(col))


def ucase(str: ColumnOrName) -> Column:
    """In capitals; see upper.

    >>> spark.range(1).select(F.ucase(F.lit("abc"))).first()[0]
    'ABC'
    """
    return call("ucase", column_of(str))


def lcase(str: ColumnOrName) -> Column:
    """In small letters; see lower.

    >>> spark.range(1).select(F.lcase(F.lit("ABC"))).first()[0]
    'abc'
    """
    return call("lcase", column_of(str))


def length(col: ColumnOrName) -> Column:
    """How many characters a string has, or bytes a binary.

    >>> spark.range(1).select(F.length(F.lit("abc "))).first()[0]
    4
    """
    return call("length", column_of(col))


def char_length(str: ColumnOrName) -> Column:
    """How many characters a string has; see length.

    >>> spark.range(1).select(F.char_length(F.lit("abc"))).first()[0]
    3
    """
    return call("char_length", column_of(str))


def character_length(str: ColumnOrName) -> Column:
    """How many characters a string has; see length.

    >>> spark.range(1).select(F.character_length(F.lit("abc"))).first()[0]
    3
    """
    return call("character_length", column_of(str))


def octet_length(col: ColumnOrName) -> Column:
    """How many bytes the string takes in UTF-8.

    >>> spark.range(1).select(F.octet_length(F.lit("é"))).first()[0]
    2
    """
    return call("octet_length", column_of(col))


def bit_length(col: ColumnOrName) -> Column:
    """How many bits the string takes in UTF-8.

    >>> spark.range(1).select(F.bit_length(F.lit("ab"))).first()[0]
    16
    """
    return call("bit_length", column_of(col))


def ascii(col: ColumnOrName) -> Column:
    """The number of the first character.

    >>> spark.range(1).select(F.ascii(F.lit("Abc"))).first()[0]
    65
    """
    return call("ascii", column_of(col))


def char(col: ColumnOrName) -> Column:
    """The character of that number, modulo 256.

    >>> spark.range(1).select(F.char(F.lit(65))).first()[0]
    'A'
    """
    return call("char", column_of(col))


def initcap(col: ColumnOrName) -> Column:
    """Each word with a capital first, the rest small.

    >>> spark.range(1).select(F.initcap(F.lit("ab cD"))).first()[0]
    'Ab Cd'
    """
    return call("initcap", column_of(col))


def concat(*cols: ColumnOrName) -> Column:
    """All of them one after the other; null if one is null. Strings, binaries or arrays.

    >>> spark.range(1).select(F.concat(F.lit("ab"), F.lit("cd"))).first()[0]
    'abcd'
    """
    return call("concat", *map(column_of, cols))


def concat_ws(sep: str, *cols: ColumnOrName) -> Column:
    """Strings and arrays of strings with a separator between; nulls are left out.

    >>> spark.range(1).select(F.concat_ws("-", F.lit("a"), F.lit(None), F.lit("b"))).first()[0]
    'a-b'
    """
    return call("concat_ws", expression_of(sep), *map(column_of, cols))


def substring(str: ColumnOrName, pos: ColumnOrName | int, len: ColumnOrName | int) -> Column:
    """From a position (1: the first; negative: from the end), so many characters.

    >>> spark.range(1).select(F.substring(F.lit("Spark"), 2, 3)).first()[0]
    'par'
    """
    return call("substring", column_of(str), column_or_value(pos), column_or_value(len))


def substr(str: ColumnOrName, pos: ColumnOrName, len: ColumnOrName | None = None) -> Column:
    """From a position (1: the first; negative: from the end), to the end or so many characters.

    >>> spark.range(1).select(F.substr(F.lit("Spark"), F.lit(-3))).first()[0]
    'ark'
    """
    return call("substr", column_of(str), column_of(pos), *optional(column_of, len))


def substring_index(str: ColumnOrName, delim: str, count: int) -> Column:
    """What stands before the count-th delimiter, or behind it counted from the end.

    >>> spark.range(1).select(F.substring_index(F.lit("a.b.c.d"), ".", 2)).first()[0]
    'a.b'
    """
    return call("substring_index", column_of(str), expression_of(delim), expression_of(count))


def left(str: ColumnOrName, len: ColumnOrName) -> Column:
    """The first characters.

    >>> spark.range(1).select(F.left(F.lit("Spark"), F.lit(2))).first()[0]
    'Sp'
    """
    return call("left", column_of(str), column_of(len))


def right(str: ColumnOrName, len: ColumnOrName) -> Column:
    """The last characters.

    >>> spark.range(1).select(F.right(F.lit("Spark"), F.lit(2))).first()[0]
    'rk'
    """
    return call("right", column_of(str), column_of(len))


def trim(col: ColumnOrName, trim: ColumnOrName | None = None) -> Column:
    """Without spaces, or those characters, on both sides.

    >>> spark.range(1).select(F.trim(F.lit("  a "))).first()[0]
    'a'
    """
    return call("trim", column_of(col), *optional(column_of, trim))


def ltrim(col: ColumnOrName, trim: ColumnOrName | None = None) -> Column:
    """Without spaces, or those characters, on the left.

    >>> spark.range(1).select(F.ltrim(F.lit("  a "))).first()[0]
    'a '
    """
    return call("ltrim", column_of(col), *optional(column_of, trim))


def rtrim(col: ColumnOrName, trim: ColumnOrName | None = None) -> Column:
    """Without spaces, or those characters, on the right.

    >>> spark.range(1).select(F.rtrim(F.lit("  a "))).first()[0]
    '  a'
    """
    return call("rtrim", column_of(col), *optional(column_of, trim))


def btrim(str: ColumnOrName, trim: ColumnOrName | None = None) -> Column:
    """Without spaces, or those characters, on both sides.

    >>> spark.range(1).select(F.btrim(F.lit("xxaxx"), F.lit("x"))).first()[0]
    'a'
    """
    return call("btrim", column_of(str), *optional(column_of, trim))


def lpad(col: ColumnOrName, len: Column | int, pad: Column | str) -> Column:
    """Filled up on the left to so many characters, or cut.

    >>> spark.range(1).select(F.lpad(F.lit("abcd"), 6, "#")).first()[0]
    '##abcd'
    """
    return call("lpad", column_of(col), expression_of(len), expression_of(pad))


def rpad(col: ColumnOrName, len: Column | int, pad: Column | str) -> Column:
    """Filled up on the right to so many characters, or cut.

    >>> spark.range(1).select(F.rpad(F.lit("abcd"), 6, "#")).first()[0]
    'abcd##'
    """
    return call("rpad", column_of(col), expression_of(len), expression_of(pad))


def repeat(col: ColumnOrName, n: ColumnOrName | int) -> Column:
    """So many times.

    >>> spark.range(1).select(F.repeat(F.lit("ab"), 3)).first()[0]
    'ababab'
    """
    return call("repeat", column_of(col), column_or_value(n))


def reverse(col: ColumnOrName) -> Column:
    """Backwards: a string or an array.

    >>> spark.range(1).select(F.reverse(F.lit("abc"))).first()[0]
    'cba'
    """
    return call("reverse", column_of(col))


def instr(str: ColumnOrName, substr: Column | str, start: Column | int | None = None, occurrence: Column | int | None = None) -> Column:
    """Where the part begins, counted from 1; 0 if it is not there.

    >>> spark.range(1).select(F.instr(F.lit("abcb"), "b")).first()[0]
    2
    """
    return call("instr", column_of(str), expression_of(substr), *optional(expression_of, start), *optional(expression_of, occurrence))


def locate(substr: str, str: ColumnOrName, pos: int = 1) -> Column:
    """Where the part begins from a position on, counted from 1; 0 if it is not there.

    >>> spark.range(1).select(F.locate("b", F.lit("abcb"), 3)).first()[0]
    4
    """
    return call("locate", expression_of(substr), column_of(str), expression_of(pos))


def position(substr: ColumnOrName, str: ColumnOrName, start: ColumnOrName | None = None) -> Column:
    """Where the part begins from a position on, counted from 1; 0 if it is not there.

    >>> spark.range(1).select(F.position(F.lit("b"), F.lit("abcb"))).first()[0]
    2
    """
    return call("position", column_of(substr), column_of(str), *optional(column_of, start))


def translate(srcCol: ColumnOrName, matching: str, replace: str) -> Column:
    """Each character of one list replaced by that at the same place of the other, or left out.

    >>> spark.range(1).select(F.translate(F.lit("translate"), "rnlt", "123")).first()[0]
    '1a2s3ae'
    """
    return call("translate", column_of(srcCol), expression_of(matching), expression_of(replace))


def replace(src: ColumnOrName, search: ColumnOrName, replace: ColumnOrName | None = None) -> Column:
    """Every occurrence replaced, or taken out.

    >>> spark.range(1).select(F.replace(F.lit("abcab"), F.lit("ab"), F.lit("X"))).first()[0]
    'XcX'
    """
    return call("replace", column_of(src), column_of(search), *optional(column_of, replace))


def overlay(src: ColumnOrName, replace: ColumnOrName, pos: ColumnOrName | int, len: ColumnOrName | int = -1) -> Column:
    """With another string laid over it from a position on.

    >>> spark.range(1).select(F.overlay(F.lit("Spark_SQL"), F.lit("CORE"), 7)).first()[0]
    'Spark_CORE'
    """
    return call("overlay", column_of(src), column_of(replace), column_or_value(pos), column_or_value(len))


def split(str: ColumnOrName, pattern: Column | str, limit: ColumnOrName | int = -1) -> Column:
    """Cut at a regular expression, into at most `limit` parts if that is positive.

    >>> spark.range(1).select(F.split(F.lit("a1b22c"), "[0-9]+")).first()[0]
    ['a', 'b', 'c']
    """
    return call("split", column_of(str), expression_of(pattern), column_or_value(limit))


def split_part(src: ColumnOrName, delimiter: ColumnOrName, partNum: ColumnOrName) -> Column:
    """The part of that number between delimiters; negative: from the end.

    >>> spark.range(1).select(F.split_part(F.lit("a.b.c"), F.lit("."), F.lit(2))).first()[0]
    'b'
    """
    return call("split_part", column_of(src), column_of(delimiter), column_of(partNum))


def contains(left: ColumnOrName, right: ColumnOrName) -> Column:
    """Whether the part is in it.

    >>> spark.range(1).select(F.contains(F.lit("Spark SQL"), F.lit("SQL"))).first()[0]
    True
    """
    return call("contains", column_of(left), column_of(right))


def startswith(str: ColumnOrName, prefix: ColumnOrName) -> Column:
    """Whether it begins so.

    >>> spark.range(1).select(F.startswith(F.lit("Spark"), F.lit("Sp"))).first()[0]
    True
    """
    return call("startswith", column_of(str), column_of(prefix))


def endswith(str: ColumnOrName, suffix: ColumnOrName) -> Column:
    """Whether it ends so.

    >>> spark.range(1).select(F.endswith(F.lit("Spark"), F.lit("rk"))).first()[0]
    True
    """
    return call("endswith", column_of(str), column_of(suffix))


def like(str: ColumnOrName, pattern: ColumnOrName, escapeChar: Column | None = None) -> Column:
    """Whether it is as the pattern, where % is any text and _ any character.

    >>> spark.range(1).select(F.like(F.lit("Spark"), F.lit("S%k"))).first()[0]
    True
    """
    return call("like", column_of(str), column_of(pattern), *optional(expression_of, escapeChar))


def ilike(str: ColumnOrName, pattern: ColumnOrName, escapeChar: Column | None = None) -> Column:
    """As like, whatever the case.

    >>> spark.range(1).select(F.ilike(F.lit("Spark"), F.lit("s%K"))).first()[0]
    True
    """
    return call("ilike", column_of(str), column_of(pattern), *optional(expression_of, escapeChar))


def rlike(str: ColumnOrName, regexp: ColumnOrName) -> Column:
    """Whether a regular expression of Java is found in it.

    >>> spark.range(1).select(F.rlike(F.lit("a12"), F.lit("[0-9]+"))).first()[0]
    True
    """
    return call("rlike", column_of(str), column_of(regexp))


def regexp(str: ColumnOrName, regexp: ColumnOrName) -> Column:
    """Whether a regular expression is found in it; see rlike.

    >>> spark.range(1).select(F.regexp(F.lit("a12"), F.lit("[0-9]+"))).first()[0]
    True
    """
    return call("regexp", column_of(str), column_of(regexp))


def regexp_like(str: ColumnOrName, regexp: ColumnOrName) -> Column:
    """Whether a regular expression is found in it; see rlike.

    >>> spark.range(1).select(F.regexp_like(F.lit("a12"), F.lit("[0-9]+"))).first()[0]
    True
    """
    return call("regexp_like", column_of(str), column_of(regexp))


def regexp_count(str: ColumnOrName, regexp: ColumnOrName) -> Column:
    """How often a regular expression is found.

    >>> spark.range(1).select(F.regexp_count(F.lit("a1b22"), F.lit("[0-9]+"))).first()[0]
    2
    """
    return call("regexp_count", column_of(str), column_of(regexp))


def regexp_extract(str: ColumnOrName, pattern: str, idx: int) -> Column:
    r"""The group of the first match, "" if there is none.

    >>> spark.range(1).select(F.regexp_extract(F.lit("100-200"), r"(\d+)-(\d+)", 2)).first()[0]
    '200'
    """
    return call("regexp_extract", column_of(str), expression_of(pattern), expression_of(idx))


def regexp_extract_all(str: ColumnOrName, regexp: ColumnOrName, idx: int | Column | None = None) -> Column:
    r"""The group of every match.

    >>> spark.range(1).select(F.regexp_extract_all(F.lit("1-2, 3-4"), F.lit(r"(\d+)-(\d+)"), 2)).first()[0]
    ['2', '4']
    """
    return call("regexp_extract_all", column_of(str), column_of(regexp), *optional(expression_of, idx))


def regexp_replace(string: ColumnOrName, pattern: str | Column, replacement: str | Column, position: int | Column | None = None) -> Column:
    r"""Every match replaced; $1 stands for a group.

    >>> spark.range(1).select(F.regexp_replace(F.lit("100-200"), r"(\d+)", "--")).first()[0]
    '-----'
    """
    return call("regexp_replace", column_of(string), expression_of(pattern), expression_of(replacement), *optional(expression_of, position))


def regexp_substr(str: ColumnOrName, regexp: ColumnOrName) -> Column:
    """The first match, or null.

    >>> spark.range(1).select(F.regexp_substr(F.lit("a12b"), F.lit("[0-9]+"))).first()[0]
    '12'
    """
    return call("regexp_substr", column_of(str), column_of(regexp))


def regexp_instr(str: ColumnOrName, regexp: ColumnOrName, idx: int | Column | None = None) -> Column:
    """Where the first match begins, counted from 1; 0 if there is none.

    >>> spark.range(1).select(F.regexp_instr(F.lit("ab12"), F.lit("[0-9]+"))).first()[0]
    3
    """
    return call("regexp_instr", column_of(str), column_of(regexp), *optional(expression_of, idx))


def levenshtein(left: ColumnOrName, right: ColumnOrName, threshold: int | None = None) -> Column:
    """How many letters must be changed, added or taken out to turn one into the other; -1 above the threshold.

    >>> spark.range(1).select(F.levenshtein(F.lit("kitten"), F.lit("sitting"))).first()[0]
    3
    """
    return call("levenshtein", column_of(left), column_of(right), *optional(expression_of, threshold))


def soundex(col: ColumnOrName) -> Column:
    """How an English name sounds, as a letter and three digits.

    >>> spark.range(1).select(F.soundex(F.lit("Robert"))).first()[0]
    'R163'
    """
    return call("soundex", column_of(col))


def format_number(col: ColumnOrName, d: int) -> Column:
    """With commas between thousands, rounded to so many places.

    >>> spark.range(1).select(F.format_number(F.lit(1234567.891), 2)).first()[0]
    '1,234,567.89'
    """
    return call("format_number", column_of(col), expression_of(d))


def format_string(format: str, *cols: ColumnOrName) -> Column:
    """As C's printf.

    >>> spark.range(1).select(F.format_string("%d %s", F.lit(5), F.lit("hello"))).first()[0]
    '5 hello'
    """
    return call("format_string", expression_of(format), *map(column_of, cols))


def printf(format: ColumnOrName, *cols: ColumnOrName) -> Column:
    """As C's printf.

    >>> spark.range(1).select(F.printf(F.lit("%05.1f"), F.lit(2.5))).first()[0]
    '002.5'
    """
    return call("printf", column_of(format), *map(column_of, cols))


def elt(*inputs: ColumnOrName) -> Column:
    """The argument of that number.

    >>> spark.range(1).select(F.elt(F.lit(2), F.lit("a"), F.lit("b"))).first()[0]
    'b'
    """
    return call("elt", *map(column_of, inputs))


def find_in_set(str: ColumnOrName, str_array: ColumnOrName) -> Column:
    """The place of the string in a list with commas, counted from 1; 0 if it is not there.

    >>> spark.range(1).select(F.find_in_set(F.lit("b"), F.lit("a,b,c"))).first()[0]
    2
    """
    return call("find_in_set", column_of(str), column_of(str_array))


def sentences(string: ColumnOrName, language: ColumnOrName | None = None, country: ColumnOrName | None = None) -> Column:
    """The words of each sentence.

    >>> spark.range(1).select(F.sentences(F.lit("Hi there. Good morning!"))).first()[0]
    [['Hi', 'there'], ['Good', 'morning']]
    """
    return call("sentences", column_of(string), *optional(column_of, language), *optional(column_of, country))


def mask(
    col: ColumnOrName,
    upperChar: ColumnOrName | None = None,
    lowerChar: ColumnOrName | None = None,
    digitChar: ColumnOrName | None = None,
    otherChar: ColumnOrName | None = None,
) -> Column:
    """With letters and digits hidden.

    >>> spark.range(1).select(F.mask(F.lit("AbCD123-@$#"))).first()[0]
    'XxXXnnn-@$#'
    """
    return call(
        "mask",
        column_of(col),
        *optional(column_of, upperChar),
        *optional(column_of, lowerChar),
        *optional(column_of, digitChar),
        *optional(column_of, otherChar),
    )


def quote(col: ColumnOrName) -> Column:
    r"""In single quotes, where those inside are escaped.

    >>> spark.range(1).select(F.quote(F.lit("Don't"))).first()[0]
    "'Don\\'t'"
    """
    return call("quote", column_of(col))


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


def str_to_map(text: ColumnOrName, pairDelim: ColumnOrName | None = None, keyValueDelim: ColumnOrName | None = None) -> Column:
    """The map that a text like "a:1,b:2" means.

    >>> spark.range(1).select(F.str_to_map(F.lit("a:1,b:2"))).first()[0]
    {'a': '1', 'b': '2'}
    """
    return call("str_to_map", column_of(text), *optional(column_of, pairDelim), *optional(column_of, keyValueDelim))


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


def jaro_winkler_similarity(left: ColumnOrName, right: ColumnOrName) -> Column:
    """How alike two strings are, from 0 to 1.

    >>> spark.range(1).select(F.jaro_winkler_similarity(F.lit("frog"), F.lit("frog"))).first()[0]
    1.0
    """
    return call("jaro_winkler_similarity", column_of(left), column_of(right))


def randstr(length: Column | int, seed: Column | int | None = None) -> Column:
    """A random string of letters and digits.

    >>> len(spark.range(1).select(F.randstr(5)).first()[0])
    5
    """
    return call("randstr", expression_of(length), *optional(expression_of, seed))


def luhn_check(str: ColumnOrName) -> Column:
    """Whether a string of digits is right by its last, as those of cards are.

    >>> spark.range(1).select(F.luhn_check(F.lit("8112189876"))).first()[0]
    True
    """
    return call("luhn_check", column_of(str))


def to_number(col: ColumnOrName, format: ColumnOrName) -> Column:
    """Text as a decimal by a pattern such as `$999,999.99`. Fails for text that does not fit.

    >>> spark.range(1).select(F.to_number(F.lit("$78.12"), F.lit("$99.99"))).first()[0]
    Decimal('78.12')
    """
    return call("to_number", column_of(col), column_of(format))


def try_to_number(col: ColumnOrName, format: ColumnOrName) -> Column:
    """See to_number; null for text that does not fit.

    >>> spark.range(1).select(F.try_to_number(F.lit("x"), F.lit("$99.99")).alias("n")).first()
    Row(n=None)
    """
    return call("try_to_number", column_of(col), column_of(format))


def to_char(col: ColumnOrName, format: ColumnOrName) -> Column:
    """A number by a pattern of digits; a date or time by one of letters, as date_format; a binary as base64, hex or utf-8.

    Of digits: `9` and `0` (which is written where there is none), `.` or `D`, `,` or `G`, `$`, and for the sign `S`, `MI`, or `PR` at
    the end for angle brackets. A number that the pattern has no room for becomes `#`.

    >>> spark.range(1).select(F.to_char(F.lit(1278.5), F.lit("$9,999.99"))).first()[0]
    '$1,278.50'
    """
    return call("to_char", column_of(col), column_of(format))


def to_varchar(col: ColumnOrName, format: ColumnOrName) -> Column:
    """As to_char.

    >>> spark.range(1).select(F.to_varchar(F.lit(-7), F.lit("S099"))).first()[0]
    '-007'
    """
    return call("to_varchar", column_of(col), column_of(format))
