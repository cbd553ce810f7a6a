"""The REST API: Spark's shape, held in a golden file, and its parameters."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import web_large_log as large_log
import web_story as story
from web_harness import Get

from quiver_proto import __version__
from quiver_proto import events as e

GetFrom = Callable[[Iterable[e.Event]], Get]
GOLDEN = Path(__file__).parent / "golden_rest.json"
APP = f"/api/v1/applications/{story.APP}"


def test_every_answer_is_as_in_the_golden_file(get_from: GetFrom) -> None:
    """`UPDATE_GOLDEN=1` writes the file anew; read the difference before committing it."""
    get = get_from([event for event in story.whole() if not isinstance(event, e.ApplicationEnded)])
    paths = [
        "/jobs",
        "/jobs/0",
        "/stages",
        "/stages/0",
        "/stages/0/0",
        "/stages/0/0/taskSummary",
        "/stages/0/0/taskList",
        "/executors",
        "/storage/rdd",
        "/storage/rdd/3",
    ]
    answers = {path: get(APP + path).json() for path in ["", *paths, "/allexecutors", "/environment"]}
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(answers, indent=1) + "\n")
    assert answers == json.loads(GOLDEN.read_text())


def test_an_application_runs_until_it_ends(get_from: GetFrom) -> None:
    running, ended = get_from(story.whole()[:8]), None
    attempt = running(APP).json()["attempts"][0]
    assert (attempt["completed"], attempt["endTimeEpoch"], attempt["duration"]) == (False, -1, 62_000)
    assert len(running("/api/v1/applications?status=running").json()) == 1
    assert running("/api/v1/applications?status=completed").json() == []
    ended = get_from(story.whole())
    attempt = ended(APP).json()["attempts"][0]
    assert (attempt["completed"], attempt["endTime"], attempt["duration"]) == (True, "1970-01-01T00:16:47.000GMT", 7000)
    assert ended("/api/v1/version").json() == {"quiver": __version__}


def test_statuses_of_what_runs(get_from: GetFrom) -> None:
    get = get_from(story.whole()[:8])
    assert get(f"{APP}/jobs?status=running").json()[0]["numCompletedIndices"] == 2
    assert get(f"{APP}/jobs?status=succeeded").json() == []
    assert [(stage["stageId"], stage["status"]) for stage in get(f"{APP}/stages").json()] == [(1, "PENDING"), (0, "ACTIVE")]
    assert [stage["stageId"] for stage in get(f"{APP}/stages?status=active").json()] == [0]
    tasks = get(f"{APP}/stages/0/0/taskList?status=RUNNING").json()
    assert [(task["taskId"], "taskMetrics" in task) for task in tasks] == [(2, False), (3, False)]


def test_task_lists_are_sorted_and_paged(get_from: GetFrom) -> None:
    get = get_from(large_log.log())
    where = f"{APP}/stages/5/0/taskList"
    ids = [task["taskId"] for offset in range(0, 600, 100) for task in get(f"{where}?offset={offset}&length=100").json()]
    assert len(ids) == len(set(ids)) == 504
    durations = [task["duration"] for task in get(f"{where}?sortBy=-runtime&length=50").json()]
    assert durations == sorted(durations, reverse=True)
    assert durations == [task["duration"] for task in get(f"{where}?sortBy=DECREASING_RUNTIME&length=50").json()]
    assert get(f"{where}?offset=10000").json() == []
    assert {task["status"] for task in get(f"{where}?status=failed").json()} == {"FAILED"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/applications/other", 404),
        (f"{APP}/jobs/99", 404),
        (f"{APP}/jobs/x", 400),
        (f"{APP}/stages/99", 404),
        (f"{APP}/stages/0/9", 404),
        (f"{APP}/stages/0/0/taskSummary?quantiles=a,b", 400),
        (f"{APP}/stages/0/0/taskSummary?quantiles=2", 400),
        (f"{APP}/stages/0/0/taskSummary?quantiles=nan", 400),
        (f"{APP}/stages/0/0/taskList?sortBy=colour", 400),
        (f"{APP}/stages/0/0/taskList?status=colour", 400),
        (f"{APP}/stages/0/0/taskList?length=1000000", 400),
        (f"{APP}/stages/0/0/taskList?offset=-1", 400),
        ("/api/v1/nothing", 404),
    ],
)
def test_bad_requests_are_told_in_json(get_from: GetFrom, path: str, status: int) -> None:
    response = get_from(story.whole())(path)
    assert response.status_code == status
    assert response.json()["error"]


def test_a_job_tells_its_tags(get_from: GetFrom) -> None:
    get = get_from([*story.started(), e.JobStarted(1001.0, 0, "collect", "a.py:5", (story.NEXT,), tags=("nightly", "search"))])
    assert get(f"{APP}/jobs/0").json()["jobTags"] == ["nightly", "search"]
    assert "nightly, search" in get("/jobs/0").text
    assert "nightly, search" in get("/").text


def test_a_stage_tells_that_it_is_skewed(get_from: GetFrom) -> None:
    skew = e.SkewDetected(
        1001.0, 1, "groupByKey at a.py:3", 2, 5000, 200, 5400, 3, [("'<hot>'", 800, 0.8)], "Use reduceByKey.", "stage 1 …"
    )
    get = get_from([*story.started(), story.job(), e.StageStarted(1001.0, 1, 0, 2), skew])
    (attempt,) = get(f"{APP}/stages/1").json()
    assert attempt["skew"]["keys"] == [{"key": "'<hot>'", "records": 800, "share": 0.8}]
    assert (attempt["skew"]["partition"], attempt["skew"]["sizeBytes"], attempt["skew"]["medianBytes"]) == (2, 5000, 200)
    assert "stage 1 …" in get("/stages/1/0").text
