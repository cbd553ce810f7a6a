"""Functions of users over 10 M rows: a pandas_udf and a udf of single values, here and with PySpark's (which uses Arrow for both).

    python benchmarks/user_functions.py [--rows 10000000] [--pyspark /path/to/python]

`--pyspark` names an interpreter that has PySpark and Java; without it only Quiver is measured. Seconds of the second of two runs.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any


def measured(spark: Any, functions: Any, rows: int) -> dict[str, float]:
    """Seconds of each query, the same for both engines."""
    import pandas as pd

    def add(a: pd.Series) -> pd.Series:
        return a + 1

    def own_mean(a: pd.Series) -> float:
        return float(a.mean())

    vectorised = functions.pandas_udf(add, "long")
    plain = functions.udf(lambda a: a + 1, "long")
    mean = functions.pandas_udf(own_mean, "double")
    numbers = spark.range(rows)
    groups = numbers.withColumn("k", functions.col("id") % 100)
    queries: dict[str, Callable[[], Any]] = {
        "pandas_udf": lambda: numbers.select(vectorised("id").alias("x")).agg(functions.sum("x")).collect(),
        "udf": lambda: numbers.select(plain("id").alias("x")).agg(functions.sum("x")).collect(),
        "mapInPandas": lambda: numbers.mapInPandas(lambda frames: frames, "id long").agg(functions.sum("id")).collect(),
        "pandas_udf of 100 groups": lambda: groups.groupBy("k").agg(mean("id")).collect(),
        "applyInPandas of 100 groups": lambda: groups.groupBy("k").applyInPandas(lambda rows: rows[:1], "id long, k long").collect(),
    }
    seconds = {}
    for name, query in queries.items():
        query()
        begun = time.perf_counter()
        query()
        seconds[name] = round(time.perf_counter() - begun, 2)
    return seconds


def of_quiver(rows: int) -> dict[str, float]:
    from quiver.sql import SparkSession, functions

    with SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate() as spark:
        return measured(spark, functions, rows)


def of_pyspark(rows: int) -> dict[str, float]:
    from pyspark.sql import SparkSession, functions

    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").config("spark.driver.memory", "2g")
    spark = builder.config("spark.sql.execution.pythonUDF.arrow.enabled", "true").getOrCreate()
    try:
        return measured(spark, functions, rows)
    finally:
        spark.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--pyspark", default="")
    parser.add_argument("--inside-pyspark", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside_pyspark:
        print(json.dumps(of_pyspark(given.rows)))
        return
    columns = {"Quiver": of_quiver(given.rows)}
    if given.pyspark:
        command = [given.pyspark, __file__, "--rows", str(given.rows), "--inside-pyspark"]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, stderr=sys.stderr).stdout
        columns["PySpark"] = json.loads(answer.splitlines()[-1])
    print(f"{'seconds':30}" + "".join(f"{name:>10}" for name in columns))
    for name in columns["Quiver"]:
        print(f"{name:30}" + "".join(f"{column[name]:10.2f}" for column in columns.values()))


if __name__ == "__main__":
    main()
