"""From a stage's tree of nodes to iterators that run in C.

`compile_node` turns a node into a `Build`: given a task and its split, the records. It is called once per stage, a Build once per task.
No frame of ours runs per record for map, filter, flatMap and mapPartitions; for the operators on pairs one generator does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, product
from typing import Any, assert_never

from quiver_executor.external import Replay
from quiver_executor.functions import Functions
from quiver_executor.shuffle_read import compile_read
from quiver_executor.sources import fixed_batches, item_batches, line_batches, pickled_batches, range_batches, whole_file_batches
from quiver_executor.task import Cursor, End, Flow, Task, feed, traced_map
from quiver_proto import ops
from quiver_proto.ops import CallSite
from quiver_proto.shorten import shorten

Build = Callable[[Task, Any, Cursor], Flow]

STOPPED = "Caught StopIteration thrown from user's code; failing the task"


class StopIterationInUserCode(RuntimeError):
    """Becomes a plain RuntimeError when it is reported."""

    def __init__(self) -> None:
        super().__init__(STOPPED)


def check_end(end: End) -> None:
    """To be called when the records have stopped. Raises when a user's StopIteration stopped them."""
    if not end.reached:
        raise StopIterationInUserCode


def compile_node(node: ops.Node, functions: Functions) -> Build:
    """Functions are added in order, source first."""
    # A chain may be longer than Python's recursion limit allows to nest.
    chained: list[ops.Map | ops.Filter | ops.FlatMap | ops.MapValues | ops.FlatMapValues | ops.KeyBy | ops.MapPartitions] = []
    while isinstance(node, ops.Map | ops.Filter | ops.FlatMap | ops.MapValues | ops.FlatMapValues | ops.KeyBy | ops.MapPartitions):
        chained.append(node)
        node = node.parent
    build = _compile_base(node, functions)
    steps: list[Step] = []
    for link in reversed(chained):
        if isinstance(link, ops.MapPartitions) and link.with_index:
            build = _indexed(_with_steps(build, steps), functions.add(link.function, is_flat=True))
            steps = []
        else:
            steps.append(_compile_step(link, functions))
    return _with_steps(build, steps)


# ---- chains ----

Step = Callable[[Task, Iterator[Any], End], Flow]


def _with_steps(build: Build, steps: list[Step]) -> Build:
    if not steps:
        return build

    def run(task: Task, split: Any, cursor: Cursor) -> Flow:
        records, end = build(task, split, cursor)
        for step in steps:
            records, end = step(task, records, end)
        return records, end

    return run


def _compile_step(
    node: ops.Map | ops.Filter | ops.FlatMap | ops.MapValues | ops.FlatMapValues | ops.KeyBy | ops.MapPartitions, functions: Functions
) -> Step:
    site = node.function.call_site
    number = functions.add(node.function, is_flat=isinstance(node, ops.FlatMap | ops.FlatMapValues | ops.MapPartitions))
    match node:
        case ops.Map():
            return lambda task, records, end: (task.map(number, records), end)
        case ops.Filter():
            return lambda task, records, end: (filter(task.f[number], records), end)
        case ops.FlatMap():
            return lambda task, records, end: (chain.from_iterable(task.map(number, records)), end)
        case ops.MapValues():
            return lambda task, records, end: (_map_values(task.f[number], records, site), end)
        case ops.FlatMapValues():
            return lambda task, records, end: (_flat_map_values(task.f[number], records, site), end)
        case ops.KeyBy():
            return lambda task, records, end: (_key_by(task.f[number], records, site), end)
        case ops.MapPartitions():
            return lambda task, records, end: _own(task.f[number](guarded(records, end)), site)
        case _:
            assert_never(node)


def _map_values(function: Callable[[Any], Any], records: Iterator[Any], site: CallSite) -> Iterator[Any]:
    for record in records:
        yield record[0], function(record[1])


def _flat_map_values(function: Callable[[Any], Iterable[Any]], records: Iterator[Any], site: CallSite) -> Iterator[Any]:
    for record in records:
        key = record[0]
        for value in function(record[1]):
            yield key, value


def _key_by(function: Callable[[Any], Any], records: Iterator[Any], site: CallSite) -> Iterator[Any]:
    for record in records:
        yield function(record), record


PER_RECORD = frozenset(function.__code__ for function in (_map_values, _flat_map_values, _key_by, traced_map))
"""Frames of ours that call users' functions and know, as their local `site`, whose."""


def guarded(records: Iterator[Any], end: End) -> Iterator[Any]:
    """`records` for a user's function that reads them itself: raises at their end if a StopIteration made it."""
    return chain(records, _checked(end))


def _checked(end: End) -> Iterator[Any]:
    check_end(end)
    return
    yield


def _own(result: Any, site: CallSite) -> Flow:
    """What a user's function over a partition returned, as records with an end of their own."""
    try:
        records = iter(result)
    except TypeError:
        raise TypeError(
            f"the function given to {site} must return an iterable of records, not {type(result).__qualname__}: {shorten(result)}"
        ) from None
    end = End()
    return chain(records, _reach(end)), end


def _reach(end: End) -> Iterator[Any]:
    end.reached = True
    return
    yield


def _indexed(build: Build, number: int) -> Build:
    def run(task: Task, split: Any, cursor: Cursor) -> Flow:
        index, inner = split
        return _own(task.f[number](index, guarded(*build(task, inner, cursor))), task.site(number))

    return run


# ---- sources and nodes with several parents ----


def _compile_base(node: ops.Node, functions: Functions) -> Build:
    match node:
        case ops.Items():
            return lambda task, split, cursor: feed(cursor, item_batches(split))
        case ops.IntRange():
            return lambda task, split, cursor: feed(cursor, range_batches(split))
        case ops.TextLines(unicode):
            return lambda task, split, cursor: feed(cursor, line_batches(task, split, unicode))
        case ops.WholeFiles(unicode, raw):
            return lambda task, split, cursor: feed(cursor, whole_file_batches(task, split, unicode, raw))
        case ops.FixedRecords(length):
            return lambda task, split, cursor: feed(cursor, fixed_batches(task, split, length))
        case ops.PickledRecords(key, trusted):
            return lambda task, split, cursor: feed(cursor, pickled_batches(task, split, key, trusted))
        case ops.ShuffleRead():
            return compile_read(node, functions)
        case ops.CheckpointRead():
            from quiver_executor.checkpoint_files import checkpoint_batches

            return lambda task, split, cursor: feed(cursor, checkpoint_batches(task, split))
        case ops.Fragment():
            from quiver_executor.fragment import compile_source

            return compile_source(node)
        case ops.Union():
            branches = [compile_node(parent, functions) for parent in node.parents]
            return lambda task, split, cursor: branches[split[0]](task, split[1], cursor)
        case ops.Cache():
            from quiver_executor.cache_node import compile_cache

            return compile_cache(node, compile_node(node.parent, functions))
        case ops.Coalesce():
            return _coalesce(compile_node(node.parent, functions))
        case ops.Cartesian():
            return _cartesian(compile_node(node.left, functions), compile_node(node.right, functions))
        case ops.Zip():
            return _zip(compile_node(node.left, functions), compile_node(node.right, functions))
        case ops.Gather():
            from quiver_executor.gather import compile_gather

            return compile_gather(node, [compile_node(parent, functions) for parent in node.parents], check_end, functions)
        case _:
            raise AssertionError(f"{type(node).__name__} has no place at the bottom of a chain")


def _coalesce(build: Build) -> Build:
    def partitions(task: Task, splits: list[Any], cursor: Cursor, whole: End) -> Iterator[Iterator[Any]]:
        for split in splits:
            records, end = build(task, split, cursor)
            yield records
            check_end(end)
        whole.reached = True

    def run(task: Task, splits: list[Any], cursor: Cursor) -> Flow:
        whole = End()
        return chain.from_iterable(partitions(task, splits, cursor, whole)), whole

    return run


def _cartesian(left: Build, right: Build) -> Build:
    def run(task: Task, split: Any, cursor: Cursor) -> Flow:
        right_records, right_end = right(task, split[1], Cursor())
        kept = Replay(task, right_records)
        check_end(right_end)
        left_records, left_end = left(task, split[0], cursor)
        if kept.in_memory is not None:
            held = kept.in_memory
            return chain.from_iterable(product((record,), held) for record in left_records), left_end
        return ((record, other) for record in left_records for other in kept), left_end

    return run


def _zip(left: Build, right: Build) -> Build:
    def pairs(one: Flow, other: Flow, whole: End) -> Iterator[Any]:
        missing = object()
        (left_records, left_end), (right_records, right_end) = one, other
        count = 0
        for record in left_records:
            partner = next(right_records, missing)
            if partner is missing:
                check_end(right_end)
                raise ValueError(
                    f"Can only zip with RDD which has the same number of elements: the right partition has {count}, the left more"
                )
            yield record, partner
            count += 1
        check_end(left_end)
        if next(right_records, missing) is not missing:
            raise ValueError(f"Can only zip with RDD which has the same number of elements: the left partition has {count}, the right more")
        check_end(right_end)
        whole.reached = True

    def run(task: Task, split: Any, cursor: Cursor) -> Flow:
        whole = End()
        return pairs(left(task, split[0], cursor), right(task, split[1], Cursor()), whole), whole

    return run
