"""The supervisor's part in caching: what is dropped, what a dead slot left, replicas, and what the driver is told of changes.

Slots store, evict and move blocks by themselves; the ledger says what changed. It is made when the first stage with a cache comes, so an
executor whose application caches nothing has none of this.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from quiver_executor.block_store import SUPERVISOR, BlockStore
from quiver_executor.cached_paths import remove_all
from quiver_executor.disk import remove_quietly
from quiver_executor.environment import SlotEnvironment
from quiver_executor.executor_config import ExecutorConfig
from quiver_executor.replica import fetch_replica
from quiver_executor.store_ledger import ChangesPeek, Held
from quiver_executor.warm_slots import WarmSlots
from quiver_proto.ids import ExecutorId
from quiver_proto.messages import BlocksChanged, CachedBlock, FromExecutor, ReplicateBlock

log = logging.getLogger("quiver.executor")


class ExecutorStorage:
    """All methods are the loop's thread's. Whatever may have to wait, for a slot or the disk, is done by one thread of its own, in order.

    `report` is called in the loop's thread.
    """

    def __init__(
        self, config: ExecutorConfig, call_soon: Callable[[Callable[[], None]], object], report: Callable[[FromExecutor], None]
    ) -> None:
        self._config = config
        self._call_soon = call_soon
        self._report = report
        self._store = BlockStore(environment_of(config), SUPERVISOR)
        self._changes = ChangesPeek(self._store.ledger.memory_dir)
        self._thread = ThreadPoolExecutor(1, "quiver-storage")
        self._closed = False
        self.warm = WarmSlots()

    def tasks_ended(self, stored: Iterable[CachedBlock] = ()) -> None:
        """To be called when the ends of tasks that stored these blocks, or may have evicted others, have been reported."""
        blocks = tuple(stored)
        if blocks or self._changes:
            self._later(self._take_changes, blocks)

    def slot_died(self, serial: int, slot: int) -> None:
        self.warm.slot_died(slot)
        self._later(self._recover, serial, slot)

    def remove_dataset(self, dataset_id: int) -> None:
        self._later(self._remove_dataset, dataset_id)

    def replicate(self, message: ReplicateBlock) -> None:
        """Get a copy; how that ended is reported in any case."""
        self._later(self._replicate, message)

    def close(self) -> None:
        """Delete everything. When the slots have ended."""
        self._closed = True
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._store.close()
        self._changes.close()
        remove_all(self._config.memory_dir, self._config.blocks_dir, self._config.executor_id)

    # ---- in the thread ----

    def _later(self, work: Callable[..., None], *arguments: Any) -> None:
        if not self._closed:
            self._thread.submit(self._do, work, arguments)

    def _do(self, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        try:
            work(*arguments)
        except Exception as error:
            # What is not told now is found out by a task that misses.
            log.warning("cached blocks of executor %s: %s", self._config.executor_id, error)

    def _take_changes(self, stored: tuple[CachedBlock, ...] = ()) -> None:
        self._tell(self._store.take_changes(stored))

    def _recover(self, serial: int, slot: int) -> None:
        self._store.ledger.recover(serial, slot)
        self._take_changes()

    def _remove_dataset(self, dataset_id: int) -> None:
        for path in self._store.ledger.remove_dataset(dataset_id):
            remove_quietly(path)

    def _replicate(self, message: ReplicateBlock) -> None:
        wanted = message.block
        block: CachedBlock | None = None
        try:
            block = fetch_replica(self._store, message)
        except Exception as error:
            log.warning("no copy of cached partition %d of dataset %d was made: %s", wanted.partition, wanted.dataset_id, error)
        self._tell([block or self._store.as_block(Held(wanted.dataset_id, wanted.partition, "", 0, 0, 0, -1))])
        self._take_changes()

    def _tell(self, blocks: list[CachedBlock]) -> None:
        if blocks:
            self._call_soon(lambda: self._told(BlocksChanged(ExecutorId(self._config.executor_id), blocks)))

    def _told(self, message: BlocksChanged) -> None:
        if not self._closed:
            self._report(message)


def environment_of(config: ExecutorConfig) -> SlotEnvironment:
    """The supervisor's own surroundings, as those of a slot: it spills nothing and has no live objects."""
    return SlotEnvironment(
        application_id=config.application_id,
        executor_id=config.executor_id,
        node_id=config.node_id,
        slot=-1,
        blocks_dir=config.blocks_dir,
        scratch_dir=os.path.join(config.blocks_dir, ".scratch"),
        memory_bytes=config.memory_bytes // config.cores,
        token=config.token,
        tls_ca=config.tls_ca,
        quota_bytes=config.quota_bytes,
        memory_dir=config.memory_dir,
        storage_bytes=config.storage_bytes,
        eviction=config.eviction,
    )
