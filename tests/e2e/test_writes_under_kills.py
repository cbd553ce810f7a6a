"""Writing files while executors get SIGKILL: every row once, nothing staged left; and a cancelled write leaves nothing."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from harness import MakeContext, eventually
from test_survival import executor_pids

from quiver.sql import Session
from quiver_proto.errors import JobCancelled

FILES, ROWS = 6, 3000


@pytest.fixture
def source(tmp_path: Path) -> str:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(FILES):
        start = number * ROWS
        pq.write_table(pa.table({"v": list(range(start, start + ROWS)), "k": [v % 5 for v in range(ROWS)]}), folder / f"{number}.parquet")
    return str(folder)


def staged(out: Path) -> list[Path]:
    """Directories of attempts that have begun a file."""
    return [place for place in out.glob("_temporary/*/*-*") if any(place.iterdir())] if out.exists() else []


def test_rows_are_there_once(make_context: MakeContext, source: str, tmp_path: Path) -> None:
    context = make_context("local-cluster[2,2,512]", quiver_sql_oneTask_maxBytes="1k", quiver_sql_partitions="6")
    with Session(context) as spark:
        spark.range(1).count()
        out = tmp_path / "out"
        problems: list[BaseException] = []

        def write() -> None:
            # Many small files, so that there is time to be killed in.
            df = spark.read.parquet(source).repartition(6)
            try:
                df.write.option("maxRecordsPerFile", 4).partitionBy("k").csv(str(out))
            except BaseException as problem:
                problems.append(problem)

        writer = threading.Thread(target=write)
        writer.start()
        for _ in range(2):
            killed = {place.name for place in staged(out)}
            eventually(lambda seen=killed: bool({place.name for place in staged(out)} - seen) or not writer.is_alive(), "a staged file")
            assert writer.is_alive(), problems
            for pid in executor_pids(os.getpid()):
                os.kill(pid, signal.SIGKILL)
        writer.join()
        assert problems == []
        found = [int(line) for file in out.rglob("part-*") for line in file.read_text().splitlines()]
        assert sorted(found) == list(range(FILES * ROWS))
        assert sorted(os.listdir(out)) == ["_SUCCESS", *(f"k={k}" for k in range(5))]
        # A write that is cancelled leaves what was there.
        before = sorted(out.rglob("*"))
        session = Session(context)

        def cancelled() -> None:
            context.setJobGroup("late", "to be cancelled", True)
            with pytest.raises(JobCancelled):
                session.read.parquet(source).write.mode("overwrite").option("maxRecordsPerFile", 1).csv(str(out))

        late = threading.Thread(target=cancelled)
        late.start()
        eventually(lambda: bool(staged(out)), "a staged file")
        context.cancelJobGroup("late")
        late.join()
        assert sorted(out.rglob("*")) == before
