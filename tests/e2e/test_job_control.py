"""Jobs watched and cancelled while they run, on real slots."""

from __future__ import annotations

import threading
from operator import add
from pathlib import Path

import pytest
from harness import MakeContext
from programs import mark, wait_for

from quiver import Context, InheritableThread
from quiver.status import SparkStageInfo
from quiver_proto.errors import JobCancelled
from quiver_proto.events import JobStarted, decode


def held(sc: Context, directory: str, name: str, ends: dict[str, object]) -> None:
    """A job of two tasks that wait until the file `name`-go appears; how it ended goes into `ends`."""

    def hold(x: int) -> int:
        mark(directory, f"{name}-{x}")
        wait_for(f"{directory}/{name}-go")
        return x

    try:
        ends[name] = sc.parallelize(range(2), 2).map(hold).sum()
    except JobCancelled as error:
        ends[name] = str(error)


def test_the_tracker_follows_a_job_from_start_to_end(make_context: MakeContext, tmp_path: Path) -> None:
    sc = make_context("local[2]")
    tracker = sc.statusTracker()
    ends: dict[str, object] = {}
    sc.setJobGroup("watched", "a job to look at")
    thread = InheritableThread(target=held, args=(sc, str(tmp_path), "one", ends))
    thread.start()
    wait_for(f"{tmp_path}/one-0")
    wait_for(f"{tmp_path}/one-1")
    (job_id,) = tracker.getJobIdsForGroup("watched")
    assert tracker.getActiveJobsIds() == [job_id]
    running = tracker.getJobInfo(job_id)
    assert running is not None
    assert running.status == "RUNNING"
    assert tracker.getActiveStageIds() == list(running.stageIds)
    stage = tracker.getStageInfo(running.stageIds[0])
    assert stage is not None
    assert stage[4:] == (2, 0, 0)
    assert [executor.numRunningTasks for executor in tracker.getExecutorInfos()] == [2]
    mark(str(tmp_path), "one-go")
    thread.join(120)
    assert ends == {"one": 1}
    ended = tracker.getJobInfo(job_id)
    assert ended is not None
    assert ended.status == "SUCCEEDED"
    assert tracker.getStageInfo(running.stageIds[0]) == SparkStageInfo(*stage[:4], 0, 2, 0)
    assert tracker.getActiveJobsIds() == tracker.getActiveStageIds() == tracker.getJobIdsForGroup() == []


@pytest.mark.parametrize("master", ["inline", "local[2]"])
def test_the_tracker_tells_stages_and_failures(make_context: MakeContext, master: str) -> None:
    sc = make_context(master, **{"spark.task.maxFailures": "2"})
    tracker = sc.statusTracker()
    counts = sc.parallelize(range(6), 3).map(lambda x: (x % 2, x)).reduceByKey(add, 2)
    counts.collect()
    counts.count()
    first, second = (tracker.getJobInfo(job_id) for job_id in tracker.getJobIdsForGroup())
    assert first is not None
    assert second is not None
    # The second job has the same map stage, skipped, and a result stage of its own.
    assert first.stageIds[0] == second.stageIds[0]
    stages = [tracker.getStageInfo(stage_id) for stage_id in (*first.stageIds, second.stageIds[1])]
    assert [stage.numCompletedTasks for stage in stages if stage is not None] == [3, 2, 2]
    with pytest.raises(ZeroDivisionError):
        sc.parallelize([1, 0], 2).map(lambda x: 1 // x).collect()
    failed = tracker.getJobInfo(tracker.getJobIdsForGroup()[-1])
    assert failed is not None
    assert failed.status == "FAILED"
    stage = tracker.getStageInfo(failed.stageIds[0])
    assert stage is not None
    assert stage.numActiveTasks == 0
    assert stage.numFailedTasks >= 1


def test_a_tag_cancels_its_jobs_and_no_others(make_context: MakeContext, tmp_path: Path) -> None:
    sc = make_context("local[4]")
    ends: dict[str, object] = {}
    threads = []
    for name in ("doomed", "spared"):
        sc.clearJobTags()
        sc.addJobTag("all")
        sc.addJobTag(name)
        threads.append(InheritableThread(target=held, args=(sc, str(tmp_path), name, ends)))
        threads[-1].start()
    for name in ("doomed", "spared"):
        wait_for(f"{tmp_path}/{name}-0")
        wait_for(f"{tmp_path}/{name}-1")
    sc.cancelJobsWithTag("doomed", "it was time")
    threads[0].join(120)
    mark(str(tmp_path), "spared-go")
    threads[1].join(120)
    assert ends["spared"] == 1
    assert "jobs with tag doomed were cancelled: it was time" in str(ends["doomed"])
    sc.stop()
    events = [decode(line) for path in (tmp_path / "events").iterdir() for line in path.read_text().splitlines()]
    assert sorted(tuple(event.tags) for event in events if isinstance(event, JobStarted)) == [("all", "doomed"), ("all", "spared")]


def test_a_group_can_be_refused_for_good(make_context: MakeContext, tmp_path: Path) -> None:
    sc = make_context("local[2]")
    ends: dict[str, object] = {}
    sc.setJobGroup("g", "d")
    thread = InheritableThread(target=held, args=(sc, str(tmp_path), "one", ends))
    thread.start()
    wait_for(f"{tmp_path}/one-0")
    sc.cancelJobGroupAndFutureJobs("g", "no more of this")
    thread.join(120)
    assert "no more of this" in str(ends["one"])
    with pytest.raises(JobCancelled, match="no more of this"):
        sc.parallelize([1], 1).count()
    seen: list[int] = []
    other = threading.Thread(target=lambda: seen.append(sc.parallelize([1], 1).count()))
    other.start()
    other.join(120)
    assert seen == [1]
