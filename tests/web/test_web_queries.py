"""Queries of DataFrames and SQL in the fold, on pages, over REST, and in a real Chromium."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import web_story as story
from web_browsing import chromium, error_entries, eventually, web_process
from web_harness import TOKEN, Get, fold, write

from quiver_proto import events as e
from quiver_web.fold import Limits
from quiver_web.operator_lines import lines_of

GetFrom = Callable[[Iterable[e.Event]], Get]
APP = f"/api/v1/applications/{story.APP}"
SQL = "SELECT city, count(*)\nFROM people GROUP BY city"
SCAN = e.StageInfo(0, "collect at a.py:7", 4, (), (("collect", "a.py:7"),), 5)
SORT = e.StageInfo(1, "collect at a.py:7", 1, (0,), (("collect", "a.py:7"),))
Row = tuple[int, int, str, int, int, float]


def measured(at: float, stage: int, *rows: Row) -> e.Event:
    """(tree, depth, name, shuffle that it reads, rows, seconds) of each operator."""
    trees, depths, names, shuffles, counts, seconds = zip(*rows, strict=True)
    many = len(rows)
    details = [f"detail of {name} <b>" for name in names]
    return e.OperatorsMeasured(
        at, stage, trees, depths, names, details, shuffles, [4] * many, counts, seconds, seconds, [0] * many, [0] * many, [1 << 20] * many
    )


def begun(query_id: int = 3) -> list[e.Event]:
    return [
        *story.started(),
        e.QueryStarted(1001.0, query_id, "collect", "collect at a.py:7", [SQL], "nightly", "", ["blue"]),
        e.QueryPlanned(1001.1, query_id, "Aggregate [city]", "Projection: city", "AggregateExec: <mode>", "in 2 stages"),
        e.JobStarted(1001.2, 0, "collect", "collect at a.py:7", [SCAN, SORT], query_id=query_id),
        e.StageStarted(1001.2, 0, 0, 4),
    ]


def log() -> list[e.Event]:
    return [
        *begun(),
        measured(1002.0, 0, (0, 0, "ShuffleWrite", -1, 9, 0.25), (0, 1, "DataSource", -1, 1000, 0.75)),
        e.StageEnded(1002.0, 0, 0, "succeeded"),
        e.StageStarted(1002.0, 1, 0, 1),
        measured(1003.0, 1, (0, 0, "Sort", -1, 3, 0.5), (0, 1, "ShuffleRead", 5, 9, 0.125)),
        e.StageEnded(1003.0, 1, 0, "succeeded"),
        e.JobEnded(1003.0, 0, "succeeded"),
        e.QueryEnded(1003.5, 3, "succeeded", 3),
    ]


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page)))


def test_a_query_has_its_jobs_plans_and_end() -> None:
    query = fold(log()).queries.by_id[3]
    assert (query.status, query.rows, query.job_ids, query.where) == ("succeeded", 3, [0], "in 2 stages")
    assert query.title == "SELECT city, count(*) FROM people GROUP BY city"
    # The queries of a remote client are told by another thread than its jobs.
    late = fold(sorted(log(), key=lambda event: isinstance(event, e.QueryStarted | e.QueryPlanned | e.QueryEnded))).queries.by_id[3]
    assert late == query
    assert fold([*log(), *log()]).queries.by_id[3] == query
    lost = fold([*begun(), e.ApplicationEnded(1009.0)]).queries.by_id[3]
    assert (lost.status, lost.ended_at) == ("failed", 1009.0)


def test_old_queries_are_dropped_and_stay_counted() -> None:
    told: list[e.Event] = [*story.started()]
    for number in range(6):
        told += [e.QueryStarted(1001.0 + number, number, "count", "count at a.py:1"), e.QueryEnded(1002.0 + number, number, "failed")]
    queries = fold([*told, told[-12]], Limits(queries=4)).queries
    assert (list(queries.by_id), queries.dropped, queries.counts["failed"]) == ([2, 3, 4, 5], 2, 6)


def test_operators_of_all_stages_are_one_tree() -> None:
    state = fold(log())
    lines = lines_of([state.jobs[0]], state.stages)
    assert [(line.name, line.stage_id, line.parent, line.indent, line.opens) for line in lines] == [
        ("Sort", 1, -1, 0, True),
        ("ShuffleRead", 1, 0, 0, False),
        ("ShuffleWrite", 0, 1, 0, True),
        ("DataSource", 0, 2, 0, False),
    ]
    assert lines[1].note == "of stage 0"


def test_branches_are_set_in_and_a_stage_is_shown_once() -> None:
    join = measured(
        1003.0, 1, (0, 0, "Join", -1, 1, 0.0), (0, 1, "ShuffleRead", 5, 1, 0.0), (0, 1, "Filter", -1, 1, 0.0),
        (0, 2, "ShuffleRead", 5, 1, 0.0), (1, 0, "Other", -1, 1, 0.0),
    )  # fmt: skip
    state = fold([*begun(), join])
    lines = lines_of([state.jobs[0]], state.stages)
    assert [(line.name, line.indent, line.parent, line.note) for line in lines] == [
        ("Join", 1, -1, ""),
        ("ShuffleRead", 2, 0, "of stage 0"),
        ("Stage 0", 2, 1, "has told of no operators"),
        ("Filter", 2, 0, ""),
        ("ShuffleRead", 2, 3, "of stage 0"),
        ("Stage 0", 2, 4, "shown above"),
        ("Other", 1, -1, ""),
    ]
    waiting = fold(begun())
    assert [line.note for line in lines_of([waiting.jobs[0]], waiting.stages)] == ["has not begun", "has told of no operators"]


def test_jobs_that_only_made_inputs_are_not_results() -> None:
    first = e.StageInfo(9, "collect at a.py:7", 1, (0,), ())
    told = [
        *begun(),
        e.JobStarted(1001.5, 1, "collect", "", [SCAN, first], query_id=3),
        e.StageStarted(1001.5, 9, 0, 1),
        e.StageEnded(1001.6, 9, 0, "succeeded"),
        measured(1002.0, 0, (0, 0, "DataSource", -1, 1000, 0.75)),
    ]
    state = fold(told)
    assert [line.name for line in lines_of([state.jobs[1]], state.stages)] == ["DataSource"]
    state = fold([*told, measured(1003.0, 1, (0, 0, "ShuffleRead", 5, 9, 0.125))])
    assert [line.name for line in lines_of([state.jobs[1], state.jobs[0]], state.stages)] == ["ShuffleRead", "DataSource"]


def test_a_plan_of_any_depth_is_laid_out() -> None:
    infos = [e.StageInfo(n, "s", 1, (n - 1,) if n else (), (), n if n < 899 else None) for n in range(900)]
    told = [
        *story.started(),
        e.JobStarted(1001.0, 0, "collect", "", infos, query_id=0),
        *(measured(1002.0, n, (0, 0, "Sort", -1, 1, 0.0), (0, 1, "ShuffleRead", n - 1, 1, 0.0)) for n in range(900)),
    ]
    state = fold(told)
    assert len(lines_of([state.jobs[0]], state.stages)) == 1500


def test_texts_of_users_are_no_markup(get_from: GetFrom) -> None:
    """Names of columns, values and errors are whatever the data hold."""
    evil = "</pre></title>\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}"
    get = get_from([
        *log(),
        e.QueryStarted(1004.0, 4, evil, evil, [evil], evil, evil, [evil]),
        e.QueryPlanned(1004.1, 4, evil, evil, evil, evil),
        e.JobStarted(1004.2, 1, evil, evil, [e.StageInfo(7, evil, 1, (), ((evil, evil),))], query_id=4),
        e.StageStarted(1004.2, 7, 0, 1),
        measured(1004.3, 7, (0, 0, evil, -1, 1, 0.5)),
        e.QueryEnded(1005.0, 4, "failed", -1, evil),
    ])  # fmt: skip
    for path in ("/sql", "/sql/4", "/jobs/1", "/stages/7/0"):
        page = get(path)
        assert page.status_code == 200, path
        assert "text/html" in page.headers["content-type"]
        assert "alert(1)" in page.text
        assert not re.search(r"<script>|<img src=x|</pre></title>", page.text)
        assert "{{ 7 * 7 }}" in page.text
        assert "script-src 'self'" in page.headers["content-security-policy"]
    assert get(f"{APP}/sql/4").headers["content-type"] == "application/json"


def test_rest_has_sparks_shape(get_from: GetFrom) -> None:
    get = get_from([*log(), e.QueryStarted(1004.0, 4, "count", "count at a.py:9"), e.QueryEnded(1005.0, 4, "failed", -1, "ValueError: no")])
    first, second = get(f"{APP}/sql").json()
    assert {key: first[key] for key in ("id", "status", "duration", "successJobIds", "failedJobIds", "numOutputRows")} == {
        "id": 3, "status": "COMPLETED", "duration": 2500, "successJobIds": [0], "failedJobIds": [], "numOutputRows": 3,
    }  # fmt: skip
    assert first["edges"] == [{"fromId": 1, "toId": 0}, {"fromId": 2, "toId": 1}, {"fromId": 3, "toId": 2}]
    assert first["nodes"][3]["metrics"][0] == {"name": "number of output rows", "value": "1,000"}
    assert "== Physical Plan ==\nAggregateExec: <mode>" in first["planDescription"]
    assert (second["status"], second["errorMessage"], second["description"]) == ("FAILED", "ValueError: no", "count at a.py:9")
    assert get(f"{APP}/sql/3?details=false&planDescription=false").json()["nodes"] == []
    assert [found["id"] for found in get(f"{APP}/sql?offset=1&length=5").json()] == [4]
    assert get(f"{APP}/sql/77").status_code == 404


def test_pages(get_from: GetFrom) -> None:
    get = get_from([*log(), e.QueryStarted(1004.0, 4, "count", "count at a.py:9"), e.QueryEnded(1005.0, 4, "failed", -1, "ValueError: no")])
    page = text_of(get("/sql").text)
    assert "3 SELECT city, count(*) FROM people GROUP BY city collect at a.py:7 · in 2 stages · group nightly · tags blue" in page
    assert "ValueError: no" in page
    details = get("/sql/3").text
    assert "AggregateExec: &lt;mode&gt;" in details
    assert "<b>" not in details
    shown = text_of(details)
    assert "DataSource detail of DataSource <b> 0 4 1,000" in shown
    assert "ShuffleRead of stage 0" in shown
    assert '../stages/0/0"' in details
    assert 'href="../sql/3"' in get("/jobs/0").text
    assert "DataSource detail of DataSource <b> 4 1,000" in text_of(get("/stages/0/0").text)
    assert get("/sql/9").status_code == 404
    assert "No query has been started yet" in get_from(story.started())("/sql").text


def test_a_stage_of_several_jobs_is_listed_once(get_from: GetFrom) -> None:
    again = [
        e.JobStarted(1003.1, 1, "collect", "collect at a.py:7", [SCAN, e.StageInfo(2, "again", 1, (0,), ())], query_id=3),
        e.StageSkipped(1003.1, 1, 0),
    ]
    get = get_from([*log()[:-1], *again])
    page = get("/sql/3").text
    assert page.count('data-key="stage-0-0"') == 1
    assert "computed by an earlier job" not in page
    assert "SELECT city" in get("/sql").text
    assert re.search(r"0 1 3 –", text_of(get("/sql").text))


def wide(told: e.OperatorsMeasured) -> e.OperatorsMeasured:
    """The same with long texts and numbers."""
    many = len(told.names)
    rows = [1_000_000 + count for count in told.rows]
    return replace(told, details=["a column, " * 30] * many, rows=rows, spills=[4] * many, spilled_bytes=[329 << 20] * many)


@pytest.mark.browser
def test_the_sql_page_in_chromium(tmp_path: Path) -> None:
    whole = [wide(event) if isinstance(event, e.OperatorsMeasured) else event for event in log()]
    path = write(tmp_path / "log.jsonl", whole[: len(begun())])
    with web_process(path) as web, chromium(tmp_path / "profile") as browser:

        def text() -> str:
            return str(browser.execute_script("return document.body ? document.body.innerText : ''"))

        browser.get(f"{web.address}/?token={TOKEN}")
        browser.find_element("link text", "SQL").click()
        eventually(lambda: "Running queries" in text(), "the list of queries")
        browser.find_element("partial link text", "SELECT city").click()
        eventually(lambda: "has not begun" in text(), "the query's page")
        with path.open("a") as file:
            file.writelines(e.encode(event) + "\n" for event in whole[len(begun()) :])
        eventually(lambda: "succeeded" in text() and "1,001,000" in text(), "the page follows the log")
        assert browser.execute_script("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert browser.execute_script(
            "const tree = document.querySelector('.plan-tree'); return tree.scrollWidth <= tree.parentNode.clientWidth"
        )
        browser.find_element("css selector", ".plan-tree .opens a").click()
        eventually(lambda: "Stage 1" in browser.title, "a stage's page")
        assert not error_entries(browser)
