"""What end-to-end tests share: looking at real processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from quiver import Context

MakeContext = Callable[..., Context]


def children(pid: int) -> list[int]:
    """Living descendants of `pid`, from /proc."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents.setdefault(int(fields[1]), []).append(int(name))
    found, todo = [], [pid]
    while todo:
        todo += (more := parents.get(todo.pop(), []))
        found += more
    return found


def command_line(pid: int) -> str:
    try:
        return Path("/proc", str(pid), "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def eventually(condition: Callable[[], bool], what: str, limit_s: float = 120.0) -> None:
    """Until `condition()` holds; for real processes, whose progress has no event to wait on."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        time.sleep(0.02)
