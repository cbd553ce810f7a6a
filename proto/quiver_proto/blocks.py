"""The shuffle's block format.

A map task writes one Arrow IPC file, under a temporary name and renamed once:

    <blocks dir>/shuffle-<shuffle id>/map-<map index>-<task id>.arrow

with one column, `frame: large_binary`: records as frames (quiver_proto.frames), a few in a record batch, batches compressed with lz4 and
grouped by reduce partition, so that a partition's batches are one range of bytes. Between the last batch and the Arrow footer, where
Arrow's readers never look, lies the index: one ENTRY per reduce partition (where its range is, how many bytes and records it has, the
range's CRC-32, and the CRC-32 of the entry itself; an empty partition has length 0), then TRAILER. Outputs with typed columns are read
as Arrow files, by the footer: there one more ENTRY, for the footer, precedes the others.

Where pieces are small, batches are not compressed and hold one frame of each of many partitions: a partition's range is then just the
bytes of its frame, inside such a batch (`is_bare`).

A reader needs the file's tail and its own range. Nothing is unpickled before its checksum was compared.
"""

from __future__ import annotations

import functools
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from quiver_proto.errors import BlockCorrupt

MAGIC = b"\x89QVINDX\x02"
"""The last byte is the format's version."""
TRAILER = struct.Struct("<8sII")
"""Magic, number of reduce partitions, CRC-32 of both."""
ENTRY = struct.Struct("<QQQII")
_TAIL = 4096
_KEPT = 1024
"""A longer index is read entry by entry."""
_LISTED = 4096
"""Of a longer index it is not kept which entries are empty."""
_CONTINUATION = b"\xff\xff\xff\xff"
"""How every Arrow message begins, and no frame."""
_ARROW_END = struct.Struct("<I6s")
_FIELDS = struct.Struct("<QQQI")


class IndexEntry(NamedTuple):
    """One reduce partition's piece of a map output: a byte range of the .arrow file."""

    offset: int
    length: int
    records: int
    crc: int


def shuffle_directory(blocks_dir: str, shuffle_id: int) -> str:
    return os.path.join(blocks_dir, f"shuffle-{shuffle_id}")


def map_output_path(blocks_dir: str, shuffle_id: int, map_index: int, task_id: int) -> str:
    return os.path.join(blocks_dir, f"shuffle-{shuffle_id}", f"map-{map_index}-{task_id}.arrow")


def index_size(width: int, *, footer: bool = False) -> int:
    return (width + footer) * ENTRY.size + TRAILER.size


def pack_index(entries: Sequence[IndexEntry], footer: IndexEntry | None = None) -> bytes:
    parts = []
    for entry in entries if footer is None else (footer, *entries):
        fields = _FIELDS.pack(*entry)
        parts.append(fields + zlib.crc32(fields).to_bytes(4, "little"))
    head = TRAILER.pack(MAGIC, len(entries), 0)[:-4]
    return b"".join((*parts, head, zlib.crc32(head).to_bytes(4, "little")))


def unpack_entry(data: bytes, path: str) -> IndexEntry:
    """Raises BlockCorrupt when the entry is short or its checksum is wrong."""
    if len(data) != ENTRY.size:
        raise BlockCorrupt(path, "its index is truncated")
    offset, length, records, crc, own = ENTRY.unpack(data)
    if zlib.crc32(data[: _FIELDS.size]) != own:
        raise BlockCorrupt(path, "its index has a wrong checksum")
    return IndexEntry(offset, length, records, crc)


class Index:
    """Where a map output's entries are. A short index is kept; of a longer one, from its second use on, which entries are empty."""

    __slots__ = ("_filled", "_held", "_path", "_start", "_uses", "width")

    def __init__(self, descriptor: int, path: str) -> None:
        """Raises OSError, or BlockCorrupt when there is no index in the file."""
        size = os.fstat(descriptor).st_size
        tail = os.pread(descriptor, _TAIL, max(0, size - _TAIL))
        place = tail.rfind(MAGIC)
        if place < 0 and len(tail) >= _ARROW_END.size:
            # Many batches, or long names of columns, make a long footer. In a file without batches the schema comes after the index too.
            footer, end = _ARROW_END.unpack(tail[-_ARROW_END.size :])
            if end == b"ARROW1" and footer < size:
                tail = os.pread(descriptor, 2 * footer + _TAIL, max(0, size - 2 * footer - _TAIL))
                place = tail.rfind(MAGIC)
        trailer = tail[place : place + TRAILER.size] if place >= 0 else b""
        if len(trailer) != TRAILER.size or zlib.crc32(trailer[:-4]) != int.from_bytes(trailer[-4:], "little"):
            raise BlockCorrupt(path, "it has no index: truncated, or of another format")
        self.width: int = TRAILER.unpack(trailer)[1]
        self._path = path
        length = self.width * ENTRY.size
        self._start = size - len(tail) + place - length
        self._held = tail[place - length : place] if length <= min(place, _KEPT) else b""
        self._filled = b""
        self._uses = 0

    def is_empty(self, partition: int) -> bool:
        """Is the partition known to have nothing here? Raises BlockCorrupt."""
        if not 0 <= partition < self.width:
            return False
        if self._filled:
            return not self._filled[partition]
        place = partition * ENTRY.size
        return bool(self._held) and unpack_entry(self._held[place : place + ENTRY.size], self._path).length == 0

    def raw_footer(self, descriptor: int) -> bytes:
        """The bytes of the footer's entry, which only outputs with typed columns have."""
        return os.pread(descriptor, ENTRY.size, max(0, self._start - ENTRY.size))

    def raw_entry(self, descriptor: int, partition: int) -> bytes:
        """The bytes of one reduce partition's entry. Raises BlockCorrupt when there is none."""
        if not 0 <= partition < self.width:
            raise BlockCorrupt(self._path, f"it has {self.width} partitions, not number {partition}")
        place = partition * ENTRY.size
        if self._held:
            return self._held[place : place + ENTRY.size]
        self._uses += 1
        if self._uses == 2 and self.width <= _LISTED:
            whole = os.pread(descriptor, self.width * ENTRY.size, max(0, self._start))
            starts = range(0, self.width * ENTRY.size, ENTRY.size)
            self._filled = bytes(unpack_entry(whole[start : start + ENTRY.size], self._path).length > 0 for start in starts)
        return os.pread(descriptor, ENTRY.size, max(0, self._start + place))


@functools.cache
def frame_schema() -> Any:
    """The Arrow schema of map outputs."""
    import pyarrow as pa

    return pa.schema([("frame", pa.large_binary())])


@functools.cache
def schema_message() -> bytes:
    """What precedes record batches in an Arrow stream of that schema."""
    data: bytes = frame_schema().serialize().to_pybytes()
    return data


@functools.cache
def write_options(compression: str | None = "lz4") -> Any:
    # A thread pool costs tens of microseconds a batch, and a slot has one core.
    import pyarrow as pa

    return pa.ipc.IpcWriteOptions(compression=compression, use_threads=False)


@functools.cache
def _read_options() -> Any:
    import pyarrow as pa

    return pa.ipc.IpcReadOptions(use_threads=False)


def is_bare(piece: bytes) -> bool:
    """Is it a frame, and no record batches?"""
    return not piece.startswith(_CONTINUATION)


def openable(piece: bytes, head: bytes) -> bytes:
    """A whole piece as `frames_in` takes it. `head` is the schema's message."""
    return piece if is_bare(piece) else head + piece


def frames_in(source: Any) -> Iterator[Any]:
    """The frames in `source`: a verified piece made `openable`, or a file object with `read` that begins with `schema_message()`.

    Each frame is a buffer that frames.load takes. Raises pyarrow.ArrowInvalid (a ValueError) where the bytes are no record batches.
    """
    if isinstance(source, bytes) and is_bare(source):
        yield source
        return
    import pyarrow as pa

    reader = pa.ipc.open_stream(source, options=_read_options())
    for batch in reader:
        column = batch.column(0)
        for row in range(len(column)):
            yield column[row].as_buffer()
