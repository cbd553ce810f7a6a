"""Every story in adaptive/ is told as it is written there: what comes next when shuffles turn out to have these sizes.

A story is its `query`, `pieces`, `policy` and `sizes` lines (bytes of each piece, map outputs separated by |); the rest is told. With
QUIVER_REWRITE_TRACES=1 what is told now is written down; then read the diff.
"""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiver.sql.adapting import Policy, advanced, coalesced
from quiver.sql.cutting import cut
from quiver.sql.kernel import describe, physical_plan, session
from quiver.sql.regrouping import ShuffleSizes
from quiver.sql.unfinished import Progress
from quiver_proto.fragments import SCANS, body_of, children, exchange_of, kind_of
from quiver_proto.v1.kernel_pb2 import Plan

STORIES = sorted((Path(__file__).parent / "adaptive").glob("*.txt"))
_INPUTS = ("#", "query ", "pieces ", "policy ", "sizes ")


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("adapting")
    made = session(4, staged=True, settings=[("datafusion.optimizer.hash_join_single_partition_threshold", "0"),
                                             ("datafusion.optimizer.hash_join_single_partition_threshold_rows", "0")])  # fmt: skip
    for table, rows in (("small", 100), ("large", 1000), ("other", 500)):
        for number in range(3):
            (folder / table).mkdir(exist_ok=True)
            pq.write_table(pa.table({"k": range(rows), "v": range(rows)}), folder / table / f"{number}.parquet")
        made.register_parquet(table, str(folder / table))
    return made


def retold(context: Any, text: str) -> str:
    given_lines = [line for line in text.splitlines() if line.startswith(_INPUTS)]
    value = {line.split()[0]: line.partition(" ")[2] for line in given_lines}
    sizes = {int(line.split()[1].rstrip(":")): line.split(":")[1] for line in given_lines if line.startswith("sizes ")}
    policy = Policy(**{name: int(number) for name, _, number in (word.partition("=") for word in value.get("policy", "").split())})
    plan = cut(physical_plan(context.sql(value["query"])), describe, count().__next__, int(value["pieces"]))
    lines = [line for line in given_lines if not line.startswith("sizes ")]
    progress = Progress(plan)
    while True:
        told = len(progress.notes)
        progress, now = advanced(progress, policy)
        lines += [f"  {note}" for note in progress.notes[told:]]
        for stage in now or progress.pending():
            lines.append(f"shuffle {stage.shuffle_id} = {shown(stage.plan)}")
        if not now:
            return "\n".join([*lines, f"result = {shown(progress.plan.result)}"]) + "\n"
        for stage in now:
            maps = [[int(size) for size in row.split()] for row in sizes[stage.shuffle_id].split("|")]
            progress = Progress(progress.plan, {**progress.known, stage.shuffle_id: ShuffleSizes(maps)}, progress.notes)
            lines.append(f"sizes {stage.shuffle_id}:{sizes[stage.shuffle_id]}")


def shown(plan: Plan) -> str:
    kind = kind_of(plan)
    if kind in SCANS:
        groups = body_of(plan).base_conf.file_groups
        names = [x.path.removeprefix("exchange/") if (x := exchange_of(group)) else f"{len(group.files)} files" for group in groups]
        return f"[{', '.join(names)}]"
    if kind == "hash_join":
        kind = "broadcast_join" if plan.hash_join.partition_mode == 0 else "hash_join"
    return f"{kind}({', '.join(map(shown, children(plan)))})"


@pytest.mark.parametrize("path", STORIES, ids=[path.stem for path in STORIES])
def test_story(path: Path, context: Any) -> None:
    text = path.read_text()
    told = retold(context, text)
    if os.environ.get("QUIVER_REWRITE_TRACES"):
        path.write_text(told)
    else:
        assert told == text


def test_there_are_stories() -> None:
    assert len(STORIES) >= 7


@given(st.lists(st.integers(0, 100), max_size=30), st.integers(1, 300), st.frozensets(st.integers(0, 29)))
def test_ranges_cover_all_pieces_once_and_stay_small(sizes: list[int], target: int, apart: frozenset[int]) -> None:
    ranges = coalesced(sizes, target, apart)
    assert [number for start, stop in ranges for number in range(start, stop)] == list(range(len(sizes)))
    for start, stop in ranges:
        assert stop - start == 1 or sum(sizes[start:stop]) <= target
        assert stop - start == 1 or not apart & set(range(start, stop))
