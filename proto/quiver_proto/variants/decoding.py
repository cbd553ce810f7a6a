"""Reads variants. Bytes may be anyone's: each number in them is checked before it is used, and whatever is wrong is one error.

No part of a value takes less than a byte, so what visits more parts than there are bytes goes in circles, and is ended.
"""

from __future__ import annotations

import functools
import itertools
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any, NamedTuple

from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.variants import encoding as v

_SIZES = {
    v.NULL: 0, v.TRUE: 0, v.FALSE: 0, v.INT8: 1, v.INT16: 2, v.INT32: 4, v.INT64: 8, v.DOUBLE: 8, v.DECIMAL4: 5, v.DECIMAL8: 9,
    v.DECIMAL16: 17, v.DATE: 4, v.TIMESTAMP: 8, v.TIMESTAMP_NTZ: 8, v.FLOAT: 4,
}  # fmt: skip
"""Bytes behind the first of scalars that all take as many."""
_NAMES = {
    v.NULL: "void", v.TRUE: "boolean", v.FALSE: "boolean", v.INT8: "long", v.INT16: "long", v.INT32: "long", v.INT64: "long",
    v.DOUBLE: "double", v.DECIMAL4: "decimal", v.DECIMAL8: "decimal", v.DECIMAL16: "decimal", v.DATE: "date", v.TIMESTAMP: "timestamp",
    v.TIMESTAMP_NTZ: "timestamp_ntz", v.FLOAT: "float", v.BINARY: "binary", v.TEXT: "string",
}  # fmt: skip
_DIGITS = {v.DECIMAL4: 9, v.DECIMAL8: 18, v.DECIMAL16: 38}
_EPOCH, _EPOCH_DAY = datetime(1970, 1, 1, tzinfo=UTC), date(1970, 1, 1).toordinal()
_EXACT = Context(prec=76)


def malformed() -> SparkValueError:
    """The error of bytes that are no variant."""
    return SparkValueError("MALFORMED_VARIANT", "Variant binary is malformed. Please check the data source is valid.")


@functools.lru_cache(256)
def names_of(metadata: bytes) -> tuple[str, ...]:
    """The dictionary of names. Raises SparkValueError."""
    if not metadata or metadata[0] & 0x0F != 1:
        raise malformed()
    width = (metadata[0] >> 6) + 1
    count = int.from_bytes(metadata[1 : 1 + width], "little")
    start = 1 + (count + 2) * width
    if start > len(metadata):
        raise malformed()
    offsets = [int.from_bytes(metadata[at : at + width], "little") for at in range(1 + width, start, width)]
    if offsets[0] != 0 or start + offsets[-1] > len(metadata) or any(a > b for a, b in itertools.pairwise(offsets)):
        raise malformed()
    try:
        return tuple(metadata[start + a : start + b].decode() for a, b in itertools.pairwise(offsets))
    except UnicodeDecodeError:
        raise malformed() from None


class _Visits:
    """How many parts may still be visited."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def one(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise malformed()


class _Layout(NamedTuple):
    """Where the parts of an object or array are: how many; where the numbers of their names begin, and how wide one is; the same of the
    offsets, one more than parts; where the first part begins."""

    parts: int
    names: int
    of_names: int
    offsets: int
    width: int
    data: int


@dataclass(frozen=True, slots=True)
class Part:
    """A variant, or a part of one: what of `value` begins at `at`."""

    value: bytes
    metadata: bytes
    at: int
    visits: _Visits

    @property
    def kind(self) -> str:
        """`object`, `array`, or a scalar's name. Raises SparkValueError, as all methods do, for bytes that are no variant."""
        header = self._header()
        match header & 3:
            case v.SHORT_TEXT:
                return "string"
            case v.OBJECT:
                return "object"
            case v.ARRAY:
                return "array"
        name = _NAMES.get(header >> 2)
        if name is None:
            raise SparkValueError(
                "UNKNOWN_PRIMITIVE_TYPE_IN_VARIANT", f"Unknown primitive type with id {header >> 2} was found in a variant value."
            )
        return name

    def _header(self) -> int:
        if not 0 <= self.at < len(self.value):
            raise malformed()
        return self.value[self.at]

    def _number(self, at: int, width: int) -> int:
        if at + width > len(self.value):
            raise malformed()
        return int.from_bytes(self.value[at : at + width], "little")

    def _layout(self) -> _Layout:
        """Of an object or array."""
        header = self._header()
        rest = header >> 2
        named = header & 3 == v.OBJECT
        width = (rest & 3) + 1
        of_names = (rest >> 2 & 3) + 1 if named else 0
        of_count = 4 if rest >> (4 if named else 2) & 1 else 1
        count = self._number(self.at + 1, of_count)
        names = self.at + 1 + of_count
        offsets = names + count * of_names
        data = offsets + (count + 1) * width
        if data > len(self.value):
            raise malformed()
        return _Layout(count, names, of_names, offsets, width, data)

    def _end(self, layout: _Layout, place: int) -> int:
        """Where the member at that place begins, and the one before ends."""
        return layout.data + self._number(layout.offsets + place * layout.width, layout.width)

    def _below(self, layout: _Layout, place: int) -> Part:
        self.visits.one()
        return Part(self.value, self.metadata, self._end(layout, place), self.visits)

    def _names(self, layout: _Layout) -> Iterator[str]:
        names = names_of(self.metadata)
        for place in range(layout.parts):
            number = self._number(layout.names + place * layout.of_names, layout.of_names)
            if number >= len(names):
                raise malformed()
            yield names[number]

    def members(self) -> Iterator[tuple[str, Part]]:
        """Of an object, in the order of their names."""
        layout = self._layout()
        for place, name in enumerate(self._names(layout)):
            yield name, self._below(layout, place)

    def items(self) -> Iterator[Part]:
        """Of an array."""
        layout = self._layout()
        for place in range(layout.parts):
            yield self._below(layout, place)

    def member(self, name: str) -> Part | None:
        """The object's member of that name."""
        layout = self._layout()
        place = next((place for place, each in enumerate(self._names(layout)) if each == name), None)
        return None if place is None else self._below(layout, place)

    def item(self, place: int) -> Part | None:
        """The array's item at that place, from 0."""
        layout = self._layout()
        return self._below(layout, place) if place < layout.parts else None

    def whole(self) -> bytes:
        """The bytes of this part."""
        if self._header() & 3 not in (v.OBJECT, v.ARRAY):
            return self.raw()
        layout = self._layout()
        end = self._end(layout, layout.parts)
        if end > len(self.value):
            raise malformed()
        return self.value[self.at : end]

    # ---- scalars ----

    def raw(self) -> bytes:
        """The bytes of a scalar."""
        header = self._header()
        if header & 3 == v.SHORT_TEXT:
            size = 1 + (header >> 2)
        elif header >> 2 in (v.BINARY, v.TEXT):
            size = 5 + self._number(self.at + 1, 4)
        else:
            size = 1 + _SIZES[header >> 2] if header >> 2 in _SIZES else len(self.value) + 1
        if self.at + size > len(self.value):
            raise malformed()
        return self.value[self.at : self.at + size]

    def scalar(self) -> Any:
        """As Python's value: whole numbers int, decimals with the digits that they have, instants aware datetimes in UTC."""
        raw = self.raw()
        header = raw[0]
        if header & 3 == v.SHORT_TEXT:
            return _text(raw[1:])
        match header >> 2:
            case v.NULL:
                return None
            case v.TRUE | v.FALSE:
                return header >> 2 == v.TRUE
            case v.INT8 | v.INT16 | v.INT32 | v.INT64:
                return int.from_bytes(raw[1:], "little", signed=True)
            case v.DOUBLE:
                return struct.unpack("<d", raw[1:])[0]
            case v.FLOAT:
                return struct.unpack("<f", raw[1:])[0]
            case v.DECIMAL4 | v.DECIMAL8 | v.DECIMAL16 as kind:
                unscaled, most = int.from_bytes(raw[2:], "little", signed=True), _DIGITS[kind]
                if abs(unscaled) >= 10**most or raw[1] > most:
                    raise malformed()
                return Decimal(unscaled).scaleb(-raw[1], _EXACT)
            case v.BINARY:
                return raw[5:]
            case v.TEXT:
                return _text(raw[5:])
            case kind:
                return _day_or_moment(kind, int.from_bytes(raw[1:], "little", signed=True))


def _day_or_moment(kind: int, number: int) -> Any:
    try:
        if kind == v.DATE:
            return date.fromordinal(_EPOCH_DAY + number)
        moment = _EPOCH + timedelta(microseconds=number)
    except (OverflowError, ValueError):
        raise SparkValueError("DATETIME_OVERFLOW", "A date in a variant is beyond the years 1 to 9999.") from None
    return moment if kind == v.TIMESTAMP else moment.replace(tzinfo=None)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def part_of(value: bytes, metadata: bytes) -> Part:
    """The whole variant."""
    return Part(value, metadata, 0, _Visits(len(value)))


def tree_of(part: Part) -> Any:
    """Dicts, lists and scalars (encoding.Encoded), to be changed and encoded again."""
    return _tree(part, lambda scalar: v.Encoded(scalar.raw()))


def python_of(part: Part) -> Any:
    """Dicts, lists and Python's values."""
    return _tree(part, Part.scalar)


def _tree(part: Part, of_scalar: Callable[[Part], Any]) -> Any:
    match part.kind:
        case "object":
            return {name: _tree(member, of_scalar) for name, member in part.members()}
        case "array":
            return [_tree(item, of_scalar) for item in part.items()]
        case _:
            return of_scalar(part)
