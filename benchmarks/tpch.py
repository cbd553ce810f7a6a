"""TPC-H: the 22 queries through SQL, checked against DuckDB and DataFusion, beside DataFusion in one process; also under kills.

    python benchmarks/tpch.py [--scale 1] [--data DIR] [--masters local[2] local-cluster[2,1,2g] …] [--conf KEY=VALUE ...]
                              [--rounds 2] [--queries 1 3 9] [--limit SECONDS] [--kill-every SECONDS]

One JSON line for each master: wall and CPU seconds of the last round (all processes), the same of DataFusion in this process with two
partitions, what went wrong, and for each query wall seconds, CPU seconds and the most MB that a process has held.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sysconfig
from pathlib import Path

from query_runs import Rows, difference, expected_answers, measured, options, plain_rows, run_suite

TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")


def queries(scale: float) -> dict[int, str]:
    """The texts that the tests run."""
    path = Path(__file__).parents[1] / "tests" / "sql" / "tpch_queries.py"
    spec = importlib.util.spec_from_file_location("tpch_queries", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    texts = {number: module.QUERIES[number] for number in range(1, 23)}
    return {**texts, 11: texts[11].replace("0.0100000000", f"{0.0001 / scale:.10f}")}  # The texts are for scale 0.01.


def generated(folder: Path, scale: float) -> Path:
    if not (folder / "lineitem.parquet").exists():
        folder.mkdir(parents=True, exist_ok=True)
        program = Path(sysconfig.get_path("scripts")) / "tpchgen-cli"
        subprocess.run([program, "parquet", "-s", str(scale), f"--output-dir={folder}"], check=True, capture_output=True)
    return folder


def beside(folder: Path, texts: dict[int, str], expected: dict[int, Rows], rounds: int) -> dict[str, float]:
    """What DataFusion takes in this process."""
    from datafusion import RuntimeEnvBuilder, SessionConfig, SessionContext

    memory = RuntimeEnvBuilder().with_disk_manager_os().with_fair_spill_pool(8 << 30)
    kernel = SessionContext(SessionConfig().with_target_partitions(2), memory)
    for table in TABLES:
        kernel.register_parquet(table, f"{folder}/{table}.parquet")
    walls = cpus = 0.0
    for _ in range(rounds):
        walls = cpus = 0.0
        for number, text in texts.items():
            table, wall, cpu = measured(lambda of: kernel.sql(of).to_arrow_table(), text)
            walls, cpus = walls + wall, cpus + cpu
            found = difference(plain_rows(table), expected[number])
            if found is not None:
                print(f"DataFusion and DuckDB differ about query {number}: {found}")
    return {"datafusion wall": round(walls, 2), "datafusion cpu": round(cpus, 2)}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--scale", type=float, default=1)
    args = parser.parse_args()
    folder = generated(args.data or Path(f"/tmp/quiver-tpch-{args.scale:g}"), args.scale)
    texts = {number: text for number, text in queries(args.scale).items() if number in (args.queries or range(1, 23))}
    expected, _, _ = expected_answers(folder, texts)
    alone = beside(folder, texts, expected, args.rounds)
    for master in args.masters:
        print(json.dumps(run_suite(master, "TPC-H", folder, texts, expected, args) | alone), flush=True)


if __name__ == "__main__":
    main()
