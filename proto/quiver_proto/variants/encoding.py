"""Writes variants: a value and the dictionary of its members' names, in the bytes of the open Variant specification. Pure.

A value's first byte has its basic type in its two lowest bits (0 a scalar, 1 a short text, 2 an object, 3 an array), the rest in the
others. All numbers are little-endian. The bytes are Spark's own to the last: names are numbered as they are met, members lie in the order
in which they are given and are listed in the order of their names.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from quiver_proto.spark_functions.java import SparkValueError

MOST: Final = 16 * 2**20
"""Bytes of a value, and of a dictionary of names."""
SCALAR, SHORT_TEXT, OBJECT, ARRAY = 0, 1, 2, 3
NULL, TRUE, FALSE, INT8, INT16, INT32, INT64, DOUBLE, DECIMAL4, DECIMAL8, DECIMAL16, DATE, TIMESTAMP, TIMESTAMP_NTZ, FLOAT, BINARY, TEXT = (
    range(17)
)
_EPOCH, _EPOCH_DAY = datetime(1970, 1, 1, tzinfo=UTC), date(1970, 1, 1).toordinal()
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A scalar that is encoded already."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class Single:
    """A float of 32 bits."""

    number: float


def encoded(tree: Any) -> tuple[bytes, bytes]:
    """The value and the metadata of a tree: dicts, lists, and scalars, of which Encoded and Single are two; datetimes with a zone are
    instants. Raises SparkValueError for what does not fit."""
    numbers: dict[str, int] = {}
    try:
        value = _value(tree, numbers)
    except RecursionError:
        raise SparkValueError("VARIANT_CONSTRUCTOR_SIZE_LIMIT", "The variant is nested too deeply.") from None
    metadata = _metadata(list(numbers))
    if len(value) > MOST or len(metadata) > MOST:
        raise SparkValueError("VARIANT_SIZE_LIMIT", f"Cannot build variant bigger than {MOST // 2**20} MiB.")
    return value, metadata


def struct_of(tree: Any) -> dict[str, bytes]:
    """As `encoded`: the struct that a variant is in batches and to functions."""
    value, metadata = encoded(tree)
    return {"value": value, "metadata": metadata}


def key_order(name: str) -> bytes:
    """By which the members of an object are sorted: as Java compares texts, by the halves of their UTF-16."""
    return name.encode("utf-16-be", "surrogatepass")


def _metadata(names: list[str]) -> bytes:
    texts = [name.encode("utf-8", "replace") for name in names]
    total = sum(map(len, texts))
    width = _width(max(total, len(texts)))
    parts = [bytes([1 | width - 1 << 6]), len(texts).to_bytes(width, "little")]
    offset = 0
    for text in texts:
        parts.append(offset.to_bytes(width, "little"))
        offset += len(text)
    return b"".join([*parts, offset.to_bytes(width, "little"), *texts])


def _width(number: int) -> int:
    return 1 if number < 1 << 8 else 2 if number < 1 << 16 else 3 if number < 1 << 24 else 4


def _header(basic: int, rest: int) -> bytes:
    return bytes([basic | rest << 2])


def _value(tree: Any, numbers: dict[str, int]) -> bytes:
    write = _SCALARS.get(type(tree))
    if write is not None:
        written: bytes = write(tree)
        return written
    if isinstance(tree, dict):
        return _object(tree, numbers)
    if isinstance(tree, list):
        return _array([_value(item, numbers) for item in tree])
    raise TypeError(f"{type(tree).__name__} is no part of a variant")


def _object(members: dict[str, Any], numbers: dict[str, int]) -> bytes:
    fields: list[tuple[bytes, int, int]] = []
    parts: list[bytes] = []
    offset = 0
    for name, member in members.items():
        number = numbers.setdefault(name, len(numbers))
        part = _value(member, numbers)
        fields.append((key_order(name), number, offset))
        parts.append(part)
        offset += len(part)
    fields.sort()
    large = len(fields) > 255
    of_numbers, of_offsets = _width(max((number for _, number, _ in fields), default=0)), _width(offset)
    head = [_header(OBJECT, large << 4 | of_numbers - 1 << 2 | of_offsets - 1), len(fields).to_bytes(4 if large else 1, "little")]
    head += [number.to_bytes(of_numbers, "little") for _, number, _ in fields]
    head += [place.to_bytes(of_offsets, "little") for _, _, place in fields]
    return b"".join([*head, offset.to_bytes(of_offsets, "little"), *parts])


def _array(parts: list[bytes]) -> bytes:
    large = len(parts) > 255
    width = _width(sum(map(len, parts)))
    head = [_header(ARRAY, large << 2 | width - 1), len(parts).to_bytes(4 if large else 1, "little")]
    offset = 0
    for part in parts:
        head.append(offset.to_bytes(width, "little"))
        offset += len(part)
    return b"".join([*head, offset.to_bytes(width, "little"), *parts])


# ---- scalars ----


def _integer(number: int) -> bytes:
    for kind, size in ((INT8, 1), (INT16, 2), (INT32, 4), (INT64, 8)):
        if -(1 << 8 * size - 1) <= number < 1 << 8 * size - 1:
            return _header(SCALAR, kind) + number.to_bytes(size, "little", signed=True)
    return _decimal(Decimal(number))


def _decimal(number: Decimal) -> bytes:
    """Of at most 38 digits, as many of them behind the point as it has."""
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    unscaled: int = int("".join(map(str, digits))) * 10 ** max(exponent, 0)
    scale = max(-exponent, 0)
    for kind, size, most in ((DECIMAL4, 4, 9), (DECIMAL8, 8, 18), (DECIMAL16, 16, 38)):
        if unscaled < 10**most and scale <= most:
            return _header(SCALAR, kind) + bytes([scale]) + (-unscaled if sign else unscaled).to_bytes(size, "little", signed=True)
    raise SparkValueError("NUMERIC_VALUE_OUT_OF_RANGE.WITHOUT_SUGGESTION", f"{number} has more than 38 digits.")


def _text(text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    return _header(SHORT_TEXT, len(raw)) + raw if len(raw) < 64 else _header(SCALAR, TEXT) + len(raw).to_bytes(4, "little") + raw


def _moment(moment: datetime) -> bytes:
    kind = TIMESTAMP_NTZ if moment.tzinfo is None else TIMESTAMP
    micros = (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // _MICROSECOND
    return _header(SCALAR, kind) + micros.to_bytes(8, "little", signed=True)


def _raw(scalar: Encoded) -> bytes:
    return scalar.raw


def _single(single: Single) -> bytes:
    return _header(SCALAR, FLOAT) + struct.pack("<f", single.number)


_SCALARS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: _header(SCALAR, NULL),
    bool: lambda flag: _header(SCALAR, TRUE if flag else FALSE),
    int: _integer,
    Decimal: _decimal,
    float: lambda number: _header(SCALAR, DOUBLE) + struct.pack("<d", number),
    str: _text,
    bytes: lambda raw: _header(SCALAR, BINARY) + len(raw).to_bytes(4, "little") + raw,
    date: lambda day: _header(SCALAR, DATE) + (day.toordinal() - _EPOCH_DAY).to_bytes(4, "little", signed=True),
    datetime: _moment,
    Encoded: _raw,
    Single: _single,
}
