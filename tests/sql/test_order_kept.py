"""What is above a sort keeps its order, in one task and in stages; a chain of joins is planned as one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quiver import Conf, Context
from quiver.sql import DataFrame, Session, Window
from quiver.sql import functions as F

ROWS = 30_000

ABOVE: dict[str, Callable[[DataFrame], DataFrame]] = {
    "filter": lambda df: df.filter("v % 2 = 0"),
    "select": lambda df: df.select("k"),
    "expression": lambda df: df.withColumn("w", F.col("v") + 1),
    "drop": lambda df: df.drop("v"),
    "alias": lambda df: df.alias("a").select("a.k", "s"),
    "limit": lambda df: df.limit(20_000).filter("v % 3 = 0"),
    "explode": lambda df: df.select("k", F.explode(F.array("v", "k")).alias("e")),
    "posexplode": lambda df: df.filter("v % 2 = 0").select("k", F.posexplode_outer(F.array("v"))),
    "renamed": lambda df: df.withColumnRenamed("v", "w").filter("w % 2 = 0").select("k", "w"),
}


@pytest.fixture(scope="module", params=["1g", "1k"], ids=["one task", "stages"])
def spark(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(tmp_path_factory.mktemp("events"))).set("spark.ui.enabled", "false")
    with Session(Context("local[2]", "test", conf=conf.set("quiver.sql.oneTask.maxBytes", request.param))) as session:
        yield session


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("order") / "rows.parquet"
    numbers = [i * 7919 % ROWS for i in range(ROWS)]
    pq.write_table(pa.table({"k": numbers, "v": range(ROWS), "s": [f"text number {i} of some length" for i in numbers]}), path, 5_000)
    return str(path)


@pytest.mark.parametrize("operator", ABOVE)
def test_order_is_kept(spark: Session, table: str, operator: str) -> None:
    kept = ABOVE[operator](spark.read.parquet(table).orderBy("k")).toArrow()["k"].to_pylist()
    assert len(kept) > 5_000
    assert kept == sorted(kept)


STORED: dict[str, Callable[[Session, str], DataFrame]] = {
    "range": lambda spark, table: spark.range(0, 3 * ROWS, 3).withColumnRenamed("id", "v"),
    "long range": lambda spark, table: spark.range(0, 120_000).withColumnRenamed("id", "v"),
    "list": lambda spark, table: spark.createDataFrame(pa.table({"v": range(ROWS)})),
    "file": lambda spark, table: spark.read.parquet(table).select("v"),
    "python": lambda spark, table: spark.createDataFrame(pa.table({"v": range(ROWS)})).mapInArrow(lambda batches: batches, "v long"),
}


@pytest.mark.parametrize("source", STORED)
def test_stored_rows_are_seen_in_their_order(spark: Session, table: str, source: str) -> None:
    """Without a sort nobody promises it, but everybody looks at the first rows, and at the last."""
    df = STORED[source](spark, table)
    rows = [row.v for row in df.collect()]
    assert rows == sorted(rows)
    worked_on = df.filter("v % 2 = 0").selectExpr("v * 10 AS v")
    made = [v * 10 for v in rows if v % 2 == 0]
    assert worked_on.toArrow()["v"].to_pylist() == made
    assert [row.v for row in worked_on.tail(3)] == made[-3:]
    assert [row.v for row in worked_on.take(3)] == made[:3]
    (row,) = df.agg(F.first("v").alias("first"), F.last("v").alias("last"), F.collect_list("v").alias("all")).collect()
    assert (row.first, row.last, row.all) == (rows[0], rows[-1], rows)
    assert [row.v for row in worked_on.offset(len(made) - 5).limit(3).collect()] == made[-5:-2]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Rows of one column in several files, which are several partitions of one task."""
    path: Path = tmp_path_factory.mktemp("parts")
    for number in range(4):
        pq.write_table(pa.table({"v": range(number * 5_000, (number + 1) * 5_000)}), path / f"part-{number}.parquet", 1_000)
    return str(path)


def test_whatever_shows_an_order_shows_that_of_stored_rows(spark: Session, parts: str, tmp_path: Path) -> None:
    """Wherever a limit stands; and branches of a union follow one another."""
    files, span = spark.read.parquet(parts), spark.range(120_000).withColumnRenamed("id", "v")
    rows = spark.createDataFrame(pa.table({"v": range(ROWS)}))
    for name, df, count in (("files", files, 20_000), ("range", span, 120_000), ("list", rows, ROWS)):
        odd = df.where("v % 2 = 1")
        found = odd.offset(8_000).limit(3).agg(F.sum("v")).first()
        assert found == (3 * 16_003,), name
        assert df.limit(9_000).groupBy(F.expr("v >= 8192")).count().orderBy("count").collect() == [(True, 808), (False, 8_192)], name
        groups = df.groupBy(F.expr("v % 3").alias("k")).agg(F.first("v"), F.last("v"), F.collect_list("v")).orderBy("k").collect()
        listed = [range(k, count, 3) for k in range(3)]
        assert groups == [(k, each[0], each[-1], list(each)) for k, each in enumerate(listed)], name
        assert sorted(df.selectExpr("v", "v % 5 AS k").dropDuplicates(["k"]).collect()) == [(k, k) for k in range(5)], name
        numbered = df.withColumn("n", F.row_number().over(Window.orderBy(F.lit(1))))
        assert numbered.where("n <> v + 1").count() == 0, name
    union = files.union(span).union(rows)
    expected = [*range(20_000), *range(120_000), *range(ROWS)]
    assert union.toArrow()["v"].to_pylist() == expected
    assert [row.v for row in union.offset(139_998).limit(4).collect()] == expected[139_998:140_002]
    assert files.limit(2).union(rows.limit(2)).union(span.limit(1)).collect() == [(0,), (1,), (0,), (1,), (0,)]
    union.coalesce(1).write.csv(str(tmp_path / "one"))
    (written,) = (tmp_path / "one").glob("*.csv")
    assert list(map(int, written.read_text().split())) == expected
    union.createOrReplaceTempView("several")
    query = "SELECT count(*), (SELECT sum(v) FROM (SELECT v FROM several WHERE v > 100 LIMIT 3)) FROM several"
    assert spark.sql(f"{query} WHERE v IN (SELECT v FROM several WHERE v > 7 LIMIT 2)").first() == (6, 306)


def test_the_first_of_equal_rows_in_the_order_of_a_sort(spark: Session, table: str) -> None:
    rows = spark.read.parquet(table).selectExpr("v", "k", "v % 5 AS g", "v % 7 AS t", "s")
    found = rows.orderBy(F.desc("k")).drop("k").dropDuplicates(["g"]).orderBy("g").collect()
    tops = [max((v * 7919 % ROWS, v) for v in range(g, ROWS, 5)) for g in range(5)]
    assert [(row.v, row.g, row.s) for row in found] == [(v, v % 5, f"text number {k} of some length") for k, v in tops]
    tied = rows.orderBy("t").dropDuplicates(["g"]).collect()
    assert {(row.g, row.t, row.k == row.v * 7919 % ROWS, row.v % 5) for row in tied} == {(g, 0, True, g) for g in range(5)}


def test_several_generators(spark: Session) -> None:
    """The rows of the last one change fastest."""
    made = spark.sql("SELECT explode(array(2, 1)), id, posexplode(array('a', 'b')) FROM range(2) WHERE id > 0").collect()
    assert made == [(2, 1, 0, "a"), (2, 1, 1, "b"), (1, 1, 0, "a"), (1, 1, 1, "b")]


def test_what_is_made_of_a_row_stays_together(spark: Session, table: str) -> None:
    made = spark.read.parquet(table).orderBy(F.col("k") % 3, F.desc("v")).drop("k", "s").select(F.explode(F.sequence("v", F.col("v") + 2)))
    rows = made.toArrow()["col"].to_pylist()
    assert len(rows) == 3 * ROWS
    firsts = sorted(range(ROWS), key=lambda v: (v * 7919 % ROWS % 3, -v))
    assert rows == [first + step for first in firsts for step in range(3)]


def test_order_by_what_is_not_shown(spark: Session, table: str) -> None:
    spark.read.parquet(table).createOrReplaceTempView("rows")
    assert [row.v for row in spark.sql("SELECT v FROM rows ORDER BY k DESC").take(2)] == [
        row.v for row in spark.sql("SELECT v, k FROM rows WHERE k > 29997 ORDER BY k DESC").collect()
    ]
    assert spark.sql("SELECT v FROM rows ORDER BY k").toArrow()["v"].to_pylist()[:3] == [
        next(v for v in range(ROWS) if v * 7919 % ROWS == k) for k in range(3)
    ]


def test_relations_listed_in_any_order_are_joined_by_their_keys(spark: Session, table: str) -> None:
    spark.read.parquet(table).createOrReplaceTempView("rows")
    query = """SELECT count(*) FROM (SELECT k AS a FROM rows) x, (SELECT k AS b FROM rows) y, (SELECT k AS c, v AS d FROM rows) z
               WHERE a = c AND b = d"""
    assert "CrossJoinExec" not in spark._state.runtime.explain(spark.sql(query)._relation).physical
    assert spark.sql(query).collect() == [(ROWS,)]


def test_in_as_a_value(spark: Session, table: str) -> None:
    spark.read.parquet(table).createOrReplaceTempView("rows")
    query = "SELECT count(*) FROM rows WHERE k = 7 OR s IN (SELECT s FROM rows WHERE k IN (1, 2, 3))"
    assert spark.sql(query).collect() == [(4,)]


def test_subqueries_are_asked_after_joins(spark: Session, table: str) -> None:
    spark.read.parquet(table).createOrReplaceTempView("rows")
    query = """SELECT count(*) FROM rows a, rows b WHERE a.k = b.v AND b.k < 100
               AND (a.s LIKE '%number 7 %' OR b.s IN (SELECT s FROM rows c WHERE c.v = b.v AND c.k IN (1, 2, 3)))"""
    assert "CrossJoinExec" not in spark._state.runtime.explain(spark.sql(query)._relation).physical
    assert spark.sql(query).collect() == [(3,)]


def test_threads_plan_queries_of_the_same_rows(spark: Session) -> None:
    """Each leaf is given to the kernel once, whoever comes first."""
    problems: list[BaseException] = []

    def count(df: DataFrame, start: threading.Barrier) -> None:
        start.wait(120)
        try:
            assert df.groupBy("v").count().count() == 50
        except BaseException as problem:
            problems.append(problem)

    for _ in range(3):
        df, start = spark.createDataFrame(pa.table({"v": range(50)})), threading.Barrier(4)
        threads = [threading.Thread(target=count, args=(df, start)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert problems == []
