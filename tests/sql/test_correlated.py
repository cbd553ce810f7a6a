"""Subqueries and lateral joins that refer to the query around them, zip, nearestByJoin, observe."""

from __future__ import annotations

import pytest

from quiver.sql import Observation, Session, Window
from quiver.sql import functions as F
from quiver.sql.errors import AnalysisException, PySparkAssertionError, PySparkException, PySparkValueError, UnsupportedOperationException


def test_columns_of_the_query_around(spark: Session) -> None:
    people = spark.createDataFrame([(1, "Ann"), (2, "Bob"), (3, "Cid")], ["id", "name"]).alias("p")
    orders = spark.createDataFrame([(1, 5), (1, 9), (2, 7)], ["person", "amount"]).alias("o")
    theirs = orders.where(F.col("o.person") == F.col("p.id").outer())
    assert sorted(row.name for row in people.where(~theirs.exists()).collect()) == ["Cid"]
    most = theirs.groupBy().agg(F.max("amount").alias("most")).scalar()
    assert sorted(people.select("name", most.alias("m")).collect()) == [("Ann", 9), ("Bob", 7), ("Cid", None)]
    best = theirs.orderBy(F.col("amount").desc()).limit(1).select("amount")
    joined = people.lateralJoin(best, F.col("amount") > F.col("id"), "left")
    assert sorted(joined.select("name", "amount").collect()) == [("Ann", 9), ("Bob", 7), ("Cid", None)]
    assert people.lateralJoin(orders.select("amount").limit(1)).count() == 3


def test_what_needs_a_query_around_says_so(spark: Session) -> None:
    waiting = spark.range(3).where(F.col("id") == F.col("other").outer())
    with pytest.raises(AnalysisException, match="`collect` can't be used here"):
        waiting.collect()
    with pytest.raises(AnalysisException, match="`other` cannot be resolved"):
        spark.range(1).where(waiting.exists())
    with pytest.raises(AnalysisException, match="UNSUPPORTED_JOIN_TYPE"):
        spark.range(1).lateralJoin(spark.range(1), how="full")


def test_zip_of_selections_of_the_same_rows(spark: Session) -> None:
    frame = spark.createDataFrame([(n, n * 2) for n in range(50)], ["a", "b"]).where("a > 1")
    left = frame.alias("x").select("a", (F.col("x.b") + 1).alias("c")).withColumn("d", F.col("c") * 2)
    right = frame.withColumnRenamed("b", "bb").select("bb", "a")
    zipped = left.zip(right)
    assert zipped.columns == ["a", "c", "d", "bb", "a"]
    assert sorted(zipped.collect())[:2] == [(2, 5, 10, 4, 2), (3, 7, 14, 6, 3)]
    assert left.zip(frame.select((frame.a + 1).alias("n"))).where("n != a + 1").count() == 0
    with pytest.raises(AnalysisException, match="ZIP_PLANS_NOT_MERGEABLE"):
        left.zip(frame.where("a > 2"))


def test_the_nearest_rows(spark: Session) -> None:
    users = spark.createDataFrame([(1, 10.0), (2, 20.0), (2, 20.0), (3, None)], "u int, s double")
    goods = spark.createDataFrame([("A", 11.0), ("B", 22.0), ("C", 5.0)], ["g", "p"])
    near = users.nearestByJoin(goods, F.abs(users.s - goods.p), 2, "exact", "distance")
    assert sorted(near.where("u < 3").select("u", "g").collect()) == [(1, "A"), (1, "C"), (2, "A"), (2, "A"), (2, "B"), (2, "B")]
    alone = users.nearestByJoin(goods.where("false"), users.s, 1, "approx", "similarity", joinType="leftouter")
    assert sorted(row.u for row in alone.collect()) == [1, 2, 2, 3]
    with pytest.raises(ValueError, match="numResults"):
        users.nearestByJoin(goods, users.s, 0, "exact", "distance")


def test_observed_metrics_are_of_the_first_query_that_ends_well(spark: Session) -> None:
    numbers = spark.createDataFrame([(n,) for n in range(4)], "n int")
    seen = Observation("seen")
    frame = numbers.observe(seen, F.sum("n").alias("total"), F.lit(7).alias("seven")).where("n > 1")
    with pytest.raises(PySparkAssertionError, match="Run a query"):
        _ = seen.get
    with pytest.raises(PySparkException, match="boom"):
        frame.select(F.raise_error(F.lit("boom"))).collect()
    with pytest.raises(PySparkAssertionError, match="Run a query"):
        _ = seen.get
    assert frame.join(frame.select("n"), "n").count() == 2
    assert seen.get == {"total": 6, "seven": 7}
    with pytest.raises(PySparkAssertionError, match="REUSE_OBSERVATION"):
        numbers.observe(seen, F.count("n"))
    with pytest.raises(PySparkAssertionError, match="asked for by"):
        _ = Observation().get
    refused = {
        "NON_AGGREGATE_FUNC_ARG_IS_ATTRIBUTE": F.col("n"), "NESTED_AGGREGATES_UNSUPPORTED": F.sum(F.sum("n")),
        "WINDOW_EXPRESSIONS_UNSUPPORTED": F.sum("n").over(Window.partitionBy("n")),
        "AGGREGATE_EXPRESSION_WITH_DISTINCT_UNSUPPORTED": F.countDistinct("n"),
    }  # fmt: skip
    for kind, metric in refused.items():
        with pytest.raises(AnalysisException, match=f"INVALID_OBSERVED_METRICS.{kind}"):
            numbers.observe(Observation(), metric)
    with pytest.raises(AnalysisException, match="DUPLICATED_METRICS_NAME"):
        numbers.observe(Observation("one"), F.sum("n")).observe(Observation("one"), F.sum("n"))
    with pytest.raises(PySparkValueError, match="CANNOT_BE_EMPTY"):
        numbers.observe(Observation())
    assert numbers.observe("name only", F.count("n")).count() == 4


def test_what_a_dataframe_does_not_offer_says_so(spark: Session) -> None:
    with pytest.raises(UnsupportedOperationException, match="toPandas"):
        spark.range(1).pandas_api()
    with pytest.raises(UnsupportedOperationException, match="streaming"):
        _ = spark.range(1).writeStream
