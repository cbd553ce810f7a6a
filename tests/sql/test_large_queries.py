"""Queries of long texts, many operands and many columns: what they cost grows with their size, not with a power of it."""

from __future__ import annotations

import functools
import operator
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quiver.eventlog import LONGEST_TEXT, _without_secrets
from quiver.redacting import redacted
from quiver.sql import DataFrame, Session, Window
from quiver.sql import functions as F
from quiver.sql.analysis import typing
from quiver.sql.analysis.rewriting import parts
from quiver.sql.dividing import divided, height
from quiver.sql.errors import AnalysisException, ArithmeticException
from quiver.sql.lowering.flat_joins import with_flat_joins
from quiver.sql.lowering.relations import lower
from quiver.sql.lowering.wide import is_one_call
from quiver.sql.lowering.window_layers import has_many_windows, with_few_windows
from quiver.sql.nesting import with_room
from quiver.sql.scanning import shown
from quiver.sql.tree import expressions as e
from quiver.sql.tree.relations import Join, Local, Produced, Project, Relation
from quiver.sql.unions import with_flat_unions
from quiver_proto.events import QueryPlanned


@pytest.fixture(scope="module")
def spark(shared: Callable[[str], AbstractContextManager[Session]]) -> Iterator[Session]:
    with shared("inline") as session:
        yield session


def test_a_plan_with_a_long_word_is_shown_at_once() -> None:
    mirror = SimpleNamespace(files=[SimpleNamespace(path="/data/a file.parquet")])
    plan = f"s = {'x' * 3_000_000} [tmp/quiver-mirror-1/k=a/0.data:0..7, tmp/quiver-mirror-1/0.data]"
    told = shown(plan, {"quiver-mirror-1": mirror})
    assert told.removeprefix(f"s = {'x' * 3_000_000} ") == "[data/a file.parquet:0..7, data/a file.parquet]"
    assert shown("quiver-mirror-2/0.data", {}) == "quiver-mirror-2/0.data"


def test_event_logs_get_the_beginning_of_long_texts() -> None:
    long = f"url = jdbc://u:secret@host {'a-' * LONGEST_TEXT}"
    event = _without_secrets(QueryPlanned(0.0, 1, long, "short", "", "here"))
    assert isinstance(event, QueryPlanned)
    assert len(event.analysed) < LONGEST_TEXT + 100
    assert "secret" not in event.analysed
    assert event.logical == "short"
    assert len(redacted(f"a://b {'a-' * 1_000_000}")) > 1_000_000


def test_chains_of_checked_arithmetic(spark: Session) -> None:
    """Where an operand was named several times, 16 terms never ended."""
    sum_, negated, product, written = F.col("id"), F.col("id"), F.col("n"), F.col("n")
    for _ in range(15):
        sum_, negated, product, written = sum_ + 1 + 1, F.abs(-negated), product * 1 - 0, written.cast("string").cast("int")
    numbers = spark.range(3).withColumn("n", F.col("id").cast("int"))
    values = numbers.select(sum_, negated, product, written).collect()
    assert [tuple(row) for row in values] == [(30 + n, n, n, n) for n in range(3)]


@pytest.mark.parametrize("kind", ["tinyint", "smallint", "int", "bigint"])
def test_sums_that_leave_their_type_on_the_way_fail(spark: Session, kind: str) -> None:
    most = {"tinyint": 2**7, "smallint": 2**15, "int": 2**31, "bigint": 2**63}[kind] - 1
    numbers = spark.sql(f"SELECT * FROM VALUES (CAST({most} AS {kind}), CAST(1 AS {kind}), CAST(NULL AS {kind})) AS t(m, o, n)")
    numbers = numbers.where(F.rand() >= 0)
    assert numbers.selectExpr("m - o - o + o", "m - o + n + o", "-(-(-m)) - o").collect() == [(most - 1, None, -most - 1)]
    for wrong in ("m - o + o + o - o", "m - m - m - o - o", "(m - o) * (o + o) * o", "-(o - m - o - o - o + o) ", "abs(o - o - m - o)"):
        with pytest.raises(ArithmeticException, match="ARITHMETIC_OVERFLOW"):
            numbers.selectExpr(wrong).collect()


def test_queries_longer_than_python_recurses(spark: Session) -> None:
    numbers = spark.range(400)
    chosen = numbers.where(" or ".join(f"id = {n}" for n in range(300)))
    assert chosen.where(" and ".join(f"id <> {n}" for n in range(290))).count() == 10
    assert spark.sql(" UNION ALL ".join(f"SELECT {n} AS n" for n in range(200))).agg(F.sum("n")).collect() == [(19900,)]
    union, term = spark.range(1), F.col("id")
    for _ in range(200):
        union, term = union.union(spark.range(1)), term + 1
    assert union.count() == 201
    assert spark.range(1).select(term.alias("n")).collect() == [(200,)]
    assert spark.sql(f"SELECT {'+'.join(['id'] * 200)} AS n FROM range(2)").collect() == [(0,), (200,)]
    assert spark.sql(f"SELECT {'(' * 1000}1{')' * 1000} AS n").collect() == [(1,)]


def test_what_nests_too_deeply_is_told() -> None:
    def endless(depth: int) -> int:
        return endless(depth + 1) + 1

    with pytest.raises(AnalysisException, match="too deeply nested"):
        with_room(lambda: endless(0))
    before = sys.getrecursionlimit()
    with pytest.raises(KeyError):
        with_room(lambda: {}[endless(0)] if sys.getrecursionlimit() == before else {}["room"])
    assert sys.getrecursionlimit() == before


def test_chains_of_with_column_are_one_projection(spark: Session) -> None:
    """Where each was one of its own, 80 of them were a plan too deep to be sent."""
    frame = spark.range(3)
    for number in range(200):
        frame = frame.withColumn(f"c{number}", F.col("id") + number).withColumnRenamed(f"c{number - 1}", f"d{number - 1}")
    assert with_room(lambda: lower(frame._relation)).text.count("SELECT") == 2
    assert [(row["d7"], row["c199"]) for row in frame.collect()] == [(n + 7, n + 199) for n in range(3)]
    sum_ = spark.range(2)
    for _ in range(100):
        sum_ = sum_.withColumn("id", F.col("id") + 1)
    assert sum_.collect() == [(100,), (101,)]


def test_what_is_computed_stays_where_it_is_named_twice_or_differs_each_time(spark: Session) -> None:
    numbers = spark.range(3).select("id", F.upper(F.col("id").cast("string")).alias("a"), F.rand(1).alias("r"), F.lit(2).alias("two"))
    text = "upper(" * 20

    def selects(frame: DataFrame) -> int:
        return lower(frame._relation).text.count("SELECT")

    assert selects(numbers) == 2
    assert selects(numbers.select(F.lower("a").alias("b"), "r", F.col("two") + F.col("two"))) == 2
    assert selects(numbers.select(F.lower("a"), "a")) == 3
    assert selects(numbers.select(F.col("r") + 1)) == 3
    assert selects(numbers.select(F.transform(F.array("id"), lambda x: F.concat(x.cast("string"), "a")))) == 3
    assert selects(numbers.select(F.expr(f"{text}a{')' * 20}"))) == 3
    assert selects(numbers.select(F.lower("a").alias("b"), "id").where("b = '1'").select(F.concat("b", "b").alias("c"))) == 4
    assert numbers.select("id", F.lower("a").alias("b"), F.col("two").alias("n")).select("n", "b", "id").collect()[1] == (2, "1", 1)


def test_types_and_columns_are_worked_out_once(spark: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that adds columns one by one asks for all of them each time."""
    asked: list[e.Expression] = []
    monkeypatch.setattr(typing, "_type_of", lambda expression, found=typing._type_of: asked.append(expression) or found(expression))
    frame = spark.range(3)
    for number in range(30):
        frame = frame.withColumn(f"c{number}", F.abs(F.col("id")) + number)
    lower(frame._relation)
    assert 0 < len(asked) < 30 * 30
    chosen = frame.select(*frame.columns)
    assert chosen._relation.output is chosen._relation.output


def test_chains_of_thousands(spark: Session) -> None:
    """Where each operand stood in the next, a few hundred of them were too deep for parsers, or for the stack."""
    numbers = spark.range(3).withColumn("s", F.col("id").cast("string")).withColumn("d", F.col("id").cast("double"))
    assert numbers.selectExpr(f"length({'||'.join(['s'] * 1000)}) AS n").collect() == [(1000,)] * 3
    right, later, double = F.col("id"), F.col("id"), F.col("d")
    chosen, first = F.lit(-1), F.lit(None).cast("bigint")
    for n in range(90):
        right, later, double = F.lit(1) + right, F.lit(n) - later, 0.5 + (double * 1.0)
        chosen, first = F.when(F.col("id") == n, n + 5).otherwise(chosen), F.coalesce(first, F.lit(None).cast("bigint"))
    values = numbers.select(right, later, double, chosen, F.coalesce(first, "id"), F.lit(2) - (F.lit(3) - (F.col("id") - 4) * 2)).collect()
    assert [tuple(row) for row in values] == [(90 + n, 45 + n, 45.0 + n, n + 5, n, 2 - (3 - (n - 4) * 2)) for n in range(3)]
    with pytest.raises(ArithmeticException, match="ARITHMETIC_OVERFLOW"):
        numbers.select(F.lit(-(2**63) + 1) - (F.lit(1) + (F.lit(0) + F.col("id")))).collect()


def test_thousands_of_conditions(spark: Session) -> None:
    numbers = spark.range(10).withColumn("n", F.when(F.col("id") > 1, F.col("id")))
    others = [F.col("id") != n for n in range(5, 700)]
    assert numbers.where(functools.reduce(operator.and_, others)).count() == 5
    assert numbers.where(functools.reduce(lambda right, left: left | right, [F.col("n") == n for n in range(5, 700)])).count() == 5
    # Null stays null: neither the list nor its opposite has it.
    listed = functools.reduce(operator.or_, [F.col("n") == n for n in range(5, 20)])
    assert (numbers.where(listed).count(), numbers.where(~listed).count()) == (5, 3)
    mixed = [(F.col("id") > -n) & (F.length(F.col("n").cast("string")) < n + 2) for n in range(1, 120)]
    assert numbers.where(functools.reduce(operator.and_, mixed)).count() == 8
    # Constants are written in the type that all have in common, not cast one by one.
    wide = numbers.selectExpr(
        "id IN (1, 2Y, 3L, NULL) AS a", "cast(id AS tinyint) IN (1, 300) AS b", "id IN (2, 2.5) AS c", "id IN ('2') AS d"
    )
    assert [tuple(row) for row in wide.limit(3).collect()] == [(None, *[False] * 3), (True, True, False, False), (True, False, True, True)]
    assert "cast" not in lower(numbers.where(F.col("id").isin(list(range(1000))))._relation).text.split("IN (")[1]
    told = numbers.select(functools.reduce(operator.or_, [F.col("n") + n > 300 + n for n in range(200)])).collect()
    assert [row[0] for row in told] == [None, None, *[False] * 8]


def test_what_is_too_deep_for_one_plan_is_computed_in_parts(spark: Session) -> None:
    """A plan's messages nest a hundred levels, of which each operator takes two."""
    joined = spark.createDataFrame([(1, 0)], ["k", "v0"])
    for n in range(1, 50):
        joined = joined.join(spark.createDataFrame([(1, n)], ["k", f"v{n}"]), "k", "left")
    assert [tuple(row) for row in joined.collect()] == [(1, *range(50))]
    grouped, stepped, named = spark.range(5), spark.range(5), spark.range(5)
    for n in range(30):
        grouped = grouped.groupBy("id").agg((F.max("id") + 1).alias("m")).select(F.col("m").alias("id"))
        stepped = stepped.withColumn("id", F.when(F.col("id") > 1, F.col("id") + 1).otherwise(F.col("id")))
        named = named.alias(f"a{n}").select((F.upper(F.col("id").cast("string")).cast("bigint") + 1).alias("id"))
    assert sorted(row[0] for row in grouped.select("id").collect()) == [30, 31, 32, 33, 34]
    assert stepped.collect() == [(0,), (1,), (32,), (33,), (34,)]
    assert named.collect() == [(30,), (31,), (32,), (33,), (34,)]


def test_hundreds_of_joins(spark: Session) -> None:
    """Each was a SELECT in the FROM of the next, and parts had all columns, and a task and an exchange for each join."""
    spark.createDataFrame([(n, n + 1, n * 10) for n in range(200)], ["k", "next", "v"]).createOrReplaceTempView("steps")
    steps = " ".join(f"LEFT JOIN steps s{n} ON s{n - 1}.next = s{n}.k" for n in range(1, 120))
    walked = spark.sql(f"SELECT s0.k, s119.v, s60.v FROM steps s0 {steps} WHERE s0.k < 2 OR s0.k > 150 ORDER BY s0.k")
    expected = [(k, (k + 119) * 10 if k + 119 < 200 else None, (k + 60) * 10 if k + 60 < 200 else None) for k in (0, 1, *range(151, 200))]
    assert walked.collect() == expected
    assert spark.sql(f"SELECT count(*), max(v) FROM (SELECT s119.v FROM steps s0 {steps})").collect() == [(200, 1990)]


def test_chosen_columns_of_joins_are_chosen_above_them(spark: Session) -> None:
    a, b = spark.createDataFrame([(1, 2), (2, 3)], ["k", "a"]), spark.createDataFrame([(1, 5), (3, 6)], ["k", "b"])
    c = spark.createDataFrame([(1, 5), (3, 6)], ["k", "c"])
    chained = a.join(b, "k", "left").join(c, "k", "left").drop("b").join(a.select("k"), "k", "semi")
    flat = with_flat_joins(chained._relation)
    assert isinstance(flat, Project)
    assert [type(node).__name__ for node in parts(flat) if isinstance(node, Project | Join)].count("Join") == 3
    assert isinstance(flat.child, Join)
    assert isinstance(flat.child.left, Join)
    assert isinstance(flat.child.left.left, Join)
    assert flat.output == chained._relation.output
    assert sorted(map(tuple, chained.collect())) == [(1, 2, 5), (2, 3, None)]
    # What is not chosen on one side is what is chosen on the other.
    met = a.join(b, "k").select(a.a).crossJoin(a.select("k")).crossJoin(b.select("b"))
    assert sorted(map(tuple, met.collect())) == [(2, 1, 5), (2, 1, 6), (2, 2, 5), (2, 2, 6)]
    nothing = a.select("k").crossJoin(b.select("b"))._relation
    assert with_flat_joins(nothing) is nothing


def test_queries_of_many_columns(spark: Session, tmp_path: Path) -> None:
    """The kernel's reader of SQL looks up each column among all: steps say the same."""
    names = [f"c {n}" for n in range(400)]
    data = [tuple(range(row, row + 400)) for row in range(4)]
    stored = pa.table({name: [row[n] for row in data] for n, name in enumerate(names)})
    (tmp_path / "wide" / "p=x").mkdir(parents=True)
    pq.write_table(stored, tmp_path / "wide" / "p=x" / "0.parquet")
    wide = spark.read.parquet(str(tmp_path / "wide"))
    some = wide.where("`c 1` > 1 AND p = 'x'").select(*((F.col(name) + 1).alias(name) for name in names), F.col("c 0").alias("k"))
    assert [tuple(row) for row in some.orderBy(F.desc("k")).offset(1).limit(1).collect()] == [(*range(3, 403), 2)]
    keyed = wide.groupBy("p").agg(*(F.max(name) for name in names), F.count("*")).orderBy("p")
    assert [tuple(row) for row in keyed.collect()] == [("x", *range(3, 403), 4)]
    turned = wide.groupBy("p").agg(F.min("c 0").alias("m"), F.first("p").alias("q")).select("m", "p")
    assert turned.collect() == [(0, "x")]
    # As in SQL: a condition on all rows' group, of which there is one.
    totals = wide.agg(*(F.max(name).alias(name) for name in names))
    assert totals.where("`c 0` < 0").collect() == []
    made = spark.range(3).where("id > 0").select(*((F.col("id") + n).alias(f"m{n}") for n in range(500)))
    assert sorted(map(tuple, made.collect())) == [tuple(range(1, 501)), tuple(range(2, 502))]
    taken = [lower(frame._relation).wide for frame in (wide, some, keyed, turned, made)]
    assert [[type(step).__name__ for step in each.steps] if each else None for each in taken] == [
        [], ["Where", "Chosen"], ["Grouped", "Sorted"], ["Grouped", "Chosen"], ["Chosen"]
    ]  # fmt: skip
    summed = wide.agg(*(F.sum(name) for name in names))  # Whose sums are looked at for what they have lost.
    numbered = wide.select(*(F.lag(name).over(Window.orderBy("c 0")) for name in names))
    assert [lower(frame._relation).wide for frame in (summed, numbered, totals.where("`c 0` < 0"), spark.range(3))] == [None] * 4
    assert [is_one_call(item) for item in ('sum("(") AS "s"', "f(')', 1) + f(2) AS \"s\"", 'f(g(1)) FILTER (WHERE TRUE) AS "s"')] == [
        True,
        False,
        False,
    ]


def test_windows_of_many_orders(spark: Session) -> None:
    """Each order is an operator, a sort and maybe an exchange above those before it: twenty were too deep."""
    count, rows = 24, range(1, 5)
    keys = {f"k{n}": [n * row % 29 for row in rows] for n in range(1, count + 1)}  # Of a prime: no two rows are equal in one.
    frame = spark.createDataFrame(list(zip(rows, *keys.values(), strict=True)), ["row", *keys])
    numbered = [(F.row_number().over(Window.orderBy(F.desc(key))) * 10 + F.col("row")).alias(f"of_{key}") for key in keys]
    found = frame.orderBy("row").select("row", *numbered, F.sum("k1").over(Window.partitionBy("row")).alias("one"))
    layers = with_few_windows(found._relation, lambda layer: layer)
    assert has_many_windows(found._relation)
    assert with_few_windows(found._relation, lambda layer: layer, beyond=25) is found._relation
    assert layers.output == found._relation.output
    windows = [sum(isinstance(part, e.Windowed) for part in parts(layer.expressions)) for layer in _projects(layers)]
    assert windows == [8, 1, 8, 8]  # From above: the last eight stay where they were.
    expected = {
        row: (row, *(sorted(of, reverse=True).index(of[row - 1]) * 10 + 10 + row for of in keys.values()), keys["k1"][row - 1])
        for row in rows
    }
    assert {row[0]: tuple(row) for row in found.collect()} == expected


def _projects(relation: Relation) -> Iterator[Project]:
    while isinstance(relation, Project):
        yield relation
        relation = relation.child


def test_long_lists_of_constants(spark: Session) -> None:
    """Rows of constants are rows of the driver's, whatever their types have in common; casts by Spark's rules stay the kernel's."""
    cells = [(n, f"{n}.5" if n % 2 else f"{n}", f"'x{n}'" if n % 3 else "NULL", f"DATE '2020-01-{n % 28 + 1:02}'") for n in range(300)]
    told = spark.sql(f"VALUES {', '.join(f'({a}, {b}, {c}, {d}, {-a}L)' for a, b, c, d in cells)}")
    assert isinstance(told._relation, Local)
    assert [kind for _, kind in told.dtypes] == ["int", "decimal(11,1)", "string", "date", "bigint"]
    expected = [(a, Decimal(b), None if c == "NULL" else f"x{a}", date(2020, 1, a % 28 + 1), -a) for a, b, c, _ in cells]
    assert [tuple(row) for row in told.collect()] == expected
    assert spark.sql("VALUES (1, 2), (2L, 0.5D), (3, NULL)").collect() == [(1, 2.0), (2, 0.5), (3, None)]
    assert spark.sql("VALUES (1, (2)), (CAST('3' AS INT), 1 + 1)").collect() == [(1, 2), (3, 2)]
    assert spark.sql("SELECT 2 IN (1, -2, 2), concat('a', 'b', NULL), (3), ((SELECT 1)), -(1), TRUE, array(1, NULL)").collect() == [
        (True, None, 3, 1, -1, True, [1, None])
    ]


def test_chains_of_unions_are_one(spark: Session) -> None:
    selects = [f"SELECT {n} AS a, {n}.5 AS b" if n % 9 else f"SELECT CAST('{n}' AS INT) AS a, 1 AS b" for n in range(200)]
    rows = spark.sql(" UNION ALL ".join(selects))
    flat = with_room(lambda: with_flat_unions(rows._relation))
    assert height(rows._relation) > 190
    assert height(flat) < 5
    assert flat.output == rows._relation.output
    assert sorted(map(tuple, rows.collect())) == [(n, Decimal(n) + Decimal("0.5") if n % 9 else 1) for n in range(200)]
    assert sorted(spark.sql(" UNION ".join(f"SELECT {n % 7} AS a" for n in range(100))).collect()) == [(n,) for n in range(7)]
    ranges = functools.reduce(DataFrame.union, [spark.range(n, n + 1) for n in range(80)])
    twice = ranges.distinct().union(ranges).unionAll(spark.range(80, 81).where("id > 5"))
    assert sorted(row[0] for row in twice.collect()) == sorted([*range(80), *range(81)])
    with pytest.raises(ArithmeticException, match="CAST_OVERFLOW"):
        spark.sql(" UNION ALL ".join(f"SELECT CAST({n} AS TINYINT) AS a" for n in range(150))).collect()


def test_what_is_too_deep_or_has_no_end_says_so(spark: Session) -> None:
    deep = F.col("id").cast("string")
    for _ in range(200):
        deep = F.upper(F.lower(deep))
    with pytest.raises(AnalysisException, match="too deeply nested") as raised:
        spark.range(2).select(deep).collect()
    assert raised.value.getCondition() == "QUERY_TOO_DEEPLY_NESTED"
    doubled = spark.range(2)
    for _ in range(30):
        doubled = doubled.union(doubled)
    with pytest.raises(AnalysisException, match="uses its parts several times") as raised:
        doubled.count()
    assert raised.value.getCondition() == "QUERY_TOO_LARGE"


def test_where_a_deep_relation_is_divided(spark: Session) -> None:
    frame = spark.range(3)
    for n in range(20):
        frame = frame.where(F.col("id") != n + 5)
    taken: list[Relation] = []

    def rows(part: Relation) -> Relation:
        taken.append(part)
        return Produced(None, part.output)

    parted = divided(frame._relation, rows)
    assert parted is not None
    assert (height(frame._relation), height(taken[0]), height(parted)) == (20, 10, 10)
    assert parted.output == frame._relation.output
    assert divided(frame.orderBy("id").limit(3)._relation, rows) is not None
    wide = spark.range(3).select("id", *(F.lit(n).alias(f"c{n}") for n in range(5)))
    for n in range(10):
        wide = wide.where(F.col("c3") != n + 5).alias(f"a{n}")
    few = wide.select("id", "c4").groupBy("c4").count()
    parted = divided(few._relation, rows)
    assert parted is not None
    assert [column.name for column in taken[-1].output] == ["c3", "c4"]
    assert parted.output == few._relation.output
    assert divided(spark.range(3).orderBy("id").limit(3).limit(2)._relation, rows) is None
