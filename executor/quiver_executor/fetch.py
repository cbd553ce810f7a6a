"""A reduce partition's pieces, in map order: from this machine's disks, or streamed from other nodes' block servers.

From each node elsewhere comes one stream with all its pieces, read as they are needed: what is in flight is bounded by the stream's window,
not by the size of the shuffle. Whatever is wrong with a piece becomes FetchFailed, so that exactly that map output is made again.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import Any

from quiver_executor.disk import claim, explained
from quiver_executor.neighbours import lies_here
from quiver_executor.shuffle_files import WHOLE_PIECE, Window, batches_in, read_piece, verify
from quiver_executor.task import Task
from quiver_proto import blocks
from quiver_proto.block_client import DATA, END, ENTRY, Piece, Row, client_for
from quiver_proto.blocks import IndexEntry
from quiver_proto.errors import AuthenticationFailed, BlockCorrupt, ConnectionFailed, FetchFailed
from quiver_proto.frames import load_batch
from quiver_proto.messages import MapOutputTable


def shuffle_batches(task: Task, shuffle_id: int, partition: int, load: Callable[[Any], Any] = load_batch) -> Iterator[Any]:
    """Batches of one reduce partition, as `load` opens them: lists of records or Columns. Raises FetchFailed, AuthenticationFailed."""
    table = task.inputs[shuffle_id]
    streams = open_streams(task, table, range(partition, partition + 1))
    for row, node in enumerate(table.node_ids):
        path = table.paths[row]
        try:
            here = lies_here(task.env, node, path)
            if here:
                found = read_piece(path, partition)
            else:
                begun = time.perf_counter()
                found = streams[node].next_piece(path)
                task.fetch_wait_s += time.perf_counter() - begun
        except (OSError, BlockCorrupt, ConnectionFailed) as error:
            if isinstance(error, AuthenticationFailed):
                raise
            raise failed_row(table, row, str(error)) from None
        if found is None:
            continue
        entry, source = found
        task.read_records += entry.records
        if here:
            task.read_local += entry.length
        else:
            task.read_remote += entry.length
        yield from batches_in(source, load)


def failed_row(table: MapOutputTable, row: int, problem: str) -> FetchFailed:
    """The error that has exactly this map output made again."""
    return FetchFailed(table.shuffle_id, table.map_indexes[row], table.task_ids[row], table.node_ids[row], problem)


def open_streams(task: Task, table: MapOutputTable, partitions: range, head: bytes | None = None) -> dict[str, NodeStream]:
    """A stream of pieces for each node elsewhere that has some: of each output these `partitions`, one after the other.

    `head`: the schema message to put before them (default: that of frames).
    """
    pieces: dict[str, list[Piece]] = {}
    for node, path in zip(table.node_ids, table.paths):
        if not lies_here(task.env, node, path):
            pieces.setdefault(node, []).extend(Piece(path, partition) for partition in partitions)
    streams = {}
    for node, wanted in pieces.items():
        streams[node] = stream = NodeStream(task, task.servers.get(node, ""), wanted, head)
        task.closers.append(stream)
    return streams


class NodeStream:
    """The pieces that another node has, in the order asked for."""

    def __init__(self, task: Task, address: str, pieces: list[Piece], head: bytes | None = None) -> None:
        self._task = task
        self._head = blocks.schema_message() if head is None else head
        self._rows: Generator[Row, None, None] | None = None
        if address:
            self._rows = client_for(address, task.env.token, task.env.tls_ca).read(pieces)

    def next_piece(self, path: str) -> tuple[IndexEntry, Any] | None:
        """As shuffle_files.read_piece. Raises BlockCorrupt, ConnectionFailed, AuthenticationFailed, QuotaExceeded, DiskFull."""
        if self._rows is None:
            raise ConnectionFailed("the address of its block server is not known")
        rows = self._rows
        entry: IndexEntry | None = None
        parts: list[bytes] = []
        spool: _Spool | None = None
        for _, kind, data in rows:
            if kind == ENTRY:
                entry = blocks.unpack_entry(data, path)
                if entry.length > WHOLE_PIECE:
                    spool = _Spool(self._task, entry)
            elif kind == DATA:
                if spool is None:
                    parts.append(data)
                else:
                    spool.append(data)
            elif kind == END and entry is not None:
                if entry.length == 0:
                    return None
                if spool is not None:
                    return entry, spool.finished(path, self._head)
                whole = b"".join(parts)
                verify(path, entry, whole)
                return entry, blocks.openable(whole, self._head)
            else:
                raise BlockCorrupt(path, data.decode(errors="replace"))
        raise BlockCorrupt(path, "its block server sent nothing of it")

    def close(self) -> None:
        if self._rows is not None:
            self._rows.close()


class _Spool:
    """A piece too large to hold, on its way through this slot's scratch directory. The file has no name."""

    def __init__(self, task: Task, entry: IndexEntry) -> None:
        self._task = task
        self._entry = entry
        self._path = os.path.join(task.scratch_directory(), f"fetch-{os.getpid()}-{task.task_id}-{id(self):x}")
        with explained(task.env, self._path):
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.unlink(self._path)
        self._size = 0
        self._crc = 0
        task.closers.append(self)

    def append(self, data: bytes) -> None:
        """Raises QuotaExceeded, DiskFull."""
        claim(self._task.env, len(data))
        self._crc = zlib.crc32(data, self._crc)
        with explained(self._task.env, self._path):
            view = memoryview(data)
            while view:
                written = os.write(self._descriptor, view)
                self._size += written
                view = view[written:]

    def finished(self, path: str, head: bytes) -> Window:
        if self._size != self._entry.length or self._crc != self._entry.crc:
            raise BlockCorrupt(path, f"wrong checksum of {self._size:,} bytes")
        descriptor, self._descriptor = self._descriptor, -1
        return Window(descriptor, 0, self._size, head)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
