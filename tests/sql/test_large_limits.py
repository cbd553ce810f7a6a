"""Which sorts with a limit keep their first rows in a heap."""

from __future__ import annotations

import pytest

from quiver.sql import Session
from quiver.sql import functions as F
from quiver.sql.large_limits import FEWEST, UNKNOWN, most_held, with_large_limits_sorted
from quiver_proto.fragments import width
from quiver_proto.v1.kernel_pb2 import GlobalLimit, LocalLimit, Many, Plan, Sort

ROW = Plan()
ROW.placeholder_row.SetInParent()
TWO = Plan(union=Many(inputs=[ROW, ROW]))


def limited(fetch: int, below: Plan) -> Plan:
    return Plan(sort=Sort(input=below, fetch=fetch, preserve_partitioning=width(below) > 1))


def test_heaps_are_for_what_a_part_of_the_memory_holds() -> None:
    assert FEWEST < most_held(512 << 20, tight=True) < most_held(512 << 20) < 400_000 < most_held(4 << 30)
    assert most_held(1 << 20) == FEWEST
    assert most_held(0) == UNKNOWN


@pytest.mark.parametrize("below", [ROW, TWO])
@pytest.mark.parametrize("fetch", [-1, 10, 50_000])
def test_few_rows_are_kept_in_a_heap(below: Plan, fetch: int) -> None:
    plan = limited(fetch, below)
    assert not with_large_limits_sorted(plan, lambda: 50_000)
    assert plan == limited(fetch, below)


@pytest.mark.parametrize(
    ("below", "fetch", "expected"),
    [
        (ROW, 50_001, Plan(local_limit=LocalLimit(input=limited(-1, ROW), fetch=50_001))),
        (TWO, 50_001, Plan(local_limit=LocalLimit(input=limited(-1, TWO), fetch=50_001))),
        (ROW, 1 << 40, Plan(global_limit=GlobalLimit(input=limited(-1, ROW), fetch=1 << 40))),
        (TWO, 1 << 40, limited(-1, TWO)),
    ],
)
def test_many_rows_are_sorted(below: Plan, fetch: int, expected: Plan) -> None:
    plan = Plan(union=Many(inputs=[ROW, limited(fetch, below)]))
    assert with_large_limits_sorted(plan, lambda: 50_000)
    assert plan == Plan(union=Many(inputs=[ROW, expected]))


def test_they_are_shown_as_sorts(spark: Session, capsys: pytest.CaptureFixture[str]) -> None:
    for count, heaps in ((10, True), (1 << 33, False)):
        spark.range(1 << 34).orderBy(F.col("id") % 10, "id").limit(count).explain(True)
        shown = capsys.readouterr().out
        assert ("TopK" in shown) == heaps, shown
