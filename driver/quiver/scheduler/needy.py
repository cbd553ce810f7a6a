"""Launching tasks that need more than cores: only executors that have it are looked at, and only those whose room has changed."""

from __future__ import annotations

from quiver.scheduler.executors import Executor
from quiver.scheduler.launching import give
from quiver.scheduler.locality import ANY
from quiver.scheduler.model import Launch
from quiver.scheduler.resources import capacity, room
from quiver.scheduler.stages import StageRun
from quiver.scheduler.state import State


def place(state: State, run: StageRun, now: float) -> None:
    """Launch what can be launched. Others' tasks may keep the cores beside a free resource busy for ever: after the wait for locality one
    executor is emptied for the attempt."""
    pending = run.pending
    if not pending:
        return
    every = not run.scanned or run.passed != state.passes - 1
    run.passed = state.passes
    opened: dict[Executor, Launch] = {}
    # One that got room twice stands there twice.
    looked_at = state.executors.values() if every else dict.fromkeys(state.freshened)
    rooms = [(count, e) for e in looked_at if not e.draining and e.reserved is None and (count := room(e, run))]
    for index, (count, executor) in enumerate(sorted(rooms, key=lambda entry: entry[0])):
        # Those with the least room first: what does not fit there fits into the rest.
        share = min(count, -(-len(pending) // (len(rooms) - index)))
        if share and state.executors.get(executor.id) is executor:
            partitions = pending[: -share - 1 : -1]
            del pending[-share:]
            give(state, run, executor, partitions, ANY, now, opened)
            state.rooms.settle(executor)
    run.scanned = bool(pending)
    if pending:
        _reserve(state, run, now)
    else:
        run.cramped_since = None


def _reserve(state: State, run: StageRun, now: float) -> None:
    wait = state.policy.locality_wait_s
    if run.cramped_since is None:
        run.cramped_since = now
    if now < run.cramped_since + wait:
        state.wake_by(run.cramped_since + wait)
        return
    if any(executor.reserved is run for executor in state.reserved):
        return
    assert run.needs is not None
    needs = run.needs
    usable = [e for e in state.executors.values() if not e.draining and e.reserved is None and e.free < run.cores and capacity(e, run)]
    executor = max((e for e in usable if e.addresses.fits(needs)), key=lambda e: e.free, default=None)
    if executor is None:
        # It waits for its own resources: looked at again after another wait.
        run.cramped_since = now
        if wait:
            state.wake_by(now + wait)
        return
    executor.reserved = run
    state.reserved.append(executor)
    state.rooms.settle(executor)
