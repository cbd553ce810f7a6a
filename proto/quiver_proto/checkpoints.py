"""Checkpoint files: records as frames, and a digest by which a reader knows them again.

    frames            one after another (quiver_proto.frames)
    index             40 bytes a frame: its length (8, little-endian) and its SHA-256

A checkpoint's directory may be writable by others, and frames are pickles. So the task that wrote a file tells the driver the SHA-256
of its index, the driver keeps it in the lineage, and each reading task is given it with its split. A frame is unpickled only after the
index has been checked against that digest, and the very bytes of the frame against the index: what this application did not write is
never opened. No key is needed, so none has to be given to processes that run users' code. Another application can't read the files.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from typing import IO, Any

from quiver_proto.errors import CheckpointUnreadable
from quiver_proto.frames import dump_records, load

_ENTRY = struct.Struct("<Q32s")


def write_records(file: IO[bytes], batches: Iterable[list[Any]]) -> tuple[int, int, bytes]:
    """Write all batches; returns (bytes of frames, how many frames, digest). Raises what pickling and writing raise."""
    size = 0
    index = bytearray()
    for batch in batches:
        frame = dump_records(batch)
        file.write(frame)
        size += len(frame)
        index += _ENTRY.pack(len(frame), hashlib.sha256(frame).digest())
    file.write(index)
    return size, len(index) // _ENTRY.size, hashlib.sha256(index).digest()


def read_records(file: IO[bytes], path: str, size: int, frames: int, digest: bytes) -> Iterator[list[Any]]:
    """The batches of a file that can seek, as `write_records` wrote them. Raises CheckpointUnreadable before anything foreign is opened."""
    file.seek(size)
    index = _read(file, path, frames * _ENTRY.size)
    if hashlib.sha256(index).digest() != digest:
        raise CheckpointUnreadable(path, "it is not the file that this application wrote")
    file.seek(0)
    for length, checksum in _ENTRY.iter_unpack(index):
        frame = _read(file, path, length)
        if hashlib.sha256(frame).digest() != checksum:
            raise CheckpointUnreadable(path, "its content was changed, or damaged, since it was written")
        yield load(frame)


def _read(file: IO[bytes], path: str, size: int) -> bytes:
    parts: list[bytes] = []
    left = size
    while left:
        part = file.read(left)
        if not part:
            raise CheckpointUnreadable(path, f"it ends {left:,} bytes too soon")
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
