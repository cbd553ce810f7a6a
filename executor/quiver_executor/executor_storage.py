"""The supervisor's part in caching: what is dropped, what a dead slot left, replicas, and what the driver is told of changes.

Slots store, evict and move blocks by themselves; the ledger says what changed. It is made when the first stage with a cache comes, so an
executor whose application caches nothing has none of this.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from quiver_executor.block_store import SUPERVISOR, BlockStore
from quiver_executor.cached_paths import remove_all
from quiver_executor.disk import remove_quietly
from quiver_executor.environment import SlotEnvironment
from quiver_executor.executor_config import ExecutorConfig
from quiver_executor.replica import fetch_replica
from quiver_executor.store_ledger import Held
from quiver_executor.warm_slots import WarmSlots
from quiver_proto.ids import ExecutorId
from quiver_proto.messages import BlocksChanged, CachedBlock, FromExecutor, ReplicateBlock

log = logging.getLogger("quiver.executor")


class ExecutorStorage:
    """All methods are the loop's thread's; what takes long is done by one thread of its own. `report` is called in the loop's thread."""

    def __init__(self, config: ExecutorConfig, call_soon: Callable[[Callable[[], None]], object], report: Callable[[FromExecutor], None]):
        self._config = config
        self._call_soon = call_soon
        self._report = report
        self._store = BlockStore(environment_of(config), SUPERVISOR)
        self._thread = ThreadPoolExecutor(1, "quiver-storage")
        self._closed = False
        self.warm = WarmSlots()

    def tasks_ended(self, stored: Iterable[CachedBlock] = ()) -> None:
        """To be called when the ends of tasks that stored these blocks, or may have evicted others, have been reported."""
        changed = self._store.take_changes(stored)
        if changed and not self._closed:
            self._report(BlocksChanged(ExecutorId(self._config.executor_id), changed))

    def slot_died(self, slot: int) -> None:
        self.warm.slot_died(slot)
        self._store.ledger.recover(slot)
        self.tasks_ended()

    def remove_dataset(self, dataset_id: int) -> None:
        paths = self._store.ledger.remove_dataset(dataset_id)
        # Unlinking gigabytes takes a while.
        self._thread.submit(_remove_files, paths)

    def replicate(self, message: ReplicateBlock) -> None:
        """Get a copy; how that ended is reported in any case."""
        self._thread.submit(self._replicate, message)

    def close(self) -> None:
        """Delete everything."""
        self._closed = True
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._store.close()
        remove_all(self._config.memory_dir, self._config.blocks_dir, self._config.executor_id)

    def _replicate(self, message: ReplicateBlock) -> None:
        wanted = message.block
        try:
            kept = fetch_replica(self._store, message)
        except Exception as error:
            log.warning("no copy of cached partition %d of dataset %d was made: %s", wanted.partition, wanted.dataset_id, error)
            kept = None
        block = kept or self._store.as_block(Held(wanted.dataset_id, wanted.partition, "", 0, 0, 0, -1))
        self._call_soon(lambda: self._replicated(block))

    def _replicated(self, block: CachedBlock) -> None:
        if not self._closed:
            self._report(BlocksChanged(ExecutorId(self._config.executor_id), (block,)))
            self.tasks_ended([block] if block.memory_bytes or block.disk_bytes else ())


def _remove_files(paths: list[str]) -> None:
    for path in paths:
        remove_quietly(path)


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
