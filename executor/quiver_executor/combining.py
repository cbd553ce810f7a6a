"""The dict loops that aggregate values by key: the hottest Python in a reduceByKey.

Each loop takes a whole batch, so that no call but the user's is made per record. An error names the record it happened at.
"""

from __future__ import annotations

from collections import _count_elements  # type: ignore[attr-defined]
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

from quiver_executor.functions import is_addition, least_or_most
from quiver_executor.kernels import How
from quiver_executor.partitioning import as_pairs, is_pair, not_a_pair, unhashable
from quiver_executor.task import Task
from quiver_proto.columns import Columns, last_read, reading, to_list
from quiver_proto.functions import keep_first
from quiver_proto.ops import CallSite

Combiners = dict[Any, Any]
Combine = Callable[[Combiners, Sequence[Any] | Columns], None]
"""Merge a batch of pairs into the dict."""


def kernel_of(create: Callable[[Any], Any] | None, merge: Any) -> How | None:
    """What the kernels call it, when they can do what `merge` does on some types."""
    if create is not None:
        return None
    if is_addition(merge):
        return "sum"
    if merge is keep_first:
        return "first"
    return least_or_most(merge)


class Combining:
    """combineByKey's functions, ready for one task. `create` None: the first value is the combiner."""

    __slots__ = ("_create", "_site", "_task", "merge_combiners", "merge_values")

    def __init__(
        self,
        task: Task,
        create: Callable[[Any], Any] | None,
        merge_value: Callable[[Any, Any], Any],
        merge_combiners: Callable[[Any, Any], Any],
        site: CallSite,
    ) -> None:
        self._task = task
        self._site = site
        self._create = create
        self.merge_values = self._guarded(_loop(create, merge_value))
        self.merge_combiners = self._guarded(_loop(None, merge_combiners))

    def merge_left(self, combiners: Combiners, columns: Columns) -> None:
        """Merge what a kernel has left: values, or values merged."""
        self.merge_values(combiners, columns)

    def single(self, batch: list[Any]) -> list[tuple[Any, Any]]:
        """The pairs of `batch`, each value a combiner of its own."""
        pairs = as_pairs(batch, self._site)
        create = self._create
        return pairs if create is None else [(key, create(value)) for key, value in pairs]

    def pairs(self, combiners: Combiners) -> Iterable[tuple[Any, Any]]:
        return combiners.items()

    def _guarded(self, loop: Callable[[Combiners, Iterator[Any]], None]) -> Combine:
        def combine(combiners: Combiners, batch: Sequence[Any] | Columns) -> None:
            pairs, rest = reading(batch)
            try:
                loop(combiners, pairs)
            except Exception as error:
                record = last_read(batch, rest)
                self._task.blame = self._site, record
                meaning = explained(error, self._site, record)
                if meaning is error:
                    raise
                raise meaning from None

        return combine


class Counting:
    """What Combining does for records that a map makes into (record, count) and reduceByKey adds up, without making the pairs.

    The count is an int, so adding it n times and multiplying by n are the same.
    """

    __slots__ = ("_count", "_site", "_task")

    def __init__(self, task: Task, count: int, site: CallSite) -> None:
        self._task = task
        self._count = count
        self._site = site

    def merge_values(self, counts: Combiners, batch: Sequence[Any]) -> None:
        try:
            _count_elements(counts, batch)
        except Exception:
            for record in batch:
                error = unhashable(self._site, (record, self._count))
                if error is not None:
                    self._task.blame = self._site, (record, self._count)
                    raise error from None
            raise

    def merge_left(self, counts: Combiners, columns: Columns) -> None:
        """Merge what a kernel has left: keys with multiples of the count."""
        if self._count == 0:
            self.merge_values(counts, to_list(columns.keys))
            return
        for key, number in columns:
            counts[key] = counts.get(key, 0) + number // self._count

    def single(self, batch: list[Any]) -> list[tuple[Any, Any]]:
        return list(zip(batch, repeat(self._count)))

    def pairs(self, counts: Combiners) -> Iterable[tuple[Any, Any]]:
        count = self._count
        return counts.items() if count == 1 else ((key, number * count) for key, number in counts.items())


def _loop(create: Callable[[Any], Any] | None, merge: Callable[[Any, Any], Any]) -> Callable[[Combiners, Iterator[Any]], None]:
    if create is None and is_addition(merge):
        return _add
    if create is None:

        def keep_first(combiners: Combiners, pairs: Iterator[Any]) -> None:
            for key, value in pairs:
                combiners[key] = merge(combiners[key], value) if key in combiners else value

        return keep_first

    def create_first(combiners: Combiners, pairs: Iterator[Any]) -> None:
        for key, value in pairs:
            combiners[key] = merge(combiners[key], value) if key in combiners else create(value)

    return create_first


def _add(combiners: Combiners, pairs: Iterator[Any]) -> None:
    for key, value in pairs:
        # Not +=, which would change the first value where it is a list.
        combiners[key] = combiners[key] + value if key in combiners else value


def is_ours(error: BaseException) -> bool:
    """Was it raised by our own loop, not by something that the loop called? The traceback then ends two frames down."""
    trace = error.__traceback__
    return trace is not None and (trace.tb_next is None or trace.tb_next.tb_next is None)


def explained(error: Exception, site: CallSite, record: Any) -> BaseException:
    """`error`, or what it means when taking the record apart or hashing its key caused it."""
    if isinstance(error, TypeError | ValueError) and is_ours(error):
        if not is_pair(record):
            return not_a_pair(site, record)
        return unhashable(site, record) or error
    return error
