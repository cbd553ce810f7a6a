"""Which executor runs what, next.

Attempts take turns by job, then stage. One that is first in turn fills free cores, breadth first; only then, when nothing is free,
may its short tasks queue at executors, behind short tasks. One that waits for a place near its data, or for more cores together than
are free anywhere, lets the next ones pass. Per task the cost is some list and dict operations; nothing is scanned.
"""

from __future__ import annotations

import heapq

from quiver.scheduler import barriers, needy
from quiver.scheduler.executors import Executor
from quiver.scheduler.launching import give
from quiver.scheduler.locality import ANY, EXECUTOR, NODE, Nearby
from quiver.scheduler.model import Launch, Policy
from quiver.scheduler.resources import room
from quiver.scheduler.stages import StageRun
from quiver.scheduler.state import State

AVOIDERS_PER_PASS = 32


def queue_depth(mean_s: float, policy: Policy) -> int:
    """How many tasks of this mean duration may wait per slot."""
    if mean_s * policy.max_queue_per_slot <= policy.target_queue_s:
        return policy.max_queue_per_slot
    return int(policy.target_queue_s / mean_s)


def launch(state: State, now: float) -> None:
    """Launch all that can be launched now."""
    state.wake_at = None
    state.passes += 1
    if state.reserved:
        _use_reserved(state, now)
    queue = state.queue
    rooms = state.rooms
    aside: list[tuple[tuple[int, int], int, StageRun]] = []
    while queue:
        run = queue[0][2]
        if run.over or not run.left:
            heapq.heappop(queue)
            run.queued = False
            continue
        _place(state, run, now)
        if not run.left:
            continue
        if rooms.top <= 0:
            break
        aside.append(heapq.heappop(queue))
    for entry in aside:
        heapq.heappush(queue, entry)
    state.freshened.clear()


def _place(state: State, run: StageRun, now: float) -> None:
    if run.barrier:
        barriers.place(state, run, now)
        return
    if run.needs is not None:
        needy.place(state, run, now)
        return
    if run.avoid:
        _place_elsewhere(state, run, now)
    near = run.nearby
    if state.rooms.top <= 0 and not run.queue:
        return
    if near is not None and near.left:
        _place_near(state, run, near, now)
    if run.pending:
        _fill(state, run, None, now)
    if near is not None and near.left:
        if near.allowed(now, state.policy.locality_wait_s) == ANY:
            _fill(state, run, near, now)
        if near.left and near.level < ANY and near.since is not None:
            state.wake_by(near.since + state.policy.locality_wait_s)
    if run.cores > 1:
        _reserve(state, run, now)


def _fill(state: State, run: StageRun, near: Nearby | None, now: float) -> None:
    """Launch pending partitions without regard to place: `run.pending`, or those of `near` whose wait is over."""
    rooms = state.rooms
    cores = run.cores
    pending = run.pending
    opened: dict[Executor, Launch] = {}
    level = -1
    chunk = 0
    left = len(pending) if near is None else len(near.left)
    while left:
        top = rooms.top
        if top < cores:
            break
        if top != level:
            level = top
            chunk = left if left >= state.total_cores else max(1, left // rooms.count(cores))
        executor = rooms.take(top)
        count = min(top // cores, chunk)
        partitions, left = _taken(run, near, executor, count, now)
        give(state, run, executor, partitions, ANY, now, opened)
        rooms.settle(executor)
    queue = run.queue
    if not left or not queue:
        return
    lowest = -(queue // 2)
    while left:
        top = rooms.top
        if top < lowest or top > 0:
            break
        executor = rooms.take(top)
        count = min(executor.room_for(1, queue), max(1, left // len(state.executors)))
        partitions, left = _taken(run, near, executor, count, now)
        give(state, run, executor, partitions, ANY, now, opened)
        rooms.settle(executor)


def _taken(run: StageRun, near: Nearby | None, executor: Executor, count: int, now: float) -> tuple[list[int], int]:
    """So many partitions for an executor, and how many are left."""
    if near is None:
        pending = run.pending
        partitions = pending[: -count - 1 : -1]
        del pending[-count:]
        return partitions, len(pending)
    chosen = near.take(executor.id, executor.node_id, ANY, count)
    near.launched(ANY, now)
    return chosen, len(near.left)


def _reserve(state: State, run: StageRun, now: float) -> None:
    """Smaller tasks of others must not keep this attempt from ever finding its cores together: after the wait for locality, empty one
    executor for it, the one nearest to that. The search among all executors happens once per reservation, not per task.

    A task that would be near its data has waited for that long by then, and so has one for another executor than where it failed. One
    reservation is of one executor, for one task: two attempts never hold half of what the other wants.
    """
    if not run.left or not 0 < state.rooms.top < run.cores:
        run.cramped_since = None
        return
    if run.cramped_since is None:
        run.cramped_since = now
    due = run.cramped_since + state.policy.locality_wait_s
    if now < due:
        state.wake_by(due)
        return
    usable = [e for e in state.executors.values() if e.cores >= run.cores and not e.draining and e.reserved is None]
    if not usable or any(e.reserved is run for e in state.executors.values()):
        return
    executor = max(usable, key=lambda e: e.free)
    executor.reserved = run
    state.reserved.append(executor)
    state.rooms.settle(executor)


def _use_reserved(state: State, now: float) -> None:
    """Launch on executors that are empty enough for whom they were reserved; give free those that nobody waits for any more."""
    for executor in state.reserved[:]:
        run = executor.reserved
        wanted = run is not None and not run.over and run.left and state.executors.get(executor.id) is executor
        if run is not None and wanted and (run.barrier or not room(executor, run)):
            continue
        state.reserved.remove(executor)
        executor.reserved = None
        if run is not None and wanted:
            give(state, run, executor, [_longest_waiting(run, executor, now)], ANY, now, {})
            run.cramped_since = None
        if state.executors.get(executor.id) is executor:
            state.rooms.settle(executor)
            state.freshened.append(executor)
    gang = barriers.who_reserves(state)
    if gang is not None:
        barriers.place(state, gang, now)


def _longest_waiting(run: StageRun, executor: Executor, now: float) -> int:
    """The partition to launch on an executor that was emptied for the attempt: that one waits."""
    if run.avoid:
        return run.avoid.popleft()[0]
    if run.pending:
        return run.pending.pop()
    near = run.nearby
    assert near is not None
    for level in (EXECUTOR, NODE, ANY):
        taken = near.take(executor.id, executor.node_id, level, 1)
        if taken:
            near.launched(level, now)
            return taken[0]
    raise AssertionError(near.left)


def _place_near(state: State, run: StageRun, near: Nearby, now: float) -> None:
    """Launch partitions where they prefer to be, closest level first, as far out as their wait allows."""
    wait = state.policy.locality_wait_s
    every = near.passed != state.passes - 1
    near.passed = state.passes
    for level in (EXECUTOR, NODE):
        if level > near.allowed(now, wait) or not near.wants(level):
            continue
        if every or near.scanned < level:
            candidates = near.candidates(level, state.executors, state.nodes)
            near.scanned = max(near.scanned, level)
        else:
            candidates = state.freshened
        opened: dict[Executor, Launch] = {}
        for executor in candidates:
            free = executor.free
            _place_near_at(state, run, near, executor, level, now, opened)
            # Once it is full and nobody idles, short tasks may wait there: more of them when about half of its queue is empty.
            lowest = -(run.queue * (executor.cores - executor.held) // 2)
            if free > 0 and run.queue and state.rooms.top <= 0 and lowest <= executor.free <= 0:
                _place_near_at(state, run, near, executor, level, now, opened)


def _place_near_at(
    state: State, run: StageRun, near: Nearby, executor: Executor, level: int, now: float, opened: dict[Executor, Launch]
) -> None:
    room = executor.room_for(run.cores, run.queue)
    if room <= 0:
        return
    if level == NODE:
        room = min(room, max(1, len(near.by_node.get(executor.node_id, ())) // len(state.nodes[executor.node_id])))
    partitions = near.take(executor.id, executor.node_id, level, room)
    if partitions:
        give(state, run, executor, partitions, level, now, opened)
        state.rooms.settle(executor)
        near.launched(level, now)


def _place_elsewhere(state: State, run: StageRun, now: float) -> None:
    """Launch partitions that failed, on another executor than where they did, unless none of those has had room for a while."""
    rooms = state.rooms
    for _ in range(min(len(run.avoid), AVOIDERS_PER_PASS)):
        top = rooms.top
        if top < run.cores:
            return
        entry = run.avoid.popleft()
        partition, avoided, until = entry
        executor: Executor | None = rooms.take(top)
        assert executor is not None
        if executor.id == avoided and now < until and len(state.executors) - state.draining > 1:
            other = rooms.take(top) if (top := rooms.top) >= run.cores else None
            rooms.settle(executor)
            executor = other
        if executor is None:
            run.avoid.append(entry)
            state.wake_by(until)
        else:
            give(state, run, executor, [partition], ANY, now, {})
            rooms.settle(executor)
