"""Following the event log: bytes in, events out, and a state that is as new as the file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

from quiver_proto.events import Event, decode
from quiver_web.fold import Limits, State

POLL_S = 0.15
CHUNK_BYTES = 256 * 1024
MAX_LINE_BYTES = 64 << 20


class LineReader:
    """Cuts bytes into lines and lines into events, however the bytes were chunked. `bad_lines` counts what was no event at all."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._skipping = False
        self.bad_lines = 0
        self.unknown_events = 0

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events completed by `data`. An incomplete last line waits for its end."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            whole = b"".join([*self._rest, line])
            self._rest, self._rest_bytes = [], 0
            if self._skipping:
                self._skipping = False
            elif whole.strip():
                event = self._decode(whole)
                if event is not None:
                    yield event
        if rest and not self._skipping:
            self._rest.append(rest)
            self._rest_bytes += len(rest)
            if self._rest_bytes > MAX_LINE_BYTES:
                self._rest, self._rest_bytes, self._skipping = [], 0, True
                self.bad_lines += 1

    def _decode(self, line: bytes) -> Event | None:
        try:
            event = decode(line.decode())
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self.bad_lines += 1
            return None
        if event is None:
            self.unknown_events += 1
        return event


class Follower:
    """The state of one log file. `catch_up` reads what is there; `run` keeps doing so until the application has ended.

    A file that became shorter or was replaced is read again from its start, into a fresh state.
    """

    def __init__(self, path: str, limits: Limits | None = None) -> None:
        self.path = path
        self._limits = limits
        self._fd: int | None = None
        self._offset = 0
        self.state = State(limits)
        self.lines = LineReader()
        self.caught_up = False
        """The end of the file has been seen once."""

    def read_some(self) -> bool:
        """Take in one chunk. False when nothing new was there. Raises OSError when the file can't be read."""
        if self._fd is None:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        data = os.pread(self._fd, CHUNK_BYTES, self._offset)
        if not data:
            self.caught_up = True
            return self._replaced()
        self._offset += len(data)
        for event in self.lines.feed(data):
            self._apply(event)
        return True

    def _apply(self, event: Event) -> None:
        try:
            self.state.apply(event)
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError):
            # Well-formed, but fields of the wrong kind or columns of different lengths: not worth losing the rest of the log.
            self.lines.bad_lines += 1

    def _replaced(self) -> bool:
        assert self._fd is not None
        mine = os.fstat(self._fd)
        try:
            now = os.stat(self.path)
        except FileNotFoundError:
            return False
        if (mine.st_ino, mine.st_dev) == (now.st_ino, now.st_dev) and now.st_size >= self._offset:
            return False
        self.close()
        self._offset, self.state, self.lines = 0, State(self._limits), LineReader()
        return now.st_size > 0

    def catch_up(self) -> None:
        """Read to the end of the file."""
        while self.read_some():
            pass

    async def run(self) -> None:
        """Follow the file; between chunks others get their turn."""
        while not self.state.ended:
            try:
                more = self.read_some()
            except OSError:
                more = False
            await asyncio.sleep(0 if more else POLL_S)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
