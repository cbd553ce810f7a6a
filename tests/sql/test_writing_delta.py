"""Delta tables as targets: all rows or none, by name, and what other readers make of them."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from quiver.sql import DataFrame, Session, delta_targets
from quiver.sql.delta_log import is_entered
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


def test_new_columns_leave_what_else_a_table_is(spark: Session, tmp_path: Path) -> None:
    path = str(tmp_path / "t")
    kept = {"delta.checkpointInterval": "7", "delta.logRetentionDuration": "interval 9 days"}
    write_deltalake(path, pa.table({"x": [1], "k": ["a"]}), partition_by=["k"], name="n", description="d", configuration=kept)
    first = DeltaTable(path).metadata()
    for keys, value, same in ((["k"], "'b'", True), (["k"], "timestamp_ntz'2024-01-01 00:00:00'", False), ([], "2", False)):
        df = spark.sql(f"SELECT {value} AS y, 1L AS k")
        df.write.format("delta").mode("overwrite").option("overwriteSchema", True).partitionBy(*keys).save(path)
        now = DeltaTable(path).metadata()
        assert (now.name, now.description, now.configuration, now.partition_columns) == ("n", "d", kept, keys)
        assert (now.id == first.id) is same
        assert spark.read.format("delta").load(path).collect() == df.collect()
    df.write.format("delta").mode("append").save(path)
    assert spark.read.format("delta").load(path).count() == 2


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


def test_what_a_killed_driver_leaves_of_a_new_table_is_no_hindrance(
    spark: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, enter = tmp_path / "t", delta_targets._enter

    def entering(deltalake: Any, entry: Any) -> None:
        shutil.copytree(path, tmp_path / "before")  # A copy has no lock, as when the driver is dead.
        enter(deltalake, entry)
        shutil.copytree(path, tmp_path / "after")

    monkeypatch.setattr(delta_targets, "_enter", entering)
    spark.range(3).write.format("delta").save(str(path))
    assert not (path / "_temporary").exists()
    monkeypatch.undo()
    (tmp_path / "before/_delta_log").mkdir()
    (tmp_path / "before/_delta_log/00000000000000000000.json#1").touch()
    (tmp_path / "before/_temporary/without an owner").mkdir()
    spark.range(5).write.format("delta").save(str(tmp_path / "before"))
    assert len(files(tmp_path / "before")) == 1, "files of nobody are left"
    spark.range(5).write.format("delta").mode("append").save(str(tmp_path / "after"))
    counts = [spark.read.format("delta").load(str(tmp_path / name)).count() for name in ("before", "after")]
    assert counts == [5, 8]


def test_of_two_who_make_a_table_one_does(spark: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter, problems = delta_targets._enter, list[Exception]()
    together = threading.Barrier(2, timeout=120)

    def entering(*given: Any) -> None:
        together.wait()
        enter(*given)

    def write(path: str, mode: str) -> None:
        try:
            spark.range(3).write.format("delta").mode(mode).save(path)
        except Exception as problem:
            problems.append(problem)

    monkeypatch.setattr(delta_targets, "_enter", entering)
    paths = [str(tmp_path / str(number)) for number in range(6)]
    for number, path in enumerate(paths):
        writers = [threading.Thread(target=write, args=(path, "append" if number % 2 else "error")) for _ in range(2)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
    assert [str(problem)[:24] for problem in problems] == ["[DELTA_CONCURRENT_WRITE]"] * 6
    assert [spark.read.format("delta").load(path).count() for path in paths] == [3] * 6
    assert all(len(files(Path(path))) == 1 for path in paths)


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


def test_what_fails_after_the_entry_takes_no_files(
    spark: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for mode, rows in (("overwrite", 5), ("append", 15)):
        path = tmp_path / mode
        write_deltalake(str(path), pa.table({"x": range(10)}), configuration={"delta.checkpointInterval": "1"})
        (path / "_delta_log/_last_checkpoint/x").mkdir(parents=True)  # The library can't write it.
        with caplog.at_level(logging.WARNING, "quiver.sql.delta"):
            spark.range(5).selectExpr("id AS x").write.format("delta").mode(mode).save(str(path))
        assert "the rows are in the Delta table" in caplog.text
        assert spark.read.format("delta").load(str(path)).count() == rows
        caplog.clear()

    path, enter = tmp_path / "t", delta_targets._enter
    spark.range(3).write.format("delta").save(str(path))
    before = files(path)

    def failing(problem: BaseException, *, entered: bool, then: Callable[[], Any] = lambda: None) -> None:
        def fail(*given: Any) -> None:
            if entered:
                enter(*given)
            then()
            raise problem

        monkeypatch.setattr(delta_targets, "_enter", fail)

    def append() -> None:
        spark.range(2).write.format("delta").mode("append").save(str(path))

    for problem in (OSError("disk"), KeyboardInterrupt()):
        failing(problem, entered=False)
        with pytest.raises(AnalysisException if isinstance(problem, OSError) else KeyboardInterrupt):
            append()
        assert files(path) == before
    failing(KeyboardInterrupt(), entered=True)
    with pytest.raises(KeyboardInterrupt):
        append()
    assert spark.read.format("delta").load(str(path)).count() == 5
    log = path / "_delta_log"
    failing(OSError("disk"), entered=True, then=lambda: (log / f"{2:020d}.json").write_text("{cut"))
    with pytest.raises(AnalysisException, match=r"DELTA_WRITE_UNCERTAIN.*txnId"):
        append()
    assert len(files(path)) > len(before) + 1


def test_which_entry_is_of_a_write(tmp_path: Path) -> None:
    log = tmp_path / "_delta_log"
    assert is_entered(str(tmp_path), "a", -1) is False
    assert is_entered(str(tmp_path), "a", 0) is None
    log.mkdir()
    for version, name in enumerate("abc"):
        (log / f"{version:020d}.json").write_text(json.dumps({"commitInfo": {"txnId": name}}) + "\n" + json.dumps({"protocol": {}}))
    assert [is_entered(str(tmp_path), name, 0) for name in "abcd"] == [False, True, True, False]
    (log / f"{1:020d}.json").unlink()
    assert [is_entered(str(tmp_path), name, 0) for name in "bcd"] == [None, True, None]
    (log / f"{5:020d}.checkpoint.parquet").touch()
    assert [is_entered(str(tmp_path), name, 1) for name in "cd"] == [True, None]
    shutil.rmtree(log)
    log.touch()
    assert is_entered(str(tmp_path), "a", -1) is None


def test_paths_that_the_library_misreads(spark: Session, tmp_path: Path) -> None:
    spark.range(3).write.format("delta").save(str(tmp_path / "tA"))
    before = files(tmp_path)
    for name in ("t%41", "x%20y", "a[b", "a\\b", "e|f", "c\nd"):
        for act in (spark.range(9).write.format("delta").mode("append").save, spark.read.format("delta").load):
            with pytest.raises(AnalysisException, match="DELTA_INVALID_PATH"):
                act(str(tmp_path / name))
    assert files(tmp_path) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["tA"]
    for name in ("a b", "100%", "ü#?"):
        spark.range(3).write.format("delta").save(str(tmp_path / name))
        assert spark.read.format("delta").load(str(tmp_path / name)).count() == 3


def test_damaged_logs(spark: Session, tmp_path: Path) -> None:
    path = tmp_path / "t"
    spark.range(3).write.format("delta").save(str(path))
    before = files(path)
    entry = path / "_delta_log" / f"{1:020d}.json"
    climbing = {"path": "../secret.parquet", "partitionValues": {}, "size": 9, "modificationTime": 0, "dataChange": True}
    for text in ("{not json", "null", '{"protocol": {"minReaderVersion": 99, "minWriterVersion": 99}}', json.dumps({"add": climbing})):
        entry.write_text(text + "\n")
        with pytest.raises(AnalysisException, match="DELTA_TABLE_UNREADABLE"):
            spark.read.format("delta").load(str(path)).collect()
        if "secret" not in text:
            with pytest.raises(AnalysisException, match="DELTA_TABLE_UNREADABLE"):
                spark.range(1).write.format("delta").mode("append").save(str(path))
    assert files(path) == before
