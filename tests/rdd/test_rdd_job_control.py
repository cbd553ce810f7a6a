"""Tags, groups and threads, on a driver that records."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from recording import RecordingDriver

from quiver import Context, InheritableThread, inheritable_thread_target
from quiver.plan.selection import GROUP, MOST_REFUSED, TAGS, JobSelection, RefusedGroups, tags_of


def test_tags_are_a_set_of_this_thread(recorder: Context, driver: RecordingDriver) -> None:
    assert recorder.getJobTags() == set()
    recorder.addJobTag("b")
    recorder.addJobTag("a")
    recorder.addJobTag("a")
    recorder.parallelize([1], 1).collect()
    assert tags_of(driver.jobs[-1].properties) == ("a", "b")
    recorder.removeJobTag("b")
    recorder.removeJobTag("never there")
    assert recorder.getJobTags() == {"a"}
    seen: list[set[str]] = []
    thread = threading.Thread(target=lambda: seen.append(recorder.getJobTags()))
    thread.start()
    thread.join()
    assert seen == [set()]
    recorder.clearJobTags()
    assert recorder.getLocalProperty(TAGS) is None


@pytest.mark.parametrize("tag", ["", "a,b", None, 3])
def test_a_tag_that_could_not_be_told_from_others_is_refused(recorder: Context, tag: str) -> None:
    for use in (recorder.addJobTag, recorder.removeJobTag, recorder.cancelJobsWithTag):
        with pytest.raises(ValueError, match="job tag"):
            use(tag)


def test_cancellations_say_whom_and_why(recorder: Context, driver: RecordingDriver) -> None:
    recorder.cancelJobGroup("g", "too slow")
    recorder.cancelJobsWithTag("t")
    assert driver.cancelled == [("g", "job group g was cancelled: too slow"), ("t", "jobs with tag t were cancelled")]
    with pytest.raises(ValueError, match="cancelAllJobs"):
        recorder.cancelJobGroup("")


def test_a_selection_means_what_it_names() -> None:
    mine = {GROUP: "g", TAGS: "a,b"}
    assert JobSelection().concerns(mine)
    assert JobSelection().concerns({})
    assert JobSelection("g").concerns(mine)
    assert not JobSelection("h").concerns(mine)
    assert JobSelection(tag="a").concerns(mine)
    assert not JobSelection(tag="a,b").concerns(mine)
    assert not JobSelection(tag="a").concerns({})


def test_refused_groups_are_bounded() -> None:
    refused = RefusedGroups()
    refused.add(JobSelection("once"), "only those that run")
    assert not refused
    for number in range(MOST_REFUSED + 1):
        refused.add(JobSelection(str(number), future=True), f"reason {number}")
    assert refused.reason({GROUP: "0"}) == ""
    assert refused.reason({GROUP: "1"}) == "reason 1"
    assert refused.reason({}) == ""


def _run(thread: threading.Thread) -> None:
    thread.start()
    thread.join()


def test_an_inheritable_thread_copies_when_it_starts(recorder: Context) -> None:
    seen: list[object] = []

    def look(*given: object, **named: object) -> None:
        seen.append((recorder.getLocalProperty("p"), given, named))
        recorder.setLocalProperty("p", "child's")

    thread = InheritableThread(look, args=(1,), kwargs={"x": 2}, name="named")
    recorder.setLocalProperty("p", "late")
    _run(thread)
    assert thread.name == "named"
    assert seen == [("late", (1,), {"x": 2})]
    assert recorder.getLocalProperty("p") == "late"


@pytest.mark.parametrize("wrap", [inheritable_thread_target, lambda f: inheritable_thread_target(Context.getOrCreate())(f)])
def test_a_wrapped_target_copies_when_it_is_wrapped(recorder: Context, wrap: Callable[[Callable[[], str]], Callable[[], None]]) -> None:
    seen: list[str | None] = []

    def look() -> str:
        """Looks."""
        seen.append(recorder.getLocalProperty("p"))
        return "found"

    recorder.setLocalProperty("p", "early")
    wrapped = wrap(look)
    recorder.setLocalProperty("p", "late")
    _run(threading.Thread(target=wrapped))
    assert seen == ["early"]
    assert wrapped.__doc__ == "Looks."


def test_without_a_context_they_are_plain_threads() -> None:
    seen: list[int] = []
    _run(InheritableThread(lambda: seen.append(1)))
    _run(threading.Thread(target=inheritable_thread_target(lambda: seen.append(2))))
    assert seen == [1, 2]
    with pytest.raises(TypeError, match="callable"):
        inheritable_thread_target(3)


def test_collect_with_job_group_is_deprecated_and_sets_the_group(recorder: Context, driver: RecordingDriver) -> None:
    with pytest.warns(FutureWarning, match="deprecated"):
        recorder.parallelize([1], 1).collectWithJobGroup("g", "d", True)
    properties = driver.jobs[-1].properties
    assert (properties[GROUP], properties["spark.job.description"], properties["spark.job.interruptOnCancel"]) == ("g", "d", "true")
    assert recorder.getLocalProperty(GROUP) == "g"
