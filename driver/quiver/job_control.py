"""The part of Context that names, watches and cancels jobs. Properties belong to the thread that sets them."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from quiver.closures import DriverOnly
from quiver.plan.selection import DESCRIPTION, GROUP, INTERRUPT, TAGS, JobSelection, tags_of

if TYPE_CHECKING:
    from quiver.plan.model import Driver
    from quiver.status import StatusTracker
    from quiver_proto.sessions import SkewReport

_NO_PROPERTIES: Mapping[str, str] = {}


class JobControl(DriverOnly):
    """Base of Context."""

    _driver: Driver
    _local: threading.local

    if TYPE_CHECKING:

        def _check(self, what: str) -> None: ...

    # ---- properties of jobs, per thread ----

    def setLocalProperty(self, key: str, value: str | None) -> None:
        """Set a property of the jobs that this thread starts from now on; None removes it.

        >>> sc.setLocalProperty("team", "search")
        >>> sc.getLocalProperty("team")
        'search'
        >>> sc.setLocalProperty("team", None)
        """
        properties = dict(self._properties())
        if value is None:
            properties.pop(key, None)
        else:
            properties[key] = str(value)
        self._local.properties = properties

    def getLocalProperty(self, key: str) -> str | None:
        """A property set in this thread, or None.

        >>> sc.setLocalProperty("team", "search"); sc.getLocalProperty("team")
        'search'
        """
        return self._properties().get(key)

    def setJobGroup(self, groupId: str, description: str, interruptOnCancel: bool = False) -> None:
        """Name the group that this thread's jobs belong to, for pages and for cancelJobGroup.

        `interruptOnCancel` is kept as a local property and decides nothing: a cancelled job's tasks are always ended.

        >>> sc.setJobGroup("nightly", "the nightly report")
        >>> sc.getLocalProperty("spark.jobGroup.id")
        'nightly'
        >>> sc.setLocalProperty("spark.jobGroup.id", None)
        """
        self.setLocalProperty(GROUP, groupId)
        self.setLocalProperty(DESCRIPTION, description)
        self.setLocalProperty(INTERRUPT, str(bool(interruptOnCancel)).lower())

    def setJobDescription(self, value: str | None) -> None:
        """What pages say about this thread's next jobs.

        >>> sc.setJobDescription("count words")
        >>> sc.getLocalProperty("spark.job.description")
        'count words'
        >>> sc.setJobDescription(None)
        """
        self.setLocalProperty(DESCRIPTION, value)

    def setInterruptOnCancel(self, interruptOnCancel: bool) -> None:
        """Set the local property `spark.job.interruptOnCancel`. It decides nothing: a cancelled job's tasks are always ended.

        >>> sc.setInterruptOnCancel(True); sc.getLocalProperty("spark.job.interruptOnCancel")
        'true'
        """
        self.setLocalProperty(INTERRUPT, str(bool(interruptOnCancel)).lower())

    def addJobTag(self, tag: str) -> None:
        """Give this thread's next jobs one more tag, for pages and for cancelJobsWithTag. Having it already is no error.

        Raises ValueError for a tag that is empty or has a comma.

        >>> sc.addJobTag("search"); sc.addJobTag("nightly"); sorted(sc.getJobTags())
        ['nightly', 'search']
        >>> sc.clearJobTags()
        """
        self._set_tags({*self.getJobTags(), _tag(tag)})

    def removeJobTag(self, tag: str) -> None:
        """Take a tag from this thread's next jobs; one that they don't have is no error. Raises ValueError as addJobTag.

        >>> sc.addJobTag("search"); sc.removeJobTag("search"); sc.getJobTags()
        set()
        """
        self._set_tags(self.getJobTags() - {_tag(tag)})

    def getJobTags(self) -> set[str]:
        """The tags of this thread's next jobs.

        >>> sc.addJobTag("nightly")
        >>> sc.getJobTags()
        {'nightly'}
        >>> sc.clearJobTags()
        """
        return set(tags_of(self._properties()))

    def clearJobTags(self) -> None:
        """This thread's next jobs have no tags.

        >>> sc.addJobTag("nightly")
        >>> sc.clearJobTags()
        >>> sc.getJobTags()
        set()
        """
        self._set_tags(set())

    def _set_tags(self, tags: set[str]) -> None:
        self.setLocalProperty(TAGS, ",".join(sorted(tags)) or None)

    def _properties(self) -> Mapping[str, str]:
        # Dictionaries are replaced, never changed, so a job may keep the one it started with.
        properties: Mapping[str, str] = getattr(self._local, "properties", _NO_PROPERTIES)
        return properties

    def _take_properties(self, properties: Mapping[str, str]) -> None:
        """Let this thread's jobs have another thread's properties."""
        self._local.properties = properties

    # ---- jobs that run ----

    def cancelJobGroup(self, groupId: str, reason: str | None = None) -> None:
        """Cancel the group's running jobs; who waits for one gets JobCancelled, with the reason.

        >>> sc.cancelJobGroup("nobody's")
        """
        self._check("cancelJobGroup")
        self._cancel(JobSelection(group=_group(groupId)), f"job group {groupId} was cancelled", reason)

    def cancelJobGroupAndFutureJobs(self, groupId: str, reason: str | None = None) -> None:
        """Cancel the group's running jobs, and refuse (JobCancelled) all that are started in it later. For the last 1,000 such groups.

        >>> sc.cancelJobGroupAndFutureJobs("obsolete")
        >>> sc.setJobGroup("obsolete", "no longer wanted")
        >>> try:
        ...     sc.parallelize([1]).count()
        ... except Exception as error:
        ...     print(type(error).__name__)
        JobCancelled
        >>> sc.setLocalProperty("spark.jobGroup.id", None)
        """
        self._check("cancelJobGroupAndFutureJobs")
        selection = JobSelection(group=_group(groupId), future=True)
        self._cancel(selection, f"job group {groupId} was cancelled, with all its later jobs", reason)

    def cancelJobsWithTag(self, tag: str, reason: str | None = None) -> None:
        """Cancel the running jobs that have this tag. Raises ValueError as addJobTag.

        >>> sc.cancelJobsWithTag("nobody's")
        """
        self._check("cancelJobsWithTag")
        self._cancel(JobSelection(tag=_tag(tag)), f"jobs with tag {tag} were cancelled", reason)

    def cancelAllJobs(self) -> None:
        """Cancel every running job.

        >>> sc.cancelAllJobs()
        """
        self._check("cancelAllJobs")
        self._cancel(JobSelection(), "all jobs were cancelled", None)

    def _cancel(self, selection: JobSelection, what: str, reason: str | None) -> None:
        text = f"{what}: {reason}" if reason else what
        self._driver.cancel_jobs(selection, text)
        for reference in list(vars(self).get("_watchers", ())):
            if (watcher := reference()) is not None:
                watcher(selection, text)

    def _watch_cancellations(self, watcher: Callable[[JobSelection, str], None]) -> None:
        """Tell this bound method, for as long as its object lives, which jobs are cancelled and why."""
        watchers = vars(self).setdefault("_watchers", [])
        watchers[:] = [known for known in watchers if known() is not None]
        watchers.append(weakref.WeakMethod(watcher))

    def statusTracker(self) -> StatusTracker:
        """What jobs, stages and executors are doing now.

        >>> sc.statusTracker().getActiveJobsIds()
        []
        """
        from quiver.status import StatusTracker

        self._check("statusTracker")
        return StatusTracker(self._driver)

    def skewReports(self) -> list[SkewReport]:
        """The last hundred stages of which one partition has far more data than the others, oldest first.

        Such a stage takes as long as its largest partition. Each report names the partition, the keys that make it so large, and the
        remedy; the log, the event log and the stage's page have it, too. `quiver.skew.factor` and `quiver.skew.thresholdBytes` say
        what is far more.

        >>> sc.parallelize([("a", 1), ("b", 2)]).groupByKey().count(), sc.skewReports()
        (2, [])
        """
        self._check("skewReports")
        return list(self._driver.status("skew").skew)


def _tag(tag: str) -> str:
    if not isinstance(tag, str) or not tag or "," in tag:
        raise ValueError(f"a job tag is a non-empty string without commas, not {tag!r}")
    return tag


def _group(group: str) -> str:
    if not str(group):
        raise ValueError("a job group's id can't be empty; cancelAllJobs cancels every job")
    return str(group)
