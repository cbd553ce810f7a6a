"""Columns that are there twice, or share a name: each action has as many columns as the DataFrame; files take each name once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quiver import Conf, Context
from quiver.sql import DataFrame, Session
from quiver.sql import functions as F


@pytest.fixture(scope="module", params=["1g", "1k"], ids=["one task", "stages"])
def spark(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(tmp_path_factory.mktemp("events"))).set("spark.ui.enabled", "false")
    with Session(Context("inline", "test", conf=conf.set("quiver.sql.oneTask.maxBytes", request.param))) as session:
        yield session


@pytest.fixture(scope="module")
def orders(spark: Session, tmp_path_factory: pytest.TempPathFactory) -> DataFrame:
    path = tmp_path_factory.mktemp("repeated") / "orders.parquet"
    pq.write_table(pa.table({"oid": [1, 2, 3, 4], "cid": [7, 8, 7, 9], "amt": [1.5, 2.0, 0.5, 4.0]}), path)
    df = spark.read.parquet(str(path))
    df.createOrReplaceTempView("o")
    return df


def values(df: DataFrame) -> list[tuple[object, ...]]:
    return sorted(tuple(row) for row in df.collect())


def renamed(frames: Iterator[Any]) -> Iterator[Any]:
    for frame in frames:
        frame.columns = ["a", "b"]
        yield frame


def test_a_column_selected_twice_is_there_twice(spark: Session, orders: DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    twice = orders.select("cid", "cid")
    both = [(7, 7), (7, 7), (8, 8), (9, 9)]
    assert values(twice) == both
    assert twice.toPandas().shape == (4, 2)
    assert twice.toArrow().num_columns == 2
    twice.orderBy(orders.cid).show(1)
    assert "|cid|cid|" in capsys.readouterr().out
    assert sorted(map(tuple, twice.rdd.collect())) == sorted(map(tuple, twice.toLocalIterator())) == both
    assert values(orders.select("*", "cid").where("oid > 2").orderBy("oid")) == [(3, 7, 0.5, 7), (4, 9, 4.0, 9)]
    assert [tuple(row) for row in orders.orderBy(F.desc("oid")).select("oid", "oid").limit(2).collect()] == [(4, 4), (3, 3)]
    assert values(spark.sql("select o.*, cid from o where oid = 1")) == [(1, 7, 1.5, 7)]
    assert values(spark.sql("select cid, sum(amt), cid from o group by cid")) == [(7, 2.0, 7), (8, 2.0, 8), (9, 4.0, 9)]


def test_operators_over_a_column_that_is_there_twice(orders: DataFrame) -> None:
    twice = orders.select("cid", "cid")
    assert values(twice.dropDuplicates(["cid"])) == [(7, 7), (8, 8), (9, 9)]
    assert values(twice.distinct()) == values(twice.intersect(twice)) == [(7, 7), (8, 8), (9, 9)]
    other = orders.select("cid", "oid")
    assert values(twice.exceptAll(twice.limit(4))) == []
    assert values(twice.intersect(other)) == []
    assert values(twice.intersectAll(other.select("cid", other.cid.alias("oid")))) == [(7, 7), (7, 7), (8, 8), (9, 9)]
    assert twice.union(twice).count() == 8
    assert values(twice.union(other).distinct())[:2] == [(7, 1), (7, 3)]
    assert values(twice.join(other.where("oid = 2"), twice.cid == other.cid)) == [(8, 8, 8, 2)]
    assert values(twice.toDF("x", "y").where("x = 8")) == [(8, 8)]
    assert values(twice.repartition(3).mapInPandas(renamed, "a long, b long")) == [(7, 7), (7, 7), (8, 8), (9, 9)]
    assert values(twice.sample(True, 1.0, seed=1).limit(0)) == []
    assert values(twice.select("*", F.explode(F.array(F.lit(1)))).where("cid = 9")) == [(9, 9, 1)]


def test_a_column_that_is_there_twice_is_kept(orders: DataFrame) -> None:
    twice = orders.select("cid", "amt", "cid").cache()
    try:
        for _ in range(2):
            assert values(twice) == [(7, 0.5, 7), (7, 1.5, 7), (8, 2.0, 8), (9, 4.0, 9)]
        assert twice.where("amt > 1.5").select("amt").count() == 2
        assert values(twice.limit(4).distinct())[0] == (7, 0.5, 7)
    finally:
        twice.unpersist()
