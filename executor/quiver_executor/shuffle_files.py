"""Shuffle files on this node: written by one map task, read by any number of reduce tasks, removed with their shuffle."""

from __future__ import annotations

import io
import os
import shutil
import stat
import zlib
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from quiver_executor.disk import claim, written_whole
from quiver_executor.environment import SlotEnvironment
from quiver_proto import blocks
from quiver_proto.blocks import Index, IndexEntry
from quiver_proto.errors import BlockCorrupt

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

BATCH_BYTES = 256 << 10
"""Frames are put together in record batches of about this size."""
SMALL = 8 << 10
"""Where the pieces of a map output have no more bytes than this on average, they are not compressed and need no Arrow to be read. Below
WHOLE_PIECE."""
WINDOW = 1 << 20
IN_MEMORY = 16 << 20
"""Map outputs whose frames have up to this many bytes are put together in memory."""
WHOLE_PIECE = 16 << 20
"""A piece up to this size is read at once; of a larger one, only WINDOW bytes are held at a time."""


def remove_shuffle(blocks_dir: str, shuffle_id: int) -> None:
    """Delete this node's files of a shuffle. Nothing there is no error."""
    shutil.rmtree(blocks.shuffle_directory(blocks_dir, shuffle_id), ignore_errors=True)


def write_map_output(
    env: SlotEnvironment,
    shuffle_id: int,
    map_index: int,
    task_id: int,
    pieces: Iterable[tuple[int, int, Iterable[bytes]]],
    width: int,
    size: int,
) -> tuple[str, bytes, int]:
    """Commit one map task's output: (path, sizes as array('Q') bytes, bytes written).

    `pieces` are (reduce partition, records, frames) in order of the partition; partitions without records are left out. `size` is how
    many bytes the frames have together, about. Leaves nothing behind when it raises QuotaExceeded or DiskFull.
    """
    path = blocks.map_output_path(env.blocks_dir, shuffle_id, map_index, task_id)
    with written_whole(env, path, takes_long=size > IN_MEMORY) as unfinished:
        descriptor = create(unfinished)
        try:
            if size <= IN_MEMORY:
                entries, written = _write_at_once(env, descriptor, pieces, width, size)
            else:
                entries, written = _write_through(env, descriptor, pieces, width)
        finally:
            os.close(descriptor)
    return path, array("Q", [entry.length for entry in entries]).tobytes(), written


def create(path: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        return os.open(path, flags, 0o600)


def _write_at_once(
    env: SlotEnvironment, descriptor: int, pieces: Iterable[tuple[int, int, Iterable[bytes]]], width: int, size: int
) -> tuple[list[IndexEntry], int]:
    """The file is made in memory, and written with one call where the system takes it."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    ranges, index_at = _write_batches(sink, pieces, width, bare=size <= SMALL * width)
    content = memoryview(sink.getvalue())
    entries = [IndexEntry(0, 0, 0, 0)] * width
    for partition, records, start, stop in ranges:
        entries[partition] = IndexEntry(start, stop - start, records, zlib.crc32(content[start:stop]))
    index = blocks.pack_index(entries)
    parts = [content[:index_at], memoryview(index), content[index_at + len(index) :]]
    claim(env, len(content), descriptor)
    written = os.writev(descriptor, parts)
    if written < len(content):
        rest = b"".join(parts)
        while written < len(rest):
            written += os.pwrite(descriptor, rest[written : written + WINDOW], written)
    return entries, written


def _write_through(
    env: SlotEnvironment, descriptor: int, pieces: Iterable[tuple[int, int, Iterable[bytes]]], width: int
) -> tuple[list[IndexEntry], int]:
    """Batch by batch; checksums are of what reads back, and the index is filled in last."""
    import pyarrow as pa

    file = ClaimingFile(env, descriptor)
    sink = pa.BufferedOutputStream(pa.PythonFile(file, "w"), WINDOW)
    try:
        ranges, index_at = _write_batches(sink, pieces, width)
    except BaseException:
        file.discards = True
        raise
    finally:
        sink.close()
    entries = [IndexEntry(0, 0, 0, 0)] * width
    for partition, records, start, stop in ranges:
        entries[partition] = IndexEntry(start, stop - start, records, checksum(descriptor, start, stop))
    index = blocks.pack_index(entries)
    written = 0
    while written < len(index):
        written += os.pwrite(descriptor, index[written:], index_at + written)
    return entries, os.fstat(descriptor).st_size


class ClaimingFile(io.RawIOBase):
    """An open file, written from its start; room for each write is claimed first. Leaves the descriptor open."""

    def __init__(self, env: SlotEnvironment, descriptor: int) -> None:
        self._env = env
        self._descriptor = descriptor
        self._size = 0
        self.discards = False
        """The file is given up: what a buffer still writes when it is closed goes nowhere, and raises nothing."""

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: Buffer) -> int:
        """All of it. Raises QuotaExceeded, OSError."""
        view = memoryview(data).cast("B")
        length = len(view)
        if self.discards:
            return length
        try:
            claim(self._env, length, self._descriptor)
            while view:
                written = os.pwrite(self._descriptor, view, self._size)
                self._size += written
                view = view[written:]
        except BaseException:
            self.discards = True
            raise
        return length


def _write_batches(
    sink: Any, pieces: Iterable[tuple[int, int, Iterable[bytes]]], width: int, bare: bool = False
) -> tuple[list[tuple[int, int, int, int]], int]:
    """(partition, records, from, to) of each piece, and where room for the index was left. `bare`: small frames share batches."""
    import pyarrow as pa

    kind, schema = pa.large_binary(), blocks.frame_schema()
    first = 8 + len(blocks.schema_message())  # Where batches begin; the schema is written with the first of them.
    ranges: list[tuple[int, int, int, int]] = []
    small: list[tuple[int, int, bytes]] = []
    small_bytes = 0
    with pa.ipc.new_file(sink, schema, options=blocks.write_options(None if bare else "lz4")) as writer:

        def write(frames: list[bytes]) -> None:
            writer.write_batch(pa.RecordBatch.from_arrays([pa.array(frames, kind)], schema=schema))

        def write_small() -> None:
            write([frame for _, _, frame in small])
            # The values are the last buffer of the last message, padded to 8 bytes.
            start = sink.tell() - (small_bytes + 7 & ~7)
            for partition, records, frame in small:
                ranges.append((partition, records, start, start + len(frame)))
                start += len(frame)

        for partition, records, frames in pieces:
            held: list[bytes] = []
            size = batches = 0
            start = max(first, sink.tell())
            for frame in frames:
                held.append(frame)
                size += len(frame)
                if size >= BATCH_BYTES:
                    write(held)
                    held, size, batches = [], 0, batches + 1
            if bare and len(held) == 1 and batches == 0 and size <= SMALL:
                small.append((partition, records, held[0]))
                small_bytes += size
                if small_bytes >= BATCH_BYTES:
                    write_small()
                    small, small_bytes = [], 0
                continue
            if held:
                write(held)
            ranges.append((partition, records, start, sink.tell()))
        if small:
            write_small()
        index_at = sink.tell()
        sink.write(bytes(blocks.index_size(width)))
    return ranges, index_at


def checksum(descriptor: int, start: int, stop: int) -> int:
    """CRC-32 of a range of an open file."""
    crc = 0
    while start < stop:
        data = os.pread(descriptor, min(WINDOW, stop - start), start)
        if not data:
            break
        crc = zlib.crc32(data, crc)
        start += len(data)
    return crc


_indexes: OrderedDict[str, Index] = OrderedDict()
"""Of the files last read: a slot's next reduce task reads the same ones. Files never change, and their names are never used again."""
_MAX_INDEXES = 8192


def index_of(path: str, descriptor: int) -> Index:
    """The index of a map output that is open for reading. Raises OSError, BlockCorrupt."""
    index = _indexes.get(path)
    if index is None:
        index = _indexes[path] = Index(descriptor, path)
        if len(_indexes) > _MAX_INDEXES:
            _indexes.popitem(last=False)
    return index


def open_regular(path: str) -> int:
    """A descriptor to read a block with. Raises OSError, and BlockCorrupt for what is no regular file; never waits for a pipe's writer."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise BlockCorrupt(path, "it is no regular file")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_piece(path: str, partition: int) -> tuple[IndexEntry, Any] | None:
    """One reduce partition of a map output on this node, verified: its entry, and what frames_in takes. None when it is empty.

    Raises OSError when it can't be read, BlockCorrupt when it is not what was written or no regular file.
    """
    known = _indexes.get(path)
    if known is not None and known.is_empty(partition):
        return None
    descriptor = open_regular(path)
    try:
        entry = blocks.unpack_entry(index_of(path, descriptor).raw_entry(descriptor, partition), path)
        if entry.length == 0:
            return None
        if entry.length <= WHOLE_PIECE:
            data = os.pread(descriptor, entry.length, entry.offset)
            verify(path, entry, data)
            return entry, blocks.openable(data, blocks.schema_message())
        if os.fstat(descriptor).st_size < entry.offset + entry.length:
            raise BlockCorrupt(path, "it is truncated")
        if checksum(descriptor, entry.offset, entry.offset + entry.length) != entry.crc:
            raise BlockCorrupt(path, "wrong checksum")
        window = Window(descriptor, entry.offset, entry.length)
        descriptor = -1
        return entry, window
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def verify(path: str, entry: IndexEntry, data: bytes) -> None:
    """Raises BlockCorrupt unless `data` is the piece that `entry` describes."""
    if len(data) != entry.length:
        raise BlockCorrupt(path, f"it is truncated: {len(data):,} of {entry.length:,} bytes at {entry.offset:,}")
    if zlib.crc32(data) != entry.crc:
        raise BlockCorrupt(path, "wrong checksum")


class Window(io.RawIOBase):
    """A range of an open file as a file, preceded by the schema's message. Owns the descriptor."""

    def __init__(self, descriptor: int, offset: int, length: int, head: bytes | None = None) -> None:
        self._descriptor = descriptor
        self._offset = offset
        self._stop = offset + length
        self._head = blocks.schema_message() if head is None else head

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._head:
            data, self._head = (self._head, b"") if size < 0 else (self._head[:size], self._head[size:])
            return data
        left = self._stop - self._offset
        data = os.pread(self._descriptor, left if size < 0 else min(size, left), self._offset)
        self._offset += len(data)
        return data

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()


def batches_in(source: Any, load: Callable[[Any], Any]) -> Iterator[Any]:
    """The batches of records in a verified piece, opened by `load`."""
    try:
        yield from map(load, blocks.frames_in(source))
    finally:
        if isinstance(source, Window):
            source.close()
