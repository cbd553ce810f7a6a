"""What is written in the kernel's SQL, decided without running it: patterns, ranges of integers, projections over filters."""

from __future__ import annotations

import pytest

from quiver.sql import Session, errors
from quiver.sql import functions as F
from quiver.sql import types as t
from quiver.sql.analysis.demand import demands
from quiver.sql.analysis.ranges import range_of, stays
from quiver.sql.registry import chrono, regexes
from quiver.sql.tree import expressions as e

LONG, INT = t.LongType(), t.IntegerType()


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("[a-z]+", "[a-z]+"),
        (r"\d+\.\w", r"[0-9]+\.[a-zA-Z0-9_]"),
        (r"(?<year>\d{4})-x", r"([0-9]{4})-x"),
        (r"a.c", r"a[^\n\r\x{85}\x{2028}\x{2029}]c"),
        (r"(?i)spark", "(?i)spark"),
        (r"a(?=b)", None),  # Looks around.
        (r"(a)\1", None),  # Refers back.
        (r"a*", None),  # May match nothing.
        (r"a++", None),  # Possessive.
        (r"\p{Lu}x", None),
        (r"[a&&[b]]", None),
        ("(", None),
    ],
)
def test_patterns_go_to_the_kernel_only_where_it_means_the_same(pattern: str, written: str | None) -> None:
    found = regexes.translated(pattern)
    assert (None if found is None else found.text) == written


def test_one_group_of_a_pattern_captures() -> None:
    found = regexes.translated("(a)(b)", 2)
    assert found is not None
    assert found.text == "(?:a)(b)"
    whole = regexes.translated("(a)b", 0)
    assert whole is not None
    assert whole.text == "((?:a)b)"


@pytest.mark.parametrize(("java", "own"), [("$1-$2", "${1}-${2}"), (r"\$1", "$$1"), ("x$12", "x${1}2"), ("$9", None), ("a\\\\b", None)])
def test_replacements(java: str, own: str | None) -> None:
    assert regexes.replacement(java, 2) == own


@pytest.mark.parametrize(("pattern", "own"), [("%/_%", "%\\_%"), ("a//b", "a/b"), ("a\\b", "a\\\\b"), ("a/b", None), ("a/", None)])
def test_like_patterns_with_another_escape(pattern: str, own: str | None) -> None:
    assert regexes.like_pattern(pattern, "/") == own


@pytest.mark.parametrize(
    ("java", "own"), [("yyyy-MM-dd'T'HH:mm:ss.SSS", "%Y-%m-%dT%H:%M:%S.%3f"), ("d/M/yy", "%-d/%-m/%y"), ("Q", None), ("VV", None)]
)
def test_patterns_of_times(java: str, own: str | None) -> None:
    assert chrono.written(java) == own


def test_only_patterns_of_fixed_width_are_read_by_position() -> None:
    assert chrono.read("dd/MM/yyyy") == ("__/__/____", "concat(substr({0}, 7, 4), '-', substr({0}, 4, 2), '-', substr({0}, 1, 2))")
    assert chrono.read("d/M/yyyy") is None
    assert chrono.read("HH:mm") is None


def test_integers_that_cannot_leave_their_type_are_not_checked() -> None:
    wide, narrow = e.Attribute(1, "l", LONG), e.Cast(e.Attribute(2, "i", INT), LONG)
    assert range_of(e.Literal(5, LONG)) == (5, 5)
    assert stays(e.Call("+", (narrow, e.Literal(1, LONG))))
    assert stays(e.Call("*", (narrow, narrow)))
    assert not stays(e.Call("*", (narrow, wide)))
    assert not stays(e.Call("+", (wide, e.Literal(1, LONG))))
    assert stays(e.Call("sum", (narrow,)))
    assert not stays(e.Call("sum", (wide,)))
    assert range_of(e.Call("%", (wide, e.Literal(10, LONG)))) == (-10, 10)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_filter_keeps_from_rows_what_they_cannot_bear(spark: Session, steps: int) -> None:
    # The kernel puts a projection that gives fewer columns below a filter, and would divide by zero there.
    frame = spark.createDataFrame([(1, 0, 10), (2, 5, 10)], "id int, b int, c int").where("b <> 0")
    if steps == 2:
        frame = frame.withColumn("r", F.col("c") % F.col("b")).alias("x")
    if steps == 3:
        frame = frame.select("b", "id", (F.col("c") / F.col("b")).alias("q"), "c").hint("x")
    assert frame.select("b", (F.col("c") / F.col("b")).alias("q")).collect() == [(5, 2.0)]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (F.sum(F.col("l")), "ARITHMETIC_OVERFLOW"),
        (F.sum(F.col("l") + F.lit(1)), "ARITHMETIC_OVERFLOW"),
        (F.sum(F.col("l") * F.lit(2)), "ARITHMETIC_OVERFLOW"),
        (F.sum(-F.col("m")), "ARITHMETIC_OVERFLOW"),
        (F.sum(F.col("m") - F.col("l")), "ARITHMETIC_OVERFLOW"),
    ],
    ids=str,
)
def test_bigints_that_overflow_are_errors(spark: Session, column: F.Column, message: str) -> None:
    frame = spark.createDataFrame([(2**63 - 1, -(2**63)), (5, 5)], "l bigint, m bigint")
    with pytest.raises(errors.ArithmeticException, match=message):
        frame.agg(column).collect()


def test_sums_beside_the_edge_are_right(spark: Session) -> None:
    frame = spark.createDataFrame([(2**62, 1), (2**62 - 1, 2), (-5, 3)], "l bigint, g int")
    assert frame.agg(F.sum("l"), F.sum(F.col("l") - 1)).first() == (2**63 - 6, 2**63 - 9)
    assert [row.s for row in frame.groupBy("g").agg(F.sum("l").alias("s")).sort("g").collect()] == [2**62, 2**62 - 1, -5]


def test_windows_of_time_slide(spark: Session) -> None:
    frame = spark.createDataFrame([("2024-01-01 00:07:00", 1), ("2024-01-01 00:12:00", 2), (None, 4)], "t string, v int")
    frame = frame.select(F.col("t").cast("timestamp_ntz"), "v")
    rows = frame.groupBy(F.window("t", "10 minutes", "5 minutes")).agg(F.sum("v").alias("s")).sort("window.start").collect()
    assert [(row.window.start.minute, row.s) for row in rows] == [(0, 1), (5, 3), (10, 2)]
    with pytest.raises(errors.AnalysisException, match="CANNOT_PARSE_INTERVAL"):
        frame.groupBy(F.window("t", "1 month")).count()


def test_arrays_are_folded_with_columns_and_sorted_by_functions(spark: Session) -> None:
    frame = spark.createDataFrame([([1, 2, 3], 10), ([], 20), (None, 30), ([4, None], 40)], "xs array<int>, k int")
    folded = F.aggregate("xs", F.col("k"), lambda acc, x: acc + x, lambda acc: acc * 2).alias("f")
    assert [row.f for row in frame.select(folded).collect()] == [32, 40, None, None]
    backwards = F.array_sort("xs", lambda a, b: F.coalesce(b, F.lit(0)) - F.coalesce(a, F.lit(0))).alias("s")
    assert [row.s for row in frame.select(backwards).collect()] == [[3, 2, 1], [], None, [4, None]]
    with pytest.raises(errors.AnalysisException, match="UNEXPECTED_INPUT_TYPE"):
        frame.select(F.aggregate("xs", F.lit(0.0), lambda acc, x: x))
    with pytest.raises(errors.AnalysisException, match="md5"):
        frame.select(F.aggregate("xs", F.lit(""), lambda acc, x: F.md5(acc.cast("binary")))).collect()


@pytest.mark.parametrize("drawn", ["rand()", "random()", "randn()", "uuid()", "randstr(3)", "uniform(0, 9)", "shuffle(array(1, 2))"])
def test_rows_are_not_left_out_below_what_is_drawn_for_each(spark: Session, drawn: str) -> None:
    relation = spark.range(9).selectExpr("id", f"{drawn} AS d", "id + 1 AS next").where("id > 5")._relation
    (asked,) = demands(relation).values()
    assert asked.conditions == ()
    (asked,) = demands(spark.range(9).selectExpr("id", "id + 1 AS next").where("id > 5")._relation).values()
    assert len(asked.conditions) == 1
