"""The pages, as text: what they show, how they page, and that they say so where nothing is."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable

import pytest
import web_large_log as large_log
import web_story as story
from web_harness import Get, fold

from quiver_proto import events as e
from quiver_web import dag
from quiver_web.query import TaskQuery, select

GetFrom = Callable[[Iterable[e.Event]], Get]
PAGES = ("/", "/stages", "/storage", "/executors", "/environment")


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page)))


def test_every_page_of_an_empty_log(get_from: GetFrom) -> None:
    get = get_from([])
    for path in PAGES:
        assert get(path).status_code == 200
    assert "No job has been started" in get("/").text


def test_accumulators_stand_on_their_stages_page(get_from: GetFrom) -> None:
    told = [e.AccumulatorsUpdated(1004, 1, [0, 7], ["int", "str"], ["12", "'<b>'"]), e.AccumulatorsUpdated(1004, 1, [0], ["int"], ["15"])]
    get = get_from([*story.whole(), *told, e.AccumulatorsUpdated(1004, 99, [1], ["int"], ["1"])])
    assert "Accumulators 2 Id Type Value 0 int 15 7 str '<b>'" in text_of(get("/stages/1/0").text)
    assert "Accumulators" not in get("/stages/0/0").text
    (stage,) = get(f"/api/v1/applications/{story.APP}/stages/1").json()
    assert stage["accumulatorUpdates"] == [{"id": 0, "name": "int", "value": "15"}, {"id": 7, "name": "str", "value": "'<b>'"}]


def test_jobs(get_from: GetFrom) -> None:
    page = text_of(get_from(story.whole())("/").text)
    assert "Completed jobs 2" in page
    assert "count at a.py:7" in page
    assert "4 skipped" in page
    assert "ended" in page
    assert "1 failed" in page


def test_a_job_is_named_as_its_call_once(get_from: GetFrom) -> None:
    job = e.JobStarted(1001, 0, "collect", "collect at a.py:5", [story.RESULT])
    get = get_from([*story.started(), job])
    assert text_of(get("/").text).count("collect at a.py:5") == 1
    assert get(f"/api/v1/applications/{story.APP}/jobs/0").json()["name"] == "collect at a.py:5"


def test_a_waiting_job_says_why(get_from: GetFrom) -> None:
    get = get_from([*story.started(), story.job(), e.Waiting(1002, 0, 0, "no executor has 8 cores")])
    for path in ("/", "/jobs/0"):
        assert "aits: no executor has 8 cores" in text_of(get(path).text)


def test_a_stage(get_from: GetFrom) -> None:
    page = text_of(get_from(story.whole())("/stages/0/0").text)
    parts = (
        "reduceByKey at a.py:3",
        "4/4 1 failed",
        "Median",
        "500 ms",
        "400 B",
        "40 records",
        "node-b-2",
        "user ValueError: bad <record>",
    )
    for part in parts:
        assert part in page, part


def test_a_fragment_is_the_changing_part_and_can_be_unchanged(get_from: GetFrom) -> None:
    get = get_from(story.whole()[:8])
    whole, fragment = get("/"), get("/", **{"X-Quiver-Fragment": "1"})
    assert "<html" in whole.text
    assert fragment.text.lstrip().startswith('<div id="live"')
    assert fragment.headers["X-Quiver-Live"] == "1"
    again = get("/", **{"X-Quiver-Fragment": "1", "If-None-Match": fragment.headers["ETag"]})
    assert (again.status_code, again.text) == (304, "")


@pytest.mark.parametrize("path", ["/jobs/9", "/jobs/x", "/stages/9/0", "/stages/0/9", "/nothing", "/jobs/", "/stages/0/0/"])
def test_what_is_not_there_is_told_on_a_page(get_from: GetFrom, path: str) -> None:
    response = get_from(story.whole())(path)
    assert response.status_code in (400, 404)
    assert "Go back to" in response.text


def test_every_link_is_relative_and_leads_somewhere(get_from: GetFrom) -> None:
    get = get_from(large_log.log())
    for path in (*PAGES, "/jobs/1", "/stages/7/0", "/stages/7/0?page=2&size=25&sort=-duration"):
        for link in re.findall(r'(?:href|src)="([^"]+)"', get(path).text):
            target = html.unescape(link)
            assert not target.startswith(("/", "http")), link
            if target.startswith("#"):
                continue
            base = path.partition("?")[0]
            url = base + target if target.startswith("?") else base.rpartition("/")[0] + "/" + target
            assert get(url.partition("#")[0]).status_code == 200, (path, link)


def test_long_lists_are_paged(get_from: GetFrom) -> None:
    events = story.started()
    for number in range(120):
        events += [story.job(1001, number, (story.NEXT,)), e.JobEnded(1002, number, "succeeded")]
    get = get_from(events)
    seen = [re.findall(r'data-key="job-(\d+)"', get(f"/?completed={page}").text) for page in (1, 2, 3, 4)]
    assert [len(page) for page in seen] == [50, 50, 20, 20]
    assert seen[0][0] == "119"
    assert len({*seen[0], *seen[1], *seen[2]}) == 120


@pytest.mark.parametrize(
    "sort", ["id", "partition", "attempt", "status", "executor", "slot", "start", "duration", "gc", "input", "read", "write", "spill"]
)
def test_tasks_sort_by_every_column(sort: str) -> None:
    table = fold(large_log.log()).stages[5].attempts[0].tasks
    up = select(table, TaskQuery(length=1000, sort=sort), 0.0).tasks
    down = select(table, TaskQuery(length=1000, sort=sort, descending=True), 0.0).tasks
    assert len(up) == len(down) == 504
    if sort == "duration":
        assert [task.duration_s for task in up] == sorted(task.duration_s for task in down)
    assert {task.task_id for task in up} == {task.task_id for task in down}


def test_tasks_are_filtered() -> None:
    table = fold(large_log.log()).stages[5].attempts[0].tasks
    failed = select(table, TaskQuery.of_page({"status": "failed", "size": "25"}), 0.0)
    assert (failed.total, failed.pages) == (4, 1)
    assert select(table, TaskQuery(text="N/A"), 0.0).total == 4
    assert select(table, TaskQuery(text="nothing like it"), 0.0).tasks == []
    executor = failed.tasks[0].executor_id
    assert {task.executor_id for task in select(table, TaskQuery(executor=executor), 0.0).tasks} == {executor}
    assert select(table, TaskQuery(offset=10_000), 0.0).query.offset == 500


def test_nonsense_in_a_query_string_counts_as_not_given() -> None:
    assert TaskQuery.of_page({"page": "x", "size": "7", "sort": "-colour", "status": "sad"}) == TaskQuery(descending=True)
    query = TaskQuery.of_page({"page": "3", "size": "25", "sort": "-duration"})
    assert query.page_parameters(page=1) == {"size": "25", "sort": "-duration"}


def test_the_picture_has_every_stage_and_no_boxes_overlap() -> None:
    job = fold(large_log.log()).jobs[1]
    picture = dag.draw(job)
    boxes = {box.stage.info.stage_id: box for box in picture.boxes}
    assert set(boxes) == set(job.stages)
    for a in picture.boxes:
        assert 0 <= a.x <= picture.width - dag.BOX_WIDTH
        assert 0 <= a.y <= picture.height - a.height
        for b in picture.boxes:
            if a is not b and a.x == b.x:
                assert a.y + a.height <= b.y or b.y + b.height <= a.y
    drawn = {(arrow.parent, arrow.child) for arrow in picture.arrows}
    assert drawn == {(parent, stage_id) for stage_id, stage in job.stages.items() for parent in stage.info.parents if parent in boxes}
    assert all(boxes[arrow.parent].x < boxes[arrow.child].x for arrow in picture.arrows)


def test_a_huge_job_is_drawn_in_part() -> None:
    stages = tuple(e.StageInfo(i, "s", 1, (i - 1,) if i else (), [("map", "x.py:1")] * 40) for i in range(500))
    picture = dag.draw(fold([*story.started(), story.job(stages=stages)]).jobs[0])
    assert (len(picture.boxes), picture.left_out) == (dag.MAX_STAGES, 500 - dag.MAX_STAGES)
