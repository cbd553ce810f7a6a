"""DataFrames that are cached, persisted and checkpointed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quiver import Accumulator, StorageLevel
from quiver.sql import DataFrame, Row, Session
from quiver.sql import functions as F
from quiver.sql.analysis.sameness import shape


@pytest.fixture(autouse=True)
def nothing_kept(spark: Session) -> Iterator[None]:
    yield
    spark.catalog.clearCache()


def counted(spark: Session, rows: int = 4) -> tuple[DataFrame, Accumulator[int]]:
    """A DataFrame, and how often one of its rows was made."""
    made = spark.context.accumulator(0)

    def make(number: int) -> tuple[int, int]:
        made.add(1)
        return number, number % 2

    return spark.createDataFrame(spark.context.parallelize(range(rows), 2).map(make), "n int, odd int"), made


def test_kept_rows_are_computed_once_and_read_by_all_plans_that_contain_them(spark: Session) -> None:
    frame, made = counted(spark)
    odd = frame.where("odd = 1")
    assert odd.cache() is odd
    assert odd.is_cached
    assert not frame.is_cached
    assert made.value == 0
    assert odd.count() == 2
    assert made.value == 4
    odd.createOrReplaceTempView("odd_ones")
    assert spark.catalog.isCached("odd_ones")
    joined = odd.alias("a").join(odd.alias("b"), F.col("a.n") == F.col("b.n")).select("a.n")
    assert sorted(joined.collect()) == [(1,), (3,)]
    assert spark.sql("SELECT n FROM odd_ones WHERE n = (SELECT max(n) FROM odd_ones)").collect() == [(3,)]
    again = frame.filter(frame.odd == 1).select((F.col("n") * 2).alias("twice"))
    assert sorted(again.collect()) == [(2,), (6,)]
    assert sorted(row.n for row in odd.rdd.collect()) == [1, 3]
    assert made.value == 4
    odd.unpersist(blocking=True)
    assert not odd.is_cached
    assert odd.count() == 2
    assert made.value == 8


def test_what_is_kept_goes_into_what_is_kept_later(spark: Session) -> None:
    frame, made = counted(spark)
    frame.cache()
    sums = frame.groupBy("odd").agg(F.sum("n").alias("s")).cache()
    assert sorted(sums.collect()) == [(0, 2), (1, 4)]
    frame.unpersist()
    assert sorted(sums.collect()) == [(0, 2), (1, 4)]
    assert made.value == 4
    spark.catalog.clearCache()
    assert not sums.is_cached
    assert sorted(sums.collect()) == [(0, 2), (1, 4)]


def test_other_computations_are_not_taken_for_kept_ones(spark: Session) -> None:
    frame = spark.createDataFrame([(1, 2), (2, 1), (3, 3)], "a int, b int")
    left, right = frame.alias("l"), frame.alias("r")
    crossed = left.join(right, F.col("l.a") == F.col("r.b")).cache()
    assert crossed.count() == 3
    assert left.join(right, F.col("l.a") == F.col("l.b")).count() == 3
    assert left.join(right, F.col("l.a") < F.col("r.b")).count() == 3
    shapes = [
        frame.where("a = 1"), frame.where("a = 2"), frame.where("b = 1"), frame.select("a", "b"), frame.select("b", "a"),
        frame.limit(1), frame.limit(2), frame.distinct(), frame.dropDuplicates(["a"]),
        left.join(right, F.col("l.a") == F.col("r.b")), left.join(right, F.col("l.a") == F.col("l.b")),
        left.join(right, F.col("l.b") == F.col("r.a")), spark.createDataFrame([(1, 2)], "a int, b int"),
    ]  # fmt: skip
    shapes += [frame.select(make()) for make in (F.rand, F.uuid, lambda: F.shuffle(F.array("a")), lambda: F.rand(5)) for _ in range(2)][:-1]
    assert len({shape(each._relation) for each in shapes}) == len(shapes)
    drawn = frame.select(F.rand().alias("r")).cache()
    assert drawn.is_cached
    assert sorted(drawn.collect()) == sorted(drawn.where("r < 2").collect())
    assert not frame.select(F.rand().alias("r")).is_cached
    assert shape(frame.where("a = 1")._relation) == shape(frame.where(frame.a == 1)._relation)


def test_levels_and_names(spark: Session, capsys: pytest.CaptureFixture[str]) -> None:
    frame = spark.range(10).where("id > 3")
    assert frame.storageLevel == StorageLevel.NONE
    frame.persist(StorageLevel.DISK_ONLY)
    frame.persist(StorageLevel.MEMORY_ONLY)  # Told in the log, and left as it is.
    assert frame.storageLevel == StorageLevel.DISK_ONLY
    kept = spark._state.runtime.kept.find(frame._relation)
    assert kept is not None
    assert str(kept.rdd.name()).startswith("Filter")
    frame.select("id").explain()
    assert "RDD kept: Filter" in capsys.readouterr().out
    frame.unpersist()
    assert spark.range(10).cache().storageLevel == StorageLevel.MEMORY_AND_DISK_DESER
    spark.range(5).createOrReplaceTempView("five")
    spark.newSession().range(5).persist()
    assert spark.catalog.isCached("five")
    spark.catalog.uncacheTable("five")
    spark.catalog.cacheTable("five", StorageLevel.MEMORY_ONLY)
    kept = spark._state.runtime.kept.find(spark.table("five")._relation)
    assert kept is not None
    assert (kept.rdd.name(), kept.rdd.getStorageLevel()) == ("In-memory table five", StorageLevel.MEMORY_ONLY)


def test_kept_rows_of_files_until_they_are_refreshed(spark: Session, tmp_path: Path) -> None:
    path = tmp_path / "data" / "part.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"n": [1]}), path)
    spark.read.parquet(str(tmp_path / "data")).cache().count()
    pq.write_table(pa.table({"n": [1, 2]}), path)
    frame = spark.read.parquet(str(tmp_path / "data"))
    assert frame.count() == 1
    spark.catalog.refreshByPath(str(tmp_path / "elsewhere"))
    assert frame.is_cached
    spark.catalog.refreshByPath(str(tmp_path))
    assert frame.count() == 2
    other = spark.range(1).cache()
    frame.cache()
    spark.range(3).withColumnRenamed("id", "n").write.mode("overwrite").parquet(str(tmp_path / "data"))
    assert spark.read.parquet(str(tmp_path / "data")).count() == 3
    assert other.is_cached


@pytest.mark.parametrize("eager", [True, False])
def test_checkpoints_stand_for_their_lineage(spark: Session, tmp_path: Path, eager: bool) -> None:
    frame, made = counted(spark)
    twice = frame.withColumn("twice", frame.n * 2)
    spark.context.setCheckpointDir(str(tmp_path))
    for make in (twice.checkpoint, twice.localCheckpoint, lambda eager: twice.localCheckpoint(eager, StorageLevel.DISK_ONLY)):
        point = make(eager)
        before = made.value
        assert point.columns == ["n", "odd", "twice"]
        assert sorted(point.where(frame.n > 2).select("twice").collect()) == [(6,)]
        assert made.value - before == (0 if eager else 4)
        assert point.join(twice, "n").count() == 4
        assert made.value - before == (4 if eager else 8)  # Once for `twice` itself.
    assert Row(n=3, odd=1, twice=6) in twice.collect()
