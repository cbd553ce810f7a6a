"""ORC, Avro, HDF5, databases, Delta, Iceberg: read by tasks with their own libraries; each bad input is named."""

from __future__ import annotations

import datetime
import json
import pickle
import sqlite3
import struct
import sys
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from pyarrow import orc
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table

from quiver.sql import Session
from quiver.sql import functions as F
from quiver.sql.database_sources import partitions
from quiver.sql.errors import AnalysisException, IllegalArgumentException, SparkRuntimeException
from quiver.sql.tree.walking import conjuncts
from quiver.sql.types import DataType, StructType
from quiver_proto.errors import PackageMissing
from quiver_proto.sources.databases import Query


def rows(df: Any) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in df.collect()), key=str)


def test_orc(spark: Session, tmp_path: Path) -> None:
    folder = tmp_path / "k=1"
    folder.mkdir()
    orc.write_table(pa.table({"a": [1, 2], "m": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64()))}), folder / "1.orc")
    orc.write_table(pa.table({"a": [3]}), folder / "2.orc")
    df = spark.read.orc(str(tmp_path))
    assert df.dtypes == [("a", "bigint"), ("m", "map<string,bigint>"), ("k", "int")]
    assert rows(df) == [(1, {"k": 1}, 1), (2, None, 1), (3, None, 1)]
    assert df.groupBy().count().collect() == [(3,)]
    orc.write_table(pa.table({"a": ["x"]}), folder / "3.orc")
    drifted = spark.read.orc(str(tmp_path))
    with pytest.raises(SparkRuntimeException, match=r"DATA_TYPE_MISMATCH.*3\.orc.*\[a\].*int64.*string"):
        drifted.collect()
    (folder / "3.orc").write_text("junk")
    with pytest.raises(SparkRuntimeException, match=r"FAILED_READ_FILE.*3\.orc"):
        drifted.collect()
    with pytest.raises(AnalysisException, match=r"CANNOT_READ_FILE_FOOTER.*3\.orc"):
        spark.read.orc(str(folder / "3.orc"))


AVRO: dict[str, Any] = {
    "type": "record",
    "name": "top",
    "fields": [
        {"name": "a", "type": ["null", "long"]},
        {"name": "d", "type": {"type": "int", "logicalType": "date"}},
        {"name": "x", "type": {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}},
        {"name": "m", "type": {"type": "map", "values": "int"}},
        {"name": "r", "type": {"type": "record", "name": "inner", "fields": [{"name": "z", "type": "string"}]}},
        {"name": "l", "type": {"type": "array", "items": "inner"}},
        {"name": "e", "type": {"type": "enum", "name": "letters", "symbols": ["A", "B"]}},
    ],
}


def test_avro(spark: Session, tmp_path: Path) -> None:
    day = datetime.date(2026, 1, 1)
    record = {"a": 1, "d": day, "x": Decimal("1.25"), "m": {"k": 1}, "r": {"z": "q"}, "l": [{"z": "w"}], "e": "A"}
    with open(tmp_path / "a.avro", "wb") as file:
        fastavro.writer(file, AVRO, [record, {**record, "a": None}])
    df = spark.read.format("avro").load(str(tmp_path))
    assert [kind for _, kind in df.dtypes[:4]] == ["bigint", "date", "decimal(5,2)", "map<string,int>"]
    assert rows(df) == [
        (1, day, Decimal("1.25"), {"k": 1}, ("q",), [("w",)], "A"),
        (None, day, Decimal("1.25"), {"k": 1}, ("q",), [("w",)], "A"),
    ]
    assert df.where("a = 1").select("r.z", F.explode("l.z")).collect() == [("q", "w")]
    data = (tmp_path / "a.avro").read_bytes()
    (tmp_path / "a.avro").write_bytes(data[:-40])
    with pytest.raises(SparkRuntimeException, match=r"FAILED_READ_FILE.*a\.avro"):
        df.collect()
    (tmp_path / "a.avro").write_bytes(b"junk")
    with pytest.raises(AnalysisException, match=r"FAILED_READ_FILE.*a\.avro.*Avro"):
        spark.read.format("avro").load(str(tmp_path))


class Dangerous:
    def __reduce__(self) -> tuple[Any, ...]:
        return (eval, ("__import__('pathlib').Path(__import__('os').environ['QUIVER_TEST_TRACE']).touch()",))


def test_hdf5(spark: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"a": range(10), "s": ["x", "y"] * 5, "f": [n / 2 for n in range(10)]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame.to_hdf(tmp_path / "a.h5", key="one", format="table")
        frame.to_hdf(tmp_path / "a.h5", key="two", format="fixed")
    for key in ("one", "/two"):
        df = spark.read.format("hdf5").option("key", key).option("rowsPerPartition", 4).load(str(tmp_path / "a.h5"))
        assert df.dtypes == [("a", "bigint"), ("s", "string"), ("f", "double")]
        assert len(df._relation.parts) == 3
        assert df.where("a >= 8").select("s", "a").collect() == [("x", 8), ("y", 9)]
    with pytest.raises(AnalysisException, match=r"a\.h5.*2 tables.*one, two"):
        spark.read.format("hdf5").load(str(tmp_path / "a.h5"))
    with pytest.raises(AnalysisException, match=r"a\.h5.*no table 'three'"):
        spark.read.format("hdf5").option("key", "three").load(str(tmp_path / "a.h5"))
    (tmp_path / "b.h5").write_text("junk")
    with pytest.raises(AnalysisException, match=r"FAILED_READ_FILE.*b\.h5"):
        spark.read.format("hdf5").load(str(tmp_path / "b.h5"))
    monkeypatch.setenv("QUIVER_TEST_TRACE", str(tmp_path / "trace"))
    pickle.loads(pickle.dumps(Dangerous()))
    (tmp_path / "trace").unlink()  # So it would do harm.
    with warnings.catch_warnings(), pd.HDFStore(tmp_path / "c.h5") as store:
        warnings.simplefilter("ignore")
        store.put("one", pd.DataFrame({"a": [Dangerous()]}), format="fixed")
    (tmp_path / "trace").unlink(missing_ok=True)
    with pytest.raises(AnalysisException, match=r"c\.h5.*pickled builtins\.eval"):
        spark.read.format("hdf5").load(str(tmp_path / "c.h5"))
    assert not (tmp_path / "trace").exists()


@pytest.fixture
def url(tmp_path: Path) -> str:
    database = sqlite3.connect(tmp_path / "one.db")
    database.execute('CREATE TABLE t (id INTEGER, name TEXT, d DATE, n NUMERIC(10, 2), b BOOLEAN, "odd name" TEXT)')
    values = [(i, f"n{i}" if i else None, f"2026-01-0{i + 1}", "1.25", i % 2, "o") for i in range(6)]
    database.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", [(None, *values[0][1:]), *values[1:]])
    database.commit()
    database.close()
    return f"jdbc:sqlite:{tmp_path}/one.db"


def test_databases(spark: Session, url: str) -> None:
    df = spark.read.jdbc(url, "t")
    assert [kind for _, kind in df.dtypes] == ["bigint", "string", "date", "decimal(10,2)", "boolean", "string"]
    assert rows(df)[0] == (1, "n1", datetime.date(2026, 1, 2), Decimal("1.25"), True, "o")
    parted = spark.read.jdbc(url, "t", "id", 0, 6, 3)
    assert len(parted._relation.parts) == 3
    assert rows(parted.select("id", "odd name")) == [*((i, "o") for i in range(1, 6)), (None, "o")]
    assert spark.read.jdbc(url, "t", properties={"user": "me", "password": "secret"}).count() == 6
    assert parted.where("id >= 2 and name = 'n3' and n > 1").select("id").collect() == [(3,)]
    assert rows(spark.read.jdbc(url, "t", "d", "2026-01-01", "2026-01-05", 2).select("id"))[-1] == (None,)
    assert rows(spark.read.jdbc(url, "t", predicates=["id < 2", "id > 4"]).select("id")) == [(1,), (5,)]
    query = spark.read.format("jdbc").options(url=url, query="SELECT name, count(*) c FROM t WHERE id < 3 GROUP BY name")
    assert rows(query.load()) == [("n1", 1), ("n2", 1)]
    assert spark.read.jdbc(url, "(SELECT id FROM t WHERE id < 2)").collect() == [(1,)]
    assert spark.read.jdbc(url, "t", properties={"customSchema": "id string"}).schema["id"].simpleString() == "id:string"


def test_the_database_does_what_it_can(spark: Session, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    leaf: Any = spark.read.jdbc(url, "t")._relation
    conditions = spark.read.jdbc(url, "t").where("id >= 2 and name = 'x' and name < 'y' and id is not null and n = 1")._relation
    reader, _ = conditions.child.push(frozenset({"id"}), conjuncts(conditions.condition))
    assert reader.condition.split(" AND ") == ["id >= :pushed_0", "name = :pushed_1", "id IS NOT NULL"]
    assert reader.values == (("pushed_0", 2), ("pushed_1", "x"))
    batches = reader.read(Query(), pa.schema([("id", pa.int64())]), frozenset({"id"}))
    assert [batch.num_rows for batch in batches] == []
    spark.read.jdbc(url, "t", properties={"password": "secret"}).explain(True)
    assert "secret" not in capsys.readouterr().out + repr(leaf)


def test_strides() -> None:
    held = DataType.fromDDL("id int, d date")
    assert isinstance(held, StructType)
    given = {"partitioncolumn": "ID", "lowerbound": "0", "upperbound": "10", "numpartitions": "3"}
    assert [part.condition for part in partitions(given, held, str)] == [
        "id < :upper OR id IS NULL",
        "id >= :lower AND id < :upper",
        "id >= :lower",
    ]
    assert [dict(part.values) for part in partitions(given, held, str)] == [{"upper": 3}, {"lower": 3, "upper": 6}, {"lower": 6}]
    assert partitions({**given, "upperbound": "0"}, held, str) == [Query()]
    days = {"partitioncolumn": "d", "lowerbound": "2026-01-01", "upperbound": "2026-01-03", "numpartitions": "2"}
    assert dict(partitions(days, held, str)[1].values) == {"lower": "2026-01-02"}
    for wrong in ({"lowerbound": "x"}, {"lowerbound": "11"}, {"numpartitions": "two"}):
        with pytest.raises(IllegalArgumentException):
            partitions({**given, **wrong}, held, str)


def test_databases_that_refuse(spark: Session, url: str) -> None:
    with pytest.raises(AnalysisException, match=r"FAILED_JDBC.*one\.db.*no such table: nope"):
        spark.read.jdbc(url, "nope")
    with pytest.raises(AnalysisException, match=r"UNRESOLVED_COLUMN.*zz not found.*id:bigint"):
        spark.read.jdbc(url, "t", "zz", 0, 6, 3)
    with pytest.raises(AnalysisException, match="should be numeric, date, or timestamp, but string"):
        spark.read.jdbc(url, "t", "name", 0, 6, 3)
    with pytest.raises(IllegalArgumentException, match="all or none"):
        spark.read.format("jdbc").options(url=url, dbtable="t", partitionColumn="id").load()
    with pytest.raises(IllegalArgumentException, match="only one of them"):
        spark.read.format("jdbc").options(url=url, dbtable="t", query="q").load()
    with pytest.raises(AnalysisException, match="FAILED_JDBC") as failed:
        spark.read.jdbc("jdbc:unheardof://user:secret@127.0.0.1:1/x", "t")
    assert "secret" not in str(failed.value)
    broken = spark.read.jdbc(url, "t", predicates=["id <"])
    with pytest.raises(SparkRuntimeException, match=r"FAILED_JDBC.*one\.db"):
        broken.collect()


def test_delta(spark: Session, tmp_path: Path) -> None:
    day = [datetime.date(2026, 1, 1)] * 3
    path = str(tmp_path / "table")
    write_deltalake(path, pa.table({"a": [1, 2, 3], "k": ["x y", "x y", None], "d": day, "z": ["q"] * 3}), partition_by=["k", "d"])
    write_deltalake(path, pa.table({"a": [4], "k": ["p"], "d": day[:1], "z": ["q"]}), mode="append")
    read = spark.read.format("delta")
    assert read.load(path).columns == ["a", "k", "d", "z"]
    assert [row[:2] for row in rows(read.load(path))] == [(1, "x y"), (2, "x y"), (3, None), (4, "p")]
    assert [row.a for row in read.load(path).where("k = 'p'").collect()] == [4]
    assert [row.a for row in spark.read.format("delta").option("versionAsOf", 0).load(path).sort("a").collect()] == [1, 2, 3]
    assert spark.read.format("delta").option("timestampAsOf", "2999-01-01").load(path).count() == 4
    now = DeltaTable(path).history()[0]["timestamp"] / 1000
    first = datetime.datetime.fromtimestamp(now).isoformat()
    assert spark.read.format("delta").option("timestampAsOf", first).load(path).count() == 4
    DeltaTable(path).delete("a = 1")
    assert sorted(row.a for row in read.load(path).collect()) == [2, 3, 4]
    with pytest.raises(AnalysisException, match="DELTA_TABLE_UNREADABLE"):
        spark.read.format("delta").option("versionAsOf", 9).load(path)
    with pytest.raises(AnalysisException, match="DELTA_INVALID_TIME_TRAVEL"):
        spark.read.format("delta").option("timestampAsOf", "yesterday").load(path)
    with pytest.raises(AnalysisException, match="is not a Delta table"):
        spark.read.format("delta").load(str(tmp_path))


def test_delta_with_rows_deleted_by_vectors(spark: Session, tmp_path: Path) -> None:
    path = tmp_path / "table"
    write_deltalake(str(path), pa.table({"a": [1, 2, 3, 4], "k": ["x", "x", "x", "y"]}), partition_by=["k"])
    log = path / "_delta_log"
    add = next(
        line["add"]
        for line in map(json.loads, (log / f"{0:020}.json").read_text().splitlines())
        if line.get("add", {}).get("partitionValues") == {"k": "x"}
    )
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    # One container of a 32-bit roaring bitmap, with the places 0 and 2, in a bitmap of 64 bits.
    places = struct.pack("<IIHHIHH", 12346, 1, 0, 1, 16, 0, 2)
    vector = struct.pack("<IQI", 1681511377, 1, 0) + places
    vector += bytes(-len(vector) % 4)
    inline = {"storageType": "i", "pathOrInlineDv": z85(vector), "sizeInBytes": len(vector), "cardinality": 2}
    changes = [
        {"protocol": protocol},
        {"remove": {"path": add["path"], "deletionTimestamp": 1, "dataChange": True, "partitionValues": add["partitionValues"]}},
        {"add": add | {"deletionVector": inline}},
    ]
    (log / f"{1:020}.json").write_text("\n".join(map(json.dumps, changes)))
    read = spark.read.format("delta").load(str(path))
    assert rows(read) == [(2, "x"), (4, "y")]
    assert (read.count(), read.where("a > 2").select("k").collect()) == (2, [("y",)])
    assert spark.read.format("delta").option("versionAsOf", 0).load(str(path)).count() == 4


def z85(data: bytes) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    words = struct.unpack(f">{len(data) // 4}I", data)
    return "".join(digits[word // 85**place % 85] for word in words for place in (4, 3, 2, 1, 0))


def test_iceberg(spark: Session, tmp_path: Path) -> None:
    catalog = SqlCatalog("one", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    try:
        catalog.create_namespace("n")
        table = catalog.create_table("n.t", schema=pa.schema([("a", pa.int64()), ("s", pa.string())]))
        table.append(pa.table({"a": [1, 2], "s": ["x", "y"]}))
        first = table.current_snapshot()
        assert first is not None
        table.append(pa.table({"a": [3], "s": ["z"]}))
        path = str(tmp_path / "warehouse" / "n" / "t")
        read = spark.read.format("iceberg")
        assert rows(read.load(path)) == rows(read.load(table.metadata_location)) == [(1, "x"), (2, "y"), (3, "z")]
        assert rows(spark.read.format("iceberg").option("snapshot-id", first.snapshot_id).load(path)) == [(1, "x"), (2, "y")]
        for option, value in (("snapshot-id", 1), ("as-of-timestamp", 1), ("branch", "none")):
            with pytest.raises(AnalysisException, match="ICEBERG_NO_SNAPSHOT"):
                spark.read.format("iceberg").option(option, value).load(path)
        with pytest.raises(AnalysisException, match="is not an Iceberg table"):
            read.load(str(tmp_path))
        with table.update_schema() as update:
            update.rename_column("s", "ss")
        renamed = read.load(path)
        assert renamed.columns == ["a", "ss"]
        assert rows(renamed) == [(1, "x"), (2, "y"), (3, "z")]
        assert (renamed.count(), renamed.where("ss = 'z'").select("a").collect()) == (3, [(3,)])
        # Which modules are imported is not for the data to say.
        told = json.loads(Path(table.metadata_location.removeprefix("file://")).read_text())
        told["properties"]["py-io-impl"] = "named_by_data.IO"
        naming = tmp_path / "naming.metadata.json"
        naming.write_text(json.dumps(told))
        assert rows(read.load(str(naming))) == [(1, "x"), (2, "y"), (3, "z")]
        two = next(task.file.file_path for task in table.scan().plan_files() if task.file.record_count == 2)
        at = delete_rows(table, "position", {"file_path": [two], "pos": [1]})
        assert rows(read.load(at)) == [(1, "x"), (3, "z")]
        at = delete_rows(table, "equality", {"a": [1]})
        with pytest.raises(AnalysisException, match="deleted by equality"):
            read.load(at)
    finally:
        catalog.engine.dispose()


def delete_rows(table: Table, kind: str, rows: dict[str, Any]) -> str:
    """Where the metadata is of a snapshot of the table with a file of deletes."""
    from pyiceberg import manifest as m
    from pyiceberg.table.snapshots import Snapshot
    from pyiceberg.typedef import Record

    class Deletes(m.ManifestWriterV2):
        def content(self) -> m.ManifestContent:
            return m.ManifestContent.DELETES

        @property
        def _meta(self) -> dict[str, str]:
            return super()._meta | {"content": "deletes"}

    before = table.current_snapshot()
    assert before is not None
    data, listed, described, at = (
        f"{table.location()}/metadata/{kind}.{suffix}" for suffix in ("parquet", "avro", "list.avro", "metadata.json")
    )
    with table.io.new_output(data).create(overwrite=True) as out:
        pq.write_table(pa.table(rows), out)
    content = m.DataFileContent.POSITION_DELETES if kind == "position" else m.DataFileContent.EQUALITY_DELETES
    file = m.DataFile.from_args(
        content=content, file_path=data, file_format=m.FileFormat.PARQUET, partition=Record(), record_count=len(next(iter(rows.values()))),
        file_size_in_bytes=1, equality_ids=[1] if kind == "equality" else None,
    )  # fmt: skip
    with Deletes(table.spec(), table.schema(), table.io.new_output(listed), 7, "null") as writer:
        writer.add_entry(m.ManifestEntry.from_args(status=m.ManifestEntryStatus.ADDED, snapshot_id=7, data_file=file))
    with m.write_manifest_list(2, table.io.new_output(described), 7, before.snapshot_id, 99, "null") as manifests:
        manifests.add_manifests([*before.manifests(table.io), writer.to_manifest_file()])
    snapshot = Snapshot.model_validate({
        "snapshot-id": 7, "sequence-number": 99, "timestamp-ms": before.timestamp_ms + 1, "manifest-list": described,
        "summary": {"operation": "delete"}, "schema-id": table.schema().schema_id,
    })  # fmt: skip
    changed = table.metadata.model_copy(
        update={"snapshots": [*table.metadata.snapshots, snapshot], "current_snapshot_id": 7, "last_sequence_number": 99, "refs": {}}
    )
    with table.io.new_output(at).create(overwrite=True) as out:
        out.write(changed.model_dump_json(by_alias=True).encode())
    return at


def test_packages_that_are_missing(spark: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").touch()
    for kind, module in (
        ("avro", "fastavro"),
        ("delta", "deltalake"),
        ("iceberg", "pyiceberg.table"),
        ("hdf5", "tables"),
        ("jdbc", "sqlalchemy"),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(PackageMissing, match=rf"pip install 'quiver-cluster\[{kind}\]'"):
            spark.read.format(kind).options(url="sqlite://", dbtable="t").load(str(tmp_path / "x"))
