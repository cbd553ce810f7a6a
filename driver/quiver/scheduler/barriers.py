"""Barrier stages: all tasks of an attempt start at once, or none does; when one fails, all run again.

What has ended well is kept back until all have, so that nothing of an attempt that fails is ever seen. Tasks that hold slots are waited
for: after the wait for locality, executors are kept free for the attempt, as many as it needs, by one attempt at a time. So two of them
never hold half of what the other wants.
"""

from __future__ import annotations

from collections.abc import Iterable

from quiver.scheduler.executors import Executor
from quiver.scheduler.launching import begin, give
from quiver.scheduler.locality import ANY, EXECUTOR, NODE
from quiver.scheduler.model import Launch, Succeeded, TasksAccepted
from quiver.scheduler.resources import capacity, room
from quiver.scheduler.stages import StageRun
from quiver.scheduler.state import State
from quiver_proto.ids import ExecutorId
from quiver_proto.messages import TaskDone


def slots(state: State, run: StageRun) -> int:
    """How many tasks of the attempt could run at once if nothing else ran."""
    return sum(capacity(executor, run) for executor in state.executors.values() if not executor.draining)


def free_slots(state: State, run: StageRun) -> int:
    """How many could start now, on executors that are not kept free for anyone."""
    if run.needs is None:
        return state.rooms.slots(run.cores)
    return sum(room(executor, run) for executor in _with_room(state, run))


def _with_room(state: State, run: StageRun) -> Iterable[Executor]:
    """Those with most room first."""
    if run.needs is None:
        return state.rooms.with_room(run.cores)
    open_to_all = [e for e in state.executors.values() if not e.draining and e.reserved is None and room(e, run)]
    return sorted(open_to_all, key=lambda e: -room(e, run))


def place(state: State, run: StageRun, now: float) -> None:
    """Launch every task of the attempt, if there is room for all; else see to it that there will be."""
    if not run.left:
        return
    mine = [executor for executor in state.reserved if executor.reserved is run]
    if sum(room(executor, run) for executor in mine) + free_slots(state, run) < run.left:
        if mine and slots(state, run) < run.left:
            _let_go(state, mine)
        else:
            _reserve(state, run, mine, now)
        return
    _let_go(state, mine)
    chosen = _choose(state, run)
    where = {partition: executor.id for executor, partitions in chosen.items() for partition in partitions}
    begin(state, run, [where[partition] for partition in run.partitions])
    opened: dict[Executor, Launch] = {}
    for executor, partitions in chosen.items():
        give(state, run, executor, partitions, ANY, now, opened)
        state.rooms.settle(executor)
    run.cramped_since = None


def who_reserves(state: State) -> StageRun | None:
    """The barrier stage attempt that executors are kept free for."""
    return next((executor.reserved for executor in state.reserved if executor.reserved is not None and executor.reserved.barrier), None)


def _choose(state: State, run: StageRun) -> dict[Executor, list[int]]:
    """Which partitions each executor gets: near their data where there is room, the others spread evenly. There is room for all."""
    cores, near = run.cores, run.nearby
    left: dict[Executor, int] = {}
    chosen: dict[Executor, list[int]] = {}
    rest = run.pending[::-1]
    run.pending.clear()
    if near is not None:
        for level in (EXECUTOR, NODE):
            for executor in near.candidates(level, state.executors, state.nodes):
                free = left.setdefault(executor, executor.room_for(cores, 0))
                taken = near.take(executor.id, executor.node_id, level, free)
                if taken:
                    left[executor] = free - len(taken)
                    chosen.setdefault(executor, []).extend(taken)
        rest = sorted(rest + near.take_all())
    others: list[Executor] = []
    for executor in _with_room(state, run):
        if len(others) == len(rest):
            break
        if left.setdefault(executor, room(executor, run)):
            others.append(executor)
    # Those with the least room first: what does not fit there fits into the rest.
    at = 0
    for index, executor in enumerate(sorted(others, key=left.__getitem__)):
        share = rest[at : at + min(left[executor], -(-(len(rest) - at) // (len(others) - index)))]
        at += len(share)
        if share:
            chosen.setdefault(executor, []).extend(share)
    assert at == len(rest)
    return chosen


def _reserve(state: State, run: StageRun, mine: list[Executor], now: float) -> None:
    """Keep what executors it takes free for the attempt, once it has waited for a while; those with most room first."""
    if run.cramped_since is None:
        run.cramped_since = now
    if state.total_cores < run.left * run.cores or who_reserves(state) not in (None, run):
        return
    due = run.cramped_since + state.policy.locality_wait_s
    if now < due:
        state.wake_by(due)
        return
    short = run.left - sum(capacity(executor, run) for executor in mine)
    if short <= 0:
        return
    usable = [e for e in state.executors.values() if not e.draining and e.reserved is None and capacity(e, run)]
    if sum(capacity(executor, run) for executor in usable) < short:
        return
    for executor in sorted(usable, key=lambda e: -e.free):
        executor.reserved = run
        state.reserved.append(executor)
        state.rooms.settle(executor)
        short -= capacity(executor, run)
        if short <= 0:
            return


def _let_go(state: State, executors: list[Executor]) -> None:
    for executor in executors:
        state.reserved.remove(executor)
        executor.reserved = None
        state.rooms.settle(executor)
        state.freshened.append(executor)


def hold(run: StageRun, executor: Executor, partition: int, attempt: int, done: TaskDone) -> None:
    """Keep a task's good end back until those of all others are there."""
    run.kept.append((executor.id, Succeeded(partition, attempt, done)))


def accept(state: State, run: StageRun) -> None:
    """All tasks have ended well: now they count."""
    stage = run.stage
    job_id = None if stage.owner is None else stage.owner.id
    by_executor: dict[ExecutorId, list[Succeeded]] = {}
    for executor_id, succeeded in run.kept:
        by_executor.setdefault(executor_id, []).append(succeeded)
        if stage.outputs is None:
            stage.accepted.add(succeeded.partition)
        else:
            assert succeeded.done.map_output is not None
            stage.outputs.add(succeeded.partition, succeeded.done.map_output)
    run.kept.clear()
    for executor_id, tasks in by_executor.items():
        state.actions.append(TasksAccepted(executor_id, run.stage_id, run.attempt, job_id, tasks))
