"""What a failed task says: type, operator, record, the user's traceback and nothing of ours."""

from __future__ import annotations

import pickle
import threading
from functools import partial
from typing import Any

import pytest
from body_bench import Bench, aggregator, fn, items, site

from quiver_executor.body import open_stage
from quiver_executor.failure import task_failure
from quiver_proto import frames, ops
from quiver_proto.errors import NotAPair, UnhashableKey, UnpicklableOutput, UnstableKey, from_wire
from quiver_proto.ids import StageId
from quiver_proto.messages import AddStage, FailureKind, TaskFailure

ITEMS = ops.Items()


class OwnError(Exception):
    pass


class Awkward(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one}+{two}")


class BadRepr:
    def __repr__(self) -> str:
        raise ValueError("no")


def boom(x: Any) -> Any:
    if x == 3:
        raise OwnError(f"bad {x}")
    return x


def test_type_message_operator_and_record(bench: Bench) -> None:
    node = ops.Filter(ops.Map(ops.Map(ITEMS, fn(lambda x: x)), fn(boom, "map")), fn(bool, "filter"))
    culprit = node.parent.function.call_site
    failure = bench.failed(ops.Collect(node), items([1, 2, 3, 4]))
    assert failure.kind is FailureKind.USER
    assert (failure.exception_type, failure.message) == ("OwnError", "bad 3")
    assert (failure.operator, failure.record_index, failure.record) == (str(culprit), 2, "3")
    assert isinstance(pickle.loads(failure.exception), OwnError)
    assert "test_failures.py" in failure.traceback
    assert "raise OwnError" in failure.traceback
    assert "quiver_executor" not in failure.traceback
    assert failure.error is None


def test_causes_are_kept(bench: Bench) -> None:
    def wrap(x: Any) -> Any:
        try:
            return 1 // x
        except ZeroDivisionError as error:
            raise OwnError("wrapped") from error

    failure = bench.failed(ops.Collect(ops.Map(ITEMS, fn(wrap))), items([0]))
    assert "ZeroDivisionError" in failure.traceback
    assert "direct cause" in failure.traceback


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_builtins_are_told_apart(bench: Bench, wanted: int) -> None:
    """They leave no frame in a traceback."""
    node = ops.Map(ops.Map(ops.FlatMap(ITEMS, fn(iter, "flatMap")), fn(int)), fn(chr, "map"))
    records: list[Any] = [[["1"], 5], [["1"], ["x"]], [["1"], ["-5"]]][wanted]
    expected = [node.parent.parent, node.parent, node][wanted].function.call_site
    failure = bench.failed(ops.Collect(node), items(records))
    if wanted:
        assert failure.operator == str(expected)
    assert failure.record_index == 1


def test_one_builtin(bench: Bench) -> None:
    node = ops.Map(ops.Map(ITEMS, fn(int)), fn(lambda x: x + 1))
    failure = bench.failed(ops.Collect(node), items(["1", "zwei"]))
    assert failure.operator == str(node.parent.function.call_site)
    assert (failure.exception_type, failure.record_index, failure.record) == ("ValueError", 1, "'zwei'")


def test_a_generator_of_a_flat_map(bench: Bench) -> None:
    node = ops.FlatMap(ops.Map(ITEMS, fn(lambda x: x)), fn(lambda x: (1 // y for y in x), "flatMap"))
    failure = bench.failed(ops.Collect(node), items([[1], [1, 0]]))
    assert failure.operator == str(node.function.call_site)
    assert failure.record_index == 1


def test_a_builtin_below_a_pair_operator(bench: Bench) -> None:
    node = ops.MapValues(ops.Map(ITEMS, fn(tuple)), fn(len, "mapValues"))
    assert bench.failed(ops.Collect(node), items([5])).operator == str(node.parent.function.call_site)
    assert bench.failed(ops.Collect(node), items([("a", 5)])).operator == str(node.function.call_site)


@pytest.mark.parametrize("callable_", [partial(boom), type("C", (), {"__call__": lambda self, x: boom(x)})(), lambda x: boom(x)])
def test_all_kinds_of_callables(bench: Bench, callable_: Any) -> None:
    node = ops.Map(ops.Map(ITEMS, fn(lambda x: x)), fn(callable_))
    assert bench.failed(ops.Collect(node), items([3])).operator == str(node.function.call_site)


def test_map_partitions_pulling_from_a_map(bench: Bench) -> None:
    def double(records: Any) -> Any:
        for record in records:
            yield record * 2

    node = ops.MapPartitions(ops.Map(ITEMS, fn(boom)), fn(double, "mapPartitions"), False)
    failure = bench.failed(ops.Collect(node), items([1, 3]))
    assert failure.operator == str(node.parent.function.call_site)
    assert failure.record_index == 1


def test_record_index_across_batches(bench: Bench) -> None:
    failure = bench.failed(ops.Count(ops.Map(ops.IntRange(), fn(lambda x: 1 // (x - 20_000)))), (0, 50_000, 1))
    assert (failure.record_index, failure.record) == (20_000, "20000")


def test_raising_repr_and_long_records(bench: Bench) -> None:
    node = ops.Map(ITEMS, fn(lambda x: x.missing))
    assert "repr raised ValueError" in bench.failed(ops.Collect(node), items([BadRepr()])).record
    assert len(bench.failed(ops.Collect(node), items(["x" * 10_000])).record) == 200


def test_exceptions_that_do_not_travel(bench: Bench) -> None:
    failure = bench.failed(ops.Collect(ops.Map(ITEMS, fn(lambda x: (_ for _ in ()).throw(Awkward(1, 2))))), items([1]))
    assert (failure.exception_type, failure.message, failure.exception) == ("Awkward", "1+2", b"")


def test_system_exit_is_a_failure_but_control_c_is_not(bench: Bench) -> None:
    def leave(x: Any) -> Any:
        raise SystemExit(3)

    def interrupt(x: Any) -> Any:
        raise KeyboardInterrupt

    assert bench.failed(ops.Collect(ops.Map(ITEMS, fn(leave))), items([1])).exception_type == "SystemExit"
    with pytest.raises(KeyboardInterrupt):
        bench.attempt(ops.Collect(ops.Map(ITEMS, fn(interrupt))), items([1]))


def test_results_that_do_not_pickle(bench: Bench) -> None:
    collected = bench.failed(ops.Collect(ops.Map(ITEMS, fn(lambda x: threading.Lock() if x else x))), items([0, 1]))
    applied = bench.failed(ops.Apply(ITEMS, fn(lambda it: threading.Lock(), "reduce")), items([]))
    written = bench.failed(
        ops.ShuffleWrite(ops.Map(ITEMS, fn(lambda x: (x, threading.Lock()))), 1, ops.HashPartitioner(2), None, site("partitionBy")),
        items([1]),
    )
    for failure in (collected, applied, written):
        assert failure.kind is FailureKind.FATAL
        assert failure.error is not None
        error = from_wire(*failure.error)
        assert isinstance(error, UnpicklableOutput)
        assert "lock" in str(error)
    assert bench.leftovers() == []


@pytest.mark.parametrize("aggregate", [None, aggregator(lambda a, b: a + b), aggregator(max), aggregator(max, create=str)])
@pytest.mark.parametrize("record", [5, (1,), (1, 2, 3), "abc", None])
def test_records_that_are_no_pairs(bench: Bench, aggregate: Any, record: Any) -> None:
    sink = ops.ShuffleWrite(ITEMS, 1, ops.HashPartitioner(2), aggregate, site("reduceByKey"))
    failure = bench.failed(sink, items([("a", 1), record]))
    assert failure.error is not None
    error = from_wire(*failure.error)
    assert isinstance(error, NotAPair)
    assert isinstance(error, TypeError)
    assert "reduceByKey at app.py" in str(error)
    assert repr(record) in str(error)


@pytest.mark.parametrize("aggregate", [None, aggregator(lambda a, b: a + b), aggregator(max)])
@pytest.mark.parametrize("key", [[1], {"a": 1}, {1}, (1, [2])])
def test_unhashable_keys(bench: Bench, aggregate: Any, key: Any) -> None:
    failure = bench.failed(ops.ShuffleWrite(ITEMS, 1, ops.HashPartitioner(2), aggregate, site("reduceByKey")), items([(key, 1)]))
    assert failure.error is not None
    error = from_wire(*failure.error)
    assert isinstance(error, UnhashableKey)
    assert type(key).__name__ in str(error)


class Plain:
    pass


@pytest.mark.parametrize("key", [Plain(), Plain, len, (1, Plain()), frozenset([Plain()])])
def test_keys_that_hash_by_address(bench: Bench, key: Any) -> None:
    failure = bench.failed(ops.ShuffleWrite(ITEMS, 1, ops.HashPartitioner(2), None, site("groupByKey")), items([(1, 1), (key, 1)]))
    assert failure.kind is FailureKind.FATAL
    assert failure.error is not None
    assert isinstance(from_wire(*failure.error), UnstableKey)


def test_an_error_while_combining_names_the_pair(bench: Bench) -> None:
    merge = fn(lambda a, b: a / b, "reduceByKey")
    for function in (merge, fn(lambda a, b: a + b, "reduceByKey")):
        where = site("reduceByKey")
        sink = ops.ShuffleWrite(ITEMS, 1, ops.HashPartitioner(2), ops.Aggregator(None, function, function), where)
        failure = bench.failed(sink, items([("k", 1), ("j", 1), ("k", None)]))
        assert failure.exception_type == "TypeError"
        assert failure.record == "('k', None)"
        assert failure.operator in (str(where), str(function.call_site))


def test_a_body_that_does_not_open(bench: Bench) -> None:
    broken = open_stage(AddStage(StageId(1), 0, b"nonsense", {}, {}, {}), bench.env).run(1, 0, 0, b"")
    missing = ops.Function(b"cno_such_module\nf\n.", site("map"), "f")
    stage = bench.open(ops.Collect(ops.Map(ITEMS, missing)))
    unknown = stage.run(1, 0, 0, frames.dump_value(items([1])))
    for failure in (broken, unknown):
        assert isinstance(failure, TaskFailure)
        assert failure.kind is FailureKind.FATAL
    assert unknown.exception_type == "ModuleNotFoundError"
    assert "map at app.py" in unknown.message


def test_map_partitions_must_return_records(bench: Bench) -> None:
    failure = bench.failed(ops.Collect(ops.MapPartitions(ITEMS, fn(lambda it: 5, "mapPartitions"), False)), items([]))
    assert failure.exception_type == "TypeError"
    assert "must return an iterable" in failure.message


# ---- bounds ----

HUGE = 30_000_000


class Loaded(Exception):
    """Carries much."""

    def __init__(self, text: str, load: Any = None) -> None:
        super().__init__(text)
        self.load = load


class Two(Exception):
    """Can't be made from its message."""

    def __init__(self, one: str, two: Any) -> None:
        super().__init__(one, two)


class Strange(str):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, place: Any) -> str:
        raise SystemExit


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise SystemExit


class Odd(Exception):
    def __str__(self) -> str:
        return Strange("odd" * 100_000)


def raising(make: Any) -> Any:
    def function(x: Any) -> Any:
        raise make()

    return function


def noted(error: BaseException, *notes: Any) -> BaseException:
    error.__notes__ = list(notes)
    return error


def chained(length: int) -> BaseException:
    error: BaseException = OwnError("first")
    for number in range(length):
        later = OwnError(f"{number}" + "x" * 10_000)
        later.__cause__ = error
        error = later
    return error


@pytest.mark.parametrize(
    "make",
    [
        lambda: ValueError("A" * HUGE),
        lambda: KeyError("A" * HUGE),
        lambda: ValueError(b"A" * HUGE),
        lambda: ValueError([1] * 1_000_000),
        lambda: ValueError("A" * HUGE, "B" * HUGE),
        lambda: UnpicklableOutput("here", "what", "A" * HUGE),
        lambda: noted(ValueError("short"), *["A" * 100_000] * 300),
        lambda: noted(ValueError("short"), 5, b"A" * HUGE),
        lambda: chained(200),
        lambda: ExceptionGroup("A" * HUGE, [ValueError("A" * HUGE)] * 10),
        lambda: SyntaxError("A" * HUGE, ("f", 1, 1, "A" * HUGE)),
        lambda: type("T" * HUGE, (Exception,), {})("x"),
        lambda: ValueError("\ud800" * HUGE),
        Odd,
        Unspeakable,
    ],
)
def test_no_failure_is_large(bench: Bench, make: Any) -> None:
    failure = bench.failed(ops.Collect(ops.Map(ITEMS, fn(raising(make)))), items([1]))
    assert len(failure.message) <= 64 << 10
    assert len(failure.traceback) <= 64 << 10
    assert len(pickle.dumps(failure)) < 2 << 20
    assert failure.kind.value in ("user", "fatal")
    failure.traceback.encode()
    failure.message.encode()


def test_both_ends_of_a_long_text_are_kept(bench: Bench) -> None:
    failure = bench.failed(ops.Collect(ops.Map(ITEMS, fn(raising(lambda: ValueError("first" + "A" * HUGE + "last"))))), items([1]))
    assert failure.message.startswith("first")
    assert failure.message.endswith("last")
    assert f"{HUGE + 9:,} characters" in failure.message
    assert failure.traceback.startswith("Traceback (most recent call last)")
    assert "raise make()" in failure.traceback
    assert failure.traceback.endswith("last\n")
    assert "left out" in failure.traceback
    again = pickle.loads(failure.exception)
    assert type(again) is ValueError
    assert str(again) == failure.message


def test_a_long_chain_keeps_its_first_and_its_last_error(bench: Bench) -> None:
    told = bench.failed(ops.Collect(ops.Map(ITEMS, fn(raising(lambda: chained(200))))), items([1])).traceback
    assert told.startswith("test_failures.OwnError: first\n")
    assert "OwnError: 199xxx" in told or told.endswith("xxx\n")
    assert "characters left out" in told


def test_an_exception_with_a_large_load(bench: Bench) -> None:
    small = bench.failed(ops.Collect(ops.Map(ITEMS, fn(raising(lambda: Loaded("why", b"x" * 1000))))), items([1]))
    assert pickle.loads(small.exception).load == b"x" * 1000
    for load in (lambda: b"x" * HUGE, lambda: "x" * HUGE, lambda: list(range(1_000_000))):
        large = bench.failed(ops.Collect(ops.Map(ITEMS, fn(raising(lambda load=load: Loaded("why", load()))))), items([1]))
        assert (large.exception_type, large.message) == ("Loaded", "why")
        again = pickle.loads(large.exception)
        assert (type(again), str(again), again.load) == (Loaded, "why", None)


def test_a_large_exception_that_its_message_does_not_make(bench: Bench) -> None:
    failure = bench.failed(ops.Collect(ops.Map(ITEMS, fn(raising(lambda: Two("why", b"x" * HUGE))))), items([1]))
    assert failure.exception_type == "Two"
    assert failure.message.startswith("('why', b'xxx")
    assert failure.exception == b""


def test_nothing_huge_is_put_together_on_the_way(bench: Bench) -> None:
    import tracemalloc

    load = b"x" * HUGE
    error = Loaded("A" * HUGE, [load, load[1:], load[2:], load[3:]])
    tracemalloc.start()
    try:
        failure = task_failure(error, 1)
        assert tracemalloc.get_traced_memory()[1] < HUGE
    finally:
        tracemalloc.stop()
    assert len(failure.exception) < 1 << 20
