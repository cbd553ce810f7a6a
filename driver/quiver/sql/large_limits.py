"""ORDER BY … LIMIT of many rows is a sort, of which the first rows are taken. Pure.

The kernel keeps the first rows so far in a heap, which can't spill, and which holds up to twice as many rows and then a copy of them that
nothing counts. That is the right thing for a few: a sort of all rows, which spills, is not. Beyond a part of a task's memory it is.
"""

from __future__ import annotations

from collections.abc import Callable

from quiver_proto.fragments import children, copied, kind_of, width
from quiver_proto.v1.kernel_pb2 import Plan

FEWEST = 10_000
"""So many rows are held by a heap anywhere."""
UNKNOWN = 1_000_000
"""Where it is not known how much memory a task has."""
_ROW_BYTES = 200
"""Of a row with its sort key, guessed."""
_PART, _TIGHT_PART = 8, 64
"""Of a task's memory, and of that of one which ran out of it before."""
_MOST_COUNTED = (1 << 32) - 1
"""By the kernel's limit of each partition."""


def most_held(task_bytes: int, tight: bool = False) -> int:
    """Up to how many rows the first ones are kept in a heap, by a task of so much memory (0: not known). `tight`: it ran out before."""
    rows = task_bytes // _ROW_BYTES // (_TIGHT_PART if tight else _PART)
    return max(FEWEST, rows) if task_bytes else UNKNOWN


def with_large_limits_sorted(plan: Plan, most: Callable[[], int]) -> bool:
    """Have each sort of `plan` that keeps more than `most()` first rows sort all, below a limit. `most` is asked where one may.

    Whether there was one.
    """
    below = [with_large_limits_sorted(child, most) for child in children(plan)]
    if kind_of(plan) != "sort" or plan.sort.fetch <= FEWEST or plan.sort.fetch <= most():
        return any(below)
    rows, whole = plan.sort.fetch, copied(plan)
    whole.sort.fetch = -1
    if width(plan) == 1 and rows > _MOST_COUNTED:
        plan.global_limit.input.CopyFrom(whole)
        plan.global_limit.fetch = rows
    elif rows <= _MOST_COUNTED:
        plan.local_limit.input.CopyFrom(whole)
        plan.local_limit.fetch = rows
    else:  # Sorted partitions are merged above, by what takes no more.
        plan.CopyFrom(whole)
    return True
