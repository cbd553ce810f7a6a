"""What a native map task leaves: a shuffle file (quiver_proto.blocks) whose batches have typed columns."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from typing import Any

from quiver_executor.arrow_output import ArrowOutput
from quiver_executor.disk import explained
from quiver_executor.kernel_memory import output_bytes
from quiver_executor.shuffle_files import ClaimingFile, checksum, create
from quiver_executor.task import Task
from quiver_executor.views import plain_schema
from quiver_proto import blocks
from quiver_proto.blocks import IndexEntry

_BATCH_BYTES = 1 << 20
"""Small batches of a piece are put together to about this size: each costs its reader some microseconds a column."""
_SINGLE_BYTES = 16 << 20
"""So much is held of a map output of one piece."""
_MOST_BYTES = 8 << 20
"""Of a batch, unless one row is larger: who reads it holds all of it."""
_LARGE_BYTES = 128 << 10
"""From this on, copying a batch costs more than reading one more."""


class Pieces:
    """Batches on their way into the pieces of one map output.

    Beyond a part of the slot's memory they go to disk: those of a single piece to the output itself, others to runs that are put together
    at the end. `most_rows`: of a batch, which its readers take as it is (0: any).
    """

    def __init__(self, task: Task, schema: Any, width: int, shuffle_id: int, most_rows: int = 0) -> None:
        self.records = 0
        self._most_rows = most_rows
        self._task = task
        self._schema = schema
        self._width = width
        self._path = blocks.map_output_path(task.env.blocks_dir, shuffle_id, task.partition, task.task_id)
        self._held: list[list[Any]] = [[] for _ in range(width)]
        self._rows = [0] * width
        self._held_bytes = 0
        self._limit = output_bytes(task.env.memory_bytes)
        if width == 1:
            self._limit = min(self._limit, _SINGLE_BYTES)
        self._runs: list[Run] = []
        self._output: _Output | None = None

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
            if self._width == 1:
                self._opened().write(self._batches(0))
                self._held_bytes = 0
            else:
                self._spill()

    def commit(self) -> tuple[str, bytes, int]:
        """Write the file: (path, sizes as array('Q') bytes, bytes written). Leaves nothing when it raises QuotaExceeded, DiskFull."""
        output = self._opened()
        try:
            for piece in range(self._width):
                output.write(self._batches(piece))
                output.end_piece(self._rows[piece])
            entries, written = output.finish()
        except BaseException:
            output.close()
            raise
        self.records = sum(self._rows)
        return self._path, array("Q", [entry.length for entry in entries]).tobytes(), written

    def _opened(self) -> _Output:
        if self._output is None:
            self._output = _Output(self._task, self._path, self._schema, self._most_rows)
        return self._output

    def _batches(self, piece: int) -> Iterator[Any]:
        for run in self._runs:
            yield from run.batches(piece)
        yield from self._held[piece]
        self._held[piece] = []

    def _spill(self) -> None:
        self._runs.append(Run(self._task, self._schema, self._held))
        self._held = [[] for _ in range(self._width)]
        self._held_bytes = 0


class _Output(ArrowOutput):
    """A map output while it is written, piece by piece. It goes with its task unless it is finished."""

    def __init__(self, task: Task, path: str, schema: Any, most_rows: int) -> None:
        import pyarrow as pa

        super().__init__(task, path)
        task.closers.append(self)
        self._most_rows = most_rows
        self._divides = plain_schema(schema).equals(schema)  # Each part of a batch of views would have all of its bytes.
        self._ranges: list[tuple[int, int, int]] = []
        self._start = 8 + len(schema.serialize())
        self._writer = pa.ipc.new_file(self._sink, schema, options=blocks.write_options())

    def write(self, batches: Iterator[Any]) -> None:
        """More batches of the piece. Raises QuotaExceeded, DiskFull."""
        with explained(self._task.env, self._path):
            for batch in _coalesced(batches):
                rows = self._most_rows or batch.num_rows
                if self._divides and batch.nbytes > _MOST_BYTES:
                    rows = max(1, min(rows, batch.num_rows * _MOST_BYTES // batch.nbytes))
                for start in range(0, batch.num_rows, rows):
                    self._writer.write_batch(batch.slice(start, rows))

    def end_piece(self, rows: int) -> None:
        # Before the first batch the writer has written nothing, not even the schema.
        stop = max(self._start, self._sink.tell())
        self._ranges.append((self._start, stop, rows))
        self._start = stop

    def finish(self) -> tuple[list[IndexEntry], int]:
        """Where the pieces are, and how large the file is, which has its name now. Raises QuotaExceeded, DiskFull."""
        with explained(self._task.env, self._path):
            index_at = self._sink.tell()
            footer_at = index_at + blocks.index_size(len(self._ranges), footer=True)
            self._sink.write(bytes(footer_at - index_at))
            self._writer.close()
            self._sink.close()
            entries = [
                IndexEntry(start, stop - start, rows, checksum(self._descriptor, start, stop)) if rows else IndexEntry(0, 0, 0, 0)
                for start, stop, rows in self._ranges
            ]
            size = os.fstat(self._descriptor).st_size
            footer = IndexEntry(footer_at, size - footer_at, 0, checksum(self._descriptor, footer_at, size))
            index = blocks.pack_index(entries, footer)
            written = 0
            while written < len(index):
                written += os.pwrite(self._descriptor, index[written:], index_at + written)
            self._put_in_place()
        return entries, size


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
