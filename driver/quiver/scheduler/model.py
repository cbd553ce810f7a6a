"""What goes into the scheduler and what comes out: closed unions of frozen dataclasses. No decisions here.

Words: a *stage attempt* is one run over a stage's missing partitions; a *task attempt* is one TaskId.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from quiver.scheduler.caching import Caching
from quiver_proto.ids import ExecutorId, JobId, NodeId, ShuffleId, StageId, TaskId
from quiver_proto.messages import CachedBlock, TaskDone, TaskFailure


class Preference(NamedTuple):
    """Where a partition's data is. `slot` and `executor_id` may be None when only the node is known."""

    node_id: NodeId
    executor_id: ExecutorId | None = None
    slot: int | None = None


@dataclass(frozen=True, slots=True)
class Needs:
    """What the tasks of a stage need besides cores: so much of each resource `per_task` (whole numbers, or shares of at most 0.5), and
    executors that have at least so much of what `executor` names (cores, memory in bytes, or a resource).
    """

    per_task: tuple[tuple[str, float], ...] = ()
    executor: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One stage. The same `stage_id` may appear in several jobs: it is computed once.

    `partitions` are those this job wants of a result stage (None: all of range(width)); map stages always make all.
    `parents` are the stages whose shuffles it `reads` (same order). A map stage has `shuffle_id`, a result stage None.
    """

    stage_id: StageId
    name: str
    width: int
    parents: tuple[StageId, ...] = ()
    reads: tuple[ShuffleId, ...] = ()
    shuffle_id: ShuffleId | None = None
    partitions: tuple[int, ...] | None = None
    cores_per_task: int = 1
    preferred: Mapping[int, tuple[Preference, ...]] = field(default_factory=dict)
    barrier: bool = False
    """All tasks of an attempt start at once, or none does; when one fails, all run again."""
    caching: Caching | None = None
    """What of it is kept in blocks; None for nothing."""
    needs: Needs | None = None

    @property
    def makes_parents(self) -> bool:
        """Whether it is a result of no partitions that is there to have its parents made, none of which it reads."""
        return not self.width and not self.reads and bool(self.parents)


@dataclass(frozen=True, slots=True)
class JobSpec:
    """`stages` are in topological order, parents first; the last is the result stage, owned by this job alone."""

    job_id: JobId
    stages: tuple[StageSpec, ...]
    pool: str = "default"


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits, in counts and seconds. `validate` raises ValueError across fields."""

    max_task_failures: int = 4
    max_stage_attempts: int = 4
    locality_wait_s: float = 3.0
    waiting_notice_s: float = 3.0
    """A job that starts nothing for this long has its reason told (Waiting)."""
    no_progress_limit_s: float = 120.0
    """A job that can't progress (no executor that could run it) fails with its reason after this long."""
    unsuitable_limit_s: float = 5.0
    """A job whose tasks claim more cores than any executor has fails after this long, if that is sooner."""
    target_queue_s: float = 0.005
    """How much work, by the stage's mean task time, may wait at an executor beyond its free slots."""
    max_queue_per_slot: int = 64
    barrier_slots_limit_s: float = 15.0
    """A job fails when its barrier stage has had fewer slots than tasks for so long since it began or an executor came or went."""
    barrier_sync_timeout_s: float = 365 * 86400.0
    """How long tasks of a barrier stage wait for one another."""

    def validate(self) -> None:
        if self.max_task_failures < 1 or self.max_stage_attempts < 1:
            raise ValueError("max_task_failures and max_stage_attempts must be at least 1")
        if min(self.locality_wait_s, self.waiting_notice_s, self.no_progress_limit_s, self.unsuitable_limit_s, self.target_queue_s) < 0:
            raise ValueError("times must not be negative")
        if min(self.barrier_slots_limit_s, self.barrier_sync_timeout_s) < 0:
            raise ValueError("times must not be negative")


# ---- events ----


@dataclass(frozen=True, slots=True)
class JobSubmitted:
    job: JobSpec


@dataclass(frozen=True, slots=True)
class JobCancelRequested:
    job_id: JobId
    reason: str


@dataclass(frozen=True, slots=True)
class StageCancelRequested:
    """Fails every job that needs the stage, as Spark's cancelStage."""

    stage_id: StageId
    reason: str


@dataclass(frozen=True, slots=True)
class TaskKillRequested:
    """Kill one attempt; the partition is tried again (not counted as a failure)."""

    task_id: TaskId
    reason: str


@dataclass(frozen=True, slots=True)
class ExecutorRegistered:
    """`resources`: the addresses that it has of each."""

    executor_id: ExecutorId
    node_id: NodeId
    cores: int
    memory_bytes: int = 0
    resources: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExecutorDraining:
    """No new tasks; what runs may finish."""

    executor_id: ExecutorId


@dataclass(frozen=True, slots=True)
class ExecutorGone:
    """Its shuffle files survive on its node. `asked`: it was told to go, so its tasks' failures don't count."""

    executor_id: ExecutorId
    reason: str
    asked: bool = False


@dataclass(frozen=True, slots=True)
class NodeLost:
    """Every executor on it is gone and every map output on it is invalid."""

    node_id: NodeId
    reason: str


@dataclass(frozen=True, slots=True)
class TasksReported:
    """Ends of task attempts. A task_id that is not current (fenced, unknown, already ended) changes nothing."""

    executor_id: ExecutorId
    done: Sequence[TaskDone] = ()
    failed: Sequence[TaskFailure] = ()


@dataclass(frozen=True, slots=True)
class ShuffleReleased:
    """The last reference to the shuffle's dataset went. Answered by ShuffleForgotten, when no running job needs it (any more)."""

    shuffle_id: ShuffleId


@dataclass(frozen=True, slots=True)
class BlocksReported:
    """Cached blocks of an executor that moved, were evicted or came by replication, as they are now."""

    executor_id: ExecutorId
    blocks: Sequence[CachedBlock]


@dataclass(frozen=True, slots=True)
class DatasetReleased:
    """Nobody wants this dataset's blocks any more. Answered by DropDataset when some job has used them."""

    dataset_id: int


@dataclass(frozen=True, slots=True)
class ClusterWaiting:
    """The cluster's own word on why there are too few executors; "" when that is over. `final`: none will ever come."""

    reason: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed. Sent when `Scheduler.next_deadline()` is reached."""


SchedulerEvent = (
    JobSubmitted | JobCancelRequested | StageCancelRequested | TaskKillRequested
    | ExecutorRegistered | ExecutorDraining | ExecutorGone | NodeLost
    | TasksReported | BlocksReported | ShuffleReleased | DatasetReleased | ClusterWaiting | Tick
)  # fmt: skip


# ---- actions ----


@dataclass(slots=True)
class Launch:
    """Start these tasks (columns). `locality`, of all of them: 1 executor, 2 node, 3 any (0 slot: the executor chooses its slot).

    `variants` says of each which of its stage's ways to send it is meant (`StageSpec.caching`); empty when the stage has no caches.
    """

    executor_id: ExecutorId
    stage_id: StageId
    stage_attempt: int
    task_ids: list[TaskId]
    partitions: list[int]
    attempts: list[int]
    cores_per_task: int
    locality: int = 3
    variants: list[int] = field(default_factory=list)
    resources: dict[TaskId, Mapping[str, Sequence[str]]] | None = None
    """The addresses that each task may use, by name; of tasks that need any."""


@dataclass(frozen=True, slots=True)
class Kill:
    executor_id: ExecutorId
    task_ids: Sequence[TaskId]
    reason: str


@dataclass(frozen=True, slots=True)
class StageBegan:
    """A stage attempt starts, with `partitions` to compute. Its inputs' locations are `Scheduler.map_outputs` at this moment.

    Of a barrier stage, `executors` says where each of the partitions goes.
    `skipped` are shuffles that it does without, since cached blocks stand for them: their outputs may be incomplete.
    """

    stage_id: StageId
    stage_attempt: int
    partitions: Sequence[int]
    executors: Sequence[ExecutorId] = ()
    skipped: frozenset[ShuffleId] = frozenset()


@dataclass(frozen=True, slots=True)
class StageFinished:
    """`status` is succeeded, failed or cancelled. After this no task of the attempt is current."""

    stage_id: StageId
    stage_attempt: int
    status: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class StageWasSkipped:
    job_id: JobId
    stage_id: StageId


class Succeeded(NamedTuple):
    partition: int
    attempt: int
    done: TaskDone


@dataclass(frozen=True, slots=True)
class TasksAccepted:
    """First successes of their partitions, for results (job_id set: the result stage's job) and for the event log.

    Each partition appears once per stage attempt.
    """

    executor_id: ExecutorId
    stage_id: StageId
    stage_attempt: int
    job_id: JobId | None
    tasks: Sequence[Succeeded]


@dataclass(frozen=True, slots=True)
class TaskAttemptFailed:
    """A current attempt failed, for the event log and the log. `will_retry` says what comes next."""

    executor_id: ExecutorId
    stage_id: StageId
    stage_attempt: int
    partition: int
    attempt: int
    failure: TaskFailure
    will_retry: bool


@dataclass(frozen=True, slots=True)
class TaskDiscarded:
    """A success that came too late: its result block or map file (if any) may be deleted.

    A repeated report of an accepted task gives no action: it names the file that is in use.
    """

    executor_id: ExecutorId
    done: TaskDone


@dataclass(frozen=True, slots=True)
class ShuffleForgotten:
    """A released shuffle that no running job needs: its files may be deleted everywhere. Once per shuffle."""

    shuffle_id: ShuffleId


@dataclass(frozen=True, slots=True)
class BlocksNoted:
    """Blocks of persisted datasets as the executor has them now, for the event log."""

    executor_id: ExecutorId
    blocks: Sequence[CachedBlock]


@dataclass(frozen=True, slots=True)
class DropDataset:
    """These executors are to drop all blocks of the dataset."""

    dataset_id: int
    executor_ids: Sequence[ExecutorId]


@dataclass(frozen=True, slots=True)
class Replicate:
    """This executor is to get a copy of the block, and to report it (or that it could not) in BlocksReported."""

    executor_id: ExecutorId
    block: CachedBlock
    use_memory: bool
    use_disk: bool


@dataclass(frozen=True, slots=True)
class JobSucceeded:
    job_id: JobId


@dataclass(frozen=True, slots=True)
class JobEndedBadly:
    """`failure` is the task failure that ended it; None for a cancelled or stuck job. `status` is failed, cancelled or stuck.

    `error` is a QuiverError as `to_wire` made it, where the reason has a type of its own.
    """

    job_id: JobId
    status: str
    reason: str
    failure: TaskFailure | None = None
    failed_partition: int = -1
    failed_stage: StageId | None = None
    error: tuple[str, tuple[object, ...]] | None = None


@dataclass(frozen=True, slots=True)
class WaitingBecause:
    """Told to the user after `Policy.waiting_notice_s`; an empty reason takes it back."""

    job_id: JobId
    stage_id: StageId | None
    reason: str


SchedulerAction = (
    Launch | Kill | StageBegan | StageFinished | StageWasSkipped | TasksAccepted | TaskAttemptFailed | TaskDiscarded
    | ShuffleForgotten | BlocksNoted | DropDataset | Replicate | JobSucceeded | JobEndedBadly | WaitingBecause
)  # fmt: skip
