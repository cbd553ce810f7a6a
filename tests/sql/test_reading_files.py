"""Typed files (Parquet, Arrow): which are read, what their columns become when files differ, and which file is blamed."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from quiver.sql import Session
from quiver.sql import functions as F
from quiver.sql.errors import AnalysisException, IllegalArgumentException, SparkRuntimeException
from quiver.sql.kernel_errors import spark_errors
from quiver_proto.errors import FileUnreadable
from quiver_proto.kernel_faults import panics_told


def write(path: Path, **columns: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def test_columns_that_some_files_lack_are_null_and_widen(spark: Session, tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", a=pa.array([1], pa.int32()), b=["x"])
    write(tmp_path / "2.parquet", a=pa.array([2], pa.int64()), c=[1.5])
    merged = spark.read.parquet(str(tmp_path), mergeSchema=True)
    assert merged.dtypes == [("a", "bigint"), ("b", "string"), ("c", "double")]
    assert sorted(map(tuple, merged.collect())) == [(1, "x", None), (2, None, 1.5)]
    asked = spark.read.schema("A bigint, nothing date").parquet(str(tmp_path))
    assert sorted(map(tuple, asked.collect())) == [(1, None), (2, None)]


def test_a_file_of_other_types_is_named_with_the_column(spark: Session, tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", a=pa.array([1], pa.int32()))
    write(tmp_path / "2.parquet", a=["s"])
    with pytest.raises(SparkRuntimeException, match=r"PARQUET_COLUMN_DATA_TYPE_MISMATCH.*2\.parquet.*\[a\].*int32.*string"):
        spark.read.parquet(str(tmp_path)).collect()
    with pytest.raises(AnalysisException, match=r"CANNOT_MERGE_SCHEMAS.*2\.parquet.*`a` is STRING there, and INT in .*1\.parquet"):
        spark.read.parquet(str(tmp_path), mergeSchema=True)
    write(tmp_path / "2.parquet", a=pa.array([2], pa.int64()))
    with pytest.raises(SparkRuntimeException, match="PARQUET_COLUMN_DATA_TYPE_MISMATCH"):
        spark.read.parquet(str(tmp_path)).collect()


def test_corrupt_files_are_named_or_skipped(spark: Session, tmp_path: Path) -> None:
    good = write(tmp_path / "1.parquet", a=[1])
    (tmp_path / "2.parquet").write_bytes(good.read_bytes()[:-30])
    with pytest.raises(SparkRuntimeException, match=r"FAILED_READ_FILE\.NO_HINT.*2\.parquet"):
        spark.read.parquet(str(tmp_path)).collect()
    assert spark.read.parquet(str(tmp_path), ignoreCorruptFiles=True).collect() == [(1,)]


def test_damage_that_only_a_task_meets(spark: Session, tmp_path: Path) -> None:
    good = write(tmp_path / "1.parquet", a=list(range(50_000)))
    data = bytearray(good.read_bytes())
    data[100 : len(data) // 2] = bytes(len(data) // 2 - 100)
    (tmp_path / "2.parquet").write_bytes(data)
    df = spark.read.parquet(str(tmp_path))
    with pytest.raises(SparkRuntimeException, match=r"FAILED_READ_FILE\.NO_HINT.*2\.parquet"):
        df.selectExpr("sum(a)").collect()
    lenient = spark.read.parquet(str(tmp_path), ignoreCorruptFiles=True)
    assert lenient.selectExpr("sum(a)").collect() == [(sum(range(50_000)),)]


def test_files_are_looked_at_by_every_way_to_their_rows(spark: Session, tmp_path: Path) -> None:
    """Rows that are kept, that go to Python, or that come one partition after the other are those of an RDD of batches."""
    good = write(tmp_path / "cut" / "1.parquet", a=list(range(50_000)))
    data = good.read_bytes()
    (tmp_path / "cut" / "2.parquet").write_bytes(data[: len(data) // 2])
    damaged = bytearray(data)
    damaged[100 : len(data) // 2] = bytes(len(data) // 2 - 100)
    write(tmp_path / "damaged" / "1.parquet", a=[1])
    (tmp_path / "damaged" / "2.parquet").write_bytes(damaged)
    write(tmp_path / "drifted" / "1.parquet", a=[1])
    write(tmp_path / "drifted" / "2.parquet", a=["s"])
    write(tmp_path / "gone" / "1.parquet", a=[1])
    gone = write(tmp_path / "gone" / "2.parquet", a=[2])
    found = {}
    for name in ("cut", "damaged", "drifted", "gone"):
        df = spark.read.parquet(str(tmp_path / name))
        kept = df.selectExpr("a", "1 AS b")
        if name == "gone":
            gone.unlink()
        ways = {
            "rdd": lambda df=df: df.rdd.collect(),
            "iterator": lambda df=df: list(df.toLocalIterator()),
            "kept": lambda kept=kept: kept.cache().count(),
            "python": lambda df=df: df.mapInArrow(lambda batches: batches, df.schema).collect(),
        }
        for way, run in ways.items():
            # An RDD's jobs know nothing of Spark's errors.
            kinds = (FileUnreadable, SparkRuntimeException) if way == "rdd" else SparkRuntimeException
            with pytest.raises(kinds, match=r"FAILED_READ_FILE.*2\.parquet") as caught:
                run()
            found[name, way] = str(caught.value)
        kept.unpersist()
    assert {name for (name, _), text in found.items() if "DATA_TYPE_MISMATCH" in text} == {"drifted"}
    assert {name for (name, _), text in found.items() if "FILE_NOT_EXIST" in text} == {"gone"}
    lenient = spark.read.parquet(str(tmp_path / "damaged"), ignoreCorruptFiles=True)
    assert lenient.rdd.map(tuple).collect() == [(1,)]


def test_a_file_that_is_gone(spark: Session, tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", a=[1])
    gone = write(tmp_path / "2.parquet", a=[2])
    df, lenient = spark.read.parquet(str(tmp_path)), spark.read.parquet(str(tmp_path), ignoreMissingFiles=True)
    gone.unlink()
    with pytest.raises(SparkRuntimeException, match=r"FILE_NOT_EXIST.*2\.parquet"):
        df.collect()
    assert lenient.collect() == [(1,)]


def test_files_are_chosen_by_name_age_and_depth(spark: Session, tmp_path: Path) -> None:
    write(tmp_path / "a 1.parquet", n=[1])
    os.utime(tmp_path / "a 1.parquet", (1_000_000_000, 1_000_000_000))
    write(tmp_path / "b%2F2.pq", n=[2])
    write(tmp_path / "deep" / "k=1" / "c.parquet", n=[3])
    write(tmp_path / "_hidden.parquet", n=[4])
    write(tmp_path / ".hidden.parquet", n=[5])

    def numbers(*paths: str, **options: object) -> list[int]:
        return sorted(row.n for row in spark.read.parquet(*(paths or (str(tmp_path),)), **options).collect())

    assert numbers() == [1, 2]
    assert numbers(recursiveFileLookup=True) == [1, 2, 3]
    assert numbers(pathGlobFilter="*.{pq,orc}") == [2]
    assert numbers(modifiedBefore="2010-01-01T00:00:00") == [1]
    assert numbers(modifiedAfter="2010-01-01T00:00:00") == [2]
    assert numbers(f"{tmp_path}/{{a 1.parquet,deep/k=*}}") == [1, 3]
    assert numbers(f"file://{tmp_path}/deep/k=1") == [3]
    with pytest.raises(AnalysisException, match="modifiedbefore"):
        numbers(modifiedBefore="yesterday")
    with pytest.raises(AnalysisException, match="UNABLE_TO_INFER_SCHEMA"):
        numbers(pathGlobFilter="*.txt")


def test_partition_values_of_any_length(spark: Session, tmp_path: Path) -> None:
    values = ["v" * 240, "\u0434\u043b\u0438\u043d\u043d\u043e" * 12, "short", "a/b %=" * 16, None]
    rows = [(value, number % 2, number) for number, value in enumerate(values)]
    spark.createDataFrame(rows, "k string, j int, i int").write.partitionBy("k", "j").parquet(str(tmp_path / "t"))
    back = spark.read.parquet(str(tmp_path / "t")).select("k", "j", "i")
    assert sorted(map(tuple, back.collect()), key=lambda row: row[2]) == rows
    for value, _, number in rows:
        assert [row.i for row in back.where(F.col("k").eqNullSafe(value)).collect()] == [number]
    assert back.where(F.col("k") == values[0]).select(F.col("_metadata.file_name")).count() == 1


def test_partitions_keep_their_types_and_base_path(spark: Session, tmp_path: Path) -> None:
    write(tmp_path / "d=2026-01-01" / "t=2026-01-01 10%3A00%3A00" / "x=1.5" / "s=a%2Fb" / "1.parquet", n=[1])
    df = spark.read.parquet(str(tmp_path))
    assert df.dtypes == [("n", "bigint"), ("d", "date"), ("t", "timestamp"), ("x", "double"), ("s", "string")]
    assert df.where("s = 'a/b' and d = date'2026-01-01'").select("s", "x").collect() == [("a/b", 1.5)]
    below = str(tmp_path / "d=2026-01-01" / "t=2026-01-01 10%3A00%3A00" / "x=1.5" / "s=a%2Fb" / "1.parquet")
    assert spark.read.parquet(below).columns == ["n"]
    assert spark.read.parquet(below, basePath=str(tmp_path)).columns == ["n", "d", "t", "x", "s"]
    with pytest.raises(IllegalArgumentException, match="basePath"):
        spark.read.parquet(below, basePath="/elsewhere")
    assert df.inputFiles() == [f"file://{below}"]


def test_partitions_by_moments_are_told_in_the_sessions_zone(spark: Session, tmp_path: Path) -> None:
    zone, path = spark.conf.get("spark.sql.session.timeZone"), str(tmp_path / "t")
    spark.conf.set("spark.sql.session.timeZone", "America/New_York")
    try:
        rows = "SELECT * FROM VALUES (1, timestamp'2024-07-01 12:00:00Z'), (2, timestamp'2024-12-01 12:00:00.25Z'), (3, null) AS v(a, t)"
        spark.sql(rows).write.partitionBy("t").parquet(path)
        for read in (spark.read, spark.read.schema("a int, t timestamp")):
            df = read.parquet(path)
            shown = sorted(df.selectExpr("a", "cast(t as string)").collect())
            assert shown == [(1, "2024-07-01 08:00:00"), (2, "2024-12-01 07:00:00.25"), (3, None)]
            assert df.where("t = timestamp'2024-07-01 12:00:00Z'").select("a").collect() == [(1,)]
        assert spark.read.schema("a int, t string").parquet(path).where("t = '2024-07-01 08:00:00'").select("a").collect() == [(1,)]
        spark.conf.set("spark.sql.session.timeZone", "UTC")  # The directories' names mean other moments now.
        assert df.where("a = 1").selectExpr("cast(t as string)").collect() == [("2024-07-01 12:00:00",)]
        assert spark.read.parquet(path).where("a = 1").selectExpr("cast(t as string)").collect() == [("2024-07-01 08:00:00",)]
    finally:
        spark.conf.set("spark.sql.session.timeZone", zone or "UTC")


def test_arrow_files(spark: Session, tmp_path: Path) -> None:
    table = pa.table({"n": pa.array([1, 2], pa.uint32()), "s": pa.array(["x", None], pa.large_string()).dictionary_encode()})
    (tmp_path / "k=1").mkdir()
    pyarrow.feather.write_feather(table, tmp_path / "k=1" / "a.feather")
    df = spark.read.format("arrow").load(str(tmp_path))
    assert df.dtypes == [("n", "bigint"), ("s", "string"), ("k", "int")]
    assert sorted(map(tuple, df.collect())) == [(1, "x", 1), (2, None, 1)]
    assert spark.read.load(str(tmp_path), "feather").where("n = 2").select("s").collect() == [(None,)]
    (tmp_path / "empty").mkdir()
    for path, rows in (("empty", []), ("k=1", [("x", None), (None, None)])):
        lacking = spark.read.schema("s string, more int").format("arrow").load(str(tmp_path / path))
        assert (list(map(tuple, lacking.collect())), lacking.select("more").count()) == (rows, len(rows))
    (tmp_path / "empty").rmdir()
    (tmp_path / "k=1" / "b.feather").write_bytes(b"ARROW1")
    broken = spark.read.format("arrow").load(str(tmp_path))
    with pytest.raises(SparkRuntimeException, match=r"FAILED_READ_FILE.*b\.feather"):
        broken.collect()


def test_rows_know_their_files(spark: Session, tmp_path: Path) -> None:
    for key in (1, 2):
        write(tmp_path / "p" / f"k={key}" / "a b.parquet", n=[key, key + 10])
    (tmp_path / "t.csv").write_text("1\n2\n")
    df = spark.read.parquet(str(tmp_path / "p"))
    first = tmp_path / "p" / "k=1" / "a b.parquet"
    assert df.columns == ["n", "k"]
    named = df.where("k = 1").select("n", F.input_file_name(), "_metadata.file_name", "_metadata.file_size")
    assert named.columns == ["n", "input_file_name()", "file_name", "file_size"]
    assert sorted(map(tuple, named.collect()))[0] == (1, f"file://{first}", "a b.parquet", first.stat().st_size)
    assert df.where(F.col("_metadata.file_path") == f"file:{first}").count() == 2
    assert df.where(F.input_file_name().endswith("k=2/a b.parquet")).columns == ["n", "k"]
    counted = df.groupBy(F.input_file_name().alias("file")).count().sort("file").collect()
    assert [tuple(row) for row in counted] == [(f"file://{tmp_path}/p/k={key}/a b.parquet", 2) for key in (1, 2)]
    assert df.withColumn("file", F.input_file_name()).columns == ["n", "k", "file"]
    lines = spark.read.csv(str(tmp_path / "t.csv"))
    assert {row[1].file_name for row in lines.select("_c0", "_metadata").collect()} == {"t.csv"}
    assert {row[0] for row in lines.alias("x").select(F.input_file_name()).collect()} == {f"file://{tmp_path}/t.csv"}
    assert spark.range(1).select(F.input_file_name()).collect() == [("",)]
    with pytest.raises(AnalysisException, match="UNRESOLVED_COLUMN"):
        spark.range(1).select("_metadata")
    with pytest.raises(AnalysisException, match="MULTI_SOURCES_UNSUPPORTED_FOR_EXPRESSION"):
        df.join(lines, df.n == lines["_c0"]).select(F.input_file_name())


def test_a_length_in_a_footer_that_makes_the_kernel_panic(spark: Session, tmp_path: Path) -> None:
    path = write(tmp_path / "1.parquet", a=[1, 2])
    frame = spark.read.parquet(str(path))
    data = bytearray(path.read_bytes())
    data[-8:-4] = b"\xff\xff\xff\x7f"
    path.write_bytes(data)
    with pytest.raises(AnalysisException, match=r"CANNOT_READ_FILE_FOOTER.*1\.parquet"):
        spark.read.parquet(str(path))
    for damaged in (frame, spark.read.schema("a bigint").parquet(str(path))):
        with pytest.raises(SparkRuntimeException, match=r"FAILED_READ_FILE.*1\.parquet"):
            damaged.collect()
        with pytest.raises(SparkRuntimeException, match=r"FAILED_READ_FILE.*1\.parquet"):
            damaged.count()


def test_a_panic_of_the_kernel_is_an_exception() -> None:
    panic = type("PanicException", (BaseException,), {})
    with pytest.raises(SparkRuntimeException, match=r"INTERNAL_ERROR.*range start"), spark_errors(), panics_told():
        raise panic("range start must not be greater than end")


def test_int96_is_an_instant(spark: Session, tmp_path: Path) -> None:
    moments = [datetime.datetime(2024, 1, 2, 3, 4, 5, 678901), datetime.datetime(1500, 1, 1), None]
    day = pa.array(moments, pa.timestamp("us"))
    nested = pa.StructArray.from_arrays([pa.array([1, 2, 3]), pa.array([[m] for m in moments])], ["n", "l"])
    kinds = pa.table({"i": [1, 2, 3], "s": nested, "t": day})
    pq.write_table(kinds, tmp_path / "a.parquet", use_deprecated_int96_timestamps=True)
    df = spark.read.parquet(str(tmp_path))
    assert df.dtypes == [("i", "bigint"), ("s", "struct<n:bigint,l:array<timestamp>>"), ("t", "timestamp")]
    start = datetime.datetime(1970, 1, 1)
    expected = [None if m is None else (m - start) // datetime.timedelta(microseconds=1) for m in moments]
    assert df.selectExpr("unix_micros(t)", "unix_micros(s.l[0])").collect() == [(micros, micros) for micros in expected]


def test_names_spelt_otherwise_in_other_files(spark: Session, tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", Abc=[1], s=pa.array([{"x": 1}]))
    write(tmp_path / "2.parquet", aBC=[2], s=pa.array([{"X": 2}]))
    merged = spark.read.parquet(str(tmp_path), mergeSchema=True)
    assert merged.columns == ["Abc", "s"]
    assert sorted(merged.select("abc").collect()) == [(1,), (2,)]
    with pytest.raises(SparkRuntimeException, match=r"2\.parquet.*set mergeSchema"):
        spark.read.parquet(str(tmp_path)).collect()
    with pytest.raises(SparkRuntimeException, match=r"MISMATCH.*struct<X: int64>.*struct<x: int64>"):
        spark.read.schema("s struct<X:bigint>").parquet(str(tmp_path / "1.parquet")).collect()
    with pytest.raises(AnalysisException, match="COLUMN_ALREADY_EXISTS"):
        spark.read.schema("a int, A int").parquet(str(tmp_path))


def test_types_of_directories(spark: Session, tmp_path: Path) -> None:
    for number, k in enumerate((1, 99999999999999999999)):
        write(tmp_path / f"t/k={k}/f.parquet", v=[number], k=["own"])
    assert spark.read.parquet(str(tmp_path / "t")).dtypes == [("v", "bigint"), ("k", "decimal(20,0)")]
    assert spark.read.schema("k string").parquet(str(tmp_path / "t")).where("k = '1'").count() == 1
    spark.conf.set("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
    try:
        assert spark.read.parquet(str(tmp_path / "t")).dtypes == [("v", "bigint"), ("k", "string")]
    finally:
        spark.conf.unset("spark.sql.sources.partitionColumnTypeInference.enabled")
