"""Writes of Parquet into directories, and plain ones, beside DataFusion, Polars and PySpark.

`python benchmarks/partitioned_writes.py FOLDER [PYTHON]`. FOLDER has TPC-H's lineitem.parquet of scale factor 1, of which 3 million rows of
8 columns are written: plain, and partitioned by 100 values that are spread over all rows ("by key": brought together first). PYTHON has
pyspark; each writer is a process of its own. CPU seconds of its process tree, seconds of wall, files and their bytes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

KINDS = ("plain", "partitioned")
WRITERS = ("quiver", "quiver by key", "datafusion", "polars", "pyspark")
COLUMNS = "l_orderkey, l_partkey, l_quantity, l_extendedprice, l_discount, l_shipdate, l_shipmode, l_comment"
QUERY = f"SELECT {COLUMNS}, l_suppkey % 100 AS k FROM lineitem WHERE l_orderkey <= 3000000"


def quiver(source: str, by_key: bool) -> Iterator[tuple[str, Callable[[], None]]]:
    from quiver.sql import SparkSession

    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    spark.read.parquet(source).createOrReplaceTempView("lineitem")
    for kind in KINDS:
        df = spark.sql(QUERY)
        if by_key and kind == "partitioned":
            df = df.repartition("k")

        def write(kind: str = kind, df: object = df) -> None:
            writer = df.write
            (writer.partitionBy("k") if kind == "partitioned" else writer).parquet(kind)

        yield kind, write
    spark.stop()


def pyspark(source: str) -> Iterator[tuple[str, Callable[[], None]]]:
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    spark.read.parquet(source).createOrReplaceTempView("lineitem")
    yield "plain", lambda: spark.sql(QUERY).write.parquet("plain")
    yield "partitioned", lambda: spark.sql(QUERY).write.partitionBy("k").parquet("partitioned")
    spark.stop()


def datafusion(source: str) -> Iterator[tuple[str, Callable[[], None]]]:
    from datafusion import SessionConfig, SessionContext

    context = SessionContext(SessionConfig().with_target_partitions(2))
    context.register_parquet("lineitem", source)
    for kind, more in (("plain", ""), ("partitioned", " PARTITIONED BY (k)")):

        def write(kind: str = kind, more: str = more) -> None:
            context.sql(f"COPY ({QUERY}) TO '{kind}/' STORED AS PARQUET{more}").collect()

        yield kind, write


def polars(source: str) -> Iterator[tuple[str, Callable[[], None]]]:
    import polars as pl

    def rows() -> object:
        return pl.SQLContext(lineitem=pl.scan_parquet(source)).execute(QUERY)

    os.mkdir("plain")
    yield "plain", lambda: rows().sink_parquet("plain/a.parquet", compression="snappy")
    keyed = pl.PartitionBy("partitioned", key="k")
    yield "partitioned", lambda: rows().sink_parquet(keyed, compression="snappy", mkdir=True)


def run(name: str, source: str) -> None:
    """Write with one of them, in a folder of its own; print what each took."""
    made = {
        "quiver": lambda: quiver(source, False), "quiver by key": lambda: quiver(source, True), "pyspark": lambda: pyspark(source),
        "datafusion": lambda: datafusion(source), "polars": lambda: polars(source),
    }[name]()  # fmt: skip
    for kind, write in made:
        before, began = _tree(), time.perf_counter()
        write()
        wall, cpu = time.perf_counter() - began, _tree() - before
        files = [path for path in Path(kind).rglob("*") if path.is_file() and not path.name.startswith(("_", "."))]
        told = [cpu, wall, len(files), sum(path.stat().st_size for path in files)]
        print(json.dumps([kind, *told]), flush=True)


def _tree() -> float:
    """CPU seconds of this process and all below it, those that have ended too."""
    ticks = os.sysconf("SC_CLK_TCK")
    parents: dict[int, int] = {}
    times: dict[int, float] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry)] = int(fields[1])
            times[int(entry)] = sum(map(int, fields[11:15])) / ticks
    total, pending = 0.0, [os.getpid()]
    while pending:
        one = pending.pop()
        total += times.get(one, 0.0)
        pending += [child for child, parent in parents.items() if parent == one]
    return total


def main() -> None:
    source = str(Path(sys.argv[1]).resolve())
    if len(sys.argv) > 3:
        run(sys.argv[3], f"{source}/lineitem.parquet")
        return
    peers = sys.argv[2] if len(sys.argv) > 2 else sys.executable
    print(f"{'':15}{'':13}{'CPU s':>8}{'wall s':>8}{'files':>7}{'MB':>7}")
    for name in WRITERS:
        with tempfile.TemporaryDirectory() as folder:
            python = peers if name == "pyspark" else sys.executable
            done = subprocess.run([python, os.path.abspath(__file__), source, peers, name], cwd=folder, capture_output=True, text=True)
            if done.returncode:
                print(f"{name:15}{done.stderr.strip().splitlines()[-1][:100]}")
                continue
            for line in done.stdout.splitlines():
                if line.startswith("["):
                    kind, cpu, wall, files, size = json.loads(line)
                    print(f"{name:15}{kind:13}{cpu:8.2f}{wall:8.2f}{files:7}{size / 1e6:7.1f}")
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
