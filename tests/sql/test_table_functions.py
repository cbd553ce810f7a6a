"""Table functions of programs: which rows an instance is given, what analyze() may ask for, and what is told of what they do wrong."""

from __future__ import annotations

import datetime
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from quiver.sql import Row, Session
from quiver.sql import functions as F
from quiver.sql import types as t
from quiver.sql import udtf as u
from quiver.sql.errors import (
    AnalysisException,
    IllegalArgumentException,
    ParseException,
    PySparkAttributeError,
    PySparkException,
    PythonException,
)


@pytest.fixture
def pairs(spark: Session) -> Session:
    class Seen:
        def __init__(self) -> None:
            self.rows: list[str] = []

        def eval(self, row: Row, *more: Any, **named: Any) -> None:
            self.rows.append(f"{row.k}{row.v}{''.join(map(str, more))}{''.join(f'{key}={value}' for key, value in named.items())}")

        def terminate(self) -> Iterator[tuple[int, str]]:
            yield len(self.rows), " ".join(self.rows)

    spark.udtf.register("seen", F.udtf(Seen, returnType="n int, text string"))
    data = [(1, "a"), (1, "b"), (2, "d"), (2, "c"), (None, "e")]
    spark.createDataFrame(data, "k int, v string").createOrReplaceTempView("pairs")
    return spark


def texts(spark: Session, query: str) -> list[str]:
    return sorted(row[-1] for row in spark.sql(query).collect())


def test_tables(pairs: Session) -> None:
    by_group = ["1b 1a", "2d 2c", "Nonee"]
    assert texts(pairs, "SELECT * FROM seen(TABLE(pairs) PARTITION BY k ORDER BY v DESC)") == by_group
    assert texts(pairs, "SELECT s.* FROM seen(row => TABLE(pairs) DISTRIBUTE BY k + 1 SORT BY v DESC) AS s") == by_group
    assert texts(pairs, "SELECT * FROM seen(TABLE(SELECT k, v FROM pairs WHERE k = 1) PARTITION BY (k, v))") == ["1a", "1b"]
    assert texts(pairs, "SELECT * FROM seen(TABLE(pairs) WITH SINGLE PARTITION ORDER BY (k DESC, v))") == ["2c 2d 1a 1b Nonee"]
    assert texts(pairs, "WITH one AS (SELECT * FROM pairs LIMIT 1) SELECT * FROM seen(TABLE(one) PARTITION BY k, x => 1 + 1)") == ["1ax=2"]
    assert sum(row.n for row in pairs.sql("SELECT * FROM seen(TABLE(pairs), 7)").collect()) == 5
    for how in ("", "PARTITION BY k", "WITH SINGLE PARTITION"):
        assert texts(pairs, f"SELECT * FROM seen(TABLE(SELECT * FROM pairs WHERE false) {how})") == []
    assert texts(pairs, "SELECT p.k, s.text FROM pairs p, seen(TABLE(pairs) PARTITION BY v) s WHERE p.v = 'a' AND n = 1")[0] == "1a"
    seen = pairs._state.routines["seen"].function
    table = pairs.table("pairs").asTable()
    assert sorted(row.text for row in seen(table.partitionBy("k").orderBy(F.col("v").desc())).collect()) == by_group
    first = seen(table.withSinglePartition().orderBy("v"), F.lit(3), z=F.lit("q")).first()
    assert first.text.startswith("1a3z=q 1b3")
    wrong: dict[str, tuple[type[Exception], str]] = {
        "seen(TABLE(pairs), TABLE(pairs))": (AnalysisException, "TABLE_VALUED_FUNCTION_TOO_MANY_TABLE_ARGUMENTS"),
        "seen(TABLE(pairs) PARTITION BY k, v)": (ParseException, "need parentheses"),
        "seen(TABLE(pairs) ORDER BY k)": (ParseException, "ORDER BY"),
        "seen(TABLE(pairs) PARTITION BY nothing)": (AnalysisException, "UNRESOLVED_COLUMN"),
        "seen(TABLE(nowhere))": (AnalysisException, "TABLE_OR_VIEW_NOT_FOUND"),
        "seen(4)": (PythonException, r"`seen.eval` raised AttributeError(.|\n)*for arguments \(4\)"),
    }
    for call, (kind, message) in wrong.items():
        with pytest.raises(kind, match=message):
            pairs.sql(f"SELECT * FROM {call}").collect()
    for use in (
        lambda: table.orderBy("v"),
        lambda: table.partitionBy("k").withSinglePartition(),
        lambda: table.partitionBy("k").partitionBy("v"),
    ):
        with pytest.raises(IllegalArgumentException, match=r"partitionBy\(\)"):
            use()


def test_laterals(spark: Session, tmp_path: Path) -> None:
    killed, ended = tmp_path / "killed", tmp_path / "ended"
    can_die = not spark.sparkContext.master.startswith("inline")

    class Sums:
        def __init__(self) -> None:
            self.n = self.total = 0

        def eval(self, x: int) -> Iterator[tuple[int, str]]:
            if can_die and x == 6 and not killed.exists():
                killed.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            self.n, self.total = self.n + 1, self.total + x
            if x % 4:
                yield x, "each"

        def terminate(self) -> Iterator[tuple[int, str]]:
            yield self.n, "count"
            yield self.total, "sum"

        def cleanup(self) -> None:
            with ended.open("a") as file:
                file.write("x")

    spark.udtf.register("sums", F.udtf(Sums, returnType="x bigint, what string"))
    each = [(n, n, "each") for n in (1, 2, 3, 5, 6, 7)]
    last = [(3, 4, "count"), (3, 6, "sum"), (7, 4, "count"), (7, 22, "sum")]
    rows = spark.sql("SELECT r.id, s.* FROM range(0, 8, 1, 2) r, LATERAL sums(r.id) AS s").collect()
    assert sorted(rows) == sorted([*each, *last])
    assert killed.exists() == can_die
    assert ended.read_text() == "xx"
    outer = spark.sql("SELECT r.id, s.x, s.what FROM range(0, 8, 1, 2) r LEFT JOIN LATERAL sums(r.id) AS s(x, what)").collect()
    assert sorted(outer, key=str) == sorted([*each, *last, (0, None, None), (4, None, None)], key=str)
    assert spark.sql("SELECT id, x FROM range(0, 3, 1, 1) LATERAL VIEW sums(id) AS x, y WHERE y = 'sum'").collect() == [(2, 3)]
    assert spark.sql("SELECT (SELECT max(x) FROM sums(r.id)) FROM range(2, 4) r").collect() == [(2,), (3,)]
    with pytest.raises(AnalysisException, match="UDTF_ALIAS_NUMBER_MISMATCH"):
        spark.sql("SELECT * FROM range(3) LATERAL VIEW sums(id) AS x")


def test_analysis(pairs: Session) -> None:
    class Told(u.AnalyzeResult):
        limit: int = 0

    class Firsts:
        def __init__(self, told: Any) -> None:
            self.told, self.n = told, 0

        @staticmethod
        def analyze(row: u.AnalyzeArgument, limit: u.AnalyzeArgument, name: Any = None) -> u.AnalyzeResult:
            if not row.isTable or row.dataType.names != ["k", "v"]:
                raise ValueError("a table of k and v is needed")
            told = Told(
                t.StructType().add(name.value if name else "text", "string"),
                partitionBy=[u.PartitioningColumn("k")],
                orderBy=[u.OrderingColumn("upper(v)", ascending=False)],
                select=[u.SelectedColumn("v"), u.SelectedColumn("k + 1", "next")],
            )
            assert limit.isConstantExpression
            told.limit = limit.value or 0
            return told

        def eval(self, row: Row, limit: int, name: str = "") -> Iterator[tuple[str]]:
            yield (f"{row.__fields__} {tuple(row)}",)
            self.n += 1
            if self.n >= self.told.limit:
                raise u.SkipRestOfInputTableException("enough")

        def terminate(self) -> Iterator[tuple[str]]:
            yield (f"after {self.n}",)

    class Described:
        @staticmethod
        def analyze(*args: u.AnalyzeArgument, **named: u.AnalyzeArgument) -> u.AnalyzeResult:
            values = {key: each.value for key, each in [*((str(n), a) for n, a in enumerate(args)), *named.items()]}
            kinds = [each.dataType.simpleString() for each in (*args, *named.values())]
            fixed = [each.isConstantExpression for each in (*args, *named.values())]
            return u.AnalyzeResult(t.StructType().add("x", t.StringType(), metadata={}).add(f"{values} {kinds} {fixed}", "int"))

        def eval(self, *args: Any, **named: Any) -> Iterator[tuple[str, None]]:
            yield str((args, named)), None

    pairs.udtf.register("firsts", F.udtf(Firsts))
    pairs.udtf.register("described", F.udtf(Described))
    ordered = sorted(["['v', 'next'] ('b', 2)", "['v', 'next'] ('d', 3)", "['v', 'next'] ('e', None)", *["after 1"] * 3])
    assert texts(pairs, "SELECT * FROM firsts(TABLE(pairs), 1)") == ordered
    assert pairs.sql("SELECT * FROM firsts(TABLE(pairs), 1, name => concat('na', 'me'))").columns == ["name"]
    today = datetime.date(2026, 1, 2)
    described = pairs.sql("SELECT * FROM described(1 + 1, y => DATE '2026-01-02', z => null)")
    assert described.first()[0] == str(((2,), {"y": today, "z": None}))
    assert described.columns[1] == f"{ {'0': 2, 'y': today, 'z': None} } ['int', 'date', 'void'] [True, True, True]"
    beside = pairs.sql("SELECT d.* FROM range(1, 2) r, LATERAL described(r.id, rand()) d")
    assert "'1': None} ['bigint', 'double'] [False, False]" in beside.columns[1]

    def refused(result: Any) -> Any:
        return F.udtf(type("Bad", (), {"analyze": staticmethod(lambda *args: result), "eval": lambda self, *args: None}))

    schema = t.StructType().add("x", "int")
    table = pairs.table("pairs").asTable()
    wrong: list[tuple[str, Any]] = [
        (r"FAILED_TO_ANALYZE_IN_PYTHON(.|\n)*ValueError: a table", lambda: pairs.sql("SELECT * FROM firsts(1, 2)")),
        (r"did not match the expected signature.*missing a required argument", lambda: pairs.sql("SELECT * FROM firsts(TABLE(pairs))")),
        (r"REQUIRED_METADATA_INCOMPATIBLE", lambda: pairs.sql("SELECT * FROM firsts(TABLE(pairs) PARTITION BY (v), 1)")),
        (r"an AnalyzeResult, and gave a value of type int", lambda: refused(3)()),
        (r"'schema' that is a StructType", lambda: refused(u.AnalyzeResult(t.IntegerType()))()),
        (r"'partitionBy' that is no list", lambda: refused(u.AnalyzeResult(schema, partitionBy=["k"]))(table)),
        (r"did not provide any table", lambda: refused(u.AnalyzeResult(schema, withSinglePartition=True))()),
        (r"'orderBy' without", lambda: refused(u.AnalyzeResult(schema, orderBy=[u.OrderingColumn("k")]))(table)),
        (r"give it an alias", lambda: refused(u.AnalyzeResult(schema, select=[u.SelectedColumn("k + 1")]))(table)),
    ]
    for message, use in wrong:
        with pytest.raises(AnalysisException, match=message):
            use()


def test_rows_and_batches(pairs: Session) -> None:
    def made(returns: str, **methods: Any) -> list[Any]:
        return F.udtf(type("Made", (), methods), returnType=returns)().collect()

    assert made("a int", eval=lambda self: [None, 1, (2,), [3], {"a": 4}]) == [(None,), (1,), (2,), (3,), (4,)]
    assert made("a array<int>, m map<string,int>", eval=lambda self: [([1], {"k": 2})]) == [([1], {"k": 2})]
    assert made("a int", eval=lambda self: None, terminate=lambda self: [(5,)]) == [(5,)]
    assert len(made("a int", eval=lambda self: range(25_000))) == 25_000
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("UDTF_RETURN_NOT_ITERABLE.*'eval'.*'int'", {"eval": lambda self: 1}),
        ("UDTF_RETURN_SCHEMA_MISMATCH.*count: 1, Actual column count: 2", {"eval": lambda self: [(1, 2)]}),
        ("column `a` 'x' of type str.*expected int", {"eval": lambda self: ["x"]}),
        ("`Made.terminate` raised ZeroDivisionError", {"eval": lambda self: None, "terminate": lambda self: 1 // 0}),
        ("`Made.cleanup` raised ZeroDivisionError", {"eval": lambda self: None, "cleanup": lambda self: 1 // 0}),
        ("`Made.__init__` raised ZeroDivisionError", {"eval": lambda self: None, "__init__": lambda self: 1 // 0}),
    ]
    for message, methods in wrong:
        with pytest.raises(PythonException, match=message):
            made("a int", **methods)

    class Sizes:
        def __init__(self) -> None:
            self.n = 0

        def eval(self, batch: pa.RecordBatch, times: pa.Array) -> None:
            self.n += batch.num_rows * times[0].as_py()

        def terminate(self) -> Iterator[pa.Table]:
            yield pa.table({"n": [self.n]})

    class Doubled:
        def eval(self, x: pa.Array) -> Iterator[pa.RecordBatch]:
            yield pa.record_batch({"n": [2 * each.as_py() for each in x]})

    pairs.udtf.register("sizes", F.arrow_udtf(Sizes, returnType="n bigint"))
    pairs.udtf.register("doubled", F.arrow_udtf(returnType="n bigint")(Doubled))
    assert sorted(pairs.sql("SELECT * FROM sizes(TABLE(pairs) PARTITION BY k, times => 10)").collect()) == [(10,), (20,), (20,)]
    assert pairs.sql("SELECT * FROM doubled(21)").collect() == [(42,)]
    with pytest.raises(AnalysisException, match="LATERAL_JOIN_WITH_ARROW_UDTF_UNSUPPORTED"):
        pairs.sql("SELECT * FROM range(3) r, LATERAL doubled(r.id)")
    refused: list[tuple[str, dict[str, Any], str | None]] = [
        ("INVALID_UDTF_NO_EVAL", {}, "a int"),
        ("INVALID_UDTF_RETURN_TYPE", {"eval": len}, None),
        ("INVALID_UDTF_BOTH_RETURN_TYPE_AND_ANALYZE", {"eval": len, "analyze": staticmethod(len)}, "a int"),
    ]
    for message, methods, returns in refused:
        with pytest.raises(PySparkAttributeError, match=message):
            F.udtf(type("Bad", (), methods), returnType=returns)
    with pytest.raises(PySparkException, match="INVALID_ARROW_UDTF_WITH_ANALYZE"):
        F.arrow_udtf(type("Bad", (), {"eval": len, "analyze": staticmethod(len)}))


def test_arguments_that_eval_does_not_take_are_told_by_the_driver(spark: Session) -> None:
    class Sum:
        def eval(self, a: int, b: int = 5) -> Iterator[tuple[int]]:
            yield (a + b,)

    spark.udtf.register("sums", F.udtf(Sum, returnType="x int"))
    assert texts(spark, "SELECT * FROM sums(b => 1, a => 7)") == texts(spark, "SELECT * FROM sums(3)") == [8]
    wrong = {
        "": "missing a required argument: 'a'",
        "1, 2, 3": "too many positional",
        "1, c => 2": "unexpected",
        "1, a => 1": "multiple values",
    }
    for given, problem in wrong.items():
        with pytest.raises(AnalysisException, match=f"UDTF_EVAL_METHOD_ARGUMENTS_DO_NOT_MATCH_SIGNATURE.*'sums'.*{problem}"):
            spark.sql(f"SELECT * FROM sums({given})")
