"""Functions of strings, regular expressions and bytes as text."""

from __future__ import annotations

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call, column_or_value, optional
from quiver.sql.literals import column_of, expression_of

__all__ = [
    "ascii",
    "bit_length",
    "btrim",
    "char",
    "char_length",
    "character_length",
    "concat",
    "concat_ws",
    "elt",
    "initcap",
    "jaro_winkler_similarity",
    "lcase",
    "left",
    "length",
    "levenshtein",
    "lower",
    "lpad",
    "ltrim",
    "luhn_check",
    "mask",
    "octet_length",
    "overlay",
    "quote",
    "randstr",
    "repeat",
    "replace",
    "reverse",
    "right",
    "rpad",
    "rtrim",
    "sentences",
    "soundex",
    "substr",
    "substring",
    "translate",
    "trim",
    "ucase",
    "upper",
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


def elt(*inputs: ColumnOrName) -> Column:
    """The argument of that number.

    >>> spark.range(1).select(F.elt(F.lit(2), F.lit("a"), F.lit("b"))).first()[0]
    'b'
    """
    return call("elt", *map(column_of, inputs))


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
