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


class CachedBlock(NamedTuple):
    """One cached partition on one executor, serialised: bytes in shared memory and on disk (0: not there), how many records it has.

    `slot` is the slot that has the live objects too, -1 for none. `path` is absolute on `node_id`. Both sizes 0: it is gone.
    """

    dataset_id: int
    partition: int
    node_id: NodeId
    executor_id: ExecutorId
    slot: int
    path: str
    memory_bytes: int
    disk_bytes: int
    records: int


class HeavyKey(NamedTuple):
    """A key that a map task met often: shortened repr, the reduce partition it goes to, at least how many of its records have it."""

    key: str
    partition: int
    records: int


class OperatorMetrics(NamedTuple):
    """What one operator of a native fragment did in one task.

    `depth` is how far below the fragment's result it is. `detail` says the same in every task of the stage. `shuffle_id` is the shuffle
    that it reads, -1 for none. `compute_s` is CPU time of its own, without that of its inputs. `scanned_bytes` came from the user's files.
    """

    depth: int
    name: str
    detail: str
    shuffle_id: int
    rows: int
    compute_s: float
    spills: int
    spilled_bytes: int
    scanned_bytes: int


class TaskExtras(NamedTuple):
    """What some tasks tell beside their result.

    `cached`: blocks that the task stored. `updates`: a pickle of {accumulator id: what the task added}, b"" for none. `heavy`: of a
    shuffle's map task, the heaviest keys, heaviest first. `operators`: of a native fragment, each before its inputs, the first input first.
    """

    cached: Sequence[CachedBlock] = ()
    updates: bytes = b""
    heavy: Sequence[HeavyKey] = ()
    operators: Sequence[OperatorMetrics] = ()


@dataclass(frozen=True, slots=True)
class CacheTable:
    """Where the driver knows a dataset's cached partitions to be, when the stage attempt began: one row per block."""

    dataset_id: int
    partitions: Sequence[int]
    node_ids: Sequence[str]
    executor_ids: Sequence[str]
    paths: Sequence[str]


@dataclass(frozen=True, slots=True)
class BroadcastTable:
    """How to get a broadcast value's bytes.

    `path` is the file on the driver's machine, `host` that machine's name: read directly where the file is there. Else the
    pieces of `piece_bytes` (the last may be shorter), whose CRC-32s are `checksums` (array('I').tobytes()), come from the block server
    at `origin` (`host:port`), or from the block server of any other node that already has them.
    """

    broadcast_id: int
    path: str
    host: str
    size: int
    piece_bytes: int
    checksums: bytes
    origin: str = ""


# ---- driver to executor ----


QUERY = "spark.sql.execution.id"
"""The property of a job, and so of AddStage, that has the id of the query which it belongs to."""
SHARED_FILES = "quiver.sharedFiles"
"""The property of a job, and so of AddStage, that has the manifest of the application's added files (see quiver_proto.shared_files)."""


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
    cached: Mapping[int, CacheTable] = field(default_factory=dict)
    """Of the datasets of the Cache nodes in the body, by dataset id."""
    broadcasts: Mapping[int, BroadcastTable] = field(default_factory=dict)
    """Of the broadcast values that the body's functions refer to, by broadcast id."""
    barrier: int = 0
    """How many tasks run at once and may wait for one another (barrier stages); 0 for other stages."""
    cores_per_task: int = 1


@dataclass(frozen=True, slots=True)
class LaunchTasks:
    """Columns, one row a task. `splits` are `frames.dump_value(split)` bytes. A task_id seen before is ignored.

    `resources`: the addresses that a task may use, by resource, of those tasks that were given any.
    """

    stage_id: StageId
    stage_attempt: int
    task_ids: Sequence[TaskId]
    partitions: Sequence[int]
    attempts: Sequence[int]
    splits: Sequence[bytes]
    cores_per_task: int = 1
    resources: Mapping[TaskId, Mapping[str, Sequence[str]]] = field(default_factory=dict)


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
class RemoveDataset:
    """Drop every cached block and live object of this dataset."""

    dataset_id: int


@dataclass(frozen=True, slots=True)
class RemoveBroadcast:
    """Drop this broadcast's copies on the node and in the slots; a later use gets it again."""

    broadcast_id: int


@dataclass(frozen=True, slots=True)
class ReplicateBlock:
    """Get a copy of this block from where it is (`block_server` of its node) and keep it at `level`; report BlocksChanged."""

    block: CachedBlock
    block_server: str
    use_memory: bool
    use_disk: bool


@dataclass(frozen=True, slots=True)
class BarrierReleased:
    """All tasks of a barrier stage attempt have come to their `round`-th meeting: `payloads` are what they brought, by partition."""

    stage_id: StageId
    stage_attempt: int
    round: int
    payloads: Sequence[bytes]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Drain:
    """Finish what runs, take nothing new, report Drained."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End now: kill the slots and exit."""

    reason: str


ToExecutor = (
    AddStage | LaunchTasks | KillTasks | ForgetStage | RemoveShuffle | RemoveDataset | RemoveBroadcast | ReplicateBlock | BarrierReleased
    | Drain | Shutdown
)  # fmt: skip


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
    extras: TaskExtras | None = None


class FailureKind(Enum):
    USER = "user"
    """The user's code raised. Retried, as PySpark does, up to task.maxFailures."""
    FATAL = "fatal"
    """A retry can't help (bad input path, unstable key, a body that does not unpickle): the job fails at once."""
    SLOT_DIED = "slot died"
    FETCH_FAILED = "fetch failed"
    """Not the task's fault and not counted: the missing map output is made again."""
    CACHE_MISS = "cache miss"
    """A block that the driver believed cached is not there; not counted. `TaskFailure.cache` names it."""
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
    cache: tuple[int, int] | None = None
    """CACHE_MISS: (dataset id, partition)."""


@dataclass(frozen=True, slots=True)
class TasksEnded:
    """A batch of task ends, in the order in which they happened within each list."""

    executor_id: ExecutorId
    done: Sequence[TaskDone] = ()
    failed: Sequence[TaskFailure] = ()


@dataclass(frozen=True, slots=True)
class ExecutorHello:
    """First message of an executor on a stream: who it is and what it offers. `versions` as in quiver_proto.versions.

    `resources`: addresses of what it has besides cores and memory, by name.
    """

    executor_id: ExecutorId
    node_id: NodeId
    cores: int
    memory_bytes: int
    block_server: str
    host: str
    pid: int
    versions: Mapping[str, str] = field(default_factory=dict)
    log_dir: str = ""
    machine: str = ""
    """quiver_proto.host.this_machine() there: who is called the same may share a file system with it."""
    resources: Mapping[str, Sequence[str]] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True)
class BlocksChanged:
    """Cached blocks that moved between memory and disk, were evicted, or came by replication: as they are now."""

    executor_id: ExecutorId
    blocks: Sequence[CachedBlock]


@dataclass(frozen=True, slots=True)
class BroadcastRemoved:
    """The answer to RemoveBroadcast: the node's copy is deleted, and every slot was told to let go of the value."""

    executor_id: ExecutorId
    broadcast_id: int


@dataclass(frozen=True, slots=True)
class BarrierArrived:
    """A running task of a barrier stage has come to its `round`-th meeting (from 0) with `payload`, and waits."""

    executor_id: ExecutorId
    task_id: TaskId
    stage_id: StageId
    stage_attempt: int
    partition: int
    round: int
    payload: bytes


FromExecutor = ExecutorHello | TasksEnded | ExecutorHeartbeat | BlocksChanged | BroadcastRemoved | BarrierArrived | Drained
