"""Functions that search in strings, by words, patterns and regular expressions."""

from __future__ import annotations

from quiver.sql.column import Column
from quiver.sql.functions.arguments import ColumnOrName, call, column_or_value, optional
from quiver.sql.literals import column_of, expression_of

__all__ = [
    "contains",
    "endswith",
    "find_in_set",
    "ilike",
    "instr",
    "like",
    "locate",
    "position",
    "regexp",
    "regexp_count",
    "regexp_extract",
    "regexp_extract_all",
    "regexp_instr",
    "regexp_like",
    "regexp_replace",
    "regexp_substr",
    "rlike",
    "split",
    "split_part",
    "startswith",
    "str_to_map",
    "substring_index",
]


def substring_index(str: ColumnOrName, delim: str, count: int) -> Column:
    """What stands before the count-th delimiter, or behind it counted from the end.

    >>> spark.range(1).select(F.substring_index(F.lit("a.b.c.d"), ".", 2)).first()[0]
    'a.b'
    """
    return call("substring_index", column_of(str), expression_of(delim), expression_of(count))


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


def find_in_set(str: ColumnOrName, str_array: ColumnOrName) -> Column:
    """The place of the string in a list with commas, counted from 1; 0 if it is not there.

    >>> spark.range(1).select(F.find_in_set(F.lit("b"), F.lit("a,b,c"))).first()[0]
    2
    """
    return call("find_in_set", column_of(str), column_of(str_array))


def str_to_map(text: ColumnOrName, pairDelim: ColumnOrName | None = None, keyValueDelim: ColumnOrName | None = None) -> Column:
    """The map that a text like "a:1,b:2" means.

    >>> spark.range(1).select(F.str_to_map(F.lit("a:1,b:2"))).first()[0]
    {'a': '1', 'b': '2'}
    """
    return call("str_to_map", column_of(text), *optional(column_of, pairDelim), *optional(column_of, keyValueDelim))
