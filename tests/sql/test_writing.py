"""Writers: every mode with every format, names of files, partitions, limits, and that a failed write leaves nothing."""

from __future__ import annotations

import csv
import errno
import glob
import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from quiver.sql import DataFrame, Session
from quiver.sql.errors import AnalysisException, IllegalArgumentException, PySparkException
from quiver_executor.output_files import FilesAtOnce
from quiver_proto.committing import OutputJob
from quiver_proto.errors import DiskFull, PathUnwritable
from quiver_proto.filesystems import LocalFileSystem


def data_files(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("part-*"))


def of_tables(read: Callable[[str], pa.Table]) -> Callable[[list[str]], list[tuple[Any, ...]]]:
    return lambda files: [tuple(row.values()) for file in files for row in read(file).to_pylist()]


def of_avro(files: list[str]) -> list[tuple[Any, ...]]:
    rows = []
    for name in files:
        with open(name, "rb") as file:
            rows += [tuple(row.values()) for row in fastavro.reader(file)]
    return rows


def of_csv(files: list[str]) -> list[tuple[Any, ...]]:
    return [(int(a), b or None) for name in files for a, b in csv.reader(Path(name).read_text().splitlines())]


def of_json(files: list[str]) -> list[tuple[Any, ...]]:
    parsed = (json.loads(line) for name in files for line in Path(name).read_text().splitlines())
    return [(row["a"], row.get("b")) for row in parsed]


READERS: dict[str, tuple[str, Callable[[list[str]], list[tuple[Any, ...]]]]] = {
    "parquet": (".snappy.parquet", of_tables(pq.read_table)),
    "orc": (".zstd.orc", of_tables(pyarrow.orc.read_table)),
    "arrow": (".arrow", of_tables(lambda file: pyarrow.feather.read_table(file))),
    "avro": (".avro", of_avro),
    "csv": (".csv", of_csv),
    "json": (".json", of_json),
}
OLD, NEW = [(1, "x"), (2, None)], [(3, "z")]


def frame(spark: Session, rows: list[tuple[int, str | None]]) -> DataFrame:
    return spark.createDataFrame(rows, "a int, b string")


@pytest.mark.parametrize("kind", READERS)
def test_every_mode(spark: Session, tmp_path: Path, kind: str) -> None:
    suffix, read = READERS[kind]

    def rows() -> list[tuple[Any, ...]]:
        assert sorted(os.listdir(out)) == ["_SUCCESS", *data_files(out)]
        return sorted(read(glob.glob(f"{out}/part-*")))

    out = tmp_path / "made" / "out"
    frame(spark, OLD).write.format(kind).save(str(out))
    (name,) = data_files(out)
    assert name.startswith("part-00000-")
    assert name.endswith(f"-c000{suffix}")
    assert rows() == OLD
    with pytest.raises(AnalysisException, match=r"PATH_ALREADY_EXISTS\] Path file:/.*/out already exists"):
        frame(spark, NEW).write.format(kind).mode("errorifexists").save(str(out))
    frame(spark, NEW).write.format(kind).mode("ignore").save(str(out))
    assert rows() == OLD
    frame(spark, NEW).write.format(kind).mode("append").save(str(out))
    assert rows() == [*OLD, *NEW]
    frame(spark, NEW).write.format(kind).mode("overwrite").save(f"file:{out}")
    assert rows() == NEW
    for mode in ("append", "overwrite", "ignore"):
        frame(spark, NEW).write.format(kind).save(str(tmp_path / mode), mode=mode)
        assert read(glob.glob(f"{tmp_path}/{mode}/part-*")) == NEW


@pytest.mark.parametrize("kind", READERS)
def test_partitions(spark: Session, tmp_path: Path, kind: str) -> None:
    suffix, _ = READERS[kind]
    odd = "a/b:c%d=e f?\"#*[]^{}\\'é\x7f"
    df = spark.createDataFrame([(1, odd), (2, None), (3, ""), (4, "x"), (5, "x")], ["v", "k k"])
    df.write.format(kind).partitionBy("K K").save(str(tmp_path / "out"))
    files = data_files(tmp_path / "out")
    directories = ["K K=__HIVE_DEFAULT_PARTITION__", "K K=a%2Fb%3Ac%25d%3De f%3F%22%23%2A%5B%5D%5E%7B}%5C%27é%7F", "K K=x"]
    assert [os.path.dirname(file) for file in files] == directories
    assert all(file.endswith(f".c000{suffix}") for file in files)
    two = df.selectExpr("v", "v % 2 = 0 AS even", "date'2026-01-01' AS day", "CAST(v AS double) AS d")
    two.write.format(kind).partitionBy("even", "day", "d").save(str(tmp_path / "two"))
    assert os.path.dirname(data_files(tmp_path / "two")[-1]) == "even=true/day=2026-01-01/d=4.0"


def test_partitions_come_back_as_columns(spark: Session, tmp_path: Path) -> None:
    df = spark.range(1000).selectExpr("id", "id % 7 AS k", "CASE WHEN id % 3 = 0 THEN NULL ELSE concat('s', id % 3) END AS s")
    df.write.partitionBy("k", "s").parquet(str(tmp_path / "out"))
    back = spark.read.parquet(str(tmp_path / "out"))
    assert back.columns == ["id", "k", "s"]
    assert sorted(map(str, back.collect())) == sorted(map(str, df.select(back.columns).collect()))


def test_dynamic_overwrite_replaces_the_partitions_it_has(spark: Session, tmp_path: Path) -> None:
    out = str(tmp_path / "out")

    def kept() -> list[tuple[int, int]]:
        return sorted((row.v, row.k) for row in spark.read.parquet(out).collect())

    spark.createDataFrame([(1, 1), (2, 2), (3, 2)], ["v", "k"]).write.partitionBy("k").parquet(out)
    new = spark.createDataFrame([(9, 2), (8, 3)], ["v", "k"])
    new.write.mode("overwrite").option("partitionOverwriteMode", "dynamic").partitionBy("k").parquet(out)
    assert kept() == [(1, 1), (8, 3), (9, 2)]
    # It may read what it replaces.
    again = spark.read.parquet(out).where("k = 3").selectExpr("v + 1 AS v", "k")
    again.write.mode("overwrite").option("partitionOverwriteMode", "dynamic").partitionBy("k").parquet(out)
    assert kept() == [(1, 1), (9, 2), (9, 3)]
    new.write.mode("overwrite").partitionBy("k").parquet(out)
    assert kept() == [(8, 3), (9, 2)]


def test_what_is_read_is_not_overwritten(spark: Session, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    spark.range(3).write.parquet(out)
    df = spark.read.parquet(out).where("id > 0")
    with pytest.raises(AnalysisException, match=r"UNSUPPORTED_OVERWRITE.PATH\] Can't overwrite the target that is also being read from"):
        df.union(spark.range(1)).write.mode("overwrite").parquet(out + "/")
    df.write.mode("append").parquet(out)
    assert sorted(row.id for row in spark.read.parquet(out).collect()) == [0, 1, 1, 2, 2]


def test_no_rows_leave_a_file_with_the_columns(spark: Session, tmp_path: Path) -> None:
    none = spark.createDataFrame([], "a int, b string")
    for kind in READERS:
        none.write.format(kind).option("header", True).save(str(tmp_path / kind))
        assert len(data_files(tmp_path / kind)) == 1
    assert pq.read_schema(tmp_path / "parquet" / data_files(tmp_path / "parquet")[0]).names == ["a", "b"]
    assert Path(glob.glob(f"{tmp_path}/csv/part*")[0]).read_text() == "a,b\n"
    none.write.partitionBy("b").parquet(str(tmp_path / "dealt"))
    assert os.listdir(tmp_path / "dealt") == ["_SUCCESS"]


def test_limits_of_a_file(spark: Session, tmp_path: Path) -> None:
    spark.range(5).write.option("maxRecordsPerFile", 2).csv(str(tmp_path / "rows"))
    assert [name[-8:] for name in data_files(tmp_path / "rows")] == ["c000.csv", "c001.csv", "c002.csv"]
    assert [len((tmp_path / "rows" / name).read_text().splitlines()) for name in data_files(tmp_path / "rows")] == [2, 2, 1]
    df = spark.range(200_000).selectExpr("id", "hash(id) AS h")
    df.write.option("maxFileBytes", "500k").parquet(str(tmp_path / "bytes"))
    sizes = [os.path.getsize(tmp_path / "bytes" / name) for name in data_files(tmp_path / "bytes")]
    assert 3 <= len(sizes) <= 12
    assert spark.read.parquet(str(tmp_path / "bytes")).count() == 200_000


def test_the_files_of_a_sort_are_in_its_order(spark: Session, tmp_path: Path) -> None:
    """Those of several cores make some at the same time."""
    df = spark.range(100_000).selectExpr("hash(id) AS h", "id").orderBy("h", "id")
    df.write.option("parquet.block.size", "64k").parquet(str(tmp_path / "sorted"))
    files = data_files(tmp_path / "sorted")
    assert len(files) > 5 or spark.context.master != "local[2]"
    keys = [key for name in files for key in pq.read_table(tmp_path / "sorted" / name, columns=["h"]).column("h").to_pylist()]
    assert len(keys) == 100_000
    assert keys == sorted(keys)


def test_one_of_the_files_made_at_once_fails() -> None:
    let_go, begun = threading.Event(), []

    class Output:
        def __init__(self, number: int) -> None:
            self.number = number
            self.left = False

        def write(self, batches: list[Any]) -> None:
            let_go.wait(120)
            if self.number == 1:
                raise OSError(28, "full")

        def close(self) -> None:
            pass

        def abandon(self) -> None:
            self.left = True

    def made(number: int) -> Output:
        begun.append(Output(number))
        return begun[-1]

    files = FilesAtOnce(made, 2)
    files.write([])
    files.write([])
    let_go.set()
    with pytest.raises(OSError, match="full"):
        files.close()
    files.abandon()
    assert all(output.left for output in begun)


def test_many_directories_with_little_memory(spark: Session, tmp_path: Path) -> None:
    """What does not fit goes to a scratch file: still one file a directory, rows in their order."""
    rows = 60_000
    table = pa.table({"k": [f"k{i % 300}" for i in range(rows)], "v": list(range(rows)), "pad": ["x" * 400] * rows})
    pq.write_table(table, tmp_path / "in.parquet")
    spark.read.parquet(str(tmp_path / "in.parquet")).orderBy("v").write.partitionBy("k").parquet(str(tmp_path / "out"))
    files = data_files(tmp_path / "out")
    assert len(files) == 300
    back = [pq.ParquetFile(tmp_path / "out" / name).read(["v"]).column("v").to_pylist() for name in files]
    assert all(values == sorted(values) and len(values) == rows // 300 for values in back)
    assert sorted(value for values in back for value in values) == list(range(rows))


def test_options_of_csv(spark: Session, tmp_path: Path) -> None:
    df = spark.sql("SELECT 1 AS a, ' x;\"y\"' AS b, CAST(NULL AS string) AS c, '' AS d, date'2026-07-01' AS e, 1e20D AS f")
    df.write.csv(str(tmp_path / "a"), sep=";", header=True, nullValue="-", dateFormat="dd/MM/yyyy", compression="gzip", lineSep="\r\n")
    (name,) = data_files(tmp_path / "a")
    assert name.endswith(".csv.gz")
    with gzip.open(tmp_path / "a" / name) as file:
        assert file.read() == b'a;b;c;d;e;f\r\n1;"x;\\"y\\"";-;"";01/07/2026;1.0E20\r\n'
    df.select("b", "d").write.csv(str(tmp_path / "b"), quoteAll=True, escape='"', ignoreLeadingWhiteSpace=False)
    assert (tmp_path / "b" / data_files(tmp_path / "b")[0]).read_text() == '" x;""y""",""\n'
    texts = spark.createDataFrame([("#a", "#b"), ("é", "")], ["a", "b"]).coalesce(1)
    texts.write.csv(str(tmp_path / "c"), header=True, encoding="UTF-16")
    data = (tmp_path / "c" / data_files(tmp_path / "c")[0]).read_bytes()
    assert data == b"\xfe\xff" + 'a,b\n"#a",#b\né,""\n'.encode("utf-16-be")
    moment = spark.sql("SELECT timestamp_seconds(0) AS t")
    moment.write.option("timeZone", "+02:00").option("extension", "tbl").csv(str(tmp_path / "d"))
    (name,) = data_files(tmp_path / "d")
    assert name.endswith(".tbl")
    assert (tmp_path / "d" / name).read_text() == "1970-01-01T02:00:00.000+02:00\n"
    with pytest.raises(IllegalArgumentException, match="CHARSET"):
        moment.write.csv(str(tmp_path / "e"), encoding="nope")


def test_values_as_texts(spark: Session, tmp_path: Path) -> None:
    """What PySpark 4 writes for the same values."""
    zone = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", "Europe/Berlin")
    try:
        df = spark.sql(
            "SELECT true AS b, 1e-5D AS d, double('nan') AS n, -double('inf') AS i, CAST(0.1 AS float) AS f,"
            " CAST(1.5 AS decimal(5,2)) AS c, date'2026-07-01' AS dt, timestamp'2026-07-01 12:00:00.123456' AS ts,"
            " CAST('ab' AS binary) AS x, interval 1 day AS dy, interval -'5:06' hour to minute AS hm, interval 14 month AS mo"
        )
        df.write.csv(str(tmp_path / "csv"))
        as_line = df.selectExpr("to_csv(struct(dy, hm, mo))").collect()
        nested = spark.createDataFrame(
            [([1, None], {"k": 1.5, "z": None}, (1, None, 'q"\n\x01')), (None, None, None)],
            "a array<int>, m map<string,double>, s struct<x:int,y:int,z:string>",
        )
        df.crossJoin(nested.coalesce(1)).write.json(str(tmp_path / "json"))
        df.select("ts").write.csv(str(tmp_path / "form"), timestampFormat="yyyy/MM/dd HH:mm")
    finally:
        spark.conf.set("spark.sql.session.timeZone", zone)
    text = Path(glob.glob(f"{tmp_path}/csv/part*")[0]).read_text()
    assert text == (
        "true,1.0E-5,NaN,-Infinity,0.1,1.50,2026-07-01,2026-07-01T12:00:00.123+02:00,[61 62],"
        "INTERVAL '1' DAY,INTERVAL '-05:06' HOUR TO MINUTE,INTERVAL '14' MONTH\n"
    )
    assert as_line == [("INTERVAL '1' DAY,INTERVAL '-05:06' HOUR TO MINUTE,INTERVAL '14' MONTH",)]
    lines = sorted(Path(glob.glob(f"{tmp_path}/json/part*")[0]).read_text().splitlines())
    scalars = (
        '{"b":true,"d":1.0E-5,"n":"NaN","i":"-Infinity","f":0.1,"c":1.50,"dt":"2026-07-01","ts":"2026-07-01T12:00:00.123+02:00","x":"YWI="'
        ',"dy":"INTERVAL \'1\' DAY","hm":"INTERVAL \'-05:06\' HOUR TO MINUTE","mo":"INTERVAL \'14\' MONTH"'
    )
    assert lines == [
        scalars + ',"a":[1,null],"m":{"k":1.5,"z":null},"s":{"x":1,"z":"q\\"\\n\\u0001"}}',
        scalars + "}",
    ]
    assert Path(glob.glob(f"{tmp_path}/form/part*")[0]).read_text() == "2026/07/01 12:00\n"


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("gzip", ".gz"), ("bzip2", ".bz2"), ("deflate", ".deflate"), ("zstd", ".zst"), ("snappy", ".snappy"), ("lz4", ".lz4")],
)
def test_compressed_text(spark: Session, tmp_path: Path, codec: str, suffix: str) -> None:
    import bz2
    import zlib

    out = tmp_path / codec
    spark.createDataFrame([("line " * 20_000,)], "value string").write.text(str(out), compression=codec)
    (name,) = data_files(out)
    assert name.endswith(f".txt{suffix}")
    data = (out / name).read_bytes()
    wanted = b"line " * 20_000 + b"\n"
    match codec:
        case "gzip":
            assert gzip.decompress(data) == wanted
        case "bzip2":
            assert bz2.decompress(data) == wanted
        case "deflate":
            assert zlib.decompress(data) == wanted
        case "zstd":
            assert pa.CompressedInputStream(pa.BufferReader(data), "zstd").read() == wanted
        case _:
            codec_of_block = pa.Codec("snappy" if codec == "snappy" else "lz4_raw")
            found, at = b"", 0
            while at < len(data):
                size, packed = (int.from_bytes(data[at + start : at + start + 4], "big") for start in (0, 4))
                found += codec_of_block.decompress(data[at + 8 : at + 8 + packed], size, asbytes=True)
                at += 8 + packed
            assert found == wanted
            # Hadoop cuts what is written at once into parts of one block.
            half = len(wanted) // 2
            packed_parts = [codec_of_block.compress(part, asbytes=True) for part in (wanted[:half], wanted[half:])]
            parts = b"".join(len(part).to_bytes(4, "big") + part for part in packed_parts)
            (out / f"more.txt{suffix}").write_bytes(len(wanted).to_bytes(4, "big") + parts)
            assert spark.read.text(str(out / f"more.txt{suffix}")).collect() == [("line " * 20_000,)]
            (out / f"more.txt{suffix}").unlink()
            (tmp_path / f"cut.txt{suffix}").write_bytes(data[:-3])
            with pytest.raises(PySparkException, match="ends too soon"):
                spark.read.text(str(tmp_path / f"cut.txt{suffix}")).collect()
    assert spark.read.text(str(out)).collect() == [("line " * 20_000,)]
    if codec == "lz4":
        with pa.CompressedOutputStream(str(tmp_path / "own.lz4"), "lz4") as own:
            own.write(wanted)
        assert spark.read.text(str(tmp_path / "own.lz4")).collect() == [("line " * 20_000,)]


def test_errors_before_anything_is_made(spark: Session, tmp_path: Path) -> None:
    df = spark.sql("SELECT 1 AS a, array(1) AS xs, 'x' AS s")
    out = str(tmp_path / "out")
    cases: list[tuple[type[Exception], str, Callable[[], None]]] = [
        (AnalysisException, "UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE.*CSV.*`xs`.*ARRAY<INT>", lambda: df.write.csv(out)),
        (AnalysisException, "Text data source supports only a single column, and you have 3", lambda: df.write.text(out)),
        (AnalysisException, "Partition column `zz` not found in schema struct<a:int", lambda: df.write.partitionBy("zz").parquet(out)),
        (AnalysisException, "COLUMN_ALREADY_EXISTS", lambda: df.write.partitionBy("a", "A").parquet(out)),
        (AnalysisException, "INVALID_PARTITION_COLUMN_DATA_TYPE.*ARRAY<INT>", lambda: df.write.partitionBy("xs").parquet(out)),
        (AnalysisException, "ALL_PARTITION_COLUMNS_NOT_ALLOWED", lambda: df.select("a").write.partitionBy("a").parquet(out)),
        (AnalysisException, "DATA_SOURCE_NOT_FOUND.*excel", lambda: df.write.format("excel").save(out)),
        (AnalysisException, "EMPTY_SCHEMA_NOT_SUPPORTED", lambda: df.drop("a", "xs", "s").write.parquet(out)),
        (AnalysisException, "SORT_BY_WITHOUT_BUCKETING", lambda: df.write.sortBy("a").parquet(out)),
        (AnalysisException, "'save' does not support bucketBy", lambda: df.write.bucketBy(2, "a").parquet(out)),
        (IllegalArgumentException, "CODEC_NOT_AVAILABLE.*rar", lambda: df.write.parquet(out, compression="rar")),
        (IllegalArgumentException, "'path' is not specified", lambda: df.write.save()),
    ]
    for kind, message, write in cases:
        with pytest.raises(kind, match=message):
            write()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["parquet", "delta"])
def test_a_path_that_is_a_file(spark: Session, tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_text("kept")
    for mode in ("append", "overwrite"):
        with pytest.raises(PathUnwritable, match="file' can't be written: it is a file"):
            spark.range(3).write.format(kind).mode(mode).save(str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "kept"


def test_a_failed_write_leaves_nothing(spark: Session, tmp_path: Path) -> None:
    bad = spark.range(100).selectExpr("1 DIV (id - 99) AS x", "id % 2 AS k")
    for mode in ("error", "append", "overwrite"):
        with pytest.raises(Exception, match="DIVIDE_BY_ZERO"):
            bad.write.mode(mode).partitionBy("k").parquet(str(tmp_path / "out"))
        assert os.listdir(tmp_path) == []
    spark.range(3).write.parquet(str(tmp_path / "out"))
    before = sorted(os.listdir(tmp_path / "out"))
    for mode in ("append", "overwrite"):
        with pytest.raises(Exception, match="DIVIDE_BY_ZERO"):
            bad.write.mode(mode).parquet(str(tmp_path / "out"))
        assert sorted(os.listdir(tmp_path / "out")) == before
    assert spark.read.parquet(str(tmp_path / "out")).count() == 3


def test_two_writers_append_at_once(spark: Session, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    problems: list[BaseException] = []

    def append(start: int) -> None:
        try:
            for _ in range(3):
                spark.range(start, start + 10).write.mode("append").parquet(out)
        except BaseException as problem:
            problems.append(problem)

    writers = [threading.Thread(target=append, args=(start,)) for start in (0, 100)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert problems == []
    found = sorted(row.id for row in spark.read.parquet(out).collect())
    assert found == sorted([*range(10), *range(100, 110)] * 3)
    assert not os.path.exists(f"{out}/_temporary")


@pytest.mark.parametrize("kind", [*READERS, "text"])
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spark: Session, kind: str) -> None:
    if spark.context.master != "inline":
        pytest.skip("the disk is full in this process only")

    class Full(LocalFileSystem):
        def open_output(self, path: str) -> Any:
            return open("/dev/full", "wb", buffering=1 << 12)

    monkeypatch.setattr("quiver_executor.output_files.filesystem_of", lambda path, store: (Full(), path))
    df = spark.range(1000).selectExpr("CAST(id AS string) AS s")
    with pytest.raises(DiskFull, match=r"no room left on the disk of .*_temporary.*write to a larger disk\.$") as caught:
        df.write.format(kind).mode("append").save(str(tmp_path / "out"))
    assert isinstance(caught.value, PySparkException)
    assert os.listdir(tmp_path) == []


def test_a_disk_that_is_full_in_the_middle_of_a_stripe() -> None:
    """ORC's writer would end the process, here the program's own."""
    program = """
import io, random, pyarrow as pa
from quiver_executor.file_formats import open_writer
from quiver_proto.ops import FileFormat

class Full(io.RawIOBase):
    left = 100_000
    def writable(self):
        return True
    def tell(self):
        return 100_000 - self.left
    def write(self, data):
        self.left -= len(data)
        if self.left < 0:
            raise OSError(28, "No space left on device")
        return len(data)

table = pa.table({"a": [random.random() for _ in range(200_000)]})
for _ in range(2):
    writer = open_writer(FileFormat("orc", ".orc", b"", (("stripe", "65536"),)), table.schema, Full())
    try:
        for _ in range(5):
            writer.write(table)
        writer.close()
    except OSError as problem:
        print(problem.errno)
    writer.abandon()
    del writer
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "28\n28\n"), done.stderr


def test_a_commit_that_fails_puts_everything_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "k=1").mkdir()
    (tmp_path / "k=1" / "old").write_text("old")
    job = OutputJob(str(tmp_path))
    job.prepare(new=False)
    staged = tmp_path / "_temporary" / job.name
    for name in "ab":
        (staged / name).write_text(name)
    renamed = os.rename

    def rename(source: str, target: str) -> None:
        if source.endswith("/b") and "_temporary" in source:
            raise OSError(errno.EIO, "broken")
        renamed(source, target)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(PathUnwritable, match="broken"):
        job.commit([("a", "k=2/a"), ("b", "k=2/b")], [""])
    job.abort()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["k=1", "k=1/old"]


def test_late_attempts_find_no_place(tmp_path: Path) -> None:
    job = OutputJob(str(tmp_path / "out"))
    job.prepare(new=True)
    staged = tmp_path / "out" / "_temporary" / job.name
    (staged / "0-1").mkdir()
    job.abort()
    assert os.listdir(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        (staged / "0-2").mkdir()


def test_urls(spark: Session) -> None:
    if spark.context.master != "inline":
        pytest.skip("memory:// is of one process")
    import fsspec

    url = "memory://written/out"
    frame(spark, OLD).write.csv(url)
    frame(spark, NEW).write.mode("append").partitionBy("b").csv(url)
    frame(spark, NEW).write.mode("overwrite").csv(url)
    system = fsspec.filesystem("memory")
    found = [name for name in system.find("/written/out") if "part-" in name]
    assert [system.cat(name) for name in found] == [b"3,z\n"]
    with pytest.raises(AnalysisException, match="PATH_ALREADY_EXISTS"):
        frame(spark, NEW).write.csv(url)
