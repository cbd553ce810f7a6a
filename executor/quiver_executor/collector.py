"""How long the cyclic garbage collector has run in this process: the `gc_s` of tasks."""

from __future__ import annotations

import gc
import time
from typing import Any


class CollectorClock:
    """`seconds` grows while collections run; it stays 0 until `start`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._begun = 0.0

    def start(self) -> None:
        """Listen to the collector. Twice does nothing."""
        if self._listen not in gc.callbacks:
            gc.callbacks.append(self._listen)

    def _listen(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._begun = time.perf_counter()
        else:
            self.seconds += time.perf_counter() - self._begun


clock = CollectorClock()
