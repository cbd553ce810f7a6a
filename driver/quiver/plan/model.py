"""What an action hands to a driver: a planned job, all of it plain data (users' code only as sealed bytes)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from quiver.plan.selection import JobSelection
from quiver.scheduler.blocks import StoredSummary
from quiver.scheduler.model import StageSpec
from quiver_proto.events import AccumulatorsUpdated, QueryEvent
from quiver_proto.ids import JobId, ShuffleId, StageId
from quiver_proto.messages import BroadcastTable
from quiver_proto.ops import CallSite

if TYPE_CHECKING:
    from quiver_proto.sessions import StatusReport


class StageUpdates(NamedTuple):
    """What the accepted attempt at one partition added to accumulators: `updates` as quiver_proto.messages.TaskExtras has them."""

    stage_id: StageId
    partition: int
    updates: bytes


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """`body` is a pickled quiver_proto.ops.StageBody; `split(partition)` makes a split (frames.dump_value) when its task is launched.

    `broadcasts` are those that the body refers to, by id; on the planning side with the Broadcast itself, which lives as long as the stage.
    `counted` are the partitions whose accumulator updates were added: it lives as long as the stage, so a partition that is made again
    for a later job does not count again. For the planning side alone.
    `variant(partition, n)` makes the n-th of the ways that `spec.caching` tells of; None when there is just one.
    """

    spec: StageSpec
    body: bytes
    split: Callable[[int], bytes]
    operators: tuple[CallSite, ...] = ()
    counted: set[int] = field(default_factory=set, compare=False)
    variant: Callable[[int, int], bytes] | None = None
    broadcasts: Mapping[int, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """`stages` parents first, the result stage last. `properties` are local properties (job group, description, pool, the user's own).

    `updates` is filled by the driver while the job runs: what its tasks added to accumulators. It is whole when `run` returns or raises.

    A job with `within_s` (0: no limit) is cancelled when so many seconds have passed since it was submitted; its result is then what it
    has so far, and b"" for each partition that is missing.
    """

    job_id: JobId
    stages: tuple[PlannedStage, ...]
    call_site: CallSite
    properties: Mapping[str, str] = field(default_factory=dict)
    within_s: float = 0.0
    updates: list[StageUpdates] = field(default_factory=list, compare=False)


class Driver(Protocol):
    """Executes plans: in this process, or in a `driver serve` daemon. The API above must not know which.

    Ids in plans start at `id_base`, so that clients who share one driver never collide.
    """

    application_id: str
    default_parallelism: int
    ui_url: str | None
    id_base: int
    started_at: float

    def executor_cores(self) -> int:
        """Cores of the largest executor there is; 1 as long as there is none."""
        ...

    def run(self, job: PlannedJob) -> Sequence[bytes]:
        """The result frames of the result stage's partitions, in the order of `spec.partitions` (or of range(width)).

        Blocks. Raises the user's own exception with a note that names operator, partition and record, or a JobFailed.
        KeyboardInterrupt in the calling thread cancels the job and is raised on.
        """
        ...

    def cancel(self, job_id: JobId, reason: str) -> None:
        """No effect on a job that has ended."""
        ...

    def cancel_jobs(self, selection: JobSelection, reason: str) -> None:
        """Cancel the running jobs that are meant, and refuse later ones where the selection says so."""
        ...

    def status(self, what: str, ids: Sequence[int] = ()) -> StatusReport:
        """What is known of jobs, stages or executors (`what`), by any thread: of these ids, or () of all."""
        ...

    def release_shuffle(self, shuffle_id: ShuffleId) -> None:
        """The last reference to the shuffle's dataset went. Called from the collector too: must not block or raise."""
        ...

    def broadcast_dir(self) -> str:
        """A private directory of the application on this machine, for the files of broadcasts; it goes with the application."""
        ...

    def add_broadcast(self, table: BroadcastTable) -> None:
        """Plans may refer to this from now on. Blocks while the bytes go to where executors get them. Raises QuiverError, OSError."""
        ...

    def remove_broadcast(self, broadcast_id: int, *, destroy: bool, blocking: bool) -> None:
        """Let executors drop their copies, and with `destroy` delete the file and refuse plans that refer to it.

        With `blocking` it returns when that has happened; without, it is called from the collector too: must not block or raise.
        """
        ...

    def accumulated(self, event: AccumulatorsUpdated) -> None:
        """Tell pages the values that accumulators have now that a stage's updates were added. Does not block."""
        ...

    def record(self, event: Callable[[], QueryEvent]) -> None:
        """Tell pages about a query. The event is made later, in another thread, and must not raise. Does not block."""
        ...

    def unpersist(self, dataset_id: int, blocking: bool = False) -> None:
        """Drop the dataset's cached blocks everywhere. `blocking`: return when all executors have been told.

        Without it, it may be called from the collector: it must not block or raise then.
        """
        ...

    def stored(self, dataset_id: int) -> StoredSummary:
        """How much of a persisted dataset is in blocks now."""
        ...

    def map_sizes(self, shuffle_id: ShuffleId) -> Sequence[bytes]:
        """Of each map output, in map order, the bytes of its pieces (array('Q')); nothing unless all outputs are there."""
        ...

    def stop(self) -> None:
        """End the application: executors stop, blocks go, the event log is closed. Twice does nothing."""
        ...
