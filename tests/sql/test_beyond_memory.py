"""Queries over more than the executors' memory: they spill, or are planned anew, and no process outgrows its executor's limit."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quiver import Conf, Context
from quiver.sql import Session
from quiver_executor.kernel_memory import pool_bytes, settings_for
from quiver_executor.kernel_refusals import refusing
from quiver_proto.errors import KernelOutOfMemory, SlotOutOfMemory

ROWS, WIDTH, LIMIT = 144_000, 1_500, 410 << 20

OWN = "SELECT k, concat(s, CAST(k % 16 AS STRING)) AS s FROM"
"""Rows of a file may share the bytes of equal values."""


class Watch:
    """The largest resident size, without shared pages, that any process below this one has had."""

    def __init__(self) -> None:
        self.peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            pending = [os.getpid()]
            while pending:
                try:
                    for task in os.listdir(f"/proc/{pending[-1]}/task"):
                        pending[:0] = map(int, Path(f"/proc/{pending[-1]}/task/{task}/children").read_text().split())
                    if pending[-1] != os.getpid():
                        _, resident, shared, *_ = Path(f"/proc/{pending[-1]}/statm").read_text().split()
                        self.peak = max(self.peak, (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE"))
                except OSError:
                    pass  # It ended meanwhile.
                pending.pop()


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("large")
    texts = pa.array([f"{number:04d}" * (WIDTH // 4) for number in range(16)])
    for name, step in (("a", 7), ("b", 11)):
        # Small files: the values are few. In memory each row has its own.
        keys = [number * step % ROWS for number in range(ROWS)]
        text = pa.DictionaryArray.from_arrays(pa.array([key % 16 for key in keys], pa.int8()), texts)
        pq.write_table(pa.table({"k": keys, "s": text.cast(pa.string())}), folder / f"{name}.parquet", row_group_size=20_000)
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(tmp_path_factory.mktemp("events"))).set("spark.ui.enabled", "false")
    conf.set("quiver.sql.oneTask.maxBytes", "1k").set("spark.sql.autoBroadcastJoinThreshold", "-1").set("quiver.sql.partitions", "2")
    with Session(Context("local-cluster[2,1,410m]", "large", conf=conf)) as session:
        for name in ("a", "b"):
            session.read.parquet(str(folder / f"{name}.parquet")).createOrReplaceTempView(name)
        yield session


def test_a_join_a_sort_and_a_group_by(spark: Session, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert 2 * ROWS * WIDTH > LIMIT
    with caplog.at_level("WARNING"):
        # A hash table of two partitions does not fit: it is planned again, for more of them.
        joined = spark.sql(f"SELECT count(*), sum(a.k), min(a.s), max(b.s) FROM ({OWN} a) a JOIN ({OWN} b) b ON a.k = b.k").collect()
        assert "planned anew for less memory" in caplog.text
        grouped = spark.sql("SELECT count(*), sum(n), max(m) FROM (SELECT k, count(*) n, max(s) m FROM a GROUP BY k) t").collect()
        spark.sql("SELECT * FROM a ORDER BY s DESC, k").write.parquet(str(tmp_path / "sorted"))
    low, high = "0000" * (WIDTH // 4), "0015" * (WIDTH // 4)
    assert [tuple(row) for row in joined] == [(ROWS, ROWS * (ROWS - 1) // 2, f"{low}0", f"{high}15")]
    assert [tuple(row) for row in grouped] == [(ROWS, ROWS, high)]
    files = sorted((tmp_path / "sorted").glob("*.parquet"))
    rows = pa.concat_tables(pq.read_table(file, columns=["k"]) for file in files)
    assert rows["k"].to_pylist() == sorted(range(ROWS), key=lambda key: (-(key % 16), key))


JOINED = f"SELECT a.k, a.s < b.s AS less FROM ({OWN} a) a JOIN ({OWN} b) b ON a.k = b.k"
"""Both texts come to the join, whose hash tables of two partitions do not fit."""


def test_rows_of_python_and_kept_ones_are_planned_anew_too(spark: Session, caplog: pytest.LogCaptureFixture) -> None:
    def counted(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from (pa.RecordBatch.from_pylist([{"n": batch.num_rows, "k": sum(batch["k"].to_pylist())}]) for batch in batches)

    expected = (ROWS, ROWS * (ROWS - 1) // 2)

    def again() -> bool:
        told = "planned anew for less memory" in caplog.text
        caplog.clear()
        return told

    with caplog.at_level("WARNING", "quiver.driver"):
        kept = spark.sql(JOINED).cache()
        before = spark._state.runtime.kept.find(kept._relation)
        mapped = kept.mapInArrow(counted, "n long, k long").groupBy().sum("n", "k")
        assert (tuple(mapped.collect()[0]), again()) == (expected, True)
        after = spark._state.runtime.kept.find(kept._relation)
        assert before is not None
        assert after is not None
        assert after.rdd.getNumPartitions() > before.rdd.getNumPartitions()
        assert (kept.selectExpr("count(*)", "sum(k)").first(), again()) == (expected, False)
        assert spark._state.runtime.kept.find(kept._relation) is after
        assert kept.storageLevel.useMemory
        assert not kept.unpersist().is_cached
        rows = spark.sql(JOINED).toLocalIterator()
        assert (next(rows).less in (True, False), again()) == (True, True)
        later, seen = spark.sql(JOINED).localCheckpoint(eager=False), spark.context.accumulator(0)
        assert not again()
        later.foreach(lambda row: seen.add(row.k))
        assert (seen.value, again()) == (expected[1], True)
        assert (later.selectExpr("count(*)", "sum(k)").first(), again()) == (expected, False)


def test_rows_of_ten_megabytes_are_kept(spark: Session) -> None:
    rows = spark.sql("SELECT id, repeat(CAST(id AS STRING), 5000000) AS s FROM range(10, 60)").localCheckpoint()
    assert LIMIT < 50 * 10_000_000
    assert rows.selectExpr("count(*)", "max(length(s))", "max(left(s, 2))").first() == (50, 10_000_000, "59")


def test_the_first_of_most_rows(spark: Session, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    count = 600_000
    with caplog.at_level("WARNING", "quiver.driver"):
        frame = spark.range(count + 10).orderBy("id", ascending=False).limit(count)
        frame.write.parquet(str(tmp_path / "first"))
    assert "planned anew" not in caplog.text
    files = sorted((tmp_path / "first").glob("*.parquet"))
    assert pa.concat_tables(pq.read_table(file) for file in files)["id"].to_pylist() == [*range(count + 9, 9, -1)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            f"SELECT count(*), min(t), max(length(s)) FROM (SELECT s, sum(k) OVER () t FROM ({OWN} a))",
            (ROWS, ROWS * (ROWS - 1) // 2, WIDTH + 2),
        ),
        (f"SELECT count(DISTINCT concat(s, k)), count(DISTINCT k) FROM ({OWN} a)", (ROWS, ROWS)),
        (f"SELECT count(*), max(length(p)) FROM (SELECT lag(s) OVER (ORDER BY k) p FROM ({OWN} a))", (ROWS, WIDTH + 2)),
    ],
)
def test_what_the_kernel_holds_and_does_not_count(spark: Session, query: str, expected: tuple[int, ...]) -> None:
    assert [tuple(row) for row in spark.sql(query).collect()] == [expected]


def test_a_window_of_four_times_the_memory_can_not_be_had(spark: Session) -> None:
    rows = " UNION ALL ".join([f"{OWN} a"] * 4)
    with Watch() as watch, pytest.raises(SlotOutOfMemory, match="most of it probably in WindowAgg"):
        spark.sql(f"SELECT max(f), max(length(s)) FROM (SELECT s, first_value(k) OVER () f FROM ({rows}))").collect()
    # Where nobody looks it is 1.8 GiB; as it is, 0.4, and what a machine with much to do lets it grow between two looks.
    assert watch.peak < 2 * LIMIT, f"{watch.peak >> 20} MiB"


def test_results_are_not_held(spark: Session) -> None:
    with Watch() as watch:
        table = spark.sql(f"{OWN} a UNION ALL {OWN} b").toArrow()
    assert table.num_rows == 2 * ROWS
    assert table.nbytes > LIMIT
    assert watch.peak < LIMIT, f"{watch.peak >> 20} MiB"  # It is 0.12 GiB; 0.5 where they are held.


def test_one_list_of_all_rows_can_not_be_had(spark: Session) -> None:
    with pytest.raises(KernelOutOfMemory, match="Give executors more memory") as raised:
        spark.sql(f"SELECT size(collect_list(s)) FROM ({OWN} a UNION ALL {OWN} b)").collect()
    assert "Raised in a task: collect at " in "".join(raised.value.__notes__)
    assert spark.sql("SELECT count(*) FROM a").first() == (ROWS,)


def test_small_pools_have_small_buffers() -> None:
    assert pool_bytes(512 << 20) < (512 << 20) // 3
    assert settings_for(pool_bytes(512 << 20))["datafusion.execution.batch_size"] == "4096"
    assert settings_for(pool_bytes(256 << 20))["datafusion.execution.batch_size"] == "1024"
    assert settings_for(pool_bytes(8 << 30)) == {}


def test_other_errors_pass() -> None:
    with pytest.raises(KernelOutOfMemory, match=r"HashJoinInput asked for 4\.1 MB more than is left of the 140\.8 MB"), refusing():
        raise Exception(
            "DataFusion error: Resources exhausted: Failed to allocate additional 4.1 MB for HashJoinInput with 0.0 B already allocated "
            "for this reservation - 1.0 MB remain available for the total memory pool: fair(pool_size: 140.8 MB)"
        )
    with pytest.raises(Exception, match="something else"), refusing():
        raise Exception("DataFusion error: something else")
