"""What the manager knows, what can happen to it, and what it can do: plain data, no decisions.

    node         alive ──drain──▶ draining        recovering ──registers──▶ alive     (any) ──silent, refused, replaced──▶ gone
    executor     launching ──ready──▶ running ──released, application over──▶ stopping     (any) ──exited, node gone──▶ gone
    application  recovering ──heard of──▶ live    (any) ──unregistered, silent──▶ gone

After a restart, nodes and applications from the journal are *recovering* until they are heard of, for `Policy.recovery_s` at most.
Times named `_at` or `last_` are monotonic seconds of this process, and are not journalled; `started_at` is Unix time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, TypeVar

from quiver_proto import cluster as c
from quiver_proto.ids import ApplicationId, ExecutorId, JobId, NodeId, StageId


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits, in counts and seconds."""

    heartbeat_interval_s: float = 1.0
    """How often nodes and drivers are told to give a sign of life."""
    node_timeout_s: float = 15.0
    """A node silent for this long is lost. One whose port refuses connections is lost as soon as two heartbeats are missing."""
    application_timeout_s: float = 10.0
    """A driver without an open watch stream and silent for this long is gone. (The stream breaks when its process ends, not when
    its threads wait for the GIL.)"""
    recovery_s: float = 30.0
    """How long what the journal remembers may take to be heard of after a restart."""
    no_node_limit_s: float = 30.0
    """An application that waits for the first node to register fails after this long."""
    never_fits_limit_s: float = 3.0
    """An application that asks for more than any node has fails after this long (nodes may be registering)."""
    launch_timeout_s: float = 60.0
    max_launch_failures: int = 3
    """Launches in a row that fail, after which an application gets no more executors."""
    max_executor_deaths: int = 10
    """Unasked ends of an application's executors within `deaths_window_s`, beyond which they are not replaced."""
    deaths_window_s: float = 300.0

    def validate(self) -> None:
        """Raises ValueError where limits contradict each other."""
        if self.heartbeat_interval_s <= 0:
            raise ValueError("heartbeat-interval-s must be positive")
        if min(self.node_timeout_s, self.application_timeout_s) < 3 * self.heartbeat_interval_s:
            raise ValueError("node-timeout-s and application-timeout-s must be at least three heartbeat intervals")
        if self.max_launch_failures < 1 or self.max_executor_deaths < 1:
            raise ValueError("max-launch-failures and max-executor-deaths must be at least 1")


NOT_WAITING = c.AllocationWaiting("")


class Shape(NamedTuple):
    """What a node has. Nodes of one shape are alike to whoever asks what could fit."""

    cores: int
    memory_bytes: int


class NodeState(Enum):
    ALIVE = "alive"
    RECOVERING = "recovering"
    DRAINING = "draining"


class ExecutorState(Enum):
    LAUNCHING = "launching"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass(slots=True)
class Node:
    """`removals` are ended applications whose blocks it has not yet said to have removed."""

    node_id: NodeId
    epoch: int
    host: str
    address: str
    block_server: str
    cores: int
    memory_bytes: int
    versions: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    state: NodeState = NodeState.ALIVE
    removals: set[ApplicationId] = field(default_factory=set)
    was_draining: bool = False
    """Of a recovering node: it was being drained when the manager ended."""
    last_seen_at: float = 0.0
    last_probe_at: float = 0.0
    last_removal_at: float = 0.0
    cores_used: int = 0
    memory_used: int = 0
    rss_bytes: int = 0
    cpu_percent: float = 0.0


@dataclass(slots=True)
class Executor:
    """`told`: the driver knows of it (ExecutorLaunched was sent). `stop_at`: when to ask (again) for its end."""

    executor_id: ExecutorId
    application_id: ApplicationId
    node_id: NodeId
    attempt: int
    cores: int
    memory_bytes: int
    address: str = ""
    state: ExecutorState = ExecutorState.LAUNCHING
    told: bool = False
    now: bool = False
    launched_at: float = 0.0
    stop_at: float = 0.0
    missing_since: float | None = None
    """Since when its node's heartbeats have lacked it."""


class Stage(NamedTuple):
    width: int
    parents: tuple[StageId, ...]
    cores_per_task: int


@dataclass(slots=True)
class Application:
    """`target` bounds the number of executors below what was asked for at registration (None: no bound).

    `order` is the place in the queue. `jobs` and `progress` are the driver's latest word and are not journalled: it sends them again.
    """

    application_id: ApplicationId
    name: str
    user: str
    driver_host: str
    driver_pid: int
    request: c.ExecutorRequest
    environment: c.ExecutorEnvironment
    started_at: float
    ui_url: str
    order: int
    target: int | None = None
    request_number: int = 0
    next_executor: int = 0
    sequence: int = 0
    waiting: c.AllocationWaiting = NOT_WAITING
    recovering: bool = False
    launch_failures: int = 0
    last_failure: tuple[str, str, str] = ("", "", "")
    """(node, reason, log tail) of the last launch that failed."""
    launch_not_before: float = 0.0
    deaths: list[float] = field(default_factory=list)
    events: list[c.ClusterEvent] = field(default_factory=list)
    jobs: dict[JobId, dict[StageId, Stage]] = field(default_factory=dict)
    ended_jobs: dict[JobId, None] = field(default_factory=dict)
    """The last that ended, oldest first: a late SubmitJob of theirs does nothing."""
    progress: dict[StageId, c.StageProgress] = field(default_factory=dict)
    watchers: int = 0
    last_seen_at: float = 0.0
    unmet_since: float = 0.0
    unmet_limit: str = ""
    """The limit of Policy that runs since `unmet_since`."""


@dataclass(slots=True)
class State:
    """Everything. `step` alone changes it."""

    policy: Policy
    manager_epoch: int
    started_at: float
    """Unix time."""
    began_at: float
    """Monotonic."""
    nodes: dict[NodeId, Node] = field(default_factory=dict)
    applications: dict[ApplicationId, Application] = field(default_factory=dict)
    executors: dict[ExecutorId, Executor] = field(default_factory=dict)
    next_order: int = 0
    lost_nodes: set[NodeId] = field(default_factory=set)
    """Given up in this life of the manager: drivers were told, so what such a node still runs must not come back."""
    ended: dict[ApplicationId, str] = field(default_factory=dict)
    """Why the last applications that ended did, for watchers who ask; bounded, not journalled."""
    unregistered: dict[ApplicationId, None] = field(default_factory=dict)
    """The last applications that said themselves that they are over, oldest first: a late registration of theirs does nothing."""
    _shapes: dict[Shape, int] | None = None
    _by_application: dict[ApplicationId, dict[ExecutorId, Executor]] = field(default_factory=dict)
    _by_node: dict[NodeId, dict[ExecutorId, Executor]] = field(default_factory=dict)

    def executors_of(self, application_id: ApplicationId) -> list[Executor]:
        return list(self._by_application.get(application_id, {}).values())

    def executors_on(self, node_id: NodeId) -> list[Executor]:
        return list(self._by_node.get(node_id, {}).values())

    def add_executor(self, executor: Executor) -> None:
        """Its node, where it is known, then has so much less to give."""
        self.executors[executor.executor_id] = executor
        self._by_application.setdefault(executor.application_id, {})[executor.executor_id] = executor
        self._by_node.setdefault(executor.node_id, {})[executor.executor_id] = executor
        node = self.nodes.get(executor.node_id)
        if node is not None:
            node.cores_used += executor.cores
            node.memory_used += executor.memory_bytes

    def remove_executor(self, executor: Executor) -> None:
        """The inverse of `add_executor`."""
        del self.executors[executor.executor_id]
        _remove(self._by_application, executor.application_id, executor.executor_id)
        _remove(self._by_node, executor.node_id, executor.executor_id)
        node = self.nodes.get(executor.node_id)
        if node is not None:
            node.cores_used -= executor.cores
            node.memory_used -= executor.memory_bytes

    def add_node(self, node: Node) -> None:
        """Adds or replaces it; what its executors use is counted anew."""
        self.nodes[node.node_id] = node
        self._shapes = None
        held = self.executors_on(node.node_id)
        node.cores_used = sum(executor.cores for executor in held)
        node.memory_used = sum(executor.memory_bytes for executor in held)

    def drop_node(self, node: Node) -> None:
        """It is gone, and every executor on it."""
        del self.nodes[node.node_id]
        self._shapes = None
        for executor in self.executors_on(node.node_id):
            self.remove_executor(executor)

    def drain_node(self, node: Node) -> None:
        """It takes nothing new."""
        node.state = NodeState.DRAINING
        self._shapes = None

    def shapes(self) -> Mapping[Shape, int]:
        """How many nodes that take executors there are of each shape. Clusters have few shapes, however many nodes."""
        if self._shapes is None:
            self._shapes = dict(Counter(Shape(n.cores, n.memory_bytes) for n in self.nodes.values() if n.state is NodeState.ALIVE))
        return self._shapes


_Key = TypeVar("_Key")


def _remove(index: dict[_Key, dict[ExecutorId, Executor]], key: _Key, executor_id: ExecutorId) -> None:
    group = index[key]
    del group[executor_id]
    if not group:
        del index[key]


# ---- events: messages of quiver_proto.cluster as they came, and what the shell itself notices ----


@dataclass(frozen=True, slots=True)
class WatchOpened:
    application_id: ApplicationId


@dataclass(frozen=True, slots=True)
class WatchClosed:
    """The stream broke or its process ended."""

    application_id: ApplicationId


@dataclass(frozen=True, slots=True)
class LaunchRefused:
    """The node could not be asked, or said no."""

    executor_id: ExecutorId
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class NodeRefusesConnections:
    """Its port is closed: the daemon is gone. Not: it did not answer in time."""

    node_id: NodeId
    epoch: int


@dataclass(frozen=True, slots=True)
class ApplicationRemoved:
    """The node has removed the application's blocks."""

    node_id: NodeId
    application_id: ApplicationId


@dataclass(frozen=True, slots=True)
class Tick:
    pass


Event = (
    c.RegisterNode | c.NodeHeartbeat | c.UnregisterNode | c.ExecutorReady | c.ExecutorExited | c.DrainNode
    | c.RegisterApplication | c.ApplicationHeartbeat | c.UnregisterApplication | c.SubmitJob | c.JobEnded
    | c.RequestExecutors | c.ReleaseExecutor
    | WatchOpened | WatchClosed | LaunchRefused | NodeRefusesConnections | ApplicationRemoved | Tick
)  # fmt: skip


# ---- actions ----


@dataclass(frozen=True, slots=True)
class Launch:
    """Ask the node to start it. Asked once; no answer is LaunchRefused."""

    node_id: NodeId
    executor_id: ExecutorId


@dataclass(frozen=True, slots=True)
class Stop:
    node_id: NodeId
    application_id: ApplicationId
    executor_id: ExecutorId
    reason: str
    now: bool


@dataclass(frozen=True, slots=True)
class RemoveBlocks:
    node_id: NodeId
    application_id: ApplicationId


@dataclass(frozen=True, slots=True)
class Probe:
    """See whether the node's port still takes connections."""

    node_id: NodeId
    epoch: int


Action = Launch | Stop | RemoveBlocks | Probe

Key = tuple[str, str]
"""("node" | "application" | "executor", its id), or ("event", application id): what of the state has changed and must be journalled."""


@dataclass(slots=True)
class Outcome:
    """What a step did. `reply` answers the message that was the event (None for the shell's own events).

    `changed` must be journalled before anything of the rest is seen outside. `notify` are applications with new cluster events.
    """

    reply: c.Ack | c.HeartbeatReply | c.NodeRegistered | None = None
    actions: list[Action] = field(default_factory=list)
    changed: set[Key] = field(default_factory=set)
    notify: set[ApplicationId] = field(default_factory=set)
    lost_addresses: list[str] = field(default_factory=list)
    """Of nodes that were lost in this step."""
    log: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    """(message, fields) for the log."""
