"""Exchanges of a fragment become files: pieces of map outputs on this machine where they lie, those on others fetched."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from quiver_executor.disk import explained, remove_quietly
from quiver_executor.fetch import NodeStream, failed_row, open_streams
from quiver_executor.neighbours import lies_here
from quiver_executor.shuffle_files import ClaimingFile, Window, checksum, create, index_of, open_regular
from quiver_executor.task import Task
from quiver_proto import blocks
from quiver_proto.errors import AuthenticationFailed, BlockCorrupt, ConnectionFailed
from quiver_proto.fragments import Exchange, exchange_of, scans
from quiver_proto.messages import MapOutputTable
from quiver_proto.v1.kernel_pb2 import FileGroup, FileRange, PartitionedFile, Plan


def resolve(task: Task, fragment: Plan, schemas: Sequence[tuple[int, bytes]]) -> None:
    """Put files in place of the exchanges of `fragment`, which is about to run. `schemas`: the schema message of each shuffle's rows.

    Every piece is verified. Raises FetchFailed, AuthenticationFailed, QuotaExceeded, DiskFull.
    """
    heads = dict(schemas)
    for scan in scans(fragment):
        for group in scan.base_conf.file_groups:
            exchange = exchange_of(group)
            if exchange is not None:
                _fill(task, group, exchange, heads[exchange.shuffle_id])


def _fill(task: Task, group: FileGroup, exchange: Exchange, head: bytes) -> None:
    del group.files[:]
    table = task.inputs[exchange.shuffle_id]
    pieces = range(1) if exchange.by_map else range(exchange.number, exchange.number + exchange.many)
    if exchange.by_map:
        maps = range(exchange.number, exchange.number + exchange.many)
    else:
        maps = range(1 << 62) if exchange.maps is None else range(exchange.maps[0], sum(exchange.maps))
    # In the order of the map tasks, whichever ended first: a limit takes the same rows each time.
    rows = sorted((row for row, index in enumerate(table.map_indexes) if index in maps), key=table.map_indexes.__getitem__)
    wanted = MapOutputTable(
        table.shuffle_id,
        table.width,
        [table.map_indexes[row] for row in rows],
        [table.task_ids[row] for row in rows],
        [table.node_ids[row] for row in rows],
        [table.paths[row] for row in rows],
    )
    streams = open_streams(task, wanted, pieces, head)
    for row, (node, path) in enumerate(zip(wanted.node_ids, wanted.paths, strict=True)):
        try:
            if lies_here(task.env, node, path):
                group.files.extend(_local(task, path, pieces, passing=node != task.env.node_id))
            else:
                group.files.extend(file for _ in pieces if (file := _fetched(task, streams[node], path, head)) is not None)
        except (OSError, BlockCorrupt, ConnectionFailed) as error:
            if isinstance(error, AuthenticationFailed):
                raise
            raise failed_row(wanted, row, str(error)) from None


def _local(task: Task, path: str, pieces: range, passing: bool) -> list[PartitionedFile]:
    """The file with the range of these pieces, which follow one another; nothing where all are empty.

    `passing`: another node's, which may go while the kernel reads it.
    """
    descriptor = open_regular(path)
    try:
        index = index_of(path, descriptor)
        entries = [entry for piece in pieces if (entry := blocks.unpack_entry(index.raw_entry(descriptor, piece), path)).length]
        if not entries:
            return []
        size = os.fstat(descriptor).st_size
        for entry in entries:
            if size < entry.offset + entry.length:
                raise BlockCorrupt(path, "it is truncated")
            if checksum(descriptor, entry.offset, entry.offset + entry.length) != entry.crc:
                raise BlockCorrupt(path, "wrong checksum")
            task.read_records += entry.records
            task.read_local += entry.length
    finally:
        os.close(descriptor)
    # The kernel reads the batches that begin in the range.
    read = FileRange(start=entries[0].offset, end=entries[-1].offset + entries[-1].length)
    return [PartitionedFile(path=(_linked(task, path) if passing else path).lstrip("/"), size=size, range=read)]


def _linked(task: Task, path: str) -> str:
    """The file by a name of this task's own, by which it stays; by its own where that one is on another file system."""
    link = _Scratch(task)
    try:
        os.link(path, link.path)
    except FileNotFoundError:
        raise
    except OSError:
        return path
    task.closers.append(link)
    return link.path


def _fetched(task: Task, stream: NodeStream, path: str, head: bytes) -> PartitionedFile | None:
    """The piece as a file of its own in the task's scratch directory."""
    import pyarrow as pa

    begun = time.perf_counter()
    found = stream.next_piece(path)
    task.fetch_wait_s += time.perf_counter() - begun
    if found is None:
        return None
    entry, source = found
    task.read_records += entry.records
    task.read_remote += entry.length
    kept = _ScratchFile(task)
    try:
        reader = pa.ipc.open_stream(source)
        with explained(task.env, kept.path), pa.ipc.new_file(kept.sink(), reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
    finally:
        if isinstance(source, Window):
            source.close()
    return PartitionedFile(path=kept.path.lstrip("/"), size=os.path.getsize(kept.path))


class _Scratch:
    """A name in the task's scratch directory, for what the kernel opens by one."""

    def __init__(self, task: Task) -> None:
        self.path = os.path.join(task.scratch_directory(), f"piece-{os.getpid()}-{task.task_id}-{id(self):x}.arrow")

    def close(self) -> None:
        remove_quietly(self.path)


class _ScratchFile(_Scratch):
    """Goes with its task."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._env = task.env
        self._descriptor = create(self.path)
        task.closers.append(self)

    def sink(self) -> Any:
        import pyarrow as pa

        return pa.PythonFile(ClaimingFile(self._env, self._descriptor), "w")

    def close(self) -> None:
        os.close(self._descriptor)
        super().close()
