"""The shuffle's block format.

A map task writes two files, each under a temporary name and renamed once:

    <blocks dir>/shuffle-<shuffle id>/map-<map index>-<task id>.arrow
        An Arrow IPC file with one column, `frame: large_binary`: records as frames (quiver_proto.frames), a few in a record batch,
        batches compressed with lz4 and grouped by reduce partition, so that a partition's batches are one range of bytes.
    <blocks dir>/shuffle-<shuffle id>/map-<map index>-<task id>.index
        HEADER and then one ENTRY per reduce partition: where its range is, how many bytes and records it has, the range's CRC-32, and
        the CRC-32 of the entry itself. An empty partition has length 0.

A reader needs 32 bytes of the index and its own range. Nothing is unpickled before its checksum was compared.
"""

from __future__ import annotations

import functools
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from quiver_proto.errors import BlockCorrupt

MAGIC = b"QVSI"
VERSION = 1
HEADER = struct.Struct("<4sHHQ")
"""Magic, version, 0, number of reduce partitions."""
ENTRY = struct.Struct("<QQQII")
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


def index_path(path: str) -> str:
    """The index beside a map output."""
    return f"{path.removesuffix('.arrow')}.index"


def pack_index(entries: Sequence[IndexEntry]) -> bytes:
    parts = [HEADER.pack(MAGIC, VERSION, 0, len(entries))]
    for entry in entries:
        fields = _FIELDS.pack(*entry)
        parts.append(fields + zlib.crc32(fields).to_bytes(4, "little"))
    return b"".join(parts)


def unpack_entry(data: bytes, path: str) -> IndexEntry:
    """Raises BlockCorrupt when the entry is short or its checksum is wrong."""
    if len(data) != ENTRY.size:
        raise BlockCorrupt(path, "its index is truncated")
    offset, length, records, crc, own = ENTRY.unpack(data)
    if zlib.crc32(data[: _FIELDS.size]) != own:
        raise BlockCorrupt(path, "its index has a wrong checksum")
    return IndexEntry(offset, length, records, crc)


def read_raw_entry(path: str, partition: int) -> bytes:
    """The index entry's bytes for one reduce partition of the map output at `path`. Raises OSError or BlockCorrupt."""
    descriptor = os.open(index_path(path), os.O_RDONLY | os.O_CLOEXEC)
    try:
        header = os.pread(descriptor, HEADER.size, 0)
        if len(header) != HEADER.size:
            raise BlockCorrupt(path, "its index is truncated")
        magic, version, _, width = HEADER.unpack(header)
        if magic != MAGIC or version != VERSION:
            raise BlockCorrupt(path, f"its index is of an unknown format ({magic!r}, version {version})")
        if not 0 <= partition < width:
            raise BlockCorrupt(path, f"it has {width} partitions, not number {partition}")
        return os.pread(descriptor, ENTRY.size, HEADER.size + partition * ENTRY.size)
    finally:
        os.close(descriptor)


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
def write_options() -> Any:
    # A thread pool costs tens of microseconds a batch, and a slot has one core.
    import pyarrow as pa

    return pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)


@functools.cache
def _read_options() -> Any:
    import pyarrow as pa

    return pa.ipc.IpcReadOptions(use_threads=False)


def frames_in(source: Any) -> Iterator[Any]:
    """The frames in `source`: verified pieces, preceded by `schema_message()`; bytes, or a file object with `read`.

    Each frame is a buffer that frames.load takes. Raises pyarrow.ArrowInvalid (a ValueError) where the bytes are no record batches.
    """
    import pyarrow as pa

    reader = pa.ipc.open_stream(source, options=_read_options())
    for batch in reader:
        column = batch.column(0)
        for row in range(len(column)):
            yield column[row].as_buffer()
