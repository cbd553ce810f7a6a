"""What task bodies cost, without scheduler and processes: stages run in this process through the same call that slots make.

Each line is one measurement as JSON. `ratio` compares with the same work hand-written in plain Python in the same run (above 1: we are
faster). Sizes are the shared benchmark's divided by --scale.

    python benchmarks/bodies.py [--scale 10] [--only wordcount,join] [--profile]
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import itertools
import json
import pickle
import pstats
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from operator import add
from typing import Any

import cloudpickle

from quiver_executor.body import open_stage
from quiver_executor.environment import SlotEnvironment
from quiver_proto import frames, functions, ops
from quiver_proto.ids import ShuffleId, StageId
from quiver_proto.messages import AddStage, MapOutputTable, TaskDone
from quiver_proto.ops import CallSite, Function

PARTS = 16
SITE = CallSite("bench", "bodies.py", 1)


def fn(function: Callable[..., Any]) -> Function:
    return Function(cloudpickle.dumps(function), SITE, "f")


class Runner:
    """Stages on one slot, one task after another."""

    def __init__(self, root: str) -> None:
        self.env = SlotEnvironment("app", "app/0", "here", 0, f"{root}/app", f"{root}/scratch", 2 << 30)
        self._ids = itertools.count()

    def stage(self, sink: ops.Sink, splits: Sequence[Any], inputs: Sequence[MapOutputTable] = ()) -> list[TaskDone]:
        body = pickle.dumps(ops.StageBody(sink, (SITE,)))
        opened = open_stage(AddStage(StageId(0), 0, body, {one.shuffle_id: one for one in inputs}, {}, {}), self.env)
        ends = []
        for partition, split in enumerate(splits):
            end = opened.run(next(self._ids), partition, 0, frames.dump_value(split))
            if not isinstance(end, TaskDone):
                raise RuntimeError(f"{end.message}\n{end.traceback}")
            ends.append(end)
        return ends

    def shuffle(self, node: ops.Node, splits: Sequence[Any], partitioner: ops.Partitioner, aggregator: Any, number: int) -> MapOutputTable:
        ends = self.stage(ops.ShuffleWrite(node, number, partitioner, aggregator, SITE), splits)
        outputs = [end.map_output for end in ends if end.map_output is not None]
        rows = [(o.map_index, o.task_id, o.node_id, o.path) for o in outputs]
        return MapOutputTable(ShuffleId(number), partitioner.width, *map(list, zip(*rows)))

    def apply(self, node: ops.Node, inputs: Sequence[MapOutputTable], function: Callable[..., Any]) -> list[Any]:
        ends = self.stage(ops.Apply(node, fn(function)), range(inputs[0].width), inputs)
        return [frames.load(end.result) for end in ends if end.result is not None]


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    gc.collect()
    begun = time.perf_counter()
    result = function()
    return time.perf_counter() - begun, result


def emit(name: str, ours: float, plain: float | None, unit: str = "s", **more: Any) -> None:
    line: dict[str, Any] = {"benchmark": name, unit: round(ours, 4)}
    if plain is not None:
        line |= {f"plain_{unit}": round(plain, 4), "ratio": round(plain / ours, 2)}
    print(json.dumps(line | more), flush=True)


def aggregate(it: Any) -> tuple[int, int]:
    count = total = 0
    for key, value in it:
        count += 1
        total += hash(key) * value & 0xFFFF
    return count, total


def count_pairs(it: Any) -> tuple[int, int]:
    count = total = 0
    for _, (a, b) in it:
        count += 1
        total += a * b
    return count, total


# ---- workloads: a function of ours, a function by hand, equal results ----


def tiny(runner: Runner, scale: int) -> None:
    split = frames.dump_value(frames.dump_records([1]))
    for name, sink in (("no-op task", ops.Count(ops.Items())), ("identity map", ops.Collect(ops.Map(ops.Items(), fn(lambda x: x))))):
        stage = open_stage(AddStage(StageId(0), 0, pickle.dumps(ops.StageBody(sink, (SITE,))), {}, {}, {}), runner.env)
        best = min(timed(lambda stage=stage: [stage.run(i, 0, 0, split) for i in range(20_000)])[0] for _ in range(3))
        emit(name, best / 20_000 * 1e6, None, "us")


def small_shuffle(runner: Runner, scale: int) -> None:
    """Ten records in each of PARTS x PARTS pieces."""
    splits = [frames.dump_records([(n, n) for n in range(10 * PARTS)])] * PARTS
    partitioner = ops.HashPartitioner(PARTS)
    write, table = min((timed(lambda: runner.shuffle(ops.Items(), splits, partitioner, None, 1)) for _ in range(5)), key=lambda r: r[0])
    node = ops.ShuffleRead((1,), ops.Concatenate())
    read = min(timed(lambda: runner.stage(ops.Count(node), range(PARTS), [table]))[0] for _ in range(5))
    emit("small piece written", write / PARTS**2 * 1e6, None, "us")
    emit("small piece read", read / PARTS**2 * 1e6, None, "us")


def wordcount(runner: Runner, scale: int) -> None:
    chance = random.Random(1)
    vocabulary = [f"w{int(chance.paretovariate(0.6)) % 200_000}" for _ in range(100_000)]
    paths = []
    for part in range(PARTS):
        path = f"{runner.env.blocks_dir}-text-{part}"
        with open(path, "w") as file:
            for _ in range(400_000 // scale):
                file.write(" ".join(chance.choices(vocabulary, k=10)) + "\n")
        paths.append(path)

    def ours() -> Any:
        agg = ops.Aggregator(None, fn(add), fn(add))
        node = ops.Map(ops.FlatMap(ops.TextLines(), fn(lambda line: line.split())), fn(lambda w: (w, 1)))
        table = runner.shuffle(node, [[(path, 0, -1)] for path in paths], ops.HashPartitioner(PARTS), agg, 2)
        return sorted(map(sum, zip(*runner.apply(ops.ShuffleRead((2,), ops.Combine(agg, True)), [table], aggregate))))

    def plain() -> Any:
        total: dict[str, int] = {}
        for path in paths:
            counts: Counter[str] = Counter()
            with open(path) as file:
                for line in file:
                    counts.update(line.split())
            # By hand on a pool, each file's counts cross a pipe.
            for word, count in pickle.loads(pickle.dumps(dict(counts), 5)).items():
                total[word] = total.get(word, 0) + count
        return sorted(aggregate(total.items()))

    compare("wordcount", ours, plain)


def _pairs(seed: int, size: int, distinct: int) -> list[tuple[int, int]]:
    import numpy as np

    chance = np.random.default_rng(seed)
    return list(zip(chance.integers(0, distinct, size).tolist(), chance.integers(0, 100, size).tolist()))


def reducebykey(runner: Runner, scale: int) -> None:
    size, distinct = 10_000_000 // scale // PARTS, 1_000_000 // scale

    def ours() -> Any:
        agg = ops.Aggregator(None, fn(add), fn(add))
        node = ops.FlatMap(ops.Items(), fn(lambda i: _pairs(1000 + i, size, distinct)))
        splits = [frames.dump_records([i]) for i in range(PARTS)]
        table = runner.shuffle(node, splits, ops.HashPartitioner(PARTS), agg, 3)
        return sorted(map(sum, zip(*runner.apply(ops.ShuffleRead((3,), ops.Combine(agg, True)), [table], aggregate))))

    def plain() -> Any:
        total: dict[int, int] = {}
        for part in range(PARTS):
            d: dict[int, int] = {}
            for k, v in _pairs(1000 + part, size, distinct):
                d[k] = d[k] + v if k in d else v
            for k, v in pickle.loads(pickle.dumps(d, 5)).items():
                total[k] = total.get(k, 0) + v
        return sorted(aggregate(total.items()))

    compare("reducebykey", ours, plain)


def _ids(seed: int, part: int, size: int) -> list[tuple[int, int]]:
    import numpy as np

    ids = np.random.default_rng(seed).permutation(size)[part * size // PARTS : (part + 1) * size // PARTS]
    return list(zip(ids.tolist(), (ids * 3 + seed).tolist()))


def join(runner: Runner, scale: int) -> None:
    size = 1_000_000 // scale

    def ours() -> Any:
        splits = [frames.dump_records([i]) for i in range(PARTS)]
        tables = [
            runner.shuffle(
                ops.FlatMap(ops.Items(), fn(lambda i, side=side: _ids(side, i, size))), splits, ops.HashPartitioner(PARTS), None, 4 + side
            )
            for side in range(2)
        ]
        node = ops.FlatMapValues(ops.Filter(ops.ShuffleRead((4, 5), ops.CoGroup()), fn(functions.is_in_both)), fn(functions.join_inner))
        return sorted(map(sum, zip(*runner.apply(node, tables, count_pairs))))

    def plain() -> Any:
        parts = []
        for index in range(PARTS):
            right = {}
            for part in range(PARTS):
                right.update({k: v for k, v in _ids(1, part, size) if k % PARTS == index})
            parts.append(count_pairs((k, (a, right[k])) for part in range(PARTS) for k, a in _ids(0, part, size) if k % PARTS == index))
        return sorted(map(sum, zip(*parts)))

    compare("join", ours, plain)


def _numbers(part: int, size: int) -> list[int]:
    import numpy as np

    numbers: list[int] = np.random.default_rng(5000 + part).integers(0, 1 << 40, size).tolist()
    return numbers


def sortbykey(runner: Runner, scale: int) -> None:
    size = 5_000_000 // scale // PARTS

    def ours() -> Any:
        bounds = frames.dump_records([(1 << 40) * n // PARTS for n in range(1, PARTS)])
        node = ops.Map(ops.FlatMap(ops.Items(), fn(lambda i: _numbers(i, size))), fn(lambda k: (k, None)))
        splits = [frames.dump_records([i]) for i in range(PARTS)]
        table = runner.shuffle(node, splits, ops.RangePartitioner(PARTS, bounds, None, True), None, 6)
        parts = runner.apply(ops.ShuffleRead((6,), ops.Sort(None, True)), [table], lambda it: [k for k, _ in it][:: size // 10])
        return sum(map(len, parts)) > 0

    def plain() -> Any:
        merged: list[Any] = []
        for part in range(PARTS):
            merged += pickle.loads(pickle.dumps(sorted([(k, None) for k in _numbers(part, size)], key=lambda t: t[0]), 5))
        merged.sort(key=lambda t: t[0])
        return len(merged) > 0

    compare("sortbykey", ours, plain)


def compare(name: str, ours: Callable[[], Any], plain: Callable[[], Any]) -> None:
    if PROFILE:
        profile = cProfile.Profile()
        profile.runcall(ours)
        pstats.Stats(profile).sort_stats("tottime").print_stats(14)
        return
    # In turn, so that both see the same machine.
    runs = [(timed(ours), timed(plain)) for _ in range(3)]
    if runs[0][0][1] != runs[0][1][1]:
        raise SystemExit(f"{name}: results differ: {runs[0][0][1]} and {runs[0][1][1]}")
    emit(name, min(run[0][0] for run in runs), min(run[1][0] for run in runs))


WORKLOADS = {f.__name__: f for f in (tiny, small_shuffle, wordcount, reducebykey, join, sortbykey)}
PROFILE = False

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=10)
    parser.add_argument("--only", default=",".join(WORKLOADS))
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    PROFILE = arguments.profile
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # As in a slot.
    directory = tempfile.mkdtemp(prefix="quiver-bodies-")
    try:
        for chosen in arguments.only.split(","):
            WORKLOADS[chosen](Runner(directory), arguments.scale)
    finally:
        shutil.rmtree(directory)
