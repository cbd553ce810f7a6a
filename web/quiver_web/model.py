"""What pages and REST show: plain records that `fold.State` builds from the event log. Times are Unix seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from quiver_proto.events import SkewDetected, StageInfo
from quiver_proto.operators import OperatorTotals
from quiver_web.metrics import Totals
from quiver_web.tasks import TaskTable

JobStatus = Literal["running", "succeeded", "failed", "cancelled"]
StageStatus = Literal["active", "succeeded", "failed", "cancelled"]
JobStageStatus = Literal["pending", "active", "succeeded", "failed", "cancelled", "skipped", "not run"]


@dataclass(slots=True)
class Application:
    application_id: str = ""
    name: str = ""
    user: str = ""
    master: str = ""
    version: str = ""
    pid: int = 0
    host: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    runtime: Mapping[str, str] = field(default_factory=dict)
    started_at: float = 0.0
    ended_at: float | None = None


@dataclass(slots=True)
class Executor:
    executor_id: str
    node_id: str = ""
    host: str = ""
    cores: int = 0
    memory_bytes: int = 0
    pid: int = 0
    log_dir: str = ""
    added_at: float = 0.0
    removed_at: float | None = None
    reason: str = ""
    rss_bytes: int = 0
    peak_rss_bytes: int = 0
    running: int | None = None
    """Running and queued tasks as the executor last told; None when it never did. `tasks.active` is the driver's own count."""
    queued: int | None = None
    tasks: Totals = field(default_factory=Totals)

    @property
    def alive(self) -> bool:
        return self.removed_at is None

    @property
    def short_id(self) -> str:
        """`app-20261121-063545-1a2b3c/0` -> `0`."""
        return self.executor_id.rpartition("/")[2]


@dataclass(slots=True)
class Partitions:
    """Which partitions of a stage are done: counted once each, however often they are made again."""

    planned: int
    done: set[int] = field(default_factory=set)
    done_count: int = 0

    def finish(self, partition: int) -> None:
        if partition not in self.done:
            self.done.add(partition)
            self.done_count += 1

    def forget_details(self) -> None:
        self.done = set()


@dataclass(slots=True)
class StageAttempt:
    stage_id: int
    attempt: int
    tasks_planned: int
    started_at: float
    status: StageStatus = "active"
    ended_at: float | None = None
    error: str = ""
    first_launch_at: float | None = None
    totals: Totals = field(default_factory=Totals)
    by_executor: dict[str, Totals] = field(default_factory=dict)
    partitions: Partitions = field(default_factory=lambda: Partitions(0))
    tasks: TaskTable = field(default_factory=TaskTable)


@dataclass(slots=True)
class Stage:
    info: StageInfo
    job_ids: dict[int, None] = field(default_factory=dict)
    """The kept jobs that list it, in order."""
    attempts: dict[int, StageAttempt] = field(default_factory=dict)
    accumulators: dict[int, tuple[str, str]] = field(default_factory=dict)
    """By id: type and value (a shortened repr) once this stage's last updates were added."""
    skew: SkewDetected | None = None
    operators: Sequence[OperatorTotals] = ()
    """Of its native fragments."""

    @property
    def last(self) -> StageAttempt | None:
        return next(reversed(self.attempts.values()), None)


@dataclass(slots=True)
class JobStage:
    """A stage as one job used it."""

    info: StageInfo
    partitions: Partitions
    started: bool = False
    status: JobStageStatus = "pending"
    attempt: int | None = None
    """The last attempt made for this job; None: it made none."""


@dataclass(slots=True)
class Job:
    job_id: int
    name: str
    call_site: str
    group: str
    description: str
    started_at: float
    stages: dict[int, JobStage]
    status: JobStatus = "running"
    ended_at: float | None = None
    error: str = ""
    tasks: Totals = field(default_factory=Totals)
    tags: Sequence[str] = ()
    query_id: int = -1
    """-1: of no query."""

    @property
    def title(self) -> str:
        """The action and where it was called, as Spark names jobs: `collect at count.py:12`."""
        return self.call_site if self.call_site.startswith(self.name) else self.name

    @property
    def planned_tasks(self) -> int:
        """Partitions that this job makes or made: those of skipped stages don't count."""
        return sum(stage.partitions.planned for stage in self.stages.values() if stage.status != "skipped")

    @property
    def done_tasks(self) -> int:
        return sum(stage.partitions.done_count for stage in self.stages.values())

    @property
    def skipped_tasks(self) -> int:
        return sum(stage.info.width for stage in self.stages.values() if stage.status == "skipped")

    def count_stages(self, *statuses: JobStageStatus) -> int:
        return sum(stage.status in statuses for stage in self.stages.values())


@dataclass(slots=True)
class WaitingReason:
    at: float
    job_id: int | None
    stage_id: int | None
    reason: str
