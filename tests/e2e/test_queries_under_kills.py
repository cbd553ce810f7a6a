"""Queries of every kind at once while nodes and executors get SIGKILL, twice: before their exchanges, and after.

In each query a function of the user's stands below the exchanges and another above them. The first call of each says that it runs, and
stays. When all have said so, a node is killed, with what its tasks left there, and the executors of the other, whose files stay.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from harness import eventually
from test_survival import Cluster, executor_pids

from quiver import Conf, Context
from quiver.sql import DataFrame, Session, Window
from quiver.sql import functions as F

FILES, ROWS, KEYS = 4, 300, 10
LIMIT_S = 180.0
SUMS = [(k, sum(range(k, FILES * ROWS, KEYS))) for k in range(KEYS)]


class Query:
    """One action in a thread of its own. `held(0, …)` and `held(1, …)` are columns that stay; `out`: a directory that is not there."""

    def __init__(self, spark: Session, name: str, directory: Path) -> None:
        self.name = name
        self.out = str(directory / f"{name}-out")
        self.marks = [directory / f"{name}-in", directory / f"{name}-out-held"]
        self.wrong = ""
        self._spark = spark
        self.thread = threading.Thread(target=self._run, name=name)
        self.thread.start()

    def rows(self) -> DataFrame:
        return self._spark.table("t").select("k", self.held(0, "v").alias("v"))

    def held(self, number: int, column: str) -> Any:
        mark = str(self.marks[number])

        def hold(value: Any) -> Any:
            if not os.path.exists(mark):
                try:
                    os.close(os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                except FileExistsError:
                    return value
                while True:
                    time.sleep(600)
            return value

        return F.udf(hold, "bigint")(column)

    def summed(self, rows: DataFrame) -> DataFrame:
        return rows.groupBy("k").agg(F.sum("v").alias("s")).select("k", self.held(1, "s").alias("s"))

    def _run(self) -> None:
        try:
            found, expected = QUERIES[self.name](self)
            if found != expected:
                self.wrong = f"{self.name} gave {str(found)[:300]}, not {str(expected)[:300]}"
        except BaseException as error:
            self.wrong = f"{self.name} raised {error!r}"

    def __repr__(self) -> str:
        return f"{self.name} {[mark.exists() for mark in self.marks]} {self.thread.is_alive()} {self.wrong}"

    def is_held(self, number: int) -> bool:
        """Whether it is where it shall be killed for the number-th time; or over."""
        return not self.thread.is_alive() or self.marks[number].exists()


def plain(df: DataFrame) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in df.collect())


def full_join(query: Query) -> Any:
    left = query.rows().where("k < 8")
    right = query._spark.table("t").where("k > 4").groupBy("k").agg(F.max("v").alias("m"))
    joined = left.join(right, "k", "full").groupBy("k").agg(F.sum("v").alias("v"), F.max("m").alias("m"))
    found = plain(joined.select("k", query.held(1, "m").alias("m"), "v"))
    return found, [(k, FILES * ROWS - KEYS + k if k > 4 else None, s if k < 8 else None) for k, s in SUMS]


def ordered(query: Query) -> Any:
    df = query.rows().orderBy(F.desc("v")).select(query.held(1, "v").alias("v"))
    return [row.v for row in df.collect()], list(range(FILES * ROWS - 1, -1, -1))


def windowed(query: Query) -> Any:
    place = F.row_number().over(Window.partitionBy("k").orderBy("v"))
    df = query.rows().withColumn("n", place).select("k", query.held(1, "n").alias("n")).where(f"n = {FILES * ROWS // KEYS}")
    return plain(df), [(k, FILES * ROWS // KEYS) for k in range(KEYS)]


def kept(query: Query) -> Any:
    rows = query.rows().cache()
    count = rows.count()
    return (count, plain(query.summed(rows)), rows.count()), (FILES * ROWS, SUMS, FILES * ROWS)


def written(query: Query) -> Any:
    query.summed(query.rows()).write.partitionBy("k").parquet(query.out)
    found = plain(query._spark.read.parquet(query.out).select("k", "s"))
    return (found, sorted(os.listdir(query.out))), (SUMS, sorted(["_SUCCESS", *(f"k={k}" for k in range(KEYS))]))


def of_groups(query: Query) -> Any:
    df = query.rows().groupBy("k").applyInPandas(lambda group: group.groupby("k", as_index=False).sum(), "k bigint, v bigint")
    return plain(df.select("k", query.held(1, "v"))), SUMS


QUERIES: dict[str, Callable[[Query], Any]] = {
    "full join": full_join,
    "order": ordered,
    "window": windowed,
    "kept": kept,
    "write": written,
    "groups": of_groups,
}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUIVER_MANAGER_MAX_EXECUTOR_DEATHS", "1000000")
        made = Cluster(tmp_path)
    for name in ("node-a", "node-b"):
        made.start_node(name, len(QUERIES) + 2, "4g")
    yield made
    made.stop()


def test_answers_are_the_same(cluster: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "t"
    folder.mkdir()
    for number in range(FILES):
        values = range(number * ROWS, (number + 1) * ROWS)
        pq.write_table(pa.table({"k": [v % KEYS for v in values], "v": list(values)}), folder / f"{number}.parquet")
    conf = Conf(loadDefaults=False).setMaster(cluster.url).setAppName("kills").set("quiver.secret.file", str(tmp_path / "secret"))
    conf.set("quiver.eventLog.dir", str(tmp_path / "events")).set("spark.ui.enabled", False).set("quiver.sql.partitions", 3)
    # One task with all the cores of an executor would wait for tasks that are held.
    conf.set("quiver.sql.oneTask.maxBytes", "1")
    # How often a task may be lost is another test's matter: on a busy machine one can be sent to the next that is about to be killed.
    conf.set("spark.task.maxFailures", 100)
    with Session(Context(conf=conf)) as spark:
        spark.read.parquet(str(folder)).createOrReplaceTempView("t")
        queries = [Query(spark, name, tmp_path) for name in QUERIES]
        for number, (dies, stays, comes) in enumerate((("node-a", "node-b", "node-c"), ("node-b", "node-c", "node-d"))):
            eventually(lambda number=number: all(query.is_held(number) for query in queries), f"all of {queries} hold a task", LIMIT_S)
            cluster.start_node(comes, len(QUERIES) + 2, "4g")
            cluster.kill(dies)
            for pid in executor_pids(cluster.processes[stays].pid):
                os.kill(pid, signal.SIGKILL)
        for query in queries:
            query.thread.join(LIMIT_S)
        assert not [query.name for query in queries if query.thread.is_alive()], "these did not end"
        assert [query.wrong for query in queries if query.wrong] == []
        assert all(mark.exists() for query in queries for mark in query.marks), "a task was never held: nothing was killed under it"
