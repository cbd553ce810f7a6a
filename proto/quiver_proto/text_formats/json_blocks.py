"""Lines of JSON by Arrow's parser, where it reads them as the exact one (`json_batches`) does.

It declines what it could read otherwise. Why blocks of lines `{…}` are safe: an end of line between `}` and `{` lies in no value, as no
JSON has `}{` outside of texts, and no text has an end of line. So each line begins an object, and as many objects as lines are one each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from quiver_proto.text_formats.conversion import Formats, converted
from quiver_proto.variants.shredded import is_variant

if TYPE_CHECKING:
    import pyarrow as pa

Found = TypeVar("Found")
_LEAST = 8
"""Lines that are worth a call of Arrow's parser."""
_SMALL = 512
"""Lines of which an unfit one is looked for."""
_PARTS = 8
_PATIENCE = 16
"""Unfit lines of a small block, after which the rest of it is left alone; half of that after each such block."""
_SPACE = " \t\r\n"
_NO_NUMBER = re.compile(rb"[:\[,]\s*[+-]?(?:NaN|Inf(?:inity)?|INF(?:inity)?)\s*[,\]}]")
_LONG = re.compile(rb"[:\[,]\s*(-?\d{19,})\s*[,\]}]")
_ROW = re.compile(r" in row (\d+)$")
_NOWHERE = "\0"
"""A column that no object has: it counts rows."""


class Unfit(Exception):
    """Arrow's parser does not serve these lines. `row`: one to blame, if that is known."""

    def __init__(self, row: int | None = None) -> None:
        super().__init__(row)
        self.row = row


Attempt = Callable[[bytes, int], Found]
"""Makes something of the lines in some bytes, given how many they are. Raises Unfit."""


def sifted(lines: Sequence[str], attempt: Attempt[Found] | None) -> Iterator[tuple[Sequence[int], Found | None]]:
    """(places, what `attempt` made of the lines there), and of the lines that it could not read (places, None), if there are any.

    The places of each are in order; each line is in one.
    """
    return iter([(range(len(lines)), None)]) if attempt is None else _Sifting(lines, attempt).parts()


class _Sifting(Generic[Found]):
    def __init__(self, lines: Sequence[str], attempt: Attempt[Found]) -> None:
        self._lines = [line.strip(_SPACE) for line in lines]
        self._attempt = attempt
        self._patience = _PATIENCE
        self._left: list[int] = []
        """Places of lines that no attempt could read."""

    def parts(self) -> Iterator[tuple[Sequence[int], Found | None]]:
        fits = [line[:1] == "{" and line[-1:] == "}" for line in self._lines]
        places: Sequence[int] = range(len(fits))
        if not all(fits):
            self._left = [place for place, fit in enumerate(fits) if not fit]
            places = list(compress(places, fits))
        yield from self._large(places)
        if self._left:
            yield sorted(self._left), None

    def _large(self, places: Sequence[int]) -> Iterator[tuple[Sequence[int], Found]]:
        if len(places) <= _SMALL:
            yield from self._small(places)
            return
        try:
            found = self._tried(places)
        except Unfit:
            step = max(_SMALL, -(-len(places) // _PARTS))
            for at in range(0, len(places), step):
                yield from self._large(places[at : at + step])
        else:
            yield places, found

    def _small(self, places: Sequence[int]) -> Iterator[tuple[Sequence[int], Found]]:
        ahead = [places]
        failures = 0
        while ahead:
            places = ahead.pop()
            if len(places) < _LEAST or failures > self._patience:
                self._left += places
                continue
            try:
                found = self._tried(places)
            except Unfit as unfit:
                failures += 1
                if unfit.row is not None and unfit.row < len(places):
                    self._left.append(places[unfit.row])
                    ahead.append([*places[: unfit.row], *places[unfit.row + 1 :]])
                else:
                    half = len(places) // 2
                    ahead += [places[half:], places[:half]]
            else:
                yield places, found
        if failures > self._patience:
            self._patience //= 2

    def _tried(self, places: Sequence[int]) -> Found:
        whole = len(places) == len(self._lines)
        data = "\n".join(self._lines if whole else [self._lines[place] for place in places]).encode()
        if data.count(b"\n") != len(places) - 1 or b"\0" in data:
            raise Unfit
        if (b"N" in data or b"Inf" in data) and _NO_NUMBER.search(data):
            raise Unfit
        return self._attempt(data, len(places))


def reader(fields: Sequence[pa.Field], formats: Formats) -> Attempt[list[pa.Array]] | None:
    """What reads the fields of the objects in a block; None when none of the fields' types can be left to Arrow."""
    import pyarrow as pa

    if not all(_is_served(field.type) for field in fields):
        return None
    asked = pa.schema(
        [*(pa.field(each.name, _asked(each.type)) for each in fields if not pa.types.is_null(each.type)), (_NOWHERE, pa.bool_())]
    )

    def read(data: bytes, rows: int) -> list[pa.Array]:
        table = _table(data, rows, asked)
        return [
            pa.nulls(rows) if pa.types.is_null(each.type) else _made(table.column(each.name).combine_chunks(), each.type, formats)
            for each in fields
        ]

    return read


def _table(data: bytes, rows: int, asked: pa.Schema | None) -> pa.Table:
    """Raises Unfit."""
    import pyarrow as pa
    import pyarrow.json

    parsing = pyarrow.json.ParseOptions(explicit_schema=asked, unexpected_field_behavior="infer" if asked is None else "ignore")
    reading = pyarrow.json.ReadOptions(use_threads=False, block_size=len(data) + 1)
    try:
        table = pyarrow.json.read_json(pa.BufferReader(data), reading, parsing)
    except pa.ArrowException as problem:
        told = _ROW.search(str(problem))
        raise Unfit(int(told[1]) if told else None) from None
    if table.num_rows != rows:
        raise Unfit
    return table


def _is_served(kind: pa.DataType) -> bool:
    import pyarrow as pa

    is_ = pa.types
    if is_variant(kind):
        return False
    if is_.is_struct(kind):
        return all(_is_served(field.type) and not is_.is_null(field.type) for field in kind)
    if is_.is_map(kind):
        return False
    if is_.is_list(kind):
        return _is_served(kind.value_type) and not is_.is_null(kind.value_type)
    return True


def _asked(kind: pa.DataType) -> pa.DataType:
    """What Arrow is to read: dates, times and bytes are texts that Spark's rules are for; a float is rounded from a double."""
    import pyarrow as pa

    is_ = pa.types
    if is_.is_struct(kind):
        return pa.struct([pa.field(field.name, _asked(field.type)) for field in kind])
    if is_.is_list(kind):
        return pa.list_(_asked(kind.value_type))
    if is_.is_date(kind) or is_.is_time(kind) or is_.is_timestamp(kind) or is_.is_binary(kind):
        return pa.string()
    return pa.float64() if is_.is_floating(kind) else kind


def _made(array: pa.Array, kind: pa.DataType, formats: Formats) -> pa.Array:
    """Raises Unfit."""
    import pyarrow as pa

    is_ = pa.types
    if is_.is_decimal(kind):
        # The parser looks at how many digits there are before it brings them to the scale.
        try:
            array.validate(full=True)
        except pa.ArrowInvalid:
            raise Unfit from None
        return array
    if is_.is_struct(kind):
        members = [_made(array.field(place), field.type, formats) for place, field in enumerate(kind)]
        return pa.StructArray.from_arrays(members, fields=list(kind), mask=array.is_null())
    if is_.is_list(kind):
        # Arrow's parser makes lists without gaps: one that is null has no elements.
        return pa.ListArray.from_arrays(array.offsets, _made(array.values, kind.value_type, formats), kind, mask=array.is_null())
    if array.type == kind:
        return array
    if is_.is_floating(kind):
        return array.cast(kind, safe=False)
    if is_.is_binary(kind):
        return _unbased(array)
    values, bad = converted(array, kind, formats)
    if bad:
        raise Unfit
    return values


def _unbased(texts: pa.Array) -> pa.Array:
    import base64
    import binascii

    import pyarrow as pa

    try:
        return pa.array([None if text is None else base64.b64decode(text, validate=True) for text in texts.to_pylist()], pa.binary())
    except (binascii.Error, ValueError):
        raise Unfit from None


def types(prefers_decimal: bool, primitives_as_strings: bool, data: bytes, rows: int) -> Any:
    """The type of the objects in a block, as json_types tells it. Raises Unfit where Arrow's inference doesn't tell enough."""
    table = _table(data, rows, None)
    kinds: set[str] = set()
    found = ("struct", {field.name: _kind(field.type, primitives_as_strings, kinds) for field in table.schema})
    if "" in kinds:
        raise Unfit
    if "double" in kinds and (prefers_decimal or any(not -(2**63) <= int(each) < 2**63 for each in _LONG.findall(data))):
        raise Unfit
    return found


def _kind(kind: pa.DataType, as_strings: bool, kinds: set[str]) -> Any:
    """`kinds`: gets the names of types that occur, "" for one that is not known."""
    import pyarrow as pa

    is_ = pa.types
    if is_.is_struct(kind):
        return ("struct", {field.name: _kind(field.type, as_strings, kinds) for field in kind})
    if is_.is_list(kind):
        return ("array", _kind(kind.value_type, as_strings, kinds))
    if is_.is_null(kind):
        return "null"
    name = "bigint" if is_.is_int64(kind) else "double" if is_.is_float64(kind) else "boolean" if is_.is_boolean(kind) else ""
    # Texts that are all times are times to Arrow.
    name = name or ("string" if is_.is_string(kind) or is_.is_timestamp(kind) else "")
    name = "string" if as_strings and name else name
    kinds.add(name)
    return name
