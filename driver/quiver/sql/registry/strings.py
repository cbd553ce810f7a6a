"""Functions of strings."""

from __future__ import annotations

import re
from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.lowering.names import text
from quiver.sql.registry.define import define, mismatch, result
from quiver.sql.registry.model import Function, Types, register
from quiver.sql.registry.python import python
from quiver_proto.spark_functions import texts


def _third(args: Sequence[str]) -> str:
    return args[2] if len(args) > 2 else text("")


S, INT, X = result("s"), result("i"), result("x")

define("upper", "s", "s", "upper", "ucase")
define("lower", "s", "s", "lower", "lcase")
define("octet_length", "s", "i", "octet_length")
define("bit_length", "s", "i", "bit_length")
define("ascii", "s", "i", "CAST(ascii({0}) AS INT)")
define("char", "l", "s", "char", "chr")
define("initcap", "s", "s", python(texts.initcap, S))
define("reverse_text", "s", "s", "reverse")
define("repeat", "si", "s", "repeat({0}, CAST({1} AS BIGINT))")
define("space", "i", "s", "space")
define("left", "si", "s", "CASE WHEN {1} <= 0 THEN CASE WHEN {0} IS NULL THEN NULL ELSE '' END ELSE left({0}, CAST({1} AS BIGINT)) END")
define("right", "si", "s", "CASE WHEN {1} <= 0 THEN CASE WHEN {0} IS NULL THEN NULL ELSE '' END ELSE right({0}, CAST({1} AS BIGINT)) END")
define("instr", "ss?ii", "i", python(texts.instr, INT))
define("locate", "ss?i", "i", python(texts.locate, INT), "position")
define("translate", "sss", "s", python(texts.translate, S))
define(
    "replace",
    "ss?s",
    "s",
    lambda args, kinds: f"CASE WHEN {args[1]} = '' THEN {args[0]} ELSE replace({args[0]}, {args[1]}, {_third(args)}) END",
)
define("levenshtein", "ss?i", "i", python(texts.levenshtein, INT))
define("soundex", "s", "s", python(texts.soundex, S))
define("overlay", "ss?ii", "s", python(texts.overlay, S))
define("substring_index", "ssi", "s", python(texts.substring_index, S))
define("split_part", "ssi", "s", python(texts.split_part, S))
define("split", "ss?i", "[s]", python(texts.split, lambda kinds: t.ArrayType(t.StringType(), False)))
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
for _name, _kernel in (("trim", "btrim"), ("ltrim", "ltrim"), ("rtrim", "rtrim")):
    define(_name, "s?s", "s", lambda args, kinds, kernel=_kernel: f"{kernel}({args[0]}, {args[1] if len(args) > 1 else text(' ')})")  # type: ignore[misc]
define("randstr", "i?l", "s", python(texts.randstr, S, volatile=True))


def _pad(side: str) -> None:
    define(side, "si?s", "s", python(getattr(texts, side), S))


_pad("lpad")
_pad("rpad")


# ---- of strings and binaries alike ----


def _text_or_binary(name: str) -> object:
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
    Function("substring", _substring, lambda kinds: kinds[0], _text_or_binary("substring"), arity=(2, 3)),  # type: ignore[arg-type]
    "substr",
)
register(
    Function(
        "length",
        lambda args, kinds: (
            f"CAST(octet_length({args[0]}) AS INT)" if isinstance(kinds[0], t.BinaryType) else f"character_length({args[0]})"
        ),
        INT,
        _text_or_binary("length"),  # type: ignore[arg-type]
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
        missing = " OR ".join(f"{argument} IS NULL" for argument in args)
        return f"CASE WHEN {missing} THEN NULL ELSE array_concat({', '.join(args)}) END" if len(args) > 1 else args[0]
    if isinstance(kinds[0], t.BinaryType):
        return f"arrow_cast({' || '.join(args)}, 'Binary')"
    return f"({' || '.join(args)})" if len(args) > 1 else args[0]


register(Function("concat", _concat, _concat_type, _concat_kinds))


def _ws_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    return [t.ArrayType(t.StringType()) if isinstance(kind, t.ArrayType) else t.StringType() for kind in kinds]


register(Function("concat_ws", python(texts.concat_ws, S, nulls=True), S, _ws_kinds, arity=(1, None)))

# ---- regular expressions ----

define("rlike", "ss", "b", python(texts.rlike, result("b")), "regexp", "regexp_like")
define("regexp_extract", "ss?i", "s", python(texts.regexp_extract, S))
define("regexp_extract_all", "ss?i", "[s]", python(texts.regexp_extract_all, lambda kinds: t.ArrayType(t.StringType())))
define("regexp_replace", "sss?i", "s", python(texts.regexp_replace, S))
define("regexp_count", "ss", "i", python(texts.regexp_count, INT))
define("regexp_instr", "ss?i", "i", python(texts.regexp_instr, INT))
define("regexp_substr", "ss", "s", python(texts.regexp_substr, S))


def _like(name: str) -> None:
    def lower(args: Sequence[str], kinds: Types) -> str:
        if len(args) > 2:
            return f"({args[0]} {name.upper()} {args[1]} ESCAPE {args[2]})"
        return f"({args[0]} {name.upper()} {args[1]})"

    define(name, "ss?s", "b", lower)


_like("like")
_like("ilike")

# ---- as bytes ----

register(Function("base64", python(texts.base64, S), S, lambda kinds: [t.BinaryType()], arity=(1, 1)), "to_base64")
define("unbase64", "s", "x", python(texts.unbase64, X))
define("to_base32", "x", "s", python(texts.to_base32, S))
define("from_base32", "s", "x", python(texts.from_base32, X))
define("encode", "ss", "x", python(texts.encode, X))
define("decode", "xs", "s", python(texts.decode, S))
define("to_binary", "s?s", "x", python(texts.to_binary, X))
define("try_to_binary", "s?s", "x", python(texts.try_to_binary, X))
define("unhex", "s", "x", python(texts.unhex, X))
define("is_valid_utf8", "x", "b", python(texts.is_valid_utf8, result("b")))
define("make_valid_utf8", "x", "s", python(texts.make_valid_utf8, S))
define("validate_utf8", "x", "s", python(texts.validate_utf8, S))
define("try_validate_utf8", "x", "s", python(texts.try_validate_utf8, S))
define("url_encode", "s", "s", python(texts.url_encode, S))
define("url_decode", "s", "s", python(texts.url_decode, S))
define("try_url_decode", "s", "s", python(texts.try_url_decode, S))
define("parse_url", "ss?s", "s", python(texts.parse_url, S))
define("try_parse_url", "ss?s", "s", python(texts.try_parse_url, S))
define("to_number", "ss", "d", python(texts.to_number, result("d")))
define("try_to_number", "ss", "d", python(texts.try_to_number, result("d")))
define("jaro_winkler_similarity", "ss", "d", python(texts.jaro_winkler_similarity, result("d")))


def _hex_kinds(kinds: Types) -> Sequence[t.DataType | None]:
    (kind,) = kinds
    return [kind if isinstance(kind, t.BinaryType) else t.LongType() if isinstance(kind, t.NumericType) else t.StringType()]


register(Function("hex", python(texts.hexadecimal, S), S, _hex_kinds, arity=(1, 1)))
define(
    "str_to_map",
    "s?ss",
    lambda kinds: t.MapType(t.StringType(), t.StringType()),
    python(texts.str_to_map, lambda kinds: t.MapType(t.StringType(), t.StringType())),
)
