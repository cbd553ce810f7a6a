"""The format of a cached partition: records as frames, large buffers beside them, an index behind them.

    HEADER                     magic, where the index is and how long, records, seconds that computing took, CRC-32 of index and header
    sections                   a frame's large buffers, each aligned to ALIGN bytes, then the frame (quiver_proto.frames)
    index                      one SECTION each: offset, length, CRC-32, and for a frame how many of the sections before it are its buffers

It is written once, front to back with the header last, and renamed; it never changes. A frame is not unpickled before its checksum was
compared. In shared memory it is mapped, privately: arrays are views of the block, and a task that writes to one changes its own copy.
From disk it is read frame by frame, because a mapped file that is cut short, or a bad sector, would kill the reader.
"""

from __future__ import annotations

import mmap
import os
import pickle
import struct
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final, Protocol

from quiver_executor.shuffle_files import open_regular
from quiver_proto.errors import BlockCorrupt
from quiver_proto.frames import load

MAGIC: Final = b"\x89QVCACH\x01"
"""The last byte is the format's version."""
ALIGN: Final = 64
_HEADER = struct.Struct("<8sQQQdII")
_HEADER_CHECKED = _HEADER.size - 4
HEADER_BYTES: Final = 64
"""Room for the header at a block's start."""
_SECTION = struct.Struct("<QQIi")
_BUFFER: Final = -1
_WINDOW = 1 << 20


class Sections:
    """Lays out one block's content; `offset` is where what comes next begins."""

    def __init__(self) -> None:
        self.offset = HEADER_BYTES
        self.records = 0
        self._index: list[bytes] = []

    def add(self, frame: bytes, buffers: list[pickle.PickleBuffer], records: int) -> list[Any]:
        """The bytes to be appended for one frame, in pieces."""
        pieces: list[Any] = []
        for buffer in buffers:
            raw = buffer.raw()
            padding = -self.offset % ALIGN
            if padding:
                pieces.append(bytes(padding))
                self.offset += padding
            self._enter(raw, raw.nbytes, _BUFFER)
            pieces.append(raw)
        self._enter(frame, len(frame), len(buffers))
        pieces.append(frame)
        self.records += records
        return pieces

    def finish(self, compute_s: float) -> tuple[bytes, bytes]:
        """The index, to be appended, and the header, which belongs at 0."""
        index = b"".join(self._index)
        head = _HEADER.pack(MAGIC, self.offset, len(index), self.records, compute_s, zlib.crc32(index), 0)[:_HEADER_CHECKED]
        self.offset += len(index)
        return index, (head + zlib.crc32(head).to_bytes(4, "little")).ljust(HEADER_BYTES, b"\0")

    def _enter(self, data: Any, length: int, buffers: int) -> None:
        self._index.append(_SECTION.pack(self.offset, length, zlib.crc32(data), buffers))
        self.offset += length


class _Source(Protocol):
    def read(self, offset: int, length: int) -> memoryview: ...

    def close(self) -> None: ...


class _Mapped:
    """A whole block as memory; views of it outlive `close`."""

    def __init__(self, content: Any) -> None:
        self._view = memoryview(content)

    def read(self, offset: int, length: int) -> memoryview:
        return self._view[offset : offset + length]

    def close(self) -> None:
        self._view = memoryview(b"")


class _Open:
    """A file; owns its descriptor. What is read is a copy that may be written to."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, offset: int, length: int) -> memoryview:
        data = bytearray(length)
        view = memoryview(data)
        done = 0
        while done < length and (got := os.preadv(self._descriptor, [view[done:]], offset + done)):
            done += got
        return view[:done]

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Block:
    """A block that is open for reading. `path` is for messages; `size` in bytes. Raises BlockCorrupt where its index is wrong."""

    def __init__(self, source: _Source, size: int, path: str, identity: tuple[Any, ...] | None = None) -> None:
        self.path = path
        self.size = size
        self._source = source
        self._identity = identity
        head = bytes(source.read(0, _HEADER.size))
        if len(head) != _HEADER.size or head[:8] != MAGIC or zlib.crc32(head[:_HEADER_CHECKED]).to_bytes(4, "little") != head[-4:]:
            raise BlockCorrupt(path, "it has no header: truncated, or of another format")
        _, at, length, self.records, self.compute_s, crc, _ = _HEADER.unpack(head)
        index = source.read(at, length) if at + length <= size else memoryview(b"")
        if len(index) != length or zlib.crc32(index) != crc:
            raise BlockCorrupt(path, "its index has a wrong checksum")
        self._index: list[tuple[int, int, int, int]] = list(_SECTION.iter_unpack(index))

    def batches(self) -> Iterator[list[Any]]:
        """The records, list by list. Raises BlockCorrupt at the first that is not what was written."""
        buffers: list[memoryview] = []
        checked = self._identity is not None and _verified.get(self.path) == self._identity
        for offset, length, crc, count in self._index:
            data = self._source.read(offset, length)
            # Buffers are not opened, just looked at: once in a process is enough for a file that has not changed since.
            if count != _BUFFER or not checked:
                self._compare(data, length, crc, offset)
            if count == _BUFFER:
                buffers.append(data)
            else:
                yield load(data, buffers)
                buffers = []
        self._remember()

    def verify(self) -> None:
        """Look at every checksum and open nothing. Raises BlockCorrupt."""
        for offset, length, crc, _ in self._index:
            found = 0
            for at in range(offset, offset + length, _WINDOW):
                found = zlib.crc32(self._source.read(at, min(_WINDOW, offset + length - at)), found)
            if found != crc:
                raise BlockCorrupt(self.path, f"wrong checksum at {offset:,}")

    def close(self) -> None:
        self._source.close()

    def _compare(self, data: memoryview, length: int, crc: int, offset: int) -> None:
        if len(data) != length:
            raise BlockCorrupt(self.path, f"it is truncated: {len(data):,} of {length:,} bytes at {offset:,}")
        if zlib.crc32(data) != crc:
            raise BlockCorrupt(self.path, f"wrong checksum at {offset:,}")

    def _remember(self) -> None:
        if self._identity is not None:
            _verified[self.path] = self._identity
            if len(_verified) > _MAX_VERIFIED:
                _verified.popitem(last=False)


_verified: OrderedDict[str, tuple[Any, ...]] = OrderedDict()
"""Mapped files whose checksums this process has compared: which file it was, and when it was last changed."""
_MAX_VERIFIED = 4096


def open_mapped(path: str) -> Block:
    """A block in shared memory. Raises OSError, BlockCorrupt."""
    descriptor = open_regular(path)
    try:
        status = os.fstat(descriptor)
        if status.st_size < HEADER_BYTES:
            raise BlockCorrupt(path, "it is truncated")
        content = mmap.mmap(descriptor, status.st_size, access=mmap.ACCESS_COPY)
    finally:
        os.close(descriptor)
    identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return Block(_Mapped(content), status.st_size, path, identity)


def open_file(path: str) -> Block:
    """A block on disk. Raises OSError, BlockCorrupt."""
    return block_in_file(open_regular(path), path)


def block_in_file(descriptor: int, path: str) -> Block:
    """A block in an open file, whose descriptor it takes over. Raises OSError, BlockCorrupt."""
    try:
        return Block(_Open(descriptor), os.fstat(descriptor).st_size, path)
    except BaseException:
        os.close(descriptor)
        raise


def block_in_memory(content: bytearray, path: str) -> Block:
    """A block that was received. Raises BlockCorrupt."""
    return Block(_Mapped(content), len(content), path)
