"""Task contexts and barrier stages on real processes."""

from __future__ import annotations

from harness import MakeContext

from quiver import TaskContext


def test_an_attempt_knows_its_number(make_context: MakeContext) -> None:
    def third_time(_: int) -> int:
        attempt = TaskContext.get().attemptNumber()  # type: ignore[union-attr]
        if attempt < 2:
            raise ValueError("again")
        return attempt

    assert make_context("local[1,3]").parallelize([1], 1).map(third_time).collect() == [2]
