"""Functions that end-to-end tests run in tasks. In a module of its own, so that nothing of pytest travels with them."""

from __future__ import annotations

import os
import time
from pathlib import Path


def wait_for(path: str, limit_s: float = 60.0) -> None:
    """Until the file exists: how a test holds a task at an exact point."""
    deadline = time.monotonic() + limit_s
    while not os.path.exists(path):
        if time.monotonic() > deadline:
            raise TimeoutError(path)
        time.sleep(0.01)


def mark(directory: str, name: str, text: str = "") -> None:
    """Leave a file that appears whole."""
    path = Path(directory) / name
    staged = path.with_name(f".{name}.{os.getpid()}")
    staged.write_text(text or str(os.getpid()))
    staged.rename(path)
