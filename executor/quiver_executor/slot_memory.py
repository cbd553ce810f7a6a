"""Which slot has to end because the slots of an executor hold more than it has. Pure.

Tasks spill, and those of the kernel end themselves, before that. What is left are objects of users' functions, and what grows too
fast for a process to see to itself.
"""

from __future__ import annotations

from collections.abc import Mapping

LOOK_S = 0.05
_LEAST = 384 << 20
"""A slot with the kernel in it may be as large as this, whatever its share (kernel_watch)."""


def hard_limit(memory_bytes: int, cores: int) -> int:
    """How much the slots of an executor may hold together. A tenth more than its memory: allocators keep some of what is freed, and
    a task that is about to spill holds what it spills."""
    return max(memory_bytes + memory_bytes // 10, _LEAST * cores)


def pause_s(held: int, limit: int, usual_s: float) -> float:
    """When to look again at what holds so many bytes now: near its limit soon, as a window was seen to take 80 MB in 25 ms."""
    return usual_s if held < limit - limit // 4 else usual_s / 5


def together(own: Mapping[int, int], shared: int) -> int:
    """Bytes that all slots and the template hold, see `outgrown`."""
    return shared + sum(max(0, size - shared) for size in own.values())


def outgrown(own: Mapping[int, int], shared: int, cores_of: Mapping[int, int], memory_bytes: int, cores: int) -> int | None:
    """The slot with a task that is most above its share, when all together hold more than `hard_limit`; None when they don't.

    `own`: bytes of each slot that are not mapped files. `shared`: bytes of the template, which each of them counts too. `cores_of`: how
    many cores the task of each slot has, for slots that have one.
    """
    if together(own, shared) <= hard_limit(memory_bytes, cores) or not cores_of:
        return None
    return max(cores_of, key=lambda slot: own[slot] - memory_bytes * max(1, cores_of[slot]) // cores)
