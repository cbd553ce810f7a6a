"""Cached datasets as the log tells them: which executor has which partition, in memory and on disk. Pure, as the fold that feeds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from quiver_proto import events as e


class Held(NamedTuple):
    """Bytes of one cached partition on one executor."""

    memory_bytes: int
    disk_bytes: int


@dataclass(slots=True)
class Usage:
    """Blocks, and their bytes together."""

    blocks: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0

    def add(self, held: Held, sign: int) -> None:
        self.blocks += sign
        self.memory_bytes += sign * held.memory_bytes
        self.disk_bytes += sign * held.disk_bytes


@dataclass(slots=True)
class StoredDataset:
    """`partitions` by number, each with the executors that hold it. `usage` counts every copy."""

    dataset_id: int
    name: str
    width: int
    level: str
    partitions: dict[int, dict[str, Held]] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    by_executor: dict[str, Usage] = field(default_factory=dict)

    @property
    def fraction(self) -> float:
        """Of its partitions, how many are cached: 0 to 1."""
        return len(self.partitions) / self.width if self.width else 1.0


class Storage:
    """`datasets` are those persisted now, in the order in which jobs first used them. At most `limit` blocks are known at a time; what
    comes beyond is only counted, in `unknown`."""

    def __init__(self, limit: int) -> None:
        self.datasets: dict[int, StoredDataset] = {}
        self.unknown = 0
        self.total = Usage()
        self._limit = limit
        self._executors: dict[str, Usage] = {}
        self._blocks: dict[str, set[tuple[int, int]]] = {}

    def on(self, executor_id: str) -> Usage:
        """What one executor holds."""
        return self._executors.get(executor_id) or Usage()

    def persisted(self, event: e.DatasetPersisted) -> None:
        known = self.datasets.get(event.dataset_id)
        if known is None:
            self.datasets[event.dataset_id] = StoredDataset(event.dataset_id, event.name, event.width, event.level)
        else:
            known.name, known.level = event.name, event.level

    def unpersisted(self, dataset_id: int) -> None:
        dataset = self.datasets.get(dataset_id)
        if dataset is None:
            return
        for partition, copies in list(dataset.partitions.items()):
            for executor_id in list(copies):
                self._set(dataset, partition, executor_id, None)
        del self.datasets[dataset_id]

    def updated(self, event: e.BlocksUpdated) -> None:
        rows = zip(event.dataset_ids, event.partitions, event.memory_bytes, event.disk_bytes, strict=True)
        for dataset_id, partition, memory, disk in rows:
            dataset = self.datasets.get(dataset_id)
            if dataset is not None:
                self._set(dataset, partition, event.executor_id, Held(memory, disk) if memory or disk else None)

    def executor_gone(self, executor_id: str) -> None:
        for dataset_id, partition in list(self._blocks.get(executor_id, ())):
            self._set(self.datasets[dataset_id], partition, executor_id, None)
        self._blocks.pop(executor_id, None)
        self._executors.pop(executor_id, None)

    def _set(self, dataset: StoredDataset, partition: int, executor_id: str, held: Held | None) -> None:
        copies = dataset.partitions.get(partition, {})
        before = copies.get(executor_id)
        if before == held:
            return
        if before is None and self.total.blocks >= self._limit:
            self.unknown += 1
            return
        usages = (
            self.total,
            dataset.usage,
            dataset.by_executor.setdefault(executor_id, Usage()),
            self._executors.setdefault(executor_id, Usage()),
        )
        for usage in usages:
            if before is not None:
                usage.add(before, -1)
            if held is not None:
                usage.add(held, 1)
        key = dataset.dataset_id, partition
        if held is None:
            del copies[executor_id]
            self._blocks[executor_id].discard(key)
            if not copies:
                del dataset.partitions[partition]
            if not dataset.by_executor[executor_id].blocks:
                del dataset.by_executor[executor_id]
        else:
            dataset.partitions.setdefault(partition, copies)[executor_id] = held
            self._blocks.setdefault(executor_id, set()).add(key)
