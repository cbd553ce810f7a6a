"""Sorting and aggregating much more than fits into memory, beside the same with plenty of it.

    python benchmarks/external.py [--gigabytes 2] [--memory 256 8192] [--workloads sort group reduce]

Each workload runs in `local-cluster[2,1,<memory in MB>]`. One JSON line each: seconds, CPU seconds of all processes, the largest resident
memory that any slot had (beyond what it had when it was born), and whether the answer was right.

sort: pairs (random 64-bit key, text of 100 characters) by key. group: groupByKey of them, ten to a key. reduce: sums by key, with nearly
as many keys as pairs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

VALUE_BYTES = 100
RECORD_BYTES = 8 + VALUE_BYTES


def records(part: int, count: int, keys: int) -> Iterator[tuple[int, str]]:
    chance = np.random.default_rng(part)
    for start in range(0, count, 4096):
        size = min(4096, count - start)
        text = chance.integers(0, 10, size * VALUE_BYTES, dtype=np.uint8) + ord("0")
        data = text.tobytes().decode()
        for place, key in enumerate(chance.integers(0, keys, size).tolist()):
            yield key, data[place * VALUE_BYTES : (place + 1) * VALUE_BYTES]


def order_of(pairs: Iterable[tuple[int, str]]) -> Iterator[tuple[int, int, int, int]]:
    """(records, first key, last key, keys out of order)"""
    count = wrong = 0
    first = last = -1
    for key, _ in pairs:
        first = key if count == 0 else first
        wrong += key < last
        last = key
        count += 1
    yield count, first, last, wrong


def descendants() -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parent = int(Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry))
    found, todo = [], [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


class PeakMemory:
    """The largest resident memory among slots below this process, looked at ten times a second."""

    def __init__(self) -> None:
        self.bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while not self._ended.wait(0.1):
            for pid in descendants():
                try:
                    if b"quiver_executor.template" in Path("/proc", str(pid), "cmdline").read_bytes():
                        resident, shared = Path("/proc", str(pid), "statm").read_text().split()[1:3]
                        self.bytes = max(self.bytes, (int(resident) - int(shared)) * page)
                except OSError:
                    continue


def run(sc: Any, workload: str, count: int, pieces: int) -> object:
    keys = {"sort": 1 << 62, "group": count // 10, "reduce": count * 4}[workload]
    data = sc.parallelize(range(pieces), pieces).flatMap(lambda part: records(part, count // pieces, keys))
    if workload == "sort":
        parts = [part for part in data.sortByKey(numPartitions=pieces).mapPartitions(order_of).collect() if part[0]]
        in_order = all(part[3] == 0 for part in parts) and all(one[2] <= other[1] for one, other in itertools.pairwise(parts))
        return in_order and sum(part[0] for part in parts)
    if workload == "group":
        return data.groupByKey(pieces).map(lambda group: len(group[1])).sum()
    return data.mapValues(lambda text: 1).reduceByKey(add, pieces).values().sum()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--pieces", type=int, default=16, help="partitions, before the shuffle and behind it")
    parser.add_argument("--memory", nargs="+", type=int, default=[256, 8192], help="MB of an executor with one slot")
    parser.add_argument("--workloads", nargs="+", default=["sort", "group", "reduce"], choices=["sort", "group", "reduce"])
    options = parser.parse_args()
    from peers import cpu_seconds

    from quiver import Conf, Context

    count = int(options.gigabytes * 1e9 / RECORD_BYTES) // options.pieces * options.pieces
    for workload in options.workloads:
        for memory in options.memory:
            master = f"local-cluster[2,1,{memory}]"
            with Context(master, "external", conf=Conf().set("spark.ui.enabled", "false")) as sc:
                own, _ = cpu_seconds()
                begun = time.perf_counter()
                with PeakMemory() as peak:
                    answer = run(sc, workload, count, options.pieces)
                seconds = time.perf_counter() - begun
                line = {"workload": workload, "master": master, "records": count, "right": answer == count, "seconds": round(seconds, 2),
                        "cpu_s": round(cpu_seconds()[0] - own, 2), "peak_slot_mb": peak.bytes >> 20}  # fmt: skip
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
