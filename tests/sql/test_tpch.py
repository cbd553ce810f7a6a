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


def same(one: Any, other: Any) -> bool:
    """Means of decimals are rounded here, to six digits at least; DataFusion cuts them off."""
    if isinstance(one, float) and isinstance(other, float):
        return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=1e-9, abs_tol=1.1e-6)
    return bool(one == other)


def rows(table: Any) -> list[tuple[Any, ...]]:
    columns = [[float(value) if isinstance(value, Decimal) else value for value in column.to_pylist()] for column in table.columns]
    return sorted(
        zip(*columns, strict=True), key=lambda row: [f"{value:.4g}" if isinstance(value, float) else repr(value) for value in row]
    )


@pytest.mark.parametrize("number", sorted(QUERIES))
def test_query(number: int, tables: Session, oracle: Any) -> None:
    ours, theirs = rows(tables.sql(QUERIES[number]).toArrow()), rows(oracle.sql(QUERIES[number]).to_arrow_table())
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert all(map(same, one, other)), (one, other)
