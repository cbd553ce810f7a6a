"""CPU of one query over 10 M rows: functions as Spark means them beside the kernel's own expression. `python benchmarks/sql_functions.py`.

One process, one partition, rows in memory; each figure is the better of two runs, in seconds of CPU. "own" is the nearest expression of
DataFusion, whose meaning is another where the note says so.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import pyarrow as pa

from quiver.sql import functions as F
from quiver.sql import types as t
from quiver.sql.analysis.analyser import Analyser
from quiver.sql.kernel import session
from quiver.sql.lowering.relations import lower
from quiver.sql.registry.python import prepare
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
TEXT_ROWS = ROWS // 10
LONG, INT, DOUBLE, TEXT, TIME = t.LongType(), t.IntegerType(), t.DoubleType(), t.StringType(), t.TimestampNTZType()
COLUMNS = {
    "a": LONG, "b": LONG, "i": INT, "j": INT, "x": DOUBLE, "y": DOUBLE, "m": t.DecimalType(10, 2), "s": TEXT, "d": TEXT, "t": TIME,
}  # fmt: skip
CASES: tuple[tuple[str, Any, str, str], ...] = (
    ("bigint + bigint", F.max(F.col("a") + F.col("b")), "max(a + b)", "wraps around"),
    ("bigint + 1", F.max(F.col("a") + 1), "max(a + 1)", "wraps around"),
    ("bigint * bigint", F.max(F.col("a") * F.col("b")), "max(a * b)", "wraps around"),
    ("int + int", F.max(F.col("i") + F.col("j")), "max(i + j)", "wraps around"),
    ("int * int", F.max(F.col("i") * F.col("j")), "max(i * j)", "wraps around"),
    ("- bigint", F.max(-F.col("a")), "max(-a)", ""),
    ("double / double", F.max(F.col("x") / F.col("y")), "max(x / y)", "infinite for zero"),
    ("decimal / decimal", F.max(F.col("m") / F.col("m")), "max(m / m)", "fewer digits"),
    ("round(decimal, 1)", F.max(F.round("m", 1)), "max(round(m, 1))", ""),
    ("sum(bigint)", F.sum("a"), "sum(a)", "wraps around"),
    ("sum(int)", F.sum("i"), "sum(i)", ""),
    ("avg(bigint)", F.avg("a"), "avg(a)", ""),
    ("split(s, ',')", F.max(F.size(F.split("s", ","))), "max(array_length(string_to_array(s, ',')))", ""),
    ("regexp_replace", F.max(F.regexp_replace("s", r"\d+", "#")), r"max(regexp_replace(s, '[0-9]+', '#', 'g'))", ""),
    ("regexp_extract", F.max(F.regexp_extract("s", r"([a-z]+),(\d+)", 2)), r"max(regexp_match(s, '[a-z]+,([0-9]+)')[1])", ""),
    ("rlike", F.count_if(F.rlike("s", F.lit("x[0-9]"))), "sum(CASE WHEN regexp_like(s, 'x[0-9]') THEN 1 ELSE 0 END)", ""),
    ("substring", F.max(F.substring("s", 2, 3)), "max(substr(s, 2, 3))", ""),
    ("lpad", F.max(F.lpad("s", 20, "*")), "max(lpad(s, 20, '*'))", ""),
    ("md5", F.max(F.md5("s")), "max(md5(s))", ""),
    ("date_format", F.max(F.date_format("t", "yyyy-MM-dd HH:mm")), "max(to_char(t, '%Y-%m-%d %H:%M'))", ""),
    ("to_date(s, p)", F.max(F.to_date("d", "dd/MM/yyyy")), "max(to_date(d, '%d/%m/%Y'))", "takes what does not fit"),
    ("cast(s as date)", F.max(F.substring("d", 7, 4).cast("int")), "max(CAST(substr(d, 7, 4) AS INT))", ""),
    ("date_trunc", F.max(F.date_trunc("month", F.col("t"))), "max(date_trunc('month', t))", "to 2262"),
)


def table(rows: int) -> pa.Table:
    random = np.random.default_rng(1)
    words = np.array([f"w{n},{n * 7} x{n % 10}" for n in range(5_000)])
    days = np.array([f"{n % 28 + 1:02d}/{n % 12 + 1:02d}/{1990 + n % 40}" for n in range(5_000)])
    picks = random.integers(0, 5_000, rows)
    cents = pa.array(random.integers(1, 10**6, rows)).cast(pa.decimal128(20, 0)).cast(pa.decimal128(20, 2))
    return pa.table({
        "a": random.integers(-(10**12), 10**12, rows), "b": random.integers(1, 10**6, rows),
        "i": random.integers(-(10**6), 10**6, rows).astype("int32"), "j": random.integers(1, 10**3, rows).astype("int32"),
        "x": random.random(rows), "y": random.random(rows) + 1, "m": cents.cast(pa.decimal128(10, 2)),
        "s": words[picks], "d": days[picks], "t": pa.array(random.integers(0, 2 * 10**15, rows)).cast(pa.timestamp("us")),
    })  # fmt: skip


def main() -> None:
    context = session(1)
    for name, rows in (("numbers", ROWS), ("texts", TEXT_ROWS)):
        context.register_record_batches(name, [table(rows).to_batches(max_chunksize=8192)])
    attributes = tuple(e.Attribute(at, name, kind) for at, (name, kind) in enumerate(COLUMNS.items(), 1))
    numbers = iter(range(1000, 10**6))
    analyser = Analyser(lambda: next(numbers), zone=lambda: "UTC")
    print(f"{'':22}{'rows':>10}{'own':>9}{'ours':>9}{'':3}")
    for label, column, own, note in CASES:
        source = "texts" if any(word in own for word in ("(s", "(d", "(t", "t)", "s,", "d,")) else "numbers"
        leaf = r.Local(None, attributes)
        query = lower(analyser.project(leaf, [column._expression]))
        (name,) = query.leaves
        columns = ", ".join(f'{attribute.name} AS "{attribute.name}#{attribute.id}"' for attribute in attributes)
        ours = query.text.replace(name, f"(SELECT {columns} FROM {source})")
        prepare(context, ours)
        times = [measured(context, text) for text in (f"SELECT {own} FROM {source}", ours)]
        print(f"{label:22}{ROWS if source == 'numbers' else TEXT_ROWS:>10}{times[0]:>9.3f}{times[1]:>9.3f}   {note}", flush=True)


def measured(context: Any, text: str) -> float:
    """Seconds of CPU."""
    best = float("inf")
    for _ in range(2):
        start = time.process_time()
        context.sql(text).collect()
        best = min(best, time.process_time() - start)
    return best


if __name__ == "__main__":
    main()
