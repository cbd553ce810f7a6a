"""The reduce side of a shuffle: fetch a partition's pieces in map order and put them together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, assert_never

from quiver_executor.combined_columns import CombinedColumns, GroupedColumns
from quiver_executor.combining import Combining, explained, kernel_of
from quiver_executor.external import STATES, Groups, Piece, SpillFile, ValuesOnDisk, aggregate, in_chunks, state_batches
from quiver_executor.fetch import shuffle_batches
from quiver_executor.functions import Functions, is_identity
from quiver_executor.sorting import by_key, sort
from quiver_executor.task import Cursor, Flow, Task, feed
from quiver_proto import ops
from quiver_proto.columns import Columns, last_read, reading
from quiver_proto.frames import dump_records, load, load_batch
from quiver_proto.ops import CallSite

_OUT = 1024
_NONE: list[Any] = []
"""Records in a batch of merged output."""


def compile_read(node: ops.ShuffleRead, functions: Functions) -> Callable[[Task, Any, Cursor], Flow]:
    merge = node.merge
    ids, site = node.shuffle_ids, functions.source
    match merge:
        case ops.Concatenate():
            return lambda task, split, cursor: feed(cursor, _all_batches(task, ids, split, load))
        case ops.Combine():
            return _compile_combine(ids, merge, functions)
        case ops.Group():
            return lambda task, split, cursor: _merged(
                cursor,
                aggregate(
                    task,
                    lambda: GroupedColumns(ByKey(task, site)),
                    _all_batches(task, ids, split),
                    lambda groups, batch: groups.absorb(batch),
                ),
            )
        case ops.CoGroup():
            return lambda task, split, cursor: _merged(
                cursor,
                aggregate(
                    task, lambda: BySide(task, len(ids), site), _sided_batches(task, ids, split), lambda groups, batch: groups.absorb(batch)
                ),
            )
        case ops.Sort():
            return _compile_sort(ids, merge, functions)
        case _:
            assert_never(merge)


def _all_batches(task: Task, ids: tuple[int, ...], partition: int, opened: Callable[[Any], Any] = load_batch) -> Iterator[Any]:
    """Lists of records, or Columns."""
    return chain.from_iterable(shuffle_batches(task, shuffle_id, partition, opened) for shuffle_id in ids)


def _sided_batches(task: Task, ids: tuple[int, ...], partition: int) -> Iterator[tuple[int, list[Any] | Columns]]:
    for side, shuffle_id in enumerate(ids):
        for batch in shuffle_batches(task, shuffle_id, partition):
            yield side, batch


def _merged(cursor: Cursor, parts: Iterator[Iterable[Any]]) -> Flow:
    return feed(cursor, (chunk for part in parts for chunk in in_chunks(part, _OUT)))


# ---- Combine ----


def _compile_combine(ids: tuple[int, ...], merge: ops.Combine, functions: Functions) -> Callable[[Task, Any, Cursor], Flow]:
    aggregator = merge.aggregator
    site = aggregator.merge_combiners.call_site
    create = -1 if aggregator.create is None else functions.add(aggregator.create)
    merge_value, merge_combiners = functions.add(aggregator.merge_value), functions.add(aggregator.merge_combiners)

    def run(task: Task, split: Any, cursor: Cursor) -> Flow:
        created = None if create < 0 else task.f[create]
        combining = Combining(task, created, task.f[merge_value], task.f[merge_combiners], site)
        how = kernel_of(created, task.f[merge_combiners])

        def groups() -> Groups:
            plain = ByCombiner(combining, merge.combined)
            return plain if how is None else CombinedColumns(plain, how)

        parts = aggregate(
            task,
            groups,
            _all_batches(task, ids, split),
            lambda groups, batch: groups.absorb(batch),
        )
        return _merged(cursor, parts)

    return run


class ByCombiner(Groups):
    """key -> combiner."""

    def __init__(self, combining: Combining, combined: bool) -> None:
        self._combiners: dict[Any, Any] = {}
        self._first = combining.merge_combiners if combined else combining.merge_values
        self._merge = combining.merge_combiners

    def absorb(self, batch: list[Any] | Columns) -> None:
        self._first(self._combiners, batch)

    def absorb_states(self, batch: list[Any] | Columns) -> None:
        self._merge(self._combiners, batch)

    def states(self) -> Iterator[list[Any]]:
        return in_chunks(self._combiners.items(), STATES)

    def finished(self) -> Iterable[Any]:
        return self._combiners.items()

    def clear(self) -> None:
        self._combiners = {}

    def keys(self) -> int:
        return len(self._combiners)

    def held(self, record_bytes: int) -> int:
        return len(self._combiners) * (record_bytes + 40)

    def put_aside(self, spill: SpillFile) -> bool:
        return False  # Combiners are users' objects, which have to be there as they are.


# ---- Group ----


class ByKey(Groups):
    """key -> list of values."""

    def __init__(self, task: Task, site: CallSite) -> None:
        self._task = task
        self._site = site
        self._lists: defaultdict[Any, list[Any]] = defaultdict(list)
        self._values = 0
        self._aside: dict[Any, list[Piece]] = {}
        self._sizes: dict[Any, int] = {}
        self._spill: SpillFile | None = None

    def absorb(self, batch: list[Any] | Columns) -> None:
        _append(self._task, self._site, self._lists, batch)
        self._values += len(batch)

    def absorb_states(self, batch: list[Any] | Columns) -> None:
        lists = self._lists
        for key, values in batch:
            lists[key].extend(values)
            self._values += len(values)

    def states(self) -> Iterator[list[Any]]:
        for key, pieces in self._aside.items():
            assert self._spill is not None
            for values in self._spill.batches(pieces):
                yield [(key, values)]
        yield from state_batches(self._lists.items())

    def finished(self) -> Iterable[Any]:
        return self._with_aside() if self._aside else self._lists.items()

    def _with_aside(self) -> Iterator[tuple[Any, Any]]:
        spill = self._spill
        assert spill is not None
        for key, pieces in self._aside.items():
            yield key, ValuesOnDisk(spill, pieces, self._sizes[key], self._lists.pop(key, []))
        yield from self._lists.items()

    def put_aside(self, spill: SpillFile) -> bool:
        self._spill = spill
        for key, values in self._lists.items():
            pieces = self._aside.setdefault(key, [])
            pieces += (spill.append(dump_records(part)) for part in in_chunks(values, STATES))
            self._sizes[key] = self._sizes.get(key, 0) + len(values)
        self._lists = defaultdict(list)
        self._values = 0
        return True

    def clear(self) -> None:
        self._lists = defaultdict(list)
        self._values = 0
        self._aside, self._sizes = {}, {}

    def keys(self) -> int:
        return len(self._lists.keys() | self._aside.keys()) if self._aside else len(self._lists)

    def held(self, record_bytes: int) -> int:
        return self._values * record_bytes + len(self._lists) * 120


def _append(task: Task, site: CallSite, lists: defaultdict[Any, list[Any]], batch: list[Any] | Columns) -> None:
    pairs, rest = reading(batch)
    try:
        for key, value in pairs:
            lists[key].append(value)
    except (TypeError, ValueError) as error:
        record = last_read(batch, rest)
        task.blame = site, record
        meaning = explained(error, site, record)
        if meaning is error:
            raise
        raise meaning from None


# ---- CoGroup ----


class BySide(Groups):
    """key -> one list of values per shuffle. Batches are (side, records)."""

    def __init__(self, task: Task, sides: int, site: CallSite) -> None:
        self._task = task
        self._site = site
        self._sides: list[defaultdict[Any, list[Any]]] = [defaultdict(list) for _ in range(sides)]
        self._values = 0

    def absorb(self, batch: Any) -> None:
        side, records = batch
        _append(self._task, self._site, self._sides[side], records)
        self._values += len(records)

    def absorb_states(self, batch: list[Any] | Columns) -> None:
        for key, groups in batch:
            for side, values in zip(self._sides, groups):
                if values:
                    side[key].extend(values)
                    self._values += len(values)

    def states(self) -> Iterator[list[Any]]:
        sides = len(self._sides)
        nothing: list[Any] = []
        for number, side in enumerate(self._sides):
            before, after = (nothing,) * number, (nothing,) * (sides - number - 1)
            for batch in state_batches(side.items()):
                yield [(key, (*before, values, *after)) for key, values in batch]

    def put_aside(self, spill: SpillFile) -> bool:
        return False  # Joins need the values of a key at hand.

    def finished(self) -> Iterable[Any]:
        return self._grouped()

    def _grouped(self) -> Iterator[tuple[Any, tuple[list[Any], ...]]]:
        """Keys in the order in which they came."""
        for number, side in enumerate(self._sides):
            later = self._sides[number + 1 :]
            before: tuple[list[Any], ...] = ()
            if len(later) == 1 and number == 0:
                take = later[0].pop
                for key, values in side.items():
                    yield key, (values, take(key, _NONE) or [])
                continue
            for key, values in side.items():
                before = tuple([] for _ in range(number))
                yield key, (*before, values, *(other.pop(key, _NONE) or [] for other in later))

    def clear(self) -> None:
        self._sides = [defaultdict(list) for _ in self._sides]
        self._values = 0

    def keys(self) -> int:
        return max(map(len, self._sides))

    def held(self, record_bytes: int) -> int:
        return self._values * record_bytes + sum(map(len, self._sides)) * 120


# ---- Sort ----


def _compile_sort(ids: tuple[int, ...], merge: ops.Sort, functions: Functions) -> Callable[[Task, Any, Cursor], Flow]:
    number = -1 if merge.key is None else functions.add(merge.key)

    def run(task: Task, split: Any, cursor: Cursor) -> Flow:
        function = None if number < 0 else task.f[number]
        key = by_key if function is None or is_identity(function) else _on_key(function)
        # Sorting starts when the first record is wanted.
        return feed(cursor, chain.from_iterable(_once(task, ids, split, key, not merge.ascending)))

    return run


def _on_key(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda record: function(record[0])


def _once(task: Task, ids: tuple[int, ...], split: int, key: Callable[[Any], Any], reverse: bool) -> Iterator[Iterator[list[Any]]]:
    yield sort(task, _all_batches(task, ids, split), key, reverse)
