"""What the manager tells people of its cluster. Memory is in bytes, instants are Unix time, addresses are `host:port`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from quiver_proto.ids import ApplicationId, ExecutorId, NodeId


@dataclass(frozen=True, slots=True)
class GetStatus:
    pass


@dataclass(frozen=True, slots=True)
class NodeStatusRow:
    """`state` is alive, recovering (not heard of since the manager started), draining or lost."""

    node_id: NodeId
    host: str
    address: str
    block_server: str
    state: str
    cores: int
    cores_used: int
    memory_bytes: int
    memory_used_bytes: int
    last_heartbeat_age_s: float
    labels: Mapping[str, str] = field(default_factory=dict)
    cpu_percent: float = 0.0
    rss_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ExecutorRow:
    """`state` is launching, running or stopping."""

    executor_id: ExecutorId
    application_id: ApplicationId
    node_id: NodeId
    state: str
    cores: int
    memory_bytes: int
    address: str


@dataclass(frozen=True, slots=True)
class ApplicationRow:
    """`state` is waiting, running or recovering; `waiting_reason` is empty when it has what it wants."""

    application_id: ApplicationId
    name: str
    user: str
    driver_host: str
    state: str
    waiting_reason: str
    executors: int
    executors_wanted: int
    cores: int
    started_at: float
    ui_url: str
    jobs: int


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    manager_epoch: int
    started_at: float
    versions: Mapping[str, str] = field(default_factory=dict)
    nodes: tuple[NodeStatusRow, ...] = ()
    applications: tuple[ApplicationRow, ...] = ()
    executors: tuple[ExecutorRow, ...] = ()
    unix_time: float = 0.0
    """The manager's clock when it answered; 0: not said."""
