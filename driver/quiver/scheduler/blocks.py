"""Cached blocks: which executor has which, as far as executors have told, and which blocks have fewer copies than their level asks for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from quiver_proto.ids import ExecutorId, NodeId
from quiver_proto.messages import CachedBlock, CacheTable
from quiver_proto.storage import StorageLevel

Block = tuple[int, int]
"""(dataset id, partition)."""

LOOKED_AT = 8
"""Executors that are considered for a replica."""


@dataclass(frozen=True, slots=True)
class StoredDataset:
    """A persisted dataset. `is_only_copy`: its lineage was given up (localCheckpoint), so a lost block can't be made again."""

    dataset_id: int
    name: str
    width: int
    level: StorageLevel
    is_only_copy: bool = False


class StoredSummary(NamedTuple):
    """How much of a dataset is stored: partitions with a block, copies, and bytes of all copies together."""

    partitions: int = 0
    copies: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0


class Copy(NamedTuple):
    """A block on one executor. `told` counts reports: of two copies, the later told has the higher number."""

    block: CachedBlock
    told: int


class BlockTable:
    """Every operation costs what it changes, not what there is."""

    __slots__ = ("_by_executor", "_pending", "_refused", "_ring", "datasets", "partitions", "short", "told")

    def __init__(self) -> None:
        self.datasets: dict[int, StoredDataset] = {}
        """Persisted datasets that some job has used, until they are released."""
        self.partitions: dict[int, dict[int, dict[ExecutorId, Copy]]] = {}
        """By dataset and partition; no empty dictionary inside."""
        self.told = 0
        self._by_executor: dict[ExecutorId, set[Block]] = {}
        self._ring: deque[ExecutorId] = deque()
        """Living executors. Who is asked first for a replica goes round."""
        self._pending: dict[Block, set[ExecutorId]] = {}
        """Replicas that were asked for and not reported yet."""
        self._refused: dict[ExecutorId, set[Block]] = {}
        """Blocks that an executor gave up, or did not take: it is not asked for them again."""
        self.short: dict[Block, None] = {}
        """Blocks with fewer copies than wanted, for which no executor could be found."""

    # ---- what is there ----

    def has(self, block: Block) -> bool:
        return block[1] in self.partitions.get(block[0], ())

    def copies(self, block: Block) -> Mapping[ExecutorId, Copy]:
        return self.partitions.get(block[0], {}).get(block[1], {})

    def table(self, dataset_id: int, partitions: Iterable[int] | None = None) -> CacheTable:
        """All copies of these partitions' blocks, or of all."""
        known = self.partitions.get(dataset_id, {})
        wanted = known if partitions is None else [partition for partition in partitions if partition in known]
        rows = [copy.block for partition in wanted for copy in known[partition].values()]
        return CacheTable(
            dataset_id, [row.partition for row in rows], [row.node_id for row in rows], [row.executor_id for row in rows],
            [row.path for row in rows],
        )  # fmt: skip

    def summary(self, dataset_id: int) -> StoredSummary:
        known = self.partitions.get(dataset_id, {})
        blocks = [copy.block for copies in known.values() for copy in copies.values()]
        return StoredSummary(
            len(known), len(blocks), sum(block.memory_bytes for block in blocks), sum(block.disk_bytes for block in blocks)
        )

    # ---- changes ----

    def add(self, block: CachedBlock) -> None:
        """A copy as it is now: no bytes, neither in memory nor on disk, mean that it is gone."""
        key = block.dataset_id, block.partition
        self._no_longer_pending(key, block.executor_id)
        if not block.memory_bytes and not block.disk_bytes:
            self.remove(key, block.executor_id)
            self._refused.setdefault(block.executor_id, set()).add(key)
            return
        copies = self.partitions.setdefault(block.dataset_id, {}).setdefault(block.partition, {})
        known = copies.get(block.executor_id)
        if known is not None and known.block.path == block.path:
            # Who was told of it before can still find it.
            copies[block.executor_id] = Copy(block, known.told)
            return
        self.told += 1
        copies[block.executor_id] = Copy(block, self.told)
        self._by_executor.setdefault(block.executor_id, set()).add(key)

    def remove(self, key: Block, executor_id: ExecutorId) -> None:
        known = self.partitions.get(key[0])
        copies = known.get(key[1]) if known is not None else None
        if known is None or copies is None or copies.pop(executor_id, None) is None:
            return
        self._by_executor[executor_id].discard(key)
        if not copies:
            del known[key[1]]
            if not known:
                del self.partitions[key[0]]

    def disbelieve(self, key: Block, told: int) -> None:
        """A task that knew of the copies up to the `told`-th report found none of them."""
        for executor_id, copy in list(self.copies(key).items()):
            if copy.told <= told:
                self.remove(key, executor_id)

    def drop_dataset(self, dataset_id: int) -> bool:
        """False when no job has used it."""
        for partition, copies in self.partitions.pop(dataset_id, {}).items():
            for executor_id in copies:
                self._by_executor[executor_id].discard((dataset_id, partition))
        for blocks in self._refused.values():
            blocks -= {key for key in blocks if key[0] == dataset_id}
        for key in [key for key in self._pending if key[0] == dataset_id]:
            del self._pending[key]
        for key in [key for key in self.short if key[0] == dataset_id]:
            del self.short[key]
        return self.datasets.pop(dataset_id, None) is not None

    def executor_added(self, executor_id: ExecutorId) -> None:
        self._ring.append(executor_id)

    def executor_gone(self, executor_id: ExecutorId) -> list[Block]:
        """The blocks that it had a copy of, or was to get one of."""
        if executor_id in self._ring:
            self._ring.remove(executor_id)
        self._refused.pop(executor_id, None)
        lost = sorted(self._by_executor.get(executor_id, ()))
        for key in lost:
            self.remove(key, executor_id)
        self._by_executor.pop(executor_id, None)
        promised = [key for key, targets in self._pending.items() if executor_id in targets]
        for key in promised:
            self._no_longer_pending(key, executor_id)
        return lost + promised

    def _no_longer_pending(self, key: Block, executor_id: ExecutorId) -> None:
        targets = self._pending.get(key)
        if targets is not None:
            targets.discard(executor_id)
            if not targets:
                del self._pending[key]

    # ---- replicas ----

    def missing_copies(self, key: Block) -> int:
        """How many more copies are to be asked for; 0 when there is none to copy from."""
        dataset, copies = self.datasets.get(key[0]), self.copies(key)
        if dataset is None or not copies:
            return 0
        return max(0, dataset.level.replication - len(copies) - len(self._pending.get(key, ())))

    def ask_copy(self, key: Block, node_of: Callable[[ExecutorId], NodeId | None]) -> ExecutorId | None:
        """Choose an executor for one more copy: on a node that has none, if it can be, and with few blocks.

        `node_of` gives None for an executor that is to get nothing. None when no executor is left. Looks at a few only, others each time.
        """
        taken = self.copies(key).keys() | self._pending.get(key, set())
        served = {node_of(executor_id) for executor_id in taken}
        best: ExecutorId | None = None
        best_rank = (True, 0)
        looked = 0
        for executor_id in self._ring:
            node_id = None if executor_id in taken else node_of(executor_id)
            if node_id is None or key in self._refused.get(executor_id, ()):
                continue
            rank = (node_id in served, len(self._by_executor.get(executor_id, ())))
            if best is None or rank < best_rank:
                best, best_rank = executor_id, rank
            looked += 1
            if looked >= LOOKED_AT:
                break
        if best is not None:
            self._ring.rotate(-1)
            self._pending.setdefault(key, set()).add(best)
        return best
