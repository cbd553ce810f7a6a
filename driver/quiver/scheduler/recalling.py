"""Tasks that wait in a busy executor's queue while another executor is idle are asked back.

Queues are filled by what tasks took so far. When later ones take much longer, the last tasks of a stage would wait behind them.
"""

from __future__ import annotations

from itertools import islice

from quiver.scheduler.model import Kill
from quiver.scheduler.state import State

REASON = "moves to an idle executor"


def patience(state: State) -> float:
    """Seconds that an executor may report nothing before its queue counts as stuck."""
    return max(0.02, 4 * state.policy.target_queue_s)


def schedule(state: State, now: float) -> None:
    """After launching: look again a little later if executors idle while others have a queue."""
    if not state.rooms.overfull or state.rooms.top <= 0:
        state.steal_at = None
    elif state.steal_at is None:
        state.steal_at = now + patience(state)


def recall(state: State, now: float) -> None:
    """Ask back as many queued tasks as there are idle cores, from executors that reported nothing for a while. Newest first."""
    state.steal_at = None
    idle = state.rooms.free_cores()
    for executor in state.rooms.overfull:
        if idle <= 0:
            break
        if now < executor.reported_at + patience(state):
            continue
        newest = islice(reversed(executor.tasks.items()), min(-executor.free, idle))
        task_ids = [
            task_id
            for task_id, record in newest
            if not record[0].over and record[0].cores == 1 and not record[0].barrier and task_id not in state.recalled
        ]
        if task_ids:
            idle -= len(task_ids)
            state.recalled.update(task_ids)
            state.actions.append(Kill(executor.id, task_ids, REASON))
