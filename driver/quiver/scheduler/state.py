"""All that the scheduler knows. Plain containers; the decisions are in the modules beside it."""

from __future__ import annotations

import heapq
from collections import OrderedDict

from quiver.scheduler.blocks import Block, BlockTable
from quiver.scheduler.executors import Executor, Rooms
from quiver.scheduler.jobs import Job
from quiver.scheduler.model import Policy, SchedulerAction
from quiver.scheduler.stages import Stage, StageRun
from quiver_proto.ids import ExecutorId, JobId, NodeId, ShuffleId, StageId, TaskId

ABANDONED_KEPT = 100_000
NAMES_KEPT = 1_000


class State:
    """Owned by one Scheduler. `actions` collects what the current step decides, in order."""

    __slots__ = (
        "_sequence", "abandoned", "actions", "active", "blocks", "blocks_lost", "check_at", "cluster_final", "cluster_reason",
        "draining", "durations", "executors", "freshened", "gone", "jobs", "located", "lost_at", "next_task", "nodes", "passes",
        "policy", "queue", "recalled", "registered_at", "reserved", "rooms", "shuffles", "stages", "steal_at", "told", "total_cores",
        "uncopied", "wake_at",
    )  # fmt: skip

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.actions: list[SchedulerAction] = []
        self.jobs: dict[JobId, Job] = {}
        self.stages: dict[StageId, Stage] = {}
        self.shuffles: dict[ShuffleId, Stage] = {}
        """The stage that writes each shuffle."""
        self.blocks = BlockTable()
        self.blocks_lost = False
        """Whether a cached block was lost in this step."""
        self.uncopied: dict[Block, None] = {}
        """Blocks of which a copy was lost in this step."""
        self.active: dict[StageId, StageRun] = {}
        self.located: dict[StageRun, None] = {}
        """Active attempts with partitions that prefer a place."""
        self.queue: list[tuple[tuple[int, int], int, StageRun]] = []
        """Heap of attempts with something pending, first job first. Entries of attempts that are over are dropped when met."""
        self._sequence = 0
        self.next_task = 0

        self.executors: dict[ExecutorId, Executor] = {}
        self.nodes: dict[NodeId, dict[Executor, None]] = {}
        """Living nodes: those with at least one executor."""
        self.gone: set[ExecutorId] = set()
        self.lost_at = 0.0
        """When an executor was last lost or began to drain."""
        self.registered_at = 0.0
        """When the last executor came."""
        self.draining = 0
        self.total_cores = 0
        """Cores of the executors that are not draining."""
        self.rooms = Rooms(policy.max_queue_per_slot)
        self.freshened: list[Executor] = []
        """Executors that got room in this step."""
        self.reserved: list[Executor] = []
        """Executors that are being emptied for an attempt with large tasks."""
        self.passes = 0
        self.abandoned: OrderedDict[TaskId, None] = OrderedDict()
        """Attempts that were taken from a lost executor: should one succeed after all, what it left behind may be deleted."""
        self.recalled: set[TaskId] = set()
        """Queued tasks asked back from their executor, because another is idle."""
        self.durations: dict[str, float] = {}
        """Mean task seconds by stage name: what is expected of the next stage from the same line of the program."""

        self.cluster_reason = ""
        self.cluster_final = False
        self.told = 0
        """How many jobs were told a reason for waiting."""
        self.check_at: float | None = None
        self.wake_at: float | None = None
        self.steal_at: float | None = None

    def enqueue(self, run: StageRun) -> None:
        """Have the attempt considered for launching."""
        if not run.queued:
            run.queued = True
            self._sequence += 1
            heapq.heappush(self.queue, (run.key, self._sequence, run))

    def check_by(self, at: float) -> None:
        """Look for waiting jobs at `at` or before."""
        if self.check_at is None or at < self.check_at:
            self.check_at = at

    def wake_by(self, at: float) -> None:
        """Try to launch again at `at` or before."""
        if self.wake_at is None or at < self.wake_at:
            self.wake_at = at

    def abandon(self, task_id: TaskId) -> None:
        self.abandoned[task_id] = None
        if len(self.abandoned) > ABANDONED_KEPT:
            self.abandoned.popitem(last=False)

    def remember_duration(self, name: str, mean_s: float) -> None:
        if name not in self.durations and len(self.durations) >= NAMES_KEPT:
            del self.durations[next(iter(self.durations))]
        self.durations[name] = mean_s
