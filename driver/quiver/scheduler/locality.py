"""Delay scheduling: which partitions want to be where, and for how long they hold out for it.

Levels as in Spark: executor (1; a preferred slot counts as its executor), node (2), any (3). A stage begins at the closest level at which
it has pending partitions. It moves out by one when nothing is pending there, or when it has launched nothing for the wait of one level
while there was room elsewhere; a launch at a closer level brings it back there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from quiver.scheduler.executors import Executor
from quiver.scheduler.model import Preference
from quiver_proto.ids import ExecutorId, NodeId

EXECUTOR, NODE, ANY = 1, 2, 3
_HAS_EXECUTOR, _HAS_NODE = 1, 2


class Nearby:
    """Pending partitions of one stage attempt that have a preference. Taking and adding are O(preferences) each, amortised."""

    __slots__ = (
        "_everything", "_preferred", "_with_executor", "_with_node", "by_executor", "by_node", "left", "level", "passed", "scanned",
        "since",
    )  # fmt: skip

    def __init__(self, preferred: Mapping[int, tuple[Preference, ...]]) -> None:
        self._preferred = preferred
        self.left: dict[int, int] = {}
        """Pending partitions, each with the levels at which some living place wants it."""
        self._with_executor = 0
        self._with_node = 0
        self.by_executor: dict[ExecutorId, list[int]] = {}
        self.by_node: dict[NodeId, list[int]] = {}
        self._everything: list[int] = []
        self.level = EXECUTOR
        self.since: float | None = None
        """When it last launched, or was first offered room."""
        self.scanned = 0
        """Up to this level every executor with room has been looked at; only those that changed need another look."""
        self.passed = -1
        """The last launching pass in which it had its turn."""

    def add(self, partition: int, executors: Collection[ExecutorId], nodes: Collection[NodeId]) -> None:
        """Make a partition pending. `executors` and `nodes` are those alive."""
        for preference in self._preferred[partition]:
            if preference.executor_id is not None and preference.executor_id in executors:
                self.by_executor.setdefault(preference.executor_id, []).append(partition)
            self.by_node.setdefault(preference.node_id, []).append(partition)
        self._everything.append(partition)
        self._mark(partition, executors, nodes)
        self.scanned = 0

    def _mark(self, partition: int, executors: Collection[ExecutorId], nodes: Collection[NodeId]) -> None:
        self._unmark(self.left.get(partition, 0))
        mask = 0
        for preference in self._preferred[partition]:
            if preference.executor_id is not None and preference.executor_id in executors:
                mask |= _HAS_EXECUTOR
            if preference.node_id in nodes:
                mask |= _HAS_NODE
        self.left[partition] = mask
        self._with_executor += mask & _HAS_EXECUTOR
        self._with_node += mask >> 1

    def _unmark(self, mask: int) -> None:
        self._with_executor -= mask & _HAS_EXECUTOR
        self._with_node -= mask >> 1

    def executor_gone(self, executor_id: ExecutorId, executors: Collection[ExecutorId], nodes: Collection[NodeId]) -> None:
        for partition in self.by_executor.pop(executor_id, ()):
            if partition in self.left:
                self._mark(partition, executors, nodes)

    def node_changed(self, node_id: NodeId, executors: Collection[ExecutorId], nodes: Collection[NodeId]) -> None:
        """The node got its first executor, or lost its last."""
        for partition in self.by_node.get(node_id, ()):
            if partition in self.left:
                self._mark(partition, executors, nodes)
        self.scanned = 0

    def allowed(self, now: float, wait: float) -> int:
        """The farthest level at which a task may be launched now."""
        if self.since is None:
            self.since = now
        while self.level < ANY:
            if not (self._with_executor if self.level == EXECUTOR else self._with_node):
                self.level += 1
                self.since = now
            elif now >= self.since + wait:
                self.level += 1
                self.since += wait
            else:
                break
        return self.level

    def launched(self, level: int, now: float) -> None:
        self.level = level
        self.since = now

    def take(self, executor_id: ExecutorId, node_id: NodeId, level: int, count: int) -> list[int]:
        """Up to `count` partitions that this executor may run at exactly this level."""
        if level == EXECUTOR:
            return self._pop(self.by_executor.get(executor_id), count)
        if level == NODE:
            return self._pop(self.by_node.get(node_id), count)
        return self._pop(self._everything, count)

    def take_all(self) -> list[int]:
        """All that is pending."""
        return self._pop(self._everything, len(self.left))

    def wants(self, level: int) -> bool:
        """Whether a pending partition has a living place at this level."""
        return (self._with_executor if level == EXECUTOR else self._with_node) > 0

    def candidates(
        self, level: int, executors: Mapping[ExecutorId, Executor], nodes: Mapping[NodeId, Mapping[Executor, None]]
    ) -> list[Executor]:
        """Living executors at the places that pending partitions want."""
        if level == EXECUTOR:
            return [executors[place] for place, pending in self.by_executor.items() if pending and place in executors]
        return [executor for place, pending in self.by_node.items() if pending for executor in nodes.get(place, ())]

    def _pop(self, pending: list[int] | None, count: int) -> list[int]:
        taken: list[int] = []
        left = self.left
        while pending and len(taken) < count:
            partition = pending.pop()
            mask = left.pop(partition, None)
            if mask is not None:
                self._unmark(mask)
                taken.append(partition)
        return taken
