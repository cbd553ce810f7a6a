"""What DataFrames answer, beside what PySpark 4.3 answers to the same programs (session time zone UTC): names, values, errors."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from quiver.sql import DataFrame, Row, Session, Window
from quiver.sql import functions as F
from quiver.sql import types as T
from quiver.sql.errors import (
    AnalysisException,
    ArithmeticException,
    IllegalArgumentException,
    NumberFormatException,
    ParseException,
    PySparkException,
)  # fmt: skip

W = Window.partitionBy("s").orderBy("i")


@pytest.fixture(scope="module")
def df(spark: Session) -> DataFrame:
    return spark.createDataFrame([(1, "a", 2.5), (2, "b", None), (3, None, -1.0), (4, "a", 7.25)], "i int, s string, d double")


@pytest.fixture(scope="module")
def df2(spark: Session) -> DataFrame:
    return spark.createDataFrame([(1, "x"), (2, "y"), (9, "z")], "i int, t string")


@pytest.fixture(scope="module")
def arrays(spark: Session) -> DataFrame:
    return spark.createDataFrame([(1, [1, 2, None]), (2, []), (3, None)], "i int, xs array<int>")


def test_columns_are_named_as_sparks(df: DataFrame) -> None:
    made = df.select(-df.i, df.i != 1, ~(df.i > 1), df.i.cast("string"), (df.i + 1).cast("string"), df.s.like("a%"), df.i.isin(1, 2))
    assert made.columns == [
        "negative(i)", "(NOT (i = 1))", "(NOT (i > 1))", "i", "CAST((i + 1) AS STRING)", "s LIKE a%", "(i IN (1, 2))",
    ]  # fmt: skip
    assert df.select(F.sum("d").over(W), F.row_number().over(W), F.sum("i").over(W.rowsBetween(-1, 1))).columns == [
        "sum(d) OVER (PARTITION BY s ORDER BY i ASC NULLS FIRST RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)",
        "row_number() OVER (PARTITION BY s ORDER BY i ASC NULLS FIRST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)",
        "sum(i) OVER (PARTITION BY s ORDER BY i ASC NULLS FIRST ROWS BETWEEN -1 FOLLOWING AND 1 FOLLOWING)",
    ]
    assert df.select(F.when(df.i > 1, "x").otherwise(df.s)).columns == ["CASE WHEN (i > 1) THEN x ELSE s END"]


def test_missing_values(df: DataFrame) -> None:
    assert df.na.drop().select("i").orderBy("i").collect() == [Row(i=1), Row(i=4)]
    assert df.na.drop(thresh=2).count() == 4
    assert df.na.fill(7.9, ["i", "d"]).orderBy("i").collect()[1] == Row(i=2, s="b", d=7.9)
    assert df.na.replace({1: 10, 2.5: 9}).where("i = 10").collect() == [Row(i=10, s="a", d=9.0)]
    assert df.na.replace("a", None).where("s IS NULL").count() == 3


def test_generators(arrays: DataFrame) -> None:
    assert arrays.select("i", F.explode_outer("xs").alias("q")).orderBy("i", "q").collect() == [
        Row(i=1, q=None), Row(i=1, q=1), Row(i=1, q=2), Row(i=2, q=None), Row(i=3, q=None),
    ]  # fmt: skip
    assert arrays.select(F.posexplode("xs").alias("a", "b")).where("b = 2").collect() == [Row(a=1, b=2)]
    assert arrays.select(F.explode("xs"), F.explode("xs")).count() == 9


def test_groups(df: DataFrame) -> None:
    assert df.groupBy("s").pivot("i", [1, 2]).count().orderBy("s").collect() == [
        Row(s=None, **{"1": None, "2": None}), Row(s="a", **{"1": 1, "2": None}), Row(s="b", **{"1": None, "2": 1}),
    ]  # fmt: skip
    assert df.groupBy("s").pivot("i").sum("d").columns == ["s", "1", "2", "3", "4"]
    assert df.cube("s").agg(F.sum("i")).orderBy("s", "sum(i)").collect() == [(None, 3), (None, 10), ("a", 5), ("b", 2)]
    assert sorted(df.rollup("s", "i").count().select("count").collect())[-1] == Row(count=4)
    share = F.sum("i") / F.sum(F.sum("i")).over(Window.partitionBy())
    assert df.groupBy("s").agg(share.alias("p"), F.rank().over(Window.orderBy(F.sum("i").desc())).alias("r")).orderBy("r").collect() == [
        ("a", 0.5, 1), (None, 0.3, 2), ("b", 0.2, 3),
    ]  # fmt: skip
    assert df.rollup("s").agg(F.col("grouping__id").alias("g"), F.sum(F.sum("i")).over(Window.partitionBy()).alias("n")).orderBy("g")[
        ["g", "n"]
    ].collect() == [(0, 20), (0, 20), (0, 20), (1, 20)]


def test_equal_rows_are_counted(df: DataFrame) -> None:
    twice = df.union(df)
    assert (df.intersectAll(df).count(), twice.exceptAll(df).count(), twice.intersectAll(df).count()) == (4, 4, 4)
    assert df.subtract(df).isEmpty()


def test_columns_of_both_sides_of_a_join(df: DataFrame, df2: DataFrame) -> None:
    both = df.join(df2, df.i == df2.i)
    assert both.columns == ["i", "s", "d", "i", "t"]
    assert sorted(both.select(df.i, df2.t).collect()) == [(1, "x"), (2, "y")]
    assert both.drop(df2.i).columns == ["i", "s", "d", "t"]
    assert df.alias("a").join(df2.alias("b"), df.i == df2.i).count() == 2
    assert df.union(df).where(df.i == 1).count() == 2
    assert df.select("i").where(df.d > 2).count() == 2


def test_keys_of_both_sides_of_a_join_by_names(spark: Session) -> None:
    a = spark.createDataFrame([(1, "a"), (2, "b")], "k int, v string")
    b = spark.createDataFrame([(1, "x"), (3, "c")], "k long, w string")
    c = spark.createDataFrame([(3,)], "k int")
    outer = a.alias("a").join(b.alias("b"), "k", "outer")
    assert outer.columns == ["k", "v", "w"]

    def rows(found: DataFrame) -> list[tuple[Any, ...]]:
        return sorted(map(tuple, found.collect()), key=str)

    both = [(1, 1, 1), (2, None, 2), (None, 3, 3)]
    assert rows(outer.select(a.k, b.k, "k")) == rows(outer.filter("true").distinct().select("a.k", "b.k", "k")) == both
    assert rows(a.join(b, "k", "right").select("v").select(a.k)) == [(1,), (None,)]
    assert rows(outer.groupBy(b.k).agg(F.sum(a.k))) == [(1, 1), (3, None), (None, 2)]
    assert rows(outer.join(c, "k").select("*", b.k)) == [(3, None, "c", 3)]
    assert rows(outer.join(c, b.k == c.k).select("*", b.k)) == [(3, None, "c", 3, 3)]
    assert outer.join(c, b.k == c.k).columns == ["k", "v", "w", "k"]
    assert rows(outer.withColumn("q", b.k)) == [(1, "a", "x", 1), (2, "b", None, None), (3, None, "c", 3)]
    with pytest.raises(AnalysisException, match="MISSING_ATTRIBUTES"):
        a.join(b, "k", "semi").select(b.k)
    # What a cross join is told to fit by is heeded.
    assert rows(a.join(b, "k", "cross")) == [(1, "a", "x")]
    assert rows(a.join(b, a.k == b.k, "cross")) == [(1, "a", 1, "x")]


def test_samples_are_the_same_each_time(spark: Session) -> None:
    rows = spark.range(1000)
    first = rows.sample(0.3, seed=5)
    assert sorted(first.collect()) == sorted(rows.where("id >= 0").sample(0.3, seed=5).collect())
    assert 200 < first.count() < 400
    assert 400 < rows.sample(True, 0.5, 1).count() < 600
    parts = rows.randomSplit([1, 2, 3], seed=9)
    assert sorted(row.id for part in parts for row in part.collect()) == list(range(1000))
    same = spark.range(1).union(spark.range(1)).union(spark.range(1)).crossJoin(spark.range(200).select(F.lit(1).alias("x")))
    assert 200 < same.sample(0.5, seed=1).count() < 400, "equal rows draw different lots"


def test_rows_are_counted_by_partition(spark: Session) -> None:
    """The numbers are those that PySpark gives for these partitions and seeds."""
    rows = spark.range(0, 6, 1, 3)
    drawn = rows.select("id", F.rand(5).alias("r"), F.monotonically_increasing_id().alias("n"), F.spark_partition_id().alias("p"))
    first = (0.02390696427502892, 0.09509767744084452, 0.07039836716341774, 0.7362038093711971, 0.28188121484885875, 0.45998819035056326)
    ids = [row << 33 | place for row in range(3) for place in range(2)]
    assert drawn.collect() == list(zip(range(6), first, ids, [0, 0, 1, 1, 2, 2], strict=True))
    # What is left out above has been counted.
    assert [tuple(row)[:3] for row in drawn.filter("id % 2 = 1").collect()] == [(i, first[i], ids[i]) for i in (1, 3, 5)]
    halves = spark.range(0, 20, 1, 2)
    assert [row.id for row in halves.sample(0.3, seed=3).collect()] == [0, 4, 5, 11, 12, 14, 18]
    assert [row.id for row in halves.sample(False, 0.3, 3).filter("id > 5").collect()] == [11, 12, 14, 18]
    assert [row.id for row in spark.range(0, 6, 1, 2).where(F.rand(3) < 0.5).where("id > 2").collect()] == [4, 5]
    assert spark.range(0, 100, 1, 2).sampleBy(F.col("id") % 3, {0: 0.1, 1: 0.2}, seed=0).count() == 7
    mixed = spark.range(0, 2, 1, 1).select(F.shuffle(F.array(*map(F.lit, range(5))), 42), F.randstr(5, 3), F.randn(0), F.uniform(1, 100, 5))
    assert mixed.first()[:2] == ([4, 2, 1, 0, 3], "nurJI")
    assert mixed.first()[2:] == (1.6034991609278433, 3)
    ordered = spark.range(9).orderBy(F.col("id").desc()).withColumn("n", F.monotonically_increasing_id())
    assert [tuple(row) for row in ordered.collect()] == [(8 - n, n) for n in range(9)]


def test_structs(df: DataFrame) -> None:
    changed = df.select(F.struct("i").alias("x")).select(F.col("x").withField("a", F.lit(1)).dropFields("i"))
    assert changed.columns == ["update_fields(x, WithField(1), dropfield())"]
    structs = df.select(F.struct("i", "s").alias("p"))
    assert structs.where("p.i = 1").collect() == [Row(p=Row(i=1, s="a"))]
    assert structs.select("p.s", structs.p["i"], F.col("p").getField("i")).columns == ["s", "p.i", "p.i"]
    assert structs.select(structs.p.withField("z", F.lit(1)).dropFields("s").alias("p")).select("p.*").columns == ["i", "z"]


@pytest.mark.parametrize(
    ("program", "condition"),
    [
        (lambda a, b: a.select("nope"), "UNRESOLVED_COLUMN.WITH_SUGGESTION"),
        (lambda a, b: a.select(b.t), "MISSING_ATTRIBUTES.RESOLVED_ATTRIBUTE_MISSING_FROM_INPUT"),
        (lambda a, b: a.join(b, a.i == b.i).select("i"), "AMBIGUOUS_REFERENCE"),
        (lambda a, b: a.join(b, "nope"), "UNRESOLVED_USING_COLUMN_FOR_JOIN"),
        (lambda a, b: a.join(b, "i", "bogus"), "UNSUPPORTED_JOIN_TYPE"),
        (lambda a, b: a.filter(a.i), "DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN"),
        (lambda a, b: a.select(F.sum("i"), "s"), "MISSING_GROUP_BY"),
        (lambda a, b: a.groupBy("s").agg(F.sum("i"), a.d), "MISSING_AGGREGATION"),
        (lambda a, b: a.groupBy("s").agg(F.sum("i").over(Window.orderBy("s"))), "MISSING_AGGREGATION"),
        (lambda a, b: a.agg(F.max(F.sum("i"))), "NESTED_AGGREGATE_FUNCTION"),
        (lambda a, b: a.where(F.sum("i") > 1), "INVALID_WHERE_CONDITION"),
        (lambda a, b: a.unionByName(b), "UNRESOLVED_COLUMN_AMONG_FIELD_NAMES"),
        (lambda a, b: a.union(b), "NUM_COLUMNS_MISMATCH"),
        (lambda a, b: a.unpivot(["i"], None, "k", "v"), "UNPIVOT_VALUE_DATA_TYPE_MISMATCH"),
        (lambda a, b: a.select(F.explode(F.array("i")) + 1), "UNSUPPORTED_GENERATOR.NESTED_IN_EXPRESSIONS"),
        (lambda a, b: a.select(3), "NOT_EXPECTED_TYPE"),
        (lambda a, b: a.limit(-1), "INVALID_LIMIT_LIKE_EXPRESSION.IS_NEGATIVE"),
        (lambda a, b: a.dropna("some"), "VALUE_NOT_ALLOWED"),
        (lambda a, b: a.withColumn("x", F.col("s").getField("y")), "INVALID_EXTRACT_BASE_FIELD_TYPE"),
        (lambda a, b: bool(a.i), "CANNOT_CONVERT_COLUMN_INTO_BOOL"),
    ],
)  # fmt: skip
def test_mistakes_are_told_at_once(df: DataFrame, df2: DataFrame, program: Callable[[Any, Any], Any], condition: str) -> None:
    with pytest.raises(PySparkException) as caught:
        program(df, df2)
    assert caught.value.getCondition() == condition


def test_types_of_errors(df: DataFrame) -> None:
    with pytest.raises(AttributeError, match="nope"):
        df.nope  # noqa: B018
    with pytest.raises(TypeError, match="Argument `condition` should be Column or str, got int"):
        df.filter(3)
    with pytest.raises(IllegalArgumentException):
        df.repartition(0)
    df.createTempView("taken")
    with pytest.raises(AnalysisException, match="already exists"):
        df.createTempView("taken")


def test_limits_of_turned_columns_are_the_sessions(spark: Session, df: DataFrame) -> None:
    for key, turn, condition in (
        ("spark.sql.pivotMaxValues", lambda: df.groupBy("s").pivot("i"), "PIVOT_MAX_VALUES"),
        ("spark.sql.transposeMaxValues", lambda: df.select("i", "d").transpose(), "TRANSPOSE_EXCEED_ROW_LIMIT"),
    ):
        spark.conf.set(key, 2)
        with pytest.raises(AnalysisException, match=condition):
            turn()
        spark.conf.unset(key)
        turn()


def test_a_users_aggregate_is_refused_in_a_pivot(df: DataFrame) -> None:
    longest = F.pandas_udf(lambda values: values.max(), "int", F.PandasUDFType.GROUPED_AGG)
    with pytest.raises(AnalysisException, match="can't be used in a pivot"):
        df.groupBy("s").pivot("i", [1]).agg(longest("i"))


def test_show(df: DataFrame) -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        df.orderBy("i").show(2)
        df.limit(0).show(vertical=True)
    assert out.getvalue() == (
        "+---+---+----+\n|  i|  s|   d|\n+---+---+----+\n|  1|  a| 2.5|\n|  2|  b|NULL|\n+---+---+----+\n"
        "only showing top 2 rows\n(0 rows)\n"
    )


def test_where_a_query_runs_is_explained(df: DataFrame) -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        df.where("i > 1").groupBy("s").count().explain(True)
    text = out.getvalue()
    assert "Filter (i > 1)" in text
    assert "Aggregate mode=" in text
    assert "Runs as one task: it reads no files." in text
    with pytest.raises(ValueError, match="Unknown explain mode"):
        df.explain("loud")


@pytest.fixture(scope="module")
def orders(spark: Session) -> DataFrame:
    rows = [(1, 1, 1.0, date(2024, 1, 1)), (2, 1, 5.0, date(2024, 1, 1)), (3, 2, 2.0, date(2023, 5, 1))]
    return spark.createDataFrame(rows, "oid int, cid int, amt double, d date")


def test_groups_are_sorted_and_filtered_by_what_they_no_longer_show(orders: DataFrame) -> None:
    years, sums = orders.groupBy(F.year("d")).count(), orders.groupBy("cid").agg(F.sum("amt").alias("s"))
    assert years.orderBy(F.year("d")).collect() == [(2023, 1), (2024, 2)]
    assert years.where(F.year("d") == 2023).orderBy(F.year("d").desc()).collect() == [(2023, 1)]
    assert sums.orderBy(F.sum("amt").desc()).collect() == [(1, 6.0), (2, 2.0)]
    assert sums.orderBy(F.max("oid").desc()).columns == ["cid", "s"]
    assert sums.where("max(oid) > 2").collect() == sums.where(F.sum("amt") < 3).collect() == [(2, 2.0)]
    assert orders.select("cid").distinct().orderBy("amt").count() == 2
    assert orders.select("cid").where("cid > 0").orderBy(F.col("amt").desc()).collect() == [(1,), (2,), (1,)]
    for wrong in (lambda: sums.orderBy("amt"), lambda: sums.orderBy("s").orderBy(F.sum("amt"))):
        with pytest.raises(AnalysisException, match=r"UNRESOLVED_COLUMN.*cid"):
            wrong()


def test_columns_are_computed_of_earlier_ones_of_the_same_select(orders: DataFrame) -> None:
    expected = [Row(c=2, e=4), Row(c=3, e=6), Row(c=4, e=8)]
    assert orders.selectExpr("oid + 1 as c", "c * 2 as e").orderBy("c").collect() == expected
    assert orders.select((F.col("oid") + 1).alias("c"), (F.col("c") * 2).alias("e")).orderBy("c").collect() == expected
    assert orders.selectExpr("sum(oid) as c", "c * 2 as e").collect() == [Row(c=6, e=12)]


def test_pivots_over_times_and_grouping_ids_of_all_keys(orders: DataFrame) -> None:
    assert orders.groupBy("cid").pivot("d").count().columns == ["cid", "2023-05-01", "2024-01-01"]
    timed = orders.withColumn("t", F.lit("2024-01-01 10:00:00.5").cast("timestamp"))
    assert timed.groupBy("cid").pivot("t").count().columns == ["cid", "2024-01-01 10:00:00.5"]
    rolled = orders.rollup("cid", "oid").agg(F.grouping_id(), (F.grouping_id() + 1).alias("g"), F.count("*"))
    assert rolled.columns == ["cid", "oid", "grouping_id()", "g", "count(1)"]
    assert rolled.where("oid is null").orderBy("g", "cid").collect() == [(1, None, 1, 2, 2), (2, None, 1, 2, 1), (None, None, 3, 4, 3)]


@pytest.mark.parametrize("value", [Decimal("1e40"), Decimal("1e-40"), 10**40])
def test_numbers_of_too_many_digits_are_refused_where_they_stand(value: Decimal | int) -> None:
    with pytest.raises(ArithmeticException, match="DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION"):
        F.lit(value)


def test_numbers_of_too_many_digits_are_refused_in_sql(spark: Session) -> None:
    with pytest.raises(ParseException, match="DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION"):
        spark.sql(f"SELECT 1{'0' * 40}")
    assert spark.sql(f"SELECT {'9' * 38}").schema[0].dataType == T.DecimalType(38, 0)
    with pytest.raises(NumberFormatException, match="use a float"):
        F.lit(Decimal("NaN"))
