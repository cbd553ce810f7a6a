"""CPU seconds that reading files of text costs: `python benchmarks/sources.py [--rows N] [--peer PYTHON_WITH_PYSPARK]`.

Each case is a process of its own on `local[1]`, children and JVM included, less what the same program costs over a file of one row.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil

SCHEMA = (
    "id bigint, name string, score double, ok boolean, day date, at timestamp, tags array<string>, "
    "geo struct<lat: double, lon: double>, note string"
)
FLAT = "id bigint, name string, score double, ok boolean, day date, at timestamp, note string"
SUM = "sum(id)", "sum(score)", "count(name)", "max(day)", "max(at)", "count(note)"
CASES: dict[str, tuple[str, Callable[[Path], str]]] = {
    "JSON, schema given": ("json", lambda path: f"spark.read.schema({SCHEMA!r}).json({str(path)!r}).selectExpr(*{SUM}).collect()"),
    "JSON, one column": ("json", lambda path: f"spark.read.schema({SCHEMA!r}).json({str(path)!r}).selectExpr('sum(id)').collect()"),
    "JSON, types inferred": ("json", lambda path: f"spark.read.json({str(path)!r}).schema"),
    "JSON, 1 % cut short": ("broken", lambda path: f"spark.read.schema({SCHEMA!r}).json({str(path)!r}).selectExpr(*{SUM}).collect()"),
    "CSV, schema given": ("csv", lambda path: f"spark.read.schema({FLAT!r}).csv({str(path)!r}).selectExpr(*{SUM}).collect()"),
    "CSV, types inferred": ("csv", lambda path: f"spark.read.csv({str(path)!r}, inferSchema=True).schema"),
    "text": ("csv", lambda path: f"spark.read.text({str(path)!r}).selectExpr('sum(length(value))').collect()"),
}


def write(folder: Path, rows: int) -> dict[str, Path]:
    """The files, by name; the same for the same number of rows."""
    draw = random.Random(1)
    paths = {name: folder / f"{rows}.{name}" for name in ("json", "broken", "csv")}
    with paths["json"].open("w") as good, paths["broken"].open("w") as broken, paths["csv"].open("w") as table:
        for number in range(rows):
            clock = [draw.randrange(limit) for limit in (24, 60, 60, 1000)]
            row = {
                "id": number, "name": f"user {draw.randrange(10**6)} of the land", "score": draw.random() * 100, "ok": draw.random() < 0.5,
                "day": f"2026-{draw.randrange(1, 13):02}-{draw.randrange(1, 28):02}",
                "at": "2026-01-{:02}T{:02}:{:02}:{:02}.{:03}Z".format(draw.randrange(1, 28), *clock),
                "tags": ["a", f"b{draw.randrange(9)}"], "geo": {"lat": draw.random(), "lon": draw.random()},
                "note": None if draw.random() < 0.3 else 'Some, text: with "quotes" and é',
            }  # fmt: skip
            line = json.dumps(row)
            good.write(line + "\n")
            broken.write((line[:50] if draw.random() < 0.01 else line) + "\n")
            flat = [str(row[name]) for name in ("id", "name", "score", "ok", "day", "at")]
            table.write(",".join([*flat, "" if row["note"] is None else '"Some, text"']) + "\n")
    return paths


def cpu_s(python: str, package: str, query: str) -> float:
    """Of one process with one query, and of all below it."""
    program = f"""
from {package} import SparkSession
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
{query}
print("done", flush=True)
input()
spark.stop()
"""
    environment = os.environ | {"SPARK_LOCAL_IP": "127.0.0.1"}
    with subprocess.Popen(
        [python, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if process.stdout.readline() != "done\n":
            raise SystemExit(f"{package} failed: {query}")
        root = psutil.Process(process.pid)
        spent = sum(sum(each.cpu_times()[:4]) for each in [root, *root.children(recursive=True)])
        process.communicate("\n")
    return spent


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--peer", help="an interpreter that has PySpark")
    given = parser.parse_args()
    engines = {"quiver": (sys.executable, "quiver.sql")} | ({"PySpark": (given.peer, "pyspark.sql")} if given.peer else {})
    with tempfile.TemporaryDirectory() as folder:
        files, tiny = write(Path(folder), given.rows), write(Path(folder), 1)
        print(f"| {given.rows:,} rows | MB | " + " | ".join(f"{name}: CPU s | MB/s" for name in engines) + " |", flush=True)
        for label, (kind, query) in CASES.items():
            size = files[kind].stat().st_size / 1e6
            cells = []
            for python, package in engines.values():
                spent = cpu_s(python, package, query(files[kind])) - cpu_s(python, package, query(tiny[kind]))
                cells.append(f"{spent:.2f} | {size / max(spent, 0.01):.0f}")
            print(f"| {label} | {size:.0f} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
