"""explain(): the tree over all stages, numbers and details, where a query runs and why."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quiver import Conf, Context
from quiver.sql import Session, errors
from quiver.sql.plan_drawing import Operator, arguments, detailed, drawn, why_one_task
from quiver_proto.operator_texts import named
from quiver_proto.v1.kernel_pb2 import Plan


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("tables")
    for number in range(3):
        pq.write_table(pa.table({"k": [number, 1, 2], "v": [1.5, None, number]}), folder / f"part-{number}.parquet")
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(tmp_path_factory.mktemp("events"))).set("spark.ui.enabled", "false")
    conf.set("quiver.sql.oneTask.maxBytes", "1500").set("quiver.sql.partitions", "3")
    with Session(Context("inline", "test", conf=conf)) as session:
        session.read.parquet(str(folder)).createOrReplaceTempView("t")
        session.read.parquet(str(folder / "part-0.parquet")).createOrReplaceTempView("small")
        yield session


QUERY = "SELECT k, count(*) AS n FROM t WHERE v > 0 GROUP BY k ORDER BY k"


def told(spark: Session, capsys: pytest.CaptureFixture[str], mode: str | bool | None = None, query: str = QUERY) -> str:
    spark.sql(query).explain(mode)
    return capsys.readouterr().out


def test_one_task_and_why(spark: Session, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(spark, capsys, query=QUERY.replace("FROM t", "FROM small"))
    assert re.search(r"Runs as one task: it reads \d+ B, no more than quiver.sql.oneTask.maxBytes, 1.5 KiB\.", text)
    assert text.startswith("== Physical Plan ==\nProjection expr=[k, count(Int64(1)) as n]\n+- Sort expr=[k ASC]")
    assert re.search(r"\+- DataSource /\S+/part-0.parquet, ", text)
    assert "Exchange" not in text


def test_stages_and_why_some_are_one_task(spark: Session, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(spark, capsys)
    assert "Exchange Hash([k], 3), stage 0, 3 tasks\n" in text
    assert "Exchange one partition, stage 1, 3 tasks\n" in text
    assert "Runs in 3 stages; what follows a stage is planned anew by the sizes that it left" in text
    assert "Stage 2 is one task: it merges sorted rows." in text
    assert "(3 files)" in text
    again = told(spark, capsys, query="SELECT k, count(*) FROM t WHERE v > (SELECT avg(v) FROM t) GROUP BY k")
    assert "ReusedExchange stage" in again
    # What was explained computes the same afterwards, with what RDDs bring as well.
    assert [tuple(row) for row in spark.sql(QUERY).collect()] == [(0, 1), (1, 1), (2, 3)]
    spark.context.parallelize([(1,)]).toDF(["x"]).groupBy("x").count().explain()
    assert "Aggregate" in capsys.readouterr().out


def test_all_trees(spark: Session, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(spark, capsys, True)
    titles = ["Parsed Logical Plan", "Analyzed Logical Plan", "Optimized Logical Plan", "Physical Plan"]
    assert re.findall(r"== (.*?) ==", text) == titles
    assert QUERY in text
    assert "k: bigint, n: bigint\n" in text
    spark.table("t").where("k > 1").explain("extended")
    parsed = capsys.readouterr().out.partition("== Analyzed")[0]
    assert "Filter (k > " in parsed
    assert "#" not in parsed


def test_numbered_operators(spark: Session, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(spark, capsys, "formatted")
    tree, _, details = text.partition("\n\n\n")
    assert "DataSource (1)" in tree
    numbers = [int(number) for number in re.findall(r"^\((\d+)\) ", details, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) == len(re.findall(r"\(\d+\)$", tree, re.MULTILINE))
    assert re.search(r"\(\d+\) Aggregate\nmode: Partial\ngby: \[k\]\naggr: \[count\(Int64\(1\)\)\]", details)


def test_cost(spark: Session, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(spark, capsys, "cost")
    assert "== Optimized Logical Plan ==" in text
    assert re.search(r"DataSourceExec.*Statistics\(Rows=~9", text)
    assert "Statistics" not in told(spark, capsys)


def test_what_is_not_explained(spark: Session) -> None:
    frame = spark.range(1)
    with pytest.raises(errors.UnsupportedOperationException, match="compiled"):
        frame.explain("codegen")
    with pytest.raises(errors.IllegalArgumentException, match="Unknown explain mode: loud"):
        frame.explain("loud")
    with pytest.raises(errors.PySparkValueError, match="together"):
        frame.explain(True, "simple")
    with pytest.raises(errors.PySparkTypeError, match="bool or str"):
        frame.explain(3)


def test_trees_are_drawn_as_spark_draws_them() -> None:
    scan = Operator("Scan", "a")
    root = Operator("Join", "", [Operator("Sort", "k", [scan]), Operator("Union", "", [Operator("B"), Operator("C")])])
    assert drawn(root).splitlines() == ["Join", ":- Sort k", ":  +- Scan a", "+- Union", "   :- B", "   +- C"]
    assert detailed(root).splitlines()[:7] == [
        "Join (6)",
        ":- Sort (2)",
        ":  +- Scan (1)",
        "+- Union (5)",
        "   :- B (3)",
        "   +- C (4)",
        "",
    ]


def test_texts_of_the_kernel() -> None:
    line = "AggregateExec: mode=Partial, gby=[k#3@0 as k#3], aggr=[sum(v#4@1)@2 as s#5]\n"
    assert named(line) == ("Aggregate", "mode=Partial, gby=[k], aggr=[sum(v) as s]")
    scan = "DataSourceExec: file_groups={2 groups: [[a/b.parquet:0..5], [a/b.parquet:5..9]]}, projection=[k@0 as k#3], file_type=parquet"
    assert named(scan, "/a/b.parquet") == ("DataSource", "/a/b.parquet, projection=[k], file_type=parquet")
    assert arguments("a, b=[c, (d, e)], f") == ["a", "b=[c, (d, e)]", "f"]
    limit = Plan()
    limit.projection.input.global_limit.fetch = 3
    assert why_one_task(limit) == "it takes the first rows of all"
    assert why_one_task(Plan()) == "one of its operators can't be divided"
