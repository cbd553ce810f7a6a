"""Tables of the catalog as targets: made, added to by name or position, overwritten, dealt into buckets and partitions."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from quiver.callsite import capture
from quiver.sql import Session
from quiver.sql import functions as F
from quiver.sql import types as t
from quiver.sql.errors import AnalysisException, QueryExecutionException
from quiver.sql.table_writes import TableSpec, can_store, create_as, insert_into
from quiver.sql.tree import expressions as e
from quiver_proto.commit_journal import Moves
from quiver_proto.committing import OutputJob
from quiver_proto.filesystems import FileSystem


@pytest.fixture(autouse=True)
def warehouse(spark: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A database of the test's own."""
    spark.catalog.createDatabase("w", properties={"location": str(tmp_path / "w")})
    spark.catalog.setCurrentDatabase("w")
    yield tmp_path / "w"
    spark.catalog.dropDatabase("w", cascade=True)


def rows(spark: Session, name: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in spark.table(name).collect()), key=str)


def test_made_listed_added_to_and_dropped(spark: Session, warehouse: Path) -> None:
    df = spark.createDataFrame([(1, "a")], "i int, s string")
    df.write.saveAsTable("t")
    assert [(x.name, x.namespace, x.tableType) for x in spark.catalog.listTables() if not x.isTemporary] == [("t", ["w"], "MANAGED")]
    assert next(name for name in os.listdir(warehouse / "t") if name != "_SUCCESS").startswith("part-00000-")
    with pytest.raises(AnalysisException, match=r"TABLE_OR_VIEW_ALREADY_EXISTS\] .*`spark_catalog`.`w`.`t`"):
        df.write.saveAsTable("w.T")
    df.write.mode("ignore").saveAsTable("t")
    df.select("s", "i").write.mode("append").saveAsTable("t")
    assert rows(spark, "t") == [(1, "a"), (1, "a")]
    df.select(F.lit(2).alias("x")).write.format("csv").option("header", True).mode("overwrite").saveAsTable("t")
    assert (rows(spark, "t"), spark.table("t").dtypes) == ([(2,)], [("x", "int")])
    spark.table("t").write.saveAsTable("copy")
    spark.catalog.dropTable("t")
    assert (spark.catalog.tableExists("t"), (warehouse / "t").exists()) == (False, False)
    assert rows(spark, "copy") == [(2,)]


@pytest.mark.parametrize("kind", ["parquet", "csv", "json", "arrow"])
def test_partitioned(spark: Session, warehouse: Path, kind: str) -> None:
    df = spark.createDataFrame([("x", 1, 1.5), ("y", 2, 2.5)], "k string, i int, d double")
    df.write.partitionBy("k").format(kind).saveAsTable("t")
    assert spark.table("t").columns == ["i", "d", "k"]
    assert [column.name for column in spark.catalog.listColumns("t") if column.isPartition] == ["k"]
    spark.sql("SELECT 3 AS a, 3.5D AS b, 'x' AS c").write.insertInto("t")
    assert rows(spark, "t") == [(1, 1.5, "x"), (2, 2.5, "y"), (3, 3.5, "x")]
    new = spark.sql("SELECT 4 AS a, 4.5D AS b, 'x' AS c")
    spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
    try:
        new.write.insertInto("t", overwrite=True)
    finally:
        spark.conf.unset("spark.sql.sources.partitionOverwriteMode")
    assert rows(spark, "t") == [(2, 2.5, "y"), (4, 4.5, "x")]
    new.write.insertInto("t", overwrite=True)
    assert rows(spark, "t") == [(4, 4.5, "x")]
    spark.table("t").select("k", "d", "i").writeTo("t").overwritePartitions()
    assert rows(spark, "t") == [(4, 4.5, "x")]


def test_what_statements_call(spark: Session, warehouse: Path) -> None:
    df = spark.createDataFrame([(1, "a", 1), (2, "b", 2)], "i int, s string, k int")
    site = capture()
    saved = create_as(spark, ("t",), df._relation, TableSpec("parquet", {}, ("k",)), "error", site)
    assert (saved.files, saved.rows, saved.partitions) == (2, 2, ("k=1", "k=2"))
    one = spark.sql("SELECT 9L AS i")
    insert_into(spark, ("t",), one._relation, site, columns=["I"], partition={"K": e.Literal("3", t.StringType())})
    assert rows(spark, "t") == [(1, "a", 1), (2, "b", 2), (9, None, 3)]
    two = spark.sql("SELECT 7 AS i, 'z' AS s")
    insert_into(spark, ("t",), two._relation, site, partition={"k": e.Literal(1, t.IntegerType())}, overwrite=True)
    assert rows(spark, "t") == [(2, "b", 2), (7, "z", 1), (9, None, 3)]
    # No row comes, but the partition is emptied.
    insert_into(spark, ("t",), two.where("false")._relation, site, partition={"k": e.Literal(1, t.IntegerType())}, overwrite=True)
    assert rows(spark, "t") == [(2, "b", 2), (9, None, 3)]
    insert_into(spark, ("t",), df.where("i = 1")._relation, site, partition={"k": None}, overwrite=True)
    assert rows(spark, "t") == [(1, "a", 1)]


def test_buckets(spark: Session, warehouse: Path) -> None:
    df = spark.range(100).selectExpr("id", "concat('s', id % 10) AS s", "-id AS n")
    df.write.bucketBy(4, "s").sortBy("n").saveAsTable("t")
    files = sorted(file for file in os.listdir(warehouse / "t") if file.startswith("part-"))
    numbers = [int(file.split("_")[1][:5]) for file in files]
    assert all(file.endswith(f"_{number:05d}.c000.snappy.parquet") for file, number in zip(files, numbers))
    wanted = {row.s: row.b for row in df.selectExpr("s", "pmod(hash(s), 4) AS b").collect()}
    for file, number in zip(files, numbers):
        table = pq.ParquetFile(warehouse / "t" / file).read()
        assert {wanted[s] for s in table.column("s").to_pylist()} == {number}
        assert table.column("n").to_pylist() == sorted(table.column("n").to_pylist())
    df.write.mode("append").bucketBy(4, "s").sortBy("n").saveAsTable("t")
    df.write.insertInto("t")
    assert all("_0000" in file for file in os.listdir(warehouse / "t") if file.startswith("part-"))
    assert spark.table("t").count() == 300
    assert [column.name for column in spark.catalog.listColumns("t") if column.isBucket] == ["s"]
    with pytest.raises(AnalysisException, match="bucketing does not match"):
        df.write.mode("append").bucketBy(8, "s").saveAsTable("t")


def test_external_tables_keep_their_files(spark: Session, tmp_path: Path) -> None:
    spark.range(3).write.option("path", str(tmp_path / "ext")).saveAsTable("t")
    assert spark.catalog.getTable("t").tableType == "EXTERNAL"
    spark.range(3).write.mode("append").saveAsTable("t")
    spark.catalog.dropTable("t")
    assert spark.read.parquet(str(tmp_path / "ext")).count() == 6
    with pytest.raises(AnalysisException, match="LOCATION_ALREADY_EXISTS"):
        spark.range(3).write.saveAsTable("t", path=str(tmp_path / "ext"))


def test_write_to(spark: Session, warehouse: Path) -> None:
    df = spark.createDataFrame([(1, 1), (2, 2)], "v int, k int")
    df.writeTo("t").using("parquet").partitionedBy("k").tableProperty("owner", "me").create()
    assert (spark.catalog.getTableProperties("t"), sorted(os.listdir(warehouse / "t"))) == ({"owner": "me"}, ["_SUCCESS", "k=1", "k=2"])
    df.selectExpr("k", "v + 10 AS v").where("k = 2").writeTo("t").overwritePartitions()
    assert rows(spark, "t") == [(1, 1), (12, 2)]
    df.where("k = 1").writeTo("t").overwrite(F.lit(True))
    df.writeTo("t").append()
    assert rows(spark, "t") == [(1, 1), (1, 1), (2, 2)]
    with pytest.raises(AnalysisException, match="UNSUPPORTED_OVERWRITE"):
        df.writeTo("t").overwrite(F.col("k") == 1)
    df.select("v").writeTo("t").replace()
    assert rows(spark, "t") == [(1,), (2,)]
    with pytest.raises(AnalysisException, match="TABLE_OR_VIEW_NOT_FOUND"):
        df.writeTo("none").append()


def test_errors_leave_the_table(spark: Session, warehouse: Path) -> None:
    df = spark.createDataFrame([(1, "a")], "i int, s string")
    df.write.saveAsTable("t")
    df.createOrReplaceTempView("v")
    cases: list[tuple[str, Callable[[], Any]]] = [
        ("Cannot resolve 's' given input columns", lambda: df.selectExpr("i", "1 AS x").write.mode("append").saveAsTable("t")),
        ("column number of the existing table", lambda: df.select("i").write.mode("append").saveAsTable("t")),
        ("The format of the existing table .* `parquet`", lambda: df.write.format("json").mode("append").saveAsTable("t")),
        ("TOO_MANY_DATA_COLUMNS.*too many", lambda: df.selectExpr("*", "1").write.insertInto("t")),
        ("NOT_ENOUGH_DATA_COLUMNS", lambda: df.select("i").write.insertInto("t")),
        ('CANNOT_SAFELY_CAST.*`i` "STRING" to "INT"', lambda: df.select("s", "i").write.insertInto("t")),
        ("UNSUPPORTED_OVERWRITE.TABLE.*`w`.`t`", lambda: spark.table("t").write.mode("overwrite").saveAsTable("t")),
        ("UNSUPPORTED_OVERWRITE.TABLE", lambda: spark.table("t").write.insertInto("t", overwrite=True)),
        ("PARTITION_BY_NOT_ALLOWED_WITH_INSERT_INTO", lambda: df.write.partitionBy("s").insertInto("t")),
        ("TABLE_OR_VIEW_NOT_FOUND", lambda: df.write.insertInto("nowhere")),
        ("UNSUPPORTED_INSERT", lambda: df.write.insertInto("v")),
        ("SCHEMA_NOT_FOUND", lambda: df.write.saveAsTable("nodb.t")),
        ("bucket column `zz` is not defined", lambda: df.write.bucketBy(2, "zz").saveAsTable("u")),
        ("should not be part of partition columns", lambda: df.write.partitionBy("s").bucketBy(2, "s").saveAsTable("u")),
        ("COLUMN_ALREADY_EXISTS", lambda: df.selectExpr("i", "i AS I").write.saveAsTable("u")),
        ("DIVIDE_BY_ZERO", lambda: df.selectExpr("1 DIV (i - 1) AS x").write.saveAsTable("u")),
        ("DIVIDE_BY_ZERO", lambda: df.selectExpr("1 DIV (i - 1) AS x").write.mode("overwrite").saveAsTable("t")),
    ]
    for message, write in cases:
        with pytest.raises(Exception, match=message):
            write()
    assert rows(spark, "t") == [(1, "a")]
    assert sorted(os.listdir(warehouse)) == ["t"]
    shutil.copytree(warehouse / "t", warehouse / "u")
    with pytest.raises(AnalysisException, match="LOCATION_ALREADY_EXISTS"):
        df.write.saveAsTable("u")


def test_store_assignment() -> None:
    array, struct = t.ArrayType(t.IntegerType()), t.StructType([t.StructField("a", t.IntegerType())])
    for value, column, allowed in (
        (t.NullType(), array, True),
        (array, t.ArrayType(t.LongType()), True),
        (struct, t.StructType([t.StructField("b", t.StringType())]), True),
        (t.BooleanType(), t.IntegerType(), False),
        (t.DateType(), t.TimestampType(), True),
        (t.TimestampType(), t.LongType(), False),
        (t.MapType(t.IntegerType(), t.IntegerType()), t.MapType(t.LongType(), t.StringType()), True),
        (array, t.StringType(), False),
    ):
        assert can_store(value, column) is allowed, (value, column)


def test_a_folder_of_others_is_neither_read_nor_removed(spark: Session, warehouse: Path) -> None:
    spark.range(5).write.parquet(str(warehouse / "sales"))
    (warehouse / "notes").mkdir()
    (warehouse / "notes" / ".keep").touch()
    (warehouse / "file").write_text("mine")
    for name in ("sales", "notes", "file"):
        for rest in ("(id bigint)", "AS SELECT 1L AS id", "USING csv AS SELECT 1L AS id"):
            with pytest.raises(AnalysisException, match=f"LOCATION_ALREADY_EXISTS.*`{name}`"):
                spark.sql(f"CREATE TABLE {name} {rest}")
        with pytest.raises(AnalysisException, match="LOCATION_ALREADY_EXISTS"):
            spark.catalog.createTable(name, schema=spark.range(1).schema)
        with pytest.raises(AnalysisException, match="LOCATION_ALREADY_EXISTS"):
            spark.range(1).write.mode("overwrite").saveAsTable(name)
        assert not spark.catalog.tableExists(name)
    spark.sql(f"CREATE TABLE outside (id bigint) USING parquet LOCATION '{warehouse / 'sales'}'")
    assert spark.table("outside").count() == 5
    spark.sql("DROP TABLE outside")
    assert (spark.read.parquet(str(warehouse / "sales")).count(), (warehouse / "notes/.keep").exists()) == (5, True)
    (warehouse / "empty").mkdir()
    spark.sql("CREATE OR REPLACE TABLE empty (id bigint)")
    spark.sql("INSERT INTO empty VALUES (1)")
    spark.sql("CREATE OR REPLACE TABLE empty (id bigint)")
    assert rows(spark, "empty") == []


def test_what_a_killed_driver_leaves_is_no_folder_of_others(spark: Session, warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    move = OutputJob._move

    def moving(system: FileSystem, staging: str, moves: Moves, done: Moves) -> None:
        last = moves.files.pop()
        move(system, staging, moves, done)
        for name in ("managed", "listed", "outside"):
            shutil.copytree(warehouse / "whole", warehouse / name)  # A copy has no lock, as when the driver is dead.
        system.rename(*last)

    with monkeypatch.context() as patch:
        patch.setattr(OutputJob, "_move", staticmethod(moving))
        spark.range(3).write.saveAsTable("whole")
    spark.range(5).write.saveAsTable("managed")
    spark.sql("CREATE TABLE listed (id BIGINT)")
    spark.range(7).write.option("path", str(warehouse / "outside")).saveAsTable("outside")
    assert [spark.table(name).count() for name in ("whole", "managed", "listed", "outside")] == [3, 5, 0, 7]


def test_a_renamed_table_takes_its_folder_along(spark: Session, warehouse: Path) -> None:
    spark.sql("CREATE TABLE t AS SELECT 1 AS i")
    (warehouse / "taken").mkdir()
    (warehouse / "taken" / "x").touch()
    with pytest.raises(AnalysisException, match="LOCATION_ALREADY_EXISTS"):
        spark.sql("ALTER TABLE t RENAME TO taken")
    spark.sql("ALTER TABLE t RENAME TO u")
    spark.sql("CREATE TABLE t AS SELECT 2 AS i")
    spark.sql("DROP TABLE t")
    assert (rows(spark, "u"), (warehouse / "t").exists()) == ([(1,)], False)
    spark.sql("DROP TABLE u")
    assert not (warehouse / "u").exists()


def test_folders_that_cannot_be_made(spark: Session, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    spark.sql(f"CREATE DATABASE blocked LOCATION '{tmp_path / 'file'}'")
    for name, problem in (("n" * 300, "File name too long"), ("blocked.f", "Not a directory")):
        for rest in ("(id bigint)", "AS SELECT 1 AS id"):
            with pytest.raises(QueryExecutionException, match=f"Unable to create table .*: {problem}"):
                spark.sql(f"CREATE TABLE {name} {rest}")
        assert not spark.catalog.tableExists(name)
    spark.sql("DROP DATABASE blocked CASCADE")
