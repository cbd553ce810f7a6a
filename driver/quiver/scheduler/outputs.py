"""The map-output table: which output of each map partition of a shuffle is current, and what a lost node or file takes with it."""

from __future__ import annotations

from quiver_proto.ids import NodeId, ShuffleId, TaskId
from quiver_proto.messages import MapOutput


class ShuffleOutputs:
    """One shuffle's outputs, a place for each map partition. At most one output per partition is current."""

    __slots__ = ("_by_node", "absent", "outputs", "released", "shuffle_id")

    def __init__(self, shuffle_id: ShuffleId, width: int) -> None:
        self.shuffle_id = shuffle_id
        self.outputs: list[MapOutput | None] = [None] * width
        self.absent = width
        """How many partitions have no current output."""
        self.released = False
        self._by_node: dict[NodeId, set[int]] = {}

    @property
    def complete(self) -> bool:
        return self.absent == 0

    def missing(self) -> list[int]:
        """Partitions without a current output, ascending."""
        if self.absent == 0:
            return []
        return [index for index, output in enumerate(self.outputs) if output is None]

    def current(self) -> list[MapOutput]:
        """The current outputs in map order; all of them when `complete`."""
        return [output for output in self.outputs if output is not None]

    def add(self, partition: int, output: MapOutput) -> None:
        """Make `output` the current one of `partition`, which has none."""
        assert self.outputs[partition] is None
        self.outputs[partition] = output
        self.absent -= 1
        on_node = self._by_node.get(output.node_id)
        if on_node is None:
            on_node = self._by_node[output.node_id] = set()
        on_node.add(partition)

    def lose(self, partition: int, task_id: TaskId) -> bool:
        """Drop the output that `task_id` made; False (and no change) when it is not the current one."""
        if not 0 <= partition < len(self.outputs):
            return False
        output = self.outputs[partition]
        if output is None or output.task_id != task_id:
            return False
        self._drop(partition, output.node_id)
        return True

    def lose_node(self, node_id: NodeId) -> int:
        """Drop every output on the node; returns how many there were."""
        lost = self._by_node.pop(node_id, None)
        if not lost:
            return 0
        for partition in lost:
            self.outputs[partition] = None
        self.absent += len(lost)
        return len(lost)

    def lose_all(self) -> None:
        """Drop every output."""
        for partition, output in enumerate(self.outputs):
            if output is not None:
                self._drop(partition, output.node_id)

    def _drop(self, partition: int, node_id: NodeId) -> None:
        self.outputs[partition] = None
        self.absent += 1
        on_node = self._by_node[node_id]
        on_node.discard(partition)
        if not on_node:
            del self._by_node[node_id]
