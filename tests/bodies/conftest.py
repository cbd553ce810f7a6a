from __future__ import annotations

from pathlib import Path

import pytest
from body_bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def small(tmp_path: Path) -> Bench:
    """A slot with next to no memory: everything spills."""
    return Bench(tmp_path, memory=32 << 10)
