"""The map side of a shuffle: combine, deal records into reduce partitions, leave one file."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any
from zlib import crc32

from quiver_executor.columnar import RESIDENT, WORTHWHILE, ColumnCombiner, ColumnWriter
from quiver_executor.combining import Combining, Counting, kernel_of
from quiver_executor.external import Piece, SpillFile, in_chunks
from quiver_executor.functions import Functions, is_addition, paired_count, splitting
from quiver_executor.heavy_keys import HeavyKeys, place_by
from quiver_executor.kernels import LARGE_COUNT, How
from quiver_executor.memory import BATCH, FIRST_BATCH, MemoryWatch, average_footprint, batches_of, large_batches_of
from quiver_executor.partitioning import Placement, as_pairs, compile_partitioner, unhashable
from quiver_executor.pipeline import check_end, compile_node
from quiver_executor.shuffle_files import write_map_output
from quiver_executor.sources import word_batches
from quiver_executor.task import End, Task
from quiver_proto import ops
from quiver_proto.columns import to_list
from quiver_proto.errors import UnpicklableOutput
from quiver_proto.frames import dump_alone, dump_records
from quiver_proto.ids import ExecutorId, NodeId, TaskId
from quiver_proto.messages import MapOutput
from quiver_proto.ops import CallSite
from quiver_proto.shorten import shorten

_HELD_RECORDS = 16 * 1024
"""Records held as objects before they are made into frames: more of them would leave the processor's caches."""
_FRAME_RECORDS = 64
"""Unless so many partitions share them that a frame would have fewer records than this."""


_SKIPPED = 8
"""After it did not, this many times RESIDENT records pass uncombined until it is tried again."""


def compile_shuffle_write(sink: ops.ShuffleWrite, functions: Functions) -> Callable[[Task, Any], MapOutput]:
    """The function that runs one map task."""
    site, partitioner, aggregator = sink.call_site, sink.partitioner, sink.aggregator
    width = partitioner.width
    shuffled = isinstance(partitioner, ops.RoundRobin) and _reads_a_shuffle(sink.parent)
    create = merge_value = merge_combiners = pairing = -1
    parent = sink.parent
    if aggregator is not None and isinstance(parent, ops.Map):
        # The last map may be one that only adds a count: then it need not run (see _count).
        build = compile_node(parent.parent, functions)
        pairing = functions.add(parent.function)
    else:
        build = compile_node(parent, functions)
    partition = None if isinstance(partitioner, ops.RoundRobin) else compile_partitioner(partitioner, functions)
    if aggregator is not None:
        create = -1 if aggregator.create is None else functions.add(aggregator.create)
        merge_value, merge_combiners = functions.add(aggregator.merge_value), functions.add(aggregator.merge_combiners)

    splitter = _word_splitter(parent, functions) if pairing >= 0 else -1

    def run(task: Task, split: Any) -> MapOutput:
        placement = None if partition is None else partition(task)
        separator = splitting(task.f[splitter]) if splitter >= 0 else False
        count = paired_count(task.f[pairing]) if pairing >= 0 and create < 0 and is_addition(task.f[merge_value]) else None
        if separator and count is not None:
            records, end = iter(()), End(reached=True)
        else:
            records, end = build(task, split, task.cursor)
        buckets = Buckets(task, width, site, placement, sink.first_two)
        if placement is None:
            (_deal_by_content if shuffled else _deal)(task, records, buckets)
        elif aggregator is None:
            heavy = HeavyKeys(task.partition)
            _scatter(records, buckets, heavy)
            task.heavy = heavy.told(place_by(placement.scatter, width))
        elif count is not None:
            words = word_batches(task, split, separator if isinstance(separator, str) else None) if separator else large_batches_of(records)
            _combine(task, words, buckets, Counting(task, count, site), "sum", count)
        else:
            if pairing >= 0:
                records = task.map(pairing, records)
            created = None if create < 0 else task.f[create]
            combining = Combining(task, created, task.f[merge_value], task.f[merge_combiners], site)
            _combine(task, large_batches_of(records), buckets, combining, kernel_of(created, task.f[merge_value]), None)
        check_end(end)
        begun = time.perf_counter()
        pieces, size = buckets.finished()
        path, sizes, written = write_map_output(task.env, sink.shuffle_id, task.partition, task.task_id, pieces, width, size)
        task.write_s += time.perf_counter() - begun
        task.written += written
        task.written_records += buckets.records
        env = task.env
        return MapOutput(
            task.partition, TaskId(task.task_id), NodeId(env.node_id), ExecutorId(env.executor_id), path, sizes, buckets.records
        )

    return run


def _word_splitter(parent: ops.Node, functions: Functions) -> int:
    """The number of the function that makes words of lines of text, where `parent` maps just those; else -1."""
    lines = parent.parent if isinstance(parent, ops.Map) else None
    if isinstance(lines, ops.FlatMap) and isinstance(lines.parent, ops.TextLines) and lines.parent.unicode:
        return functions.number_of(lines.function)
    return -1


def _scatter(records: Iterator[Any], buckets: Buckets, heavy: HeavyKeys) -> None:
    for batch in large_batches_of(records):
        buckets.add_pairs(batch)
        heavy.see(batch)


def _deal(task: Task, records: Iterator[Any], buckets: Buckets) -> None:
    position = task.partition
    for batch in batches_of(records):
        buckets.deal(batch, position)
        position += len(batch)


def _deal_by_content(task: Task, records: Iterator[Any], buckets: Buckets) -> None:
    # The order of what comes out of a shuffle may differ between two attempts (whether it spilled decides), so a position would
    # send a record elsewhere when a lost output is made again, and it would be lost or there twice. What it holds does not differ.
    for batch in batches_of(records):
        buckets.place(batch, [crc32(dump_alone(record)) for record in batch])


def _reads_a_shuffle(node: ops.Node) -> bool:
    pending: list[Any] = [node]
    while pending:
        top = pending.pop()
        if isinstance(top, ops.ShuffleRead):
            return True
        pending += [getattr(top, name) for name in ("parent", "left", "right") if hasattr(top, name)]
        pending += getattr(top, "parents", ())
    return False


def _combine(
    task: Task, batches: Iterator[Any], buckets: Buckets, combining: Combining | Counting, how: How | None, count: int | None
) -> None:
    """Combine lists of records (or columns of keys), a limited number of keys at a time: the reduce side merges combiners, so a key may be
    written more than once.

    Where hardly any key comes twice, records pass as combiners of one value.
    """
    combiners: dict[Any, Any] = {}
    merge, merge_left = combining.merge_values, combining.merge_left
    kernel: ColumnCombiner | None = None
    if how is not None and buckets.columns is not None and (count is None or abs(count) < LARGE_COUNT):
        kernel = ColumnCombiner(buckets.columns, how, count, task.env.memory_bytes)
    watch: MemoryWatch | None = None
    record_bytes = seen = skip = 0
    for number, batch in enumerate(batches):
        if kernel is not None:
            if kernel.takes(batch) if isinstance(batch, list) else kernel.count(batch):
                continue
            for columns in kernel.left():
                merge_left(combiners, columns)
            kernel = None
        if not isinstance(batch, list):
            batch = to_list(batch)
        if skip > 0:
            skip -= len(batch)
            buckets.add_pairs(combining.single(batch))
            continue
        merge(combiners, batch)
        seen += len(batch)
        if len(combiners) > RESIDENT:
            if seen < len(combiners) * WORTHWHILE:
                skip = _SKIPPED * RESIDENT
            _write_combiners(combiners, buckets, combining)
            seen = 0
            continue
        if number == 0:
            continue
        if watch is None:
            watch = MemoryWatch(task.env.memory_bytes)
            task.closers.append(watch)
        if number % 16 == 1:
            # Combiners may grow where their number does not.
            record_bytes = max(record_bytes, average_footprint(batch), average_footprint(list(islice(combiners.items(), 8)))) + 40
        if watch.is_over(len(combiners) * record_bytes):
            _write_combiners(combiners, buckets, combining)
            buckets.spill()
            watch.spilled()
            seen = 0
    if kernel is not None:
        for columns in kernel.finish():
            merge_left(combiners, columns)
    _write_combiners(combiners, buckets, combining)


def _write_combiners(combiners: dict[Any, Any], buckets: Buckets, combining: Combining | Counting) -> None:
    for chunk in in_chunks(combining.pairs(combiners), BATCH):
        buckets.add_pairs(chunk)
    combiners.clear()


class Buckets:
    """Records on their way to reduce partitions: lists of objects or columns, then frames, then (beyond memory) frames on disk."""

    def __init__(self, task: Task, width: int, site: CallSite, placement: Placement | None = None, first_two: bool = False) -> None:
        self.site = site
        self._first_two = first_two
        self.records = 0
        self._placement = placement
        self.columns: ColumnWriter | None = None
        """Takes pairs that kernels can place."""
        if placement is not None and placement.places is not None:
            self.columns = ColumnWriter(self, placement.places, width, task.env.memory_bytes)
        self._task = task
        self._width = width
        self._lists: list[list[Any]] = [[] for _ in range(width)]
        self._counts = [0] * width
        self._frames: dict[int, list[bytes]] = {}
        self._frame_bytes = 0
        self._all_bytes = 0
        self._spill: SpillFile | None = None
        self._spilled: dict[int, list[Piece]] = {}
        self._held = 0
        self._held_bytes = 0
        self._most = max(_HELD_RECORDS, _FRAME_RECORDS * width)
        self._limit = max(64 << 10, task.env.memory_bytes // 4)

    def add_pairs(self, batch: list[Any]) -> None:
        """Raises NotAPair, and as add_objects."""
        if self.columns is None or not self.columns.takes(batch):
            self.add_objects(as_pairs(batch, self.site, self._first_two))

    def add_frame(self, partition: int, frame: bytes, records: int) -> None:
        """A frame made elsewhere, behind what came before."""
        if self._held:
            self._freeze()
        self.records += records
        self._counts[partition] += records
        self._frames.setdefault(partition, []).append(frame)
        self._frame_bytes += len(frame)
        self._all_bytes += len(frame)
        if self._frame_bytes > self._limit:
            self.spill()

    def add_objects(self, pairs: list[tuple[Any, Any]]) -> None:
        """Raises UnstableKey, UnhashableKey, and what the user's partition function raises."""
        assert self._placement is not None
        try:
            self._placement.scatter(pairs, self._lists)
        except TypeError:
            for pair in pairs:
                error = unhashable(self.site, pair)
                if error is not None:
                    raise error from None
            raise
        self._added(pairs)

    def deal(self, batch: Sequence[Any], position: int) -> None:
        """Round robin: the record number n of this partition, counted from its own index, goes to partition n % width."""
        width = self._width
        for step in range(min(width, len(batch))):
            self._lists[(position + step) % width].extend(batch[step::width])
        self._added(batch)

    def place(self, batch: Sequence[Any], numbers: Sequence[int]) -> None:
        """Each record goes to partition number % width."""
        lists, width = self._lists, self._width
        for record, number in zip(batch, numbers, strict=True):
            lists[number % width].append(record)
        self._added(batch)

    def _added(self, batch: Sequence[Any]) -> None:
        self.records += len(batch)
        self._held += len(batch)
        if len(batch) >= FIRST_BATCH or self.records > len(batch):
            self._held_bytes += average_footprint(batch) * len(batch)
        if self._held >= self._most or self._held_bytes > self._limit:
            self._freeze()

    def _freeze(self) -> None:
        """Objects become frames."""
        begun = time.perf_counter()
        for partition, bucket in enumerate(self._lists):
            if bucket:
                frame = self._frame(bucket)
                self._counts[partition] += len(bucket)
                self._frames.setdefault(partition, []).append(frame)
                self._frame_bytes += len(frame)
                self._all_bytes += len(frame)
                bucket.clear()
        self._held = self._held_bytes = 0
        self._task.serialize_s += time.perf_counter() - begun
        if self._frame_bytes > self._limit:
            self.spill()

    def spill(self) -> None:
        """Frames go to disk."""
        if self.columns is not None:
            self.columns.flush()
        if self._held:
            self._freeze()
        if not self._frames:
            return
        if self._spill is None:
            self._spill = SpillFile(self._task)
        for partition, frames in self._frames.items():
            self._spilled.setdefault(partition, []).extend(map(self._spill.append, frames))
        self._frames = {}
        self._frame_bytes = 0

    def finished(self) -> tuple[Iterator[tuple[int, int, Iterable[bytes]]], int]:
        """(partition, records, frames) of every partition that has any, in order; and how many bytes all frames have."""
        if self.columns is not None:
            self.columns.flush()
        self._freeze()
        return self._pieces(), self._all_bytes

    def _pieces(self) -> Iterator[tuple[int, int, Iterable[bytes]]]:
        for partition in range(self._width):
            if self._counts[partition]:
                yield partition, self._counts[partition], self._all_frames(partition)

    def _all_frames(self, partition: int) -> Iterator[bytes]:
        if self._spill is not None:
            yield from map(self._spill.read, self._spilled.get(partition, ()))
        yield from self._frames.pop(partition, ())

    def _frame(self, bucket: list[Any]) -> bytes:
        try:
            return dump_records(bucket)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            for record in bucket:
                try:
                    dump_records([record])
                except (pickle.PicklingError, TypeError, AttributeError):
                    raise UnpicklableOutput(str(self.site), f"the record {shorten(record)}", str(error)) from None
            raise
