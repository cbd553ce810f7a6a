"""Evaluating `ops.Cache` in a slot.

A partition's records come from, in this order: live objects of this slot, a block of this executor, a block of another executor, the
parent. The parent's records are stored as they flow past; one batch at a time is held beside what its level keeps. A task that does not
read them to their end leaves no block.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from quiver_executor.block_store import BlockStore, store_of
from quiver_executor.block_writer import BlockWriter
from quiver_executor.live_objects import Collecting
from quiver_executor.memory import average_footprint
from quiver_executor.remote_block import open_remote
from quiver_executor.store_ledger import Held
from quiver_executor.task import Cursor, End, Flow, Task, feed
from quiver_proto import ops
from quiver_proto.errors import BlockCorrupt, CacheMiss, ConnectionFailed, StorageError

if TYPE_CHECKING:
    from quiver_executor.pipeline import Build

_BATCH = 8192
_BATCH_BYTES = 1 << 20

_log = logging.getLogger("quiver.executor")


def compile_cache(node: ops.Cache, build: Build) -> Build:
    dataset, level = node.dataset_id, node.level

    def run(task: Task, split: Any, cursor: Cursor) -> Flow:
        partition, inner = split
        store = store_of(task.env)
        kept = _live(store, dataset, partition) or _here(task, store, dataset, partition) or _elsewhere(task, dataset, partition)
        if kept is not None:
            return feed(cursor, kept)
        if inner is None:
            raise CacheMiss(dataset, partition, f"neither {task.env.executor_id} nor any executor that it was told of has it")
        source = Cursor()
        try:
            records, end = build(task, inner, source)
        except BaseException:
            cursor.stand_where(source)
            raise
        writer = store.writer(dataset, partition, level)
        task.closers.append(writer)
        return feed(cursor, _stored(task, writer, records, end, cursor, source))

    return run


def _live(store: BlockStore, dataset: int, partition: int) -> Iterator[list[Any]] | None:
    records = store.live.get((dataset, partition))
    if records is None:
        return None
    store.touch(dataset, partition)
    return iter((records,))


def _here(task: Task, store: BlockStore, dataset: int, partition: int) -> Iterator[list[Any]] | None:
    found = store.open(dataset, partition)
    if found is None:
        return None
    held, block = found
    task.closers.append(block)
    try:
        first = next(batches := block.batches(), None)
    except (OSError, BlockCorrupt) as error:
        store.unreadable(held, error)
        return None
    return _rest_here(store, held, first, batches)


def _rest_here(store: BlockStore, held: Held, first: list[Any] | None, batches: Iterator[list[Any]]) -> Iterator[list[Any]]:
    live = Collecting(store.live) if held.memory_bytes else None
    try:
        for batch in () if first is None else chain((first,), batches):
            if live is not None:
                live.add(batch)
            yield batch
        if live is not None:
            live.keep((held.dataset, held.partition))
    except (OSError, BlockCorrupt) as error:
        # Records of it have flowed on: only a new attempt can begin anew.
        store.unreadable(held, error)
        raise CacheMiss(held.dataset, held.partition, str(error)) from None


def _elsewhere(task: Task, dataset: int, partition: int) -> Iterator[list[Any]] | None:
    table = task.cache_tables.get(dataset)
    if table is None:
        return None
    for row, at in enumerate(table.partitions):
        if at != partition or table.executor_ids[row] == task.env.executor_id:
            continue
        begun = time.perf_counter()
        try:
            block = open_remote(task, table.node_ids[row], table.paths[row])
            task.closers.append(block)
            first = next(batches := block.batches(), None)
        except (OSError, StorageError, ConnectionFailed) as error:
            _log.warning("cached partition %d of dataset %d can't be read from %s: %s", partition, dataset, table.node_ids[row], error)
            continue
        finally:
            task.fetch_wait_s += time.perf_counter() - begun
        task.read_remote += block.size
        return _rest_elsewhere(dataset, partition, first, batches)
    return None


def _rest_elsewhere(dataset: int, partition: int, first: list[Any] | None, batches: Iterator[list[Any]]) -> Iterator[list[Any]]:
    try:
        if first is not None:
            yield first
            yield from batches
    except (OSError, BlockCorrupt) as error:
        raise CacheMiss(dataset, partition, str(error)) from None


def _stored(task: Task, writer: BlockWriter, records: Iterator[Any], end: End, cursor: Cursor, source: Cursor) -> Iterator[list[Any]]:
    from quiver_executor.pipeline import check_end

    size = 1
    ended = False
    clock = time.perf_counter
    while not ended:
        try:
            begun = clock()
            batch = list(islice(records, size))
            writer.compute_s += clock() - begun
            # Not asked again once they stopped: a map that a StopIteration stopped would go on.
            ended = len(batch) < size
            if ended:
                check_end(end)
        except BaseException:
            cursor.stand_where(source)
            raise
        # Before anyone else sees them: what a task does to its records must not be in the block.
        written = writer.append(batch) or average_footprint(batch) * len(batch)
        if ended and (block := writer.finish()) is not None:
            task.cached.append(block)
        if batch:
            # A table's batch has as many rows as it has: one says nothing of how large the next will be.
            most = 1 if _is_table(batch[-1]) else _BATCH
            size = max(1, min(most, 16 * size, _BATCH_BYTES * len(batch) // max(1, written)))
            yield batch


def _is_table(record: Any) -> bool:
    arrow = sys.modules.get("pyarrow")
    return arrow is not None and isinstance(record, arrow.RecordBatch)
