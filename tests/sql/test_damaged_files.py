"""A wrong byte or a missing end in a file of each format: an error with the file's name, wherever the format can tell.

Parquet's pages have checksums, which tasks that read it in Python compare (of local files with the option verifyChecksums),
and gzip its own. ORC, Arrow, and Avro's blocks without snappy have none: a wrong byte within values is another value there.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from quiver.sql import Session
from quiver.sql.errors import AnalysisException, SparkRuntimeException
from quiver_executor.file_formats import open_writer
from quiver_proto.errors import FileUnreadable
from quiver_proto.ops import FileFormat
from quiver_proto.sources.columnar_files import ArrowFiles, AvroFiles, OrcFiles, ParquetFiles
from quiver_proto.sources.text_files import CsvFiles, JsonFiles
from quiver_proto.text_formats.csv_lines import CsvOptions
from quiver_proto.text_formats.json_batches import JsonOptions
from quiver_proto.text_formats.text_input import Piece

ROWS = pa.table(
    {"a": pa.array(range(2000), pa.int64()), "s": [f"text {n * 7919 % 1000}" for n in range(2000)], "x": [n / 3 for n in range(2000)]}
)


def parquet(path: Path) -> None:
    with path.open("wb") as raw:
        file = open_writer(FileFormat("parquet", ".parquet", b"", ()), ROWS.schema, raw)
        file.write(ROWS)
        file.close()


def write_orc(path: Path) -> None:
    orc.write_table(ROWS, str(path), compression="zstd")


def arrow(path: Path) -> None:
    with pa.ipc.new_file(str(path), ROWS.schema) as file:
        file.write_table(ROWS)


def avro(path: Path) -> None:
    fields = [{"name": "a", "type": "long"}, {"name": "s", "type": "string"}, {"name": "x", "type": "double"}]
    with path.open("wb") as raw:
        fastavro.writer(raw, {"type": "record", "name": "row", "fields": fields}, ROWS.to_pylist(), codec="deflate")


def csv(path: Path) -> None:
    path.write_bytes(gzip.compress("".join(f"{a},{s},{x}\n" for a, s, x in zip(*ROWS.to_pydict().values(), strict=True)).encode()))


def lines(path: Path) -> None:
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS.to_pylist()).encode()))


def damages(good: bytes) -> Iterator[tuple[int, bytes]]:
    """(seed, a bit turned, or the end cut off)."""
    for seed in range(60):
        draw = random.Random(seed)
        data = bytearray(good)
        if seed % 4:
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        else:
            del data[draw.randrange(len(data)) :]
        yield seed, bytes(data)


@pytest.mark.parametrize(
    ("name", "write", "reader", "is_protected"),
    [
        ("a.parquet", parquet, ParquetFiles(), True),
        ("a.orc", write_orc, OrcFiles(), False),
        ("a.arrow", arrow, ArrowFiles(), False),
        ("a.avro", avro, AvroFiles(), False),
        ("a.csv.gz", csv, CsvFiles(CsvOptions()), True),
        ("a.json.gz", lines, JsonFiles(JsonOptions()), True),
    ],
)
def test_damage_is_told_with_the_file(tmp_path: Path, name: str, write: Any, reader: Any, is_protected: bool) -> None:
    path = tmp_path / name
    write(path)

    def read() -> pa.Table:
        batches = reader.read(Piece(str(path), 0, -1), ROWS.schema, frozenset(ROWS.schema.names))
        return pa.Table.from_batches(list(batches)).select(ROWS.schema.names).cast(ROWS.schema)

    assert read().equals(ROWS)
    told = []
    for seed, data in damages(path.read_bytes()):
        path.write_bytes(data)
        try:
            found = read()
        except FileUnreadable as problem:
            told.append(problem.path)
        else:
            assert seed % 4, "a file without its end was read"
            assert found.equals(ROWS) or not is_protected, seed
    assert len(told) >= 15
    assert set(told) == {str(path)}


def test_checksums_of_pages_are_compared_when_asked_for(spark: Session, tmp_path: Path) -> None:
    spark.createDataFrame(ROWS).coalesce(1).write.option("compression", "none").parquet(str(tmp_path / "p"))
    (path,) = (tmp_path / "p").glob("part-*")
    data = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(2)
    data[(column.dictionary_page_offset or column.data_page_offset) + 5000] ^= 1
    path.write_bytes(data)
    read = spark.read.option("verifyChecksums", True).parquet(str(tmp_path / "p"))
    with pytest.raises(SparkRuntimeException, match=rf"FAILED_READ_FILE.*{path.name}.*CRC"):
        read.collect()
    assert read.select("a").count() == 2000  # That column is whole.


@pytest.mark.parametrize(("kind", "write"), [("parquet", parquet), ("orc", write_orc)])
def test_files_of_no_bytes_are_passed_over(spark: Session, tmp_path: Path, kind: str, write: Any) -> None:
    (tmp_path / f"a.{kind}").touch()
    with pytest.raises(AnalysisException, match="UNABLE_TO_INFER_SCHEMA"):
        spark.read.format(kind).load(str(tmp_path))
    assert spark.read.format(kind).schema("a bigint").load(str(tmp_path)).collect() == []
    write(tmp_path / f"b.{kind}")
    assert spark.read.format(kind).load(str(tmp_path)).agg({"a": "sum"}).collect() == [(1999000,)]
