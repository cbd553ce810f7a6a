"""The files that saveAsPickleFile writes: batches of records, pickled and signed.

    header   b"quiver pickles 1\\n", a file id (16 random bytes)
    block    length of the frame (4 bytes, little endian), the frame (quiver_proto.frames), its signature (32 bytes)
    end      length 0, number of records (8 bytes), signature

A signature is an HMAC-SHA256 over the file's id, the block's number and what the block holds, so that no block can be changed,
moved, left out or taken from another file. A block is opened only after its signature was found right, unless the reader trusts
the file.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from quiver_proto.errors import PathUnreadable, UntrustedPickle
from quiver_proto.frames import dump_records, load

MAGIC = b"quiver pickles 1\n"
_ID_BYTES = 16
_SIGNATURE_BYTES = 32
_LENGTH = struct.Struct("<I")
_COUNT = struct.Struct("<Q")
LARGEST = (1 << 31) - 1
"""Bytes in a frame: what a damaged length may at most make a reader ask for."""


def signature(key: bytes, file_id: bytes, number: int, content: bytes) -> bytes:
    return hmac.digest(key, file_id + _COUNT.pack(number) + content, hashlib.sha256)


def write(write: Callable[[bytes], object], batches: Iterable[list[Any]], key: bytes) -> int:
    """The whole file; how many records it holds. Raises what pickling raises, ValueError for a batch beyond 2 GiB."""
    file_id = os.urandom(_ID_BYTES)
    write(MAGIC + file_id)
    number = count = 0
    for batch in batches:
        frame = dump_records(batch)
        if len(frame) > LARGEST:
            raise ValueError(f"a batch of {len(batch)} records has {len(frame):,} bytes when pickled, and can have {LARGEST:,}")
        write(b"".join((_LENGTH.pack(len(frame)), frame, signature(key, file_id, number, frame))))
        number += 1
        count += len(batch)
    total = _COUNT.pack(count)
    write(_LENGTH.pack(0) + total + signature(key, file_id, number, total))
    return count


def read(path: str, read: Callable[[int], bytes], key: bytes, trusted: bool) -> Iterator[list[Any]]:
    """The batches. `read(n)` gives n bytes, fewer only at the file's end.

    Raises UntrustedPickle before anything of a block that `key` did not sign is opened, unless `trusted`; PathUnreadable for
    what is no such file or is cut short.
    """
    if read(len(MAGIC)) != MAGIC:
        raise PathUnreadable(path, "it was not written by saveAsPickleFile of Quiver (Spark's own pickle files are sequence files)")
    file_id = _exactly(path, read, _ID_BYTES)
    number = count = 0
    while True:
        (length,) = _LENGTH.unpack(_exactly(path, read, _LENGTH.size))
        if length > LARGEST:
            raise PathUnreadable(path, "it is damaged: a block's length is impossible")
        content = _exactly(path, read, length or _COUNT.size)
        signed = _exactly(path, read, _SIGNATURE_BYTES)
        if not trusted and not hmac.compare_digest(signed, signature(key, file_id, number, content)):
            raise UntrustedPickle(
                path, "it was not signed with your key, or was changed since" if not number else "it was changed since it was signed"
            )
        if not length:
            if _COUNT.unpack(content)[0] != count:
                raise PathUnreadable(path, f"it is damaged: {count:,} records instead of {_COUNT.unpack(content)[0]:,}")
            return
        batch: list[Any] = load(content)
        yield batch
        number += 1
        count += len(batch)


def _exactly(path: str, read: Callable[[int], bytes], size: int) -> bytes:
    data = read(size)
    if len(data) != size:
        raise PathUnreadable(path, "it is cut short")
    return data
