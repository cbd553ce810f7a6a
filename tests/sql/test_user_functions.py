"""Users' functions in Python: what they are given and give, where they may stand, what they see, and what is told when they fail."""

from __future__ import annotations

import datetime
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from quiver import Conf, Context, TaskContext
from quiver.errors import NeedsJVM, UnpicklableClosure
from quiver.sql import DataFrame, Row, Session, Window
from quiver.sql import functions as F
from quiver.sql import types as t
from quiver.sql.errors import AnalysisException, PySparkTypeError, PySparkValueError, PythonException
from quiver.sql.python.evaluating import Flow
from quiver.sql.python.mapping import MapGroups
from quiver_proto.errors import GroupOutOfMemory
from quiver_proto.spark_functions import growth


@pytest.fixture(scope="module", params=["inline", "local[2] staged", "local-cluster[2,1,512m]"])
def users(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    master, _, how = request.param.partition(" ")
    folder = tmp_path_factory.mktemp("users")
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(folder / "events")).set("quiver.local.dir", str(folder / "local"))
    conf.set("spark.ui.enabled", "false").set("quiver.sql.oneTask.maxBytes", "1" if how else "1g").set("spark.task.maxFailures", "1")
    with Session(Context(master, "test", conf=conf)) as session:
        yield session


@pytest.fixture
def df(users: Session) -> DataFrame:
    return users.createDataFrame([(1, "a", 1.5), (2, None, 2.5), (3, "c", None), (1, "d", 4.0)], "id int, s string, v double")


@F.pandas_udf("double")
def mean(v: pd.Series) -> float:
    return v.mean()


plus = F.udf(lambda a, b: a + b, "int")


def test_rows_in_and_out(df: DataFrame) -> None:
    upper = F.udf(lambda s: None if s is None else s.upper())
    twice = plus(plus("id", "id"), F.lit(0)).alias("n")
    got = df.select(upper("s").alias("s"), twice, F.udf(lambda: 7, "long")().alias("seven"), plus(b="id", a=F.lit(10)).alias("named"))
    assert got.collect() == [("A", 2, 7, 11), (None, 4, 7, 12), ("C", 6, 7, 13), ("D", 2, 7, 11)]
    shapes = df.select(
        F.udf(lambda i: (i, str(i)), "a int, b string")("id").alias("t"),
        F.udf(lambda i: [i] * i, "array<int>")("id").alias("a"),
        F.udf(lambda i: {str(i): i}, t.MapType(t.StringType(), t.IntegerType()))("id").alias("m"),
        F.udf(lambda row: isinstance(row, Row) and row.id, "int")(F.struct("id", "s")).alias("r"),
        F.udf(lambda i: i)("id").alias("text"),
    ).limit(2)
    assert shapes.collect() == [((1, "1"), [1], {"1": 1}, 1, "1"), ((2, "2"), [2, 2], {"2": 2}, 2, "2")]


def test_every_type_comes_and_goes(users: Session) -> None:
    one = users.sql(
        "SELECT timestamp'2024-01-02 03:04:05' t, date'2024-05-06' d, 1.25BD x, array(1, 2) a, map('k', 1) m, X'00FF' b, true y"
    )
    kinds = {field.name: field.dataType for field in one.schema}
    same = one.select(*[F.udf(lambda value: value, kind)(name).alias(name) for name, kind in kinds.items()])
    assert same.collect() == one.collect()
    assert one.select(*[F.pandas_udf(lambda v: v, kind)(name).alias(name) for name, kind in kinds.items()]).collect() == one.collect()
    seen = one.select(*[F.udf(lambda value: type(value).__name__)(name).alias(name) for name in kinds]).first()
    assert seen is not None
    assert list(seen) == ["datetime", "date", "Decimal", "list", "dict", "bytes", "bool"]
    assert one.first()["x"] == Decimal("1.25")
    users.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    try:
        hours = F.pandas_udf(lambda v: v.dt.hour, "int")
        there = users.sql("SELECT timestamp'2024-01-02 03:04:05' AS t").select(hours("t").alias("h"), F.hour("t").alias("same"))
        assert there.collect() == [(3, 3)]
    finally:
        users.conf.unset("spark.sql.session.timeZone")


def test_where_calls_may_stand(df: DataFrame, users: Session) -> None:
    assert df.withColumn("p", plus("id", "id")).where("p > 2").select("p").collect() == [(4,), (6,)]
    assert df.where(plus("id", "id") == 6).count() == 1
    assert df.groupBy(plus("id", "id").alias("k")).count().orderBy("k").collect() == [(2, 2), (4, 1), (6, 1)]
    assert df.agg(F.sum(plus("id", "id"))).collect() == [(14,)]
    assert df.orderBy(F.udf(lambda i: -i, "int")("id")).select("id").first() == (3,)
    a, b = df.alias("a"), df.alias("b")
    assert a.join(b, plus(F.col("a.id"), F.lit(1)) == F.col("b.id")).count() == 3
    users.udf.register("twice", lambda i: i * 2, "int")
    users.udf.register("avg_of", mean)
    users.udf.register("less", lambda x, y=1: x - y, "int")
    named = users.sql("SELECT less(y => 2, x => 3), less(3, y => 5), less(x => 3)")
    assert named.collect() == [(1, -2, 2)]
    assert named.columns[0] == "less(y => 2, x => 3)"
    for wrong, condition in [
        ("less(x => 3, 2)", "UNEXPECTED_POSITIONAL_ARGUMENT"), ("abs(expr => -3)", "NAMED_PARAMETERS_NOT_SUPPORTED"),
        ("less(x => 3, x => 2)", "DUPLICATE_ROUTINE_PARAMETER_ASSIGNMENT.DOUBLE_NAMED_ARGUMENT_REFERENCE"),
    ]:  # fmt: skip
        with pytest.raises(AnalysisException, match=condition):
            users.sql(f"SELECT {wrong}")
    df.createOrReplaceTempView("rows")
    assert users.sql("SELECT twice(id) x, count(*) n FROM rows GROUP BY twice(id) HAVING twice(id) < 6 ORDER BY x").collect() == [
        (2, 2),
        (4, 1),
    ]
    assert users.sql("SELECT id, avg_of(v) m FROM rows GROUP BY id HAVING avg_of(v) > 2.5").collect() == [(1, 2.75)]
    assert df.select(F.call_function("twice", "id")).first() == (2,)
    assert df.selectExpr("twice(id) AS x").first() == (2,) == df.select(F.call_udf("TWICE", "id")).first()
    with pytest.raises(NeedsJVM):
        users.udf.registerJavaFunction("j", "com.example.J")
    # The kernel counts in unsigned numbers.
    places = (F.row_number(), F.rank(), F.dense_rank(), F.ntile(2))
    ranked = df.select(*(place.over(Window.orderBy("id", "v")).alias(f"p{number}") for number, place in enumerate(places)))
    assert ranked.select(*(plus(column, F.lit(1)) for column in ranked.columns)).tail(1) == [(5, 5, 5, 3)]
    counted = df.agg(F.approx_count_distinct("id").alias("n")).select(
        F.udf(lambda n: n + 1, "long")("n"), F.make_date(F.lit(2020), "n", "n")
    )
    assert counted.collect() == [(4, datetime.date(2020, 3, 3))]


def test_columns_in_and_out(df: DataFrame) -> None:
    @F.pandas_udf("long")
    def add(a: pd.Series, b: pd.Series) -> pd.Series:
        return a + b

    @F.pandas_udf("a long, b string")
    def split(a: pd.Series) -> pd.DataFrame:
        return pd.DataFrame({"b": a.astype(str), "a": a})

    @F.pandas_udf("long")
    def both(rows: pd.DataFrame) -> pd.Series:
        return rows["a"] + rows["b"].astype(int)

    @F.pandas_udf("double")
    def scaled(batches: Iterator[tuple[pd.Series, pd.Series]]) -> Iterator[pd.Series]:
        factor = 10  # Made once for many batches.
        for v, i in batches:
            yield v * i * factor

    @F.arrow_udf("long")
    def product(a: pa.Array, b: pa.Array) -> pa.Array:
        return pc.multiply(a.cast(pa.int64()), b.cast(pa.int64()))

    @F.udf("int")
    def by_hint(a: pa.Array) -> pa.Array:
        return pc.negate(a)

    got = df.select(add("id", "id"), split("id"), both(split("id")), scaled("v", "id"), product("id", "id"), by_hint("id")).collect()
    assert [tuple(row) for row in got][:3] == [
        (2, (1, "1"), 2, 15.0, 1, -1),
        (4, (2, "2"), 4, 50.0, 4, -2),
        (6, (3, "3"), 6, None, 9, -3),
    ]


def test_batches_are_bounded(users: Session) -> None:
    users.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "40")
    try:
        sizes = F.pandas_udf(lambda v: pd.Series([len(v)] * len(v)), "int")
        assert users.range(0, 100, 1, 1).select(sizes("id").alias("n")).agg(F.max("n")).collect() == [(40,)]
        longest = users.range(0, 100, 1, 1).mapInPandas(lambda frames: (pd.DataFrame({"n": [len(f)]}) for f in frames), "n int")
        assert longest.agg(F.max("n"), F.sum("n")).collect() == [(40, 100)]
    finally:
        users.conf.unset("spark.sql.execution.arrow.maxRecordsPerBatch")


def test_aggregates_of_groups_and_windows(df: DataFrame) -> None:
    @F.pandas_udf("double")
    def weighted(v: pd.Series, w: pd.Series) -> float:
        return float((v * w).sum() / w.sum())

    @F.arrow_udf("long")
    def count(v: pa.Array) -> pa.Scalar:
        return pa.scalar(len(v) - v.null_count)

    got = df.groupBy("id").agg(mean("v"), F.sum("v"), weighted("v", "id"), count("v")).orderBy("id").collect()
    assert [tuple(row) for row in got] == [(1, 2.75, 5.5, 2.75, 2), (2, 2.5, 2.5, 2.5, 1), (3, None, None, 0.0, 0)]
    assert df.agg(mean("v").alias("m")).collect() == [(8 / 3,)]
    whole, sliding = Window.partitionBy("id"), Window.orderBy("id", "v").rowsBetween(-1, 0)
    got = df.select("id", mean("v").over(whole).alias("m"), mean("v").over(sliding).alias("n")).orderBy("id", "n").collect()
    assert [tuple(row) for row in got] == [(1, 2.75, 1.5), (1, 2.75, 2.75), (2, 2.5, 3.25), (3, None, 2.5)]


def test_batches_groups_and_cogroups(df: DataFrame, users: Session) -> None:
    assert df.mapInPandas(lambda frames: (frame[frame.id > 1] for frame in frames), df.schema).collect() == [(2, None, 2.5), (3, "c", None)]
    assert df.mapInArrow(lambda batches: batches, df.schema).where("id = 1").count() == 2
    sizes = df.groupBy("id").applyInPandas(lambda key, rows: pd.DataFrame([[key[0], len(rows)]]), "k int, n long")
    assert sizes.join(df.select(F.col("id").alias("k")).distinct(), "k").orderBy("k").collect() == [(1, 2), (2, 1), (3, 1)]
    odd = df.groupBy((F.col("id") % 2).alias("odd")).applyInArrow(lambda rows: rows.select(["id"]), "id int")
    assert sorted(row.id for row in odd.collect()) == [1, 1, 2, 3]

    def parts(key: Any, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"k": [key[0].as_py()], "n": [sum(batch.num_rows for batch in batches)]})

    assert df.groupBy("id").applyInArrow(parts, "k int, n long").orderBy("k").collect() == [(1, 2), (2, 1), (3, 1)]
    other = users.createDataFrame([(1, 10), (5, 50)], "id int, w int")
    both = df.groupBy("id").cogroup(other.groupBy("id"))
    met = both.applyInPandas(lambda k, a, b: pd.DataFrame({"k": [k[0]], "a": [len(a)], "b": [b.w.sum()]}), "k int, a long, b long")
    assert met.orderBy("k").collect() == [(1, 2, 10), (2, 1, 0), (3, 1, 0), (5, 0, 50)]
    assert both.applyInArrow(lambda a, b: pa.table({"n": [a.num_rows + b.num_rows]}), "n long").agg(F.sum("n")).collect() == [(6,)]
    nulls = users.createDataFrame([(None, 1), (None, 2), (1, 3)], "k int, v int").groupBy("k")
    assert sorted(row.n for row in nulls.applyInPandas(lambda rows: pd.DataFrame({"n": [len(rows)]}), "n long").collect()) == [1, 2]


def test_broadcasts_accumulators_and_contexts(df: DataFrame, users: Session) -> None:
    names, calls = users.context.broadcast({1: "one"}), users.context.accumulator(0)

    def name(i: int) -> str:
        calls.add(1)
        context = TaskContext.get()
        assert context is not None
        return str(names.value.get(i, context.stageId() >= 0))

    assert df.select(F.udf(name)("id").alias("n")).collect() == [("one",), ("True",), ("True",), ("one",)]
    assert calls.value == 4
    assert df.select(F.udf(name)("id").alias("n")).rdd.map(lambda row: row.n).collect() == ["one", "True", "True", "one"]
    assert df.mapInPandas(lambda frames: (pd.DataFrame({"n": [name(i) for i in f.id]}) for f in frames), "n string").count() == 4
    assert calls.value == 12


def test_a_function_is_called_once_for_a_row_and_never_to_plan(users: Session) -> None:
    calls = users.context.accumulator(0)

    def counted(i: int) -> int:
        calls.add(1)
        return i * 2

    twice = F.udf(counted, "long")
    df = users.range(10).withColumn("y", twice("id")).where("y > 10").withColumn("z", F.col("y") + 1)
    assert df.agg(F.sum("z")).collect() == [(64,)]
    assert calls.value == 10
    both = users.range(100).union(users.range(100)).withColumn("r", F.rand()).where("r > 0.5")
    assert both.agg(F.min("r")).first()[0] > 0.5
    # Rows without columns are exchanged on the way to the number.
    assert users.range(4).withColumn("m", F.monotonically_increasing_id()).select(twice("m")).count() == 4


def test_what_a_function_does_wrong_is_told(df: DataFrame) -> None:
    def picky(i: int, s: str | None) -> int:
        if i == 3:
            raise ValueError("no threes")
        return i

    with pytest.raises(
        PythonException, match=r"`picky` raised ValueError: no threes, in row \d of partition \d, for arguments \(3, 'c'\)"
    ) as told:
        df.select(F.udf(picky, "int")("id", "s")).collect()
    assert 'raise ValueError("no threes")' in str(told.value)
    assert "evaluating.py" not in str(told.value)
    cases: list[tuple[DataFrame, str]] = [
        (df.select(F.udf(lambda i: "x" if i == 3 else 1, "int")("id")), r"returned 'x' of type str .*expected int, in row \d .*\(3\)"),
        (df.select(F.udf(lambda i: True, "int")("id")), "returned True of type bool; expected int"),
        (df.select(F.udf(lambda i: 1, "decimal(5,2)")("id")), r"returned 1 of type int; expected decimal\(5,2\)"),
        (
            df.select(F.udf(lambda i: datetime.date(2024, 1, 2), "timestamp")("id")),
            r"returned datetime.date.* of type date; expected timestamp",
        ),
        (df.select(F.udf(lambda i: 1, "date")("id")), "returned 1 of type int; expected date"),
        (df.select(F.udf(lambda i: 2**40, "binary")("id")), "of type int; expected binary"),
        (df.select(F.udf(lambda i: Decimal("1.25"), "int")("id")), "of type Decimal; expected int"),
        (df.select(F.udf(lambda i: 1, "map<string,int>")("id")), "returned 1 of type int; expected map"),
        (df.select(F.udf(lambda i: next(iter(())), "int")("id")), "StopIteration"),
        (df.select(F.pandas_udf(lambda v: v[:0], "int")("id")), "returned 0 values for"),
        (df.select(F.pandas_udf(lambda v: 1, "int")("id")), "returned a int; expected pandas.Series"),
        (df.select(F.pandas_udf(lambda v: v.astype(str) + "x", "int")("id")), "expected pandas.Series of int"),
        (df.mapInPandas(lambda frames: (1 / 0 for _ in frames), "a int"), "raised ZeroDivisionError"),
        (df.mapInPandas(lambda frames: (pd.DataFrame({"b": [1]}) for _ in frames), "a int"), "Missing: a. Unexpected: b."),
        (df.mapInPandas(lambda frames: 3, "a int"), "expected iterator of pandas.DataFrame"),
        (df.mapInArrow(lambda batches: iter([1]), "a int"), "returned a int; expected pyarrow.Table or pyarrow.RecordBatch"),
        (df.groupBy("id").applyInPandas(lambda rows: rows.nothing, "a int"), "has no attribute 'nothing'.* for arguments key"),
        (df.groupBy("id").applyInPandas(lambda rows: rows.assign(s=1)[["id", "s"]], "id int, s binary"), "column `s`"),
        (df.agg(F.pandas_udf(lambda v: "x", "int", F.PandasUDFType.GROUPED_AGG)("id")), "returned 'x' of type str"),
        (df.select(F.udf(lambda x: (x,), "struct<a:int,b:int>")("id")), r"STRUCT_ARRAY_LENGTH.* \(\d,\) .*2 fields .*row \d.*\(\d\)"),
        (df.select(F.udf(lambda x: [x, 2, 3], "struct<a:int,b:int>")("id")), r"STRUCT_ARRAY_LENGTH_MISMATCH.* 3 values .*row \d"),
        (df.select(F.udf(lambda x: sys.exit(3), "int")("id")), r"`<lambda>` raised SystemExit: 3, in row \d .*arguments \(\d\)"),
        (df.mapInPandas(lambda frames: sys.exit(3), "id int"), "raised SystemExit: 3"),
    ]
    for frame, message in cases:
        with pytest.raises(PythonException, match=message):
            frame.collect()


def test_what_can_not_be_a_function_is_refused_at_once(df: DataFrame, users: Session) -> None:
    lock = threading.Lock()
    with pytest.raises(UnpicklableClosure, match="lock"):
        df.select(F.udf(lambda i: lock and i, "int")("id"))
    with pytest.raises(UnpicklableClosure, match="lock"):
        df.mapInPandas(lambda frames: lock and frames, "a int")
    refused: list[tuple[Any, type[Exception], str]] = [
        (lambda: F.udf(3, "int"), PySparkTypeError, "should be a callable"),
        (lambda: F.udf(len, 3), PySparkTypeError, "returnType"),
        (lambda: F.pandas_udf(lambda v: v), PySparkTypeError, "returnType"),
        (lambda: F.pandas_udf(lambda: 1, "int"), PySparkValueError, "0-arg"),
        (lambda: F.pandas_udf(lambda v: v, "int", F.PandasUDFType.GROUPED_MAP)("id"), PySparkTypeError, "applyInPandas"),
        (lambda: F.pandas_udf(lambda v: v, "int", 7), PySparkValueError, "functionType"),
        (lambda: mean(), PySparkValueError, "needs a column"),
        (lambda: df.mapInPandas(lambda frames: frames, "int"), PySparkTypeError, "schema"),
        (lambda: df.groupBy("id").applyInPandas(lambda a, b, c: a, "a int"), PySparkValueError, "1 or 2 parameters"),
        (lambda: df.groupBy("id").apply(len), PySparkTypeError, "pandas_udf"),
        (lambda: users.udf.register("m", mean, "int"), PySparkTypeError, "returnType"),
    ]
    for use, kind, message in refused:
        with pytest.raises(kind, match=message):
            use()


def test_lists_within_structs_and_stars(users: Session, df: DataFrame) -> None:
    shown = F.udf(lambda value: str(value))
    nested = F.struct("id", F.struct(F.array("v").alias("l")).alias("s"))
    given = [nested, F.create_map(F.lit("k"), F.array(F.struct(F.array("id").alias("i")))), F.array(nested)]
    first = df.where("v = 2.5").select(*(shown(each) for each in given)).first()
    one = "Row(id=2, s=Row(l=[2.5]))"
    assert tuple(first or ()) == (one, "{'k': [Row(i=[2])]}", f"[{one}]")
    count = F.pandas_udf(lambda lists: int(lists.map(len).sum()), "long", F.PandasUDFType.GROUPED_AGG)
    assert df.agg(count(F.array("id", "id"))).collect() == [(8,)]
    assert df.where("v = 2.5").select(F.udf(lambda *values: str(values))("*")).collect() == [("(2, None, 2.5)",)]


def test_classes_that_make_rows(users: Session) -> None:
    class Words:
        def __init__(self) -> None:
            self.count = 0

        def eval(self, text: str, times: int = 1) -> Iterator[tuple[str, int]]:
            for word in text.split() * times:
                self.count += 1
                yield word, len(word)

        def terminate(self) -> Iterator[tuple[str, int]]:
            yield "all", self.count

    words = F.udtf(Words, returnType="word string, n int")
    assert words(F.lit("to be"), times=F.lit(2)).collect() == [("to", 2), ("be", 2), ("to", 2), ("be", 2), ("all", 4)]
    users.udtf.register("words", words)
    users.createDataFrame([("a bc",), ("",)], "line string").createOrReplaceTempView("lines")
    assert users.sql("SELECT word FROM lines LATERAL VIEW words(line) AS word, n WHERE n > 1").collect() == [("bc",), ("all",)]
    assert users.sql("SELECT max(n) FROM words('one three')").collect() == [(5,)]
    refused: list[tuple[Any, str]] = [
        (lambda: F.udtf(len, returnType="a int"), "must be a class"),
        (lambda: F.udtf(Words, returnType="int").returnType, "must be a struct"),
        (lambda: users.udtf.register("w", Words), "udtf"),
    ]
    for use, message in refused:
        with pytest.raises(PySparkTypeError, match=message):
            use()
    with pytest.raises(PythonException, match=r"`Words\.eval` raised AttributeError"):
        words(F.lit(3)).collect()


def test_what_functions_say_of_themselves() -> None:
    length = F.udf("int")(len)
    assert (length.returnType, length.evalType, length.deterministic) == (t.IntegerType(), 100, True)
    assert not length.asNondeterministic().deterministic
    assert (mean.evalType, mean.__name__, mean.func(pd.Series([1.0]))) == (202, "mean", 1.0)
    assert F.pandas_udf(lambda v: v, "int", F.PandasUDFType.SCALAR_ITER).evalType == 204


def test_an_iterator_is_begun_anew_only_when_it_must() -> None:
    begun = []

    def one_by_one(batches: Iterator[list[int]]) -> Iterator[list[int]]:
        begun.append("one")
        for batch in batches:
            yield [2 * item for item in batch]

    def all_at_once(batches: Iterator[list[int]]) -> Iterator[list[int]]:
        begun.append("all")
        for batch in list(batches):
            yield batch[:1]
            yield batch[1:]

    flow = Flow(one_by_one)
    assert [list(flow.results([n, n], 2)) for n in range(3)] == [[[0, 0]], [[2, 2]], [[4, 4]]]
    flow = Flow(all_at_once)
    assert [list(flow.results([n, n], 2)) for n in range(2)] == [[[0], [0]], [[1], [1]]]
    assert begun == ["one", "all", "all"]


def test_a_naive_moment_is_of_the_machine(users: Session) -> None:
    moment = datetime.datetime(2024, 5, 17, 12, 30)
    assert users.range(1).select(F.udf(lambda i: moment, "timestamp")("id").alias("t")).first() == (moment,)


def test_a_group_that_does_not_fit_is_named() -> None:
    one = t.StructType().add("k", "long")
    groups = MapGroups(len, "counted", False, (0,), ((0,),), one, one, "UTC", 0, False, False)
    column = np.zeros(8 << 20, dtype=np.int64)
    rows = [pa.record_batch({"k": [7], "#": [1]}), pa.record_batch({"k": column, "#": column})]
    growth.allow(400 << 20)
    try:
        with pytest.raises(GroupOutOfMemory, match=r"counted gets all rows .* key \(7\) are 128 MiB .* 400 MiB of its task"):
            next(groups(iter(rows)))
    finally:
        growth.allow(1 << 40)
