"""Rows into a real database: modes, types, many tasks at once, and failures that leave the table as it was."""

from __future__ import annotations

import datetime
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from quiver.sql import Session
from quiver.sql.errors import AnalysisException, IllegalArgumentException


def query(path: Path, text: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(text).fetchall()
    finally:
        connection.close()


def test_modes(spark: Session, tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    url = f"jdbc:sqlite:{path}"
    df = spark.createDataFrame([(1, "a"), (2, None)], "i int, s string")
    df.write.jdbc(url, "t")
    with pytest.raises(AnalysisException, match=r"TABLE_OR_VIEW_ALREADY_EXISTS.*SaveMode: ErrorIfExists"):
        df.write.jdbc(url, "t")
    df.write.jdbc(url, "t", "ignore")
    df.select("s", "i").write.jdbc(url, "t", "append")
    assert query(path, "SELECT * FROM t ORDER BY i") == [(1, "a"), (1, "a"), (2, None), (2, None)]
    df.where("i = 2").write.option("truncate", True).jdbc(url, "t", "overwrite")
    assert query(path, "SELECT * FROM t") == [(2, None)]
    df.selectExpr("i AS other").write.format("jdbc").options(url=url, dbtable="t").mode("overwrite").save()
    assert query(path, "SELECT other FROM t ORDER BY 1") == [(1,), (2,)]
    assert query(path, "SELECT name FROM sqlite_master") == [("t",)]


def test_types_come_back(spark: Session, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/some.db"
    kinds = "b boolean, i int, l bigint, d double, c decimal(10,2), s string, x binary, dt date, ts timestamp, tn timestamp_ntz"
    row = (
        True, 1, 2**40, 0.5, Decimal("1.25"), "é", bytearray(b"ab"), datetime.date(2026, 7, 1), datetime.datetime(2026, 7, 1, 12, 0, 0, 5),
        datetime.datetime(1999, 1, 1),
    )  # fmt: skip
    df = spark.createDataFrame([row, (None,) * 10], kinds)
    df.write.jdbc(url, "t")
    back = spark.read.option("customSchema", "i int").jdbc(url, "t")
    assert sorted(map(tuple, back.collect()), key=str) == sorted([row, (None,) * 10], key=str)


def test_many_tasks_and_a_failure(spark: Session, tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    url = f"sqlite:///{path}"
    df = spark.createDataFrame(spark.context.parallelize([(i,) for i in range(2000)], 6), "i int")
    df.write.option("batchsize", 100).jdbc(url, "t")
    assert query(path, "SELECT count(*), sum(i) FROM t") == [(2000, sum(range(2000)))]
    for mode in ("append", "overwrite"):
        with pytest.raises(Exception, match="DIVIDE_BY_ZERO"):
            df.selectExpr("1 DIV (i - 1999) AS i").write.jdbc(url, "t", mode)
    assert query(path, "SELECT count(*), sum(i) FROM t") == [(2000, sum(range(2000)))]
    assert query(path, "SELECT name FROM sqlite_master") == [("t",)]
    with pytest.raises(AnalysisException, match='Column "z" not found in schema of table t: it has i'):
        df.selectExpr("i AS z").write.jdbc(url, "t", "append")
    with pytest.raises(IllegalArgumentException, match="Can't get JDBC type for array<int>"):
        df.selectExpr("array(i) AS a").write.jdbc(url, "u")
    with pytest.raises(IllegalArgumentException, match="dbtable"):
        df.write.format("jdbc").option("url", url).save()
