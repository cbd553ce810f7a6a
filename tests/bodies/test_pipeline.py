"""Every narrow node and sink against what plain Python does."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from body_bench import Bench, fn, items

from quiver_executor.memory import FIRST_BATCH, batches_of
from quiver_proto import frames, ops
from quiver_proto.messages import FailureKind

ITEMS = ops.Items()


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (ops.Map(ITEMS, fn(lambda x: x * 2)), [0, 2, 4, 6]),
        (ops.Filter(ITEMS, fn(lambda x: x % 2, "filter")), [1, 3]),
        (ops.FlatMap(ITEMS, fn(range, "flatMap")), [0, 0, 1, 0, 1, 2]),
        (ops.KeyBy(ITEMS, fn(str, "keyBy")), [("0", 0), ("1", 1), ("2", 2), ("3", 3)]),
        (ops.MapPartitions(ITEMS, fn(lambda it: [sum(it)], "mapPartitions"), False), [6]),
        (ops.MapPartitions(ITEMS, fn(lambda it: itertools.islice(it, 2), "mapPartitions"), False), [0, 1]),
    ],
)
def test_narrow_operators(bench: Bench, node: ops.Node, expected: list[Any]) -> None:
    assert bench.collect(node, items(range(4))) == expected


def test_operators_on_pairs(bench: Bench) -> None:
    pairs = items([("a", 1), ("b", 2)])
    assert bench.collect(ops.MapValues(ITEMS, fn(lambda v: v + 1, "mapValues")), pairs) == [("a", 2), ("b", 3)]
    assert bench.collect(ops.FlatMapValues(ITEMS, fn(range, "flatMapValues")), pairs) == [("a", 0), ("b", 0), ("b", 1)]


def test_with_index(bench: Bench) -> None:
    node = ops.MapPartitions(ops.Map(ITEMS, fn(lambda x: x + 1)), fn(lambda i, it: ((i, x) for x in it), "mapPartitionsWithIndex"), True)
    assert bench.collect(ops.Map(node, fn(lambda p: p[1])), (5, items([1, 2]))) == [2, 3]
    assert bench.collect(node, (5, items([1, 2]))) == [(5, 2), (5, 3)]
    nested = ops.MapPartitions(node, fn(lambda i, it: [(i, *it)], "mapPartitionsWithIndex"), True)
    assert bench.collect(nested, (8, (5, items([1])))) == [(8, (5, 2))]


def test_range(bench: Bench) -> None:
    assert bench.collect(ops.IntRange(), (3, 20_000, 7)) == list(range(3, 20_000, 7))
    assert bench.collect(ops.IntRange(), (10, 0, -3)) == [10, 7, 4, 1]
    assert bench.value(ops.Count(ops.IntRange()), (0, 100_000, 1)) == 100_000
    assert bench.collect(ops.IntRange(), (0, 0, 1)) == []


class Large:
    """Counts how many like it there are at once."""

    alive: ClassVar[int] = 0
    most: ClassVar[int] = 0

    def __init__(self, _: object = None) -> None:
        Large.alive += 1
        Large.most = max(Large.most, Large.alive)

    def __del__(self) -> None:
        Large.alive -= 1

    def __sizeof__(self) -> int:
        return 16 << 20


def test_few_large_records_are_held_at_once(bench: Bench) -> None:
    for count in (0, 1, 300):
        assert bench.value(ops.Count(ops.Map(ops.IntRange(), fn(Large))), (0, count, 1)) == count
    assert [len(batch) for batch in batches_of(map(Large, range(3)))] == [1, 1, 1]
    assert Large.most <= 3
    assert [len(batch) for batch in batches_of(iter(range(FIRST_BATCH + 3)))] == [FIRST_BATCH, 3]


def test_union_and_coalesce(bench: Bench) -> None:
    union = ops.Union((ITEMS, ops.Map(ops.IntRange(), fn(lambda x: -x))))
    assert bench.collect(union, (0, items([1, 2]))) == [1, 2]
    assert bench.collect(union, (1, (0, 3, 1))) == [0, -1, -2]
    coalesced = ops.Coalesce(ops.Map(union, fn(lambda x: x * 10)))
    assert bench.collect(coalesced, [(1, (0, 2, 1)), (0, items([5])), (0, items([]))]) == [0, -10, 50]
    assert bench.collect(coalesced, []) == []


@pytest.mark.parametrize("memory", [1 << 30, 8 << 10])
def test_cartesian(tmp_path: Path, memory: int) -> None:
    bench = Bench(tmp_path, memory)
    left, right = list(range(40)), [f"{i}-{'x' * 50}" for i in range(300)]
    got = bench.collect(ops.Cartesian(ITEMS, ITEMS), (items(left), items(right)))
    assert got == list(itertools.product(left, right))
    assert bench.last is not None
    assert (bench.last.metrics.spilled_bytes > 0) == (memory < 1 << 20)
    assert bench.collect(ops.Cartesian(ITEMS, ITEMS), (items(left), items([]))) == []


def test_zip(bench: Bench) -> None:
    node = ops.Zip(ITEMS, ops.Map(ITEMS, fn(str)))
    assert bench.collect(node, (items([1, 2]), items([3, 4]))) == [(1, "3"), (2, "4")]
    for left, right in [([1, 2], [3]), ([1], [3, 4])]:
        failure = bench.failed(ops.Collect(node), (items(left), items(right)))
        assert failure.exception_type == "ValueError"
        assert "same number of elements" in failure.message


def test_apply(bench: Bench) -> None:
    assert bench.value(ops.Apply(ITEMS, fn(sum, "sum")), items([1, 2, 3])) == 6
    assert bench.value(ops.Apply(ITEMS, fn(lambda i, it: (i, list(it)), "x"), True), (4, items([1]))) == (4, [1])
    assert bench.value(ops.Apply(ops.Map(ITEMS, fn(lambda x: 1 // x)), fn(lambda it: next(it), "first")), items([1, 0])) == 1


def test_an_endless_partition_can_be_taken_from(bench: Bench) -> None:
    endless = ops.MapPartitions(ITEMS, fn(lambda it: itertools.count(), "mapPartitions"), False)
    assert bench.value(ops.Apply(endless, fn(lambda it: list(itertools.islice(it, 3)), "take")), items([])) == [0, 1, 2]


def test_a_long_chain(bench: Bench) -> None:
    node: ops.Node = ITEMS
    one = fn(lambda x: x + 1)
    for _ in range(150):
        node = ops.Map(node, one)
    assert bench.collect(node, items([0])) == [150]


def test_large_results_become_blocks(bench: Bench) -> None:
    records = [f"{i:0100d}" for i in range(5000)]
    done = bench.done(ops.Collect(ITEMS), items(records))
    assert done.result is None
    assert done.block is not None
    assert done.block.node_id == "node-a"
    data = Path(done.block.path).read_bytes()
    assert len(data) == done.block.size
    assert frames.load(data) == records
    assert bench.leftovers() == [str(Path(done.block.path).relative_to(bench.root))]


def test_metrics(bench: Bench) -> None:
    done = bench.done(ops.Collect(ops.Filter(ITEMS, fn(lambda x: x > 1, "filter"))), items(range(5)))
    assert done.metrics.input_records == 5
    assert done.metrics.output_records == 3
    assert done.metrics.result_bytes > 0
    assert done.metrics.run_s > 0
    assert done.slot == 0


# ---- state never leaks from task to task ----


def _stateful() -> dict[str, Callable[[Any], Any]]:
    seen: list[int] = []

    def in_closure(x: int) -> int:
        seen.append(x)
        return len(seen)

    def in_default(x: int, memo: list[int] = []) -> int:  # noqa: B006
        memo.append(x)
        return len(memo)

    def in_attribute(x: int) -> int:
        in_attribute.count = getattr(in_attribute, "count", 0) + 1
        return int(in_attribute.count)

    count = 0

    def in_nonlocal(x: int) -> int:
        nonlocal count
        count += 1
        return count

    class Counter:
        def __init__(self) -> None:
            self.count = 0

        def __call__(self, x: int) -> int:
            self.count += 1
            return self.count

    scope: dict[str, Any] = {"__name__": "__main__"}
    exec("n = 0\ndef in_global(x):\n    global n\n    n += 1\n    return n", scope)
    iterator = iter(range(1, 100))
    return {
        "closure": in_closure,
        "default": in_default,
        "attribute": in_attribute,
        "nonlocal": in_nonlocal,
        "callable": Counter(),
        "method": Counter().__call__,
        "global": scope["in_global"],
        "iterator": lambda x: next(iterator),
    }


@pytest.mark.parametrize("kind", sorted(_stateful()))
def test_each_task_gets_fresh_state(bench: Bench, kind: str) -> None:
    stage = bench.open(ops.Collect(ops.Map(ITEMS, fn(_stateful()[kind]))))
    split = frames.dump_value(items([0, 0, 0]))
    for task_id in range(3):
        assert frames.load(stage.run(task_id, 0, 0, split).result) == [1, 2, 3]


def test_stateless_functions_are_opened_once(bench: Bench) -> None:
    offset, words = 3, ("a", "b")
    for function in [lambda x: x + offset, lambda x: words[x], str, len, lambda x: list(range(x))]:
        from quiver_executor.functions import keeps_no_state

        assert keeps_no_state(function), function


# ---- StopIteration ----


def _stops(at: int) -> Callable[[int], int]:
    def stop(x: int) -> int:
        if x == at:
            raise StopIteration
        return x

    return stop


@pytest.mark.parametrize("at", [0, 2, 3])
@pytest.mark.parametrize("kind", ["map", "filter", "flatMap", "keyBy", "under mapPartitions", "over mapPartitions", "coalesce"])
@pytest.mark.parametrize("sink", [ops.Collect, ops.Count])
def test_stop_iteration_never_truncates(bench: Bench, kind: str, at: int, sink: Any) -> None:
    stop = _stops(at)
    everything = fn(lambda it: it, "mapPartitions")
    split: Any = items(range(4))
    match kind:
        case "map":
            node: ops.Node = ops.Map(ITEMS, fn(stop))
        case "filter":
            node = ops.Filter(ITEMS, fn(lambda x: stop(x) or True, "filter"))
        case "flatMap":
            node = ops.FlatMap(ITEMS, fn(lambda x: [stop(x)], "flatMap"))
        case "keyBy":
            node = ops.KeyBy(ITEMS, fn(stop, "keyBy"))
        case "under mapPartitions":
            node = ops.MapPartitions(ops.Map(ITEMS, fn(stop)), everything, False)
        case "over mapPartitions":
            node = ops.Map(ops.MapPartitions(ITEMS, everything, False), fn(stop))
        case _:
            node, split = ops.Coalesce(ops.Map(ITEMS, fn(stop))), [split, items([7])]
    failure = bench.failed(sink(node), split)
    assert failure.kind is FailureKind.USER
    assert failure.exception_type == "RuntimeError"
    assert "StopIteration" in failure.message


def test_stop_iteration_names_its_operator(bench: Bench) -> None:
    empty: list[int] = []
    node = ops.Filter(ops.Map(ITEMS, fn(lambda x: next(iter(empty)))), fn(lambda x: x, "filter"))
    failure = bench.failed(ops.Collect(node), items([5]))
    assert failure.operator.startswith("map at app.py:")
    assert (failure.record_index, failure.record) == (0, "5")


def test_generators_may_end(bench: Bench) -> None:
    def first_two(records: Iterator[int]) -> Iterator[int]:
        yield next(records)
        yield next(records)

    assert bench.collect(ops.MapPartitions(ITEMS, fn(first_two, "mapPartitions"), False), items(range(9))) == [0, 1]


def test_counting_needs_no_arrow() -> None:
    program = f"""
import sys
sys.path[:0] = {sys.path!r}
from body_bench import Bench, items
from quiver_proto import ops
for name in [name for name in sys.modules if name.partition(".")[0] in ("pyarrow", "cloudpickle")]:
    del sys.modules[name]
assert Bench().value(ops.Count(ops.Items()), items([1, 2])) == 2
assert not {{"pyarrow", "cloudpickle", "numpy"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
