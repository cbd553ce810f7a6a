"""Exchanges of a fragment become files: pieces of map outputs on this machine where they lie, those on others fetched."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from quiver_executor.disk import explained, remove_quietly
from quiver_executor.fetch import NodeStream, failed_row, open_streams
from quiver_executor.neighbours import lies_here
from quiver_executor.shuffle_files import ClaimingFile, Window, checksum, create, index_of, open_regular
from quiver_executor.task import Task
from quiver_proto import blocks
from quiver_proto.blocks import IndexEntry
from quiver_proto.errors import AuthenticationFailed, BlockCorrupt, ConnectionFailed
from quiver_proto.fragments import Exchange, exchange_of, scans
from quiver_proto.messages import MapOutputTable
from quiver_proto.v1.kernel_pb2 import FileGroup, FileRange, PartitionedFile, Plan

_RANGE_BYTES = 2 << 20
"""Of a map output, compressed: so much is worth opening the file for once more."""


class LocalOutputs:
    """The map outputs on this machine that a fragment reads where they lie."""

    def __init__(self) -> None:
        self._read: list[tuple[MapOutputTable, int, range]] = []

    def add(self, task: Task, table: MapOutputTable, row: int, pieces: range, passing: bool) -> list[PartitionedFile]:
        """The file with the ranges of these pieces, which follow one another; nothing where all are empty. Raises OSError, BlockCorrupt.

        `passing`: another node's, which may go while the kernel reads it.
        """
        path = table.paths[row]
        entries, size = _verified(path, pieces)
        if not entries:
            return []
        self._read.append((table, row, pieces))
        for entry in entries:
            task.read_records += entry.records
            task.read_local += entry.length
        # A whole file the kernel reads batch by batch, as merges of runs need it.
        name = (_linked(task, path) if passing else path).lstrip("/")
        if len(pieces) == table.width:
            return [PartitionedFile(path=name, size=size)]
        ranges = _ranges(entries[0].offset, entries[-1].offset + entries[-1].length)
        return [PartitionedFile(path=name, size=size, range=each) for each in ranges]

    @contextlib.contextmanager
    def blaming(self) -> Iterator[None]:
        """Inside, where the kernel fails (its errors are of no type of their own, its panics of one that can't be imported) because one of
        them has been damaged since it was verified, FetchFailed is raised."""
        try:
            yield
        except BaseException as error:
            if type(error) is Exception or type(error).__module__.startswith("pyo3"):
                for table, row, pieces in self._read:
                    with _failing(table, row):
                        _verified(table.paths[row], pieces)
            raise


def resolve(task: Task, fragment: Plan, schemas: Sequence[tuple[int, bytes]]) -> LocalOutputs:
    """Put files in place of the exchanges of `fragment`, which is about to run. `schemas`: the schema message of each shuffle's rows.

    Every piece is verified. Raises FetchFailed, AuthenticationFailed, QuotaExceeded, DiskFull.
    """
    heads = dict(schemas)
    outputs = LocalOutputs()
    for scan in scans(fragment):
        for group in scan.base_conf.file_groups:
            exchange = exchange_of(group)
            if exchange is not None:
                _fill(task, group, exchange, heads[exchange.shuffle_id], outputs)
    return outputs


def _fill(task: Task, group: FileGroup, exchange: Exchange, head: bytes, outputs: LocalOutputs) -> None:
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
        with _failing(wanted, row):
            if lies_here(task.env, node, path):
                group.files.extend(outputs.add(task, wanted, row, pieces, passing=node != task.env.node_id))
            else:
                group.files.extend(file for _ in pieces if (file := _fetched(task, streams[node], path, head)) is not None)


def _ranges(start: int, stop: int) -> Iterator[FileRange]:
    """In parts, wherever they end: the kernel reads all batches that begin in a range at once, and nothing counts them."""
    for at in range(start, stop, _RANGE_BYTES):
        yield FileRange(start=at, end=min(stop, at + _RANGE_BYTES))


@contextlib.contextmanager
def _failing(table: MapOutputTable, row: int) -> Iterator[None]:
    """Inside, an output that can't be read is one that has to be made again: FetchFailed."""
    try:
        yield
    except AuthenticationFailed:
        raise
    except (OSError, BlockCorrupt, ConnectionFailed) as error:
        raise failed_row(table, row, str(error)) from None


def _verified(path: str, pieces: range) -> tuple[list[IndexEntry], int]:
    """Where those of the pieces lie that are not empty, and the file's size. Raises OSError, BlockCorrupt."""
    descriptor = open_regular(path)
    try:
        index = index_of(path, descriptor)
        entries = [entry for piece in pieces if (entry := blocks.unpack_entry(index.raw_entry(descriptor, piece), path)).length]
        size = os.fstat(descriptor).st_size
        if entries:
            footer = blocks.unpack_entry(index.raw_footer(descriptor), path)
            if size != footer.offset + footer.length:
                raise BlockCorrupt(path, "it is truncated")
            for entry in (footer, *entries):
                if checksum(descriptor, entry.offset, entry.offset + entry.length) != entry.crc:
                    raise BlockCorrupt(path, "wrong checksum")
        return entries, size
    finally:
        os.close(descriptor)


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
