"""What the kernel does wrong when its plans are run in pieces, each with the case that showed it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quiver import Conf, Context
from quiver.sql import Session
from quiver.sql import functions as F


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traps")
    for name, keys in (("small", range(40)), ("large", range(20, 6020))):
        size = len(keys)
        table = pa.table({"k": list(keys), "v": [key * 7 % 1000 for key in keys], "s": [f"text {key}" for key in keys]})
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=max(10, size // 8))
    pq.write_table(pa.table({"k": [1, 2, None]}), folder / "nulls.parquet")
    return folder


@pytest.fixture(scope="module")
def spark(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(tmp_path_factory.mktemp("events"))).set("spark.ui.enabled", "false")
    conf.set("quiver.sql.partitions", "4").set("quiver.sql.oneTask.maxBytes", "1k")
    with Session(Context("local[2]", "traps", conf=conf)) as session:
        for path in folder.glob("*.parquet"):
            session.read.parquet(str(path)).createOrReplaceTempView(path.stem)
        yield session


def answer(spark: Session, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in spark.sql(query).collect()]


def test_every_row_is_read_once(spark: Session) -> None:
    """A scan of one partition alone steals the files of the others."""
    assert answer(spark, "SELECT count(*), count(DISTINCT k), sum(v) FROM large") == [
        (6000, 6000, sum(k * 7 % 1000 for k in range(20, 6020)))
    ]


def test_order_holds_over_all_partitions(spark: Session) -> None:
    rows = answer(spark, "SELECT v, k FROM large ORDER BY v DESC, k")
    assert rows == sorted(rows, key=lambda row: (-row[0], row[1]))
    assert len(rows) == 6000


@pytest.mark.parametrize(
    ("join", "count"),
    [("LEFT", 40), ("RIGHT", 6000), ("FULL", 6020), ("LEFT SEMI", 20), ("LEFT ANTI", 20), ("INNER", 20), ("CROSS", 240_000)],
)
def test_outer_rows_come_once(join: str, count: int, spark: Session) -> None:
    """A small build side that is collected in every task would give its own rows once for each of them."""
    on = "" if join == "CROSS" else "ON a.k = b.k"
    assert answer(spark, f"SELECT count(*) FROM (SELECT a.k FROM small a {join} JOIN large b {on}) t") == [(count,)]


def test_computed_keys_are_sorted_by(spark: Session) -> None:
    """A function of something computed is no order to the kernel when it merges partitions: it refused its own plan."""
    keys = range(20, 6020)
    for key, value in (("v * 7919 % 1009", lambda k: k * 7 % 1000 * 7919 % 1009), ("abs(v * 2)", lambda k: k * 7 % 1000 * 2)):
        ordered = sorted(keys, key=lambda k: (value(k), k))
        assert answer(spark, f"SELECT k FROM large ORDER BY {key}, k") == [(k,) for k in ordered]
        assert answer(spark, f"SELECT k FROM large ORDER BY {key} DESC, k DESC LIMIT 3") == [(k,) for k in ordered[:-4:-1]]
        places = f"SELECT k, row_number() OVER (PARTITION BY abs(k % 3 * 2) ORDER BY {key}, k) AS n FROM large"
        assert answer(spark, f"SELECT k FROM ({places}) WHERE n = 1 ORDER BY k") == sorted(
            (next(k for k in ordered if k % 3 == rest),) for rest in range(3)
        )
    frame = spark.table("large").orderBy(F.sqrt(F.abs(F.col("v") * -2)), "k").select(F.col("k") + 1)
    assert [row[0] for row in frame.collect()] == [k + 1 for k in sorted(keys, key=lambda k: (k * 7 % 1000, k))]
    lists = answer(spark, "SELECT k % 2, listagg(k, ',') WITHIN GROUP (ORDER BY abs(v * 2), k) FROM small GROUP BY k % 2 ORDER BY 1")
    assert lists == [(rest, ",".join(map(str, sorted(range(rest, 40, 2), key=lambda k: (k * 7 % 1000, k))))) for rest in (0, 1)]


def test_null_in_a_not_in_decides_for_all(spark: Session) -> None:
    assert answer(spark, "SELECT count(*) FROM large WHERE k NOT IN (SELECT k FROM nulls)") == [(0,)]
    assert answer(spark, "SELECT count(*) FROM large WHERE k NOT IN (SELECT k FROM nulls WHERE k IS NOT NULL)") == [(6000,)]


def test_theta_join_that_emits_left_rows(spark: Session) -> None:
    assert answer(spark, "SELECT count(*) FROM small a LEFT JOIN large b ON a.k > b.k") == [(20 + 1 + sum(range(1, 20)),)]


def test_a_query_that_ran_runs_again(spark: Session) -> None:
    """A plan that was executed keeps what its operators learned: a top-k then lost rows."""
    frame = spark.sql("SELECT k FROM large ORDER BY k DESC LIMIT 3")
    assert [row.k for row in frame.collect()] == [row.k for row in frame.collect()] == [6019, 6018, 6017]


def test_scalar_subqueries_are_seen_by_every_stage(spark: Session) -> None:
    query = "SELECT count(*) FROM large WHERE v > (SELECT avg(v) FROM large) AND k < (SELECT max(k) FROM small) * 100"
    values = {k: k * 7 % 1000 for k in range(20, 6020)}
    mean = sum(values.values()) / len(values)
    assert answer(spark, query) == [(sum(value > mean and k < 3900 for k, value in values.items()),)]


def test_unions_of_unlike_widths(spark: Session) -> None:
    assert answer(
        spark, "SELECT count(*), sum(k) FROM (SELECT k FROM small UNION ALL SELECT k FROM large UNION ALL SELECT k FROM small) t"
    ) == [(6080, 2 * sum(range(40)) + sum(range(20, 6020)))]


@pytest.mark.parametrize(
    ("union", "first"),
    [
        ("SELECT 1 AS o, k FROM small UNION ALL SELECT 2, k FROM large", [(2, 20), (2, 21), (2, 22)]),
        ("SELECT o + 1 AS o, k FROM (SELECT 1 AS o, k FROM small UNION ALL SELECT 2, k FROM large)", [(3, 20), (3, 21), (3, 22)]),
        ("SELECT k AS o, v AS k FROM small WHERE k = 0 UNION ALL SELECT k, v FROM large WHERE k = 7 + 14", [(21, 147), (0, 0)]),
        ("SELECT k, -k AS o FROM small UNION ALL SELECT k, 7 FROM large", [(7, 20), (7, 21), (7, 22)]),
    ],
)
def test_first_rows_of_labelled_unions(spark: Session, union: str, first: list[tuple[int, int]]) -> None:
    """Where a key is one constant in each branch, the kernel dropped rows of one by what the other keys of another's are."""
    assert answer(spark, f"SELECT o, k FROM ({union}) ORDER BY o DESC, k LIMIT 3") == first


def test_no_row_of_an_aggregate_passes_a_filter_without_truth(spark: Session) -> None:
    """The kernel takes conditions without columns below aggregates: one over all rows then counted none of them, and gave its row."""
    counted = "SELECT count(k) AS n FROM small"
    for condition in (
        "n >= 0 AND CAST(NULL AS BOOLEAN)",
        "n BETWEEN 0 AND CASE WHEN n IS NULL THEN 1 END",
        "5 > (SELECT max(k) FROM large)",
    ):
        assert answer(spark, f"{counted} HAVING {condition}") == []
        assert answer(spark, f"SELECT * FROM ({counted}) a WHERE {condition}") == []
        assert answer(spark, f"SELECT a.n FROM ({counted}) a CROSS JOIN small WHERE {condition}") == []
        assert answer(spark, f"SELECT a.n FROM ({counted}) a JOIN small ON {condition}") == []
        assert answer(spark, f"{counted} GROUP BY ROLLUP (v) HAVING {condition}") == []
    assert answer(spark, f"{counted} HAVING n > 3 AND 5 < (SELECT max(k) FROM large)") == [(40,)]


def test_a_limit_over_partitions(spark: Session) -> None:
    assert answer(spark, "SELECT count(*) FROM (SELECT k FROM large LIMIT 17) t") == [(17,)]
    assert len(answer(spark, "SELECT k FROM large LIMIT 17 OFFSET 5990")) == 10


def test_the_kernel_is_imported_by_queries_only(tmp_path: Path) -> None:
    """It costs half a second and a hundred megabytes: neither a program without queries pays for it, nor one's slots."""
    program = """
import sys
from quiver import Conf, Context
from quiver.sql import SparkSession, Window, functions, types
assert "datafusion" not in sys.modules
conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", sys.argv[1]).set("spark.ui.enabled", "false")
with Context("local[1]", "test", conf=conf) as context:
    numbers = context.parallelize([1, 2, 2]).map(lambda x: (x, "datafusion" in sys.modules)).distinct()
    assert sorted(numbers.collect()) == [(1, False), (2, False)]
assert "datafusion" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_slots_leave_without_the_kernels_farewell(tmp_path: Path) -> None:
    """A process that has run the kernel may crash when its interpreter is taken down under the kernel's threads: slots never do that."""
    program = """
import atexit, os, sys
from quiver import Conf, Context
from quiver.sql import Session, functions as F
conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", sys.argv[1]).set("spark.ui.enabled", "false")
def note(x, folder=sys.argv[1]):
    open(f"{folder}/ran-{os.getpid()}", "w").close()
    atexit.register(lambda: open(f"{folder}/left", "w").close())
    return x
with Session(Context("local[2]", "test", conf=conf)) as spark:
    assert spark.range(2).select(F.udf(note, "bigint")("id")).count() == 2
    rows = spark.sql("SELECT id % 7 k, count(*) n FROM range(100000) GROUP BY 1").select(F.udf(note, "bigint")("k")).toLocalIterator()
    next(rows)
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.glob("ran-*"))
    assert not (tmp_path / "left").exists()
