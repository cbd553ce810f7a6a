"""The files of one task's attempt: where they are, how they are called, and several of them made at the same time."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any, Protocol

from quiver_executor.disk import explained
from quiver_executor.file_formats import FileWriter, open_writer
from quiver_executor.task import Task
from quiver_proto import ops
from quiver_proto.committing import staging_directory, unwritable
from quiver_proto.errors import PathUnwritable
from quiver_proto.filesystems import LOCAL, filesystem_of
from quiver_proto.partition_paths import directory

Key = tuple[str | int, ...]
"""The texts of the columns that give directories, then the bucket's number when there are buckets."""
Written = tuple[str, str, int, int]
"""(staged path below the job's place, path below the directory, rows, bytes)"""


class Output(Protocol):
    def write(self, batches: list[Any]) -> None: ...

    def close(self) -> None: ...

    def abandon(self) -> None:
        """Let go of what was not closed. Never raises."""
        ...


class FilesAtOnce:
    """Each write is a file of its own, numbered in the order of the writes; `encoders` of them are made at the same time.

    A write waits while so many are on their way, so at most that many portions are held beside the one that is gathered. What fails in one
    is raised by a later write or by `close`.
    """

    def __init__(self, file: Callable[[int], Output], encoders: int) -> None:
        self._file = file
        self._threads = ThreadPoolExecutor(encoders, "encode")
        self._most = encoders
        self._running: deque[Future[None]] = deque()
        self._files: list[Output] = []

    def write(self, batches: list[Any]) -> None:
        while len(self._running) >= self._most:
            self._running.popleft().result()
        file = self._file(len(self._files))
        self._files.append(file)
        self._running.append(self._threads.submit(_written, file, batches))

    def close(self) -> None:
        while self._running:
            self._running.popleft().result()
        self._threads.shutdown()

    def abandon(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        for file in self._files:
            file.abandon()


def _written(file: Output, batches: list[Any]) -> None:
    file.write(batches)
    file.close()


class OutputFile:
    """What looks like one file, and goes on in the next one when it is large enough. Raises PathUnwritable, DiskFull."""

    def __init__(self, task: Task, sink: ops.FragmentSave, place: Place, number: int, key: Key, part: int) -> None:
        self._task = task
        self._sink = sink
        self._place = place
        self._number = number
        self._key = key
        self._part = part
        self._raw: IO[bytes] | None = None
        self._writer: FileWriter | None = None
        self._staged = ""
        self._rows = 0

    def write(self, batches: list[Any]) -> None:
        """Without batches: a file without rows."""
        import pyarrow as pa

        table = pa.Table.from_batches(batches, self._place.schema)
        most = self._sink.max_records
        start = 0
        while start < table.num_rows or (self._writer is None and not table.num_rows):
            if self._writer is None:
                self._begin()
            room = most - self._rows if most else table.num_rows
            portion = table.slice(start, room)
            assert self._writer is not None
            assert self._raw is not None
            with self._told():
                self._writer.write(portion)
                size = self._raw.tell()
            self._rows += portion.num_rows
            start += portion.num_rows
            if (most and self._rows >= most) or (self._sink.max_bytes and size >= self._sink.max_bytes):
                self.close()
            if not table.num_rows:
                break

    def close(self) -> None:
        if self._writer is None or self._raw is None:
            return
        with self._told():
            self._writer.close()
            size = self._raw.tell()
            self._raw.close()
        self._place.done(self._staged, self._final(), self._rows, size)
        self._writer = self._raw = None
        self._part += 1
        self._rows = 0

    def abandon(self) -> None:
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None
        if self._raw is not None:
            with contextlib.suppress(OSError, ValueError):
                self._raw.close()
            self._raw = None

    def _begin(self) -> None:
        self._staged = self._place.next_name()
        path = f"{self._place.directory}/{self._staged}"
        try:
            self._raw = self._place.system.open_output(path)
        except OSError as error:
            with explained(self._task.env, path, output=True):
                if error.errno is not None:
                    raise unwritable(path, error) from None
            raise
        with self._told():
            self._writer = open_writer(self._sink.format, self._place.schema, self._raw)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        path = f"{self._place.directory}/{self._staged}"
        try:
            with explained(self._task.env, path, output=True):
                yield
        except PathUnwritable:
            raise
        except OSError as error:
            if error.errno is None:
                raise
            raise unwritable(path, error) from None

    def _final(self) -> str:
        sink = self._sink
        bucket = f"_{self._key[-1]:05d}" if sink.bucketed else ""
        # As Spark: a dash, or a dot where the rows were dealt.
        name = f"part-{self._number:05d}-{sink.name}{bucket}{'.' if self._place.keyed else '-'}c{self._part:03d}{sink.format.suffix}"
        directories = [directory(column, str(value)) for column, value in zip(sink.partitions, self._key)]
        return "/".join((*directories, name))


class Place:
    """Where the attempt's files are, and how they are called."""

    def __init__(self, task: Task, sink: ops.FragmentSave) -> None:
        import pyarrow as pa

        self.written: list[Written] = []
        self.keyed = bool(sink.partitions) or sink.bucketed
        self._task = task
        self._sink = sink
        self.schema = pa.ipc.read_schema(pa.py_buffer(sink.format.schema))
        self.system, inside = filesystem_of(sink.directory, sink.store)
        self._attempt = f"{task.partition}-{task.task_id}"
        self.directory = f"{staging_directory(inside, sink.job)}/{self._attempt}"
        self._names = itertools.count(1)  # Streams are threads: no two may get one name.
        try:
            if self.system is LOCAL:
                # Not its parents: they are gone when the job has ended.
                with contextlib.suppress(FileExistsError):
                    os.mkdir(self.directory)
        except OSError as error:
            raise unwritable(self.directory, error) from None

    def file(self, number: int, key: Key, part: int = 0) -> OutputFile:
        return OutputFile(self._task, self._sink, self, number, key, part)

    def next_name(self) -> str:
        return f"{next(self._names)}{self._sink.format.suffix}"

    def done(self, staged: str, final: str, rows: int, size: int) -> None:
        self.written.append((f"{self._attempt}/{staged}", final, rows, size))

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            self.system.remove_tree(self.directory)
