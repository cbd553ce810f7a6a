"""What caching costs and saves: blocks written and read in each tier, without scheduler and processes, and twenty rounds over a cached
dataset in a local application.

One JSON object a line. Rates are megabytes of the stored block, and nanoseconds a record where records are small. `recompute` is the same
read without a cache: a record of the tuples costs a call and a str(), an array is filled.

    python benchmarks/cache_blocks.py [--records 500000] [--arrays 100] [--rounds 20] [--only tuples,arrays,rounds]
"""

from __future__ import annotations

import argparse
import gc
import json
import pickle
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import numpy as np

from quiver_executor import block_store, slot
from quiver_executor.body import open_stage
from quiver_executor.environment import SlotEnvironment
from quiver_executor.memory_directory import MemoryDirectory
from quiver_proto import frames, ops
from quiver_proto.ids import StageId
from quiver_proto.messages import AddStage, TaskDone
from quiver_proto.ops import CallSite, Function
from quiver_proto.storage import StorageLevel

SITE = CallSite("bench", "cache_blocks.py", 1)
ARRAY = 1 << 17
"""Items of 8 bytes in one array: 1 MiB."""
TIERS = {
    "live objects": StorageLevel.MEMORY_ONLY,
    "memory": StorageLevel.MEMORY_ONLY,
    "disk": StorageLevel.DISK_ONLY,
}


def fn(function: Callable[..., Any]) -> Function:
    return Function(cloudpickle.dumps(function), SITE, "f")


def count_all(records: Iterator[Any]) -> int:
    return sum(1 for _ in records)


def sum_arrays(records: Iterator[Any]) -> float:
    return float(sum(array.sum() for array in records))


class Bench:
    """One slot with a store of its own."""

    def __init__(self, root: str, shared: str, live: int) -> None:
        self.env = SlotEnvironment(
            "app", "app/0", "here", 0, f"{root}/app", f"{root}/scratch", 4 << 30, memory_dir=shared, storage_bytes=4 << 30, live_bytes=live
        )

    def seconds(self, parent: ops.Node, consume: Callable[[Iterator[Any]], Any], split: Any) -> float:
        body = pickle.dumps(ops.StageBody(ops.Apply(parent, fn(consume)), (SITE,)))
        stage = open_stage(AddStage(StageId(0), 0, body, {}, {}, {}), self.env)
        data = frames.dump_value(split)
        gc.collect()
        # Of the processor: others may be using it.
        begun = time.process_time()
        end = stage.run(1, 0, 0, data)
        seconds = time.process_time() - begun
        if not isinstance(end, TaskDone):
            raise RuntimeError(f"{end.message}\n{end.traceback}")
        return seconds


def tiers(name: str, made: ops.Node, split: bytes, records: int, consume: Callable[[Iterator[Any]], Any], repeats: int = 5) -> None:
    shared = MemoryDirectory.create(f"bench-{time.time_ns():x}")
    root = tempfile.mkdtemp(prefix="quiver-bench-")
    try:
        for tier, level in TIERS.items():
            bench = Bench(root, shared.blocks("app"), (1 << 30) if tier == "live objects" else 0)
            again = [bench.seconds(made, consume, split) for _ in range(3)]
            node = ops.Cache(made, 1, level)
            writes: list[float] = []
            for _ in range(3):
                block_store.remove_dataset(bench.env, 1)
                writes.append(bench.seconds(node, consume, (0, split)))
            size = sum(held.memory_bytes + held.disk_bytes for held in block_store.store_of(bench.env).ledger.blocks())
            reads = [bench.seconds(node, consume, (0, None)) for _ in range(repeats)]
            recompute, write, read = min(again), min(writes), min(reads)
            tell = {
                "what": name, "tier": tier, "block_mb": round(size / 1e6, 1), "write_mb_s": round(size / 1e6 / write),
                "read_mb_s": round(size / 1e6 / read), "recompute_ms": round(recompute * 1e3, 1), "write_ms": round(write * 1e3, 1),
                "read_ms": round(read * 1e3, 2), "recompute_over_read": round(recompute / read, 1),
            }  # fmt: skip
            if records > 10_000:
                tell |= {
                    "recompute_ns": round(recompute / records * 1e9), "write_ns": round(write / records * 1e9),
                    "read_ns": round(read / records * 1e9),
                }  # fmt: skip
            print(json.dumps(tell), flush=True)
            block_store.close_store(bench.env)
    finally:
        shared.remove()
        shutil.rmtree(root, ignore_errors=True)


def rounds(number: int, records: int) -> None:
    """Rounds of one small pass over a dataset that is dear to make, as an iterative algorithm does."""
    from quiver import Conf, Context

    with Context(conf=Conf().setMaster("local[2]").setAppName("rounds").set("spark.ui.enabled", "false")) as context:
        dataset = context.parallelize(range(records), 4).map(lambda x: (x, str(x)))

        def one_round() -> float:
            begun = time.perf_counter()
            dataset.filter(lambda pair: pair[0] % 100 == 0).count()
            return time.perf_counter() - begun

        one_round()
        plain = [one_round() for _ in range(number)]
        dataset.cache()
        first = one_round()
        cached = [one_round() for _ in range(number)]
        print(
            json.dumps({
                "what": f"{number} rounds over {records} pairs, local[2]", "recompute_s": round(sum(plain), 3),
                "cached_s": round(sum(cached), 3), "storing_round_ms": round(first * 1e3, 1),
                "recompute_round_ms": round(statistics.median(plain) * 1e3, 1),
                "cached_round_ms": round(statistics.median(cached) * 1e3, 1), "ratio": round(sum(plain) / sum(cached), 1),
            }),
            flush=True,
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--arrays", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default="tuples,arrays,rounds")
    arguments = parser.parse_args()
    wanted = set(arguments.only.split(","))
    gc.collect()
    gc.freeze()
    gc.set_threshold(*slot.THRESHOLDS)
    if "tuples" in wanted:
        split = frames.dump_records(list(range(arguments.records)))
        tiers("(int, str)", ops.Map(ops.Items(), fn(lambda x: (x, str(x)))), split, arguments.records, count_all)
    if "arrays" in wanted:
        split = frames.dump_records(list(range(arguments.arrays)))
        tiers("1 MiB arrays", ops.Map(ops.Items(), fn(lambda x: np.full(ARRAY, x, "f8"))), split, arguments.arrays, sum_arrays)
    if "rounds" in wanted:
        rounds(arguments.rounds, arguments.records)


if __name__ == "__main__":
    main()
