"""What the kernel's settings cost or save: TPC-H's 22 queries in one process with two partitions, CPU seconds by setting.

    python benchmarks/kernel_settings.py [--data DIR] [--scale 1] [--rounds 3]

Settings take turns, so that a machine that is busy at times is so for all of them; of each query the least of its rounds counts. Prints a
table: CPU seconds of all queries, beside the settings as they are chosen, and the queries that change most.
"""

from __future__ import annotations

import argparse
import resource
from pathlib import Path

from tpch import TABLES, generated, queries

TRIED: dict[str, dict[str, str]] = {
    "as chosen": {},
    "batches of 4,096 rows": {"datafusion.execution.batch_size": "4096"},
    "batches of 32,768 rows": {"datafusion.execution.batch_size": "32768"},
    "filters in Parquet's decoder": {"datafusion.execution.parquet.pushdown_filters": "true"},
    "the same, cheapest first": {
        "datafusion.execution.parquet.pushdown_filters": "true",
        "datafusion.execution.parquet.reorder_filters": "true",
    },
    "strings without views": {"datafusion.execution.parquet.schema_force_view_types": "false"},
    "no dynamic filters": {"datafusion.optimizer.enable_dynamic_filter_pushdown": "false"},
    "no dynamic filters of joins": {"datafusion.optimizer.enable_join_dynamic_filter_pushdown": "false"},
    "no page index": {"datafusion.execution.parquet.enable_page_index": "false"},
    "no rows dealt round robin": {"datafusion.optimizer.enable_round_robin_repartition": "false"},
    "joins not repartitioned": {"datafusion.optimizer.repartition_joins": "false"},
    "aggregates not repartitioned": {"datafusion.optimizer.repartition_aggregations": "false"},
}


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    folder = generated(args.data or Path(f"/tmp/quiver-tpch-{args.scale:g}"), args.scale)
    from datafusion import SessionConfig, SessionContext

    least: dict[str, dict[int, float]] = {name: {} for name in TRIED}
    for turn in range(args.rounds + 1):
        for name, settings in TRIED.items():
            if not turn and settings:
                continue  # One run before all counts for none: files are read, code is paged in.
            config = SessionConfig().with_target_partitions(2)
            for key, value in settings.items():
                config = config.set(key, value)
            context = SessionContext(config)
            for table in TABLES:
                context.register_parquet(table, f"{folder}/{table}.parquet")
            for number, text in queries(args.scale).items():
                begun = cpu_seconds()
                context.sql(text).to_arrow_table()
                if turn:
                    least[name][number] = min(cpu_seconds() - begun, least[name].get(number, float("inf")))
    chosen = least["as chosen"]
    print("| setting | CPU s | of chosen | queries that change most |\n|---|---|---|---|")
    for name, found in least.items():
        ratios = sorted(((found[number] / chosen[number], number) for number in chosen), key=lambda each: -abs(each[0] - 1))[:3]
        told = ", ".join(f"Q{number} {ratio:.2f}×" for ratio, number in ratios) if name != "as chosen" else ""
        print(f"| {name} | {sum(found.values()):.2f} | {sum(found.values()) / sum(chosen.values()):.2f} | {told} |")


if __name__ == "__main__":
    main()
