"""What queries of many operators, columns or files cost on local[2], after a first small query: CPU seconds and wall.

    python benchmarks/large_plans.py [--cases joins-left aggregates ...] [--scale 1.0]

One JSON line per case. Rows are few: nearly all of it is reading the query, planning it, and tasks' overhead.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from peers import cpu_seconds

from quiver.sql import DataFrame, Session
from quiver.sql import functions as F

Case = Callable[[Session, Path, float], Callable[[], object]]


def joins_by_name(spark: Session, folder: Path, scale: float) -> Callable[[], object]:
    """500 `join(other, "id", "left")`, all columns wanted."""

    def run() -> object:
        joined: DataFrame = spark.range(100)
        for number in range(int(500 * scale)):
            joined = joined.join(spark.range(100).withColumn(f"v{number}", F.lit(number)), "id", "left")
        return joined.collect()

    return run


def joins_in_sql(spark: Session, folder: Path, scale: float) -> Callable[[], object]:
    """500 LEFT JOINs in a statement, one column wanted."""
    spark.range(100).createOrReplaceTempView("t")
    chain = " ".join(f"LEFT JOIN t t{n} ON t{n - 1}.id = t{n}.id" for n in range(1, int(500 * scale) + 1))
    return lambda: spark.sql(f"SELECT t0.id FROM t t0 {chain}").collect()


def _of_many_columns(spark: Session, folder: Path, scale: float) -> DataFrame:
    columns = int(5000 * scale)
    pq.write_table(pa.table({f"c{n}": range(n, n + 200) for n in range(columns)}), folder / "wide.parquet")
    return spark.read.parquet(str(folder / "wide.parquet"))


def all_columns(spark: Session, folder: Path, scale: float) -> Callable[[], object]:
    """The first query of a Parquet file of 5,000 columns: all of them."""
    return _of_many_columns(spark, folder, scale).collect


def filtered_columns(spark: Session, folder: Path, scale: float) -> Callable[[], object]:
    """The same with a condition, when the file has been read."""
    wide = _of_many_columns(spark, folder, scale)
    wide.limit(1).collect()
    return wide.where("c1 > 3").collect


def sums(spark: Session, folder: Path, scale: float) -> Callable[[], object]:
    """2,000 sums of columns of such a file."""
    wide = _of_many_columns(spark, folder, scale)
    return lambda: wide.agg(*(F.sum(name) for name in wide.columns[: int(2000 * scale)])).collect()


CASES: dict[str, Case] = {
    "joins-by-name": joins_by_name,
    "joins-in-sql": joins_in_sql,
    "all-columns": all_columns,
    "filtered-columns": filtered_columns,
    "sums": sums,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of operators, columns or files")
    options = parser.parse_args()
    for name in options.cases:
        with (
            tempfile.TemporaryDirectory() as folder,
            Session.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate() as spark,
        ):
            spark.range(3).collect()
            run = CASES[name](spark, Path(folder), options.scale)
            cpu, own, began = cpu_seconds()[0], time.process_time(), time.perf_counter()
            run()
            cpu, own, wall = cpu_seconds()[0] - cpu, time.process_time() - own, time.perf_counter() - began
            print(json.dumps({"case": name, "cpu_s": round(cpu, 2), "driver_cpu_s": round(own, 2), "wall_s": round(wall, 2)}), flush=True)


if __name__ == "__main__":
    main()
