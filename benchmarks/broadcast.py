"""A numpy array broadcast to two slots and used in a hundred tasks, in Quiver and in PySpark: seconds, and memory of all processes.

    python benchmarks/broadcast.py [--megabytes 200] [--engines quiver pyspark]

One JSON line an engine: seconds of broadcast(), of the first job (which gets the value to the slots) and of the second; in MiB, the
resident memory that no other process shares (`own`, summed over the program's processes) and their proportional sets (`pss`), while a task
of each slot holds the value. PySpark is used where it is installed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TASKS = 100


def descendants(pid: int) -> list[int]:
    found, pending = [], [pid]
    while pending:
        pid = pending.pop()
        found.append(pid)
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                pending += map(int, task.read_text().split())
            except OSError:
                continue
    return found


def memory() -> dict[str, int]:
    """MiB of this process and all below it."""
    totals = {"Pss": 0, "Private_Clean": 0, "Private_Dirty": 0}
    for pid in descendants(os.getpid()):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            name, _, rest = line.partition(":")
            if name in totals:
                totals[name] += int(rest.split()[0])
    return {"pss": totals["Pss"] >> 10, "own": totals["Private_Clean"] + totals["Private_Dirty"] >> 10}


def measure(sc: Any, megabytes: int) -> dict[str, Any]:
    import numpy as np

    sc.parallelize(range(4), 4).map(lambda x: x + float(np.ones(2).sum())).sum()
    before = memory()
    array = np.arange(megabytes << 17, dtype=np.float64)
    expected = float(array[::1000].sum()) * TASKS
    times = [time.perf_counter()]
    shared = sc.broadcast(array)
    times.append(time.perf_counter())
    del array
    for _ in range(2):
        total = sc.parallelize(range(TASKS), TASKS).map(lambda _: float(shared.value[::1000].sum())).sum()
        times.append(time.perf_counter())
    assert abs(total - expected) < 1e-6 * expected, (total, expected)
    # Every page of it is touched by every task.
    assert sc.parallelize(range(4), 4).map(lambda _: float(shared.value.sum())).count() == 4
    after = memory()
    steps = [round(end - begin, 3) for begin, end in itertools.pairwise(times)]
    return {
        "broadcast_s": steps[0], "first_job_s": steps[1], "second_job_s": steps[2],
        "pss_mib": after["pss"] - before["pss"], "own_mib": after["own"] - before["own"],
    }  # fmt: skip


def run(engine: str, megabytes: int) -> None:
    if engine == "quiver":
        from quiver import Conf, Context

        sc: Any = Context("local[2]", "bench", conf=Conf().set("spark.ui.enabled", "false"))
    else:
        from pyspark import SparkConf, SparkContext

        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        conf = SparkConf().set("spark.ui.enabled", "false").set("spark.driver.memory", "4g").set("spark.ui.showConsoleProgress", "false")
        sc = SparkContext("local[2]", "bench", conf=conf)
    print(json.dumps({"engine": engine, "megabytes": megabytes, **measure(sc, megabytes)}), flush=True)
    sc.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--engines", nargs="+", default=["quiver"], choices=["quiver", "pyspark"])
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    for engine in given.engines:
        if given.here:
            run(engine, given.megabytes)
        else:
            # A process of its own: what one engine leaves in memory is not the other's.
            subprocess.run([sys.executable, __file__, "--megabytes", str(given.megabytes), "--engines", engine, "--here"], check=True)


if __name__ == "__main__":
    main()
