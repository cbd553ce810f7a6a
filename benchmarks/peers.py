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
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from operator import add
from pathlib import Path
from typing import Any

PARTS = 16
TICKS = os.sysconf("SC_CLK_TCK")
Workload = Callable[[], object]

STARTUP = {
    "quiver": "from quiver import Context\nwith Context('local[2]', 'b') as sc: print(sc.parallelize(range(100), 2).sum(), flush=True)",
    "pool": "from concurrent.futures import ProcessPoolExecutor as E\nprint(sum(E(2).map(sum, [range(50), range(50, 100)])), flush=True)",
    "loky": "import loky\nprint(sum(loky.get_reusable_executor(2).map(sum, [range(50), range(50, 100)])), flush=True)",
    "pyspark": "from pyspark import SparkContext\nprint(SparkContext('local[2]', 'b').parallelize(range(100), 2).sum(), flush=True)",
}


def noop(value: int) -> int:
    return value


def pairs(part: int, size: int, keys: int) -> list[tuple[int, int]]:
    rng = random.Random(part)
    return [(rng.randrange(keys), rng.randrange(100)) for _ in range(size)]


def count_words(path: str) -> dict[str, int]:
    counts: Counter[str] = Counter()
    with open(path) as file:
        for line in file:
            counts.update(line.split())
    return dict(counts)


def sum_by_key(part: int, size: int, keys: int) -> dict[int, int]:
    sums: dict[int, int] = {}
    for key, value in pairs(part, size, keys):
        sums[key] = sums[key] + value if key in sums else value
    return sums


def sorted_part(part: int, size: int, keys: int) -> list[tuple[int, int]]:
    return sorted(pairs(part, size, keys))


def spark_like(sc: Any, text: str, size: int) -> dict[str, Workload]:
    """The same program for quiver and pyspark: only the import differs."""

    def data() -> Any:
        return sc.parallelize(range(PARTS), PARTS).flatMap(lambda part: pairs(part, size, size))

    return {
        "tasks10k": lambda: sc.parallelize(range(10_000), 10_000).count(),
        "wordcount": lambda: dict(
            sc.textFile(text, PARTS).flatMap(lambda line: line.split()).map(lambda w: (w, 1)).reduceByKey(add, PARTS).collect()
        ),
        "reducebykey": lambda: data().reduceByKey(add, PARTS).map(lambda kv: kv[0] * kv[1]).sum(),
        "join": lambda: data().reduceByKey(add, PARTS).join(data().reduceByKey(max, PARTS), PARTS).map(lambda r: r[1][0] * r[1][1]).sum(),
        "sortbykey": lambda: (
            sc.parallelize(range(PARTS), PARTS).flatMap(lambda p: pairs(p, size, size)).sortByKey(numPartitions=PARTS).keys().first()
        ),
        "latency": lambda: sc.parallelize([7], 1).map(noop).collect(),
    }


def pool_like(pool: Any, text: str, size: int) -> dict[str, Workload]:
    """What a user would write by hand on two processes."""

    def merged(parts: Iterator[dict[Any, int]], merge: Callable[[int, int], int]) -> dict[Any, int]:
        whole: dict[Any, int] = {}
        for part in parts:
            for key, value in part.items():
                whole[key] = merge(whole[key], value) if key in whole else value
        return whole

    def by_key(merge: Callable[[int, int], int]) -> dict[int, int]:
        function = sum_by_key if merge is add else max_by_key
        return merged(pool.map(function, range(PARTS), [size] * PARTS, [size] * PARTS), merge)

    def join() -> int:
        left, right = by_key(add), by_key(max)
        return sum(value * right[key] for key, value in left.items())

    def sort() -> int:
        whole: list[tuple[int, int]] = []
        for part in pool.map(sorted_part, range(PARTS), [size] * PARTS, [size] * PARTS):
            whole += part
        whole.sort()
        return whole[0][0]

    return {
        "tasks10k": lambda: len(list(pool.map(noop, range(10_000)))),
        "wordcount": lambda: merged(pool.map(count_words, [str(path) for path in sorted(Path(text).iterdir())]), add),
        "reducebykey": lambda: sum(key * value for key, value in by_key(add).items()),
        "join": join,
        "sortbykey": sort,
        "latency": lambda: [pool.submit(noop, 7).result()],
    }


def max_by_key(part: int, size: int, keys: int) -> dict[int, int]:
    largest: dict[int, int] = {}
    for key, value in pairs(part, size, keys):
        largest[key] = max(largest[key], value) if key in largest else value
    return largest


def engine(name: str, text: str, size: int) -> dict[str, Workload]:
    if name == "quiver":
        from quiver import Conf, Context

        return spark_like(Context("local[2]", "bench", Conf().set("spark.ui.enabled", "false")), text, size)
    if name == "pyspark":
        from pyspark import SparkConf, SparkContext  # type: ignore[import-not-found]

        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        conf = SparkConf().set("spark.ui.enabled", "false").set("spark.driver.memory", "8g").set("spark.ui.showConsoleProgress", "false")
        return spark_like(SparkContext("local[2]", "bench", conf=conf), text, size)
    if name == "loky":
        import loky  # type: ignore[import-not-found]

        return pool_like(loky.get_reusable_executor(2), text, size)
    return pool_like(ProcessPoolExecutor(2), text, size)


def make_text(directory: str, megabytes: int) -> None:
    """Words of a skewed vocabulary in PARTS files."""
    rng = random.Random(7)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randrange(3, 10))) for _ in range(100_000)]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    for part in range(PARTS):
        with open(f"{directory}/part-{part:02d}.txt", "w") as file:
            written = 0
            while written < megabytes * 1_000_000 // PARTS:
                line = " ".join(rng.choices(words, weights, k=1000)).replace(" ", "\n", 90)
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
    everything = ["startup", "tasks10k", "latency", "wordcount", "reducebykey", "join", "sortbykey"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", default=["quiver", "pool"], choices=[*STARTUP])
    parser.add_argument("--workloads", nargs="+", default=everything, choices=everything)
    parser.add_argument("--runs", type=int, default=3, help="of each workload in one session; run 0 is cold")
    parser.add_argument("--megabytes", type=int, default=100, help="of text for wordcount")
    parser.add_argument("--records", type=int, default=2_000_000, help="pairs for reducebykey, join and sortbykey")
    options = parser.parse_args()
    expected: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as text:
        if "wordcount" in options.workloads:
            make_text(text, options.megabytes)
        for name in options.engines:
            if "startup" in options.workloads:
                measure_startup(name, options.runs)
            workloads = engine(name, text, options.records // PARTS)
            for workload in options.workloads:
                if workload == "latency":
                    measure_latency(name, workloads["latency"])
                elif workload != "startup":
                    measure(name, workload, workloads[workload], options.runs, expected)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
