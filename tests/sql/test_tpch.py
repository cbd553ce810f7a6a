"""TPC-H's 22 queries, as one task and cut into stages: the answers of single-process DataFusion."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from conftest_tables import TABLES
from tpch_queries import QUERIES

from quiver import Conf, Context
from quiver.sql import Session


@pytest.fixture(scope="module", params=["one task", "stages"])
def tables(request: pytest.FixtureRequest, tpch: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(tmp_path_factory.mktemp("events"))).set("spark.ui.enabled", "false")
    conf.set("quiver.sql.partitions", "3")
    if request.param == "stages":
        conf.set("quiver.sql.oneTask.maxBytes", "1k")
    with Session(Context("local[2]", "tpch", conf=conf)) as session:
        for name in TABLES:
            session.read.parquet(f"{tpch}/{name}.parquet").createOrReplaceTempView(name)
        yield session


@pytest.fixture(scope="module")
def oracle(tpch: Path) -> Any:
    from datafusion import SessionConfig, SessionContext

    context = SessionContext(SessionConfig().with_target_partitions(2))
    for name in TABLES:
        context.register_parquet(name, f"{tpch}/{name}.parquet")
    return context


def same(value: Any) -> Any:
    """Averages of decimals have other scales in Spark: six digits must agree."""
    if isinstance(value, float | Decimal):
        number = float(value)
        return "nan" if math.isnan(number) else f"{number:.6g}"
    return value


def rows(table: Any) -> list[tuple[Any, ...]]:
    columns = [[same(value) for value in column.to_pylist()] for column in table.columns]
    return sorted(zip(*columns, strict=True), key=repr)


@pytest.mark.parametrize("number", sorted(QUERIES))
def test_query(number: int, tables: Session, oracle: Any) -> None:
    assert rows(tables.sql(QUERIES[number]).toArrow()) == rows(oracle.sql(QUERIES[number]).to_arrow_table())
