"""Putting records together by key that are in their partition already: a shuffle's merge without the shuffle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, assert_never

from quiver_executor.combining import Combining
from quiver_executor.external import Groups, aggregate, in_chunks
from quiver_executor.functions import Functions, is_identity
from quiver_executor.memory import batches_of
from quiver_executor.partitioning import as_pairs
from quiver_executor.shuffle_read import ByCombiner, ByKey, BySide
from quiver_executor.sorting import by_key, sort
from quiver_executor.task import Cursor, End, Flow, Task, feed
from quiver_proto import ops
from quiver_proto.ops import CallSite

Build = Callable[[Task, Any, Cursor], Flow]
CheckEnd = Callable[[End], None]

_OUT = 1024
"""Records in a batch of merged output."""


def compile_gather(node: ops.Gather, parents: Sequence[Build], check_end: CheckEnd, functions: Functions) -> Build:
    """`parents` are the node's, compiled. `functions` have theirs already."""
    merge, site = node.merge, node.call_site
    open_groups: Callable[[Task], Groups]
    match merge:
        case ops.Combine():
            aggregator = merge.aggregator
            create = -1 if aggregator.create is None else functions.add(aggregator.create)
            merge_value, merge_combiners = functions.add(aggregator.merge_value), functions.add(aggregator.merge_combiners)

            def combiners(task: Task) -> Groups:
                created = None if create < 0 else task.f[create]
                return ByCombiner(Combining(task, created, task.f[merge_value], task.f[merge_combiners], site), combined=False)

            open_groups = combiners

        case ops.Group():
            open_groups = lambda task: ByKey(task, site)  # noqa: E731
        case ops.CoGroup():
            sides = len(parents)
            open_groups = lambda task: BySide(task, sides, site)  # noqa: E731
        case ops.Sort():
            return _compile_sort(merge, parents[0], check_end, site, functions)
        case ops.Concatenate():
            raise AssertionError("records that are in their place and stay as they are need no Gather")
        case _:
            assert_never(merge)
    sided = isinstance(merge, ops.CoGroup)

    def run(task: Task, splits: Sequence[Any], cursor: Cursor) -> Flow:
        def batches() -> Iterator[Any]:
            for side, (build, split) in enumerate(zip(parents, splits, strict=True)):
                for batch in _pairs(build(task, split, cursor if side == 0 else Cursor()), check_end, site, sided):
                    yield (side, batch) if sided else batch

        parts = aggregate(task, lambda: open_groups(task), batches(), lambda groups, batch: groups.absorb(batch))
        return feed(Cursor(), (chunk for part in parts for chunk in in_chunks(part, _OUT)))

    return run


def _pairs(flow: Flow, check_end: CheckEnd, site: CallSite, first_two: bool = False) -> Iterator[list[tuple[Any, Any]]]:
    records, end = flow
    for batch in batches_of(records):
        yield as_pairs(batch, site, first_two)
    check_end(end)


def _compile_sort(merge: ops.Sort, parent: Build, check_end: CheckEnd, site: CallSite, functions: Functions) -> Build:
    number = -1 if merge.key is None else functions.add(merge.key)

    def run(task: Task, splits: Sequence[Any], cursor: Cursor) -> Flow:
        function = None if number < 0 else task.f[number]
        key = by_key if function is None or is_identity(function) else _on_key(function)

        def ordered() -> Iterator[list[Any]]:
            # Sorting starts when the first record is wanted.
            return sort(task, _pairs(parent(task, splits[0], cursor), check_end, site), key, not merge.ascending)

        return feed(Cursor(), chain.from_iterable(chunks() for chunks in (ordered,)))

    return run


def _on_key(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda record: function(record[0])
