"""What slots print: from their pipes into the executor's log files, line by line, and to this process's own streams if wanted."""

from __future__ import annotations

import os
import sys
from collections import deque
from typing import IO, Final

CAP_BYTES: Final = 16 << 20
"""A log file that grows beyond this is renamed to `<name>.1`, replacing the one before."""
LONGEST_LINE: Final = 64 << 10
LAST_LINES: Final = 20
_READ: Final = 64 << 10


class LogFile:
    """An appended file that keeps at most about twice CAP_BYTES on disk. Without a directory it keeps nothing.

    `echo` names the stream of `sys` ("stdout" or "stderr") that gets a copy, or is "". A slow reader of that stream (a paused pager)
    slows this process, as it would if the process itself printed.
    """

    def __init__(self, directory: str, name: str, echo: str) -> None:
        self._path = os.path.join(directory, name) if directory else ""
        self._file: IO[bytes] | None = None
        self._size = 0
        self._echo = echo

    def write(self, lines: bytes) -> None:
        if self._path:
            self._append(lines)
        if self._echo:
            stream = getattr(sys, self._echo)
            try:
                stream.write(lines.decode("utf-8", "replace"))
                stream.flush()
            except (OSError, ValueError, AttributeError):
                self._echo = ""

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, lines: bytes) -> None:
        try:
            if self._file is None:
                os.makedirs(os.path.dirname(self._path), exist_ok=True)
                self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115 - lives as long as the executor
                self._size = self._file.tell()
            if self._size + len(lines) > CAP_BYTES and self._size:
                self._file.close()
                os.replace(self._path, self._path + ".1")
                self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115
                self._size = 0
            self._size += self._file.write(lines)
        except OSError as error:
            # A full disk must not end the executor: the lines are lost, the tasks are not.
            print(f"quiver: the log {self._path} can't be written: {error}", file=sys.stderr)
            self._path = ""
            self.close()


class Printed:
    """One process's stdout or stderr: whole lines go to `log`, the last ones are kept in `last` (shared by both streams)."""

    def __init__(self, fd: int, log: LogFile, last: deque[str]) -> None:
        self.fd = fd
        self._log = log
        self._last = last
        self._partial = b""

    def read(self, until_empty: bool = False) -> bool:
        """Take what is there (about READ bytes, or all); False at the end of the pipe."""
        while True:
            try:
                data = os.read(self.fd, _READ)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            self._take(data)
            if not until_empty:
                return True

    def end_line(self) -> None:
        """Write a line that has no end yet, so that a task's output is complete when its end is told."""
        if self._partial:
            self._take(b"\n")

    def close(self) -> None:
        self.end_line()
        os.close(self.fd)

    def _take(self, data: bytes) -> None:
        data = self._partial + data
        end = data.rfind(b"\n") + 1
        if not end and len(data) > LONGEST_LINE:
            data += b"\n"
            end = len(data)
        self._partial = data[end:]
        if end:
            lines = data[:end]
            self._log.write(lines)
            self._last.extend(lines[-LONGEST_LINE:].decode("utf-8", "replace").splitlines()[-LAST_LINES:])


def last_lines() -> deque[str]:
    """A ring for `Printed`."""
    return deque(maxlen=LAST_LINES)
