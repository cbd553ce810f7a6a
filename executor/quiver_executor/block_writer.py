"""Storing one cached partition: to memory while there is room, else to disk where its level allows, else not at all."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from quiver_executor.cached_block import HEADER_BYTES, Block, Sections
from quiver_executor.disk import claim, explained, remove_quietly
from quiver_executor.eviction import worth
from quiver_executor.live_objects import Collecting
from quiver_executor.store_ledger import Held, block_name, unfinished_name
from quiver_proto.errors import StorageError, UnpicklableOutput
from quiver_proto.frames import dump_records_apart
from quiver_proto.messages import CachedBlock
from quiver_proto.shorten import shorten

if TYPE_CHECKING:
    from quiver_executor.block_store import BlockStore

AT_ONCE: Final = 1 << 20
"""Bytes that a block being stored may have before it claims room."""
_MOST_AHEAD = 64 << 20
_VECTORS = 512
_UNPICKLABLE = (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError)


class BlockWriter:
    """One partition while it is stored. What does not fit, or is given up, is gone without a trace; the records flow on.

    `compute_s`, to be set by who computes the records, are the seconds that it took so far.
    """

    def __init__(self, store: BlockStore, dataset: int, partition: int, use_memory: bool, use_disk: bool) -> None:
        self.compute_s = 0.0
        self._store = store
        self._dataset = dataset
        self._partition = partition
        self._use_memory = use_memory
        self._use_disk = use_disk
        self._pid = os.getpid()
        self._sections = Sections()
        self._pending: list[Any] = [bytes(HEADER_BYTES)]
        self._waiting = HEADER_BYTES
        self._written = 0
        self._descriptor = -1
        self._path = ""
        self._in_memory = False
        self._claim = 0
        self._claimed = 0
        self._open = True
        self._live = Collecting(store.live) if use_memory else None

    def append(self, batch: list[Any]) -> int:
        """How many bytes these records take as they are stored. Raises UnpicklableOutput."""
        if not self._open or not batch:
            return 0
        try:
            frame, buffers = dump_records_apart(batch)
        except _UNPICKLABLE as error:
            raise self._unpicklable(batch, error) from None
        before = self._sections.offset
        pieces = self._sections.add(frame, buffers, len(batch))
        size = self._sections.offset - before
        self._waiting += size
        if buffers and self._waiting <= AT_ONCE:
            # They are the records' own memory, which whoever gets the records may write to.
            pieces = [piece if type(piece) is bytes else bytes(piece) for piece in pieces]
        self._pending += pieces
        if self._live is not None:
            self._live.add(batch)
        if self._waiting > AT_ONCE:
            self._flush()
        return size

    def append_raw(self, content: bytes) -> None:
        """A piece of a whole block that was stored elsewhere, instead of records."""
        if self._open:
            if not self._written and self._waiting == HEADER_BYTES:
                self._pending, self._waiting = [], 0
            self._pending.append(content)
            self._waiting += len(content)
            if self._waiting > AT_ONCE:
                self._flush()

    def finish(self) -> CachedBlock | None:
        """All records have come: the block, None where it did not fit."""
        if not self._open:
            return None
        index, header = self._sections.finish(self.compute_s)
        self._pending.append(index)
        self._waiting += len(index)
        if self._written:
            os.pwrite(self._descriptor, header, 0)
        else:
            self._pending[0] = header
        return self._commit(self._sections.records)

    def finish_raw(self, check: Callable[[str], Block]) -> CachedBlock | None:
        """All of a whole block's content has come. `check` opens the file and raises what is wrong with it."""
        if self._open:
            self._flush()
        if not self._open:
            return None
        block = check(self._path)
        self.compute_s = block.compute_s
        return self._commit(block.records)

    def close(self) -> None:
        """Give up what is not finished. In a forked child nothing happens: the block is its parent's."""
        if not self._open or os.getpid() != self._pid:
            return
        self._open = False
        self._pending = []
        self._live = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            remove_quietly(self._path)
        try:
            self._store.ledger.release(self._claim)
        except OSError:
            pass  # It can't be used at all: nobody counts then.

    # ---- inside ----

    def _commit(self, records: int) -> CachedBlock | None:
        self._flush()
        if not self._open:
            return None
        store, size = self._store, self._written
        live = self._live is not None and self._live.keep((self._dataset, self._partition))
        sizes = (size, 0) if self._in_memory else (0, size)
        name = block_name(self._dataset, self._partition)
        held = Held(self._dataset, self._partition, name, *sizes, records, store.env.slot if live else -1)
        try:
            stored = store.ledger.commit(held, self._path, self._claim, self._use_disk, self.compute_s)
        except OSError as error:
            self._give_up(str(error))
            return None
        os.close(self._descriptor)
        self._descriptor = -1
        self._open = False
        return store.as_block(stored)

    def _flush(self) -> None:
        """Write what waits, wherever there is room for it; `close` when there is none."""
        end = self._written + self._waiting
        try:
            if self._descriptor < 0 and not (self._enter_memory(end) or self._enter_disk()):
                self._give_up("there is no room")
                return
            if self._in_memory and not (self._claim_memory(end) and self._write_to_memory()):
                self._leave_memory()
            if not self._in_memory and self._open:
                with explained(self._store.env, self._path):
                    claim(self._store.env, self._waiting, self._descriptor)
                    self._write()
        except (OSError, StorageError) as error:
            self._give_up(str(error))

    def _enter_memory(self, size: int) -> bool:
        if not self._use_memory or not self._claim_memory(size):
            return False
        self._in_memory = True
        try:
            self._create(self._store.ledger.memory_dir)
        except OSError:
            self._in_memory = False
        return self._in_memory

    def _enter_disk(self) -> bool:
        if not self._use_disk:
            return False
        self._release()
        self._in_memory = False
        try:
            self._create(self._store.ledger.disk_dir)
        except OSError as error:
            self._store.say_once(self._dataset, f"its partitions can't be kept on disk: {error}")
            return False
        return True

    def _leave_memory(self) -> None:
        """What was written so far moves to disk; raises what writing there raises."""
        if not self._use_disk:
            self._give_up("there is no room in memory")
            return
        before, path = self._descriptor, self._path
        self._descriptor = -1
        try:
            if not self._enter_disk():
                self._open = False
                return
            with explained(self._store.env, self._path):
                claim(self._store.env, self._written, self._descriptor)
                done = 0
                while done < self._written:
                    done += os.sendfile(self._descriptor, before, done, self._written - done)
        finally:
            os.close(before)
            remove_quietly(path)

    def _claim_memory(self, size: int) -> bool:
        if size <= self._claimed:
            return True
        value = worth(self.compute_s, 1.0, size)
        # More than is needed yet is only taken of what is free.
        ahead = max(size, min(2 * self._claimed, self._claimed + _MOST_AHEAD))
        for wanted, find in ((ahead, self._store.free_room), (size, self._store.room)):
            granted = find(self._claim, wanted, self._dataset, value)
            if granted:
                self._claim, self._claimed = granted, wanted
                return True
        return False

    def _write_to_memory(self) -> bool:
        """False when the system has no memory left for it, whatever our budget says."""
        try:
            self._write()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM):
                return False
            raise
        return True

    def _write(self) -> None:
        at = self._written
        for pieces in _in_parts(self._pending):
            at = _write_all(self._descriptor, pieces, at)
        self._written, self._pending, self._waiting = at, [], 0

    def _create(self, directory: str) -> None:
        self._store.ledger.make_directories()
        self._path = os.path.join(directory, unfinished_name(self._store.owner, self._dataset, self._partition))
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._path, flags, 0o600)

    def _release(self) -> None:
        self._store.ledger.release(self._claim)
        self._claim = self._claimed = 0

    def _give_up(self, problem: str) -> None:
        self.close()
        self._store.say_once(self._dataset, f"partitions that do not fit are not kept, but computed whenever they are used: {problem}")

    def _unpicklable(self, batch: list[Any], problem: Exception) -> Exception:
        for record in batch:
            try:
                dump_records_apart([record])
            except _UNPICKLABLE as error:
                return UnpicklableOutput("a dataset that is to be cached", f"the record {shorten(record)}", str(error))
        return UnpicklableOutput("a dataset that is to be cached", "a list of records", str(problem))


def _in_parts(pieces: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(pieces), _VECTORS):
        yield pieces[start : start + _VECTORS]


def _write_all(descriptor: int, pieces: list[Any], at: int) -> int:
    """All of the pieces at `at`; where they end."""
    left = [memoryview(piece).cast("B") for piece in pieces if len(memoryview(piece))]
    while left:
        written = os.pwritev(descriptor, left, at)
        at += written
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if left and written:
            left[0] = left[0][written:]
    return at
