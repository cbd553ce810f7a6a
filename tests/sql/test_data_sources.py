"""Data sources that a program registers: what readers and writers are told, what they may give, and what they do wrong."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from quiver.sql import Row, Session
from quiver.sql import datasource as d
from quiver.sql import functions as F
from quiver.sql.errors import AnalysisException, PySparkException, PySparkTypeError, PythonException
from quiver.sql.types import StructType


def source(read: Callable[[Any], Any], columns: Any = "a int, b string", **methods: Any) -> type[d.DataSource]:
    """One that is called `mine`, of columns and a reader with these methods."""
    reader = type("MineReader", (d.DataSourceReader,), {"read": lambda self, part: read(part), **methods})
    given = {"name": classmethod(lambda cls: "Mine"), "schema": lambda self: columns, "reader": lambda self, schema: reader()}
    return type("Mine", (d.DataSource,), given)


def test_reading(spark: Session, tmp_path: Path) -> None:
    log = tmp_path / "asked"

    class Part(d.InputPartition):
        def __init__(self, first: int, last: int) -> None:
            self.first, self.last = first, last

    class Reader(d.DataSourceReader):
        def __init__(self, options: Any, schema: StructType) -> None:
            self.options, self.schema, self.least = options, schema, 0

        def pushFilters(self, filters: list[d.Filter]) -> Iterator[d.Filter]:
            log.write_bytes(pickle.dumps(list(filters)))
            for each in filters:
                if isinstance(each, d.GreaterThan) and each.attribute == ("n",):
                    self.least = each.value + 1
                else:
                    yield each

        def partitions(self) -> list[d.InputPartition]:
            return [Part(0, 3), Part(3, int(self.options["Last"]))]

        def read(self, partition: Any) -> Iterator[Any]:
            for n in range(max(self.least, partition.first), partition.last):
                yield n, f"t{n}", (n, [n]), {"k": n}

    class Numbers(d.DataSource):
        def schema(self) -> str:
            return "n int, t string, s struct<x:int,l:array<int>>, m map<string,int>"

        def reader(self, schema: StructType) -> d.DataSourceReader:
            return Reader(self.options, schema)

    spark.dataSource.register(Numbers)
    df = spark.read.format("numbers").option("LAST", 5).load()
    assert df.rdd.getNumPartitions() == 2
    assert df.orderBy("n").collect()[4] == Row(n=4, t="t4", s=Row(x=4, l=[4]), m={"k": 4})
    assert df.join(df.select("n", F.col("t").alias("u")), "n").where("u = 't1'").select("n").collect() == [Row(n=1)]
    told: dict[str, list[d.Filter]] = {
        "n = 1L": [d.EqualTo(("n",), 1)], "1 < n": [d.GreaterThan(("n",), 1)], "n <> 1": [d.Not(d.EqualTo(("n",), 1))],
        "n <=> 1": [d.EqualNullSafe(("n",), 1)], "n IN (1, 2) AND t IS NOT NULL": [d.In(("n",), (1, 2)), d.IsNotNull(("t",))],
        "n BETWEEN 1 AND 2": [d.GreaterThanOrEqual(("n",), 1), d.LessThanOrEqual(("n",), 2)], "NOT n IS NULL": [d.IsNotNull(("n",))],
        "NOT n > 1": [d.LessThanOrEqual(("n",), 1)],
        "NOT t LIKE '%2'": [d.Not(d.StringEndsWith(("t",), "2"))], "NOT n IN (1)": [d.Not(d.In(("n",), (1,)))],
        "t LIKE 't%'": [d.StringStartsWith(("t",), "t")], "t LIKE '%1'": [d.StringEndsWith(("t",), "1")],
        "t LIKE '%1%'": [d.StringContains(("t",), "1")], "s.x > 2 AND n % 2 = 1": [d.GreaterThan(("s", "x"), 2)],
        "n > 1 AND (n = 3 OR t = 't2')": [d.GreaterThan(("n",), 1)],
    }  # fmt: skip
    for condition, filters in told.items():
        found = sorted(row.n for row in df.where(condition).collect())
        assert found == sorted(row.n for row in spark.createDataFrame(df.collect(), df.schema).where(condition).collect()), condition
        given = pickle.loads(log.read_bytes())
        assert [each for each in given if each in filters] == filters
        assert all(isinstance(each, d.IsNotNull) for each in given if each not in filters)
    log.unlink()
    for condition in ("n = 1 OR n = 2", "n < 2.5", "t LIKE 't%1'", "n + 1 = 2", "n = length(t)"):
        df.where(condition).collect()
    assert not log.exists()
    spark.sql("CREATE TEMP VIEW seen USING numbers OPTIONS (last '4')")
    spark.sql("CREATE TABLE stored USING numbers OPTIONS (last '7')")
    assert spark.sql("SELECT count(*), (SELECT sum(n) FROM stored) FROM seen").collect() == [(4, 21)]
    spark.sql("DROP TABLE stored")
    with pytest.raises(AnalysisException, match=r"DATA_SOURCE_NOT_FOUND.*numbers"):
        spark.newSession().read.format("numbers").load()


def test_what_readers_may_give(spark: Session) -> None:
    def rows(made: type[d.DataSource]) -> list[Any]:
        spark.dataSource.register(made)
        return spark.read.format("mine").load().collect()

    batch = pa.record_batch({"b": ["x", None], "a": pa.array([1, 2], pa.int32())})
    assert rows(source(lambda part: iter([batch, batch]))) == [(1, "x"), (2, None)] * 2
    assert rows(source(lambda part: iter([Row(b="x", a=1), [2, None]]))) == [(1, "x"), (2, None)]
    assert rows(source(lambda part: iter([]))) == []
    assert rows(source(lambda part: iter([(part.value, "")]), partitions=lambda self: [])) == [(None, "")]
    wrong: dict[str, type[d.DataSource]] = {
        r"DATA_SOURCE_INVALID_RETURN_TYPE.*'list'.*'Mine'.*an iterator": source(lambda part: [(1, "x")]),
        r"DATA_SOURCE_INVALID_RETURN_TYPE.*'int'.*tuple": source(lambda part: iter([1])),
        r"DATA_SOURCE_INVALID_RETURN_TYPE.*column `a` 'x'.*expected int.*\(a='x', b='y'\)": source(
            lambda part: iter([(1, ""), ("x", "y")])
        ),
        r"DATA_SOURCE_RETURN_SCHEMA_MISMATCH.*2 columns, Found: 1": source(lambda part: iter([(1,)])),
        r"DATA_SOURCE_RETURN_SCHEMA_MISMATCH.*\['a', 'b'\].*\['c', 'd'\]": source(lambda part: iter([Row(c=1, d=2)])),
        r"DATA_SOURCE_RETURN_SCHEMA_MISMATCH(.|\n)*int64": source(lambda part: iter([pa.record_batch({"a": [1], "b": ["x"]})])),
        r"`Mine.read` raised ZeroDivisionError.*\(partition=InputPartition\(value=None\)\)": source(lambda part: 1 // 0),
        r"PYTHON_DATA_SOURCE_ERROR.*plan.*'partitions' to return a list, got 'tuple'": source(iter, partitions=lambda self: ()),
        r"PYTHON_DATA_SOURCE_ERROR.*'InputPartition', got 'int'": source(iter, partitions=lambda self: [1]),
        r"PYTHON_DATA_SOURCE_ERROR.*create.*Mine: schema\(\): (.|\n)*schema is not implemented": type("Mine", (d.DataSource,), {}),
        r"INVALID_SCHEMA.NON_STRUCT_TYPE": source(iter, 5),
    }
    for message, made in wrong.items():
        with pytest.raises(PySparkException, match=message):
            rows(made)
    spark.dataSource.register(source(lambda part: iter([(1, "x")]), pushFilters=lambda self, filters: [d.IsNull(("a",))]))
    with pytest.raises(AnalysisException, match=r"not among those it was given"):
        spark.read.format("mine").load().where("a = 1").collect()
    with pytest.raises(PySparkTypeError, match=r"subclass of DataSource"):
        spark.dataSource.register(int)
    with pytest.raises(PySparkTypeError, match=r"classmethod"):
        spark.dataSource.register(type("Plain", (d.DataSource,), {"name": lambda self: "plain"}))
    with pytest.raises(AnalysisException, match=r"DATA_SOURCE_ALREADY_EXISTS.*'JSON'"):
        spark.dataSource.register(type("JSON", (d.DataSource,), {}))


def test_writing(spark: Session, tmp_path: Path) -> None:
    log = tmp_path / "log"
    killed = tmp_path / "killed"
    can_die = not spark.sparkContext.master.startswith("inline")

    class Told(d.WriterCommitMessage):
        def __init__(self, rows: list[int]) -> None:
            self.rows = rows

    class Writer(d.DataSourceWriter):
        def __init__(self, options: Any, overwrite: bool) -> None:
            self.options, self.overwrite = dict(options), overwrite

        def write(self, iterator: Iterator[Any]) -> Any:
            rows = [row.n for row in iterator]
            if 13 in rows:
                raise ValueError("unlucky")
            if can_die and 5 in rows and not killed.exists():
                killed.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return Told(rows)

        def commit(self, messages: Any) -> None:
            with log.open("a") as file:
                file.write(f"commit {[each.rows for each in messages]} {self.overwrite} {self.options}\n")
            if "fail" in self.options:
                raise OSError("the disk is full")

        def abort(self, messages: Any) -> None:
            with log.open("a") as file:
                file.write(f"abort {[each and each.rows for each in messages]}\n")

    class Batches(d.DataSourceArrowWriter):
        def write(self, iterator: Iterator[pa.RecordBatch]) -> Any:
            log.write_text(str(sum(batch.num_rows for batch in iterator)))
            return None if log.read_text() == "1" else Told([])

    class Sink(d.DataSource):
        def writer(self, schema: StructType, overwrite: bool) -> d.DataSourceWriter:
            return Batches() if "arrow" in self.options else Writer(self.options, overwrite)

    def logged() -> str:
        text = log.read_text()
        log.unlink()
        return text

    spark.dataSource.register(Sink)
    df = spark.range(4, 8, numPartitions=2).withColumnRenamed("id", "n")
    df.write.format("SINK").mode("overwrite").option("Some", "x").save("place")
    assert logged() == "commit [[4, 5], [6, 7]] True {'some': 'x', 'path': 'place'}\n"
    assert killed.exists() == can_die
    df.limit(0).write.format("sink").mode("append").save()
    assert logged().endswith("] False {}\n")
    with pytest.raises(PythonException, match=r"`Sink.write` raised ValueError: unlucky, in partition 0"):
        spark.range(12, 16, numPartitions=2).withColumnRenamed("id", "n").write.format("sink").mode("append").save()
    assert logged() in ("abort [None, None]\n", "abort [None, [14, 15]]\n")
    with pytest.raises(AnalysisException, match=r"PYTHON_DATA_SOURCE_ERROR.*Sink: commit\(\): OSError: the disk is full"):
        df.write.format("sink").mode("append").option("fail", True).save()
    assert logged() == "commit [[4, 5], [6, 7]] False {'fail': 'true'}\nabort [[4, 5], [6, 7]]\n"
    df.coalesce(1).write.format("sink").mode("append").option("arrow", 1).save()
    assert logged() == "4"
    with pytest.raises(PySparkException, match=r"'WriterCommitMessage' as the return type"):
        df.limit(1).write.format("sink").mode("append").option("arrow", 1).save()
    for mode in ("error", "ignore"):
        with pytest.raises(AnalysisException, match=r"UNSUPPORTED_DATA_SOURCE_SAVE_MODE"):
            df.write.format("sink").mode(mode).save()


def test_writes_that_are_planned_anew_and_aborts_that_fail(spark: Session, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log, tried = tmp_path / "log", tmp_path / "tried"

    class Told(d.WriterCommitMessage):
        def __init__(self, rows: list[int]) -> None:
            self.rows = rows

    class Writer(d.DataSourceWriter):
        def __init__(self, fails: str) -> None:
            self.fails, self.number = fails, len(list(tmp_path.glob("writer*")))
            (tmp_path / f"writer{self.number}").touch()

        def write(self, iterator: Iterator[Any]) -> Any:
            rows = [row.id for row in iterator]
            if self.fails == "message":
                return Told([signal, threading.Lock()])
            return Told(rows)

        def commit(self, messages: Any) -> None:
            with log.open("a") as file:
                file.write(f"{self.number} commit {sorted(row for each in messages for row in each.rows)}\n")

        def abort(self, messages: Any) -> None:
            with log.open("a") as file:
                file.write(f"{self.number} abort {[each and each.rows for each in messages]}\n")
            if self.fails:
                raise OSError("no way back")

    class Again(d.DataSource):
        def writer(self, schema: StructType, overwrite: bool) -> d.DataSourceWriter:
            return Writer(self.options.get("fails", ""))

    def much(n: int) -> int:
        """The first time that they are asked for, so long texts that no memory has room for all of them."""
        if n < 8 or tried.exists():
            return 1
        if n == 15:
            tried.touch()
        return 2_000_000_000

    spark.dataSource.register(Again)
    longer = F.length(F.repeat(F.lit("a"), F.udf(much, "int").asNondeterministic()("id")))
    rows = spark.range(16, numPartitions=2).withColumn("many", longer)
    rows.write.format("again").mode("append").save()
    given_up, committed = log.read_text().splitlines()
    first = f"0 abort [{list(range(8))}, None]"
    assert given_up in (("0 abort [None, None]", first) if spark.sparkContext.master != "inline" else (first,))
    assert committed == f"1 commit {list(range(16))}"
    with pytest.raises(PythonException, match=r"`Again.write` returned a message that can't be pickled") as raised:
        rows.write.format("again").mode("append").option("fails", "message").save()
    assert raised.value.__notes__[-1] == "abort() of Python data source Again failed too: OSError: no way back"
    assert "no way back" in caplog.text
    assert log.read_text().count("2 abort") == 1


def test_tables(spark: Session, tmp_path: Path) -> None:
    class Kept(d.WriterCommitMessage):
        def __init__(self, rows: list[Any]) -> None:
            self.rows = rows

    class Store(d.DataSourceReader, d.DataSourceWriter):
        """Rows in one file, whose name is an option."""

        def __init__(self, options: Any, overwrite: bool = False) -> None:
            self.file, self.overwrite = tmp_path / options["at"], overwrite

        def read(self, partition: d.InputPartition) -> Iterator[Any]:
            yield from pickle.loads(self.file.read_bytes())

        def write(self, iterator: Iterator[Any]) -> Any:
            return Kept([tuple(row) for row in iterator])

        def commit(self, messages: Any) -> None:
            before = [] if self.overwrite or not self.file.exists() else pickle.loads(self.file.read_bytes())
            self.file.write_bytes(pickle.dumps([*before, *(row for each in messages for row in each.rows)]))

    class Shelf(d.DataSource):
        def reader(self, schema: StructType) -> d.DataSourceReader:
            return Store(self.options)

        def writer(self, schema: StructType, overwrite: bool) -> d.DataSourceWriter:
            return Store(self.options, overwrite)

    def rows(table: str) -> list[Any]:
        return sorted(spark.table(table).collect(), key=str)

    spark.dataSource.register(Shelf)
    df = spark.createDataFrame([(1, "x")], "n int, t string")
    df.write.format("shelf").option("at", "one").saveAsTable("kept")
    spark.sql("INSERT INTO kept (t, n) VALUES ('y', 2)")
    df.selectExpr("3 AS a", "'z' AS b").write.insertInto("kept")
    df.selectExpr("'w' AS t", "4 AS n").write.format("shelf").mode("append").saveAsTable("kept")
    assert rows("kept") == [(1, "x"), (2, "y"), (3, "z"), (4, "w")]
    spark.sql("INSERT OVERWRITE kept SELECT n + 10, t FROM kept WHERE n < 3")
    assert rows("kept") == [(11, "x"), (12, "y")]
    for wrong in ("INSERT INTO kept SELECT 1", "INSERT INTO kept SELECT array(1), 'x'", "CREATE TABLE kept USING shelf AS SELECT 1 AS n"):
        with pytest.raises(AnalysisException, match=r"ARITY|CANNOT_SAFELY_CAST|ALREADY_EXISTS"):
            spark.sql(wrong)
    failing = df.select(F.udf(lambda n: n // 0, "int")("n").alias("n"))
    with pytest.raises(PythonException, match="ZeroDivisionError"):
        failing.write.format("shelf").option("at", "none").saveAsTable("none")
    assert not spark.catalog.tableExists("none")
    with pytest.raises(AnalysisException, match="no partitionBy"):
        df.write.format("shelf").option("at", "none").partitionBy("n").saveAsTable("none")
    spark.sql("CREATE OR REPLACE TABLE kept USING shelf OPTIONS (at 'two') AS SELECT 5 AS m")
    assert (rows("kept"), spark.table("kept").columns) == ([(5,)], ["m"])
    spark.sql("DROP TABLE kept")
