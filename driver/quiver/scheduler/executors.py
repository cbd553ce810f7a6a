"""Executors as the scheduler sees them, and the index that finds one with room without looking at the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from quiver.scheduler.resources import Addresses
from quiver_proto.ids import ExecutorId, NodeId, TaskId

if TYPE_CHECKING:
    from quiver.scheduler.stages import StageRun

TaskRecord = tuple["StageRun", int, int, int]
"""An attempt that an executor holds: its stage attempt, its partition, its number within them, and the cores it keeps from queueing."""


class Executor:
    """One executor. `free` counts cores; below zero it is what waits in the executor's own queue.

    `held` are cores taken by tasks not known to be short: nothing is queued behind them.
    `tasks` are in launch order, which is the order in which the executor starts them. A task of an attempt that is over stays here,
    with its cores, until its end is reported: a killed task may take a while to die.
    """

    __slots__ = (
        "addresses", "cores", "draining", "free", "held", "id", "level", "memory_bytes", "node_id", "reported_at", "reserved", "tasks",
    )  # fmt: skip

    def __init__(
        self,
        executor_id: ExecutorId,
        node_id: NodeId,
        cores: int,
        memory_bytes: int = 0,
        resources: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.memory_bytes = memory_bytes
        self.addresses = Addresses(resources or {})
        self.id = executor_id
        self.node_id = node_id
        self.cores = cores
        self.free = cores
        self.held = 0
        self.draining = False
        self.level: int | None = None
        self.reserved: StageRun | None = None
        """The attempt that it is being emptied for."""
        self.reported_at = 0.0
        self.tasks: dict[TaskId, TaskRecord] = {}

    def room_for(self, cores: int, queue: int) -> int:
        """How many tasks of `cores` each it can take, when `queue` tasks may wait per slot that serves short tasks."""
        if self.draining or self.reserved is not None:
            return 0
        if self.free >= cores:
            return self.free // cores
        if cores > 1 or queue == 0:
            return 0
        return max(0, queue * (self.cores - self.held) + self.free)


class Rooms:
    """Executors by how much they can take, in buckets: level n > 0 has n free cores, level -d has d tasks queued per short slot.

    Level 0 is full with an empty (or almost empty) queue. In no bucket are executors that may get nothing: draining, reserved, or every
    core held by a task not known to be short. Operations are O(1); emptying the top level costs the number of levels in use.
    """

    __slots__ = ("_lowest", "buckets", "overfull", "top")

    def __init__(self, max_queue_per_slot: int) -> None:
        self._lowest = -max_queue_per_slot - 1
        self.top = self._lowest
        """The highest level that has an executor; a large negative number when none has."""
        self.buckets: dict[int, dict[Executor, None]] = {}
        """No bucket is empty."""
        self.overfull: dict[Executor, None] = {}
        """Executors with tasks in their queue."""

    def take(self, level: int) -> Executor:
        """Some executor of this level, out of the index until `settle` puts it back."""
        bucket = self.buckets[level]
        executor = bucket.popitem()[0]
        executor.level = None
        if not bucket:
            self._drop(level)
        return executor

    def _leave(self, executor: Executor, level: int) -> None:
        executor.level = None
        bucket = self.buckets[level]
        del bucket[executor]
        if not bucket:
            self._drop(level)

    def _drop(self, level: int) -> None:
        del self.buckets[level]
        if level == self.top:
            self.top = max(self.buckets, default=self._lowest)

    def settle(self, executor: Executor) -> None:
        """Put the executor where its free cores say. Call after every change to `free`, `held`, `draining` or `reserved`."""
        free = executor.free
        level: int | None
        if free > 0:
            level = free
        else:
            open_cores = executor.cores - executor.held
            level = -(-free // open_cores) if open_cores > 0 else None
        if executor.draining or executor.reserved is not None:
            level = None
        if free < 0 and not executor.draining:
            self.overfull[executor] = None
        else:
            self.overfull.pop(executor, None)
        old = executor.level
        if level == old:
            return
        if old is not None:
            self._leave(executor, old)
        executor.level = level
        if level is None:
            return
        bucket = self.buckets.get(level)
        if bucket is None:
            self.buckets[level] = {executor: None}
            if level > self.top:
                self.top = level
        else:
            bucket[executor] = None

    def remove(self, executor: Executor) -> None:
        if executor.level is not None:
            self._leave(executor, executor.level)
        self.overfull.pop(executor, None)

    def count(self, cores: int) -> int:
        """How many executors have at least `cores` free."""
        return sum(len(bucket) for level, bucket in self.buckets.items() if level >= cores)

    def with_room(self, cores: int) -> Iterator[Executor]:
        """Those with at least `cores` free, the ones with most first. Nothing may be settled meanwhile."""
        for level in sorted(self.buckets, reverse=True):
            if level < cores:
                return
            yield from self.buckets[level]

    def slots(self, cores: int) -> int:
        """How many tasks of `cores` each could start now."""
        return sum(level // cores * len(bucket) for level, bucket in self.buckets.items() if level >= cores)

    def free_cores(self) -> int:
        return sum(level * len(bucket) for level, bucket in self.buckets.items() if level > 0)
