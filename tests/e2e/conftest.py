"""Real contexts on every kind of master, each with its state in a directory of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import MakeContext

from quiver import Conf, Context


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
