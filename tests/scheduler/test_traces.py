"""Every story in traces/ is told as it is written there. QUIVER_REWRITE_TRACES=1 writes down what is told now; then read the diff."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tracing import Story

TRACES = sorted((Path(__file__).parent / "traces").glob("*.txt"))


@pytest.mark.parametrize("path", TRACES, ids=[path.stem for path in TRACES])
def test_story(path: Path) -> None:
    text = path.read_text()
    told = Story().retell(text)
    if os.environ.get("QUIVER_REWRITE_TRACES"):
        path.write_text(told)
    else:
        assert told == text


def test_there_are_stories() -> None:
    assert len(TRACES) >= 15
