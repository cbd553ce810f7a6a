"""What of a task's memory the kernel's operators may take. Pure.

A slot's share has to hold more than the pool counts: the interpreter with its libraries, Arrow buffers on their way in and out of the
kernel, and decoded pieces.
"""

from __future__ import annotations

_PROCESS = 160 << 20
"""Resident bytes of a slot that has loaded the kernel and computed something small, measured."""
_LEAST = 32 << 20
_SMALL = 256 << 20
"""A pool below this is one in which the kernel's own defaults leave too little for each of an operator's buffers."""

CORES = "quiver.cores"
"""A setting of a fragment that is not the kernel's: the task has the share of so many slots."""


def pool_bytes(share: int) -> int:
    """The pool of a task that has `share` bytes of its executor's memory. Operators spill, or fail, beyond it."""
    return max(_LEAST, (share - _PROCESS) * 4 // 10)


def settings_for(pool: int) -> dict[str, str]:
    """Of the kernel, for operators that share `pool` bytes."""
    if pool >= _SMALL:
        return {}
    # A merge of spilled runs holds a batch of each; a sort puts the reservation aside for that.
    return {
        "datafusion.execution.batch_size": "4096" if pool >= _SMALL // 2 else "1024",
        "datafusion.execution.sort_spill_reservation_bytes": str(max(1 << 20, pool // 32)),
    }


def output_bytes(share: int) -> int:
    """How much of a map output is held before it goes to disk."""
    return max(8 << 20, min(share // 4, (share - _PROCESS) // 6))
