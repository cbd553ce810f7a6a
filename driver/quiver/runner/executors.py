"""The executors that an engine sends to: their links, where their nodes serve blocks, and which stages each knows."""

from __future__ import annotations

from collections.abc import Callable

from quiver.eventlog import EventLog
from quiver.runner.links import ExecutorLink
from quiver_proto import events as e
from quiver_proto.ids import ExecutorId, NodeId, StageId
from quiver_proto.messages import AddStage, ExecutorHeartbeat, ForgetStage, ToExecutor

_SAMPLED_EVERY_S = 1.0


class Executors:
    """Not thread-safe, but for the reading of `links`. What is sent to an executor that has gone is dropped.

    `wall_clock` is Unix seconds for events.
    """

    def __init__(self, events: EventLog, wall_clock: Callable[[], float]) -> None:
        self.links: dict[ExecutorId, ExecutorLink] = {}
        self.block_servers: dict[str, str] = {}
        """By node id."""
        self._events = events
        self._wall_clock = wall_clock
        self._described: dict[tuple[StageId, int], set[ExecutorId]] = {}
        """Who knows a stage attempt."""
        self._sampled: dict[ExecutorId, float] = {}

    def add(self, link: ExecutorLink) -> None:
        self.links[link.executor_id] = link
        if link.block_server:
            self.block_servers[link.node_id] = link.block_server
        self._events.append(
            e.ExecutorAdded(
                self._wall_clock(), link.executor_id, link.node_id, link.host, link.cores, link.memory_bytes, link.pid, link.log_dir
            )
        )

    def drop(self, executor_id: ExecutorId, reason: str) -> None:
        """Close its link, if there is one."""
        self._sampled.pop(executor_id, None)
        if (link := self.links.pop(executor_id, None)) is not None:
            link.close()
            self._events.append(e.ExecutorRemoved(self._wall_clock(), executor_id, reason))

    def on_node(self, node_id: NodeId) -> list[ExecutorId]:
        return [link.executor_id for link in self.links.values() if link.node_id == node_id]

    def close(self) -> None:
        """Let go of all of them."""
        for link in list(self.links.values()):
            link.close()
        self.links.clear()

    def heard(self, beat: ExecutorHeartbeat) -> None:
        """A heartbeat; one a second is told to the event log."""
        now = self._wall_clock()
        if beat.executor_id in self.links and now - self._sampled.get(beat.executor_id, 0.0) >= _SAMPLED_EVERY_S:
            self._sampled[beat.executor_id] = now
            self._events.append(e.ExecutorSampled(now, beat.executor_id, beat.rss_bytes, beat.running_tasks, beat.queued_tasks))

    def send(self, executor_id: ExecutorId, message: ToExecutor) -> None:
        if (link := self.links.get(executor_id)) is not None:
            link.send(message)

    def send_to_all(self, message: ToExecutor) -> None:
        for link in self.links.values():
            link.send(message)

    def describe(self, executor_id: ExecutorId, stage: AddStage) -> bool:
        """Send a stage attempt, once. Whether it was sent now."""
        described = self._described.setdefault((stage.stage_id, stage.stage_attempt), set())
        if executor_id in described:
            return False
        described.add(executor_id)
        self.send(executor_id, stage)
        return True

    def send_to_stage(self, stage_id: StageId, stage_attempt: int, message: ToExecutor) -> None:
        """Send to all that know the stage attempt."""
        for executor_id in self._described.get((stage_id, stage_attempt), ()):
            self.send(executor_id, message)

    def forget_stage(self, stage_id: StageId, stage_attempt: int) -> None:
        self.send_to_stage(stage_id, stage_attempt, ForgetStage(stage_id, stage_attempt))
        self._described.pop((stage_id, stage_attempt), None)

    def address(self, executor_id: ExecutorId) -> str:
        """`host:port` of its block server, or its host with port 0; "" when it is gone."""
        link = self.links.get(executor_id)
        return "" if link is None else link.block_server or f"{link.host}:0"

    def most_cores(self) -> int:
        """Of the largest executor; 0 when there is none. Any thread."""
        return max((link.cores for link in list(self.links.values())), default=0)
