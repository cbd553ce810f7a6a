"""What the operators of a query did: told by its tasks, summed by stage, in the event log and for those who ask."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quiver import Conf, Context
from quiver.sql import Session
from quiver_proto import events as e
from quiver_proto.messages import OperatorMetrics
from quiver_proto.operators import MOST_TREES, OperatorTable


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("events")


@pytest.fixture(scope="module", params=["inline", "local[2]"])
def spark(request: pytest.FixtureRequest, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("tables")
    for number in range(3):
        pq.write_table(pa.table({"k": [number, 1, 2], "v": [1.5, None, number]}), folder / f"part-{number}.parquet")
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(logs)).set("spark.ui.enabled", "false")
    conf.set("quiver.sql.partitions", "3").set("quiver.sql.oneTask.maxBytes", "1")
    with Session(Context(request.param, "test", conf=conf)) as session:
        session.read.parquet(str(folder)).createOrReplaceTempView("t")
        yield session


def logged(session: Session, logs: Path) -> list[e.Event]:
    driver = session.context._driver
    if hasattr(driver, "_ask") and hasattr(driver, "loop"):
        driver._ask(driver.events.flush, None)
    (path,) = glob.glob(f"{logs}/{session.context.applicationId}.jsonl")
    return [event for line in Path(path).read_text().splitlines() if (event := e.decode(line)) is not None]


def test_a_query_in_stages(spark: Session, logs: Path) -> None:
    query = "SELECT k, count(*) AS n FROM t GROUP BY k ORDER BY k"
    assert [tuple(row) for row in spark.sql(query).collect()] == [(0, 1), (1, 4), (2, 4)]
    log = logged(spark, logs)
    started = [event for event in log if isinstance(event, e.QueryStarted)][-1]
    assert (started.name, list(started.sql)) == ("collect", [query])
    assert started.call_site.startswith("collect at test_query_metrics.py:")
    planned = [event for event in log if isinstance(event, e.QueryPlanned)][-1]
    assert planned.query_id == started.query_id
    assert "Aggregate" in planned.analysed
    assert "AggregateExec: mode=Partial" in planned.physical
    assert planned.where == "in 3 stages", planned.physical
    (ended,) = [event for event in log if isinstance(event, e.QueryEnded) and event.query_id == started.query_id]
    assert (ended.status, ended.rows) == ("succeeded", 3)
    # The jobs before it ran some of its stages, to plan the others by the sizes of what they left.
    job = [event for event in log if isinstance(event, e.JobStarted) and event.query_id == started.query_id][-1]
    measured = {event.stage_id: event for event in log if isinstance(event, e.OperatorsMeasured)}
    first, last = (measured[stage.stage_id] for stage in job.stages)
    scan = list(first.names).index("DataSource")
    assert (first.names[0], first.rows[scan], first.tasks[scan]) == ("ShuffleWrite", 9, 3)
    assert "(3 files)" in first.details[scan]
    assert first.scanned_bytes[scan] > 0
    assert sum(first.compute_s) > 0
    # The leaves of later stages name the shuffles of earlier ones.
    assert last.shuffle_ids[-1] == job.stages[0].shuffle_id
    assert "SortPreservingMerge" in last.names
    assert 3 in last.rows  # A merge of one run lets it through, uncounted.


def test_a_program_can_look_at_them(spark: Session) -> None:
    frame = spark.sql("SELECT k, count(*) AS n FROM t GROUP BY k ORDER BY k")
    assert frame.executionInfo is None
    frame.show()
    info = frame.executionInfo
    assert info is not None
    assert info.metrics is not None
    assert info.operation_id.isdigit()
    first, *others = info.metrics.operators
    assert first.plan_id == first.parent_plan_id
    scan = others[-1]
    assert (scan.name, {metric.name: metric.value for metric in scan.metrics}["numOutputRows"]) == ("DataSource", 9)
    names = {each.plan_id: each.name for each in info.metrics.operators}
    assert names[next(each.parent_plan_id for each in others if each.name == "ShuffleWrite")] == "ShuffleRead"
    text = info.metrics.toText()
    assert text.startswith(f"+- {first.name}(numOutputRows: 3 (sum)")
    assert len(text.splitlines()) == len(names)
    assert scan.to_dict()["metrics"][0] == {"name": "numOutputRows", "value": 9, "type": "sum"}


def test_branches_of_a_union_are_told_apart(spark: Session) -> None:
    spark.sql("SELECT k FROM t WHERE k > 0 UNION ALL SELECT v FROM t WHERE v > 0").toArrow()
    rows = spark.context._driver.status("operators").operators
    stage = [row for row in rows if row.stage_id == max(row.stage_id for row in rows)]
    assert {(row.tree, row.tasks) for row in stage if row.depth == 0} == {(0, 3), (1, 3)}


def test_a_failed_query_says_why(spark: Session, logs: Path) -> None:
    with pytest.raises(Exception, match="DIVIDE_BY_ZERO"):
        spark.sql("SELECT 1 / k FROM t").collect()
    ended = [event for event in logged(spark, logs) if isinstance(event, e.QueryEnded)][-1]
    assert (ended.status, ended.rows) == ("failed", -1)
    assert "DIVIDE_BY_ZERO" in ended.error


def row(depth: int, name: str, rows: int, seconds: float) -> OperatorMetrics:
    return OperatorMetrics(depth, name, "", -1, rows, seconds, 1, 10, 100)


def test_tasks_are_summed_tree_by_tree() -> None:
    table = OperatorTable()
    table.add([row(0, "Sort", 5, 1.0), row(1, "Scan", 7, 2.0)])
    table.add([row(0, "Sort", 1, 3.0), row(1, "Scan", 2, 0.5)])
    table.add([row(0, "Scan", 9, 0.5)])
    assert [(t.tree, t.name, t.tasks, t.rows, t.compute_s, t.longest_s, t.spills, t.spilled_bytes) for t in table.rows()] == [
        (0, "Sort", 2, 6, 4.0, 3.0, 2, 20),
        (0, "Scan", 2, 9, 2.5, 2.0, 2, 20),
        (1, "Scan", 1, 9, 0.5, 0.5, 1, 10),
    ]
    for number in range(MOST_TREES):
        table.add([row(0, f"other {number}", 1, 0.0)])
    assert (table.untold, max(t.tree for t in table.rows())) == (2, MOST_TREES - 1)
