"""An executor's cached blocks, as one of its processes sees them: written, found, evicted, moved to disk.

The memory tier is files in a directory in shared memory, the disk tier files below the application's blocks, which count against its
quota. Each executor has a directory of its own in both; they end with it.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterable
from typing import IO, Final

from quiver_executor.block_writer import BlockWriter
from quiver_executor.cached_block import Block, open_file, open_mapped
from quiver_executor.cached_paths import disk_directory, memory_directory, remove_all
from quiver_executor.disk import claim, explained, remove_quietly
from quiver_executor.environment import SlotEnvironment
from quiver_executor.live_objects import LiveObjects
from quiver_executor.store_ledger import Held, StoreLedger, unfinished_name
from quiver_proto.errors import BlockCorrupt, StorageError
from quiver_proto.ids import ExecutorId, NodeId
from quiver_proto.messages import CachedBlock
from quiver_proto.storage import StorageLevel

_ATTEMPTS = 8
SUPERVISOR: Final = -2
"""The owner of what the supervisor itself stores."""

_log = logging.getLogger("quiver.executor")


def create(path: str) -> IO[bytes]:
    """A new file, for us alone, unbuffered."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    return open(os.open(path, flags, 0o600), "r+b", buffering=0)


def copy(source: int, target: int, size: int) -> None:
    """All of one open file to the start of another. Raises OSError, also when there are fewer than `size` bytes."""
    done = 0
    while done < size:
        got = os.sendfile(target, source, done, size - done)
        if not got:
            raise OSError(errno.EIO, "the file is shorter than it was")
        done += got


class BlockStore:
    """`owner` is the slot process's serial number, or SUPERVISOR.

    What can't be had of ledger and files costs what caching would have saved, and a word in the log, never a task.
    """

    def __init__(self, env: SlotEnvironment, owner: int | None = None) -> None:
        self.env = env
        self.owner = env.serial if owner is None else owner
        self.ledger = StoreLedger(
            memory_directory(env.memory_dir, env.blocks_dir, env.executor_id),
            disk_directory(env.blocks_dir, env.executor_id),
            env.storage_bytes,
            "cost" if env.eviction == "cost" else "lru",
        )
        self._live_claim = 0
        self.live = LiveObjects(env.live_bytes, self._claim_live)
        self._told: set[tuple[int, str]] = set()

    # ---- reading ----

    def open(self, dataset: int, partition: int) -> tuple[Held, Block] | None:
        """The block of a partition that this executor has. One that can't be read is dropped, with a word in the log."""
        try:
            held = self.ledger.find(dataset, partition)
            return None if held is None else self._opened(held)
        except OSError as error:
            self.say_once(dataset, f"cached partitions can't be looked for: {error}")
            return None

    def touch(self, dataset: int, partition: int) -> None:
        """The block was used, without being read."""
        try:
            self.ledger.find(dataset, partition)
        except OSError as error:
            self.say_once(dataset, f"cached partitions can't be looked for: {error}")

    def _opened(self, held: Held) -> tuple[Held, Block] | None:
        dataset, partition = held.dataset, held.partition
        for again in (True, False):
            try:
                if held.memory_bytes:
                    return held, open_mapped(self.ledger.memory_path(held.name))
                return held, open_file(self.ledger.disk_path(held.name))
            except (OSError, BlockCorrupt) as error:
                # It may have been moved or replaced since the ledger was asked.
                now = self.ledger.look(dataset, partition)
                if now is None:
                    return None
                if not again or (now.name, now.memory_bytes) == (held.name, held.memory_bytes):
                    self.unreadable(now, error)
                    return None
                held = now
        return None

    def unreadable(self, held: Held, problem: Exception) -> None:
        _log.warning("cached partition %d of dataset %d can't be read and is dropped: %s", held.partition, held.dataset, problem)
        try:
            self.ledger.drop(held.dataset, held.partition, held.name)
        except OSError as error_too:
            self.say_once(held.dataset, f"nor can it be dropped: {error_too}")

    def as_block(self, held: Held) -> CachedBlock:
        """What the driver is told of it."""
        env = self.env
        path = self.ledger.path(held) if held.memory_bytes or held.disk_bytes else ""
        return CachedBlock(
            held.dataset, held.partition, NodeId(env.node_id), ExecutorId(env.executor_id), held.slot, path, held.memory_bytes,
            held.disk_bytes, held.records,
        )  # fmt: skip

    def take_changes(self, stored: Iterable[CachedBlock] = ()) -> list[CachedBlock]:
        """What was moved or evicted since the last call, as it is now. `stored` are blocks that the driver was told of just now.

        Raises OSError.
        """
        changes = {(held.dataset, held.partition): held for held in self.ledger.take_changes()}
        for block in stored:
            # Told late, at its task's end: it may have been evicted or moved since, and that been told before.
            key = block.dataset_id, block.partition
            now = self.ledger.look(*key)
            if now is None:
                changes[key] = Held(*key, "", 0, 0, 0, -1)
            elif (now.memory_bytes, now.disk_bytes) != (block.memory_bytes, block.disk_bytes):
                changes[key] = now
        return [self.as_block(held) for held in changes.values()]

    # ---- writing ----

    def writer(self, dataset: int, partition: int, level: StorageLevel) -> BlockWriter:
        return BlockWriter(self, dataset, partition, level.useMemory or level.useOffHeap, level.useDisk)

    def free_room(self, claimed: int, size: int, dataset: int, value: float) -> int:
        """As `room`, but nothing has to go."""
        return self.ledger.claim_free(claimed, self.owner, size)

    def room(self, claimed: int, size: int, dataset: int, value: float) -> int:
        """Make a claim (0: a new one) `size` bytes large, evicting and moving blocks for it; its id, 0 when there is no such room."""
        ledger = self.ledger
        # They only save decoding, and what they hold is the very memory that is short.
        self.live.clear()
        for _ in range(_ATTEMPTS):
            room = ledger.grow(claimed, self.owner, size, dataset, value)
            if room.claim or not room.moves:
                return room.claim
            for held in room.moves:
                ledger.moved(held, self._copy_to_disk(held))
        return 0

    def say_once(self, dataset: int, what: str) -> None:
        if (dataset, what) not in self._told:
            self._told.add((dataset, what))
            _log.warning("dataset %d: %s", dataset, what)

    def _copy_to_disk(self, held: Held) -> str:
        """An unfinished file on disk with the content of a block in memory; "" when it can't be had."""
        path = self.ledger.disk_path(unfinished_name(self.owner, held.dataset, held.partition))
        try:
            with explained(self.env, path), open(self.ledger.memory_path(held.name), "rb", buffering=0) as source, create(path) as file:
                claim(self.env, held.memory_bytes, file.fileno())
                copy(source.fileno(), file.fileno(), held.memory_bytes)
        except (OSError, StorageError) as error:
            remove_quietly(path)
            self.say_once(held.dataset, f"cached partitions that have to leave memory are dropped, not moved to disk: {error}")
            return ""
        return path

    def _claim_live(self, size: int) -> bool:
        try:
            if size == 0:
                claim, self._live_claim = self._live_claim, 0
                self.ledger.release(claim)
                return True
            granted = self.ledger.claim_free(self._live_claim, self.owner, size)
        except OSError:
            return size == 0
        self._live_claim = granted or self._live_claim
        return bool(granted)

    def close(self) -> None:
        self.ledger.close()


_stores: dict[tuple[str, str, int], BlockStore] = {}
_stores_pid = 0


def store_of(env: SlotEnvironment) -> BlockStore:
    """This process's store of that executor. A forked child makes its own."""
    global _stores_pid
    if _stores_pid != os.getpid():
        _stores_pid = os.getpid()
        _stores.clear()
    key = _key(env)
    store = _stores.get(key)
    if store is None:
        store = _stores[key] = BlockStore(env)
    return store


def remove_dataset(env: SlotEnvironment, dataset: int) -> None:
    """Drop a dataset's blocks and live objects, where slot and supervisor are one process."""
    store = _stores.get(_key(env))
    if store is not None and _stores_pid == os.getpid():
        store.live.drop(dataset)
        try:
            for path in store.ledger.remove_dataset(dataset):
                remove_quietly(path)
        except OSError as error:
            store.say_once(dataset, f"its cached partitions can't be removed: {error}")


def close_store(env: SlotEnvironment) -> None:
    """Let go of the store and delete its blocks. Doing it again does nothing."""
    store = _stores.pop(_key(env), None)
    if store is not None and _stores_pid == os.getpid():
        store.close()
        remove_all(env.memory_dir, env.blocks_dir, env.executor_id)


def _key(env: SlotEnvironment) -> tuple[str, str, int]:
    return env.blocks_dir, env.executor_id, env.slot


def forget_live(dataset: int) -> None:
    """Drop this process's live objects of a dataset."""
    if _stores_pid == os.getpid():
        for store in _stores.values():
            store.live.drop(dataset)
