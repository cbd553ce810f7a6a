"""What a query reads is counted before it is planned, and files that several cores read in parts count once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quiver import Conf, Context
from quiver.sql import Session, planning, sizing
from quiver.sql.kernel_context import KernelContext


@contextmanager
def session(master: str, folder: Path, most: int) -> Iterator[Session]:
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(folder / "events")).set("spark.ui.enabled", "false")
    with Session(Context(master, "test", conf=conf.set("quiver.sql.oneTask.maxBytes", str(most)))) as made:
        yield made


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries that the kernel has planned."""
    found: list[str] = []
    plan = KernelContext.planned

    def counted(self: KernelContext, query: Any, productions: Any) -> Any:
        found.append(query.text)
        return plan(self, query, productions)

    monkeypatch.setattr(KernelContext, "planned", counted)
    return found


@pytest.mark.parametrize(("less", "where"), [(0, "as one task"), (1, "in 2 stages")])
def test_parts_of_a_file_are_one_file(
    tmp_path: Path, planned: list[str], capsys: pytest.CaptureFixture[str], less: int, where: str
) -> None:
    path = tmp_path / "large.parquet"
    numbers = np.random.default_rng(1).integers(0, 1 << 62, 1_600_000)
    pq.write_table(pa.table({"k": numbers}), path, row_group_size=200_000)
    size = os.path.getsize(path)
    assert size > 11 << 20  # What is smaller, the kernel reads as a whole.
    with session("local[2]", tmp_path, size - less) as spark:
        spark.read.parquet(str(path)).groupBy("k").count().explain()
    assert f"Runs {where}" in capsys.readouterr().out
    assert len(planned) == 1


def test_files_that_are_pruned_do_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "table"
    pq.write_to_dataset(pa.table({"p": [1] * 1000 + [2] * 10, "v": list(range(1010))}), table, ["p"])
    small = sum(os.path.getsize(file) for file in (table / "p=2").iterdir())
    with session("inline", tmp_path, small) as spark:
        frame = spark.read.parquet(str(table))
        frame.where("p = 2").groupBy("v").count().explain()
        assert "Runs as one task" in capsys.readouterr().out
        frame.groupBy("v").count().explain()
        assert "Runs in " in capsys.readouterr().out


def test_a_few_columns_of_large_files_are_one_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an executor has only some of the cores, and files are larger than is worth spreading."""
    numbers = np.random.default_rng(1)
    columns = {name: numbers.integers(0, 1 << 62, 1000) for name in "kabcdefgh"}
    path = tmp_path / "wide.parquet"
    pq.write_table(pa.table({**columns, "n": [{"x": 1, "y": 2}] * 1000}), path)
    monkeypatch.setattr(planning, "SMALL", os.path.getsize(path) // 2)
    monkeypatch.setattr(sizing, "FEW_COLUMNS", 20_000)
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(tmp_path / "events")).set("spark.ui.enabled", "false")
    with Session(Context("inline", "test", conf=conf)) as spark:
        monkeypatch.setattr(type(spark.sparkContext), "defaultParallelism", 2)
        runtime = spark._state.runtime
        frame = spark.read.parquet(str(path))

        def where(relation: Any) -> str:
            return runtime.explain(relation._relation).where

        two = frame.groupBy("k").agg({"a": "max"})
        assert where(two) == "as one task"
        assert "needs columns of only 1" in runtime.explain(two._relation).notes[0]
        assert where(frame.groupBy("k", "a").agg({"b": "max"})) == "in 2 stages"
        # What is read twice counts twice.
        assert where(two.join(frame.select("k", "b"), "k")) != "as one task"
        assert where(frame.groupBy("k").agg({"n": "count"})) == "as one task"
        # A value is four bytes, however well it is coded.
        assert where(frame.groupBy("n").agg({"k": "max", "a": "max"})) == "in 2 stages"
        least = {"quiver.sql.oneTask.maxBytes": str(os.path.getsize(path) - 1)}
        monkeypatch.setattr(runtime._planning, "_setting", lambda key, default: least.get(key, default))
        assert where(two) == "in 2 stages"


@pytest.mark.parametrize(("needed", "memory", "little"), [(32 << 20, 0, True), (33 << 20, 0, False), (17 << 20, 256 << 20, False)])
def test_what_is_little_depends_on_an_executors_memory(needed: int, memory: int, little: bool) -> None:
    assert sizing.needs_little(needed, memory) == little
