"""Executors for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from supervised import Executor, config


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Executor]]:
    """Starts executors, closes them at the end."""
    started: list[Executor] = []

    def run(cores: int = 2, body: str = "tiny_body", **changes: Any) -> Executor:
        limits = {name: changes.pop(name) for name in ("answer_within_s", "stopped_limit_s") if name in changes}
        executor = Executor(config(tmp_path / str(len(started)), cores, **changes), body, **limits)
        started.append(executor)
        return executor

    yield run
    for executor in started:
        executor.close()


@pytest.fixture
def executor(start: Callable[..., Executor]) -> Executor:
    return start()
