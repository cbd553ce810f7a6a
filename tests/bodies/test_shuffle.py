"""Map and reduce sides together, against plain Python; with memory and next to none."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
import tempfile
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from operator import add
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from body_bench import Bench, aggregator, fn, items, site, table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quiver_executor import shuffle_files, shuffle_write
from quiver_proto import frames, ops
from quiver_proto.errors import BlockCorrupt, UnstableKey
from quiver_proto.hashing import portable_hash
from quiver_proto.messages import MapOutputTable, TaskDone

MEMORY = [1 << 30, 32 << 10]
GROUP, COGROUP, PLAIN = ops.Group(), ops.CoGroup(), ops.Concatenate()

keys = st.one_of(st.integers(-5, 5), st.text(max_size=2), st.none(), st.booleans(), st.tuples(st.integers(0, 2), st.none()))
partitions = st.lists(st.lists(st.tuples(keys, st.integers()), max_size=40), min_size=1, max_size=4)


def flat(parts: Any) -> list[Any]:
    return list(itertools.chain.from_iterable(parts))


def data(maps: int = 3, size: int = 3000, distinct: int = 500) -> list[list[tuple[str, int]]]:
    chance = random.Random(1)
    return [[(f"key-{chance.randrange(distinct)}", chance.randrange(100)) for _ in range(size)] for _ in range(maps)]


@pytest.mark.parametrize("in_memory", [0, 1 << 20])
@pytest.mark.parametrize("width", [1, 5, 1000])
def test_both_ways_to_write_a_file(bench: Bench, monkeypatch: pytest.MonkeyPatch, in_memory: int, width: int) -> None:
    monkeypatch.setattr(shuffle_files, "IN_MEMORY", in_memory)
    monkeypatch.setattr(shuffle_files, "BATCH_BYTES", 50)  # Many batches: a footer longer than the tail that is read first.
    pairs = data(2, 5000)
    written = bench.write(pairs, ops.HashPartitioner(width))
    assert sorted(flat(bench.read(written, PLAIN))) == sorted(flat(pairs))
    with pa.OSFile(written.paths[0]) as file:
        assert pa.ipc.open_file(file).read_all().num_rows > 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    frames_of=st.lists(st.lists(st.integers(0, 300), max_size=3), min_size=1, max_size=12),
    small=st.sampled_from([0, 60, 1 << 20]),
    batch=st.sampled_from([1, 100, 1 << 20]),
)
def test_small_and_large_pieces_of_one_file(tmp_path: Path, frames_of: list[list[int]], small: int, batch: int) -> None:
    env = Bench(Path(tempfile.mkdtemp(dir=tmp_path))).env
    pieces = [[frames.dump_value("x" * size) for size in sizes] for sizes in frames_of]
    told = [(partition, len(piece), iter(piece)) for partition, piece in enumerate(pieces) if piece]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shuffle_files, "SMALL", small)
        patched.setattr(shuffle_files, "BATCH_BYTES", batch)
        path, _, _ = shuffle_files.write_map_output(env, 1, 0, 1, told, len(pieces), sum(map(len, itertools.chain(*pieces))))
    for partition, piece in enumerate(pieces):
        found = shuffle_files.read_piece(path, partition)
        read = [] if found is None else list(shuffle_files.batches_in(found[1], frames.load))
        assert read == list(map(frames.load, piece))
    with pa.OSFile(path) as file:
        rows = pa.ipc.open_file(file).read_all().column(0).to_pylist()
    assert sorted(rows) == sorted(itertools.chain(*pieces))


@pytest.mark.parametrize("width", [4, 300, 5000])
def test_empty_pieces_stay_empty_however_often_they_are_read(bench: Bench, width: int) -> None:
    written = bench.write([[(key, key) for key in range(0, width, 7)]], ops.HashPartitioner(width))
    (path,) = written.paths
    for _ in range(3):
        for partition in [*range(0, width, max(1, width // 60)), width - 1]:
            found = shuffle_files.read_piece(path, partition)
            assert (found is not None) == (partition % 7 == 0)
            assert found is None or list(shuffle_files.batches_in(found[1], frames.load)) == [[(partition, partition)]]
    with pytest.raises(BlockCorrupt):
        shuffle_files.read_piece(path, width)


def twice(records: Any) -> Any:
    """(key, how many values, their list, the list again) of each group."""
    return [(key, len(values), list(values), list(values)) for key, values in records]


@pytest.mark.parametrize("distinct", [1, 3, 40])
def test_one_keys_values_need_not_fit_into_memory(small: Bench, distinct: int) -> None:
    pairs = [[(number * number % distinct, (part, number, "x" * 40)) for number in range(4000)] for part in range(3)]
    written = small.write(pairs, ops.HashPartitioner(1))
    node = ops.ShuffleRead((7,), GROUP)
    read = small.value(ops.Apply(node, fn(twice)), 0, inputs={7: written})
    assert small.last is not None
    assert small.last.metrics.spilled_bytes > 20_000
    expected: dict[int, list[Any]] = defaultdict(list)
    for key, value in flat(pairs):
        expected[key].append(value)
    assert {key: (size, values, again) for key, size, values, again in read} == {
        key: (len(values), values, values) for key, values in expected.items()
    }
    assert len(read) == len(expected)
    assert dict(small.collect(node, 0, inputs={7: written})) == expected


@pytest.mark.parametrize("memory", MEMORY)
def test_partition_by_keeps_map_order(tmp_path: Path, memory: int) -> None:
    bench, pairs = Bench(tmp_path, memory), data()
    parts = bench.read(bench.write(pairs), PLAIN)
    for index, part in enumerate(parts):
        assert part == [pair for pair in flat(pairs) if portable_hash(pair[0]) % 4 == index]


@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("merge", [add, lambda a, b: a + b, lambda a, b: b + a + 0])
def test_combine(tmp_path: Path, memory: int, merge: Any) -> None:
    bench, pairs, agg = Bench(tmp_path, memory), data(), aggregator(merge)
    expected: Counter[str] = Counter()
    for key, value in flat(pairs):
        expected[key] += value
    on_map_side = bench.read(bench.write(pairs, aggregate=agg), ops.Combine(agg, True))
    on_reduce_side = bench.read(bench.write(pairs, shuffle_id=8), ops.Combine(agg, False))
    for parts in (on_map_side, on_reduce_side):
        found = flat(parts)
        assert len(found) == len(expected)
        assert dict(found) == expected


@pytest.mark.parametrize("memory", MEMORY)
def test_combine_with_create(tmp_path: Path, memory: int) -> None:
    bench, pairs = Bench(tmp_path, memory), data(size=1500, distinct=50)
    agg = aggregator(lambda c, v: [*c, v], create=lambda v: [v], combine=lambda a, b: a + b)
    expected = defaultdict(list)
    for key, value in flat(pairs):
        expected[key].append(value)
    assert dict(flat(bench.read(bench.write(pairs, aggregate=agg), ops.Combine(agg, True)))) == expected
    assert dict(flat(bench.read(bench.write(pairs, shuffle_id=8), ops.Combine(agg, False)))) == expected


def test_addition_does_not_change_the_first_value(bench: Bench) -> None:
    agg = aggregator(add)
    shared = ops.Map(ops.Items(), fn(lambda x, keep=([],): (x, keep[0])))
    sink = ops.ShuffleWrite(shared, 7, ops.HashPartitioner(1), agg, site("reduceByKey"))
    done = bench.done(sink, items([1, 1, 2]))
    assert done.map_output is not None
    assert bench.read(table(7, 1, [done.map_output]), ops.Combine(agg, True)) == [[(1, []), (2, [])]]


@pytest.mark.parametrize("memory", MEMORY)
def test_group(tmp_path: Path, memory: int) -> None:
    bench, pairs = Bench(tmp_path, memory), data()
    expected = defaultdict(list)
    for key, value in flat(pairs):
        expected[key].append(value)
    found = flat(bench.read(bench.write(pairs), GROUP))
    assert len(found) == len(expected)
    assert dict(found) == expected


@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("sides", [2, 3])
def test_cogroup(tmp_path: Path, memory: int, sides: int) -> None:
    bench = Bench(tmp_path, memory)
    inputs = [[part[: 900 * (side + 1)] for part in data(distinct=400 + 100 * side)] for side in range(sides)]
    expected: dict[Any, tuple[list[int], ...]] = {}
    for side, pairs in enumerate(inputs):
        for key, value in flat(pairs):
            expected.setdefault(key, tuple([] for _ in range(sides)))[side].append(value)
    tables = [bench.write(pairs, shuffle_id=side) for side, pairs in enumerate(inputs)]
    found = flat(bench.read(tables, COGROUP))
    assert len(found) == len(expected)
    assert dict(found) == expected


@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("key", [None, lambda k: k, len])
def test_sort(tmp_path: Path, memory: int, ascending: bool, key: Any) -> None:
    bench = Bench(tmp_path, memory)
    pairs = [[(key, (index, number)) for number, (key, _) in enumerate(part)] for index, part in enumerate(data())]
    sealed = None if key is None else fn(key, "sortBy")
    of = key or (lambda k: k)
    bounds = sorted({of(k) for k, _ in flat(pairs)})[:: 2 if key is len else 150][:3]
    partitioner = ops.RangePartitioner(len(bounds) + 1, frames.dump_records(bounds), sealed, ascending)
    parts = bench.read(bench.write(pairs, partitioner), ops.Sort(sealed, ascending))
    assert flat(parts) == sorted(flat(pairs), key=lambda pair: of(pair[0]), reverse=not ascending)
    width = partitioner.width
    for index, part in enumerate(parts):
        for k, _ in part:
            place = bisect_left(bounds, of(k))
            assert index == (place if ascending else width - 1 - place)


@pytest.mark.parametrize("memory", MEMORY)
def test_spilling_is_counted_and_leaves_nothing(tmp_path: Path, memory: int) -> None:
    bench = Bench(tmp_path, memory)
    written = bench.write(data())
    node = ops.ShuffleRead((7,), GROUP)
    done = bench.done(ops.Count(node), 0, inputs={7: written})
    assert (done.metrics.spilled_bytes > 0) == (memory == MEMORY[1])
    assert bench.leftovers() == []


def test_spills_go_when_a_task_fails(small: Bench) -> None:
    written = small.write(data())
    node = ops.Map(ops.ShuffleRead((7,), GROUP), fn(lambda pair: 1 // 0))
    opened = len(os.listdir("/proc/self/fd"))
    failure = small.failed(ops.Count(node), 0, inputs={7: written})
    assert failure.exception_type == "ZeroDivisionError"
    assert failure.metrics.spilled_bytes > 0
    assert small.leftovers() == []
    assert len(os.listdir("/proc/self/fd")) <= opened


def test_round_robin(bench: Bench) -> None:
    records = [[f"r{p}-{n}" for n in range(7)] for p in range(3)]
    parts = bench.read(bench.write(records, ops.RoundRobin(4)), PLAIN)
    for index, part in enumerate(parts):
        assert part == [records[p][n] for p in range(3) for n in range(7) if (p + n) % 4 == index]


def test_round_robin_over_many_batches(bench: Bench) -> None:
    parts = bench.read(bench.write([list(range(30_000))], ops.RoundRobin(7)), PLAIN)
    assert list(parts) == [list(range(i, 30_000, 7)) for i in range(7)]


def test_function_partitioner(bench: Bench) -> None:
    parts = bench.read(bench.write([[(n, n) for n in range(-5, 10)]], ops.FunctionPartitioner(3, fn(lambda k: k * 2))), PLAIN)
    assert [[k for k, _ in part] for part in parts] == [[n for n in range(-5, 10) if n * 2 % 3 == i] for i in range(3)]


def test_lists_of_two_become_pairs(bench: Bench) -> None:
    assert flat(bench.read(bench.write([[["a", 1], ("b", 2)]]), PLAIN)) in ([("a", 1), ("b", 2)], [("b", 2), ("a", 1)])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(partitions, st.integers(1, 5))
def test_any_keys(bench: Bench, pairs: list[list[tuple[Any, int]]], width: int) -> None:
    agg, partitioner = aggregator(add), ops.HashPartitioner(width)
    expected: dict[Any, int] = {}
    grouped: dict[Any, list[int]] = defaultdict(list)
    for key, value in flat(pairs):
        expected[key] = expected.get(key, 0) + value
        grouped[key].append(value)
    combined = bench.read(bench.write(pairs, partitioner, agg, 1), ops.Combine(agg, True))
    assert dict(flat(combined)) == expected
    assert len(flat(combined)) == len(expected)
    for index, part in enumerate(combined):
        assert all(portable_hash(key) % width == index for key, _ in part)
    assert dict(flat(bench.read(bench.write(pairs, partitioner, None, 2), GROUP))) == grouped


# ---- hashing ----


def test_portable_hash_is_pyspark_s() -> None:
    assert portable_hash(None) == 0
    assert portable_hash((None, 1)) & 0xFFFFFFFF == 219750521
    assert portable_hash(5) == 5
    assert portable_hash((1, 2)) != portable_hash((2, 1))
    assert portable_hash(True) == portable_hash(1) == portable_hash(1.0)


def test_portable_hash_is_the_same_in_every_process() -> None:
    program = """
from quiver_proto.hashing import portable_hash
from datetime import date
from decimal import Decimal
keys = (None, (None, "a"), frozenset([None, 2]), float("nan"), (1, (2, None)), "x", b"y", date(2020, 1, 1), Decimal("1.5"))
print([portable_hash(key) for key in keys])
"""
    environment = {**os.environ, "PYTHONHASHSEED": "17"}
    found = {subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True).stdout for _ in range(2)}
    assert len(found) == 1


def test_keys_by_address_are_refused() -> None:
    for key in (object(), len, str, (object(),), frozenset([object()]), pytest):
        with pytest.raises(UnstableKey):
            portable_hash(key)


# ---- files ----


def test_the_file_is_plain_arrow(bench: Bench) -> None:
    written = bench.write([[(n, str(n)) for n in range(1000)]])
    with pa.OSFile(written.paths[0]) as file:
        read = pa.ipc.open_file(file).read_all()
    assert read.schema.names == ["frame"]
    records = flat(frames.load(value.as_buffer()) for value in read.column(0))
    assert sorted(records) == [(n, str(n)) for n in range(1000)]
    assert Path(written.paths[0]).relative_to(bench.blocks).parts[0] == "shuffle-7"


def test_sizes_are_reported(bench: Bench) -> None:
    sink = ops.ShuffleWrite(ops.Items(), 7, ops.HashPartitioner(8), None, site("partitionBy"))
    done = bench.done(sink, items([(0, "a"), (8, "b"), (3, "c")]), partition=5)
    output = done.map_output
    assert output is not None
    assert (output.map_index, output.node_id, output.records) == (5, "node-a", 3)
    sizes = array("Q", output.sizes)
    assert [index for index, size in enumerate(sizes) if size] == [0, 3]
    assert done.metrics.shuffle_write_bytes > 0
    assert done.metrics.shuffle_write_records == 3


def test_empty_partitions(bench: Bench) -> None:
    assert bench.read(bench.write([[], []]), GROUP) == [[], [], [], []]
    assert bench.read(bench.write([], shuffle_id=8), PLAIN) == [[], [], [], []]


def test_removing_a_shuffle(bench: Bench) -> None:
    bench.write([[(1, 1)]])
    bench.write([[(1, 1)]], shuffle_id=8)
    shuffle_files.remove_shuffle(str(bench.blocks), 7)
    shuffle_files.remove_shuffle(str(bench.blocks), 7)
    assert [path.name for path in bench.blocks.iterdir()] == ["shuffle-8"]


def test_a_task_may_run_twice(bench: Bench) -> None:
    first, second = bench.write([[(1, 1)]]), bench.write([[(1, 1)]])
    assert first.paths != second.paths
    assert flat(bench.read(first, PLAIN)) == flat(bench.read(second, PLAIN))


def test_large_records_and_partitions(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece above the limit is read through a window."""
    monkeypatch.setattr(shuffle_files, "WHOLE_PIECE", 10_000)
    pairs = [(n % 3, os.urandom(3000)) for n in range(300)]
    written = bench.write([pairs])
    assert sorted(flat(bench.read(written, PLAIN))) == sorted(pairs)


def _damage(written: MapOutputTable, how: str) -> None:
    path = Path(written.paths[0])
    magic = path.read_bytes().rindex(b"QVINDX")
    match how:
        case "flipped":
            content = bytearray(path.read_bytes())
            content[400] ^= 1
            path.write_bytes(content)
        case "truncated":
            path.write_bytes(path.read_bytes()[:200])
        case "missing":
            path.unlink()
        case "a pipe":
            path.unlink()
            os.mkfifo(path)
        case "a directory":
            path.unlink()
            path.mkdir()
        case "empty":
            path.write_bytes(b"")
        case "index flipped":
            content = bytearray(path.read_bytes())
            content[magic - 20] ^= 1
            path.write_bytes(content)
        case "trailer flipped":
            content = bytearray(path.read_bytes())
            content[magic + 8] ^= 1
            path.write_bytes(content)
        case "index of another format":
            path.write_bytes(path.read_bytes().replace(b"QVINDX\x02", b"QVINDX\x03"))


DAMAGE = [
    "a pipe",
    "a directory",
    "flipped",
    "truncated",
    "missing",
    "empty",
    "index flipped",
    "trailer flipped",
    "index of another format",
]


@pytest.mark.parametrize("whole_piece", [1 << 20, 64])
@pytest.mark.parametrize("how", DAMAGE)
def test_damage_is_a_failed_fetch(bench: Bench, monkeypatch: pytest.MonkeyPatch, how: str, whole_piece: int) -> None:
    monkeypatch.setattr(shuffle_files, "WHOLE_PIECE", whole_piece)
    good = bench.write([[(n, n) for n in range(4000)]], ops.HashPartitioner(1))
    _damage(good, how)
    failure = bench.failed(ops.Count(ops.ShuffleRead((7,), PLAIN)), 0, inputs={7: good})
    assert failure.kind.value == "fetch failed"
    assert failure.fetch == (7, 0, good.task_ids[0], "node-a")
    assert failure.error is not None
    assert failure.error[0] == "FetchFailed"


# ---- disk ----


def test_quota(tmp_path: Path) -> None:
    bench = Bench(tmp_path, quota=30_000)
    sink = ops.ShuffleWrite(ops.Items(), 7, ops.HashPartitioner(2), None, site("partitionBy"))
    small, large = items([(1, b"x")]), items([(n, os.urandom(1000)) for n in range(50)])
    assert isinstance(bench.attempt(sink, small), TaskDone)
    failure = bench.failed(sink, large)
    assert failure.kind.value == "fatal"
    assert failure.error is not None
    assert failure.error[0] == "QuotaExceeded"
    assert str(bench.blocks) in failure.message
    assert "30,000" in failure.message
    assert bench.failed(ops.Collect(ops.Items()), items([os.urandom(300_000)])).error[0] == "QuotaExceeded"
    assert bench.leftovers() == []
    assert isinstance(bench.attempt(sink, small), TaskDone)


def test_a_full_disk_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def full(*args: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    for sink in (
        ops.ShuffleWrite(ops.Items(), 7, ops.HashPartitioner(2), None, site("partitionBy")),
        ops.Collect(ops.Items()),
    ):
        failure = bench.failed(sink, items([(1, os.urandom(300_000))]))
        assert failure.error is not None
        assert failure.error[0] == "DiskFull"
        assert failure.kind.value == "user"
        assert str(bench.blocks) in failure.message
    assert bench.leftovers() == []
    assert list(bench.root.rglob("*.arrow")) == []


# ---- shortcuts give what the long way gives ----


@pytest.mark.parametrize("resident", [10, 1 << 17])
@pytest.mark.parametrize("create", [None, lambda v: v + 1000])
def test_records_that_pass_uncombined(bench: Bench, monkeypatch: pytest.MonkeyPatch, resident: int, create: Any) -> None:
    monkeypatch.setattr(shuffle_write, "RESIDENT", resident)
    agg = aggregator(lambda c, v: c + v, create, combine=lambda a, b: a + b - (1000 if create else 0))
    pairs = data(distinct=3000)
    expected: Counter[str] = Counter()
    for key, value in flat(pairs):
        expected[key] += value
    found = flat(bench.read(bench.write(pairs, aggregate=agg), ops.Combine(agg, True)))
    assert {key: value - (1000 if create else 0) for key, value in found} == expected
    assert len(found) == len(expected)


@pytest.mark.parametrize("resident", [3, 1 << 17])
@pytest.mark.parametrize(
    "pairing", [lambda w: (w, 1), lambda w: (w, 3), lambda w: (w, True), lambda w: (w, 1.5), lambda w: (w, "x"), lambda w: (w, w)]
)
def test_counting(bench: Bench, monkeypatch: pytest.MonkeyPatch, resident: int, pairing: Any) -> None:
    monkeypatch.setattr(shuffle_write, "RESIDENT", resident)
    words, agg = ["be", "to", "be", "or", "not", "be"] * 100, aggregator(add)
    expected: dict[Any, Any] = {}
    for key, value in map(pairing, words):
        expected[key] = expected[key] + value if key in expected else value
    sink = ops.ShuffleWrite(ops.Map(ops.Items(), fn(pairing)), 7, ops.HashPartitioner(2), agg, site("reduceByKey"))
    done = bench.done(sink, items(words))
    assert done.map_output is not None
    found = dict(flat(bench.read(table(7, 2, [done.map_output]), ops.Combine(agg, True))))
    assert found == expected
    assert {key: type(value) for key, value in found.items()} == {key: type(value) for key, value in expected.items()}


def test_counting_what_cannot_be_hashed(bench: Bench) -> None:
    node = ops.Map(ops.Items(), fn(lambda w: (w, 1)))
    failure = bench.failed(ops.ShuffleWrite(node, 7, ops.HashPartitioner(2), aggregator(add), site("reduceByKey")), items(["a", [1]]))
    assert failure.error is not None
    assert failure.error[0] == "UnhashableKey"
    assert "([1], 1)" in failure.message
