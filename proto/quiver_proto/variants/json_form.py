"""Variants from texts in JSON, and as such."""

from __future__ import annotations

import base64
import json
import re
from datetime import date, datetime
from decimal import Context, Decimal
from typing import Any

from quiver_proto.spark_functions import casts
from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.times import zone_of
from quiver_proto.variants.decoding import Part

_PLAIN = re.compile(r"-?\d+(?:\.\d*)?")
_WIDE = Context(prec=100)
_EXACT_DIGITS = 38
_SHOWN = 200
_BEHIND = ("", " ", "\t", "\r", "\n")
"""What may stand behind a number or a word."""


def tree_of_json(text: str) -> Any:
    """Dicts, lists and scalars of the first value in a text in JSON: what comes behind it does not matter, as to Spark.

    Fractions without an exponent, and whole numbers beyond 64 bits, are decimals where 38 digits are enough, else doubles. Raises
    SparkValueError.
    """
    try:
        bare = text.lstrip(" \t\r\n")
        tree, end = _DECODER.raw_decode(bare)
        if bare[end : end + 1] not in _BEHIND and bare[end - 1] not in '"}]':
            raise ValueError(bare)
        return tree
    except (ValueError, RecursionError) as problem:
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
        why = f" ({problem})" if isinstance(problem, SparkValueError) else ""
        raise SparkValueError(
            "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION",
            f"Malformed records are detected in record parsing: {shown}{why}. Use `try_parse_json` to have null for them.",
        ) from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        raise duplicate(next(name for place, name in enumerate(names) if name in names[:place]))
    return members


def duplicate(name: str) -> SparkValueError:
    """The error of two members of one name."""
    return SparkValueError("VARIANT_DUPLICATE_KEY", f"Failed to build variant because of a duplicate object key `{name}`.")


def whole(text: str) -> Any:
    """A whole number as it is written in JSON: an int, or what `fraction` makes of it."""
    if len(text) < 20 and -(2**63) <= (number := int(text)) < 2**63:
        return number
    return fraction(text)


def fraction(text: str) -> Any:
    """A Decimal, or a float where there is an exponent or 38 digits are too few."""
    if _PLAIN.fullmatch(text) and len(text) < 80:
        number = _WIDE.create_decimal(text)
        _, digits, exponent = number.as_tuple()
        if len(digits) <= _EXACT_DIGITS and -int(exponent) <= _EXACT_DIGITS:
            return number
    return float(text)


def _no_number(text: str) -> Any:
    raise ValueError(text)


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_int=whole, parse_float=fraction, parse_constant=_no_number)


def as_json(part: Part, zone: str = "UTC") -> str:
    """The text of a variant: members by their names, decimals without zeros at their end, instants by the clocks of `zone`.

    Raises SparkValueError for bytes that are no variant.
    """
    pieces: list[str] = []
    try:
        _write(part, zone, pieces)
    except RecursionError:
        raise SparkValueError("MALFORMED_VARIANT", "The variant is nested too deeply.") from None
    return "".join(pieces)


def _write(part: Part, zone: str, pieces: list[str]) -> None:
    match part.kind:
        case "object":
            pieces.append("{")
            for place, (name, member) in enumerate(part.members()):
                pieces.append(f"{',' if place else ''}{quoted(name)}:")
                _write(member, zone, pieces)
            pieces.append("}")
        case "array":
            pieces.append("[")
            for place, item in enumerate(part.items()):
                if place:
                    pieces.append(",")
                _write(item, zone, pieces)
            pieces.append("]")
        case kind:
            pieces.append(_scalar(part.scalar(), kind, zone))


def _scalar(value: Any, kind: str, zone: str) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return quoted(value)
        case bytes():
            return f'"{base64.b64encode(value).decode()}"'
        case int():
            return str(value)
        case Decimal():
            return plain(value)
        case float():
            text = (casts.written if kind == "double" else casts.written_single)(value)
            return text if value == value and abs(value) != float("inf") else f'"{text}"'
        case datetime() if value.tzinfo is not None:
            there = value.astimezone(zone_of(zone))
            offset = there.strftime("%z")
            return f'"{casts.shown_time(there)}{offset[:3]}:{offset[3:5]}"'
        case datetime():
            return f'"{casts.shown_time(value)}"'
        case date():
            return f'"{value.isoformat()}"'
    raise AssertionError(value)


def plain(number: Decimal) -> str:
    """Without zeros at its end.

    >>> plain(Decimal("100.0")), plain(Decimal("2.50"))
    ('100', '2.5')
    """
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def quoted(text: str) -> str:
    """As a text in JSON; only quotes, backslashes and control characters are escaped."""
    return json.dumps(text, ensure_ascii=False)
