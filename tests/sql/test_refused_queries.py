"""Queries that Spark refuses at analysis are refused there, with its conditions: what may stand in which clause, and of which types."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from quiver.sql import DataFrame, Row, Session, Window
from quiver.sql import functions as F
from quiver.sql.errors import PySparkException


@pytest.fixture(scope="module")
def o(spark: Session) -> DataFrame:
    made = spark.createDataFrame([(1, 1, 1.0, "a"), (2, 1, 5.0, "b"), (3, 2, 2.0, "c")], "oid int, cid int, amt double, name string")
    made.createOrReplaceTempView("refused")
    return made


@pytest.fixture(scope="module")
def maps(spark: Session) -> DataFrame:
    return spark.range(1).select(F.create_map(F.lit(1), F.lit(2)).alias("m"), F.lit(1).alias("i"))


@pytest.mark.parametrize(
    ("query", "condition"),
    [
        ("select * from refused where row_number() over (order by oid) = 1", "WINDOW_FUNCTION_NOT_ALLOWED_IN_CLAUSE"),
        ("select cid from refused group by cid having row_number() over (order by cid) = 1", "WINDOW_FUNCTION_NOT_ALLOWED_IN_CLAUSE"),
        ("select count(*) from refused group by row_number() over (order by cid)", "UNSUPPORTED_EXPR_FOR_OPERATOR"),
        ("select * from refused a join refused b on row_number() over (order by a.oid) = 1", "UNSUPPORTED_EXPR_FOR_OPERATOR"),
        ("select * from refused a join refused b on sum(a.oid) = 1", "UNSUPPORTED_EXPR_FOR_OPERATOR"),
        ("select * from refused a join refused b on a.oid + b.oid", "JOIN_CONDITION_IS_NOT_BOOLEAN_TYPE"),
        ("select * from refused a left semi join refused b on a.name", "JOIN_CONDITION_IS_NOT_BOOLEAN_TYPE"),
        ("select oid from refused order by sum(oid)", "UNSUPPORTED_EXPR_FOR_OPERATOR"),
        ("select (select oid, name from refused)", "INVALID_SUBQUERY_EXPRESSION.SCALAR_SUBQUERY_RETURN_MORE_THAN_ONE_OUTPUT_COLUMN"),
        ("select ntile(0) over (order by 1)", "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE"),
        ("select ntile(-1) over (order by 1)", "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE"),
        ("select * from refused natural cross join refused b", "INCOMPATIBLE_JOIN_TYPES"),
        ("select hash()", "WRONG_NUM_ARGS.WITHOUT_SUGGESTION"),
        ("select xxhash64()", "WRONG_NUM_ARGS.WITHOUT_SUGGESTION"),
        ("select interval '1' year / 0", "INTERVAL_DIVIDED_BY_ZERO"),
        ("select map(null, 1)", "NULL_MAP_KEY"),
        ("select * from refused where name", "DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN"),
        ("select * from (select map(1, 2) m) order by m", "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE"),
        ("select distinct m from (select map(1, 2) m)", "UNSUPPORTED_FEATURE.SET_OPERATION_ON_MAP_TYPE"),
        ("select stack(2, 1, 'a')", "DATATYPE_MISMATCH.STACK_COLUMN_DIFF_TYPES"),
        ("select stack(2, 1, 2.0D)", "DATATYPE_MISMATCH.STACK_COLUMN_DIFF_TYPES"),
        ("select * from refused where explode(array(1)) > 1", "UNSUPPORTED_GENERATOR.OUTSIDE_SELECT"),
        ("select oid + 1 as c, oid + 2 as c, c * 2 from refused", "AMBIGUOUS_LATERAL_COLUMN_ALIAS"),
    ],
)
def test_sql(spark: Session, o: DataFrame, query: str, condition: str) -> None:
    with pytest.raises(PySparkException) as caught:
        spark.sql(query)
    assert caught.value.getCondition() == condition


FIRST = F.row_number().over(Window.orderBy("oid")) == 1
DATAFRAMES: list[tuple[Callable[[DataFrame, DataFrame], object], str]] = [
    (lambda o, m: o.where(FIRST), "WINDOW_FUNCTION_NOT_ALLOWED_IN_CLAUSE"),
    (lambda o, m: o.groupBy(FIRST).count(), "UNSUPPORTED_EXPR_FOR_OPERATOR"),
    (lambda o, m: o.orderBy(F.sum("oid")), "UNSUPPORTED_EXPR_FOR_OPERATOR"),
    (lambda o, m: o.join(m, o.oid + m.i), "JOIN_CONDITION_IS_NOT_BOOLEAN_TYPE"),
    (lambda o, m: o.join(m, F.sum(o.oid) == 1), "UNSUPPORTED_EXPR_FOR_OPERATOR"),
    (lambda o, m: o.join(m, F.explode(F.array(o.oid)) == 1), "UNSUPPORTED_GENERATOR.OUTSIDE_SELECT"),
    (lambda o, m: o.filter("name"), "DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN"),
    (lambda o, m: o.filter("null"), "DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN"),
    (lambda o, m: o.filter(F.explode(F.array(F.lit(1))) > 1), "UNSUPPORTED_GENERATOR.OUTSIDE_SELECT"),
    (lambda o, m: o.orderBy(F.explode(F.array(F.lit(1)))), "UNSUPPORTED_GENERATOR.OUTSIDE_SELECT"),
    (lambda o, m: o.groupBy("cid").agg(F.grouping_id()), "UNSUPPORTED_GROUPING_EXPRESSION"),
    (
        lambda o, m: o.groupBy("cid").agg(F.sum("amt").alias("amt")).orderBy(F.sum("amt")),
        "MISSING_ATTRIBUTES.RESOLVED_ATTRIBUTE_APPEAR_IN_OPERATION",
    ),
    (lambda o, m: o.sparkSession.createDataFrame(pd.DataFrame({"a": [1, "x"]})), "CANNOT_MERGE_TYPE"),
    (lambda o, m: o.sparkSession.sql("select from_utc_timestamp(now(), 'Bogus/Zone')").collect(), "INVALID_TIMEZONE"),
    (lambda o, m: o.sparkSession.sql("select timestamp'2020-01-01' + interval '300000' year").collect(), "DATETIME_OVERFLOW"),
    (lambda o, m: m.orderBy("m"), "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE"),
    (lambda o, m: m.distinct(), "UNSUPPORTED_FEATURE.SET_OPERATION_ON_MAP_TYPE"),
    (lambda o, m: m.dropDuplicates(["m"]), "UNSUPPORTED_FEATURE.SET_OPERATION_ON_MAP_TYPE"),
    (lambda o, m: m.intersect(m), "UNSUPPORTED_FEATURE.SET_OPERATION_ON_MAP_TYPE"),
    (lambda o, m: o.select((F.col("oid") + 1).alias("c"), F.col("oid").alias("c"), F.col("c")), "AMBIGUOUS_LATERAL_COLUMN_ALIAS"),
]


@pytest.mark.parametrize(("build", "condition"), DATAFRAMES)
def test_dataframes(o: DataFrame, maps: DataFrame, build: Callable[[DataFrame, DataFrame], object], condition: str) -> None:
    with pytest.raises(PySparkException) as caught:
        build(o, maps)
    assert caught.value.getCondition() == condition


def test_what_is_near_to_those_is_answered(spark: Session, o: DataFrame, maps: DataFrame) -> None:
    assert maps.dropDuplicates(["i"]).count() == 1
    assert spark.sql("select stack(2, 1, null)").collect() == [(1,), (None,)]
    with pytest.raises(PySparkException, match=r"step \(0\) cannot be 0"):
        spark.range(0, 10, 0)
    added = o.withColumns({"x": F.col("oid") + 1, "y": F.col("x") + 1}).select("y").orderBy("y")
    assert added.collect() == [Row(y=3), Row(y=4), Row(y=5)]
    sums = o.groupBy("cid").agg(F.sum("amt").alias("s"), (F.col("s") + 1).alias("t"))
    assert sums.orderBy("cid").collect() == [
        (1, 6.0, 7.0),
        (2, 2.0, 3.0),
    ]
    assert o.limit(1).select(F.explode(F.array(F.lit(1))).alias("c"), (F.col("c") * 2).alias("e")).collect() == [Row(c=1, e=2)]
    assert o.select("cid").distinct().orderBy("amt").count() == 2
