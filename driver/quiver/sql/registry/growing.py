"""Functions of strings whose results may be far larger than what they are made of, guarded: see quiver_proto.spark_functions.growth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from quiver.sql import types as t
from quiver.sql.lowering.names import cast, constant_number, constant_text, text
from quiver.sql.registry.model import Types
from quiver.sql.registry.python import with_room_for

_SHORT: Final = 100_000
"""Characters that each row of a batch may have been given without a look."""
_SMALL: Final = 16
"""Bytes that may be put in place of one, without a look: what overflows then was near to it."""
_LOOKED_AT: Final = "1e6"
"""Bytes of a result, at most, below which what it would be exactly is not counted."""


def repeat(args: Sequence[str], kinds: Types) -> str:
    """`repeat(text, count)`."""
    value, count = args
    known, number = constant_text(value), constant_number(count)
    if number is None or len(known or " " * _SHORT) * number > _SHORT:
        count = with_room_for("repeat", count, t.LongType(), f"{_bytes(value)} * {_double(count)}")
    return f"repeat({value}, CAST({count} AS BIGINT))"


def space(args: Sequence[str], kinds: Types) -> str:
    """`space(count)`."""
    return f"space({length('space', args[0])})"


def length(function: str, count: str) -> str:
    """How many characters a function is to give, as an int."""
    number = constant_number(count)
    return count if number is not None and number <= _SHORT else with_room_for(function, count, t.IntegerType(), count)


def replace(value: str, search: str, put: str) -> str:
    """The kernel's `replace`, of a text that is searched for and not empty."""
    known, by = constant_text(search), constant_text(put)
    if by is None or len(by) > _SMALL * len(known or " "):
        without = f"replace({value}, {search}, '')"
        found = f"({_bytes(value)} - {_bytes(without)}) / {_bytes(search)}"
        put = with_room_for("replace", put, t.StringType(), _grown(value, put, found))
    return f"replace({value}, {search}, {put})"


def by_pattern(value: str, pattern: str, put: str) -> str:
    """What the kernel's `regexp_replace` is to put in place of what it finds."""
    written = text(put)
    if len(put) <= _SMALL:
        return written
    return with_room_for("regexp_replace", written, t.StringType(), _grown(value, written, f"regexp_count({value}, {text(pattern)})"))


def _grown(value: str, put: str, found: str) -> str:
    """Bytes of a text in which `put` stands in so many places."""
    most = f"({_bytes(value)} + 1.0) * ({_bytes(put)} + 1.0)"
    return f"CASE WHEN {most} < {_LOOKED_AT} THEN {most} ELSE {_bytes(value)} + {_double(found)} * {_bytes(put)} END"


def _bytes(value: str) -> str:
    return _double(f"octet_length({value})")


def _double(value: str) -> str:
    return cast(value, t.DoubleType())
