"""Columns that are there twice, or share a name: each action has as many columns as the DataFrame; files take each name once."""

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
from quiver.sql.errors import AnalysisException, SparkRuntimeException
from quiver.sql.types import StructType


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


def test_files_take_each_name_once(spark: Session, orders: DataFrame, tmp_path: Path) -> None:
    joined = orders.join(orders.select("oid", F.lit("m").alias("m")), "oid").select("m", orders["*"])
    named_alike = [
        joined.select("m", "oid", F.col("cid").alias("OID")),
        joined.select("m", "m"),
        orders.join(orders.alias("b"), how="cross"),
    ]
    for number, df in enumerate(named_alike):
        for kind in ("parquet", "json", "orc", "avro", "arrow"):
            place = tmp_path / f"{kind}{number}"
            with pytest.raises(AnalysisException, match=r"\[COLUMN_ALREADY_EXISTS\] The column `(oid|m)` already exists"):
                df.write.format(kind).save(str(place))
            assert not place.exists()
    with pytest.raises(AnalysisException, match="COLUMN_ALREADY_EXISTS"):
        orders.select("oid", "cid", "cid").write.partitionBy("cid").parquet(str(tmp_path / "parts"))
    orders.select("cid", "cid").coalesce(1).write.csv(str(tmp_path / "csv"))
    assert sorted(spark.read.text(str(tmp_path / "csv")).toPandas()["value"]) == ["7,7", "7,7", "8,8", "9,9"]


def test_a_file_with_a_name_twice_is_refused(spark: Session, tmp_path: Path) -> None:
    for names in (["a", "a"], ["a", "A"]):
        path = tmp_path / f"{names[1]}.parquet"
        pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=names), path)
        with pytest.raises(AnalysisException, match=rf"\[COLUMN_ALREADY_EXISTS\] The column `a` already exists in .*{names[1]}\.parquet"):
            spark.read.parquet(str(path))
    with pytest.raises(SparkRuntimeException, match=r"duplicate field\(s\) \[a\]"):  # Which is meant, a schema can't tell.
        spark.read.schema("a long").parquet(str(tmp_path / "a.parquet")).collect()


def test_the_star_of_one_side_is_only_its_columns(spark: Session) -> None:
    a, b = spark.createDataFrame([(1, "x")], ["id", "n"]), spark.createDataFrame([(1, "y")], ["id", "m"])
    both = a.join(b, a.id == b.id).select(a["*"], b["m"])
    assert both.columns == ["id", "n", "m"]
    assert values(both) == [(1, "x", "y")]
    assert a.select(a["*"], F.struct(a["*"]).alias("s")).first() == (1, "x", (1, "x"))
    assert a.agg(F.count(a["*"])).first() == (1,)


def test_names_with_backticks(spark: Session) -> None:
    df = spark.createDataFrame([(1, 2)], ["a`b", "c.d`"])
    assert df.select("`a``b`", F.col("`c.d```"), df["`a``b`"]).first() == (1, 2, 1)
    assert getattr(df, "a`b")._expression.name == "a`b"


def test_constants_with_nul_in_them(spark: Session, tmp_path: Path) -> None:
    path = tmp_path / "texts.parquet"
    pq.write_table(pa.table({"s": ["a\0b", "ab", "a"], "n": [1, 2, 3]}), path)
    df = spark.read.parquet(str(path))
    assert values(df.where(F.col("s") == "a\0b").select("n")) == values(df.where(F.col("s").eqNullSafe("a\0b")).select("n")) == [(1,)]
    assert values(df.where(F.col("s").contains("\0")).select("n")) == [(1,)]
    assert values(df.where(F.col("s").like("a\0%") | F.col("s").startswith("a\0")).select("n")) == [(1,)]
    is_it = F.col("s") == "a\0b"
    assert values(df.groupBy(is_it.alias("k")).agg(F.sum(F.when(is_it, 1)).alias("c"))) == [(False, None), (True, 1)]
    assert df.where(F.lit("a\ud800") == "a?").count() == 3
    made = df.where("n = 1").select(
        F.regexp_replace("s", "\0", "x").alias("p"), F.translate("s", "\0", "x").alias("t"), F.split("s", "\0").alias("l")
    )
    assert made.first() == ("axb", "axb", ["a", "b"])
    parts = str(tmp_path / "parts")
    df.write.partitionBy("s").parquet(parts)
    assert values(spark.read.parquet(parts).where(F.col("s").eqNullSafe("a\0b"))) == [(1, "a\0b")]
    for refused in (lambda: df.select(F.col("n").alias("q\0")), lambda: df.select(is_it), lambda: df.toDF("a", "b\0")):
        with pytest.raises(AnalysisException, match=r"INVALID_IDENTIFIER.*NUL"):
            refused()


def test_metadata_of_columns_stay(spark: Session, tmp_path: Path) -> None:
    schema = StructType().add("n", "string", True, {"comment": "c", "more": {"x": [1]}}).add("k", "int")
    df = spark.createDataFrame([("x", 1)], schema)
    assert df.schema == schema
    assert df.where("k = 1").select(F.col("n").alias("m")).schema["m"].metadata == {"comment": "c", "more": {"x": [1]}}
    df.write.parquet(str(tmp_path / "p"))
    for again in (spark.read, spark.read.schema(schema)):
        assert again.parquet(str(tmp_path / "p")).schema == schema
    assert spark.createDataFrame(df.rdd, schema).schema == schema
    assert values(df.groupBy("n").count()) == values(df.groupBy("n", "n").count().select("n", "count")) == [("x", 1)]
