"""Accumulators on the driver: making them, and adding what accepted tasks have added.

The driver hands the updates to the thread that runs the action (PlannedJob.updates), and that thread adds them before the action
returns: addInPlace is the user's code and never runs in the engine's thread. A map stage that two jobs wait for is told to both;
whichever comes first counts it.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import pickle
import threading
import time
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

from quiver.plan.model import PlannedJob, StageUpdates
from quiver_proto.accumulators import (
    COMPLEX_ACCUMULATOR_PARAM,
    FLOAT_ACCUMULATOR_PARAM,
    INT_ACCUMULATOR_PARAM,
    Accumulator,
    AccumulatorParam,
    AddingAccumulatorParam,
    find,
)
from quiver_proto.events import AccumulatorsUpdated
from quiver_proto.ids import StageId
from quiver_proto.shorten import shorten

__all__ = ["Accumulator", "AccumulatorParam", "AddingAccumulatorParam", "accumulator", "add_updates"]

T = TypeVar("T")

log = logging.getLogger("quiver.accumulators")

_numbers = itertools.count()
_adding = threading.RLock()
_is_repeated: ContextVar[bool] = ContextVar("is_repeated", default=False)


def accumulator(value: T, accum_param: AccumulatorParam[T] | None, id_base: int) -> Accumulator[T]:
    """See Context.accumulator. Ids differ between all accumulators of a process, and between the clients of a driver."""
    param: AccumulatorParam[Any] | None = accum_param
    if param is None:
        if isinstance(value, int):
            param = INT_ACCUMULATOR_PARAM
        elif isinstance(value, float):
            param = FLOAT_ACCUMULATOR_PARAM
        elif isinstance(value, complex):
            param = COMPLEX_ACCUMULATOR_PARAM
        else:
            raise TypeError(f"No default accumulator param for type {type(value)}: give an AccumulatorParam that adds such values.")
    return Accumulator(id_base + next(_numbers), value, param)


class OfJob(AccumulatorParam[T]):
    """Of an accumulator that is made for one job: what was added counts even where another job does all of it again."""


@contextlib.contextmanager
def repeated() -> Iterator[None]:
    """Inside, an action that runs out of the kernel's memory is done again as a whole, on other partitions: what its own tasks have added
    so far does not count."""
    token = _is_repeated.set(True)
    try:
        yield
    finally:
        _is_repeated.reset(token)


def give_up_updates(job: PlannedJob) -> None:
    """The job ran out of the kernel's memory. Its map stages may serve the next one: what they added counts, and what was added for the
    job alone (OfJob)."""
    if _is_repeated.get():
        result = job.stages[-1].spec.stage_id
        job.updates[:] = [each if each.stage_id != result else each._replace(updates=_of_job(each)) for each in job.updates]


def _of_job(update: StageUpdates) -> bytes:
    opened = _opened(update.updates, update.stage_id, update.partition)
    return pickle.dumps({aid: term for aid, term in opened.items() if (to := find(aid)) is not None and isinstance(to.accum_param, OfJob)})


def add_updates(job: PlannedJob) -> Sequence[AccumulatorsUpdated]:
    """Add what the job's tasks have added, each partition of a stage once. What there is to tell of it, by stage.

    A user's addInPlace that raises is logged and leaves its accumulator as it was, as in Spark: the job's result is not lost for it.
    """
    stages = {stage.spec.stage_id: stage for stage in job.stages}
    changed: dict[StageId, dict[int, Accumulator[Any]]] = {}
    with _adding:
        taken = job.updates[:]
        del job.updates[: len(taken)]
        for stage_id, partition, data in taken:
            # Not of these: a lost result that was computed again.
            stage = stages.get(stage_id)
            if stage is None or partition in stage.counted:
                continue
            stage.counted.add(partition)
            touched = changed.setdefault(stage_id, {})
            for aid, term in _opened(data, stage_id, partition).items():
                target = find(aid)
                if target is None:
                    continue
                try:
                    target.add(term)
                    touched[aid] = target
                except Exception:
                    log.exception(
                        "accumulator %d: what partition %d of stage %d added is lost, its addInPlace failed", aid, partition, stage_id
                    )
        return [_event(stage_id, list(touched.values())) for stage_id, touched in changed.items() if touched]


def _event(stage_id: StageId, changed: Sequence[Accumulator[Any]]) -> AccumulatorsUpdated:
    return AccumulatorsUpdated(
        time.time(),
        stage_id,
        [each.aid for each in changed],
        [type(each.value).__qualname__ for each in changed],
        [shorten(each.value) for each in changed],
    )


def _opened(data: bytes, stage_id: StageId, partition: int) -> dict[int, Any]:
    try:
        updates: dict[int, Any] = pickle.loads(data)
        return updates
    except Exception:
        log.exception("what partition %d of stage %d added to accumulators does not unpickle here and is lost", partition, stage_id)
        return {}
