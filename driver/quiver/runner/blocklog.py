"""Cached blocks in the event log: what changes within one moment of writing is one line an executor, however often it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from quiver.eventlog import EventLog
from quiver.scheduler.blocks import StoredDataset
from quiver.scheduler.model import StageSpec
from quiver_proto import events as e
from quiver_proto.messages import CachedBlock


class BlockLog:
    """For the thread that runs the engine."""

    def __init__(self, events: EventLog, wall_clock: Callable[[], float]) -> None:
        self._events = events
        self._wall_clock = wall_clock
        self._told: dict[int, StoredDataset] = {}
        self._changes: dict[str, dict[tuple[int, int], tuple[int, int]]] = {}
        """Not yet written: by executor and block, bytes in memory and on disk."""

    def used(self, stages: Iterable[StageSpec]) -> None:
        """A job needs these stages: tell of their persisted datasets, each once."""
        for stage in stages:
            if stage.caching is None:
                continue
            for dataset in stage.caching.datasets:
                if self._told.get(dataset.dataset_id) != dataset:
                    self._told[dataset.dataset_id] = dataset
                    self._events.append(
                        e.DatasetPersisted(self._wall_clock(), dataset.dataset_id, dataset.name, dataset.width, str(dataset.level))
                    )

    def changed(self, executor_id: str, blocks: Sequence[CachedBlock]) -> None:
        """Called only with blocks."""
        is_first = executor_id not in self._changes
        changes = self._changes.setdefault(executor_id, {})
        for block in blocks:
            changes[block.dataset_id, block.partition] = block.memory_bytes, block.disk_bytes
        if is_first:
            at = self._wall_clock()
            self._events.append(lambda: self._event(executor_id, at))

    def dropped(self, dataset_id: int) -> None:
        """The dataset was unpersisted."""
        if self._told.pop(dataset_id, None) is not None:
            self._events.append(e.DatasetUnpersisted(self._wall_clock(), dataset_id))

    def _event(self, executor_id: str, at: float) -> e.BlocksUpdated:
        changes = self._changes.pop(executor_id)
        datasets, partitions = zip(*changes, strict=True)
        memory, disk = zip(*changes.values(), strict=True)
        return e.BlocksUpdated(at, executor_id, datasets, partitions, memory, disk)
