"""What a native map task leaves: a shuffle file (quiver_proto.blocks) whose batches have typed columns."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from typing import Any

from quiver_executor.disk import explained, remove_quietly
from quiver_executor.kernel_memory import output_bytes
from quiver_executor.shuffle_files import WINDOW, ClaimingFile, checksum, create
from quiver_executor.task import Task
from quiver_proto import blocks
from quiver_proto.blocks import IndexEntry

_BATCH_BYTES = 1 << 20
"""Small batches of a piece are put together to about this size: each costs its reader some microseconds a column."""
_LARGE_BYTES = 128 << 10
"""From this on, copying a batch costs more than reading one more."""


class Pieces:
    """Batches on their way into the pieces of one map output. Beyond a part of the slot's memory they go to disk."""

    def __init__(self, task: Task, schema: Any, width: int) -> None:
        self.records = 0
        self._task = task
        self._schema = schema
        self._width = width
        self._held: list[list[Any]] = [[] for _ in range(width)]
        self._rows = [0] * width
        self._held_bytes = 0
        self._limit = output_bytes(task.env.memory_bytes)
        self._runs: list[Run] = []

    def add(self, piece: int, batch: Any) -> None:
        """Raises QuotaExceeded, DiskFull."""
        import pyarrow as pa

        if not batch.num_rows:
            return
        # The schema says that all may be null: which columns can't be, the kernel did not tell.
        # (Of rows without columns, how many there are would be lost.)
        if batch.num_columns:
            batch = pa.RecordBatch.from_arrays(batch.columns, schema=self._schema)
        self._held[piece].append(batch)
        self._rows[piece] += batch.num_rows
        self._held_bytes += batch.get_total_buffer_size()
        if self._held_bytes > self._limit:
            self._spill()

    def commit(self, shuffle_id: int) -> tuple[str, bytes, int]:
        """Write the file: (path, sizes as array('Q') bytes, bytes written). Leaves nothing when it raises QuotaExceeded, DiskFull."""
        task = self._task
        path = blocks.map_output_path(task.env.blocks_dir, shuffle_id, task.partition, task.task_id)
        unfinished = f"{path}.tmp"
        try:
            with explained(task.env, path):
                descriptor = create(unfinished)
                try:
                    entries = self._write(descriptor)
                    written = os.fstat(descriptor).st_size
                finally:
                    os.close(descriptor)
                os.rename(unfinished, path)
        except BaseException:
            remove_quietly(unfinished)
            raise
        self.records = sum(self._rows)
        return path, array("Q", [entry.length for entry in entries]).tobytes(), written

    def _write(self, descriptor: int) -> list[IndexEntry]:
        import pyarrow as pa

        file = ClaimingFile(self._task.env, descriptor)
        sink = pa.BufferedOutputStream(pa.PythonFile(file, "w"), WINDOW)
        ranges: list[tuple[int, int]] = []
        try:
            with pa.ipc.new_file(sink, self._schema, options=blocks.write_options()) as writer:
                start = 8 + len(self._schema.serialize())
                for piece in range(self._width):
                    for batch in _coalesced(self._batches(piece)):
                        writer.write_batch(batch)
                    # Before the first batch the writer has written nothing, not even the schema.
                    stop = max(start, sink.tell())
                    ranges.append((start, stop))
                    start = stop
                index_at = sink.tell()
                sink.write(bytes(blocks.index_size(self._width)))
        except BaseException:
            file.discards = True
            raise
        finally:
            sink.close()
        entries = [
            IndexEntry(start, stop - start, rows, checksum(descriptor, start, stop)) if rows else IndexEntry(0, 0, 0, 0)
            for (start, stop), rows in zip(ranges, self._rows, strict=True)
        ]
        index = blocks.pack_index(entries)
        written = 0
        while written < len(index):
            written += os.pwrite(descriptor, index[written:], index_at + written)
        return entries

    def _batches(self, piece: int) -> Iterator[Any]:
        for run in self._runs:
            yield from run.batches(piece)
        yield from self._held[piece]
        self._held[piece] = []

    def _spill(self) -> None:
        self._runs.append(Run(self._task, self._schema, self._held))
        self._held = [[] for _ in range(self._width)]
        self._held_bytes = 0


class Run:
    """Batches of all pieces in a file without a name, which goes with its task."""

    def __init__(self, task: Task, schema: Any, held: list[list[Any]]) -> None:
        import pyarrow as pa

        path = os.path.join(task.scratch_directory(), f"run-{os.getpid()}-{task.task_id}-{id(self):x}")
        with explained(task.env, path):
            self._descriptor = create(path)
        os.unlink(path)
        task.closers.append(self)
        self._first: list[int] = [0]
        sink = pa.PythonFile(ClaimingFile(task.env, self._descriptor), "w")
        with explained(task.env, path), pa.ipc.new_file(sink, schema, options=blocks.write_options()) as writer:
            for batches in held:
                count = 0
                for batch in _coalesced(iter(batches)):
                    writer.write_batch(batch)
                    count += 1
                self._first.append(self._first[-1] + count)
        task.spilled += os.fstat(self._descriptor).st_size
        self._reader = pa.ipc.open_file(pa.OSFile(f"/proc/self/fd/{self._descriptor}"))

    def batches(self, piece: int) -> Iterator[Any]:
        for number in range(self._first[piece], self._first[piece + 1]):
            yield self._reader.get_batch(number)

    def close(self) -> None:
        os.close(self._descriptor)


def _coalesced(batches: Iterator[Any]) -> Iterator[Any]:
    import pyarrow as pa

    held: list[Any] = []
    size = 0
    for batch in batches:
        bytes_of_it = batch.nbytes
        if not held and bytes_of_it >= _LARGE_BYTES:
            yield batch
            continue
        held.append(batch)
        size += bytes_of_it
        if size >= _BATCH_BYTES:
            yield pa.concat_batches(held) if len(held) > 1 else held[0]
            held, size = [], 0
    if held:
        yield pa.concat_batches(held) if len(held) > 1 else held[0]
