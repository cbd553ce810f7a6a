"""Delta tables as targets: all rows or none, by name, and what other readers make of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from quiver.sql import DataFrame, Session
from quiver.sql.errors import AnalysisException

ROWS = [(1, "a b", "x/y"), (2, None, "ü"), (3, "a=b%", "%")]


def files(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file() and "_delta_log" not in file.parts)


def test_modes(spark: Session, tmp_path: Path) -> None:
    path = tmp_path / "t"

    def write(df: DataFrame, mode: str, **options: Any) -> None:
        df.write.format("delta").mode(mode).options(**options).save(str(path))

    def read(version: int | None = None) -> list[tuple[Any, ...]]:
        return sorted(map(tuple, spark.read.format("delta").option("versionAsOf", version).load(str(path)).collect()))

    df = spark.createDataFrame(ROWS, "v int, k string, l string")
    df.write.format("delta").partitionBy("k", "l").save(str(path))
    others = pa.table(DeltaTable(str(path)).to_pyarrow_table()).to_pylist()
    assert sorted(tuple(row.values()) for row in others) == read() == ROWS
    write(spark.createDataFrame([("p", 4)], "L string, V long"), "append")  # By name, cast; k is null.
    write(df, "ignore")
    assert read() == [*ROWS, (4, None, "p")]
    write(spark.read.format("delta").load(str(path)).where("v < 3"), "overwrite")
    assert (read(), read(1)) == (ROWS[:2], [*ROWS, (4, None, "p")])
    write(spark.range(2).selectExpr("id", "timestamp_ntz'2024-01-01 00:00:00' AS n"), "overwrite", overwriteSchema=True)
    assert [row[0] for row in read()] == [0, 1]
    assert not [name for name in files(path) if not name.endswith(".parquet")]


def test_what_is_refused_leaves_the_table_as_it_was(spark: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t"
    spark.range(3).write.format("delta").save(str(path))
    before = files(path)
    wrong: list[tuple[Callable[[], Any], str]] = [
        (lambda: spark.range(1).write.format("delta").save(str(path)), "DELTA_TABLE_ALREADY_EXISTS"),
        (lambda: spark.range(1).toDF("x").write.format("delta").mode("append").save(str(path)), r"MERGE_FIELDS.*no such columns: x"),
        (lambda: spark.sql("SELECT 'a' AS id").write.format("delta").mode("append").save(str(path)), r"id \(string instead of bigint\)"),
        (lambda: spark.range(1).write.format("delta").mode("append").partitionBy("id").save(str(path)), "not by"),
        (lambda: spark.range(1).write.format("delta").option("replaceWhere", "id = 1").mode("overwrite").save(str(path)), "replacewhere"),
    ]
    for act, problem in wrong:
        with pytest.raises(AnalysisException, match=problem):
            act()
    with pytest.raises(Exception, match="DIVIDE_BY_ZERO"):
        spark.sql("SELECT 1 DIV (id - id) AS id FROM range(5)").write.format("delta").mode("append").save(str(path))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(AnalysisException, match="NON_EMPTY_LOCATION"):
        spark.range(1).write.format("delta").save(str(tmp_path / "full"))

    def faster(table: DeltaTable, *_: Any, **__: Any) -> None:
        from deltalake.exceptions import CommitFailedError

        raise CommitFailedError("a newer version")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", faster)
    with pytest.raises(AnalysisException, match="DELTA_CONCURRENT_WRITE"):
        spark.range(1).write.format("delta").mode("append").save(str(path))
    assert files(path) == before
    assert spark.read.format("delta").load(str(path)).count() == 3


def test_tables_that_ask_more_of_their_writers(spark: Session, tmp_path: Path) -> None:
    checked, kept = str(tmp_path / "c"), str(tmp_path / "k")
    write_deltalake(checked, pa.table({"a": [1]}))
    DeltaTable(checked).alter.add_constraint({"positive": "a > 0"}, commit_properties=CommitProperties())
    with pytest.raises(AnalysisException, match="DELTA_UNSUPPORTED_FEATURES_FOR_WRITE"):
        spark.sql("SELECT -1L AS a").write.format("delta").mode("append").save(checked)
    write_deltalake(kept, pa.table({"a": [1]}), configuration={"delta.appendOnly": "true"})
    with pytest.raises(AnalysisException, match="DELTA_CANNOT_MODIFY_APPEND_ONLY"):
        spark.sql("SELECT 2L AS a").write.format("delta").mode("overwrite").save(kept)
    spark.sql("SELECT 2L AS a").write.format("delta").mode("append").save(kept)
    assert spark.read.format("delta").load(kept).count() == 2
