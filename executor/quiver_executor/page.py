"""The memory that a supervisor shares with one slot.

One memfd per slot: 4096 bytes for the words below, AREA bytes of reports not sent yet, and behind them the room where faulthandler
writes the stack when the slot dies of a fatal signal. A slot's writes are plain stores, so what it was doing and what it had done
can be read at any time, also after SIGKILL.

The area is the buffer from which a slot sends its reports. So the supervisor can read the results of short tasks although the
slot sits in a long one, and nothing that was finished is lost or run again when the slot dies. The slot appends a report and then
raises UNSENT; after sending it sets UNSENT to 0 and then raises EPOCH, before it writes the area again: a copy made between two
looks at EPOCH that agree is whole. A report may be seen twice (from the area, then from the socket).

The recall protocol lets the supervisor take back tasks that a slot was sent but has not begun, although the slot may be deep
in user code: the slot stores STARTED before it looks at RECALLED, the supervisor stores RECALLED and looks at STARTED only
after RECALL_SETTLE_S. So a task whose number is above STARTED then is not and will not be begun; one that the slot
skipped because of RECALLED, it reports as returned.
"""

from __future__ import annotations

import mmap
import os
from typing import Final

WORDS: Final = 4096
AREA: Final = 64 << 10
SIZE: Final = WORDS + AREA
LAST_WORDS_LIMIT: Final = 64 << 10
RECALL_SETTLE_S: Final = 0.002

STARTED: Final = 0
"""Sequence number (from 1, in the order in which they were sent) of the task last begun or skipped."""
RECALLED: Final = 1
"""Tasks up to this sequence number must not be begun."""
RUNNING: Final = 2
"""The task id that runs, -1 when none does."""
UNSENT: Final = 3
"""Bytes of whole reports in the area."""
EPOCH: Final = 4
"""How many times the area was emptied."""
STARTED_AT: Final = 0
"""In `Page.times`, Unix seconds at which the running task began."""


class Page:
    """Words shared by two processes. `words` and `times` are views of the same memory at different places."""

    __slots__ = ("_map", "_view", "area", "fd", "times", "words")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, SIZE)
        self._view = memoryview(self._map)
        self.words: memoryview[int] = self._view[:2048].cast("q")
        self.times: memoryview[float] = self._view[2048:WORDS].cast("d")
        self.area = self._view[WORDS:]

    @classmethod
    def create(cls) -> Page:
        """A fresh page. The descriptor's position is where the last words go."""
        fd = os.memfd_create("quiver-slot")
        os.ftruncate(fd, SIZE)
        os.lseek(fd, SIZE, os.SEEK_SET)
        page = cls(fd)
        page.words[RUNNING] = -1
        return page

    def unsent(self) -> bytes:
        """Whole reports that the slot has made and not sent; nothing if it sends just now (then they come anyway)."""
        epoch = self.words[EPOCH]
        reports = bytes(self.area[: self.words[UNSENT]])
        return reports if self.words[EPOCH] == epoch else b""

    def last_words(self) -> str:
        """What faulthandler wrote; "" when the slot did not die of a fatal signal."""
        return os.pread(self.fd, LAST_WORDS_LIMIT, SIZE).decode("utf-8", "replace")

    def close(self) -> None:
        self.words.release()
        self.times.release()
        self.area.release()
        self._view.release()
        self._map.close()
        os.close(self.fd)
