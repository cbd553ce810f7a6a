"""Operators whose plans are cut into stages answer as in one task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quiver import Conf, Context
from quiver.sql import DataFrame, Session
from quiver.sql import functions as F

PROGRAMS: dict[str, Callable[[DataFrame], Any]] = {
    "explode": lambda df: df.select("i", F.explode_outer("xs").alias("x")).groupBy("x").count().orderBy("x").collect(),
    "sample": lambda df: sorted(df.select("i").sample(0.1, seed=3).collect()),
    "replacement": lambda df: sorted(df.select("i").sample(True, 0.1, seed=3).collect()),
    "pivot": lambda df: df.groupBy("k").pivot("k", [0, 1]).count().orderBy("k").collect(),
    "rollup": lambda df: df.rollup("k").count().orderBy("k").collect(),
    "intersectAll": lambda df: df.select("k").intersectAll(df.select("k")).count(),
    "exceptAll": lambda df: df.select("k").exceptAll(df.select("k").limit(10)).count(),
    "ordered": lambda df: (
        df.groupBy("k")
        .agg(F.expr("array_agg(i ORDER BY i % 5, i DESC) AS a"), F.expr("first_value(i ORDER BY i DESC) AS b"))
        .orderBy("k")
        .collect()
    ),
    "quantiles": lambda df: df.approxQuantile("i", [0.25, 0.5], 0),
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("stages") / "rows.parquet"
    rows = {"i": list(range(200)), "k": [i % 7 for i in range(200)], "xs": [list(range(i % 3)) for i in range(200)]}
    pq.write_table(pa.table(rows), path)
    return str(path)


def test_stages_and_one_task_agree(table: str, tmp_path: Path) -> None:
    answers = []
    for most in ("1g", "1k"):
        conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(tmp_path)).set("spark.ui.enabled", "false")
        with Session(Context("local[2]", "test", conf=conf.set("quiver.sql.oneTask.maxBytes", most))) as spark:
            df = spark.read.parquet(table)
            answers.append({name: program(df) for name, program in PROGRAMS.items()})
            assert spark._state.runtime.explain(df.groupBy("k").count()._relation).where == (
                "as one task" if most == "1g" else "in 2 stages"
            )
    assert answers[0] == answers[1]
    assert answers[0]["exceptAll"] == 190
