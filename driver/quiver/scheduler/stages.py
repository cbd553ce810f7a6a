"""Stages and their attempts.

    IDLE ────▶ WAITING ────▶ ACTIVE          WAITING   for outputs of a parent stage
     ▲            │  ▲          │            ACTIVE    has a current attempt (a StageRun), begun or not
     └────────────┘  └──────────┤            IDLE      done, or nobody needs it
     └──────────────────────────┘

    from      to        because
    IDLE      WAITING   a job needs it and something of it is missing
    WAITING   ACTIVE    every parent's outputs are complete
    WAITING   IDLE      no job needs it any more
    ACTIVE    IDLE      every partition is done, or no job needs it any more
    ACTIVE    WAITING   an input was lost, or some of its own outputs were lost while it ran

Any other move is a bug: it raises IllegalTransition, which tells the stage's story.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING

from quiver.scheduler.executors import Executor
from quiver.scheduler.locality import Nearby
from quiver.scheduler.model import Preference, StageSpec, Succeeded
from quiver.scheduler.outputs import ShuffleOutputs
from quiver_proto.errors import QuiverError
from quiver_proto.ids import ExecutorId, ShuffleId, StageId, TaskId

if TYPE_CHECKING:
    from quiver.scheduler.jobs import Job


class StageState(Enum):
    IDLE = "idle"
    WAITING = "waiting"
    ACTIVE = "active"


MOVES = {
    (StageState.IDLE, StageState.WAITING),
    (StageState.WAITING, StageState.ACTIVE),
    (StageState.WAITING, StageState.IDLE),
    (StageState.ACTIVE, StageState.IDLE),
    (StageState.ACTIVE, StageState.WAITING),
}


HISTORY_KEPT = 40


class IllegalTransition(QuiverError):
    """The scheduler was about to do what its rules forbid. Carries the history of the thing."""

    def __init__(self, what: str, move: str, history: list[str]) -> None:
        story = "".join(f"\n  {line}" for line in history)
        super().__init__(f"{what} can't go {move}. Its history:{story or ' none'}", what, move, history)


class Stage:
    """A stage over its whole life. Map stages may serve several jobs; a result stage belongs to `owner` alone."""

    __slots__ = (
        "accepted", "attempt", "children", "distrusts_cache", "failures_in_row", "history", "jobs", "outputs", "owner", "parents",
        "run", "spec", "state", "users",
    )  # fmt: skip

    def __init__(self, spec: StageSpec, outputs: ShuffleOutputs | None, owner: Job | None) -> None:
        self.spec = spec
        self.outputs = outputs
        self.owner = owner
        self.state = StageState.IDLE
        self.attempt = -1
        """The number of the last attempt that began."""
        self.run: StageRun | None = None
        self.failures_in_row = 0
        """Attempts that failed to read their input, or of which (barrier stages) a task failed, since the stage last succeeded."""
        self.distrusts_cache = False
        """A block that stood for an input was not there: until the stage is done, inputs are made whatever blocks there seem to be."""
        self.jobs: set[Job] = set()
        """Jobs that wait for this stage; empty if and only if IDLE."""
        self.users = 0
        """How many running jobs have it in their graph, needed or not."""
        self.parents: list[Stage] = []
        self.children: set[Stage] = set()
        self.accepted: set[int] = set()
        """A result stage's partitions whose result was accepted."""
        self.history: list[tuple[StageState, str]] = []
        """Where it came to, and why; the last ones."""

    def __repr__(self) -> str:
        return f"stage {self.spec.stage_id} ({self.spec.name})"

    def become(self, state: StageState, why: str) -> None:
        if (self.state, state) not in MOVES:
            story = [f"{kept.value}: {because}" for kept, because in self.history]
            raise IllegalTransition(repr(self), f"from {self.state.value} to {state.value} ({why})", story)
        self.history.append((state, why))
        if len(self.history) > HISTORY_KEPT:
            del self.history[: HISTORY_KEPT // 2]
        self.state = state

    def missing(self) -> list[int]:
        """Partitions still to be computed, ascending."""
        if self.outputs is not None:
            return self.outputs.missing()
        wanted = self.spec.partitions if self.spec.partitions is not None else range(self.spec.width)
        return [partition for partition in wanted if partition not in self.accepted]

    def absent_parents(self) -> list[Stage]:
        return [parent for parent in self.parents if parent.outputs is not None and not parent.outputs.complete]


class StageRun:
    """One stage attempt: what is pending and what runs. It begins with its first launch."""

    __slots__ = (
        "attempt", "avoid", "barrier", "begun", "cores", "cramped_since", "ended", "failures", "kept", "key", "last_active", "nearby",
        "needs", "over", "partitions", "passed", "pending", "preferred", "queue", "queued", "remaining", "running", "scanned",
        "seconds", "skipped", "stage", "stage_id", "told", "tries",
    )  # fmt: skip

    def __init__(
        self,
        stage: Stage,
        attempt: int,
        partitions: list[int],
        key: tuple[int, int],
        queue: int,
        now: float,
        places: Mapping[int, tuple[Preference, ...]] | None = None,
    ) -> None:
        self.stage = stage
        self.stage_id: StageId = stage.spec.stage_id
        self.attempt = attempt
        self.cores = stage.spec.cores_per_task
        self.barrier = stage.spec.barrier
        self.kept: list[tuple[ExecutorId, Succeeded]] = []
        """Of a barrier stage: tasks that have ended well while others run, and where."""
        self.partitions = partitions
        self.remaining = len(partitions)
        self.begun = False
        self.over = False
        self.key = key
        """Whose turn it is: (first job that needs it, stage)."""
        self.queued = False
        """Whether it stands in the queue of runs with something pending."""
        self.skipped: frozenset[ShuffleId] = frozenset()
        """Shuffles whose missing outputs cached blocks stand for."""
        self.told = 0
        """The last report about blocks that was known when it began."""
        self.needs = stage.spec.needs
        self.passed = -1
        """Of one with needs: the last launching pass in which it had its turn."""
        self.scanned = False
        """Of one with needs: whether no executor had room when they were looked at; only those that changed need another look."""
        preferred = stage.spec.preferred if places is None else {**stage.spec.preferred, **places}
        if self.needs is not None:
            preferred = {}
        self.preferred = preferred
        self.nearby: Nearby | None = Nearby(preferred) if preferred else None
        self.pending: list[int] = [p for p in reversed(partitions) if not preferred.get(p)] if preferred else partitions[::-1]
        """Partitions that may run anywhere, the next one last."""
        self.avoid: deque[tuple[int, ExecutorId, float]] = deque()
        """Partitions that failed: (partition, where, until when another executor is waited for)."""
        self.cramped_since: float | None = None
        """Since when it needs more cores at once than are free on any executor, while some are free."""
        self.running: dict[TaskId, Executor] = {}
        self.failures: dict[int, int] = {}
        self.tries: dict[int, int] = {}
        self.ended = 0
        self.seconds = 0.0
        self.queue = queue
        """How many tasks may wait per slot; 0 while its tasks are not known to be short."""
        self.last_active = now

    @property
    def left(self) -> int:
        """Partitions that wait to be launched."""
        return len(self.pending) + len(self.avoid) + (len(self.nearby.left) if self.nearby is not None else 0)
