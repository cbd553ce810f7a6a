"""A small single-threaded event loop over a selector: the shell around the pure cores of driver and executor.

Not asyncio: a task's round trip is a few tens of microseconds, of which asyncio's machinery would be most. Everything runs in the
thread that calls `run`; only `call_soon` may be called from other threads.
"""

from __future__ import annotations

import heapq
import itertools
import os
import selectors
import time
from collections import deque
from collections.abc import Callable


class Timer:
    """A pending `call_later`; `cancel` makes it do nothing."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None] | None) -> None:
        self.callback = callback

    def cancel(self) -> None:
        self.callback = None


class Loop:
    """Callbacks for readable and writable file descriptors, for other threads' calls, and for times.

    A callback that raises ends `run` with that exception: the owner decides what that means; nothing is swallowed here.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector.register(self._wake, selectors.EVENT_READ, None)
        self._calls: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._sleeping = False
        self._stopped = False

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Run `callback` in the loop's thread, in order of the calls. Safe from any thread."""
        self._calls.append(callback)
        if self._sleeping:
            self._sleeping = False
            os.eventfd_write(self._wake, 1)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` after `delay_s` seconds. Loop's thread only (or before `run`)."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._order), timer))
        return timer

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        self._watch(fd, selectors.EVENT_READ, callback)

    def remove_reader(self, fd: int) -> None:
        self._unwatch(fd, selectors.EVENT_READ)

    def add_writer(self, fd: int, callback: Callable[[], None]) -> None:
        self._watch(fd, selectors.EVENT_WRITE, callback)

    def remove_writer(self, fd: int) -> None:
        self._unwatch(fd, selectors.EVENT_WRITE)

    def run(self) -> None:
        """Until `stop`. Callbacks that are due run in this order: descriptors, timers, calls."""
        while not self._stopped:
            # Set before looking at the calls: a call appended after the look finds _sleeping set and wakes the selector.
            self._sleeping = True
            if self._calls:
                timeout: float | None = 0.0
            elif self._timers:
                timeout = max(0.0, self._timers[0][0] - time.monotonic())
            else:
                timeout = None
            ready = self._selector.select(timeout)
            self._sleeping = False
            for key, mask in ready:
                if key.data is None:
                    os.eventfd_read(self._wake)
                    continue
                reader, writer = key.data
                if mask & selectors.EVENT_READ and reader is not None:
                    reader()
                if mask & selectors.EVENT_WRITE and writer is not None:
                    writer()
            if self._timers:
                self._run_timers()
            for _ in range(len(self._calls)):
                self._calls.popleft()()

    def stop(self) -> None:
        """End `run` once all calls made before this one have been run. Safe from any thread."""
        self.call_soon(self._end)

    def close(self) -> None:
        """Free the descriptors. After `run` has returned."""
        self._selector.close()
        os.close(self._wake)

    def _end(self) -> None:
        self._stopped = True

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.callback is not None:
                timer.callback()

    def _watch(self, fd: int, event: int, callback: Callable[[], None]) -> None:
        try:
            key = self._selector.get_key(fd)
        except KeyError:
            self._selector.register(fd, event, (callback, None) if event == selectors.EVENT_READ else (None, callback))
            return
        reader, writer = key.data
        data = (callback, writer) if event == selectors.EVENT_READ else (reader, callback)
        self._selector.modify(fd, key.events | event, data)

    def _unwatch(self, fd: int, event: int) -> None:
        try:
            key = self._selector.get_key(fd)
        except KeyError:
            return
        reader, writer = key.data
        left = key.events & ~event
        if left:
            self._selector.modify(fd, left, (None, writer) if event == selectors.EVENT_READ else (reader, None))
        else:
            self._selector.unregister(fd)
