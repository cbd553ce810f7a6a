"""Processes that do not do as they are told: whether one is stopped, and the end of one with everything below it."""

from __future__ import annotations

import os
import signal


def stopped(pid: int) -> bool:
    """Whether a signal (SIGSTOP, SIGTSTP, ...) has stopped the process; False for one that a debugger holds, or that is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name, in parentheses, may hold anything; the state follows it.
            return file.read().rpartition(b") ")[2][:1] == b"T"
    except OSError:
        return False


def descendants(pid: int) -> list[int]:
    """Process ids of all that descends from `pid`, parents before children."""
    found: list[int] = []
    look = [pid]
    while look:
        for child in _children(look.pop()):
            found.append(child)
            look.append(child)
    return found


def _children(pid: int) -> list[int]:
    """Of all its threads. One that ends while we look must not hide the children of the others."""
    found: list[int] = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for task in tasks:
        try:
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += map(int, file.read().split())
        except OSError:
            pass  # It ended just now.
    return found


def kill_tree(pid: int) -> None:
    """SIGKILL a child of ours and whatever descends from it. The children first: while it lives, their ids can't be given to others."""
    for child in (*descendants(pid), pid):
        try:
            os.kill(child, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
