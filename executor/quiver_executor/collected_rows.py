"""What a native task leaves for the driver: an Arrow stream with the rows of its partitions in order, without holding them all.

Small results are put together in memory. A larger one goes to its block file as it is made: the partition whose turn it is, batch by
batch; those after it, which run at the same time, are held, and go to scratch files when they are too much.
"""

from __future__ import annotations

import os
import time
from typing import Any

from quiver_executor.arrow_output import ArrowOutput
from quiver_executor.disk import explained
from quiver_executor.fragment_files import Run
from quiver_executor.kernel_memory import output_bytes
from quiver_executor.sinks import IN_MESSAGE, result_path
from quiver_executor.task import Task
from quiver_proto.ids import NodeId
from quiver_proto.messages import ResultBlock

_SMALL = 4 * IN_MESSAGE
"""Bytes up to which writing a file as rows come would only cost system calls."""


class CollectedRows:
    """Of `count` partitions. Ended by `finish` or `discard`."""

    def __init__(self, task: Task, count: int) -> None:
        self._task = task
        self._turn = 0
        self._ended = [False] * count
        self._held: list[list[Any]] = [[] for _ in range(count)]
        self._runs: list[Run] = []
        self._held_bytes = 0
        self._most = output_bytes(task.env.memory_bytes)
        self._schema: Any = None
        self._file: _ResultFile | None = None

    def add(self, number: int, batch: Any) -> None:
        """The next rows of a partition. Raises QuotaExceeded, DiskFull."""
        if self._schema is None:
            self._schema = batch.schema
        if not batch.num_rows:
            return
        if self._file is not None and number == self._turn:
            self._file.write(batch)
            return
        self._held[number].append(batch)
        self._held_bytes += batch.get_total_buffer_size()
        if self._file is None and self._held_bytes > _SMALL:
            self._file = _ResultFile(self._task, self._schema)
            self._catch_up()
        if self._held_bytes > self._most:
            self._runs.append(Run(self._task, self._schema, self._held))
            self._held = [[] for _ in self._held]
            self._held_bytes = 0

    def ended(self, number: int) -> None:
        """No more rows come of a partition. Raises QuotaExceeded, DiskFull."""
        self._ended[number] = True
        if self._file is not None:
            self._catch_up()

    def finish(self) -> bytes | ResultBlock:
        """The stream, or the file that has it. Raises QuotaExceeded, DiskFull."""
        begun = time.perf_counter()
        try:
            if self._file is not None:
                self._catch_up()
                return self._file.finish()
            return b"" if self._schema is None else self._in_memory()
        finally:
            self._task.serialize_s += time.perf_counter() - begun

    def discard(self) -> None:
        """It failed: nothing is left."""
        if self._file is not None:
            self._file.close()

    def _in_memory(self) -> bytes:
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._schema) as writer:
            for batches in self._held:
                for batch in batches:
                    writer.write_batch(batch)
        whole: bytes = sink.getvalue().to_pybytes()
        return whole

    def _catch_up(self) -> None:
        """Write what is held of the partition whose turn it is, and of those after it whose turn comes by that."""
        assert self._file is not None
        while self._turn < len(self._held):
            for batch in self._held[self._turn]:
                self._file.write(batch)
                self._held_bytes -= batch.get_total_buffer_size()
            self._held[self._turn] = []
            if not self._ended[self._turn]:
                return
            self._turn += 1
            if self._turn < len(self._held):
                for run in self._runs:
                    for batch in run.batches(self._turn):
                        self._file.write(batch)


class _ResultFile(ArrowOutput):
    def __init__(self, task: Task, schema: Any) -> None:
        import pyarrow as pa

        super().__init__(task, result_path(task))
        self._writer = pa.ipc.new_stream(self._sink, schema)

    def write(self, batch: Any) -> None:
        with explained(self._task.env, self._path):
            self._writer.write_batch(batch)

    def finish(self) -> ResultBlock:
        with explained(self._task.env, self._path):
            self._writer.close()
            self._sink.close()
            size = os.fstat(self._descriptor).st_size
            self._put_in_place()
        return ResultBlock(NodeId(self._task.env.node_id), self._path, size)
