"""TPC-DS: the 99 queries as DuckDB words them, through Spark's SQL, checked against DuckDB; also in stages and under kills.

    python benchmarks/tpcds.py --data DIR [--scale 1] [--masters …] [--conf KEY=VALUE ...] [--rounds 2] [--queries 1 72]
                               [--limit SECONDS] [--kill-every SECONDS]

DIR is filled by DuckDB's extension `tpcds` where DuckDB can install it, or where QUIVER_TPCDS_EXTENSION names its file; else it has to hold
the tables and `queries.json`, a list of pairs of number and text. `--conf quiver.sql.oneTask.maxBytes=1k` cuts every query into stages.
One JSON line for each master: totals, each failure and wrong answer with its reason, and for each query wall seconds, CPU seconds and the
most MB that a process has held.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import sqlglot
from query_runs import expected_answers, options, run_suite


def generated(folder: Path, scale: float) -> Path:
    """The folder with tables and queries. Raises duckdb.Error where they have to be made and the extension isn't to be had."""
    if (folder / "queries.json").exists():
        return folder
    import duckdb

    folder.mkdir(parents=True, exist_ok=True)
    named = os.environ.get("QUIVER_TPCDS_EXTENSION")
    duck = duckdb.connect(config={"threads": 2, "memory_limit": "4GB", "allow_unsigned_extensions": bool(named)})
    duck.execute(f"LOAD '{named}'" if named else "INSTALL tpcds; LOAD tpcds")
    duck.execute(f"CALL dsdgen(sf={scale:g})")
    for (table,) in duck.execute("SHOW TABLES").fetchall():
        duck.execute(f"COPY {table} TO '{folder}/{table}.parquet' (FORMAT parquet)")
    (folder / "queries.json").write_text(json.dumps(duck.execute("SELECT query_nr, query FROM tpcds_queries()").fetchall()))
    return folder


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--scale", type=float, default=1)
    args = parser.parse_args()
    folder = generated(args.data or Path(f"/tmp/quiver-tpcds-{args.scale:g}"), args.scale)
    listed = json.loads((folder / "queries.json").read_text())
    asked = {number: text for number, text in listed if number in (args.queries or range(1, 100))}
    expected, wall, cpu = expected_answers(folder, asked)
    beside = {"duckdb wall": round(wall, 2), "duckdb cpu": round(cpu, 2)}
    texts = {number: sqlglot.transpile(text, read="duckdb", write="spark")[0] for number, text in asked.items()}
    for master in args.masters:
        print(json.dumps(run_suite(master, "TPC-DS", folder, texts, expected, args) | beside), flush=True)


if __name__ == "__main__":
    main()
