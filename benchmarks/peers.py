"""Quiver beside what people use today, in one run on one machine: each workload is written once per engine, as a user would write it.

    python benchmarks/peers.py                         # quiver and a hand-written process pool
    python benchmarks/peers.py --engines quiver pool loky pyspark --workloads startup latency wordcount --runs 3

One JSON line per run: engine, workload, seconds, cpu_s (this process and its descendants), others_cpu_s (the rest of the machine in
the same time: when it is not near 0, compare cpu_s), and whether the answer was right. loky and pyspark are used where they are
installed; they are no dependencies of Quiver.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import accumulate
from pathlib import Path

from workloads import PARTS, Workload, pool_like, spark_like

TICKS = os.sysconf("SC_CLK_TCK")

STARTUP = {
    "quiver": "from quiver import Context\nwith Context('local[2]', 'b') as sc: print(sc.parallelize(range(100), 2).sum(), flush=True)",
    "pool": "from concurrent.futures import ProcessPoolExecutor as E\nprint(sum(E(2).map(sum, [range(50), range(50, 100)])), flush=True)",
    "loky": "import loky\nprint(sum(loky.get_reusable_executor(2).map(sum, [range(50), range(50, 100)])), flush=True)",
    "pyspark": "from pyspark import SparkContext\nprint(SparkContext('local[2]', 'b').parallelize(range(100), 2).sum(), flush=True)",
}


EVERYTHING = [
    "startup", "tasks10k", "latency", "wordcount", "reducebykey", "join", "sortbykey", "groupbykey", "cogroup", "distinct",
    "aggregatebykey", "cartesian", "pagerank", "kmeans", "treeaggregate",
]  # fmt: skip


def engine(name: str, text: str, size: int) -> tuple[dict[str, Workload], Callable[[], object]]:
    """The engine's workloads, and what ends it."""
    if name == "quiver":
        from quiver import Conf, Context

        context = Context("local[2]", "bench", conf=Conf().set("spark.ui.enabled", "false"))
        return spark_like(context, text, size), context.stop
    if name == "pyspark":
        from pyspark import SparkConf, SparkContext

        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # Its processes import the workloads.
        conf = SparkConf().set("spark.ui.enabled", "false").set("spark.driver.memory", "8g").set("spark.ui.showConsoleProgress", "false")
        spark = SparkContext("local[2]", "bench", conf=conf)
        return spark_like(spark, text, size), spark.stop
    if name == "loky":
        import loky

        reused = loky.get_reusable_executor(2)
        return pool_like(reused, text, size), reused.shutdown
    pool = ProcessPoolExecutor(2)
    return pool_like(pool, text, size), pool.shutdown


def make_text(directory: str, megabytes: int) -> None:
    """Words of a skewed vocabulary in PARTS files."""
    rng = random.Random(7)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randrange(3, 10))) for _ in range(100_000)]
    weights = list(accumulate(1 / (rank + 1) for rank in range(len(words))))
    for part in range(PARTS):
        with open(f"{directory}/part-{part:02d}.txt", "w") as file:
            written = 0
            while written < megabytes * 1_000_000 // PARTS:
                line = " ".join(rng.choices(words, cum_weights=weights, k=1000)).replace(" ", "\n", 90)
                written += file.write(line + "\n")


def cpu_seconds() -> tuple[float, float]:
    """(this process with its living descendants, the whole machine)."""
    children: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry))
            used[int(entry)] = sum(map(int, fields[11:15])) / TICKS
    own, todo = 0.0, [os.getpid()]
    while todo:
        pid = todo.pop()
        own += used.get(pid, 0.0)
        todo += children.get(pid, [])
    machine = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return own, (sum(machine) - machine[3] - machine[4]) / TICKS


def emit(name: str, workload: str, seconds: float, **more: object) -> None:
    print(json.dumps({"engine": name, "workload": workload, "seconds": round(seconds, 6), **more}), flush=True)


def measure(name: str, workload: str, function: Workload, runs: int, expected: dict[str, object]) -> None:
    for run in range(runs):
        own, machine = cpu_seconds()
        begun = time.perf_counter()
        answer = function()
        seconds = time.perf_counter() - begun
        own_after, machine_after = cpu_seconds()
        others = max(0.0, (machine_after - machine) - (own_after - own))
        right = expected.setdefault(workload, answer) == answer
        emit(name, workload, seconds, run=run, right=right, cpu_s=round(own_after - own, 2), others_cpu_s=round(others, 2))


def measure_latency(name: str, function: Workload) -> None:
    times = []
    for _ in range(1100):
        begun = time.perf_counter()
        function()
        times.append(time.perf_counter() - begun)
    times = sorted(times[100:])
    emit(name, "latency", sum(times), p50_ms=round(times[500] * 1e3, 3), p99_ms=round(times[990] * 1e3, 3), min_ms=round(times[0] * 1e3, 3))


def measure_startup(name: str, runs: int) -> None:
    for run in range(runs):
        begun = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-c", STARTUP[name]], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            answer = process.stdout.readline().strip()
            emit(name, "startup", time.perf_counter() - begun, run=run, right=answer == "4950")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", default=["quiver", "pool"], choices=[*STARTUP])
    parser.add_argument("--workloads", nargs="+", default=EVERYTHING, choices=EVERYTHING)
    parser.add_argument("--runs", type=int, default=3, help="of each workload in one session; run 0 is cold")
    parser.add_argument("--megabytes", type=int, default=100, help="of text for wordcount")
    parser.add_argument("--records", type=int, default=2_000_000, help="of the workloads that are not of text")
    options = parser.parse_args()
    expected: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as text:
        if "wordcount" in options.workloads:
            make_text(text, options.megabytes)
        for name in options.engines:
            if "startup" in options.workloads:
                measure_startup(name, options.runs)
            workloads, close = engine(name, text, options.records)
            for workload in options.workloads:
                if workload == "latency":
                    measure_latency(name, workloads["latency"])
                elif workload != "startup":
                    measure(name, workload, workloads[workload], options.runs, expected)
            close()
        sys.stdout.flush()


if __name__ == "__main__":
    main()
