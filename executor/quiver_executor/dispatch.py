"""How many tasks a slot is given at a time: pure decisions."""

from __future__ import annotations

from typing import Final

MAX_TASKS_AHEAD: Final = 64
WORK_AHEAD_S: Final = 0.0015
"""Expected work that may wait in a slot."""
LONG_TASK_S: Final = 0.0005
"""Tasks of a stage with a longer mean go one by one: the hop is small beside them, and no task waits behind another."""
_WEIGHT: Final = 0.5


def tasks_ahead(mean_s: float | None) -> int:
    """How many tasks of a stage with this mean (None: not known yet) a slot may hold, the running one included."""
    if mean_s is None or mean_s > LONG_TASK_S:
        return 1
    return max(1, min(MAX_TASKS_AHEAD, int(WORK_AHEAD_S / max(mean_s, 1e-9))))


def batch(ahead: int, held: int, queued: int, slots: int) -> int:
    """How many more tasks a slot gets that holds `held`; 0 unless it is at half of `ahead` or below (refills are batches too).

    Never more than an equal share of what is queued, so that the last tasks of a stage spread over all slots.
    """
    if held > ahead // 2 or (held and ahead == 1):
        return 0
    return max(0 if held else 1, min(ahead - held, -(-queued // max(slots, 1))))


def next_mean(mean_s: float | None, tasks: int, seconds: float) -> float | None:
    """A stage's mean task time after `tasks` more took `seconds`: recent ones weigh most, so first-time imports fade quickly."""
    if tasks == 0:
        return mean_s
    latest = seconds / tasks
    return latest if mean_s is None else mean_s + _WEIGHT * (latest - mean_s)


def respawn_delay(strikes: int) -> float:
    """Seconds to wait before a slot is forked (or a template started) again after `strikes` deaths in a row without a task done."""
    return 0.0 if strikes <= 1 else min(2.0, 0.05 * 2 ** (strikes - 2))
