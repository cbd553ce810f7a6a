"""The driver's event log: events are queued where they happen and written a moment later, so that no task waits for JSON or the disk."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any, Final

from quiver.redacting import redacted
from quiver_proto.errors import BadSetting
from quiver_proto.events import (
    Event,
    JobEnded,
    JobStarted,
    OperatorsMeasured,
    QueryEnded,
    QueryPlanned,
    QueryStarted,
    StageEnded,
    TaskFailed,
    encode,
)

FLUSH_INTERVAL_S = 0.1
_FLUSH_AT = 4096
_PORTION = 32
"""Events written at a time: a job that comes in meanwhile waits for 0.3 ms of JSON, not for all of it."""
_NEXT_PORTION_S = 0.001
LONGEST_TEXT: Final = 100_000
"""Characters of one text of users in an event: of plans of thousands of columns the beginning is written."""
_FREE_TEXTS: dict[type[Any], tuple[str, ...]] = {
    JobStarted: ("description",),
    JobEnded: ("error",),
    StageEnded: ("error",),
    TaskFailed: ("message", "error"),
    QueryStarted: ("sql", "description"),
    QueryPlanned: ("analysed", "logical", "physical"),
    QueryEnded: ("error",),
    OperatorsMeasured: ("details",),
}
"""Fields with texts of users, databases and libraries: a password may stand in them."""


class EventLog:
    """Appends to `<directory>/<application id>.jsonl` (mode 0600), without secrets. For one thread, that which runs the engine.

    `schedule(delay_s, callback)` arranges for a later flush; None means that every append writes at once. A disk that
    fails later must not fail jobs: the log then says so once through `on_error` and ends there. Raises BadSetting when it can't be opened.
    """

    def __init__(
        self,
        directory: str,
        application_id: str,
        schedule: Callable[[float, Callable[[], None]], object] | None,
        on_error: Callable[[str], None],
    ) -> None:
        self.path = os.path.join(directory, f"{application_id}.jsonl")
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            self._fd: int | None = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise BadSetting("quiver.eventLog.dir", directory, f"{error.strerror or error}; choose a writable directory") from None
        self._pending: list[Event | Callable[[], Event]] = []
        self._schedule = schedule
        self._on_error = on_error
        self._scheduled = False

    def append(self, event: Event | Callable[[], Event]) -> None:
        """Queue an event, or what will make it: an event that costs something to make is made when it is written."""
        self._pending.append(event)
        if self._schedule is None or len(self._pending) >= _FLUSH_AT:
            self.flush()
        elif not self._scheduled:
            self._scheduled = True
            self._schedule(FLUSH_INTERVAL_S, self._flush_later)

    def flush(self) -> None:
        """Write all that is queued."""
        events, self._pending = self._pending, []
        self._write(events)

    def _write(self, events: list[Event | Callable[[], Event]]) -> None:
        # Whole lines in one write, so that a reader sees at most one cut line, the last.
        if self._fd is None or not events:
            return
        data = "".join([encode(_without_secrets(event() if callable(event) else event)) + "\n" for event in events]).encode()
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            os.close(self._fd)
            self._fd = None
            self._on_error(f"event log {self.path} ends here: {error}")

    def close(self) -> None:
        """Flush and close; later appends are dropped. Twice does nothing."""
        self.flush()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _flush_later(self) -> None:
        self._scheduled = False
        portion, self._pending = self._pending[:_PORTION], self._pending[_PORTION:]
        self._write(portion)
        if self._pending and self._schedule is not None:
            self._scheduled = True
            self._schedule(_NEXT_PORTION_S, self._flush_later)


def _without_secrets(event: Event) -> Event:
    changed: dict[str, Any] = {}
    for name in _FREE_TEXTS.get(type(event), ()):
        text = getattr(event, name)
        if text:
            changed[name] = _fit(text) if isinstance(text, str) else [_fit(each) for each in text]
    return dataclasses.replace(event, **changed) if changed else event


def _fit(text: str) -> str:
    # Cut last: half a quoted secret would not be known as one.
    text = redacted(text)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… and {len(text) - LONGEST_TEXT} more characters"
