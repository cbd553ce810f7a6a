"""What a remote client and a shared driver (`driver serve`) say to each other, as frozen dataclasses.

A job is known by (session_id, job_id): asked for twice, it runs once and both callers see its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from quiver_proto.ids import ApplicationId, JobId, ShuffleId, StageId
from quiver_proto.ops import CallSite

NO_SHUFFLE = ShuffleId(-1)
ANY_JOB = JobId(-1)


@dataclass(frozen=True, slots=True)
class OpenSession:
    """`hash_seed` is the client's PYTHONHASHSEED; opening the same session again answers as the first time."""

    session_id: str
    name: str
    user: str
    host: str
    pid: int
    versions: Mapping[str, str] = field(default_factory=dict)
    conf: Mapping[str, str] = field(default_factory=dict)
    hash_seed: int = 0


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """`id_base` is where this session's ids start; `conf` what the driver runs with; `ui_url` empty when it has no UI."""

    application_id: ApplicationId
    default_parallelism: int
    ui_url: str
    id_base: int
    started_at: float
    conf: Mapping[str, str] = field(default_factory=dict)
    heartbeat_interval_s: float = 5.0
    executor_cores: int = 1
    """Of the largest executor, when the session was opened."""


@dataclass(frozen=True, slots=True)
class CloseSession:
    """Its jobs are cancelled and its shuffles released."""

    session_id: str


@dataclass(frozen=True, slots=True)
class SessionHeartbeat:
    session_id: str


@dataclass(frozen=True, slots=True)
class PlanPreference:
    """`executor_id` empty and `slot` -1: any on the node."""

    node_id: str
    executor_id: str = ""
    slot: int = -1


@dataclass(frozen=True, slots=True)
class PlanPreferences:
    places: tuple[PlanPreference, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanDataset:
    """A persisted dataset of a stage; the fields of its StorageLevel one by one. `is_only_copy`: its lineage was given up."""

    dataset_id: int
    name: str
    width: int
    use_disk: bool
    use_memory: bool
    use_off_heap: bool
    deserialized: bool
    replication: int
    is_only_copy: bool = False


@dataclass(frozen=True, slots=True)
class PlanVariant:
    """One way to send a partition: the blocks that must be there (columns) and the shuffles it reads. `split` empty: the stage's own."""

    datasets: tuple[int, ...] = ()
    partitions: tuple[int, ...] = ()
    reads: tuple[int, ...] = ()
    split: bytes = b""


@dataclass(frozen=True, slots=True)
class PlanVariants:
    ways: tuple[PlanVariant, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanStage:
    """A planned stage with its splits made: `splits` has one entry for each of range(width).

    `shuffle_id` is -1 for a result stage. `partitions` are those wanted of a result stage, and count only with `some_partitions`.
    `body` is a pickled quiver_proto.ops.StageBody.
    """

    stage_id: StageId
    name: str
    width: int
    parents: tuple[StageId, ...] = ()
    reads: tuple[ShuffleId, ...] = ()
    shuffle_id: ShuffleId = NO_SHUFFLE
    partitions: tuple[int, ...] = ()
    some_partitions: bool = False
    cores_per_task: int = 1
    preferred: Mapping[int, PlanPreferences] = field(default_factory=dict)
    body: bytes = b""
    splits: tuple[bytes, ...] = ()
    operators: tuple[CallSite, ...] = ()
    broadcasts: tuple[int, ...] = ()
    barrier: bool = False
    datasets: tuple[PlanDataset, ...] = ()
    variants: tuple[PlanVariants, ...] = ()
    """With `datasets`: one entry for each of range(width)."""
    task_resources: Mapping[str, float] = field(default_factory=dict)
    executor_least: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExecutePlan:
    """`stages` parents first, the result stage last. The stream ends with PlanSucceeded or PlanFailed.

    `within_s` seconds after its submission (0: no limit) the job is cancelled, and succeeds with what it has; b"" for what is missing.
    """

    session_id: str
    job_id: JobId
    stages: tuple[PlanStage, ...]
    call_site: CallSite
    properties: Mapping[str, str] = field(default_factory=dict)
    within_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PlanProgress:
    """Counts of tasks. `status` is waiting, running, succeeded, failed or skipped."""

    stage_id: StageId
    name: str
    width: int
    done: int
    running: int
    failed: int
    status: str


@dataclass(frozen=True, slots=True)
class PlanWaiting:
    """What the job waits for; an empty reason takes the last one back."""

    reason: str


@dataclass(frozen=True, slots=True)
class PlanResults:
    """`frames[i]` is the result of the (first + i)-th wanted partition."""

    first: int
    frames: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class PlanUpdates:
    """What accepted tasks added to accumulators (columns): comes before the job's end, whatever that is. `updates` as in TaskExtras."""

    stage_ids: tuple[StageId, ...]
    partitions: tuple[int, ...]
    updates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class PlanSucceeded:
    """`results` frames were sent before this."""

    results: int


@dataclass(frozen=True, slots=True)
class PlanFailed:
    """`exception` is the pickled exception with its notes (empty: none, or it can't be pickled); else the error in
    `error_code` and `error_fields` (see quiver_proto.wire_errors); `text` is always what a person would read.
    """

    exception: bytes = b""
    error_code: str = ""
    error_fields: str = ""
    text: str = ""


PlanEventBody = PlanProgress | PlanWaiting | PlanResults | PlanUpdates | PlanSucceeded | PlanFailed


@dataclass(frozen=True, slots=True)
class PlanEvent:
    event: PlanEventBody


@dataclass(frozen=True, slots=True)
class CancelJobs:
    """Of this session: the job, or (`job_id` -1) the jobs of `group`, or those that have `tag`; both "" with -1 means all.

    `future`: jobs of the group that come later are refused, too.
    """

    session_id: str
    job_id: JobId = ANY_JOB
    group: str = ""
    reason: str = ""
    tag: str = ""
    future: bool = False


@dataclass(frozen=True, slots=True)
class ReleaseShuffle:
    session_id: str
    shuffle_id: ShuffleId


@dataclass(frozen=True, slots=True)
class AskStatus:
    """`what` is jobs, stages, executors, skew or operators; `ids` those asked for (not of executors), () all known. Only this session's."""

    session_id: str
    what: str
    ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class JobStatus:
    """`status` is running, succeeded, failed or cancelled; `group` "" for none."""

    job_id: JobId
    group: str
    status: str
    stage_ids: tuple[StageId, ...] = ()


@dataclass(frozen=True, slots=True)
class StageStatus:
    """A stage's last attempt and its tasks; `status` is pending, running, succeeded, failed or cancelled."""

    stage_id: StageId
    attempt: int
    name: str
    status: str
    tasks: int
    active: int
    completed: int
    failed: int


@dataclass(frozen=True, slots=True)
class ExecutorStatus:
    """A living executor; `running_tasks` counts what it was given and has not ended."""

    executor_id: str
    host: str
    memory_bytes: int
    running_tasks: int


@dataclass(frozen=True, slots=True)
class HeavyKeyReport:
    """A key by its shortened repr, at least how many records have it, and their share (0 to 1) of all records that the stage reads."""

    key: str
    records: int
    share: float


@dataclass(frozen=True, slots=True)
class SkewReport:
    """One partition of what a stage reads of shuffles is far larger than the median: its task takes that much longer than the others.

    `operator` is the one that moved the data, and where it was called; sizes are bytes as stored; `keys` the heavy ones of that
    partition, heaviest first (none when no key stands out); `remedy` is what to do; `text` all of it for people.
    """

    stage_id: int
    operator: str
    partition: int
    partitions: int
    size_bytes: int
    median_bytes: int
    total_bytes: int
    keys: tuple[HeavyKeyReport, ...]
    remedy: str
    text: str


@dataclass(frozen=True, slots=True)
class OperatorStatus:
    """What one operator of a stage's native fragments has done: see quiver_proto.operators.OperatorTotals. A tree's rows come in order."""

    stage_id: int
    tree: int
    depth: int
    name: str
    detail: str
    shuffle_id: int
    tasks: int
    rows: int
    compute_s: float
    longest_s: float
    spills: int
    spilled_bytes: int
    scanned_bytes: int


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The answer to AskStatus: rows of the kind that was asked for."""

    jobs: tuple[JobStatus, ...] = ()
    stages: tuple[StageStatus, ...] = ()
    executors: tuple[ExecutorStatus, ...] = ()
    skew: tuple[SkewReport, ...] = ()
    operators: tuple[OperatorStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportAccumulators:
    """Values that accumulators have after a stage's updates were added, for pages: see quiver_proto.events.AccumulatorsUpdated."""

    session_id: str
    at: float
    stage_id: StageId
    ids: tuple[int, ...]
    types: tuple[str, ...]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """For pages: an event about a query of this session, one of quiver_proto.events.QueryEvent as a line of the log."""

    session_id: str
    event: str


@dataclass(frozen=True, slots=True)
class Unpersist:
    """Drop the dataset's blocks. Answered when executors have been told."""

    session_id: str
    dataset_id: int


@dataclass(frozen=True, slots=True)
class AskStored:
    session_id: str
    dataset_id: int


@dataclass(frozen=True, slots=True)
class Stored:
    """How much of a dataset is in blocks: partitions with a block, copies, and bytes of all copies."""

    partitions: int = 0
    copies: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0


@dataclass(frozen=True, slots=True)
class AskSizes:
    session_id: str
    shuffle_id: ShuffleId


@dataclass(frozen=True, slots=True)
class MapSizes:
    """Of each map output of a shuffle, in map order, the bytes of its pieces (array('Q')). Empty unless all outputs are there."""

    maps: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class SendBroadcast:
    """One piece (of broadcast_file.PIECE_BYTES, the last may be shorter) of a broadcast's file; `checksums` as in BroadcastTable.

    Plans may refer to the broadcast once all its pieces were acknowledged. Sent again, a piece changes nothing.
    """

    session_id: str
    broadcast_id: int
    size: int
    checksums: bytes
    piece: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ReleaseBroadcast:
    """Let executors drop their copies, and with `destroy` forget it. With `blocking` it is answered when that has happened."""

    session_id: str
    broadcast_id: int
    destroy: bool
    blocking: bool
