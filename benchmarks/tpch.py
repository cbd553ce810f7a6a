"""TPC-H: the 22 queries through SQL, checked against DuckDB and DataFusion, beside DataFusion in one process; also under kills.

    python benchmarks/tpch.py [--scale 1] [--data DIR] [--masters local[2] local-cluster[2,1,2g] …] [--conf KEY=VALUE ...]
                              [--rounds 2] [--queries 1 3 9] [--kill-every SECONDS]

One JSON line for each master: wall and CPU seconds of the last round (all processes), the same of DataFusion in this process with two
partitions, and the queries whose answers differ. `--kill-every` sends SIGKILL to a random executor of a local-cluster at that interval.
"""

from __future__ import annotations

import argparse
import decimal
import importlib.util
import json
import math
import os
import random
import signal
import subprocess
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")


def queries() -> dict[int, str]:
    """The texts that the tests run."""
    path = Path(__file__).parents[1] / "tests" / "sql" / "tpch_queries.py"
    spec = importlib.util.spec_from_file_location("tpch_queries", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {number: module.QUERIES[number] for number in range(1, 23)}


def generated(folder: Path, scale: float) -> Path:
    if not (folder / "lineitem.parquet").exists():
        folder.mkdir(parents=True, exist_ok=True)
        program = Path(sysconfig.get_path("scripts")) / "tpchgen-cli"
        subprocess.run([program, "parquet", "-s", str(scale), f"--output-dir={folder}"], check=True, capture_output=True)
    return folder


Rows = list[tuple[Any, ...]]


def in_order(table: Any) -> Rows:
    """A table's rows in an order of their own, numbers as floats."""

    def plain(value: Any) -> Any:
        return float(value) if isinstance(value, int | float | decimal.Decimal) else str(value)

    columns = [[plain(value) for value in column.to_pylist()] for column in table.columns]
    return sorted(zip(*columns, strict=True), key=lambda row: [f"{value:.4g}" if isinstance(value, float) else value for value in row])


def same(one: Rows, other: Rows) -> bool:
    """Averages and quotients of decimals have six digits here and more there."""

    def close(a: Any, b: Any) -> bool:
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=2e-6) if isinstance(a, float) and isinstance(b, float) else a == b

    return len(one) == len(other) and all(all(map(close, a, b)) for a, b in zip(one, other, strict=True))


def cpu_seconds() -> float:
    """Of this process, its living descendants, and those that it has waited for."""
    total = 0.0
    for process in (own := psutil.Process(), *own.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--masters", nargs="+", default=["local[2]", "local-cluster[2,1,2g]", "local-cluster[4,1,1g]"])
    parser.add_argument("--conf", nargs="*", default=[])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--queries", type=int, nargs="+", default=list(range(1, 23)))
    parser.add_argument("--kill-every", type=float)
    args = parser.parse_args()
    folder = generated(args.data or Path(f"/tmp/quiver-tpch-{args.scale:g}"), args.scale)
    texts = {number: text for number, text in queries().items() if number in args.queries}

    import duckdb
    from datafusion import SessionConfig, SessionContext

    duck, kernel = duckdb.connect(), SessionContext(SessionConfig().with_target_partitions(2))
    for table in TABLES:
        duck.execute(f"CREATE VIEW {table} AS SELECT * FROM '{folder}/{table}.parquet'")
        kernel.register_parquet(table, f"{folder}/{table}.parquet")
    expected: dict[int, Rows] = {}
    alone = [0.0, 0.0]
    for _ in range(args.rounds):
        alone = [0.0, 0.0]
        for number, text in texts.items():
            table, wall, cpu = measured(lambda of: kernel.sql(of).to_arrow_table(), text)
            alone = [alone[0] + wall, alone[1] + cpu]
            expected[number] = in_order(duck.sql(text).to_arrow_table())
            if not same(in_order(table), expected[number]):
                print(f"DataFusion and DuckDB differ about query {number}")
    for master in args.masters:
        print(
            json.dumps(_one(master, args, folder, texts, expected) | {"datafusion wall": alone[0], "datafusion cpu": alone[1]}), flush=True
        )


def _one(master: str, args: argparse.Namespace, folder: Path, texts: dict[int, str], expected: dict[int, Rows]) -> dict[str, Any]:
    from quiver import Conf, Context
    from quiver.sql import Session

    conf = Conf()
    for setting in args.conf:
        conf.set(*setting.split("=", 1))
    wrong: list[int] = []
    killed: list[int] = []
    with Session(Context(master, "TPC-H", conf=conf)) as session:
        for table in TABLES:
            session.read.parquet(f"{folder}/{table}.parquet").createOrReplaceTempView(table)
        with killing(args.kill_every, killed):
            for _ in range(args.rounds):
                seconds, cpu_total = {}, 0.0
                for number, text in texts.items():
                    table, seconds[number], cpu = measured(lambda of: session.sql(of).toArrow(), text)
                    cpu_total += cpu
                    if not same(in_order(table), expected[number]):
                        wrong.append(number)
    return {
        "master": master, "wall": sum(seconds.values()), "cpu": cpu_total, "wrong": wrong, "killed": len(killed),
        "queries": {number: round(value, 3) for number, value in seconds.items()},
    }  # fmt: skip


if __name__ == "__main__":
    main()
