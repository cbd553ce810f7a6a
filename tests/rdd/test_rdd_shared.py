"""Planning with shared variables: which stage refers to which broadcast, and how often a partition's updates count."""

from __future__ import annotations

import copy
import gc
import pickle
from operator import add
from typing import Any

import pytest
from recording import RecordingDriver

from quiver import Broadcast, Context
from quiver.accumulators import add_updates
from quiver.plan.model import PlannedJob, StageUpdates
from quiver_proto.broadcast import from_id
from quiver_proto.frames import dump_value
from quiver_proto.ids import StageId


def referred(job: PlannedJob) -> list[list[int]]:
    return [sorted(stage.broadcasts) for stage in job.stages]


def test_each_stage_knows_the_broadcasts_of_its_body(recorder: Context, driver: RecordingDriver) -> None:
    one, two, three, unused = (recorder.broadcast(n) for n in range(4))
    pickle.dumps(unused)  # What is pickled elsewhere is no function's.
    rdd = recorder.parallelize(range(4), 2)
    pairs = rdd.map(lambda x: (x, one.value)).partitionBy(2, lambda key: key + two.value).mapValues(lambda x: [one.value, {three.value: x}])
    pairs.collect()
    rdd.map(lambda x: x).collect()
    rdd.foreach(lambda x: three.value)
    assert [referred(job) for job in driver.jobs] == [
        [sorted([one.id, two.id]), sorted([one.id, three.id])],
        [[]],
        [[three.id]],
    ]


def test_a_broadcast_lives_as_long_as_a_function_may_need_it(recorder: Context, driver: RecordingDriver) -> None:
    def made() -> Any:
        inside = recorder.broadcast({"key": 1})
        return recorder.parallelize([1]).keyBy(lambda x: x).partitionBy(2, lambda key: inside.value["key"])

    pairs = made()
    gc.collect()
    assert driver.removed == []
    pairs.collect()
    (broadcast_id,) = driver.jobs[0].stages[0].broadcasts
    driver.jobs.clear()
    del pairs
    gc.collect()
    assert driver.removed == [(broadcast_id, True, False)]


def test_what_copies_of_a_broadcast_are(recorder: Context) -> None:
    shared = recorder.broadcast([1, 2])
    assert isinstance(shared, Broadcast)
    assert pickle.loads(pickle.dumps(shared)).id == shared.id == copy.copy(shared).id
    assert len(pickle.dumps(shared)) < 100
    with pytest.raises(RuntimeError, match="not loaded"):
        from_id(shared.id).value  # noqa: B018


def test_updates_of_a_partition_count_once(recorder: Context, driver: RecordingDriver) -> None:
    total = recorder.accumulator(0)
    pairs = recorder.parallelize(range(4), 2).map(lambda x: (x, total.add(1))).reduceByKey(add)
    pairs.collect()
    pairs.collect()
    first, second = driver.jobs
    map_stage, result = first.stages[0].spec.stage_id, first.stages[1].spec.stage_id
    assert second.stages[0].spec.stage_id == map_stage
    update = dump_value({total.aid: 10})
    # Two jobs wait for the same stage and are both told; an output is made again later; a lost result is computed again elsewhere.
    first.updates.extend([StageUpdates(map_stage, 0, update), StageUpdates(map_stage, 1, update), StageUpdates(result, 0, update)])
    second.updates.extend([StageUpdates(map_stage, 1, update), StageUpdates(StageId(1 << 37), 0, update)])
    (event, other) = add_updates(first)
    assert (total.value, event.ids, event.values, other.stage_id) == (30, [total.aid], ["30"], result)
    assert add_updates(second) == add_updates(first) == []
    assert total.value == 30


def test_updates_that_can_not_be_added_are_left_out(recorder: Context, driver: RecordingDriver, caplog: pytest.LogCaptureFixture) -> None:
    total = recorder.accumulator(0)
    recorder.parallelize(range(4), 2).collect()
    (job,) = driver.jobs
    stage = job.stages[0].spec.stage_id
    job.updates.extend([StageUpdates(stage, 0, b"no pickle"), StageUpdates(stage, 1, dump_value({total.aid: "text", total.aid + 99: 1}))])
    assert add_updates(job) == []
    assert total.value == 0
    assert "does not unpickle" in caplog.text
    assert f"accumulator {total.aid}" in caplog.text


def test_copies_of_an_accumulator_on_the_driver_are_the_accumulator(recorder: Context) -> None:
    total = recorder.accumulator(3)
    assert pickle.loads(pickle.dumps(total)) is total
    assert copy.deepcopy([total])[0] is total
    assert repr(total) == f"Accumulator<id={total.aid}, value=3>"
