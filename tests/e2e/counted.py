"""Counting how often partitions are computed, by files: whatever process computes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def counting(directory: Path) -> Callable[[int, Iterator[Any]], Iterator[Any]]:
    """For mapPartitionsWithIndex: leaves one file for each time that a partition is computed."""
    place = str(directory)

    def count(index: int, records: Iterator[Any]) -> Iterator[Any]:
        with open(os.path.join(place, f"{index}-{os.urandom(6).hex()}"), "w"):
            pass
        return records

    return count


def computed(directory: Path) -> dict[int, int]:
    """How often each partition was computed."""
    counts: dict[int, int] = {}
    for name in os.listdir(directory):
        index = int(name.split("-")[0])
        counts[index] = counts.get(index, 0) + 1
    return counts
