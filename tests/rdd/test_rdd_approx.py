"""Approximate actions: exact when there is time, honest when there is not."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

import pytest

from quiver import Context
from quiver.rdd import BoundedFloat
from quiver_proto import bounds, distinct
from quiver_proto.errors import JobFailed
from quiver_proto.statistics import StatCounter

AMPLE = 600_000


def test_with_time_enough_the_answer_is_exact(sc: Context) -> None:
    numbers = sc.parallelize(range(1000), 7)
    assert numbers.countApprox(AMPLE) == 1000
    total, mean = numbers.sumApprox(AMPLE), numbers.meanApprox(AMPLE)
    assert (total, total.confidence, total.low, total.high) == (499500.0, 1.0, 499500.0, 499500.0)
    assert (mean, mean.confidence, mean.low, mean.high) == (pytest.approx(499.5), 1.0, pytest.approx(499.5), pytest.approx(499.5))
    assert isinstance(total, float)
    empty = sc.emptyRDD()
    assert (empty.countApprox(AMPLE), empty.sumApprox(AMPLE), empty.sumApprox(AMPLE).confidence) == (0, 0.0, 1.0)
    assert sc.parallelize([], 2).meanApprox(AMPLE) == 0.0


def test_when_time_is_short_what_is_done_counts(sc: Context, tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    def slow(index: int, part: Any) -> Any:
        # Partition 0 is done at once, the others when the gate opens, which is after the answer.
        while index and not gate.exists():
            time.sleep(0.01)
        return part

    try:
        # Inline ends what it has begun: there the gate is open, and a limit cuts off between partitions.
        inline = sc.master == "inline"
        if inline:
            gate.touch()
        rdd = sc.parallelize(range(1000), 10).mapPartitionsWithIndex(slow)
        for timeout in (1,) if inline else (300, 3000, 30_000):
            about = rdd.sumApprox(timeout, 0.9)
            if about.confidence:
                break
        if not inline:
            assert about.confidence == 0.9
            assert about.low <= about <= about.high
            assert about == sum(range(100)) * 10
    finally:
        gate.touch()
    assert sc.parallelize(range(10), 2).sum() == 45


def test_a_job_that_fails_fails(sc: Context) -> None:
    with pytest.raises(ZeroDivisionError):
        sc.parallelize([0], 1).map(lambda x: 1 // x).sumApprox(AMPLE)
    with pytest.raises((TypeError, ValueError, JobFailed)):
        sc.parallelize(["a"], 1).meanApprox(AMPLE)
    for confidence in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            sc.parallelize([0], 1).countApprox(AMPLE, confidence)


def test_a_bounded_float_is_a_float() -> None:
    about = BoundedFloat(2.0, 0.9, 1.0, 3.0)
    again = pickle.loads(pickle.dumps(about))
    assert again == about + 0.0 == 2.0
    assert (again.confidence, again.low, again.high) == (0.9, 1.0, 3.0)


@pytest.mark.parametrize(
    ("confidence", "freedom", "expected"),
    [(0.95, 1, 12.706), (0.95, 2, 4.303), (0.95, 10, 2.228), (0.99, 5, 4.032), (0.9, 7, 1.895), (0.95, 99, 1.984), (0.95, 100, 1.960)],
)
def test_quantiles_are_those_of_the_tables(confidence: float, freedom: int, expected: float) -> None:
    assert bounds.quantile(confidence, freedom) == pytest.approx(expected, abs=0.0006)


def test_bounds_hold_what_they_say() -> None:
    import random

    chance = random.Random(4)
    inside = {"sum": 0, "mean": 0}
    for _ in range(400):
        parts = [[chance.gauss(10, 3) for _ in range(5)] for _ in range(20)]
        seen = chance.sample(parts, 6)
        _, _, low, high = bounds.sum_from(list(map(sum, seen)), 20, 0.8)
        inside["sum"] += low <= sum(map(sum, parts)) <= high
        _, _, low, high = bounds.mean_from([StatCounter(part) for part in seen], 20, 0.8)
        inside["mean"] += low <= 10 <= high
    assert 0.72 < inside["sum"] / 400 < 0.88
    assert 0.72 < inside["mean"] / 400 < 0.88
    assert bounds.sum_from([5.0], 4, 0.95) == (20.0, 0.95, float("-inf"), float("inf"))


def test_different_records_are_counted_within_the_accuracy(sc: Context) -> None:
    assert sc.parallelize([], 2).countApproxDistinct() == sc.emptyRDD().countApproxDistinct() == 0
    assert sc.parallelize([None, "a", ("b", 1), 2.5, "a"] * 20, 3).countApproxDistinct(0.001) == 4
    numbers = sc.parallelize([x % 20_000 for x in range(40_000)], 4)
    assert abs(numbers.countApproxDistinct(0.01) - 20_000) < 5 * 0.01 * 20_000
    for given in (0.00001, 0, -1, float("nan")):
        with pytest.raises(ValueError, match=r"greater than 0\.000017"):
            numbers.countApproxDistinct(given)


def test_sketches_have_no_bias() -> None:
    for count in (1, 30, 500, 20_000):
        errors = []
        for start in range(12):
            sketch: distinct.Registers = {}
            for part in range(3):
                records = iter(range(start << 32, (start << 32) + count)) if part else iter(())
                sketch = distinct.merged(sketch, distinct.Sketch(10)(records))
            errors.append(distinct.estimate(sketch, 10) / count - 1)
        assert abs(sum(errors) / 12) < 4 * 0.033 / 12**0.5
    assert (distinct.precision(0.05), distinct.precision(9.0)) == (9, 4)
