"""A task's rows on their way into files: dealt by partition (directory) and bucket, held until they are worth a write.

What is held stays below a quarter of the slot's memory: then the largest of it is written, and what has no open file goes to a scratch
file, to be written when all rows are there, one file after the other. So any number of directories needs few open files.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from quiver_executor.arrow_functions import compute
from quiver_executor.file_formats import TEXTS
from quiver_executor.fragment_files import Run
from quiver_executor.kernel_memory import CORES
from quiver_executor.output_files import FilesAtOnce, Key, Output, Place, Written
from quiver_executor.task import Task
from quiver_proto import ops
from quiver_proto.partition_paths import NULL_PARTITION

_OPEN = 64
"""Files that one task has open at a time."""
_COLUMNAR = frozenset({"parquet", "orc", "arrow"})
"""Formats whose writers need no interpreter, so that threads help."""
_TEXT_BYTES = 1 << 20
_ROW_GROUP = 128 << 20
_WORTH_A_FILE = 1 << 20
_PORTION = 64 << 20
_WIDE_ROW = 64 << 10
"""Bytes of a row from which on less is held: dealing and a file's writer copy what they get, and the kernel's batches are large too."""


class SavedFiles:
    """One attempt's files. `add` may be awaited for several streams (partitions of the fragment) at once."""

    def __init__(self, task: Task, sink: ops.FragmentSave, split: int | None, streams: int) -> None:
        self._task = task
        self._first = 0 if split is None else split
        self._place = Place(task, sink)
        self._apart = sink.apart
        count = 1 if sink.single else streams
        encoders = _encoders(sink, count)
        self._streams = [_Stream(task, sink, self._place, self._first + number, count, encoders) for number in range(count)]

    async def add(self, stream: int, batch: Any) -> None:
        """Raises PathUnwritable, QuotaExceeded, DiskFull."""
        if not batch.num_rows:
            return
        if len(self._streams) == 1:
            self._streams[0].add(batch)
        else:
            await asyncio.to_thread(self._streams[stream].add, batch)

    def finish(self) -> list[Written]:
        """Write what is held. Small rests of all streams become one file per directory, unless they are kept apart.

        When no row came, one file without rows tells the columns, unless rows would have gone to directories; of several tasks the first
        leaves it.
        """
        rests: dict[tuple[Key, int], list[tuple[int, list[Any]]]] = {}
        for stream, left in zip(self._streams, self._finished()):
            for key, batches in left:
                rests.setdefault((key, stream.number if self._apart else 0), []).append((stream.number, batches))
        for (key, _), parts in rests.items():
            with contextlib.ExitStack() as stack:
                file = self._place.file(parts[0][0], key)
                stack.callback(file.abandon)
                file.write([batch for _, batches in parts for batch in batches])
                file.close()
        if not self._place.written and not self._place.keyed and self._first == 0:
            file = self._place.file(0, ())
            try:
                file.write([])
                file.close()
            finally:
                file.abandon()
        self._task.output_records += sum(rows for _, _, rows, _ in self._place.written)
        self._task.output_bytes += sum(size for *_, size in self._place.written)
        return sorted(self._place.written, key=lambda written: written[1])

    def _finished(self) -> list[list[tuple[Key, list[Any]]]]:
        if len(self._streams) == 1:
            return [self._streams[0].finish()]
        with ThreadPoolExecutor(len(self._streams)) as threads:
            return list(threads.map(_Stream.finish, self._streams))

    def discard(self) -> None:
        """Close and remove everything. Never raises."""
        for stream in self._streams:
            stream.abandon()
        self._place.remove()


def _encoders(sink: ops.FragmentSave, streams: int) -> int:
    """Threads that make a stream's files side by side: those of a task of several cores whose rows come as one stream, as a sort's do, and
    may be dealt into any number of files."""
    free = streams == 1 and sink.format.kind in _COLUMNAR
    free = free and not (sink.single or sink.apart or sink.partitions or sink.bucketed or sink.max_records)
    return int(dict(sink.settings).get(CORES, 1)) if free else 1


class DroppedRows:
    """What counts rows and keeps none."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._rows = 0

    async def add(self, stream: int, batch: Any) -> None:
        self._rows += batch.num_rows

    def finish(self) -> int:
        """How many rows there were."""
        self._task.output_records += self._rows
        return self._rows

    def discard(self) -> None:
        pass


class _Stream:
    """One partition of the fragment. Used by one thread at a time."""

    def __init__(self, task: Task, sink: ops.FragmentSave, place: Place, number: int, streams: int, encoders: int) -> None:
        self.number = number
        self._encoders = encoders
        self._task = task
        self._sink = sink
        self._place = place
        limit = max(16 << 20, task.env.memory_bytes // 4) // streams
        self._limit = max(1 << 20, limit)
        self._portion = min(_PORTION, self._limit // 4)
        self._wide = False
        self._undealt: list[Any] = []
        self._undealt_bytes = 0
        block = int(dict(sink.format.options).get("block", _ROW_GROUP))
        self._worth = (
            _TEXT_BYTES if sink.format.kind in TEXTS else max(1, min(block, self._limit // (1 + encoders), sink.max_bytes or block))
        )
        self._open_limit = max(1, _OPEN // streams)
        self._targets: dict[Key, _Target] = {}
        self._held = 0
        self._open = 0
        self._runs: list[tuple[dict[Key, int], Run]] = []

    def add(self, batch: Any) -> None:
        if not self._place.keyed:
            self._hold((), _with_schema(batch, self._place.schema))
            return
        self._undealt.append(batch)
        size = batch.nbytes
        self._look_at(size, batch.num_rows)
        self._undealt_bytes += size
        self._held += size
        if self._undealt_bytes >= self._portion:
            self._deal()

    def _look_at(self, size: int, rows: int) -> None:
        if not self._wide and size >= rows * _WIDE_ROW:
            self._wide = True
            self._worth = max(1, self._worth // 4)
            self._limit //= 2
            self._portion //= 4

    def _deal(self) -> None:
        """Many batches at once: each of them may have rows of every directory, and a few rows are as dear to handle as many."""
        import pyarrow as pa

        batches, self._undealt = self._undealt, []
        self._held -= self._undealt_bytes
        self._undealt_bytes = 0
        if batches:
            whole = batches[0] if len(batches) == 1 else pa.concat_batches(batches)
            for key, part in _dealt(whole, len(self._sink.partitions), self._sink.bucketed, self._place.schema):
                self._hold(key, part)

    def _hold(self, key: Key, part: Any) -> None:
        target = self._targets.get(key)
        if target is None:
            target = self._targets[key] = _Target(key)
        target.held.append(part)
        size = part.nbytes
        self._look_at(size, part.num_rows)
        target.bytes += size
        self._held += size
        if target.bytes >= self._worth and self._may_write(target):
            self._write(target)
        if self._held > self._limit:
            self._relieve()

    def _may_write(self, target: _Target) -> bool:
        return target.file is not None or (not target.spilled and self._open < self._open_limit)

    def _write(self, target: _Target) -> None:
        if target.file is None:
            target.file = self._opened(target)
            self._open += 1
        self._held -= target.bytes
        target.file.write(target.take())

    def _opened(self, target: _Target) -> Output:
        if self._encoders == 1:
            return self._place.file(self.number, target.key)
        return FilesAtOnce(lambda part: self._place.file(self.number, target.key, part), self._encoders)

    def _relieve(self) -> None:
        for target in sorted(self._targets.values(), key=lambda target: -target.bytes):
            if self._held <= self._limit // 2 or target.bytes < _WORTH_A_FILE:
                break
            if self._may_write(target):
                self._write(target)
        if self._held > self._limit // 2:
            self._spill()

    def _spill(self) -> None:
        chosen = [target for target in self._targets.values() if target.held and target.file is None]
        for target in self._targets.values():
            if target.file is not None and target.held:
                self._write(target)
        if not chosen:
            return
        numbers = {target.key: number for number, target in enumerate(chosen)}
        for target in chosen:
            target.spilled = True
            self._held -= target.bytes
        self._runs.append((numbers, Run(self._task, self._place.schema, [target.take() for target in chosen])))

    def finish(self) -> list[tuple[Key, list[Any]]]:
        """Write what belongs into files of its own; small rests that don't are given back."""
        self._deal()
        rests = []
        for target in self._targets.values():
            if target.file is None and not target.spilled and target.bytes < _WORTH_A_FILE:
                rests.append((target.key, target.take()))
                continue
            if target.file is None:
                target.file = self._opened(target)
            for batches in _in_portions(self._spilled(target.key), self._worth):
                target.file.write(batches)
            if target.held:
                target.file.write(target.take())
            target.file.close()
        return rests

    def _spilled(self, key: Key) -> Iterator[Any]:
        for numbers, run in self._runs:
            if key in numbers:
                yield from run.batches(numbers[key])

    def abandon(self) -> None:
        for target in self._targets.values():
            if target.file is not None:
                target.file.abandon()


class _Target:
    """The rows of one directory and bucket that are held, and their open file. Once spilled, they are written at the end only."""

    __slots__ = ("bytes", "file", "held", "key", "spilled")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.held: list[Any] = []
        self.bytes = 0
        self.file: Output | None = None
        self.spilled = False

    def take(self) -> list[Any]:
        held, self.held, self.bytes = self.held, [], 0
        return held


def _in_portions(batches: Iterator[Any], size: int) -> Iterator[list[Any]]:
    portion: list[Any] = []
    held = 0
    for batch in batches:
        portion.append(batch)
        held += batch.nbytes
        if held >= size:
            yield portion
            portion, held = [], 0
    if portion:
        yield portion


def _dealt(batch: Any, partitions: int, bucketed: bool, schema: Any) -> Iterator[tuple[Key, Any]]:
    """The batch's rows by key, in their order; data columns with the file's types. Few keys a batch are the common case."""
    import pyarrow as pa

    pc = compute()

    rows = _with_schema(batch, schema)
    keys = batch.columns[len(schema) :]
    assert len(keys) == partitions + int(bucketed)
    codes: Any = None
    values: list[Any] = []
    for column in keys:
        encoded = column.dictionary_encode(null_encoding="encode")
        values.append(encoded.dictionary)
        codes = (
            encoded.indices.cast(pa.int64())
            if codes is None
            else pc.add(pc.multiply(codes, pa.scalar(len(encoded.dictionary), pa.int64())), encoded.indices.cast(pa.int64()))
        )
        # Numbered anew, so that the product of many columns' numbers never leaves an int64.
        again = codes.dictionary_encode()
        codes, known = again.indices.cast(pa.int64()), again.dictionary
        values = _taken(values, known, len(encoded.dictionary))
    if len(values[0]) == 1:
        yield _key(values, 0), rows
        return
    order = pc.sort_indices(pa.table({"code": codes}), sort_keys=[("code", "ascending")])
    ends = pc.run_end_encode(codes.take(order))
    sorted_rows = rows.take(order)
    start = 0
    for code, end in zip(ends.values.to_pylist(), ends.run_ends.to_pylist(), strict=True):
        yield _key(values, code), sorted_rows.slice(start, end - start)
        start = end


def _with_schema(batch: Any, schema: Any) -> Any:
    """A file's columns, with its types."""
    import pyarrow as pa

    return pa.RecordBatch.from_arrays(batch.columns[: len(schema)], schema=schema)


def _key(values: list[Any], number: int) -> Key:
    # Null and the empty text are in one directory, so they are one key.
    key = (column[number].as_py() for column in values)
    return tuple(NULL_PARTITION if value is None or value == "" else value for value in key)


def _taken(values: list[Any], known: Any, last: int) -> list[Any]:
    """For each number in `known` (number so far × `last` + number in the last column), the values of all columns."""
    import pyarrow as pa

    pc = compute()

    divisor = pa.scalar(last, pa.int64())
    before = pc.divide(known, divisor)
    inner = pc.subtract(known, pc.multiply(before, divisor))
    return [*(column.take(before) for column in values[:-1]), values[-1].take(inner)]
