"""How many files a write leaves where the program says so, as one task and in stages."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quiver import Conf, Context
from quiver.sql import DataFrame, Session
from quiver.sql import functions as F
from quiver.sql.kernel import session as kernel_session
from quiver_proto.fragments import parse
from quiver_proto.v1.kernel_pb2 import ColumnExpression, Opaque


def data_files(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("part-*"))


def test_columns_are_written_as_the_kernel_writes_them() -> None:
    context = kernel_session(4, staged=True)
    batch = pa.RecordBatch.from_pydict({"a": [1], "b": [2]})
    context.register_record_batches("t", [[batch], [batch]])
    plan = parse(context.sql("SELECT b, count(*) AS n FROM t GROUP BY b").execution_plan().to_bytes())
    while plan.WhichOneof("node") != "repartition":
        plan = getattr(plan, plan.WhichOneof("node") or "").input
    (theirs,) = plan.repartition.partitioning.hash.hash_expr
    ours = ColumnExpression()
    ours.column.name, ours.column.index = "b", 0
    assert Opaque.FromString(ours.SerializeToString()) == theirs


@pytest.mark.parametrize("most", ["1g", "1k"])
def test_as_many_files_as_asked_for(tmp_path: Path, most: str) -> None:
    rows = pa.table({"k": [i % 5 for i in range(3000)], "v": list(range(3000))})
    (tmp_path / "in").mkdir()
    for number in range(3):
        pq.write_table(rows.slice(number * 1000, 1000), tmp_path / "in" / f"{number}.parquet")
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(tmp_path / "events")).set("spark.ui.enabled", "false")
    conf.set("quiver.sql.oneTask.maxBytes", most).set("quiver.sql.partitions", "3")
    with Session(Context("local[2]", "test", conf=conf)) as session:
        df = session.read.parquet(str(tmp_path / "in"))
        cases: dict[str, tuple[DataFrame, int]] = {
            "one": (df.coalesce(1), 1),
            "single": (df.repartition(1).select("v", "k"), 1),
            "four": (df.repartition(4).withColumn("w", F.col("v") + 1), 4),
            "sorted": (df.orderBy("v").coalesce(1), 1),
        }
        for name, (frame, count) in cases.items():
            frame.write.parquet(str(tmp_path / name))
            assert (name, len(data_files(tmp_path / name))) == (name, count)
            assert sorted(row.v for row in session.read.parquet(str(tmp_path / name)).collect()) == list(range(3000))
        (file,) = data_files(tmp_path / "sorted")
        assert pq.read_table(tmp_path / "sorted" / file).column("v").to_pylist() == list(range(3000))
        for name, frame in {"by": df.repartition("k"), "by two": df.repartition(2, "k")}.items():
            frame.write.partitionBy("k").parquet(str(tmp_path / name))
            assert [os.path.dirname(file) for file in data_files(tmp_path / name)] == [f"k={k}" for k in range(5)]
