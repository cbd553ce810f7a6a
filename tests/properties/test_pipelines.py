"""Random pipelines over random data give on every master what the plain model gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from pipelines import ANY, Pipeline, around_one_step, pipelines, plain, steps_on
from plain_rdd import Bag, PlainRDD

from quiver import Context

THOROUGH = settings.default.max_examples // 100 if settings.default is not None else 1
"""How many times as many examples: 1, and more with --hypothesis-profile=explore."""


def check(sc: Context, pipeline: Pipeline) -> None:
    def parallelize(records: Sequence[Any], slices: int) -> Any:
        return sc.parallelize(records, slices) if slices else sc.emptyRDD()

    expected = pipeline.run(plain)
    found = pipeline.run(parallelize)
    assert expected == found


@pytest.mark.parametrize("sc", ["inline"], indirect=True)
@settings(max_examples=150 * THOROUGH)
@given(pipelines())
def test_inline(sc: Context, pipeline: Pipeline) -> None:
    check(sc, pipeline)


@pytest.mark.parametrize("kind", ANY)
@pytest.mark.parametrize("sc", ["inline"], indirect=True)
def test_every_step_inline(sc: Context, kind: str) -> None:
    for number in range(len(steps_on(kind, ordered=True))):

        @settings(max_examples=5 * THOROUGH)
        @given(around_one_step(kind, number))
        def with_this_step(pipeline: Pipeline) -> None:
            check(sc, pipeline)

        with_this_step()


@pytest.mark.parametrize("sc", ["local[2]"], indirect=True)
@settings(max_examples=60 * THOROUGH)
@given(pipelines())
def test_local(sc: Context, pipeline: Pipeline) -> None:
    check(sc, pipeline)


@pytest.mark.parametrize("sc", ["local-cluster[2,1,512]"], indirect=True)
@settings(max_examples=30 * THOROUGH)
@given(pipelines())
def test_local_cluster(sc: Context, pipeline: Pipeline) -> None:
    check(sc, pipeline)


def test_the_model_tells_wrong_answers() -> None:
    assert Bag([1, 1, None]) == [None, 1, 1]
    assert Bag([1, 1, None]) != [None, 1]
    assert Bag([1, 1, None]) != [None, None, 1]
    assert Bag([3, 1, 2], 2) == [2, 3]
    assert Bag([3, 1, 2], 2) != [2, 2]
    assert PlainRDD([2, 1]).collect() == [2, 1]
    assert PlainRDD([2, 1]).distinct().collect() == [1, 2]
    assert PlainRDD([2, 1, 2]).distinct().sortBy(lambda x: -x).ordered is False
