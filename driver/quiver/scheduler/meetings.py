"""Where tasks of barrier stages wait for one another: who has come, who is let go, who waits in vain. Pure: time is an argument.

A meeting is over for all when every task has come with the same kind of call, and they get what each has brought, by partition. It fails,
with Spark's words, when tasks made different calls, when one has ended without coming, or when not all came in time; from then on nobody of
that stage attempt meets again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from quiver_proto.ids import StageId, TaskId
from quiver_proto.messages import BarrierArrived, BarrierReleased
from quiver_proto.task_context import ALL_GATHER, BARRIER

_NAMES = {BARRIER: "barrier", ALL_GATHER: "allGather"}
SHOWN = 10


class Meeting:
    """The current round of one stage attempt."""

    __slots__ = ("attempt", "brought", "ended", "error", "round", "since", "stage_id", "tasks", "width")

    def __init__(self, stage_id: StageId, attempt: int, width: int) -> None:
        self.stage_id = stage_id
        self.attempt = attempt
        self.width = width
        self.round = 0
        self.since: float | None = None
        """When the first came to this round."""
        self.brought: dict[int, bytes] = {}
        """By partition; what those that wait have brought."""
        self.ended: set[int] = set()
        self.tasks: list[TaskId] = []
        self.error = ""

    def released(self, payloads: Sequence[bytes] = (), error: str = "") -> BarrierReleased:
        return BarrierReleased(self.stage_id, self.attempt, self.round, payloads, error)

    def next_round(self) -> None:
        self.round += 1
        self.since = None
        self.brought = {}


class Meetings:
    """All meetings of an application. What its methods return is to be sent to every executor that has tasks of the stage attempt.

    Cheap to ask whether there are any: `if meetings`.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._meetings: dict[tuple[StageId, int], Meeting] = {}
        self._places: dict[TaskId, tuple[Meeting, int]] = {}

    def __bool__(self) -> bool:
        return bool(self._meetings)

    def begin(self, stage_id: StageId, attempt: int, width: int) -> None:
        """A barrier stage attempt begins, with `width` tasks."""
        self._meetings[stage_id, attempt] = Meeting(stage_id, attempt, width)

    def launched(self, stage_id: StageId, attempt: int, task_ids: Sequence[TaskId], partitions: Sequence[int]) -> None:
        """Tasks of any stage attempt."""
        meeting = self._meetings.get((stage_id, attempt))
        if meeting is not None:
            meeting.tasks += task_ids
            self._places.update(zip(task_ids, ((meeting, partition) for partition in partitions), strict=True))

    def over(self, stage_id: StageId, attempt: int) -> None:
        """A stage attempt, of any kind, has ended."""
        meeting = self._meetings.pop((stage_id, attempt), None)
        if meeting is not None:
            for task_id in meeting.tasks:
                del self._places[task_id]

    def arrived(self, message: BarrierArrived, now: float) -> list[BarrierReleased]:
        """A task has come. Messages may come twice, and from tasks that are being killed."""
        place = self._places.get(message.task_id)
        if place is None:
            return []
        meeting, partition = place
        if meeting.error:
            return [BarrierReleased(meeting.stage_id, meeting.attempt, message.round, (), meeting.error)]
        if message.round != meeting.round or partition in meeting.brought:
            return []
        if meeting.since is None:
            meeting.since = now
        meeting.brought[partition] = message.payload
        kinds = {payload[:1] for payload in meeting.brought.values()}
        if len(kinds) > 1:
            names = ", ".join(sorted(_NAMES.get(kind, "?") for kind in kinds))
            return [
                self._fail(
                    meeting,
                    f"Different barrier sync types found for the sync {_name(meeting)}: {names}. "
                    "Please use the same barrier sync method within a single sync.",
                )
            ]
        if meeting.ended:
            return [self._fail(meeting, _too_few(meeting, f"tasks have ended without it: {_listed(meeting.ended)}"))]
        if len(meeting.brought) < meeting.width:
            return []
        released = meeting.released([meeting.brought[partition] for partition in range(meeting.width)])
        meeting.next_round()
        return [released]

    def ended(self, task_ids: Iterable[TaskId]) -> list[BarrierReleased]:
        """Tasks of any stage have ended well. (One that fails ends its stage attempt: `over`.)"""
        releases = []
        for task_id in task_ids:
            place = self._places.get(task_id)
            if place is None:
                continue
            meeting, partition = place
            meeting.ended.add(partition)
            if meeting.brought and not meeting.error:
                releases.append(self._fail(meeting, _too_few(meeting, f"tasks have ended without it: {_listed(meeting.ended)}")))
        return releases

    def tick(self, now: float) -> list[BarrierReleased]:
        """Time has passed."""
        late = [m for m in self._meetings.values() if m.since is not None and not m.error and now >= m.since + self._timeout_s]
        absent = [_listed(set(range(m.width)) - m.brought.keys()) for m in late]
        within = f"within {self._timeout_s:g} second(s); these have not come: "
        return [self._fail(meeting, _too_few(meeting, within + missing)) for meeting, missing in zip(late, absent, strict=True)]

    def next_deadline(self) -> float | None:
        """When a tick is due; None: never."""
        times = [m.since + self._timeout_s for m in self._meetings.values() if m.since is not None and not m.error]
        return min(times, default=None)

    def _fail(self, meeting: Meeting, error: str) -> BarrierReleased:
        meeting.error = error
        return meeting.released(error=error)


def _name(meeting: Meeting) -> str:
    return f"Stage {meeting.stage_id} (Attempt {meeting.attempt})"


def _too_few(meeting: Meeting, why: str) -> str:
    return f"The coordinator didn't get all barrier sync requests for barrier epoch {meeting.round} from {_name(meeting)} {why}."


def _listed(partitions: set[int]) -> str:
    shown = ", ".join(map(str, sorted(partitions)[:SHOWN]))
    more = f" and {len(partitions) - SHOWN} more" if len(partitions) > SHOWN else ""
    return f"partition{'s' if len(partitions) > 1 else ''} {shown}{more}"
