"""Stages give the same whether kernels are used or Python: the same records, of the same types, and in the same order where it is kept."""

from __future__ import annotations

import itertools
import math
import operator
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from body_bench import Bench, aggregator, fn, site, table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quiver_executor import columnar, combined_columns, kernels, memory, shuffle_write, sorting
from quiver_executor.functions import least_or_most
from quiver_proto import columns as codec
from quiver_proto import frames, ops
from quiver_proto.columns import Columns
from quiver_proto.functions import keep_first, with_none


class Text(str):
    pass


class Number(int):
    def __add__(self, other: Any) -> int:
        return int(self) - other


HUGE = 2**62
integers = st.one_of(
    st.integers(-4, 4), st.integers(-(2**63), 2**63 - 1), st.sampled_from([-1, -2, 2**61 - 1, 1 - 2**61, 2**61, 127, 128, -129])
)
floats = st.one_of(st.floats(-2, 2), st.sampled_from([0.0, -0.0, math.inf, -math.inf, 5e-324]))
text = st.one_of(st.text("ab\u00e9\U0001f600\uffff\0", max_size=3), st.sampled_from(["", "\x1c", "a" * 70]))
binary = st.binary(max_size=3)
odd = st.sampled_from(
    [True, False, None, 2**63, -(2**70), 0.5, math.nan, Text("a"), Number(3), np.int64(3), np.float64(0.5), "\ud800", (1, "a"), "a", 1]
)

keys_of_one_kind = [integers, text, binary, floats]
values_of_one_kind = [integers, floats, text, st.none(), st.booleans(), st.lists(st.integers(), max_size=2)]


@st.composite
def columns_like(draw: Any, keys: list[Any], values: list[Any], spoiled: Any = odd) -> list[list[tuple[Any, Any]]]:
    """Map partitions of pairs, mostly of one kind each, sometimes with something else among them."""
    key, value = draw(st.sampled_from(keys)), draw(st.sampled_from(values))
    partitions = draw(st.lists(st.lists(st.tuples(key, value), max_size=30), min_size=1, max_size=3))
    for where in draw(st.lists(st.integers(0, len(partitions) - 1), max_size=1)):
        pair = draw(st.one_of(st.tuples(spoiled, value), st.tuples(key, odd)))
        partitions[where].insert(draw(st.integers(0, len(partitions[where]))), pair)
    return partitions


@contextmanager
def small_batches(usable: bool) -> Iterator[None]:
    """Kernels from the first pair on, a few at a time; or none at all."""
    saved = [(module, name, getattr(module, name)) for module, name in _SIZES]
    kernels._usable = usable
    for module, name, _ in saved:
        setattr(module, name, 7)
    kernels.FEW = 1
    try:
        yield
    finally:
        for module, name, value in saved:
            setattr(module, name, value)
        kernels._usable = None


_SIZES: list[tuple[Any, str]] = [
    (kernels, "FEW"), (columnar, "_LEAST"), (columnar, "_MOST"), (columnar, "_COMBINE"), (columnar, "_COUNT"),
    (columnar, "RESIDENT"), (shuffle_write, "RESIDENT"), (memory, "FIRST_BATCH"), (memory, "BATCH"),
    (combined_columns, "_COMBINE"), (sorting, "_OUT"),
]  # fmt: skip


def told(value: Any) -> Any:
    """What a value is, with its type: 1, True and 1.0 differ, so do 0.0 and -0.0; NaN is itself."""
    if isinstance(value, list | tuple):
        return type(value).__qualname__, tuple(map(told, value))
    return type(value).__qualname__, repr(value)


def both(tmp_path: Path, run: Callable[[Bench], Any]) -> tuple[Any, Any]:
    results = []
    for usable in (True, False):
        with small_batches(usable):
            results.append(run(Bench(Path(tempfile.mkdtemp(dir=tmp_path)))))  # Blocks' names are never used twice.
    return results[0], results[1]


LONG = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
hashable_keys = [integers, text, binary]


@LONG
@given(partitions=columns_like([*keys_of_one_kind, odd], values_of_one_kind), width=st.integers(1, 5))
def test_pairs_are_placed_alike(tmp_path: Path, partitions: list[Any], width: int) -> None:
    def run(bench: Bench) -> Any:
        return bench.read(bench.write(partitions, ops.HashPartitioner(width)), ops.Concatenate())

    one, other = both(tmp_path, run)
    assert told(one) == told(other)


@LONG
@given(
    partitions=columns_like(keys_of_one_kind, values_of_one_kind, spoiled=st.sampled_from([7, 0.5, True, math.nan, 2**80])),
    ascending=st.booleans(),
    data=st.data(),
)
def test_pairs_are_sorted_alike(tmp_path: Path, partitions: list[Any], ascending: bool, data: Any) -> None:
    keys = [key for part in partitions for key, _ in part]
    if len({isinstance(key, str) for key in keys}) + len({isinstance(key, bytes) for key in keys}) > 2:
        return  # Python refuses to order them.
    bounds = sorted(data.draw(st.lists(st.sampled_from(keys), max_size=3)) if keys else [])
    partitioner = ops.RangePartitioner(len(bounds) + 1, frames.dump_value(bounds), None, ascending)

    def run(bench: Bench) -> Any:
        return bench.read(bench.write(partitions, partitioner), ops.Sort(None, ascending))

    one, other = both(tmp_path, run)
    assert told(one) == told(other)


@LONG
@given(
    partitions=columns_like(hashable_keys, [integers, integers, st.integers(HUGE - 3, HUGE), floats, text, st.none()]),
    merge=st.sampled_from([operator.add, lambda a, b: a + b, min, max, lambda a, b: min(a, b), lambda a, b: max(a, b), keep_first]),
)
def test_values_are_combined_alike(tmp_path: Path, partitions: list[Any], merge: Any) -> None:
    aggregate = aggregator(merge)

    def run(bench: Bench) -> Any:
        try:
            parts = bench.read(bench.write(partitions, aggregate=aggregate), ops.Combine(aggregate, combined=True))
        except AssertionError as error:
            return str(error).partition(":")[0]
        return [sorted(map(told, part), key=repr) for part in parts]

    one, other = both(tmp_path, run)
    if merge is keep_first or any(type(key) in (bool, float, np.int64, Number, Text) for part in partitions for key, _ in part):
        # Which of several equal keys is kept, the one or the other, is nobody's promise.
        assert bare(one) == bare(other)
    else:
        assert one == other


def bare(result: Any) -> Any:
    return result if isinstance(result, str) else [len(part) for part in result]


@LONG
@given(partitions=columns_like(hashable_keys, [integers, text]), merge=st.sampled_from([ops.Group(), ops.CoGroup()]))
def test_values_are_grouped_alike(tmp_path: Path, partitions: list[Any], merge: Any) -> None:
    def run(bench: Bench) -> Any:
        tables = [bench.write(partitions, shuffle_id=7), bench.write(partitions[::-1], shuffle_id=8)]
        return bench.read(tables if isinstance(merge, ops.CoGroup) else tables[0], merge)

    one, other = both(tmp_path, run)
    assert told(one) == told(other)


@LONG
@given(
    records=st.lists(st.lists(st.one_of(text, text, integers, odd), max_size=30), min_size=1, max_size=3),
    count=st.sampled_from([1, 3, -2, 2**40]),
)
def test_records_are_counted_alike(tmp_path: Path, records: list[Any], count: int) -> None:
    partitions = [[(record, count) for record in part if isinstance(record, str | int)] for part in records]
    aggregate = aggregator(operator.add)

    def run(bench: Bench) -> Any:
        parts = bench.read(bench.write(partitions, aggregate=aggregate), ops.Combine(aggregate, combined=True))
        return [sorted((key, told(value)) for key, value in part if isinstance(key, str)) for part in parts]

    one, other = both(tmp_path, run)
    assert one == other


lines = st.text("ab \t\n\r\v\f\x1c\x1f\x85\u2003\u00e9,", max_size=40)
CUTS: list[tuple[Any, Any]] = [
    (lambda line: line.split(), lambda line: [*line.split()]),
    (lambda line: line.split(" "), lambda line: [*line.split(" ")]),
    (lambda line: line.split("\u00e9"), lambda line: [*line.split("\u00e9")]),
]


@LONG
@given(content=lines, cut=st.integers(0, 60), split=st.sampled_from(CUTS), ascii_only=st.booleans())
def test_words_of_text_are_counted_alike(tmp_path: Path, content: str, cut: int, split: Any, ascii_only: bool) -> None:
    data = content.encode("ascii", "ignore") if ascii_only else content.encode()
    path = tmp_path / "text"
    path.write_bytes(data)
    cut = min(cut, len(data))
    splits = [[(str(path), 0, cut)], [(str(path), cut, -1)]] if cut else [[(str(path), 0, -1)]]
    aggregate = aggregator(operator.add)

    def counts(usable: bool, function: Any) -> tuple[Any, Any]:
        node = ops.Map(ops.FlatMap(ops.TextLines(), fn(function)), fn(lambda word: (word, 1)))
        with small_batches(usable):
            bench = Bench(Path(tempfile.mkdtemp(dir=tmp_path)))
            ends = [
                bench.done(ops.ShuffleWrite(node, 7, ops.HashPartitioner(2), aggregate, site("reduceByKey")), split, index)
                for index, split in enumerate(splits)
            ]
            written = table(7, 2, [end.map_output for end in ends if end.map_output is not None])
            parts = bench.read(written, ops.Combine(aggregate, combined=True))
        return dict(itertools.chain.from_iterable(parts)), [(end.metrics.input_bytes, end.metrics.input_records) for end in ends]

    plain = counts(False, split[1])
    assert counts(True, split[0]) == counts(False, split[0]) == plain


@LONG
@given(
    partitions=st.lists(
        st.lists(st.tuples(st.sampled_from("abcdefghijk"), st.one_of(st.floats(-1e6, 1e6), st.floats(), st.integers(-9, 9))), max_size=12),
        max_size=3,
    ),
    mixed=st.booleans(),
)
def test_floats_are_added_bit_for_bit(tmp_path: Path, partitions: list[Any], mixed: bool) -> None:
    if not mixed:
        partitions = [[(key, float(value)) for key, value in part] for part in partitions]
    check_sums(tmp_path, partitions)


def check_sums(tmp_path: Path, partitions: Any) -> None:
    aggregate = aggregator(operator.add)

    def run(bench: Bench) -> Any:
        return sorted(bench.read(bench.write(partitions, aggregate=aggregate), ops.Combine(aggregate, combined=True)), key=repr)

    if partitions:
        one, other = both(tmp_path, run)
        assert told(one) == told(other)


@pytest.mark.parametrize(
    "partitions",
    [
        [[("a", -0.0), ("b", 1.0)]],
        [[("a", -0.0)], [("a", -0.0)]],
        [[("a", 0.1), ("a", 0.2)], [("a", 0.3)], [("a", 0.6), ("a", 0.7)]],
        [[("a", 2**53), ("a", 1)], [("a", 0.5)], [("a", 1), ("a", 2**53)], [("a", 1), ("a", 1)]],
        [[("a", math.inf), ("a", -math.inf)], [("a", math.nan)]],
        [[(key, 0.1 * place) for place in range(1, 9) for key in "abcdefghijk"]],
        [[("a", 0.1)] * 23 + [("a", 3)] * 16 + [("a", 0.7)] * 16],
    ],
)
def test_sums_in_which_the_order_shows(tmp_path: Path, partitions: Any) -> None:
    check_sums(tmp_path, partitions)


class Written:
    """A writer that only remembers."""

    def __init__(self) -> None:
        self.pairs: list[Any] = []

    def add(self, columns: Columns) -> None:
        self.pairs += columns.pairs()


def test_a_combiner_gives_back_all_that_it_took_when_the_kind_of_keys_changes() -> None:
    with small_batches(True):
        combiner = columnar.ColumnCombiner(cast(Any, Written()), "sum", None, 1 << 20)
        assert combiner.takes([("a", 1)] * 4)
        assert not combiner.takes([(1, 1)] * 4)
        assert not combiner.takes([("a", 0.5)] * 4)
        assert [part.pairs() for part in combiner.left()] == [[("a", 1)] * 4]


@pytest.mark.parametrize("batches", [[[1, 2] * 4, ["a"] * 3, ["a"] * 3, ["b"] * 5], [[1] * 3, ["a"] * 9], [["a"] * 7, [1] * 7, ["a"] * 7]])
def test_keys_are_counted_or_declined_but_never_lost(batches: list[list[Any]]) -> None:
    writer = Written()
    declined: list[Any] = []
    with small_batches(True):
        combiner = columnar.ColumnCombiner(cast(Any, writer), "sum", 1, 1 << 20)
        for batch in batches:
            if declined or not combiner.takes(batch):
                declined += batch
        counts = Counter(declined)
        for key, count in [*writer.pairs, *(pair for part in combiner.left() for pair in part.pairs())]:
            counts[key] += count
    assert counts == Counter(itertools.chain.from_iterable(batches))


def test_a_sum_that_leaves_64_bits_halfway_is_exact(tmp_path: Path) -> None:
    pairs = [[("a", 2**62)] * 10 + [("b", 1)] * 10, [("a", -(2**63))] * 3 + [("a", 2**63 - 1)] * 10]
    aggregate = aggregator(operator.add)
    with small_batches(True):
        bench = Bench(tmp_path)
        parts = bench.read(bench.write(pairs, aggregate=aggregate), ops.Combine(aggregate, combined=True))
    assert dict(itertools.chain.from_iterable(parts)) == {"a": 10 * 2**62 - 3 * 2**63 + 10 * (2**63 - 1), "b": 10}


@given(
    st.lists(st.tuples(st.one_of(*keys_of_one_kind), st.one_of(*values_of_one_kind))).filter(
        lambda pairs: len({type(key) for key, _ in pairs}) == 1
    )
)
def test_columns_come_back_as_they_were(pairs: list[Any]) -> None:
    columns = kernels.columns_of(pairs)
    assert columns is not None
    part = codec.Columns(kernels.narrowed(columns.keys), kernels.narrowed(columns.values))
    frame = codec.dump(part)
    assert frame[0] == codec.MARK != frames.dump_records(pairs)[0]
    assert told(frames.load(frame)) == told(pairs)
    shifted = memoryview(b"abc" + frame)[3:]
    again = codec.open_columns(shifted)
    assert told(again.pairs()) == told(pairs)
    buffers = [buffer for column in (again.keys, again.values) if not isinstance(column, list) for buffer in column.buffers() if buffer]
    assert [buffer.address % 8 for buffer in buffers] == [0] * len(buffers)
    opened = frames.load_batch(frame)
    assert told([opened[place] for place in range(len(opened))]) == told(pairs)


@pytest.mark.parametrize("pair", [(True, 1), (2**63, 1), (None, 1), ("\ud800", 1), (Text("a"), 1), (np.int64(1), 1), [1, 2], (1, 2, 3)])
def test_what_has_no_columns(pair: Any) -> None:
    columns = kernels.columns_of([pair, pair])
    assert columns is None or kernels.kind_of(columns.keys) not in kernels.PLACED


def test_min_and_max_are_recognised_only_as_the_builtins() -> None:
    assert least_or_most(min) == "min"
    assert least_or_most(lambda a, b: max(a, b)) == "max"
    assert least_or_most(lambda a, b: min(b, a)) is None
    scope: dict[str, Any] = {"max": lambda a, b: a}
    assert least_or_most(eval("lambda a, b: max(a, b)", scope)) is None
    assert least_or_most(eval("lambda a, b: max(a, b)", {"__builtins__": {"max": min}})) is None


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("value", [None, [1]])
def test_runs_on_disk_merge_into_one_order(tmp_path: Path, reverse: bool, value: Any) -> None:
    pairs = [[((number * 7919 + part) % 5003, (part, number) if value else None) for number in range(9000)] for part in range(3)]
    bounds = ops.RangePartitioner(1, frames.dump_value([]), None, not reverse)
    for size in (64 << 10, 1 << 30):
        bench = Bench(tmp_path / str(size), size)
        (merged,) = bench.read(bench.write(pairs, bounds), ops.Sort(None, not reverse))
        spilled = bench.last.metrics.spilled_bytes if bench.last is not None else 0
        assert (spilled > 0) == (size < 1 << 20)
        assert merged == sorted(itertools.chain.from_iterable(pairs), key=operator.itemgetter(0), reverse=reverse)


def test_distinct_pairs_with_none() -> None:
    columns = kernels.columns_of(list(map(with_none, ["b", "a", "b"])))
    assert columns is not None
    combined = kernels.combined(columns, "first")
    assert combined is not None
    assert combined.pairs() == [("b", None), ("a", None)]


def test_nan_keys_are_left_to_python(tmp_path: Path) -> None:
    pairs = [[(key, place) for place, key in enumerate([3.0, math.nan, 1.0, 2.0, math.nan, -0.0, 0.0, -1.0] * 3)]]
    partitioner = ops.RangePartitioner(2, frames.dump_value([0.5]), None, True)
    one, other = both(tmp_path, lambda bench: bench.read(bench.write(pairs, partitioner), ops.Sort(None, True)))
    assert told(one) == told(other)


def test_a_value_that_does_not_pickle_is_named(tmp_path: Path) -> None:
    node = ops.Map(ops.IntRange(), fn(lambda number: (number, iter(()) if number != 20 else (_ for _ in ()))))
    for usable in (True, False):
        with small_batches(usable):
            bench = Bench(Path(tempfile.mkdtemp(dir=tmp_path)))
            failure = bench.failed(ops.ShuffleWrite(node, 7, ops.HashPartitioner(2), None, site("partitionBy")), (0, 40, 1))
        assert failure.exception_type.endswith("UnpicklableOutput")
        assert "(20, <generator" in failure.message
