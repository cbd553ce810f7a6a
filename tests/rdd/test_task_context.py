"""What a task can ask about itself, on `inline` and `local[2]`."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from quiver import BarrierTaskContext, Context, TaskContext
from quiver_proto import task_context
from quiver_proto.errors import CalledBeforeInitialized, NotInBarrierStage
from quiver_proto.resource import ResourceInformation
from quiver_proto.task_context import StageFacts


def running() -> TaskContext:
    context = TaskContext.get()
    assert context is not None
    return context


def ask(context: Any) -> tuple[Any, ...]:
    return context.partitionId(), context.attemptNumber(), context.stageId(), context.cpus(), context.getLocalProperty("team")


def test_on_the_driver_there_is_none(sc: Context) -> None:
    assert TaskContext.get() is None
    sc.parallelize([1]).map(lambda _: TaskContext.get()).first()
    assert TaskContext.get() is None


def test_a_task_knows_its_place(sc: Context) -> None:
    rows = sc.parallelize(range(4), 4).map(lambda _: ask(running())).collect()
    assert [row[:2] for row in rows] == [(0, 0), (1, 0), (2, 0), (3, 0)]
    assert len({row[2] for row in rows}) == 1
    assert {row[3:] for row in rows} == {(1, None)}


def test_the_same_body_under_another_stage_tells_the_other_stage(sc: Context) -> None:
    rdd = sc.parallelize([1], 1).map(lambda _: (running().stageId(), running().taskAttemptId()))
    first, second = rdd.first(), rdd.first()
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_properties_are_those_of_the_job(sc: Context) -> None:
    rdd = sc.parallelize([1], 1).map(lambda _: running().getLocalProperty("team"))
    told = []
    for team in ("search", "maps", None):
        sc.setLocalProperty("team", team)
        told += rdd.collect()
    assert told == ["search", "maps", None]


def test_map_and_reduce_tasks_have_contexts_of_their_own(sc: Context) -> None:
    pairs = sc.parallelize(range(4), 2).map(lambda i: (i % 2, running().stageId()))
    rows = pairs.groupByKey(2).map(lambda kv: (set(kv[1]), running().stageId(), running().partitionId())).collect()
    assert all(len(stages) == 1 and stage not in stages for stages, stage, _ in rows)
    assert sorted(partition for _, _, partition in rows) == [0, 1]


def test_a_context_travels_as_plain_data(sc: Context) -> None:
    sc.setLocalProperty("team", "search")
    context = sc.parallelize(range(2), 2).map(lambda _: TaskContext.get()).collect()[1]
    sc.setLocalProperty("team", None)
    assert type(context) is TaskContext
    assert (context.partitionId(), context.getLocalProperty("team"), context.resources()) == (1, "search", {})
    assert TaskContext.get() is None


def test_there_is_one_object_a_task(sc: Context) -> None:
    def same(records: Any) -> Iterator[bool]:
        first = TaskContext.get()
        for _ in records:
            yield TaskContext.get() is first and TaskContext() is first

    assert sc.parallelize(range(3), 1).mapPartitions(same).collect() == [True] * 3


def test_no_other_stage_has_a_barrier_context(sc: Context) -> None:
    with pytest.raises(NotInBarrierStage, match="It is not in a barrier stage"):
        BarrierTaskContext.get()
    with pytest.raises(RuntimeError, match="NOT_IN_BARRIER_STAGE"):
        sc.parallelize([1], 1).map(lambda _: BarrierTaskContext.get()).collect()


def test_a_barrier_context_made_by_hand_can_do_nothing() -> None:
    with pytest.raises(CalledBeforeInitialized, match="`barrier`"):
        BarrierTaskContext().barrier()
    with pytest.raises(CalledBeforeInitialized, match="`allGather`"):
        BarrierTaskContext().allGather("x")
    with pytest.raises(CalledBeforeInitialized, match="`getTaskInfos`"):
        BarrierTaskContext().getTaskInfos()
    with pytest.raises(TypeError, match="must be of type `str`"):
        BarrierTaskContext().allGather(1)


def test_errors_keep_their_type_when_pickled() -> None:
    for error in (NotInBarrierStage(), CalledBeforeInitialized("barrier")):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)


def test_resources_are_the_tasks_own() -> None:
    facts = StageFacts(3, 0, {}, 2, {7: {"gpu": ["1"]}})
    try:
        task_context.current = (facts, 7, 0, 0)
        mine = TaskContext.get()
        task_context.current = (facts, 8, 1, 0)
        other = TaskContext.get()
    finally:
        task_context.current = None
    assert mine is not None
    assert other is not None
    assert mine.resources() == {"gpu": ResourceInformation("gpu", ["1"])}
    assert (mine.cpus(), other.resources()) == (2, {})
