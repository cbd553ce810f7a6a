"""What a node daemon's decisions are about: its state, the events that change it, the actions that follow. See quiver_executor.node."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from quiver_proto.cluster import (
    Ack,
    ExecutorExited,
    ExecutorReady,
    LaunchExecutor,
    NodeHeartbeat,
    NodeRegistered,
    RegisterNode,
    RemoveApplication,
    StopExecutor,
    UnregisterNode,
)
from quiver_proto.ids import ApplicationId, ExecutorId, NodeId

FIRST_RETRY_S = 0.2
"""The pause before the manager is tried again; it doubles with every failure."""


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """What the daemon registers with, and its limits.

    launch_limit_s: an executor that is not up by then is killed. drain_limit_s: how long one that was asked to go may finish
    its tasks. longest_retry_s: upper bound of the pause between tries to reach the manager.
    """

    node_id: NodeId
    host: str
    address: str
    block_server: str
    cores: int
    memory_bytes: int
    versions: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    launch_limit_s: float = 60.0
    drain_limit_s: float = 30.0
    longest_retry_s: float = 5.0


class Phase(Enum):
    LAUNCHING = "launching"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass(slots=True)
class Executor:
    """One that has, or is about to have, a process. `deadline` is when it is killed: None while it runs unasked."""

    launch: LaunchExecutor
    phase: Phase
    deadline: float | None
    pid: int = 0
    address: str = ""
    reason: str = ""
    asked: bool = False
    killed: bool = False
    was_up: bool = False


class Link(Enum):
    """Where we are with the manager."""

    AWAY = "away"
    REGISTERING = "registering"
    REGISTERED = "registered"


@dataclass(slots=True)
class NodeState:
    """Changed by `step` alone. `wake_at` is when the next Tick is due."""

    identity: NodeIdentity
    link: Link = Link.AWAY
    epoch: int = 0
    manager_epoch: int = 0
    heartbeat_interval_s: float = 1.0
    retry_s: float = FIRST_RETRY_S
    call_at: float = 0.0
    beating: bool = False
    reporting: bool = False
    report_at: float = 0.0
    reports: deque[ExecutorReady | ExecutorExited] = field(default_factory=deque)
    executors: dict[ExecutorId, Executor] = field(default_factory=dict)
    seen: dict[ApplicationId, set[ExecutorId]] = field(default_factory=dict)
    removed: dict[ApplicationId, None] = field(default_factory=dict)
    dropping: set[ApplicationId] = field(default_factory=set)
    draining: bool = False
    finished: bool = False


# ---- events; LaunchExecutor, StopExecutor and RemoveApplication are the manager's own ----


@dataclass(frozen=True, slots=True)
class Registered:
    """The manager's answer to Register with this epoch."""

    epoch: int
    reply: NodeRegistered


@dataclass(frozen=True, slots=True)
class RegisterFailed:
    epoch: int
    problem: str


@dataclass(frozen=True, slots=True)
class HeartbeatAnswered:
    epoch: int
    known: bool


@dataclass(frozen=True, slots=True)
class HeartbeatFailed:
    epoch: int
    problem: str


@dataclass(frozen=True, slots=True)
class ReportAnswered:
    """The manager has the oldest report (whether or not it was current)."""


@dataclass(frozen=True, slots=True)
class ReportFailed:
    problem: str


@dataclass(frozen=True, slots=True)
class ExecutorStarted:
    """Its process exists."""

    executor_id: ExecutorId
    pid: int


@dataclass(frozen=True, slots=True)
class ExecutorUp:
    """It listens at `address`."""

    executor_id: ExecutorId
    address: str


@dataclass(frozen=True, slots=True)
class ExecutorEnded:
    """Its process, and all that it forked, is gone; or never was (then `problem` says why)."""

    executor_id: ExecutorId
    exit_code: int
    signal: int
    log_tail: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class DrainAsked:
    """The daemon is to end; `now`: without waiting for tasks."""

    reason: str
    now: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    pass


NodeEvent = (
    LaunchExecutor | StopExecutor | RemoveApplication
    | Registered | RegisterFailed | HeartbeatAnswered | HeartbeatFailed | ReportAnswered | ReportFailed
    | ExecutorStarted | ExecutorUp | ExecutorEnded | DrainAsked | Tick
)  # fmt: skip


# ---- actions ----


@dataclass(frozen=True, slots=True)
class Answer:
    """To whoever sent the request that this step was about."""

    ack: Ack


@dataclass(frozen=True, slots=True)
class Register:
    message: RegisterNode


@dataclass(frozen=True, slots=True)
class Beat:
    message: NodeHeartbeat


@dataclass(frozen=True, slots=True)
class Report:
    message: ExecutorReady | ExecutorExited


@dataclass(frozen=True, slots=True)
class Spawn:
    launch: LaunchExecutor


@dataclass(frozen=True, slots=True)
class AskToDrain:
    """Let it finish its tasks and end."""

    executor_id: ExecutorId


@dataclass(frozen=True, slots=True)
class Kill:
    executor_id: ExecutorId


@dataclass(frozen=True, slots=True)
class DropApplication:
    """Delete its blocks."""

    application_id: ApplicationId


@dataclass(frozen=True, slots=True)
class Say:
    """Worth a line in the log. `level` is a logging level name."""

    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Tell the manager, delete everything, end."""

    message: UnregisterNode


NodeAction = Answer | Register | Beat | Report | Spawn | AskToDrain | Kill | DropApplication | Say | Finish
