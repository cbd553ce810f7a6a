"""The books of a launch: who has which task, and what that makes of the room there is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import cast

from quiver.scheduler.caching import variants_of
from quiver.scheduler.executors import Executor
from quiver.scheduler.model import Launch, StageBegan, WaitingBecause
from quiver.scheduler.stages import StageRun
from quiver.scheduler.state import State
from quiver_proto.ids import ExecutorId, TaskId


def begin(state: State, run: StageRun, executors: Sequence[ExecutorId] = ()) -> None:
    """The attempt begins with the launch that follows."""
    run.begun = True
    run.stage.attempt = run.attempt
    run.told = state.blocks.told
    state.actions.append(StageBegan(run.stage_id, run.attempt, run.partitions, executors, run.skipped))


def give(
    state: State, run: StageRun, executor: Executor, partitions: list[int], locality: int, now: float, opened: dict[Executor, Launch]
) -> None:
    """Launch `partitions` at `executor`. Launches at one executor join those `opened` in the same pass."""
    count = len(partitions)
    first = state.next_task
    state.next_task = first + count
    task_ids = cast("list[TaskId]", list(range(first, first + count)))
    tries = run.tries
    attempts = [tries.get(partition, 0) for partition in partitions] if tries else [0] * count
    held = 0 if run.queue else run.cores
    executor.tasks.update(zip(task_ids, zip(repeat(run), partitions, attempts, repeat(held))))
    executor.free -= count * run.cores
    executor.held += count * held
    if not run.begun:
        begin(state, run)
    if state.told:
        _take_back_reasons(state, run)
    run.running.update(zip(task_ids, repeat(executor)))
    run.last_active = now
    variants = [] if run.stage.spec.caching is None else variants_of(state, run, partitions, executor.id)
    launched = opened.get(executor)
    if launched is None:
        launched = opened[executor] = Launch(
            executor.id, run.stage_id, run.attempt, task_ids, partitions, attempts, run.cores, locality, variants
        )
        state.actions.append(launched)
    else:
        launched.task_ids += task_ids
        launched.partitions += partitions
        launched.attempts += attempts
        launched.variants += variants
    if run.needs is not None and run.needs.per_task:
        launched.resources = launched.resources or {}
        launched.resources.update({task_id: executor.addresses.take(task_id, run.needs) for task_id in task_ids})


def _take_back_reasons(state: State, run: StageRun) -> None:
    for job in sorted(run.stage.jobs, key=lambda job: job.id):
        if job.told:
            job.told = ""
            state.told -= 1
            state.actions.append(WaitingBecause(job.id, None, ""))
