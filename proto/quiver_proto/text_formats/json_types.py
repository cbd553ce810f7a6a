"""Which types the values of JSON have."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from decimal import Decimal
from functools import partial
from itertools import compress
from typing import Any

from quiver_proto.text_formats import json_blocks
from quiver_proto.text_formats.conversion import moment_of
from quiver_proto.text_formats.json_batches import JsonOptions, failed, texts
from quiver_proto.text_formats.json_parsing import Number, Repeated, parse
from quiver_proto.text_formats.malformed import DROP, FAIL
from quiver_proto.text_formats.text_input import Piece

Kind = Any
"""null, boolean, bigint, decimal(p,s), double, timestamp, string; ("array", kind); ("struct", {name: kind})."""


def types_of(piece: Piece | Iterable[str], options: JsonOptions, keep: float = 1.0) -> tuple[Kind, bool]:
    """(the type of the records of a piece: a struct; whether one is malformed). Raises FileUnreadable in mode FAILFAST."""
    import random

    draw = random.Random(f"{piece.path}:{piece.start}" if isinstance(piece, Piece) else "")
    result: Kind = ("struct", {})
    bad = False
    # Arrow's inference tells times by rules of its own.
    quick = (
        None
        if options.multi_line or options.infer_timestamps
        else partial(json_blocks.types, options.prefers_decimal, options.primitives_as_strings)
    )
    for numbers, lines in texts(piece, options):
        if keep < 1:
            chosen = [draw.random() < keep for _ in lines]
            numbers, lines = list(compress(numbers, chosen)), list(compress(lines, chosen))
        for places, found in json_blocks.sifted(lines, quick):
            if found is not None:
                result = merged(result, found)
                continue
            for place in places:
                try:
                    for row in _objects(lines[place], options):
                        result = merged(result, _of(row, options))
                except (ValueError, RecursionError) as problem:
                    if options.mode == FAIL:
                        raise failed(piece, numbers[place], lines[place], str(problem)) from None
                    bad = bad or options.mode != DROP
    return result, bad


def _objects(text: str, options: JsonOptions) -> list[dict[str, Any]]:
    """Of a record. Raises ValueError."""
    found = parse(text, options.laxity)
    rows = found if isinstance(found, list) else [found]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("no object")
    return rows


def _of(value: Any, options: JsonOptions) -> Kind:
    if value is None:
        return "null"
    if isinstance(value, dict):
        kind: Kind = ("struct", {name: _of(item, options) for name, item in value.items()})
        if isinstance(value, Repeated):
            kind[1][""] = "repeated"
        return kind
    if isinstance(value, list):
        inner: Kind = "null"
        for item in value:
            inner = merged(inner, _of(item, options))
        return ("array", inner)
    if options.primitives_as_strings:
        return "string"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, Number):
        return _of_number(value, options)
    if options.infer_timestamps:
        try:
            moment_of(value, options.formats.timestamp, UTC)
        except (ValueError, OverflowError):
            return "string"
        return "timestamp"
    return "string"


def _of_number(value: Number, options: JsonOptions) -> str:
    if value.is_whole:
        number = int(value)
        if -(2**63) <= number < 2**63:
            return "bigint"
        digits = len(str(abs(number)))
        return f"decimal({digits},0)" if digits <= 38 else "double"
    if options.prefers_decimal and not any(letter in value for letter in "NI"):
        _, digits_of, exponent = Decimal(value).as_tuple()
        scale = max(0, -int(exponent))
        precision = max(len(digits_of) + max(0, int(exponent)), scale)
        if precision <= 38:
            return f"decimal({precision},{scale})"
    return "double"


def merged(one: Kind, other: Kind) -> Kind:
    """The type that values of both can be read as.

    >>> merged("bigint", "double"), merged(("array", "bigint"), ("array", "null")), merged("bigint", "boolean")
    ('double', ('array', 'bigint'), 'string')
    """
    if one == other or other == "null":
        return one
    if one == "null":
        return other
    if isinstance(one, tuple) and isinstance(other, tuple) and one[0] == other[0]:
        if one[0] == "array":
            return ("array", merged(one[1], other[1]))
        members = dict(one[1])
        for name, kind in other[1].items():
            members[name] = merged(members[name], kind) if name in members else kind
        return ("struct", members)
    if isinstance(one, tuple) or isinstance(other, tuple):
        return "string"
    both = {one, other}
    decimals = [kind for kind in both if kind.startswith("decimal")]
    if decimals and both <= {*decimals, "bigint"}:
        sizes = [(20, 0) if kind == "bigint" else tuple(map(int, kind[8:-1].split(","))) for kind in both]
        scale = max(size[1] for size in sizes)
        whole = max(size[0] - size[1] for size in sizes)
        return f"decimal({whole + scale},{scale})" if whole + scale <= 38 else "double"
    if both <= {*decimals, "bigint", "double"}:
        return "double"
    return "string"
