"""What applications can ask about their jobs, stages and executors while they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from quiver.plan.model import Driver


class SparkJobInfo(NamedTuple):
    """One job: the stages it needs (skipped ones included), and RUNNING, SUCCEEDED or FAILED."""

    jobId: int
    stageIds: list[int]
    status: str


class SparkStageInfo(NamedTuple):
    """One stage's last attempt. Tasks are those of that attempt: after a lost output only the ones made again."""

    stageId: int
    currentAttemptId: int
    name: str
    numTasks: int
    numActiveTasks: int
    numCompletedTasks: int
    numFailedTasks: int


class SparkExecutorInfo(NamedTuple):
    """One executor. `port` is 0: executors are reached through their node; storage memory is in bytes."""

    host: str
    port: int
    cacheSize: int
    numRunningTasks: int
    usedOnHeapStorageMemory: int
    usedOffHeapStorageMemory: int
    totalOnHeapStorageMemory: int
    totalOffHeapStorageMemory: int


_JOB_STATUS = {"running": "RUNNING", "succeeded": "SUCCEEDED", "failed": "FAILED", "cancelled": "FAILED"}


class StatusTracker:
    """Jobs, stages and executors as they are now. From `Context.statusTracker()`; may be used by any thread.

    Of what has ended, the last thousand jobs and stages are known. A client of a shared driver sees its own jobs.

    >>> sc.setJobGroup("nightly", "the nightly report")
    >>> sc.parallelize(range(10), 3).sum()
    45
    >>> tracker = sc.statusTracker()
    >>> job = tracker.getJobInfo(tracker.getJobIdsForGroup("nightly")[-1])
    >>> job.status, len(job.stageIds)
    ('SUCCEEDED', 1)
    >>> tracker.getStageInfo(job.stageIds[0]).numCompletedTasks
    3
    >>> sc.setLocalProperty("spark.jobGroup.id", None)
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def getJobIdsForGroup(self, jobGroup: str | None = None) -> list[int]:
        """The known jobs of a group, running and ended, oldest first; with None, those that are in no group.

        >>> sc.statusTracker().getJobIdsForGroup("no such group")
        []
        """
        return [job.job_id for job in self._driver.status("jobs").jobs if job.group == (jobGroup or "")]

    def getActiveStageIds(self) -> list[int]:
        """The stages that have running tasks or tasks to start, ascending.

        >>> sc.statusTracker().getActiveStageIds()
        []
        """
        return sorted(stage.stage_id for stage in self._driver.status("stages").stages if stage.status == "running")

    def getActiveJobsIds(self) -> list[int]:
        """The running jobs, ascending.

        >>> sc.statusTracker().getActiveJobsIds()
        []
        """
        return sorted(job.job_id for job in self._driver.status("jobs").jobs if job.status == "running")

    def getJobInfo(self, jobId: int) -> SparkJobInfo | None:
        """None for a job that is not known, or no longer.

        >>> sc.statusTracker().getJobInfo(987654321) is None
        True
        """
        for job in self._driver.status("jobs", (int(jobId),)).jobs:
            return SparkJobInfo(job.job_id, list(job.stage_ids), _JOB_STATUS.get(job.status, "UNKNOWN"))
        return None

    def getStageInfo(self, stageId: int) -> SparkStageInfo | None:
        """None for a stage that is not known, or no longer.

        >>> sc.statusTracker().getStageInfo(987654321) is None
        True
        """
        for stage in self._driver.status("stages", (int(stageId),)).stages:
            return SparkStageInfo(stage.stage_id, stage.attempt, stage.name, stage.tasks, stage.active, stage.completed, stage.failed)
        return None

    def getExecutorInfos(self) -> list[SparkExecutorInfo]:
        """The executors there are.

        >>> [executor.numRunningTasks for executor in sc.statusTracker().getExecutorInfos()]
        [0]
        """
        executors = self._driver.status("executors").executors
        return [SparkExecutorInfo(one.host, 0, 0, one.running_tasks, 0, 0, one.memory_bytes, 0) for one in executors]
