"""One attempt at a task while it runs: where its sources stand, what it has counted, what it holds open."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from operator import length_hint
from types import MappingProxyType
from typing import Any, Protocol

from quiver_executor.environment import SlotEnvironment
from quiver_proto.messages import CachedBlock, CacheTable, HeavyKey, MapOutputTable, OperatorMetrics
from quiver_proto.ops import CallSite

_NO_TABLES: Mapping[int, CacheTable] = MappingProxyType({})


class Closes(Protocol):
    def close(self) -> None: ...


class Cursor:
    """Where a source stands, known without counting: a batch's list iterator tells how much of it is left."""

    __slots__ = ("batch", "before", "reader")

    def __init__(self) -> None:
        self.before = 0
        self.batch: Sequence[Any] | None = None
        self.reader: Iterator[Any] | None = None

    def stand_where(self, other: Cursor) -> None:
        """What is told of this source from now on is told of `other`: records came from there when something failed."""
        self.before, self.batch, self.reader = other.before, other.batch, other.reader

    def taken(self) -> int:
        """How many records were read from the source."""
        return self.before if self.batch is None else self.before + len(self.batch) - length_hint(self.reader)

    def current(self) -> tuple[int, Any] | None:
        """The last record read and its index; None before the first."""
        if self.batch is None:
            return None
        position = len(self.batch) - length_hint(self.reader) - 1
        return (self.before + position, self.batch[position]) if position >= 0 else None


class End:
    """Was the end of a source (or of a user's iterator) seen by what reads it?

    map() and filter() take a StopIteration that the user's function raises for the end of their input, and would drop the rest of the
    data without a word. Then the source's end was never seen.
    """

    __slots__ = ("reached",)

    def __init__(self, reached: bool = False) -> None:
        self.reached = reached


Flow = tuple[Iterator[Any], End]
"""Records, and the end that must have been reached when they stop."""


class Task:
    """What nodes and sinks share while one task runs. Counters are bytes, records and seconds of this attempt."""

    __slots__ = (
        "_sites",
        "_traced",
        "attempt",
        "blame",
        "cache_tables",
        "cached",
        "closers",
        "cursor",
        "env",
        "f",
        "fetch_wait_s",
        "heavy",
        "input_bytes",
        "inputs",
        "operators",
        "output_bytes",
        "output_records",
        "partition",
        "read_local",
        "read_records",
        "read_remote",
        "serialize_s",
        "servers",
        "spilled",
        "task_id",
        "wears_out",
        "write_s",
        "written",
        "written_records",
    )

    def __init__(
        self,
        env: SlotEnvironment,
        functions: Sequence[Callable[..., Any]],
        sites: Sequence[CallSite],
        traced: Sequence[bool] | None,
        inputs: dict[int, MapOutputTable],
        servers: dict[str, str],
        task_id: int,
        partition: int,
        attempt: int,
        cache_tables: Mapping[int, CacheTable] = _NO_TABLES,
    ) -> None:
        self.env = env
        self.f = functions
        """The stage's functions, opened, by number."""
        self._sites = sites
        self._traced = traced
        self.inputs = inputs
        self.servers = servers
        self.task_id = task_id
        self.partition = partition
        self.attempt = attempt
        self.cache_tables = cache_tables
        """Where other executors have partitions of cached datasets, by dataset id."""
        self.cached: list[CachedBlock] = []
        """Blocks that this task has stored."""
        self.cursor = Cursor()
        self.blame: tuple[CallSite, Any] | None = None
        self.closers: list[Closes] = []
        self.heavy: Sequence[HeavyKey] = ()
        """Of a shuffle's map task: keys that it met often."""
        self.operators: Sequence[OperatorMetrics] = ()
        """Of a native fragment."""
        self.wears_out = False
        """It has left so much in the process that others are better off in a new one."""
        self.input_bytes = self.output_bytes = self.output_records = 0
        self.read_local = self.read_remote = self.read_records = 0
        self.written = self.written_records = self.spilled = 0
        self.fetch_wait_s = self.write_s = self.serialize_s = 0.0

    def site(self, number: int) -> CallSite:
        """Where the user gave function `number`."""
        return self._sites[number]

    def map(self, number: int, records: Iterator[Any]) -> Iterator[Any]:
        """map() by function `number`; with a frame that names it where the traceback would not tell."""
        if self._traced is not None and self._traced[number]:
            return traced_map(self.f[number], records, self._sites[number])
        return map(self.f[number], records)

    def scratch_directory(self) -> str:
        """Made on first use."""
        os.makedirs(self.env.scratch_dir, mode=0o700, exist_ok=True)
        return self.env.scratch_dir

    def close(self) -> None:
        """Free what the task holds open, last opened first."""
        while self.closers:
            self.closers.pop().close()


def feed(cursor: Cursor, batches: Iterator[list[Any]]) -> Flow:
    """The records of `batches` as one iterator that runs in C; `cursor` follows it."""
    end = End()
    return chain.from_iterable(_enter(cursor, batches, end)), end


def _enter(cursor: Cursor, batches: Iterator[list[Any]], end: End) -> Iterator[Iterator[Any]]:
    for batch in batches:
        cursor.batch = batch
        cursor.reader = reader = iter(batch)
        yield reader
        cursor.before += len(batch)
        cursor.batch = None
    end.reached = True


def traced_map(function: Callable[[Any], Any], records: Iterator[Any], site: CallSite) -> Iterator[Any]:
    """map() with a frame that names the operator: for functions that leave none of their own in a traceback."""
    for record in records:
        yield function(record)
