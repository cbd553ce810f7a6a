"""Running a suite of queries on a master: answers compared, time limits, CPU, memory of slots, executors killed meanwhile."""

from __future__ import annotations

import argparse
import decimal
import math
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

Rows = list[tuple[Any, ...]]


def plain_rows(table: Any) -> Rows:
    """A table's rows as they come, numbers as floats, texts without spaces at their end."""

    def plain(value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return str(value)
        return float(value) if isinstance(value, int | float | decimal.Decimal) else str(value).rstrip()

    return list(zip(*([plain(value) for value in column.to_pylist()] for column in table.columns), strict=True))


def in_order(rows: Rows) -> Rows:
    """The rows in an order of their own."""
    return sorted(rows, key=lambda row: [f"{value:.4g}" if isinstance(value, float) else value for value in row])


def same(one: Rows, other: Rows) -> bool:
    """Averages and quotients of decimals have six digits here and more there."""

    def close(a: Any, b: Any) -> bool:
        if isinstance(a, float) and isinstance(b, float):
            return math.isclose(a, b, rel_tol=1e-9, abs_tol=2e-6) or (math.isnan(a) and math.isnan(b))
        return bool(a == b)

    return len(one) == len(other) and all(all(map(close, a, b)) for a, b in zip(one, other, strict=True))


def difference(found: Rows, expected: Rows) -> str | None:
    """How they differ as sets of rows; None if they don't."""
    one, other = in_order(found), in_order(expected)
    if same(one, other):
        return None
    if len(one) != len(other):
        return f"{len(one)} rows for {len(other)}"
    differing = [pair for pair in zip(one, other, strict=True) if not same([pair[0]], [pair[1]])]
    return f"{len(differing)} of {len(one)} rows differ, such as {differing[0][0]} for {differing[0][1]}"[:400]


def cpu_seconds() -> float:
    """Of this process, its living descendants, and those that it has waited for."""
    total = 0.0
    for process in (own := psutil.Process(), *own.children(recursive=True)):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


@contextmanager
def peak_memory(found: list[int]) -> Iterator[None]:
    """Adds the most bytes that one of this process's living descendants has held meanwhile, as Linux counts it."""
    for process in psutil.Process().children(recursive=True):
        with suppress(OSError):
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    yield
    most = 0
    for process in psutil.Process().children(recursive=True):
        with suppress(OSError):
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            most = max(most, *(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM")), 0)
    found.append(most)


def _is_executor(process: psutil.Process) -> bool:
    try:
        return "quiver_executor.executor_process" in process.cmdline()
    except psutil.Error:
        return False


@contextmanager
def killing(every: float | None, killed: list[int]) -> Iterator[None]:
    """Executors die at random meanwhile."""
    over = threading.Event()

    def kill() -> None:
        chance = random.Random(1)
        while not over.wait(chance.uniform(0.5, 1.5) * (every or 1)):
            executors = [p for p in psutil.Process().children(recursive=True) if _is_executor(p)]
            if executors:
                chosen = chance.choice(executors)
                os.kill(chosen.pid, signal.SIGKILL)
                killed.append(chosen.pid)

    thread = threading.Thread(target=kill, daemon=True)
    if every:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if every:
            thread.join()


def measured(run: Callable[[str], Any], text: str) -> tuple[Any, float, float]:
    """(what it gives, wall seconds, CPU seconds)."""
    cpu, begun = cpu_seconds(), time.perf_counter()
    result = run(text)
    return result, time.perf_counter() - begun, cpu_seconds() - cpu


def options(description: str | None) -> argparse.ArgumentParser:
    """What every suite can be told."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the tables, one Parquet file each")
    parser.add_argument("--masters", nargs="+", default=["local[2]", "local-cluster[2,1,2g]", "local-cluster[4,1,1g]"])
    parser.add_argument("--conf", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--queries", type=int, nargs="+")
    parser.add_argument("--limit", type=float, default=600, help="seconds after which a query is given up")
    parser.add_argument(
        "--kill-every",
        type=float,
        metavar="SECONDS",
        help="SIGKILL a random executor of a local-cluster about so often; more than 12 deaths in five minutes end an application",
    )
    return parser


def expected_answers(folder: Path, texts: Mapping[int, str], memory: str = "4GB") -> tuple[dict[int, Rows], float, float]:
    """DuckDB's: (rows by query, wall seconds, CPU seconds)."""
    import duckdb

    duck = duckdb.connect(config={"threads": 2, "memory_limit": memory})
    for path in folder.glob("*.parquet"):
        duck.execute(f"CREATE VIEW {path.stem} AS SELECT * FROM '{path}'")
    answers: dict[int, Rows] = {}
    walls = cpus = 0.0
    for number, text in texts.items():
        table, wall, cpu = measured(lambda of: duck.sql(of).to_arrow_table(), text)
        answers[number], walls, cpus = plain_rows(table), walls + wall, cpus + cpu
    return answers, walls, cpus


def run_suite(
    master: str, name: str, folder: Path, texts: Mapping[int, str], expected: Mapping[int, Rows], args: argparse.Namespace
) -> dict[str, Any]:
    """What came of the texts on that master: totals of the last round, wrong answers and failures with their reasons of all."""
    from quiver import Conf, Context
    from quiver.sql import Session

    conf = Conf()
    for setting in args.conf:
        conf.set(*setting.split("=", 1))
    problems: dict[int, str] = {}
    killed: list[int] = []
    walls: dict[int, float] = {}
    cpus: dict[int, float] = {}
    peaks: dict[int, int] = {}
    with Session(Context(master, name, conf=conf)) as session:
        for path in folder.glob("*.parquet"):
            session.read.parquet(str(path)).createOrReplaceTempView(path.stem)

        def run(text: str) -> Any:
            limit = threading.Timer(args.limit, session.interruptAll)
            limit.start()
            try:
                return session.sql(text).toArrow()
            finally:
                limit.cancel()
                limit.join()

        with killing(args.kill_every, killed):
            for _ in range(args.rounds):
                for number, text in texts.items():
                    most: list[int] = []
                    try:
                        with peak_memory(most):
                            table, walls[number], cpus[number] = measured(run, text)
                    except Exception as problem:  # Each failure is told with its reason, and the others go on.
                        problems[number] = f"{type(problem).__name__}: {' '.join(str(problem).split())[:300]}"
                        continue
                    peaks[number] = most[0]
                    found = difference(plain_rows(table), expected[number])
                    if found is not None:
                        problems[number] = f"wrong: {found}"
    return {
        "master": master, "wall": round(sum(walls.values()), 2), "cpu": round(sum(cpus.values()), 2), "problems": problems,
        "killed": len(killed), "peak slot MB": max(peaks.values(), default=0) >> 20,
        "queries": {n: (round(walls[n], 2), round(cpus[n], 2), peaks.get(n, 0) >> 20) for n in walls},
    }  # fmt: skip
