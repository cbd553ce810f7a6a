"""What a task of the kernel may make of its process. The kernel's pool counts what its operators say they hold: windows, lists and batches
on their way are not said. So the process is looked at while the kernel works, and the task ends before the slot's memory does."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from quiver_executor.kernel import own_bytes
from quiver_executor.memory import give_back
from quiver_executor.slot_memory import pause_s
from quiver_proto.errors import SlotOutOfMemory
from quiver_proto.messages import OperatorMetrics

LOOK_S = 0.025
_GIVE_BACK_S = 0.25
"""Allocators are asked for what they keep no more often than this: it takes milliseconds."""
_LEAST = 384 << 20
"""A process with the kernel in it, which has computed something, may be as large as this, whatever its share."""
_ROOM = 64 << 20
_LEAST_LEFT = 192 << 20
_HOLDING = ("WindowAgg", "Aggregate", "HashJoin", "SortMergeJoin", "NestedLoopJoin", "CrossJoin", "Sort", "SortPreservingMerge", "Unnest")


def soft_limit(share: int) -> int:
    """How large a process with `share` bytes of its executor's memory may get before its task is ended."""
    return max(_LEAST, share - share // 16)


class ProcessWatch:
    """Of one task, from its start."""

    def __init__(self, share: int) -> None:
        self._share = share
        # What was here before is not this task's: cached objects, broadcast values, pages that an allocator keeps.
        self._held = own_bytes(os.getpid())
        self._limit = max(soft_limit(share), self._held + _ROOM)
        self._gave_back_at = 0.0

    def check(self, operators: Callable[[], Sequence[OperatorMetrics]]) -> SlotOutOfMemory | None:
        """The error to end the task with, when the process is too large now. `operators` tells what each has done so far."""
        self._held = own_bytes(os.getpid())
        if self._held <= self._limit:
            return None
        now = time.monotonic()
        if now > self._gave_back_at + _GIVE_BACK_S:
            self._gave_back_at = now
            give_back()
            self._held = own_bytes(os.getpid())
        return SlotOutOfMemory(holder(operators()), self._held, self._share) if self._held > self._limit else None

    @property
    def pause_s(self) -> float:
        """When to look again."""
        return pause_s(self._held, self._limit, LOOK_S)

    def look(self, operators: Callable[[], Sequence[OperatorMetrics]]) -> None:
        """Raises SlotOutOfMemory when the process is too large now."""
        problem = self.check(operators)
        if problem is not None:
            raise problem


class Leftovers:
    """What the kernel's tasks have left in this process, in bytes.

    Threads that read its files keep the blocks that they allocated last, also when others have freed them: some 20 MB a task of a large
    scan, up to half a gigabyte, which no call gives back.
    """

    def __init__(self) -> None:
        self.held = 0

    def too_many(self, before: int, after: int, share: int) -> bool:
        """A task of `share` bytes of memory began in a process of `before` bytes, and ended in one of `after`: whether other tasks
        are better off in another process by now."""
        self.held = max(0, self.held + after - before)
        return self.held > max(_LEAST_LEFT, share // 8 * 3)


async def watched(work: asyncio.Future[Any], share: int, operators: Callable[[], Sequence[OperatorMetrics]]) -> None:
    """Await `work`. Raises SlotOutOfMemory, when the process becomes too large meanwhile; `work` is cancelled then."""
    watch = ProcessWatch(share)
    loop = asyncio.get_running_loop()
    problem: SlotOutOfMemory | None = None
    timer = loop.call_later(watch.pause_s, lambda: look())

    def look() -> None:
        nonlocal timer, problem
        problem = watch.check(operators)
        if problem is None:
            timer = loop.call_later(watch.pause_s, look)
        else:
            work.cancel()

    try:
        await work
    except asyncio.CancelledError:
        if problem is None:
            raise
        raise problem from None
    finally:
        timer.cancel()


def holder(operators: Sequence[OperatorMetrics]) -> str:
    """The operator that probably holds most: the innermost that takes rows in and has given none, else the outermost that may hold some.

    `operators` come before their inputs. "" when there is none.
    """
    holding = [each for each in operators if any(kind in each.name for kind in _HOLDING)]
    filling = [each for each in holding if not each.rows]
    chosen = filling[-1] if filling else holding[0] if holding else None
    if chosen is None:
        return ""
    return f"{chosen.name} ({chosen.detail})" if chosen.detail else chosen.name
