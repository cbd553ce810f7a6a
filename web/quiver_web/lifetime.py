"""Whether the driver still lives, and when this process should end."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

from quiver_web.fold import State

_LOOK_S = 0.5


class Lifetime:
    """`alive()`: the driver still writes its log. `watch` calls `end` once when the process should go.

    With a lifeline the driver is our parent and lives until the pipe's other end closes or our parent changes. Without one
    (started by hand), it lives while a process with its pid exists on its host; then nothing ends us but a signal.
    """

    def __init__(self, lifeline: int | None, keep: bool, state: Callable[[], State]) -> None:
        self._lifeline = lifeline
        self._keep = keep
        self._state = state
        self._parent = os.getppid()
        self._gone = False

    def alive(self) -> bool:
        if self._lifeline is not None:
            return not self._gone
        app = self._state().application
        if not app.pid or app.host != socket.gethostname():
            return True
        try:
            os.kill(app.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True

    async def watch(self, end: Callable[[], None]) -> None:
        if self._lifeline is None:
            return
        closed = asyncio.Event()
        loop = asyncio.get_running_loop()
        lifeline = self._lifeline

        def readable() -> None:
            if not os.read(lifeline, 1024):
                loop.remove_reader(lifeline)
                closed.set()

        loop.add_reader(lifeline, readable)
        while not closed.is_set() and os.getppid() == self._parent:
            try:
                await asyncio.wait_for(closed.wait(), _LOOK_S)
            except TimeoutError:
                continue
        self._gone = True
        if not self._keep:
            end()
