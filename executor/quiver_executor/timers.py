"""The pending timers of one owner, so that its end can take them all back."""

from __future__ import annotations

from collections.abc import Callable

from quiver_proto.loop import Loop, Timer


class Timers:
    """Loop's thread only."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._pending: set[Timer] = set()

    def later(self, delay_s: float, callback: Callable[[], None]) -> None:
        def due() -> None:
            self._pending.discard(timer)
            callback()

        timer = self._loop.call_later(delay_s, due)
        self._pending.add(timer)

    def cancel(self) -> None:
        for timer in self._pending:
            timer.cancel()
        self._pending.clear()
