"""Pairs as two typed columns, where all keys (and mostly all values) are of one built-in type: a frame that kernels can work on.

    HEAD     mark, kind of the keys, kind of the values, bytes of the Arrow message
    message  an Arrow record batch of the typed columns (its length is a multiple of 8)
    pickle   the values, as a list, when they are of no such type

The mark is no byte that a pickle begins with, so `frames.load` tells the two apart. A column holds exactly one type: `int` within 64
bits (and no `bool`), `float`, `str`, `bytes`, or None alone; what it is made of comes back equal and of the same type.

In memory integers are int64, and text has 64-bit offsets; a frame holds the narrowest integers that will do.
"""

from __future__ import annotations

import functools
import pickle
import struct
from collections.abc import Iterator, Sequence
from operator import length_hint
from typing import Any, Literal

MARK = 1
HEAD = struct.Struct("<BBBxI")

Column = Any
"""A pyarrow.Array, or a list of values that have no type in common."""

_OBJECTS = 0
_INTEGERS = {"int8": 1, "int16": 2, "int32": 3, "int64": 4}
_KINDS = {**_INTEGERS, "double": 5, "large_string": 6, "large_binary": 7, "null": 8}
_MEMORY_FORMATS: dict[str, Literal["b", "h", "i", "q", "d"]] = {"int8": "b", "int16": "h", "int32": "i", "int64": "q", "double": "d"}


class Columns:
    """Pairs as columns of one length. Iterates as (key, value) tuples, made when they are wanted."""

    __slots__ = ("keys", "values")

    def __init__(self, keys: Column, values: Column) -> None:
        self.keys = keys
        self.values = values

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, place: int) -> tuple[Any, Any]:
        return to_list(self.keys[place : place + 1])[0], to_list(self.values[place : place + 1])[0]

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return zip(to_list(self.keys), to_list(self.values))

    def pairs(self) -> list[tuple[Any, Any]]:
        return list(zip(to_list(self.keys), to_list(self.values)))

    def slice(self, start: int, length: int) -> Columns:
        stop = start + length
        return Columns(self.keys[start:stop], self.values[start:stop])

    @property
    def nbytes(self) -> int:
        """Of the typed columns; 8 for each value that is an object."""
        return sum(8 * len(column) if isinstance(column, list) else column.nbytes for column in (self.keys, self.values))


def reading(batch: Sequence[Any] | Columns) -> tuple[Iterator[Any], Iterator[Any]]:
    """An iterator over the pairs of a batch, and one whose length hint says how many are left of it."""
    if isinstance(batch, Columns):
        keys = iter(to_list(batch.keys))
        return zip(keys, to_list(batch.values)), keys
    reader = iter(batch)
    return reader, reader


def last_read(batch: Sequence[Any] | Columns, rest: Iterator[Any]) -> Any:
    """The pair that `reading` gave last; `rest` is its second result."""
    return batch[max(0, len(batch) - length_hint(rest) - 1)]


def column_of(values: Sequence[Any]) -> Column | None:
    """As a pyarrow.Array; None when they are not all of one of the types that a column may have."""
    import pyarrow as pa

    if not values:
        return None
    kind = type(values[0])
    wanted = _types().get(kind)
    if wanted is None or list(map(type, values)).count(kind) != len(values):
        return None
    try:
        column = pa.array(values, wanted)
    except (OverflowError, ValueError, pa.ArrowException):
        return None  # An integer beyond 64 bits, or text with half of a surrogate pair.
    return column if isinstance(column, pa.Array) else None


def to_list(column: Column) -> list[Any]:
    """The values as Python objects."""
    if isinstance(column, list):
        return column
    kind = str(column.type)
    if kind == "null":
        return [None] * len(column)
    form = _MEMORY_FORMATS.get(kind)
    if form is None:
        values: list[Any] = column.to_pylist()
        return values
    data = column.buffers()[1]
    if data is None:
        return []
    numbers: list[Any] = memoryview(data).cast("B").cast(form)[column.offset : column.offset + len(column)].tolist()
    return numbers


def dump(columns: Columns) -> bytes:
    """A frame; columns of int64 that were cast to narrower integers stay so. Raises what pickling the values raises."""
    import pyarrow as pa

    from quiver_proto.frames import dump_records

    values = columns.values
    if isinstance(values, list):
        arrays, value_kind, pickled = [columns.keys], _OBJECTS, dump_records(values)
    else:
        arrays, value_kind, pickled = [columns.keys, values], _KINDS[str(values.type)], b""
    key_kind = _KINDS[str(columns.keys.type)]
    message = pa.RecordBatch.from_arrays(arrays, schema=_schema(key_kind, value_kind)).serialize()
    return b"".join((HEAD.pack(MARK, key_kind, value_kind, message.size), memoryview(message), pickled))


def open_columns(frame: Any) -> Columns:
    """What `dump` was given. Arrays may point into `frame`."""
    import pyarrow as pa

    buffer = frame if isinstance(frame, pa.Buffer) else pa.py_buffer(frame)
    if buffer.address % 8:
        buffer = pa.py_buffer(bytearray(buffer))
    _, key_kind, value_kind, size = HEAD.unpack(buffer[: HEAD.size])
    schema = _schema(key_kind, value_kind)
    batch = pa.ipc.read_record_batch(buffer.slice(HEAD.size, size), schema)
    if value_kind == _OBJECTS:
        return Columns(batch.column(0), pickle.loads(buffer.slice(HEAD.size + size)))
    return Columns(batch.column(0), batch.column(1))


@functools.cache
def _types() -> dict[type, Any]:
    import pyarrow as pa

    return {int: pa.int64(), float: pa.float64(), str: pa.large_string(), bytes: pa.large_binary(), type(None): pa.null()}


@functools.cache
def _schema(key_kind: int, value_kind: int) -> Any:
    import pyarrow as pa

    names = {number: name for name, number in _KINDS.items()}
    fields = [("key", pa.type_for_alias(names[key_kind]))]
    if value_kind != _OBJECTS:
        fields.append(("value", pa.type_for_alias(names[value_kind])))
    return pa.schema(fields)
