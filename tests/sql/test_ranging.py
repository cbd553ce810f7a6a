"""`repartitionByRange`: each partition is a range of the keys, in their order, wherever partitions show."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quiver.sql import DataFrame, Row, Session
from quiver.sql import functions as F
from quiver.sql.errors import AnalysisException, PySparkTypeError, PySparkValueError, UnsupportedOperationException
from quiver.sql.ranging import landing
from quiver_proto.sampled_rows import SampleRows

Keys = Callable[[Row], Any]


def frame(spark: Session) -> DataFrame:
    draw = random.Random(1)
    first = datetime(2026, 1, 1)
    rows = [
        (draw.choice([None, float("nan"), draw.random()]), draw.choice("abcdef"), first + timedelta(seconds=draw.randrange(10**6)), n)
        for n in range(2000)
    ]
    return spark.createDataFrame(draw.sample(rows, len(rows)), "x double, s string, at timestamp, n int")


def check(df: DataFrame, count: int, key: Keys) -> list[list[Row]]:
    parts: list[list[Row]] = df.rdd.glom().collect()
    assert len(parts) == count
    ranges = [sorted(map(key, part)) for part in parts if part]
    assert all(one[-1] < other[0] for one, other in itertools.pairwise(ranges))
    assert sum(map(len, parts)) == 2000
    return parts


def test_partitions_are_ranges(spark: Session, tmp_path: Path) -> None:
    df = frame(spark)
    sizes = [len(part) for part in check(df.repartitionByRange(4, "n"), 4, lambda row: row.n)]
    assert min(sizes) > 300
    check(df.repartitionByRange(3, F.desc("at")), 3, lambda row: -row.at.timestamp())
    check(df.repartitionByRange(5, "s", F.col("n").desc()), 5, lambda row: (row.s, -row.n))
    check(
        df.repartitionByRange(6, "x"), 6, lambda row: (row.x is not None, row.x != row.x, 0 if row.x is None or row.x != row.x else row.x)
    )
    last = check(
        df.repartitionByRange(3, F.asc_nulls_last("x")), 3, lambda row: (row.x is None, row.x != row.x, row.x if row.x == row.x else 0)
    )
    assert [row.x is None for part in last for row in part][-1]
    assert len(df.where("n < 0").repartitionByRange(3, "n").rdd.glom().collect()) == 3
    df.repartitionByRange(3, "n").select("n").write.parquet(str(tmp_path / "files"))
    files = [pq.read_table(path)["n"].to_pylist() for path in sorted((tmp_path / "files").glob("*.parquet"))]
    assert sorted(itertools.chain(*files)) == list(range(2000))
    assert all(max(one) < min(other) for one, other in itertools.pairwise(sorted(files)))


def test_the_kernel_deals_each_range_its_partition() -> None:
    assert [len(set(landing(count))) for count in (2, 7, 200)] == [2, 7, 200]


def test_samples_are_even_and_the_same() -> None:
    batches = [pa.record_batch({"a": range(start, start + 500), "b": ["x"] * 500}) for start in range(0, 10_000, 500)]
    seen, rows = SampleRows(400)(3, iter(batches))
    assert (seen, len(rows), len({a for a, _ in rows})) == (10_000, 400, 400)
    assert all(40 < sum(low <= a < low + 2000 for a, _ in rows) < 120 for low in range(0, 10_000, 2000))
    assert SampleRows(400)(3, iter(batches)) == (seen, rows)
    assert SampleRows(400)(3, iter(batches[:1] * 0)) == (0, [])
    assert SampleRows(9)(0, iter([pa.record_batch({"a": [1, 2]}), pa.record_batch({"a": [3]})])) == (3, [(1,), (2,), (3,)])


def test_partitions_by_their_number(spark: Session, tmp_path: Path) -> None:
    df = spark.createDataFrame([(n, str(n)) for n in (*range(-3, 5), None)], "n int, s string")

    def parts(of: DataFrame) -> list[list[int | None]]:
        return [sorted((row.n for row in part), key=str) for part in of.rdd.glom().collect()]

    assert parts(df.repartitionById(3, "n")) == [[-3, 0, 3, None], [-2, 1, 4], [-1, 2]]
    doubled = df.withColumn("d", F.col("n") * 2).repartitionById(3, "d")
    assert parts(doubled.select("n", "d")) == [[-3, 0, 3, None], [-1, 2], [-2, 1, 4]]
    assert parts(df.repartitionById(1, "n"))[0][-1] is None
    assert [len(part) for part in parts(df.repartitionById(6, df.n))] == [2, 1, 1, 2, 2, 1]
    df.repartitionById(3, "n").write.parquet(str(tmp_path / "files"))
    files = [pq.read_table(path)["n"].to_pylist() for path in sorted((tmp_path / "files").glob("*.parquet"))]
    assert sorted(sorted(map(str, some)) for some in files) == [["-1", "2"], ["-2", "1", "4"], ["-3", "0", "3", "None"]]


@pytest.mark.parametrize(
    ("count", "key", "kind", "condition"),
    [
        (0, "n", PySparkValueError, "VALUE_NOT_POSITIVE"),
        ("a", "n", PySparkTypeError, "NOT_COLUMN_OR_STR|NOT_EXPECTED_TYPE|should be"),
        (2, "s", AnalysisException, "UNEXPECTED_INPUT_TYPE"),
        (2, F.col("n") * 2, UnsupportedOperationException, "withColumn"),
        (2, "nope", AnalysisException, "UNRESOLVED_COLUMN"),
    ],
)
def test_numbers_that_say_no_partition(spark: Session, count: Any, key: Any, kind: type[Exception], condition: str) -> None:
    df = spark.createDataFrame([(1, "a")], "n int, s string")
    with pytest.raises(kind, match=condition):
        df.repartitionById(count, key)
