"""How the cost of each workload grows with its data: 1, 4 and 16 times as many records.

    python benchmarks/growth.py [--records 200000] [--megabytes 8] [--runs 2] [--workloads sortbykey pagerank]

One JSON line per workload: CPU seconds of all processes at each size (the least of the runs), and the exponent e of the power law
cost ~ size^e through them (least squares of the logarithms), for all three sizes and for the upper two, where fixed costs show less.
1.0 is linear; sorting and other work that outgrows the processor's caches lies a little above.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Sequence

from peers import EVERYTHING, cpu_seconds, engine, make_text

FACTORS = (1, 4, 16)
FIXED = {"startup", "latency", "tasks10k", "treeaggregate"}
"""Workloads without a size."""


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    xs, ys = [math.log(size) for size in sizes], [math.log(max(cost, 1e-3)) for cost in costs]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((one - x) * (other - y) for one, other in zip(xs, ys)) / sum((one - x) ** 2 for one in xs)


def main() -> None:
    sized = [workload for workload in EVERYTHING if workload not in FIXED]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="quiver", choices=["quiver", "pool", "loky", "pyspark"])
    parser.add_argument("--workloads", nargs="+", default=sized, choices=sized)
    parser.add_argument("--records", type=int, default=200_000, help="at 1x")
    parser.add_argument("--megabytes", type=int, default=8, help="of text for wordcount at 1x")
    parser.add_argument("--runs", type=int, default=2)
    options = parser.parse_args()
    costs: dict[str, list[float]] = {workload: [] for workload in options.workloads}
    with tempfile.TemporaryDirectory() as text:
        for factor in FACTORS:
            if "wordcount" in options.workloads:
                make_text(text, options.megabytes * factor)
            workloads, close = engine(options.engine, text, options.records * factor)
            for workload in options.workloads:
                spent = []
                for _ in range(options.runs):
                    before = cpu_seconds()[0]
                    workloads[workload]()
                    spent.append(cpu_seconds()[0] - before)
                costs[workload].append(min(spent))
            close()
    for workload, cost in costs.items():
        line = {"workload": workload, "cpu_s": [round(one, 2) for one in cost], "exponent": round(exponent(FACTORS, cost), 2),
                "upper": round(exponent(FACTORS[1:], cost[1:]), 2)}  # fmt: skip
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
