"""Functions of strings."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from quiver.sql import types as t
from quiver.sql.lowering.names import cast, constant_number, constant_text, text
from quiver.sql.registry import growing, regexes
from quiver.sql.registry.define import define, mismatch, result
from quiver.sql.registry.model import Coerce, Function, Lower, Types, register
from quiver.sql.registry.python import python
from quiver_proto.spark_functions import encodings, number_forms, searching, texts


def _third(args: Sequence[str]) -> str:
    return args[2] if len(args) > 2 else text("")


S, INT, X = result("s"), result("i"), result("x")


def _of_ascii(native: str, otherwise: Lower) -> Lower:
    """The kernel's own, which counts what a reader takes for one character, where every character is a byte; Python elsewhere."""

    def lower(args: Sequence[str], kinds: Types) -> str:
        return (
            f"CASE WHEN octet_length({args[0]}) = character_length({args[0]}) THEN {native.format(*args)} ELSE {otherwise(args, kinds)} END"
        )

    return lower


def _instr(args: Sequence[str], kinds: Types) -> str:
    return f"strpos({args[0]}, {args[1]})" if len(args) == 2 else python(texts.instr, INT)(args, kinds)


def _locate(args: Sequence[str], kinds: Types) -> str:
    if len(args) == 2 or constant_number(args[2]) == 1:
        return f"strpos({args[1]}, {args[0]})"
    return python(texts.locate, INT)(args, kinds)


def _levenshtein(args: Sequence[str], kinds: Types) -> str:
    distance = f"levenshtein({args[0]}, {args[1]})"
    return distance if len(args) == 2 else f"CASE WHEN {distance} > {args[2]} THEN arrow_cast(-1, 'Int32') ELSE {distance} END"


def _split_part(args: Sequence[str], kinds: Types) -> str:
    if constant_text(args[1]) and constant_number(args[2]):
        return f"split_part({args[0]}, {args[1]}, CAST({args[2]} AS BIGINT))"
    return python(texts.split_part, S)(args, kinds)


def _substring_index(args: Sequence[str], kinds: Types) -> str:
    if constant_text(args[1]) and constant_number(args[2]):
        return f"substr_index({args[0]}, {args[1]}, CAST({args[2]} AS BIGINT))"
    return python(texts.substring_index, S)(args, kinds)


_SENTINEL = "\x1f"
_STRINGS = t.ArrayType(t.StringType(), False)


def _split(args: Sequence[str], kinds: Types) -> str:
    """Cut by the kernel at plain text; at a pattern after a mark was put in place of what it finds."""
    otherwise = python(searching.split, lambda kinds: _STRINGS)(args, kinds)
    pattern = constant_text(args[1])
    found = regexes.translated(pattern) if pattern is not None and (len(args) == 2 or constant_number(args[2]) == -1) else None
    if found is None or found.anchored:
        return otherwise
    empty = f"WHEN {args[0]} = '' THEN make_array('')"
    if found.literal is not None:
        return f"CASE {empty} ELSE string_to_array({args[0]}, {text(found.literal)}) END"
    mark = text(_SENTINEL)
    marked = f"regexp_replace({args[0]}, {text(found.text)}, {mark}, 'g')"
    return f"CASE {empty} WHEN contains({args[0]}, {mark}) THEN {otherwise} ELSE string_to_array({marked}, {mark}) END"


define("upper", "s", "s", "upper", "ucase")
define("lower", "s", "s", "lower", "lcase")
define("octet_length", "s", "i", "octet_length")
define("bit_length", "s", "i", "bit_length")
define("ascii", "s", "i", "CAST(ascii({0}) AS INT)")
define("char", "l", "s", "char", "chr")
define("initcap", "s", "s", python(texts.initcap, S))
define("reverse_text", "s", "s", "reverse")
define("repeat", "si", "s", growing.repeat)
define("space", "i", "s", growing.space)
define("left", "si", "s", "CASE WHEN {1} <= 0 THEN CASE WHEN {0} IS NULL THEN NULL ELSE '' END ELSE left({0}, CAST({1} AS BIGINT)) END")
define("right", "si", "s", "CASE WHEN {1} <= 0 THEN CASE WHEN {0} IS NULL THEN NULL ELSE '' END ELSE right({0}, CAST({1} AS BIGINT)) END")
define("instr", "ss?ii", "i", _instr)
define("locate", "ss?i", "i", _locate, "position")
define("translate", "sss", "s", _of_ascii("translate({0}, {1}, {2})", python(texts.translate, S)))
define(
    "replace",
    "ss?s",
    "s",
    lambda args, kinds: f"CASE WHEN {args[1]} = '' THEN {args[0]} ELSE {growing.replace(args[0], args[1], _third(args))} END",
)
define("levenshtein", "ss?i", "i", _levenshtein)
define("soundex", "s", "s", python(texts.soundex, S))
define("luhn_check", "s", "b", "luhn_check")
define("overlay", "ss?ii", "s", python(texts.overlay, S))
define("substring_index", "ssi", "s", _substring_index)
define("split_part", "ssi", "s", _split_part)
define("split", "ss?i", lambda kinds: _STRINGS, _split)
define("find_in_set", "ss", "i", python(texts.find_in_set, INT))
define("format_number", "n*", "s", python(texts.format_number, S))
define("format_string", "s*+", "s", python(texts.format_string, S, nulls=True), "printf")
define("elt", "is+", "s", python(texts.elt, S, nulls=True))
define("sentences", "s?ss", "[[s]]", python(texts.sentences, lambda kinds: t.ArrayType(t.ArrayType(t.StringType(), False), False)))
define("mask", "s?ssss", "s", python(texts.mask, S, nulls=True))
define("quote", "s", "s", python(texts.quote, S))
define("contains", "ss", "b", "contains")
define("startswith", "ss", "b", "starts_with")
define("endswith", "ss", "b", "ends_with")
define("btrim", "s?s", "s", "btrim")


def _trimmed(kernel: str) -> Lower:
    return lambda args, kinds: f"{kernel}({args[0]}, {args[1] if len(args) > 1 else text(' ')})"


for _name, _kernel in (("trim", "btrim"), ("ltrim", "ltrim"), ("rtrim", "rtrim")):
    define(_name, "s?s", "s", _trimmed(_kernel))


def _pad(side: str) -> None:
    def lower(args: Sequence[str], kinds: Types) -> str:
        args = [args[0], growing.length(side, args[1]), *args[2:]]
        given = [*args, text(" ")][:3]
        in_python = python(getattr(texts, side), lambda kinds: kinds[0])
        if isinstance(kinds[0], t.BinaryType) or not constant_text(given[2]) or not given[2].isascii():
            return in_python(args, kinds)
        return _of_ascii(f"{side}({{0}}, CAST({{1}} AS BIGINT), {given[2]})", in_python)(args, kinds)

    def kinds_of(kinds: Types) -> Sequence[t.DataType | None]:
        kind = t.BinaryType() if all(isinstance(kind, t.BinaryType) for kind in (kinds[0], *kinds[2:])) else t.StringType()
        for number, given in enumerate(kinds, 1):
            if isinstance(given, t.ArrayType | t.MapType | t.StructType):
                raise mismatch(side, number, '"STRING" or "BINARY"', given)
        return [kind, t.IntegerType(), kind][: len(kinds)]

    register(Function(side, lower, lambda kinds: kinds[0], kinds_of, arity=(2, 3)))


_pad("lpad")
_pad("rpad")


# ---- of strings and binaries alike ----


def _text_or_binary(name: str) -> Coerce:
    def coerce(kinds: Types) -> Sequence[t.DataType | None]:
        first = kinds[0]
        if isinstance(first, t.ArrayType | t.MapType | t.StructType):
            raise mismatch(name, 1, '"STRING" or "BINARY"', first)
        return [first if isinstance(first, t.BinaryType) else t.StringType(), *[t.IntegerType()] * (len(kinds) - 1)]

    return coerce


_POSITION = re.compile(r"[1-9]\d*|arrow_cast\('[1-9]\d*', 'Int32'\)")


def _substring(args: Sequence[str], kinds: Types) -> str:
    if len(args) == 3 and all(_POSITION.fullmatch(value) for value in args[1:]) and not isinstance(kinds[0], t.BinaryType):
        return f"substr({args[0]}, CAST({args[1]} AS BIGINT), CAST({args[2]} AS BIGINT))"
    return python(texts.substring, lambda kinds: kinds[0])(args, kinds)


register(
    Function("substring", _substring, lambda kinds: kinds[0], _text_or_binary("substring"), arity=(2, 3)),
    "substr",
)
register(
    Function(
        "length",
        lambda args, kinds: (
            f"CAST(octet_length(encode({args[0]}, 'hex')) / 2 AS INT)"
            if isinstance(kinds[0], t.BinaryType)
            else f"character_length({args[0]})"
        ),
        INT,
        _text_or_binary("length"),
        arity=(1, 1),
    ),
    "char_length",
    "character_length",
    "len",
)


def _concat_type(kinds: Types) -> t.DataType:
    return kinds[0] if kinds else t.StringType()


def _concat_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    from quiver.sql.analysis.coercion import expect_common

    if any(isinstance(kind, t.ArrayType) for kind in kinds):
        return [expect_common("concat", kinds)] * len(kinds)
    if kinds and all(isinstance(kind, t.BinaryType) for kind in kinds):
        return [None] * len(kinds)
    for number, kind in enumerate(kinds, 1):
        if isinstance(kind, t.MapType | t.StructType):
            raise mismatch("concat", number, '"STRING" or "ARRAY"', kind)
    return [t.StringType()] * len(kinds)


def _concat(args: Sequence[str], kinds: Types) -> str:
    if not args:
        return "''"
    if isinstance(kinds[0], t.ArrayType):
        if not isinstance(
            kinds[0].elementType, t.AtomicType
        ):  # Lists that may hold nulls and lists that don't are two types to the kernel.
            args = [cast(argument, kinds[0]) for argument in args]
        missing = " OR ".join(f"{argument} IS NULL" for argument in args)
        return f"CASE WHEN {missing} THEN NULL ELSE array_concat({', '.join(args)}) END" if len(args) > 1 else args[0]
    if isinstance(kinds[0], t.BinaryType):
        return f"arrow_cast({_joined(args)}, 'Binary')"
    return _joined(args)


def _joined(args: Sequence[str]) -> str:
    # In pairs, and pairs of pairs: it nests as deeply as it is long.
    while len(args) > 1:
        args = [f"({' || '.join(args[i : i + 2])})" for i in range(0, len(args), 2)]
    return args[0]


register(Function("concat", _concat, _concat_type, _concat_kinds))


def _ws_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    return [t.ArrayType(t.StringType()) if isinstance(kind, t.ArrayType) else t.StringType() for kind in kinds]


def _concat_ws(args: Sequence[str], kinds: Types) -> str:
    if not any(isinstance(kind, t.ArrayType) for kind in kinds):
        return f"concat_ws({', '.join(args)})" if len(args) > 1 else f"CASE WHEN {args[0]} IS NOT NULL THEN '' END"
    if len(args) == 2 and constant_text(args[0]) is not None:
        return f"coalesce(array_to_string({args[1]}, {args[0]}), '')"
    return python(texts.concat_ws, S, nulls=True)(args, kinds)


register(Function("concat_ws", _concat_ws, S, _ws_kinds, nullable=None, arity=(1, None)))

# ---- regular expressions ----

_ENDS = "right({0}, 1) IN ('\n', '\r', '\x85', '\u2028', '\u2029')"
"""For what ends so `$` is before its last character too."""


def _by_pattern(lowered: str, native: Callable[[regexes.Translated], str | None], in_python: str, capture: int | None = None) -> str:
    """Written by `native` when `lowered` is a constant whose meaning the kernel shares."""
    pattern = constant_text(lowered)
    found = None if pattern is None else regexes.translated(pattern, capture)
    own = None if found is None else native(found)
    return in_python if own is None else own


def _matching(own: str, subject: str, found: regexes.Translated, in_python: str) -> str:
    return f"(CASE WHEN {_ENDS.format(subject)} THEN {in_python} ELSE {own} END)" if found.anchored else own


def _rlike(args: Sequence[str], kinds: Types) -> str:
    in_python = python(searching.rlike, result("b"))(args, kinds)
    return _by_pattern(
        args[1], lambda found: _matching(f"regexp_like({args[0]}, {text(found.text)})", args[0], found, in_python), in_python
    )


def _first_match(name: str) -> Lower:
    function = python(getattr(searching, name), S)

    def lower(args: Sequence[str], kinds: Types) -> str:
        in_python = function(args, kinds)
        group = 0 if name == "regexp_substr" else constant_number(args[2]) if len(args) > 2 else 1

        def native(found: regexes.Translated) -> str:
            first = f"regexp_match({args[0]}, {text(found.text)})[1]"
            if name == "regexp_extract":
                first = f"CASE WHEN {args[0]} IS NOT NULL THEN coalesce({first}, '') END"
            return _matching(f"({first})", args[0], found, in_python)

        return in_python if group is None else _by_pattern(args[1], native, in_python, group)

    return lower


def _regexp_replace(args: Sequence[str], kinds: Types) -> str:
    in_python = python(searching.regexp_replace, S)(args, kinds)
    put = constant_text(args[2])
    if put is None or (len(args) > 3 and constant_number(args[3]) != 1):
        return in_python

    def native(found: regexes.Translated) -> str | None:
        written = regexes.replacement(put, found.groups)
        if written is None:
            return None
        if found.literal is not None and "$" not in written:
            return growing.replace(args[0], text(found.literal), text(written))
        own = f"regexp_replace({args[0]}, {text(found.text)}, {growing.by_pattern(args[0], found.text, written)}, 'g')"
        return _matching(own, args[0], found, in_python)

    return _by_pattern(args[1], native, in_python)


def _regexp_count(args: Sequence[str], kinds: Types) -> str:
    in_python = python(searching.regexp_count, INT)(args, kinds)

    def native(found: regexes.Translated) -> str:
        return _matching(f"arrow_cast(regexp_count({args[0]}, {text(found.text)}), 'Int32')", args[0], found, in_python)

    return _by_pattern(args[1], native, in_python)


define("rlike", "ss", "b", _rlike, "regexp", "regexp_like")
define("regexp_extract", "ss?i", "s", _first_match("regexp_extract"))
define("regexp_extract_all", "ss?i", "[s]", python(searching.regexp_extract_all, lambda kinds: t.ArrayType(t.StringType())))
define("regexp_replace", "sss?i", "s", _regexp_replace)
define("regexp_count", "ss", "i", _regexp_count)
define("regexp_instr", "ss?i", "i", python(searching.regexp_instr, INT))
define("regexp_substr", "ss", "s", _first_match("regexp_substr"), nullable=True)


def _like(name: str) -> None:
    in_python = python(getattr(searching, name), result("b"))

    def lower(args: Sequence[str], kinds: Types) -> str:
        pattern = constant_text(args[1])
        escape = "\\" if len(args) == 2 else constant_text(args[2])
        own = None if pattern is None or escape is None else regexes.like_pattern(pattern, escape)
        return in_python(args, kinds) if own is None else f"({args[0]} {name.upper()} {text(own)})"

    define(name, "ss?s", "b", lower)


_like("like")
_like("ilike")

# ---- as bytes ----

register(Function("base64", python(encodings.base64, S), S, lambda kinds: [t.BinaryType()], arity=(1, 1)), "to_base64")
define("unbase64", "s", "x", python(encodings.unbase64, X))
define("to_base32", "x", "s", python(encodings.to_base32, S))
define("from_base32", "s", "x", python(encodings.from_base32, X))
define("encode", "ss", "x", python(encodings.encode, X))
define("decode", "xs", "s", python(encodings.decode, S))
define("to_binary", "s?s", "x", python(encodings.to_binary, X))
define("try_to_binary", "s?s", "x", python(encodings.try_to_binary, X))
define("unhex", "s", "x", python(encodings.unhex, X))
define("is_valid_utf8", "x", "b", python(encodings.is_valid_utf8, result("b")))
define("make_valid_utf8", "x", "s", python(encodings.make_valid_utf8, S))
define("validate_utf8", "x", "s", python(encodings.validate_utf8, S))
define("try_validate_utf8", "x", "s", python(encodings.try_validate_utf8, S))
define("url_encode", "s", "s", python(encodings.url_encode, S))
define("url_decode", "s", "s", python(encodings.url_decode, S))
define("try_url_decode", "s", "s", python(encodings.try_url_decode, S))
define("parse_url", "ss?s", "s", python(encodings.parse_url, S))
define("try_parse_url", "ss?s", "s", python(encodings.try_parse_url, S))


def _number_type(kinds: Types) -> t.DataType:
    return kinds[2] if len(kinds) > 2 else t.DecimalType(38, 18)  # The analyser tells it from the pattern.


def _number(function: Callable[..., Any]) -> Lower:
    return lambda args, kinds: python(function, lambda given: _number_type(kinds))(args[:2], kinds[:2])


for _name in ("to_number", "try_to_number"):
    define(
        _name,
        "ss?*",
        _number_type,
        _number(getattr(number_forms, _name)),
        nullable=True if _name.startswith("try") else None,
    )
register(Function("to_char", python(number_forms.to_char, S), S, lambda kinds: [None, t.StringType()], arity=(2, 2)), "to_varchar")
define("jaro_winkler_similarity", "ss", "d", python(texts.jaro_winkler_similarity, result("d")))


def _hex_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    (kind,) = kinds
    return [kind if isinstance(kind, t.BinaryType) else t.LongType() if isinstance(kind, t.NumericType) else t.StringType()]


register(Function("hex", python(encodings.hexadecimal, S), S, _hex_kinds, arity=(1, 1)))
define(
    "str_to_map",
    "s?ss",
    lambda kinds: t.MapType(t.StringType(), t.StringType()),
    python(searching.str_to_map, lambda kinds: t.MapType(t.StringType(), t.StringType())),
)
