"""What PySpark 4.3 gave for the same lines, where it is easily missed."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from quiver.sql import Row, Session
from quiver.sql import functions as F
from quiver.sql.errors import PythonException

ZONE = "spark.sql.session.timeZone"


def test_names_of_constants(spark: Session) -> None:
    noon = datetime(2024, 7, 15, 16, 0, 0, 500_000, tzinfo=UTC)
    values: list[Any] = [noon, date(2024, 1, 1), timedelta(days=1, seconds=5), Decimal("1.50"), b"ab", [1, 2], time(1, 2, 3)]
    spark.conf.set(ZONE, "Europe/Berlin")
    try:
        assert spark.range(1).select(*map(F.lit, values)).columns == [
            "TIMESTAMP '2024-07-15 18:00:00.5'", "DATE '2024-01-01'", "INTERVAL '1 00:00:05' DAY TO SECOND", "1.50", "X'6162'",
            "array(1, 2)", "TIME '01:02:03'",
        ]  # fmt: skip
        assert spark.createDataFrame([(noon,)], ["t"]).toJSON().collect() == ['{"t":"2024-07-15T18:00:00.500+02:00"}']
    finally:
        spark.conf.unset(ZONE)


def test_values_that_were_not_verified(spark: Session) -> None:
    def made(value: Any, kind: str) -> Any:
        return spark.createDataFrame([(value,)], f"a {kind}", verifySchema=False).collect()[0].a

    assert (made("x", "int"), made(3_000_000_000, "int"), made(1, "double"), made(True, "bigint")) == (None, -1294967296, None, None)
    assert made((1, "x"), "struct<p:string,q:int>") == Row(p="1", q=None)


@pytest.mark.parametrize(("arrow", "kinds"), [(True, ("ndarray", "dict")), (False, ("list", "Row"))])
def test_nested_values_in_pandas(spark: Session, arrow: bool, kinds: tuple[str, str]) -> None:
    spark.conf.set("spark.sql.execution.arrow.pyspark.enabled", arrow)
    try:
        schema = "l array<int>, s struct<q:int>, m map<string,int>, n array<map<string,int>>"
        frame = spark.createDataFrame([([1, 2], (1,), {"a": 1}, [{"b": 2}]), (None, None, None, None)], schema).toPandas()
    finally:
        spark.conf.unset("spark.sql.execution.arrow.pyspark.enabled")
    first = frame.iloc[0]
    assert (type(first.l).__name__, type(first.s).__name__) == kinds
    assert (list(first.l), first.s["q"], first.m, list(first.n)) == ([1, 2], 1, {"a": 1}, [{"b": 2}])
    assert frame.iloc[1].tolist() == [None] * 4


def test_show_of_what_is_hard_to_write(spark: Session, capsys: pytest.CaptureFixture[str]) -> None:
    row = ((1, None), [None, 1.5], {"k": None}, b"ab", 1e20, 1e-5, Decimal("1E-7"), True)
    kinds = "s struct<a:int,b:string>,l array<double>,m map<string,int>,x binary,f double,g float,d decimal(20,10),b boolean"
    spark.createDataFrame([row], kinds).show(truncate=False)
    assert "|{1, NULL}|[NULL, 1.5]|{k -> NULL}|[61 62]|1.0E20|1.0E-5|0.0000001000|true|" in capsys.readouterr().out
    spark.createDataFrame([("한국어", 1), ("a\nb", 22)], ["名前", "x"]).show(-1)
    assert capsys.readouterr().out == "+----+---+\n|名前|  x|\n+----+---+\n+----+---+\nonly showing top 0 rows\n"
    spark.createDataFrame([("한국어", 1), ("a\nb", 22)], ["名前", "x"]).show()
    assert capsys.readouterr().out == "+------+---+\n|  名前|  x|\n+------+---+\n|한국어|  1|\n|  a\\nb| 22|\n+------+---+\n\n"


def test_eager_evaluation_in_notebooks(spark: Session) -> None:
    assert repr(spark.range(2)) == "DataFrame[id: bigint]"
    assert spark.range(2)._repr_html_() is None
    spark.conf.set("spark.sql.repl.eagerEval.enabled", True)
    try:
        assert repr(spark.range(1)) == "+---+\n| id|\n+---+\n|  0|\n+---+\n"
        assert spark.range(1)._repr_html_() == "<table border='1'>\n<tr><th>id</th></tr>\n<tr><td>0</td></tr>\n</table>\n"
    finally:
        spark.conf.unset("spark.sql.repl.eagerEval.enabled")


def test_what_is_drawn_is_drawn_once(spark: Session) -> None:
    whether = spark.range(400).withColumn("drawn", F.rand()).where("drawn > 0.5").withColumn("is_so", F.col("drawn") > 0.5)
    assert whether.groupBy("is_so").count().count() == 1
    ids = spark.range(400).withColumn("drawn", F.uuid()).where("drawn > '8'").select((F.col("drawn") > "8").alias("is_so"))
    assert ids.distinct().collect() == [(True,)]
    assert spark.sql("SELECT rand() AS c, c AS d, c = d AS same FROM range(20)").where("not same").count() == 0
    joined = "SELECT min(r) > 0.5 FROM (SELECT rand() AS r, id FROM range(400)) a {} JOIN range(300) b ON a.id = b.id AND a.r > 0.5"
    drawn = F.udf(lambda _: random.random(), "double").asNondeterministic()
    right = spark.range(1000).toDF("other")
    rows = spark.range(2000).withColumn("drawn", drawn("id")).join(right, F.expr("id = other AND drawn > 0.5"))
    assert rows.select(F.min(F.col("drawn") > 0.5)).collect() == [(True,)]
    assert spark.sql(joined.format("")).collect() == spark.sql(joined.format("LEFT SEMI")).collect() == [(True,)]


def test_fractions_that_were_promised_to_be_whole(spark: Session) -> None:
    assert spark.range(1).select(F.udf(lambda _: 2.0, "int")("id")).collect() == [(2,)]
    with pytest.raises(PythonException, match=r"1\.5 of type float; expected int"):
        spark.range(1).select(F.udf(lambda _: 1.5, "int")("id")).collect()
