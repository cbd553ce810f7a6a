"""A broadcast value as a file that can be mapped, and sent in pieces.

    HEADER      magic, bytes of the pickle, number of buffers
    ENTRY ...   one a buffer: where it begins in the file, how many bytes it has
    pickle      protocol 5; the buffers of numpy arrays, Arrow tables and the like lie outside
    buffers     each at a multiple of ALIGNMENT
    presence    one byte a piece of PIECE_BYTES of all above: 1 where the piece is there and its CRC-32 was right

The writer's file is whole from the start. A node's copy has its full length from the start, too, and its pieces come in any order:
data and presence are one file, so whoever holds it open sees what belongs together, also when it has been deleted.
"""

from __future__ import annotations

import mmap
import os
import pickle
import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

from quiver_proto.broadcast import without_collector
from quiver_proto.errors import BlockCorrupt

MAGIC = b"\x89QVBCST\x01"
"""The last byte is the format's version."""
HEADER = struct.Struct("<8sQQ")
ENTRY = struct.Struct("<QQ")
ALIGNMENT = 64
PIECE_BYTES = 4 << 20
PROTOCOL = 5
FOLDER = "broadcasts"
"""In the application's directory, on the driver's machine and on nodes."""


def file_path(directory: str, broadcast_id: int) -> str:
    """Of the value, or of a copy of it, in an application's directory."""
    return os.path.join(directory, FOLDER, str(broadcast_id))


def pieces_of(size: int, piece_bytes: int) -> int:
    return -(-size // piece_bytes)


def write(path: str, value: Any) -> tuple[int, bytes]:
    """Write a new file; its size without the presence bytes, and the CRC-32s of its pieces (array('I').tobytes()).

    Raises what pickling raises, and OSError; then no file stays.
    """
    pickled, buffers = _pickled(value)
    views = [buffer.raw() for buffer in buffers]
    head = HEADER.size + ENTRY.size * len(views) + len(pickled)
    entries, end = [], head
    for view in views:
        start = -(-end // ALIGNMENT) * ALIGNMENT
        entries.append((start, view.nbytes))
        end = start + view.nbytes
    index = HEADER.pack(MAGIC, len(pickled), len(views)) + b"".join(ENTRY.pack(*entry) for entry in entries)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        sums = _write(descriptor, _parts(index, pickled, views, entries))
        _write_all(descriptor, memoryview(b"\1" * len(sums)))
    except BaseException:
        os.unlink(path)
        raise
    finally:
        os.close(descriptor)
    return end, sums.tobytes()


def load(descriptor: int, size: int, path: str) -> Any:
    """The value in the first `size` bytes of a whole, checked file: its buffers are views of the mapping, which lives as long as they.

    Raises BlockCorrupt when it is no such file, OSError, and what unpickling raises.
    """
    view = memoryview(mmap.mmap(descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ))
    if size < HEADER.size:
        raise BlockCorrupt(path, "it is too short for a broadcast")
    magic, length, count = HEADER.unpack_from(view)
    start = HEADER.size + ENTRY.size * count
    if magic != MAGIC or start + length > size:
        raise BlockCorrupt(path, "it is no broadcast, or of another format")
    buffers = []
    for i in range(count):
        offset, size_of = ENTRY.unpack_from(view, HEADER.size + ENTRY.size * i)
        if offset + size_of > size:
            raise BlockCorrupt(path, f"its buffer {i} ends behind its end")
        buffers.append(view[offset : offset + size_of])
    with without_collector():
        return pickle.loads(view[start : start + length], buffers=buffers)


def has_sums(descriptor: int, size: int, piece_bytes: int, checksums: bytes) -> bool:
    """Whether all pieces of the file are what `checksums` says."""
    sums = array("I", checksums)
    if len(sums) != pieces_of(size, piece_bytes):
        return False
    for i, expected in enumerate(sums):
        piece = os.pread(descriptor, min(piece_bytes, size - i * piece_bytes), i * piece_bytes)
        if zlib.crc32(piece) != expected:
            return False
    return True


def _pickled(value: Any) -> tuple[bytes | memoryview, list[pickle.PickleBuffer]]:
    buffers: list[pickle.PickleBuffer] = []
    out = BytesIO()
    try:
        pickle.Pickler(out, PROTOCOL, buffer_callback=buffers.append).dump(value)
        # A reference to __main__ means another module in another process.
        if b"__main__" not in out.getbuffer().tobytes():
            return out.getbuffer(), buffers
    except (pickle.PicklingError, AttributeError, TypeError):
        pass
    import cloudpickle

    buffers, out = [], BytesIO()
    cloudpickle.CloudPickler(out, PROTOCOL, buffer_callback=buffers.append).dump(value)
    return out.getbuffer(), buffers


def _parts(index: bytes, pickled: bytes | memoryview, views: list[memoryview], entries: list[tuple[int, int]]) -> Iterator[memoryview]:
    yield memoryview(index)
    yield memoryview(pickled)
    at = len(index) + len(pickled)
    for view, (start, length) in zip(views, entries, strict=True):
        yield memoryview(bytes(start - at))
        yield view
        at = start + length


def _write(descriptor: int, parts: Iterable[memoryview]) -> array[int]:
    """Write all; the checksums of the pieces."""
    sums = array("I")
    crc, room = 0, PIECE_BYTES
    for view in parts:
        while view:
            piece = view[:room]
            crc = zlib.crc32(piece, crc)
            _write_all(descriptor, piece)
            view = view[len(piece) :]
            room -= len(piece)
            if not room:
                sums.append(crc)
                crc, room = 0, PIECE_BYTES
    if room < PIECE_BYTES:
        sums.append(crc)
    return sums


def _write_all(descriptor: int, view: memoryview) -> None:
    while view:
        view = view[os.write(descriptor, view) :]
