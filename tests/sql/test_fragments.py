"""The descriptors of the kernel's plans, proven against plans that the installed kernel encodes; cutting; narrowing to a partition."""

from __future__ import annotations

import asyncio
import tomllib
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quiver.sql import proving
from quiver.sql.cutting import cut
from quiver.sql.kernel import bare_session, describe, physical_plan, session
from quiver.sql.row_scans import described, scan_by_kernel
from quiver_proto.errors import KernelDiffers, UnsupportedPlan
from quiver_proto.fragments import at_partition, copied, kind_of, parse, scans, width
from quiver_proto.v1.kernel_pb2 import Plan
from quiver_proto.versions import KERNEL


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("tables")
    for number in range(4):
        pq.write_table(pa.table({"k": [number, 1, 2], "v": [1.5, None, number]}), folder / f"part-{number}.parquet")
    made = session(4, staged=True)
    made.register_parquet("t", str(folder))
    made.register_parquet("u", str(folder / "part-0.parquet"))
    return made


def plan_of(context: Any, query: str) -> Plan:
    return physical_plan(context.sql(query))


def executed(context: Any, plan: Plan) -> list[dict[str, Any]]:
    from datafusion.plan import ExecutionPlan

    decoded = ExecutionPlan.from_bytes(context, plan.SerializeToString())
    return [row for p in range(decoded.partition_count) for batch in context.execute(decoded, p) for row in batch.to_pyarrow().to_pylist()]


def test_what_is_not_touched_survives(context: Any) -> None:
    data = context.sql("SELECT k, sum(v) AS s FROM t WHERE v > 0 GROUP BY k ORDER BY s LIMIT 3").execution_plan().to_bytes()
    assert parse(parse(data).SerializeToString()) == parse(data)
    assert len(parse(data).SerializeToString()) == len(data)


def test_widths_are_the_kernels(context: Any) -> None:
    for query in (
        "SELECT * FROM t",
        "SELECT k, count(*) FROM t GROUP BY k",
        "SELECT * FROM t ORDER BY k",
        "SELECT * FROM t UNION ALL SELECT * FROM t",
    ):
        frame = context.sql(query)
        assert width(plan_of(context, query)) == frame.execution_plan().partition_count


def test_one_partition_of_a_scan_has_its_own_file_only(context: Any) -> None:
    plan = plan_of(context, "SELECT k FROM t")
    assert width(plan) == 4
    parts = [executed(context, at_partition(plan, number)) for number in range(4)]
    assert sorted(row["k"] for part in parts for row in part) == sorted([0, 1, 2, 1, 1, 2, 2, 1, 2, 3, 1, 2])
    assert [len(part) for part in parts] == [3, 3, 3, 3]


def test_an_aggregate_is_cut_at_its_exchange(context: Any) -> None:
    numbers = count(7)
    pieces = cut(plan_of(context, "SELECT k, count(*) AS n FROM t GROUP BY k"), describe, lambda: next(numbers), 4)
    (stage,) = pieces.stages
    assert (stage.shuffle_id, stage.pieces, width(stage.plan), width(pieces.result), pieces.reads) == (7, 4, 4, 4, (7,))
    assert stage.hash is not None
    assert pa.ipc.read_schema(pa.py_buffer(stage.schema)).names[0] == "k"


def test_a_build_side_that_emits_rows_is_partitioned(context: Any) -> None:
    """Per task, a collected build side would give its unmatched rows once for each partition of the other side."""
    frame = context.sql("SELECT u.k, t.v FROM u LEFT JOIN t ON u.k = t.k")
    pieces = cut(physical_plan(frame), describe, count(1).__next__, 4)
    plans = [pieces.result, *(stage.plan for stage in pieces.stages)]
    joins = [node.hash_join for plan in plans for node in nodes(plan) if kind_of(node) == "hash_join"]
    assert joins
    assert all(join.partition_mode == 1 or width(join.right) == 1 or join.join_type not in (1, 3, 4, 5, 8) for join in joins)


def test_scans_of_what_stages_leave_are_what_the_kernel_plans() -> None:
    from datafusion.plan import ExecutionPlan

    kinds = [
        pa.int8(), pa.uint64(), pa.float32(), pa.bool_(), pa.string_view(), pa.binary(), pa.binary(5), pa.date32(), pa.timestamp("us"),
        pa.timestamp("us", "UTC"), pa.time64("ns"), pa.decimal128(15, 2), pa.duration("us"), pa.month_day_nano_interval(), pa.null(),
        pa.dictionary(pa.int8(), pa.string(), ordered=True),
    ]  # fmt: skip
    columns = [pa.field(f"c#{place}", kind, kind == pa.null() or place % 3 > 0) for place, kind in enumerate([*kinds, pa.int8()])]
    nested = [pa.field("l#20", pa.list_(pa.field("item", pa.int32(), False))), pa.field("m#21", pa.int32(), metadata={"a": "b"})]
    for schema in (pa.schema(columns), pa.schema([*columns, *nested]), pa.schema([])):
        made, asked = (
            ExecutionPlan.from_bytes(bare_session(), scan.SerializeToString()).to_bytes()
            for scan in (described(schema, bare_session).scan, scan_by_kernel(schema, bare_session))
        )
        assert parse(made) == parse(asked)


def test_what_scans_are_made_of_is_asked_once_for_each_type() -> None:
    asked: list[None] = []

    def asking() -> Any:
        asked.append(None)
        return bare_session()

    for number in range(3):
        described(pa.schema([(f"a#{number}", pa.int64()), (f"b#{number}", pa.int64()), (f"c#{number}", pa.date64())]), asking)
    assert len(asked) == 2


def nodes(plan: Plan) -> list[Plan]:
    from quiver_proto.fragments import children

    return [plan, *(node for child in children(plan) for node in nodes(child))]


def test_unknown_operators_are_refused() -> None:
    with pytest.raises(UnsupportedPlan):
        kind_of(Plan())


def test_copies_are_independent(context: Any) -> None:
    plan = plan_of(context, "SELECT k FROM t")
    copy = copied(plan)
    for scan in scans(copy):
        del scan.base_conf.file_groups[:]
    assert width(plan) == 4


def test_the_kernel_is_proven_before_it_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its wire format is no contract: another version's plans, or those of a build that numbers fields otherwise, are not read at all."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert f"datafusion=={KERNEL}" in project["project"]["dependencies"]
    proving.prove.cache_clear()
    proving.prove()
    try:
        for name, value, told in (
            ("version", lambda package: "54.0.0", "DataFusion 54.0.0 is installed.*pip install datafusion==55"),
            ("parse", lambda data: parse(data).sort_preserving_merge.input, "a plan is read as sort, aggregate"),
            ("parse", lambda data: Plan(), "can't be read"),
            ("width", lambda plan: 9, "a plan's numbers are read as"),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(proving, name, value)
                proving.prove.cache_clear()
                with pytest.raises(KernelDiffers, match=told):
                    session(1)
    finally:
        proving.prove.cache_clear()


def test_one_partition_of_a_join_ends_alone(context: Any) -> None:
    """With a filter that a join's partitions make together, the first waits for the others, which are other tasks: for ever."""
    from datafusion.plan import ExecutionPlan

    limits = [("datafusion.optimizer.hash_join_single_partition_threshold" + rows, "0") for rows in ("", "_rows")]
    made = session(4, staged=True, settings=limits)
    for name in ("t", "u"):
        made.register_table(name, context.table(name))
    plan = plan_of(made, "SELECT t.k FROM t JOIN u ON t.k = u.k WHERE u.v > 0")
    assert [node.hash_join.partition_mode for node in nodes(plan) if kind_of(node) == "hash_join"] == [1]
    running = ExecutionPlan.from_bytes(made, plan.SerializeToString())

    async def rows(partition: int) -> int:
        return sum([batch.to_pyarrow().num_rows async for batch in made.execute(running, partition)])

    for partition in range(4):
        asyncio.run(asyncio.wait_for(rows(partition), 120))
