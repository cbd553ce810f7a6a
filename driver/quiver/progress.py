"""The terminal's progress bars: one line per running stage, redrawn in place, erased without a trace.

Stage 3  reduceByKey at count.py:12  ━━━━━━━━━━━━━━━━╸──────────────  52%  84/160, 2 running, 1 failed
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TextIO

_log = logging.getLogger("quiver.driver")

MAX_LINES = 3
FIRST_SEEN_AFTER_S = 0.5
_IDLE_S = 2.0
"""Updates further apart than this belong to different jobs: the second is again shown only after FIRST_SEEN_AFTER_S."""


@dataclass(slots=True)
class StageProgress:
    """A running stage's partitions: `done` and `running` of `width`, and how many attempts `failed`."""

    stage_id: int
    name: str
    done: int
    running: int
    failed: int
    width: int


class Style(NamedTuple):
    """What the terminal can show. The escapes are empty where it has no colours."""

    full: str
    half: str
    rest: str
    cut: str
    green: str
    dim: str
    red: str
    bold: str
    reset: str


COLOURED = Style("━", "╸", "─", "…", "\x1b[32m", "\x1b[2m", "\x1b[31m", "\x1b[1m", "\x1b[0m")
PLAIN = Style("━", "╸", "─", "…", "", "", "", "", "")
ASCII = Style("=", ">", " ", ".", "", "", "", "", "")


def render(stages: Sequence[StageProgress], width: int, style: Style = PLAIN) -> str:
    """At most MAX_LINES lines (and one that counts the rest), none longer than `width` columns, joined by line ends."""
    if width < 20 or not stages:
        return ""
    shown = stages[:MAX_LINES]
    heads = [f"Stage {stage.stage_id}" for stage in shown]
    counts = [_counts(stage) for stage in shown]
    head_width = max(map(len, heads))
    count_width = max(map(len, counts))
    # What is left for name and bar, after the gaps and "100%".
    room = width - head_width - count_width - 2 - 2 - 2 - 6
    name_width = min(max(len(stage.name) for stage in shown), max(room - 20, 0), 48)
    bar_width = min(max(room - name_width, 0), 40)
    lines = [_line(*row, (head_width, name_width, bar_width), width, style) for row in zip(shown, heads, counts, strict=True)]
    if len(stages) > MAX_LINES:
        lines.append(f"{style.dim}{f'and {len(stages) - MAX_LINES} more stages'[:width]}{style.reset}")
    return "\n".join(lines)


def _line(stage: StageProgress, head: str, counts: str, widths: tuple[int, int, int], width: int, style: Style) -> str:
    head_width, name_width, bar_width = widths
    share = _share(stage)
    if bar_width < 4:
        return f"{head} {share * 100:.0f}% {counts}"[:width]
    name = f"{_clipped(stage.name, name_width, style.cut):<{name_width}}  " if name_width else ""
    tail = f"{style.red}{counts}{style.reset}" if stage.failed else counts
    percent = f"{int(share * 100):>3}%"
    return f"{style.bold}{head:<{head_width}}{style.reset}  {name}{_bar(share, bar_width, style)}  {percent}  {tail}"


def _bar(share: float, width: int, style: Style) -> str:
    halves = int(share * width * 2)
    done = style.full * (halves // 2) + style.half * (halves % 2)
    return f"{style.green}{done}{style.reset}{style.dim}{style.rest * (width - len(done))}{style.reset}"


def _share(stage: StageProgress) -> float:
    return min(max(stage.done / stage.width, 0.0), 1.0) if stage.width else 1.0


def _counts(stage: StageProgress) -> str:
    parts = [f"{stage.done:,}/{stage.width:,}"]
    if stage.running > 0:
        parts.append(f"{stage.running:,} running")
    if stage.failed:
        parts.append(f"{stage.failed:,} failed")
    return ", ".join(parts)


def _clipped(text: str, width: int, cut: str) -> str:
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= width else text[: max(width - 1, 0)] + cut if width else ""


class ConsoleProgress:
    """Draws on `stream` (default: stderr). The caller decides whether there is a terminal, and throttles to 100–200 ms.

    Nothing is shown until a job has run for FIRST_SEEN_AFTER_S, by the first `update`. While bars stand, entries of the
    logger `quiver.driver` erase them first; other output should be preceded by `clear`. Methods may be called by any thread.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        columns: Callable[[], int] | None = None,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._columns = columns or self._terminal_columns
        self._style = _style_of(self._stream)
        self._since = self._seen = float("-inf")
        self._drawn = 0
        self._lock = threading.RLock()

    def update(self, stages: Sequence[StageProgress]) -> None:
        """Show these stages in place of what is shown. A stream that fails is left alone from then on."""
        with self._lock:
            now = self._clock()
            if now - self._seen > _IDLE_S:
                self._since = now
            self._seen = now
            if now - self._since < FIRST_SEEN_AFTER_S:
                return
            # The last column stays free: a terminal that has written there may be on the next line already.
            text = render(stages, self._columns() - 1, self._style)
            self._write(self._eraser() + text)
            self._drawn = text.count("\n") + 1 if text else 0
            _log.addFilter(self._make_way)

    def clear(self) -> None:
        """Erase the bars; the cursor is where it was before them. Without bars nothing is written."""
        with self._lock:
            if self._drawn:
                self._write(self._eraser())
                self._drawn = 0
            _log.removeFilter(self._make_way)

    def _eraser(self) -> str:
        return "\r\x1b[2K" + "\x1b[1A\x1b[2K" * (self._drawn - 1) if self._drawn else ""

    def _write(self, text: str) -> None:
        if not text:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._since = float("inf")

    def _terminal_columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except (OSError, ValueError, AttributeError):
            return 80

    def _make_way(self, _record: logging.LogRecord) -> bool:
        self.clear()
        return True


def _style_of(stream: TextIO) -> Style:
    try:
        "━╸─…".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return PLAIN if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else COLOURED
