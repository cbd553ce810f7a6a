"""Real contexts on every kind of master, each with its state in a directory of the test's own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quiver import Conf, Context

MakeContext = Callable[..., Context]


@pytest.fixture
def make_context(tmp_path: Path) -> Iterator[MakeContext]:
    made: list[Context] = []

    def make(master: str, **settings: str) -> Context:
        conf = Conf().setMaster(master).setAppName("test")
        conf.set("quiver.local.dir", str(tmp_path / "local")).set("quiver.eventLog.dir", str(tmp_path / "events"))
        conf.set("spark.ui.port", "0")
        for key, value in settings.items():
            conf.set(key.replace("_", "."), value)
        context = Context(conf=conf)
        made.append(context)
        return context

    yield make
    for context in made:
        context.stop()


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


def eventually(condition: Callable[[], bool], what: str, limit_s: float = 30.0) -> None:
    """Until `condition()` holds; for real processes, whose progress has no event to wait on."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        time.sleep(0.02)
