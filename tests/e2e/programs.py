"""Functions that end-to-end tests run in tasks. In a module of its own, so that nothing of pytest travels with them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quiver import AccumulatorParam


def wait_for(path: str, limit_s: float = 120.0) -> None:
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


def first_time(directory: str, name: str) -> bool:
    """True for exactly one caller, whichever process it is in."""
    try:
        os.close(os.open(os.path.join(directory, name), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


class Vector(AccumulatorParam[list[float]]):
    """Adds in place."""

    def zero(self, value: list[float]) -> list[float]:
        return [0.0] * len(value)

    def addInPlace(self, value1: list[float], value2: list[float]) -> list[float]:
        for i, term in enumerate(value2):
            value1[i] += term
        return value1


def hold_once(mark_path: str, index: int, records: Iterator[Any]) -> Iterator[Any]:
    """The first attempt at partition 0 says by a file that it has its records, and stays until it is killed; all others go on."""
    if index == 0:
        records = iter(list(records))
        try:
            os.close(os.open(mark_path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return records
        while True:
            time.sleep(600)
    return records
