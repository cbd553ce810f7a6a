"""What manager, node daemons and drivers say to one another, as frozen dataclasses. `codec` turns them into protobuf and back.
What people ask the manager is in `cluster_status`.

Every call may arrive twice or late: one that changes state carries the ids and the epoch or attempt that it is about, and does
nothing when that is not current. Memory is in bytes, durations (`_s`) in seconds, addresses are `host:port`, instants are Unix time.

    driver                          manager                             node daemon
    RegisterApplication ──────────▶ token = f(secret, application)
    WatchApplication ═════════════▶
                                    LaunchExecutor ───────────────────▶ spawns the executor
                                                   ◀────────────────── ExecutorReady | ExecutorExited
      ◀═══ ClusterEvent(ExecutorLaunched)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from quiver_proto.ids import ApplicationId, ExecutorId, JobId, NodeId, ShuffleId, StageId


@dataclass(frozen=True, slots=True)
class Ack:
    """`done` is false when the call named something that is not known or not current: nothing happened, and `reason` says what."""

    done: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HeartbeatReply:
    """`known` is false when the sender is not known (a restarted manager, or one that had given the sender up): register again."""

    known: bool = True


@dataclass(frozen=True, slots=True)
class Hello:
    """Versions before anything else. `role` is driver, node, executor or client."""

    role: str
    name: str
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HelloReply:
    name: str
    versions: Mapping[str, str] = field(default_factory=dict)


# ---- node daemon to manager ----


@dataclass(frozen=True, slots=True)
class RunningExecutor:
    """An executor that a node has. `address` of its Executor service is empty while it starts."""

    executor_id: ExecutorId
    application_id: ApplicationId
    cores: int
    memory_bytes: int
    address: str = ""
    pid: int = 0
    rss_bytes: int = 0


@dataclass(frozen=True, slots=True)
class RegisterNode:
    """`epoch` counts this daemon's registrations from 1: a higher one replaces what the manager held, a lower one is stale.

    `executors` are those it has now: the manager adopts the ones it knows or may yet learn of, and answers which to stop.
    """

    node_id: NodeId
    epoch: int
    host: str
    address: str
    block_server: str
    cores: int
    memory_bytes: int
    versions: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    executors: tuple[RunningExecutor, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeRegistered:
    """`manager_epoch` is the manager's incarnation, raised at each of its starts. `stop_executors` have no owner any more."""

    manager_epoch: int
    heartbeat_interval_s: float
    stop_executors: tuple[ExecutorId, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeHeartbeat:
    node_id: NodeId
    epoch: int
    executors: tuple[RunningExecutor, ...] = ()
    rss_bytes: int = 0
    cpu_percent: float = 0.0
    disk_used_bytes: int = 0


@dataclass(frozen=True, slots=True)
class UnregisterNode:
    """The daemon ends and takes its blocks with it."""

    node_id: NodeId
    epoch: int
    reason: str


@dataclass(frozen=True, slots=True)
class ExecutorReady:
    node_id: NodeId
    epoch: int
    application_id: ApplicationId
    executor_id: ExecutorId
    attempt: int
    address: str
    pid: int = 0


@dataclass(frozen=True, slots=True)
class ExecutorExited:
    """`exit_code` is -1 when a signal ended it; `signal` 0 when none did. `asked`: it was told to go.

    `failed_to_launch`: it never came up, which counts towards the application's limit. `log_tail` is the end of its log.
    """

    node_id: NodeId
    epoch: int
    application_id: ApplicationId
    executor_id: ExecutorId
    attempt: int
    exit_code: int = 0
    signal: int = 0
    log_tail: str = ""
    asked: bool = False
    failed_to_launch: bool = False
    reason: str = ""


# ---- driver to manager ----


@dataclass(frozen=True, slots=True)
class ExecutorRequest:
    """What an application asks for; 0 means "not said".

    instances: how many executors (0: as many as fit). cores: of each (0: all that its node has). memory_bytes: of each
    (0: the node's memory in proportion to the cores). cores_max: bound on the sum of cores (0: none).
    """

    instances: int = 0
    cores: int = 0
    memory_bytes: int = 0
    cores_max: int = 0


@dataclass(frozen=True, slots=True)
class ExecutorEnvironment:
    """How an application's executors are started. `hash_seed` is their PYTHONHASHSEED; `conf` the application's settings."""

    hash_seed: int = 0
    python_path: tuple[str, ...] = ()
    working_dir: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    conf: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RegisterApplication:
    """Registering again under the same id (after `known=False`) keeps the executors that the nodes still have for it."""

    application_id: ApplicationId
    name: str
    user: str
    driver_host: str
    driver_pid: int
    request: ExecutorRequest = ExecutorRequest()
    environment: ExecutorEnvironment = ExecutorEnvironment()
    versions: Mapping[str, str] = field(default_factory=dict)
    started_at: float = 0.0
    ui_url: str = ""


@dataclass(frozen=True, slots=True)
class ApplicationRegistered:
    """`token` is what the application's own driver and executors show one another."""

    token: str
    manager_epoch: int
    heartbeat_interval_s: float
    granted: ExecutorRequest = ExecutorRequest()


@dataclass(frozen=True, slots=True)
class StageProgress:
    stage_id: StageId
    done: int
    running: int = 0


@dataclass(frozen=True, slots=True)
class ApplicationHeartbeat:
    application_id: ApplicationId
    progress: tuple[StageProgress, ...] = ()


@dataclass(frozen=True, slots=True)
class UnregisterApplication:
    application_id: ApplicationId
    reason: str


@dataclass(frozen=True, slots=True)
class StageDemand:
    """A stage as the manager sees it: how many tasks it will have, how many cores each claims, and what must come before."""

    stage_id: StageId
    name: str
    width: int
    parents: tuple[StageId, ...] = ()
    cores_per_task: int = 1


@dataclass(frozen=True, slots=True)
class SubmitJob:
    """`stages` parents first. A job id is submitted once."""

    application_id: ApplicationId
    job_id: JobId
    stages: tuple[StageDemand, ...]


@dataclass(frozen=True, slots=True)
class JobEnded:
    application_id: ApplicationId
    job_id: JobId
    status: str


@dataclass(frozen=True, slots=True)
class RequestExecutors:
    """`executors` is the total wanted, not an increment. `request` rises with each call: a lower one is stale."""

    application_id: ApplicationId
    request: int
    executors: int


@dataclass(frozen=True, slots=True)
class ReleaseExecutor:
    """The application needs this executor no more; it is stopped. `replace`: another may take its place; else it has one less."""

    application_id: ApplicationId
    executor_id: ExecutorId
    reason: str
    replace: bool = False


@dataclass(frozen=True, slots=True)
class WatchApplication:
    """`after_sequence` is the last sequence number seen, 0 at first."""

    application_id: ApplicationId
    after_sequence: int = 0


# ---- manager to driver ----


@dataclass(frozen=True, slots=True)
class ExecutorLaunched:
    """An executor is up: connect to `address`. `block_server` is its node's."""

    executor_id: ExecutorId
    node_id: NodeId
    host: str
    address: str
    cores: int
    memory_bytes: int
    block_server: str


@dataclass(frozen=True, slots=True)
class ExecutorGone:
    """Its shuffle files survive on its node. Only executors that were launched are told of."""

    executor_id: ExecutorId
    node_id: NodeId
    reason: str
    exit_code: int = 0
    signal: int = 0
    log_tail: str = ""
    asked: bool = False


@dataclass(frozen=True, slots=True)
class NodeGone:
    """Every executor and every block on it is gone. Its executors are not told of one by one."""

    node_id: NodeId
    reason: str


@dataclass(frozen=True, slots=True)
class AllocationWaiting:
    """Why there are fewer executors than asked for; an empty reason takes the last one back.

    `final`: none will ever come; `error_code` and `error_fields` (JSON) then are the QuiverError to raise (`quiver_proto.wire_errors`).
    """

    reason: str
    final: bool = False
    error_code: str = ""
    error_fields: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every executor that is up; an executor not in it is gone. Sent when the events after the watcher's sequence are not at hand."""

    executors: tuple[ExecutorLaunched, ...] = ()


@dataclass(frozen=True, slots=True)
class ApplicationOver:
    """The manager holds the application for ended (unregistered, or its driver gave no sign of life). The stream ends after it."""

    reason: str


ClusterEventBody = ExecutorLaunched | ExecutorGone | NodeGone | AllocationWaiting | Snapshot | ApplicationOver


@dataclass(frozen=True, slots=True)
class ClusterEvent:
    """`sequence` rises by one with each event of an application, from 1: watch again after the last one seen."""

    application_id: ApplicationId
    sequence: int
    event: ClusterEventBody


# ---- manager to node daemon ----


@dataclass(frozen=True, slots=True)
class LaunchExecutor:
    """Start an executor. An executor id seen before is not launched again; a `manager_epoch` below the highest seen is stale."""

    application_id: ApplicationId
    executor_id: ExecutorId
    attempt: int
    manager_epoch: int
    cores: int
    memory_bytes: int
    token: str
    environment: ExecutorEnvironment


@dataclass(frozen=True, slots=True)
class StopExecutor:
    """`now` kills it rather than letting running tasks end."""

    application_id: ApplicationId
    executor_id: ExecutorId
    manager_epoch: int
    reason: str
    now: bool = False


@dataclass(frozen=True, slots=True)
class RemoveApplication:
    """Stop its executors here and delete all of its blocks."""

    application_id: ApplicationId
    manager_epoch: int
    reason: str


@dataclass(frozen=True, slots=True)
class RemoveNodeShuffle:
    application_id: ApplicationId
    shuffle_id: ShuffleId


@dataclass(frozen=True, slots=True)
class GetNodeStatus:
    pass


@dataclass(frozen=True, slots=True)
class NodeStatus:
    node_id: NodeId
    epoch: int
    host: str
    cores: int
    memory_bytes: int
    block_server: str
    executors: tuple[RunningExecutor, ...] = ()
    disk_used_bytes: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)


# ---- people to manager ----


@dataclass(frozen=True, slots=True)
class DrainNode:
    """No new executors there; its executors are stopped once their tasks have ended."""

    node_id: NodeId
    reason: str
