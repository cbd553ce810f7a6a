"""Readers: which files and columns there are, what becomes of bad values, and errors that name the file."""

from __future__ import annotations

import datetime
import gzip
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quiver.sql import Row, Session
from quiver.sql.errors import AnalysisException, SparkRuntimeException


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    for key, more in (("1", {}), ("2", {"b": ["x"]}), ("__HIVE_DEFAULT_PARTITION__", {})):
        (folder / f"k={key}").mkdir()
        pq.write_table(pa.table({"a": [len(key)], **more}), folder / f"k={key}" / "part-0.parquet")
    (folder / "_SUCCESS").touch()
    return folder


def test_partitioned_directories_have_columns_of_their_keys(spark: Session, parts: Path) -> None:
    df = spark.read.parquet(str(parts))
    assert df.dtypes == [("a", "bigint"), ("k", "int")]
    assert sorted(map(tuple, df.collect()), key=str) == [(1, 1), (1, 2), (26, None)]
    assert df.where("k = 2").select("k").collect() == [(2,)]


@pytest.mark.parametrize("kind", ["parquet", "text"])
def test_types_of_keys(spark: Session, tmp_path: Path, kind: str) -> None:
    for place, keys in enumerate(("n=1.0E3/d=NaN/c=12:00:00/s=2020-02-30/m=1.5", "n=2/d=1/c=13:00:00.5/s=2020-01-01/m=99999999999")):
        folder = tmp_path / keys
        folder.mkdir(parents=True)
        if kind == "text":
            (folder / "x.txt").write_text(f"{place}\n")
        else:
            pq.write_table(pa.table({"value": [str(place)]}), folder / "x.parquet")
    df = spark.read.format(kind).load(str(tmp_path))
    assert [each for _, each in df.dtypes] == ["string", "decimal(10,0)", "double", "time(6)", "string", "string"]
    first, second = sorted(map(str, df.collect()))
    assert first == str(Row(value="0", n=Decimal(1000), d=float("nan"), c=datetime.time(12), s="2020-02-30", m="1.5"))
    assert second == str(Row(value="1", n=Decimal(2), d=1.0, c=datetime.time(13, 0, 0, 500000), s="2020-01-01", m="99999999999"))
    assert df.where("n = 1000 AND c = time'12:00:00' AND d = double('NaN')").count() == 1


def test_merge_schema(spark: Session, parts: Path) -> None:
    df = spark.read.option("mergeSchema", True).parquet(str(parts))
    assert df.columns == ["a", "b", "k"]
    assert sorted(str(row.b) for row in df.select("b").collect()) == ["None", "None", "x"]


def test_pruning_reads_only_directories_that_can_match(spark: Session, parts: Path, tmp_path: Path) -> None:
    (tmp_path / "k=1").mkdir()
    (tmp_path / "k=2").mkdir()
    pq.write_table(pa.table({"a": [7]}), tmp_path / "k=1" / "x.parquet")
    df = spark.read.schema("a bigint").parquet(str(tmp_path))
    (tmp_path / "k=2" / "broken.parquet").write_bytes(b"no parquet")
    assert spark.read.schema("a bigint").parquet(str(tmp_path)).where("k = 1").collect() == [(7, 1)]
    assert df.columns == ["a", "k"]


def test_several_files_and_globs(spark: Session, tmp_path: Path) -> None:
    for number in range(3):
        pq.write_table(pa.table({"n": [number]}), tmp_path / f"{number}.parquet")
    (tmp_path / "notes.txt").write_text("no data of this format, but a file all the same")
    some = spark.read.parquet(str(tmp_path / "0.parquet"), str(tmp_path / "2.parquet"))
    assert sorted(row.n for row in some.collect()) == [0, 2]
    assert sorted(row.n for row in spark.read.parquet(str(tmp_path / "[12].parquet")).collect()) == [1, 2]


def test_csv(spark: Session, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id|name|x\n1|"a|b"|1.5\n2|-|\n3\n')
    reader = spark.read.options(header=True, sep="|", nullValue="-", inferSchema=True)
    df = reader.csv(str(tmp_path / "a.csv"))
    assert df.dtypes == [("id", "int"), ("name", "string"), ("x", "double")]
    assert df.collect() == [(1, "a|b", 1.5), (2, None, None), (3, None, None)]


def test_csv_types(spark: Session, tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.write("1,2026-01-31,true,3000000000,1.5\n,,,,\n")
    df = spark.read.csv(str(tmp_path), inferSchema=True)
    assert [kind for _, kind in df.dtypes] == ["int", "date", "boolean", "bigint", "double"]
    assert df.columns == ["_c0", "_c1", "_c2", "_c3", "_c4"]
    assert tuple(df.collect()[1]) == (None,) * 5


def test_malformed_values(spark: Session, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1\nx\n3\n")
    reader = spark.read.schema("n int")
    assert [row.n for row in reader.csv(str(tmp_path)).collect()] == [1, None, 3]
    assert [row.n for row in reader.csv(str(tmp_path), mode="DROPMALFORMED").collect()] == [1, 3]
    with pytest.raises(Exception, match=r"a\.csv.*MALFORMED_RECORD_IN_PARSING.*line 2.*`n`"):
        reader.csv(str(tmp_path), mode="FAILFAST").collect()


def test_csv_escapes_comments_and_lines_in_values(spark: Session, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('# none\n"a\\"b",1\n"c\nd",2\n')
    df = spark.read.csv(str(tmp_path), escape="\\", comment="#", multiLine=True)
    assert df.collect() == [('a"b', "1"), ("c\nd", "2")]


def test_json_columns_are_in_the_order_of_their_names(spark: Session, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"b": 1, "a": "x"}\n{"c": [true]}\n')
    df = spark.read.json(str(tmp_path))
    assert df.dtypes == [("a", "string"), ("b", "bigint"), ("c", "array<boolean>")]
    assert df.collect() == [("x", 1, None), (None, None, [True])]


def test_errors_name_the_file(spark: Session, tmp_path: Path) -> None:
    with pytest.raises(AnalysisException, match=r"PATH_NOT_FOUND\] Path does not exist: file:/nowhere"):
        spark.read.parquet("/nowhere")
    with pytest.raises(AnalysisException, match="UNABLE_TO_INFER_SCHEMA"):
        spark.read.parquet(str(tmp_path))
    with pytest.raises(AnalysisException, match="DATA_SOURCE_NOT_FOUND"):
        spark.read.format("excel").load(str(tmp_path))
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(AnalysisException, match=r"FAILED_READ_FILE.*bad\.parquet"):
        spark.read.parquet(str(tmp_path))
    (tmp_path / "k=1").mkdir()
    (tmp_path / "k=1" / "x.parquet").touch()
    with pytest.raises(SparkRuntimeException, match="CONFLICTING_PARTITION_COLUMN_NAMES"):
        spark.read.parquet(str(tmp_path))
