"""What a task moves to disk when its memory is full. A spill file has no name: it ends with the task, however that ends."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any, Protocol

from quiver_executor.disk import claim, explained
from quiver_executor.memory import MemoryWatch, average_footprint, batches_of
from quiver_executor.task import Task
from quiver_proto.columns import Columns
from quiver_proto.errors import BlockCorrupt
from quiver_proto.frames import dump_records, load

Piece = tuple[int, int, int, int]
"""Offset, stored length, length as a frame, checksum."""

BRANCHES = 16
FEW = 4
_MAX_DEPTH = 8
"""After this many divisions by 16, what is still together has one key, or keys with one hash."""
_MASK = (1 << 64) - 1


class SpillFile:
    """Frames of one task on disk, compressed and checksummed."""

    def __init__(self, task: Task) -> None:
        import pyarrow as pa

        self._task = task
        self._codec = pa.Codec("lz4_raw")
        self._path = os.path.join(task.scratch_directory(), f"spill-{os.getpid()}-{task.task_id}-{id(self):x}")
        with explained(task.env, self._path):
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.unlink(self._path)
        self._size = 0
        task.closers.append(self)

    def append(self, frame: bytes) -> Piece:
        """Raises QuotaExceeded, DiskFull."""
        data = self._codec.compress(frame, asbytes=True)
        piece = self._size, len(data), len(frame), zlib.crc32(data)
        claim(self._task.env, len(data))
        with explained(self._task.env, self._path):
            view = memoryview(data)
            while view:
                written = os.pwrite(self._descriptor, view, self._size)
                self._size += written
                view = view[written:]
        self._task.spilled += len(data)
        return piece

    def read(self, piece: Piece) -> bytes:
        """The frame. Raises BlockCorrupt."""
        offset, length, raw, crc = piece
        data = os.pread(self._descriptor, length, offset)
        if len(data) != length or zlib.crc32(data) != crc:
            raise BlockCorrupt(self._path, "what was spilled there does not read back the same")
        frame: bytes = self._codec.decompress(data, raw, asbytes=True)
        return frame

    def batches(self, pieces: Iterable[Piece]) -> Iterator[list[Any]]:
        for piece in pieces:
            yield load(self.read(piece))

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def in_chunks(records: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of `size` records, the last shorter."""
    iterator = iter(records)
    while chunk := list(islice(iterator, size)):
        yield chunk


# ---- aggregation by key ----


class Groups(Protocol):
    """What has been aggregated so far: absorbs batches, gives (key, state) pairs. One kind per merge (see shuffle_read)."""

    def absorb(self, batch: Any) -> None:
        """Records as they come from the shuffle: a list or Columns."""
        ...

    def absorb_states(self, batch: list[Any] | Columns) -> None:
        """(key, state) pairs as `states` gave them, to be merged after what is here."""
        ...

    def states(self) -> Iterator[list[Any]]:
        """(key, state) pairs in batches of a size that can be made into a frame; a key may be there more than once."""
        ...

    def finished(self) -> Iterable[Any]:
        """The output records."""
        ...

    def clear(self) -> None: ...

    def keys(self) -> int:
        """How many."""
        ...

    def held(self, record_bytes: int) -> int:
        """Estimated bytes, when a record takes `record_bytes`."""
        ...

    def put_aside(self, spill: SpillFile) -> bool:
        """Move what a few keys have to disk, where it stays until it is read as output. False when that can't be done."""
        ...


def aggregate(
    task: Task, groups: Callable[[], Groups], batches: Iterable[Any], enter: Callable[[Groups, Any], None], depth: int = 0
) -> Iterator[Iterable[Any]]:
    """Output records, as iterables of many. `enter(groups, batch)` absorbs a batch.

    Beyond the slot's memory, states are divided by their keys' hash into BRANCHES parts on disk, and each part is aggregated by
    itself, divided again if need be. What a few keys (FEW) have, dividing does not make smaller: it is put aside.
    """
    held = groups()
    watch: MemoryWatch | None = None
    spill: SpillFile | None = None
    aside: SpillFile | None = None
    parts: list[list[Piece]] = []
    record_bytes = 0
    movable = True
    for count, batch in enumerate(batches):
        enter(held, batch)
        if watch is None:
            watch = MemoryWatch(task.env.memory_bytes)
            task.closers.append(watch)
        if count % 16 == 0:
            record_bytes = max(record_bytes, _record_bytes(batch))
        divisible = held.keys() > FEW and depth < _MAX_DEPTH
        if not (divisible or movable) or not watch.is_over(held.held(record_bytes)):
            continue
        if divisible:
            if spill is None:
                spill, parts = SpillFile(task), [[] for _ in range(BRANCHES)]
            _divide(held, spill, parts, depth)
        else:
            aside = aside or SpillFile(task)
            movable = held.put_aside(aside)
        watch.spilled()
    if spill is None:
        yield held.finished()
        return
    _divide(held, spill, parts, depth)
    del held
    for pieces in parts:
        if pieces:
            yield from aggregate(task, groups, spill.batches(pieces), lambda states, batch: states.absorb_states(batch), depth + 1)


def _record_bytes(batch: Any) -> int:
    # A batch may come with what it belongs to: (side, records).
    records = batch[1] if isinstance(batch, tuple) else batch
    return average_footprint(records.slice(0, 64).pairs() if isinstance(records, Columns) else records)


def _divide(held: Groups, spill: SpillFile, parts: list[list[Piece]], depth: int) -> None:
    shift = 32 + 4 * (depth % 8)
    for chunk in held.states():
        divided: list[list[Any]] = [[] for _ in range(BRANCHES)]
        for state in chunk:
            divided[((hash(state[0]) * 0x9E3779B97F4A7C15 & _MASK) >> shift) & 15].append(state)
        for part, states in zip(parts, divided):
            if states:
                part.append(spill.append(dump_records(states)))
    held.clear()


class ValuesOnDisk:
    """A key's values, more than fit into memory: can be iterated any number of times while the task runs, and have a length.

    Pickles as a list of them all.
    """

    __slots__ = ("_pieces", "_rest", "_size", "_spill")

    def __init__(self, spill: SpillFile, pieces: list[Piece], size: int, rest: list[Any]) -> None:
        self._spill = spill
        self._pieces = pieces
        self._size = size
        self._rest = rest

    def __iter__(self) -> Iterator[Any]:
        return chain(chain.from_iterable(self._spill.batches(self._pieces)), self._rest)

    def __len__(self) -> int:
        return self._size + len(self._rest)

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


STATES = 4096
"""(key, state) pairs, or values of keys, that go into one frame."""


def state_batches(groups: Iterable[tuple[Any, list[Any]]]) -> Iterator[list[tuple[Any, list[Any]]]]:
    """(key, values) in batches of about STATES values; many values of one key in several parts."""
    batch: list[tuple[Any, list[Any]]] = []
    size = 0
    for key, values in groups:
        if len(values) <= STATES:
            batch.append((key, values))
            size += len(values)
            if size >= STATES:
                yield batch
                batch, size = [], 0
            continue
        for part in in_chunks(values, STATES):
            yield [(key, part)]
    if batch:
        yield batch


# ---- a sequence read more than once ----


class Replay:
    """Records that can be iterated any number of times: in memory, or beyond that on disk."""

    def __init__(self, task: Task, records: Iterable[Any]) -> None:
        self._batches: list[list[Any]] = []
        self._pieces: list[Piece] = []
        self._spill: SpillFile | None = None
        watch: MemoryWatch | None = None
        held = 0
        for batch in batches_of(iter(records)):
            if self._spill is not None:
                self._pieces.append(self._spill.append(dump_records(batch)))
                continue
            self._batches.append(batch)
            held += average_footprint(batch) * len(batch)
            if watch is None:
                watch = MemoryWatch(task.env.memory_bytes)
                task.closers.append(watch)
            if watch.is_over(held):
                self._spill = SpillFile(task)
                self._pieces = [self._spill.append(dump_records(held_batch)) for held_batch in self._batches]
                self._batches = []

    @property
    def in_memory(self) -> list[Any] | None:
        """All records, when none is on disk."""
        return list(chain.from_iterable(self._batches)) if self._spill is None else None

    def __iter__(self) -> Iterator[Any]:
        if self._spill is None:
            return chain.from_iterable(self._batches)
        return chain.from_iterable(self._spill.batches(self._pieces))
