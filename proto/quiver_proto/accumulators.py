"""Accumulators: variables that tasks only add to, and that only the driver reads.

On the driver an Accumulator holds the value. Its pickle holds its id, its param and a zero: what a task unpickles is another object,
local to that task, whose sum travels with the end of the task. The driver adds the sums of attempts that were accepted, each partition of a
stage once, whatever was retried, speculated, or made again after its output was lost.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from quiver_proto.errors import ValueNotAccessible

T = TypeVar("T")

opened: dict[int, Accumulator[Any]] = {}
"""The accumulators that the task in this process has unpickled, by id. Empty between tasks: one look tells that there is nothing to do."""
_of_driver: weakref.WeakValueDictionary[int, Accumulator[Any]] = weakref.WeakValueDictionary()
_tasks_here = False


class AccumulatorParam(Generic[T]):
    """How values of a type are added up. Subclass it and give both methods.

    >>> from quiver.accumulators import AccumulatorParam
    >>> class Longest(AccumulatorParam):
    ...     def zero(self, value):
    ...         return ""
    ...     def addInPlace(self, value1, value2):
    ...         return max(value1, value2, key=len)
    >>> longest = sc.accumulator("", Longest())
    >>> sc.parallelize(["to", "be", "or", "not", "to", "be"], 3).foreach(longest.add)
    >>> longest.value
    'not'
    """

    def zero(self, value: T) -> T:
        """What adding to changes nothing; as long as `value` where that matters (a vector of zeros).

        >>> class Sums(AccumulatorParam):
        ...     def zero(self, value): return [0] * len(value)
        ...     def addInPlace(self, value1, value2): return [a + b for a, b in zip(value1, value2)]
        >>> sc.accumulator([1, 2], Sums()).value
        [1, 2]
        """
        raise NotImplementedError(f"{type(self).__name__} must define zero(value)")

    def addInPlace(self, value1: T, value2: T) -> T:
        """The sum of both. It may change `value1` and return it. Adding must be commutative and associative.

        >>> class Longest(AccumulatorParam):
        ...     def zero(self, value): return ""
        ...     def addInPlace(self, value1, value2): return max(value1, value2, key=len)
        >>> words = sc.accumulator("", Longest())
        >>> sc.parallelize(["a", "abc", "ab"]).foreach(words.add)
        >>> words.value
        'abc'
        """
        raise NotImplementedError(f"{type(self).__name__} must define addInPlace(value1, value2)")


class AddingAccumulatorParam(AccumulatorParam[T]):
    """Adds with `+=`, starting from `zero_value`.

    >>> from quiver.accumulators import AddingAccumulatorParam
    >>> names = sc.accumulator((), AddingAccumulatorParam(()))
    >>> names += ("a",)
    >>> names.value
    ('a',)
    """

    def __init__(self, zero_value: T) -> None:
        self.zero_value = zero_value

    def zero(self, value: T) -> T:
        """The zero that it was made with."""
        return self.zero_value

    def addInPlace(self, value1: T, value2: T) -> T:
        """`value1 += value2`."""
        value1 += value2  # type: ignore[operator]
        return value1


INT_ACCUMULATOR_PARAM: AccumulatorParam[Any] = AddingAccumulatorParam(0)
FLOAT_ACCUMULATOR_PARAM: AccumulatorParam[Any] = AddingAccumulatorParam(0.0)
COMPLEX_ACCUMULATOR_PARAM: AccumulatorParam[Any] = AddingAccumulatorParam(0.0j)


class Accumulator(Generic[T]):
    """A variable that tasks add to with `+=` or `add`, and whose `value` only the driver program can read.

    Made by Context.accumulator. What a task adds counts when the task is accepted, once for each partition of a stage: attempts that
    fail, are killed or come second never count. The value is complete for a job when its action returns or raises. In transformations,
    each job that runs them adds again.

    >>> a = sc.accumulator(1)
    >>> a += 5
    >>> a.value
    6
    >>> sc.parallelize([1, 2, 3]).foreach(lambda x: a.add(x))
    >>> a.value
    12
    >>> a.value = 2
    >>> print(a)
    2
    """

    def __init__(self, aid: int, value: T, accum_param: AccumulatorParam[T]) -> None:
        self.aid = aid
        self.accum_param = accum_param
        self._value = value
        self._in_task = False
        self._added = False
        _of_driver[aid] = self

    def __reduce__(self) -> tuple[Callable[..., Accumulator[T]], tuple[int, T, AccumulatorParam[T]]]:
        return _open, (self.aid, self.accum_param.zero(self._value), self.accum_param)

    @property
    def value(self) -> T:
        """The sum so far. On the driver only: in a task it raises ValueNotAccessible (a RuntimeError). It can be set there, too.

        >>> total = sc.accumulator(1)
        >>> sc.parallelize([2, 3]).foreach(total.add)
        >>> total.value
        6
        """
        if self._in_task:
            raise ValueNotAccessible("Accumulator.value")
        return self._value

    @value.setter
    def value(self, value: T) -> None:
        if self._in_task:
            raise ValueNotAccessible("Accumulator.value")
        self._value = value

    def add(self, term: T) -> None:
        """Add `term`.

        >>> words = sc.accumulator(0)
        >>> sc.parallelize(["to be", "or not"]).foreach(lambda line: words.add(len(line.split())))
        >>> words.value
        4
        """
        self._value = self.accum_param.addInPlace(self._value, term)
        self._added = True

    def __iadd__(self, term: T) -> Accumulator[T]:
        self.add(term)
        return self

    def __str__(self) -> str:
        return str(self._value)

    def __repr__(self) -> str:
        return f"Accumulator<id={self.aid}, value={self._value}>"


def _open(aid: int, zero: T, accum_param: AccumulatorParam[T]) -> Accumulator[T]:
    """What a pickled accumulator becomes: the task's own one, the same for all its functions; on the driver the original."""
    mine = None if _tasks_here else _of_driver.get(aid)
    if mine is not None:
        return mine
    known = opened.get(aid)
    if known is None:
        known = Accumulator.__new__(Accumulator)
        known.aid, known.accum_param, known._value, known._in_task, known._added = aid, accum_param, zero, True, False
        opened[aid] = known
    return known


def take_updates() -> dict[int, Any]:
    """What the task that has just ended added, by accumulator; the next task starts with zeros."""
    updates = {aid: accumulator._value for aid, accumulator in opened.items() if accumulator._added}
    opened.clear()
    return updates


def find(aid: int) -> Accumulator[Any] | None:
    """The driver's accumulator; None when nothing refers to it any more."""
    return _of_driver.get(aid)


@contextmanager
def task_in_driver() -> Iterator[None]:
    """Within the block this process, which has a driver, runs a task (inline mode): what is unpickled now is the task's."""
    global _tasks_here
    before, outer = _tasks_here, dict(opened)
    _tasks_here = True
    opened.clear()
    try:
        yield
    finally:
        _tasks_here = before
        opened.clear()
        opened.update(outer)
