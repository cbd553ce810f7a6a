"""A broadcast's bytes on their way from a client to the shared driver: pieces, each checked, written to the driver's own file."""

from __future__ import annotations

import errno
import os
import zlib
from array import array

from quiver_proto.broadcast_file import PIECE_BYTES, file_path, pieces_of
from quiver_proto.errors import DiskFull, MalformedMessage
from quiver_proto.host import this_machine
from quiver_proto.messages import BroadcastTable
from quiver_proto.sessions import SendBroadcast


def receive(directory: str, request: SendBroadcast) -> BroadcastTable | None:
    """Write one piece; the table once all are there. Sent again it is written again. Raises MalformedMessage, DiskFull, OSError."""
    count = pieces_of(request.size, PIECE_BYTES) if request.size > 0 else 0
    sums = array("I")
    if len(request.checksums) % sums.itemsize == 0:
        sums.frombytes(request.checksums)
    offset = request.piece * PIECE_BYTES
    if not 0 <= request.piece < count == len(sums) or len(request.data) != min(PIECE_BYTES, request.size - offset):
        raise MalformedMessage("piece of a broadcast", f"piece {request.piece} of {count} with {len(request.data)} bytes")
    if zlib.crc32(request.data) != sums[request.piece]:
        raise MalformedMessage("piece of a broadcast", f"piece {request.piece} has a wrong checksum")
    path = file_path(directory, request.broadcast_id)
    try:
        present = _write(path, request, offset, count)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(os.path.dirname(path), request.size, error.strerror or str(error)) from None
        raise
    if present.count(1) < count:
        return None
    return BroadcastTable(request.broadcast_id, path, this_machine(), request.size, PIECE_BYTES, request.checksums)


def _write(path: str, request: SendBroadcast, offset: int, count: int) -> bytes:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if os.fstat(descriptor).st_size != request.size + count:
            os.ftruncate(descriptor, request.size + count)
        view = memoryview(request.data)
        while view:
            written = os.pwrite(descriptor, view, offset)
            offset += written
            view = view[written:]
        os.pwrite(descriptor, b"\1", request.size + request.piece)
        return os.pread(descriptor, count, request.size)
    finally:
        os.close(descriptor)
