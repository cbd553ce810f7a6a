"""Which jobs a cancellation means: all, a group's, those with a tag; and which are refused when they come later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quiver_proto.ids import JobId
from quiver_proto.messages import QUERY

GROUP = "spark.jobGroup.id"
DESCRIPTION = "spark.job.description"
TAGS = "spark.job.tags"
INTERRUPT = "spark.job.interruptOnCancel"

MOST_REFUSED = 1000
"""Groups whose later jobs are refused; the one refused longest ago is taken back for another (as Spark's)."""


def tags_of(properties: Mapping[str, str]) -> tuple[str, ...]:
    """A job's tags, sorted."""
    text = properties.get(TAGS, "")
    return tuple(sorted(text.split(","))) if text else ()


def query_of(properties: Mapping[str, str]) -> int:
    """The id of the query that a job belongs to, -1 for none."""
    text = properties.get(QUERY, "")
    return int(text) if text.isdecimal() else -1


@dataclass(frozen=True, slots=True)
class JobSelection:
    """Jobs of `group`, or those that have `tag`; with neither: all. `future`: the group's later jobs, too."""

    group: str = ""
    tag: str = ""
    future: bool = False

    def concerns(self, properties: Mapping[str, str]) -> bool:
        """Does it mean a job that has these local properties?"""
        if self.group:
            return properties.get(GROUP) == self.group
        return not self.tag or self.tag in tags_of(properties)


class RefusedGroups:
    """Groups that take no jobs any more, each with the reason. False when there are none."""

    __slots__ = ("_reasons",)

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._reasons)

    def add(self, selection: JobSelection, reason: str) -> None:
        """Refuse the group's later jobs, if that is what the selection says."""
        if selection.future and selection.group:
            self._reasons.pop(selection.group, None)
            self._reasons[selection.group] = reason
            if len(self._reasons) > MOST_REFUSED:
                del self._reasons[next(iter(self._reasons))]

    def reason(self, properties: Mapping[str, str]) -> str:
        """Why a job with these local properties is refused; "" when it is not."""
        return self._reasons.get(properties.get(GROUP, ""), "")


class CancelledEarly:
    """Jobs that were cancelled when they were not known: they have ended, or another thread is about to submit them. `most` of them."""

    __slots__ = ("_most", "_reasons")

    def __init__(self, most: int) -> None:
        self._most = most
        self._reasons: dict[JobId, str] = {}

    def add(self, job_id: JobId, reason: str) -> None:
        """One more; the first of too many is forgotten."""
        self._reasons[job_id] = reason
        if len(self._reasons) > self._most:
            del self._reasons[next(iter(self._reasons))]

    def take(self, job_id: JobId) -> str | None:
        """Why a job that comes now is cancelled, told once."""
        return self._reasons.pop(job_id, None)
