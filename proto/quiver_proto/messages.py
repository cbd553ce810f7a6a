"""What driver and executor say to each other, as frozen dataclasses.

`codec` turns them into protobuf and back; in local mode they pass as they are.

Batches are columns (parallel lists): per-batch work is done per batch, so that a task costs microseconds, not a message.
Times are seconds: durations as measured by a monotonic clock, instants as Unix time of the process that reports them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from quiver_proto.ids import ExecutorId, NodeId, ShuffleId, StageId, TaskId


class MapOutput(NamedTuple):
    """One map task's committed shuffle file.

    `path` is absolute on `node_id`; `sizes` the bytes of each reduce partition (array('Q').tobytes(), one per partition, as stored).
    """

    map_index: int
    task_id: TaskId
    node_id: NodeId
    executor_id: ExecutorId
    path: str
    sizes: bytes
    records: int


@dataclass(frozen=True, slots=True)
class MapOutputTable:
    """Where a shuffle's outputs are: one row per map partition, in map order."""

    shuffle_id: ShuffleId
    width: int
    map_indexes: Sequence[int]
    task_ids: Sequence[int]
    node_ids: Sequence[str]
    paths: Sequence[str]


# ---- driver to executor ----


@dataclass(frozen=True, slots=True)
class AddStage:
    """Sent once per executor and stage attempt, before its first tasks.

    `body` is a pickled quiver_proto.ops.StageBody. `inputs` holds the table of every shuffle that the body reads;
    `block_servers` the address (`host:port`) of every other node that the tables name. A stage attempt is never redefined.
    """

    stage_id: StageId
    stage_attempt: int
    body: bytes
    inputs: Mapping[int, MapOutputTable]
    block_servers: Mapping[str, str]
    properties: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LaunchTasks:
    """Columns, one row a task. `splits` are `frames.dump_value(split)` bytes. A task_id seen before is ignored."""

    stage_id: StageId
    stage_attempt: int
    task_ids: Sequence[TaskId]
    partitions: Sequence[int]
    attempts: Sequence[int]
    splits: Sequence[bytes]
    cores_per_task: int = 1


@dataclass(frozen=True, slots=True)
class KillTasks:
    """Stop these tasks (queued: dropped; running: their slot is killed and replaced). Each is reported as failed with kind KILLED."""

    task_ids: Sequence[TaskId]
    reason: str


@dataclass(frozen=True, slots=True)
class ForgetStage:
    """No more tasks of this stage attempt will come; its body may be dropped."""

    stage_id: StageId
    stage_attempt: int


@dataclass(frozen=True, slots=True)
class RemoveShuffle:
    """Delete the files of this shuffle (the last reference went)."""

    shuffle_id: ShuffleId


@dataclass(frozen=True, slots=True)
class Drain:
    """Finish what runs, take nothing new, report Drained."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End now: kill the slots and exit."""

    reason: str


ToExecutor = AddStage | LaunchTasks | KillTasks | ForgetStage | RemoveShuffle | Drain | Shutdown


# ---- executor to driver ----


class TaskMetrics(NamedTuple):
    """What one attempt cost. Seconds and bytes. A tuple, so that a slot can marshal it as it is."""

    run_s: float = 0.0
    cpu_s: float = 0.0
    deserialize_s: float = 0.0
    serialize_s: float = 0.0
    gc_s: float = 0.0
    result_bytes: int = 0
    input_bytes: int = 0
    input_records: int = 0
    output_bytes: int = 0
    output_records: int = 0
    shuffle_read_local_bytes: int = 0
    shuffle_read_remote_bytes: int = 0
    shuffle_read_records: int = 0
    fetch_wait_s: float = 0.0
    shuffle_write_bytes: int = 0
    shuffle_write_records: int = 0
    shuffle_write_s: float = 0.0
    spilled_bytes: int = 0
    peak_memory_bytes: int = 0


NO_METRICS = TaskMetrics()


class ResultBlock(NamedTuple):
    """A result too large for a message: a file of frames on `node_id`, deleted by whoever has read it."""

    node_id: NodeId
    path: str
    size: int


class TaskDone(NamedTuple):
    """A task that ended well. Exactly one of `result` (frame bytes), `block` and `map_output` is set."""

    task_id: TaskId
    slot: int
    started_at: float
    metrics: TaskMetrics
    result: bytes | None = None
    block: ResultBlock | None = None
    map_output: MapOutput | None = None


class FailureKind(Enum):
    USER = "user"
    """The user's code raised. Retried, as PySpark does, up to task.maxFailures."""
    FATAL = "fatal"
    """A retry can't help (bad input path, unstable key, a body that does not unpickle): the job fails at once."""
    SLOT_DIED = "slot died"
    FETCH_FAILED = "fetch failed"
    """Not the task's fault and not counted: the missing map output is made again."""
    KILLED = "killed"
    """On request; not counted."""
    EXECUTOR_LOST = "executor lost"
    """Made by the driver itself for tasks of a lost executor; counted unless the executor was asked to go."""


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """A task that ended badly.

    `exception` is the pickled exception (empty where there is none or it can't be pickled), `error` a QuiverError as
    `to_wire` made it, or None. `operator` is the user's call site of the operator that failed ("" when not known);
    `record_index` counts the stage's input records of this partition from 0, -1 when not known.
    """

    task_id: TaskId
    kind: FailureKind
    exception_type: str
    message: str
    traceback: str = ""
    exception: bytes = b""
    error: tuple[str, tuple[object, ...]] | None = None
    operator: str = ""
    record_index: int = -1
    record: str = ""
    slot: int = -1
    started_at: float = 0.0
    metrics: TaskMetrics = NO_METRICS
    fetch: tuple[int, int, int, str] | None = None
    """FETCH_FAILED: (shuffle id, map index, task id of the lost output, node id)."""


@dataclass(frozen=True, slots=True)
class TasksEnded:
    """A batch of task ends, in the order in which they happened within each list."""

    executor_id: ExecutorId
    done: Sequence[TaskDone] = ()
    failed: Sequence[TaskFailure] = ()


@dataclass(frozen=True, slots=True)
class ExecutorHello:
    """First message of an executor on a stream: who it is and what it offers. `versions` as in quiver_proto.versions."""

    executor_id: ExecutorId
    node_id: NodeId
    cores: int
    memory_bytes: int
    block_server: str
    host: str
    pid: int
    versions: Mapping[str, str] = field(default_factory=dict)
    log_dir: str = ""


@dataclass(frozen=True, slots=True)
class ExecutorHeartbeat:
    executor_id: ExecutorId
    at: float
    rss_bytes: int
    running_tasks: int
    queued_tasks: int


@dataclass(frozen=True, slots=True)
class Drained:
    executor_id: ExecutorId


FromExecutor = ExecutorHello | TasksEnded | ExecutorHeartbeat | Drained
