"""How many processes the kernel has killed for lack of memory, near enough to blame it for a death."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OomCounter:
    """Where the kernel counts the processes it killed for memory. `scope` completes the sentence 'killed n processes ...'."""

    path: str
    scope: str

    def read(self) -> int:
        """The counter now; 0 when it can't be read."""
        try:
            with open(self.path) as file:
                for line in file:
                    name, _, value = line.partition(" ")
                    if name == "oom_kill":
                        return int(value)
        except (OSError, ValueError):
            pass
        return 0


def find_oom_counter() -> OomCounter:
    """Our own cgroup's (version 2 or 1) if it is readable, else the machine's."""
    try:
        with open("/proc/self/cgroup") as file:
            rows = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        rows = []
    for _, controllers, path in rows:
        for below in (path, "/"):
            if "memory" in controllers.split(","):
                counter = os.path.join("/sys/fs/cgroup/memory", below.lstrip("/"), "memory.oom_control")
            elif not controllers:
                counter = os.path.join("/sys/fs/cgroup", below.lstrip("/"), "memory.events")
            else:
                continue
            if os.access(counter, os.R_OK):
                return OomCounter(counter, "in this executor's cgroup")
    return OomCounter("/proc/vmstat", "on this machine")


class OomWatch:
    """Tells kills of the last moments from old ones. `sample` about once a second."""

    def __init__(self) -> None:
        self._counter = find_oom_counter()
        self.scope = self._counter.scope
        self._older = self._newer = self._counter.read()

    def sample(self) -> None:
        self._older, self._newer = self._newer, self._counter.read()

    def recent(self) -> int:
        """Kills since the sample before the last."""
        return self._counter.read() - self._older
