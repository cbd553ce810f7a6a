"""Ending a native fragment from another thread, where there is no process of its own to kill (`inline`)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

_running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []
_asked = threading.Event()
"""`interrupt` was called after `heed`: what is about to begin was meant, too."""


class Interrupted(KeyboardInterrupt):
    """`interrupt` was called. No failure of the task's."""


def run_interruptibly(work: Coroutine[Any, Any, None]) -> None:
    """asyncio.run(work). The kernel's streams are dropped when it ends early. Raises Interrupted."""
    was_asked = False

    async def watched() -> None:
        task = asyncio.current_task()
        assert task is not None
        entry = asyncio.get_running_loop(), task
        _running.append(entry)
        if _asked.is_set():
            interrupt()
        try:
            await work
        except asyncio.CancelledError:
            nonlocal was_asked
            was_asked = entry not in _running
            raise
        finally:
            if entry in _running:
                _running.remove(entry)

    try:
        asyncio.run(watched())
    except asyncio.CancelledError:
        if was_asked:
            raise Interrupted from None
        raise


def heed() -> None:
    """Whoever begins fragments looks for requests after this, and then begins one: interruptions so far are not meant for it."""
    _asked.clear()


def interrupt() -> None:
    """End what `run_interruptibly` does in other threads of this process, or is about to do. By any thread, after its request is known."""
    _asked.set()
    while _running:
        try:
            loop, task = _running.pop()
        except IndexError:
            return
        try:
            loop.call_soon_threadsafe(task.cancel)
        except RuntimeError:
            pass  # It has just ended by itself.
