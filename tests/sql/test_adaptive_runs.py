"""Queries whose stages are planned anew while they run answer as those whose are not; partitions that a program asks for are there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quiver import Conf, Context
from quiver.sql import DataFrame, Session
from quiver.sql import functions as F
from quiver.sql.errors import IllegalArgumentException
from quiver.sql.queries import StagedQuery
from quiver_proto.fragments import children, kind_of
from quiver_proto.v1.kernel_pb2 import Plan

_KINDS = ("", "LEFT", "RIGHT", "FULL", "LEFT SEMI", "LEFT ANTI")
QUERIES = {
    **{f"{kind} large": f"SELECT count(*), sum(l.v) FROM large l {kind} JOIN small s ON l.k = s.k" for kind in _KINDS},
    **{f"{kind} small": f"SELECT count(*), sum(l.v) FROM small l {kind} JOIN large s ON l.k = s.k" for kind in _KINDS},
    "skew": "SELECT l.k, count(*) n FROM large l JOIN other o ON l.k = o.k GROUP BY l.k ORDER BY n, l.k",
    "payload": "SELECT l.v, o.s FROM large l JOIN other o ON l.k = o.k ORDER BY l.v, o.s LIMIT 500",
    "empty": "SELECT count(*), max(l.v) FROM large l JOIN (SELECT k FROM small WHERE k < 0 GROUP BY k) s ON l.k = s.k",
    "empty left": "SELECT l.k, s.k FROM large l LEFT JOIN (SELECT k FROM small WHERE k < 0 GROUP BY k) s ON l.k = s.k ORDER BY l.v LIMIT 5",
    "built": "SELECT l.v, m FROM large l JOIN (SELECT k, max(v) m FROM other WHERE v % 100 = 0 GROUP BY k) o ON l.k = o.k ORDER BY 1, 2",
    "few": "SELECT count(*), sum(f.v), sum(l.v) FROM (SELECT * FROM small WHERE v < 4) f LEFT JOIN large l ON f.k = l.k",
    "few below": "SELECT count(*), sum(f.v), sum(j.v) FROM (SELECT * FROM small WHERE v < 4) f "
    "LEFT JOIN (SELECT l.k, l.v + o.v AS v FROM large l JOIN other o ON l.k = o.k) j ON f.k = j.k",
    "groups sifted twice": "SELECT s.k, g.v, g.n FROM (SELECT k FROM small WHERE v < 4) s "
    "JOIN (SELECT k, v, count(*) n FROM large GROUP BY v, k) g ON s.k = g.k "
    "JOIN (SELECT v, sum(k) m FROM other WHERE v % 50 = 0 GROUP BY v) o ON o.v = g.v ORDER BY 1, 2",
    "join sifted twice": "SELECT count(*), sum(g.w), sum(s.k) FROM (SELECT k FROM small WHERE v < 4) s "
    "LEFT JOIN (SELECT l.k, x.v w FROM large l LEFT JOIN other x ON l.k = x.k) g ON s.k = g.k "
    "JOIN (SELECT k, sum(v) m FROM other WHERE v % 9 = 0 GROUP BY k) o ON o.k = s.k",
    "union": "SELECT k, count(*) FROM large GROUP BY k UNION ALL SELECT k, sum(v) FROM small GROUP BY k ORDER BY 1, 2",
}


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("adaptive")
    # Half of all rows have one key.
    rows: dict[str, Any] = {
        "large": {"k": [7 if i % 2 else i % 50 for i in range(20_000)], "v": range(20_000), "s": [f"row {i}" for i in range(20_000)]},
        "other": {"k": [i % 60 for i in range(300)], "v": range(300), "s": [f"other {i}" for i in range(300)]},
        "small": {"k": [0, 3, 7, 55, None], "v": range(5), "s": [None] * 5},
    }
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(tmp_path_factory.mktemp("events"))).set("spark.ui.enabled", "false")
    conf.set("quiver.sql.oneTask.maxBytes", "1k").set("quiver.sql.partitions", "5")
    with Session(Context("local[2]", "adaptive", conf=conf)) as session:
        for name, columns in rows.items():
            (folder / name).mkdir()
            table = pa.table(columns, schema=pa.schema([("k", pa.int64()), ("v", pa.int64()), ("s", pa.string())]))
            for number in range(3):
                share = -(-len(table) // 3)
                pq.write_table(table.slice(number * share, share), folder / name / f"{number}.parquet")
            session.read.parquet(str(folder / name)).createOrReplaceTempView(name)
        yield session


def answers(spark: Session) -> dict[str, list[tuple[Any, ...]]]:
    return {name: [tuple(row) for row in spark.sql(query).collect()] for name, query in QUERIES.items()}


def test_answers_stay_the_same(spark: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    run = StagedQuery.run

    def noted(self: StagedQuery, *given: Any) -> Any:
        result = run(self, *given)
        notes.extend(self.notes)
        return result

    monkeypatch.setattr(StagedQuery, "run", noted)
    settings = {
        "spark.sql.autoBroadcastJoinThreshold": "-1",
        "spark.sql.adaptive.advisoryPartitionSizeInBytes": "4k",
        "spark.sql.adaptive.coalescePartitions.minPartitionSize": "1k",
        "spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes": "8k",
        "spark.sql.adaptive.skewJoin.skewedPartitionFactor": "2",
    }
    for key, value in settings.items():
        spark.conf.set(key, value)
    spark.conf.set("spark.sql.adaptive.enabled", False)
    expected = answers(spark)
    assert not notes
    spark.conf.set("spark.sql.adaptive.enabled", True)
    assert answers(spark) == expected
    assert any("skewed" in note for note in notes), notes
    spark.conf.set("spark.sql.adaptive.autoBroadcastJoinThreshold", "1m")
    monkeypatch.setattr("quiver.sql.adapting._WORTH_SIFTING", 1)  # The files are small.
    assert answers(spark) == expected
    assert any("build side has" in note for note in notes), notes
    assert any("only rows that may meet it" in note for note in notes), notes
    sifted = [note.rpartition(" ")[2] for note in notes if "only rows that may meet it" in note]
    assert len(sifted) > len(set(sifted)) > 0, notes  # Some stages more than once.
    assert any("empty side" in note for note in notes), notes
    for key in (*settings, "spark.sql.adaptive.enabled", "spark.sql.adaptive.autoBroadcastJoinThreshold"):
        spark.conf.unset(key)


def test_settings_that_are_none(spark: Session) -> None:
    spark.conf.set("spark.sql.autoBroadcastJoinThreshold", 0)
    spark.conf.unset("spark.sql.autoBroadcastJoinThreshold")
    for key, value, problem in (
        ("spark.sql.adaptive.enabled", "maybe", "should be true or false, got 'maybe'"),
        ("spark.sql.shuffle.partitions", "abc", "should be a positive number, got 'abc'"),
        ("spark.sql.shuffle.partitions", "2.5", "must be a whole number"),
        ("spark.sql.autoBroadcastJoinThreshold", "much", "should be a size"),
        ("spark.sql.adaptive.skewJoin.skewedPartitionFactor", "x", "positive number"),
        ("spark.sql.cbo.joinReorder.enabled", "x", "true or false"),
        ("spark.sql.files.maxRecordsPerFile", "x", "whole number"),
        ("spark.sql.sources.partitionOverwriteMode", "x", "STATIC or DYNAMIC"),
    ):
        with pytest.raises(IllegalArgumentException, match=f"INVALID_CONF_VALUE.*{problem}"):
            spark.conf.set(key, value)
    with pytest.raises(IllegalArgumentException, match="positive number, got 'abc'"):
        spark.sql("SET spark.sql.shuffle.partitions = abc")
    assert spark.table("small").count() > 0


def sizes(frame: DataFrame) -> list[int]:
    return [len(part) for part in frame.rdd.glom().collect()]


def test_partitions_that_were_asked_for(spark: Session, tmp_path: Path) -> None:
    frame = spark.table("large").select("k", "v")
    for wanted, made in (
        (4, frame.repartition(4)),
        (3, frame.repartition(3, "k")),
        (3, frame.repartition(3, F.col("v") % 2).where("v > 10")),
        (2, frame.repartition(6).coalesce(2)),
        (3, frame.repartitionByRange(3, "v")),
        (3, spark.sql("SELECT /*+ REPARTITION(3, k) */ k, v FROM large")),
        (4, spark.sql("SELECT /*+ REBALANCE(4) */ k, v FROM large")),
    ):
        assert made.rdd.getNumPartitions() == wanted
        counts = sizes(made)
        assert (len(counts), sum(counts)) == (wanted, made.count())
    spread = sizes(frame.repartition(4))
    assert max(spread) < 2 * min(spread)
    keys = [{row.k for row in part} for part in frame.repartition(3, "k").rdd.glom().collect()]
    assert sum(map(len, keys)) == len(set.union(*keys))
    frame.repartition(4).write.parquet(str(tmp_path / "four"))
    assert len(list((tmp_path / "four").glob("*.parquet"))) == 4


def test_hints_on_joins(spark: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The large tables are joined where they are read, or both sides are sorted; without a hint, both are shuffled to hash tables.

    Where one is small enough to be read by each task, a hint has it shuffled all the same.
    """
    seen: list[str] = []
    run = StagedQuery.run

    def shown(self: StagedQuery, *given: Any) -> Any:
        plans = [self._plan.result, *(stage.plan for stage in self._plan.stages)]
        kinds = [kind_of(node) for plan in plans for node in nodes(plan)]
        modes = [node.hash_join.partition_mode for plan in plans for node in nodes(plan) if kind_of(node) == "hash_join"]
        seen.append("merge" if "sort_merge_join" in kinds else "broadcast" if modes == [0] else "shuffled")
        return run(self, *given)

    monkeypatch.setattr(StagedQuery, "run", shown)
    spark.conf.set("spark.sql.autoBroadcastJoinThreshold", "-1")
    large, other = spark.table("large"), spark.table("other")
    for hint, how in (
        ("", "shuffled"),
        ("/*+ BROADCAST(o) */", "broadcast"),
        ("/*+ MAPJOIN(o) */", "broadcast"),
        ("/*+ MERGE(o) */", "merge"),
    ):
        assert spark.sql(f"SELECT {hint} l.v, o.v FROM large l JOIN other o ON l.k = o.k").count() == 100_000
        assert seen.pop() == how, hint
    assert large.join(F.broadcast(other), "k").count() == 100_000
    assert seen.pop() == "broadcast"
    assert large.join(other.hint("merge"), large.k == other.k, "left").count() == 100_000
    assert seen.pop() == "merge"
    spark.conf.unset("spark.sql.autoBroadcastJoinThreshold")
    for hint, how in (("", "broadcast"), ("/*+ SHUFFLE_HASH(o) */", "shuffled")):
        assert spark.sql(f"SELECT {hint} l.v, o.v FROM large l JOIN other o ON l.k = o.k").count() == 100_000
        assert seen.pop() == how, hint


def nodes(plan: Plan) -> list[Plan]:
    return [plan, *(node for child in children(plan) for node in nodes(child))]
