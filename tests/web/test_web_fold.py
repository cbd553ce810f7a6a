"""The fold: what events add up to, whatever is repeated, cut, lost or dropped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import web_large_log as large_log
import web_story as story
from hypothesis import given, settings
from hypothesis import strategies as st
from web_harness import fold, write

from quiver_proto import events as e
from quiver_web import rest
from quiver_web.fold import Limits, State
from quiver_web.tail import Follower, LineReader
from quiver_web.tasks import MAX_ERROR_TEXTS, TaskTable


def picture(state: State) -> object:
    """All that REST would tell: two states with the same picture show the same pages."""
    return [
        rest.application(state, 0.0),
        [rest.job(job) for job in state.jobs.values()],
        rest.stages(state, ()),
        [rest.executor(executor, state.storage.on(executor.executor_id)) for executor in state.executors.values()],
        [rest.dataset(dataset, state, True) for dataset in state.storage.datasets.values()],
        [[attempt.tasks.view(row, 0.0) for row in range(len(attempt.tasks))] for _, attempt in state.attempts()],
        state.totals, state.job_counts, state.stage_counts, state.waiting,
    ]  # fmt: skip


def test_a_whole_story() -> None:
    state = fold(story.whole())
    first, second = state.jobs.values()
    assert (first.status, first.planned_tasks, first.done_tasks, first.tasks.succeeded, first.tasks.failed) == ("succeeded", 6, 6, 6, 1)
    assert (second.status, second.planned_tasks, second.skipped_tasks, second.done_tasks) == ("succeeded", 2, 4, 2)
    assert [stage.status for stage in second.stages.values()] == ["skipped", "succeeded"]
    attempt = state.stages[0].attempts[0]
    assert (attempt.totals.succeeded, attempt.totals.failed, attempt.totals.active) == (4, 1, 0)
    assert attempt.totals.input_bytes == 400
    assert attempt.totals["peak_memory_bytes"] == 11
    assert attempt.by_executor[story.E1].failed == 1
    assert state.executors[story.E0].tasks.run_s == pytest.approx(3.5)
    assert state.executors[story.E0].rss_bytes == 1 << 20
    assert attempt.tasks.errors[2].text.startswith("ValueError")
    assert state.ended
    assert not state.waiting


def test_what_runs_is_active_or_pending() -> None:
    state = fold(story.whole()[:6])
    job = state.jobs[0]
    assert [stage.status for stage in job.stages.values()] == ["active", "pending"]
    assert (job.tasks.active, state.executors[story.E0].tasks.active) == (2, 2)
    assert [stage.info.stage_id for stage in state.pending_stages()] == [1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=30))
def test_chunking_does_not_matter(sizes: list[int]) -> None:
    data = "".join(e.encode(event) + "\n" for event in story.whole()).encode()
    state, reader, at, turn = State(), LineReader(), 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        for event in reader.feed(data[at : at + size]):
            state.apply(event)
        at, turn = at + size, turn + 1
    assert reader.bad_lines == 0
    assert picture(state) == picture(fold(story.whole()))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, len(story.whole()) - 1), max_size=12))
def test_repeated_events_change_nothing(repeats: list[int]) -> None:
    events = story.whole()
    state = fold(events)
    before = picture(state)
    for index in sorted(repeats):
        if not isinstance(events[index], e.ExecutorSampled):
            state.apply(events[index])
    assert picture(state) == before


def test_the_whole_log_twice_is_the_log_once() -> None:
    assert picture(fold(story.whole() * 2)) == picture(fold(story.whole()))


def test_totals_agree_with_the_details_at_every_moment() -> None:
    state = State()
    for number, event in enumerate(large_log.log()):
        state.apply(event)
        if number % 97:
            continue
        for stage, attempt in state.attempts():
            statuses = list(attempt.tasks.statuses)
            totals = attempt.totals
            assert [statuses.count(s) for s in range(4)] == [totals.active, totals.succeeded, totals.failed, totals.killed], stage.info
            assert sum(by.succeeded for by in attempt.by_executor.values()) == totals.succeeded
            assert attempt.partitions.done_count <= attempt.tasks_planned
    assert state.totals.succeeded == sum(job.done_tasks for job in state.jobs.values()) == 10_000
    assert state.totals.run_s == pytest.approx(sum(executor.tasks.run_s for executor in state.executors.values()))


def test_memory_is_bounded_and_totals_stay_exact() -> None:
    events = list(large_log.log())
    everything, little = fold(events), fold(events, Limits(jobs=1, stages=5, tasks=600, dead_executors=0))
    assert little.totals == everything.totals
    assert (little.job_counts, little.stage_counts) == (everything.job_counts, everything.stage_counts)
    assert (len(little.jobs), little.dropped_jobs) == (1, 1)
    assert len(little.stages) == 5
    assert little.dropped_stages >= 15
    assert sum(len(attempt.tasks) for _, attempt in little.attempts()) <= 660
    kept = little.stages[19].attempts[0]
    assert rest.stage_attempt(little.stages[19], kept) == rest.stage_attempt(everything.stages[19], everything.stages[19].attempts[0])


def test_what_runs_is_never_dropped() -> None:
    events = [*story.started()]
    for number in range(30):
        stage = e.StageInfo(number, f"stage {number}", 10, (), ())
        events += [story.job(1001, number, (stage,)), e.StageStarted(1001, number, 0, 10)]
        events += [story.launched(1001, number, range(number * 10, number * 10 + 10), range(10))]
    state = fold(events, Limits(jobs=3, stages=3, tasks=10))
    assert len(state.jobs) == len(state.stages) == 30
    assert state.totals.active == 300
    assert sum(len(attempt.tasks) for _, attempt in state.attempts()) == 300


def test_a_thousand_iterative_jobs_stay_small() -> None:
    state = State(Limits(job_stages=100))
    stages: list[e.StageInfo] = []
    for number in range(60):
        stages.append(e.StageInfo(number, "s", 1, (), ()))
        state.apply(story.job(1001, number, tuple(stages)))
        state.apply(e.JobEnded(1002, number, "succeeded"))
    assert sum(len(job.stages) for job in state.jobs.values()) <= 100
    assert 59 in state.jobs
    assert state.job_counts["succeeded"] == 60


def test_a_repeated_stage_counts_its_partitions_once() -> None:
    state = fold(story.whole()[:14])
    for event in (
        e.StageEnded(1003.5, 1, 0, "failed", "fetch failed"),
        e.StageStarted(1003.6, 0, 1, 1),
        story.launched(1003.6, 0, [20], [2], attempt=1),
        story.succeeded(1004, 0, [20], [2], attempt=1),
        e.StageEnded(1004, 0, 1, "succeeded"),
        e.StageStarted(1004, 1, 1, 2),
    ):
        state.apply(event)
    job = state.jobs[0]
    assert (job.planned_tasks, job.stages[0].partitions.done_count, job.tasks.succeeded) == (6, 4, 5)
    assert [attempt.status for attempt in state.stages[1].attempts.values()] == ["failed", "active"]
    assert state.stages[1].attempts[0].totals.active == 0


def test_a_late_success_is_believed() -> None:
    state = fold([*story.started(), story.job(), e.StageStarted(1001, 0, 0, 4), story.launched(1001, 0, [0], [0])])
    state.apply(e.StageEnded(1002, 0, 0, "failed"))
    assert state.totals.killed == 1
    state.apply(story.succeeded(1003, 0, [0], [0]))
    assert (state.totals.killed, state.totals.succeeded, state.totals.active) == (0, 1, 0)


def test_two_jobs_that_share_a_running_stage_both_see_it() -> None:
    state = fold([*story.whole()[:8], story.job(1002.5, 1, (story.MAP, story.NEXT))])
    assert state.jobs[1].stages[0].status == "active"
    assert state.jobs[1].done_tasks == 2
    state.apply(story.succeeded(1003, 0, [3], [3], story.E1))
    assert state.jobs[0].done_tasks == state.jobs[1].done_tasks == 3


def test_waiting_reasons_come_and_go() -> None:
    state = fold([*story.started(), story.job(), e.Waiting(1002, 0, 1, "no executor"), e.Waiting(1002, None, None, "no node")])
    assert state.waiting_reason(0) == "no executor"
    state.apply(e.Waiting(1003, 0, None, ""))
    assert state.waiting_reason(0) == ""
    assert [waiting.reason for waiting in state.waiting.values()] == ["no node"]
    state.apply(e.Waiting(1003, 0, 1, "again"))
    state.apply(e.JobEnded(1004, 0, "cancelled", "asked"))
    assert state.waiting_reason(0) == ""


def test_a_job_cut_off_by_the_application_end() -> None:
    state = fold([*story.whole()[:6], e.ApplicationEnded(1010)])
    assert state.jobs[0].status == "failed"
    assert [stage.status for stage in state.jobs[0].stages.values()] == ["cancelled", "not run"]
    assert (state.totals.active, state.totals.killed) == (0, 2)


def test_newer_and_older_writers() -> None:
    newer = '{"event":"StageStarted","at":1,"stage_id":0,"stage_attempt":0,"tasks":4,"colour":"red"}\n{"event":"Teleported","at":2}\n'
    older = (
        '{"event":"TasksSucceeded","at":3,"stage_id":0,"stage_attempt":0,"executor_id":"x","task_ids":[1],"partitions":[0],'
        '"started_at":[1],"slots":[0],"metrics":[[2.5]]}\n'
    )
    reader, state = LineReader(), State()
    for event in reader.feed((newer + older).encode()):
        state.apply(event)
    assert (reader.bad_lines, reader.unknown_events) == (0, 1)
    assert state.totals.run_s == 2.5


@pytest.mark.parametrize(
    "line", ["{", "[]", "null", '"x"', "{}" * 2, '{"event":"JobStarted","at":1}', "\udcff", '{"event":["x"]}', "[" * 100_000]
)
def test_a_line_that_is_no_event_costs_only_itself(line: str) -> None:
    reader = LineReader()
    good = e.encode(e.ApplicationEnded(5))
    events = list(reader.feed(line.encode(errors="surrogateescape") + f"\n{good}\n".encode()))
    assert events == [e.ApplicationEnded(5)]
    assert reader.bad_lines == 1


def test_wrong_fields_cost_only_their_line(tmp_path: Path) -> None:
    events = story.whole()
    lines = [e.encode(event) for event in events]
    lines.insert(
        6,
        json.dumps(
            {
                "event": "TasksLaunched",
                "at": "noon",
                "stage_id": {},
                "stage_attempt": 0,
                "executor_id": 1,
                "task_ids": 3,
                "partitions": [],
                "attempts": [],
            }
        ),
    )
    (tmp_path / "log").write_text("\n".join(lines) + "\n")
    follower = Follower(str(tmp_path / "log"))
    follower.catch_up()
    follower.close()
    assert follower.lines.bad_lines == 1
    assert picture(follower.state) == picture(fold(events))


def test_a_growing_and_a_replaced_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    data = "".join(e.encode(event) + "\n" for event in story.whole())
    path.write_text(data[:777])
    follower = Follower(str(path))
    follower.catch_up()
    assert not follower.state.ended
    with path.open("a") as file:
        file.write(data[777:])
    follower.catch_up()
    assert picture(follower.state) == picture(fold(story.whole()))
    path.unlink()
    write(path, story.started())
    follower.catch_up()
    assert not follower.state.jobs
    assert follower.state.application.name == "story"
    follower.close()


def test_equal_errors_are_kept_once_and_their_number_is_bounded() -> None:
    table = TaskTable()
    for task_id in range(MAX_ERROR_TEXTS + 10):
        table.add_error(task_id, "user", "m", f"text {task_id}")
        table.add_error(-1 - task_id, "user", "m", "".join(["the ", "same"]))
    assert table.errors[-1].text is table.errors[-500].text
    assert table.dropped_errors > 0
    assert table.errors[MAX_ERROR_TEXTS + 5].message == "m"
    table.add_error(1, "user", "m", "x" * 1_000_000)
    assert len(table.errors[1].text) < 200_000
