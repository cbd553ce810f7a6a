"""Barrier stages as users see them: `rdd.barrier()`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from quiver.closures import DriverOnly
from quiver.rdd_core import RddCore
from quiver_proto import ops

if TYPE_CHECKING:
    from quiver.rdd import RDD

T = TypeVar("T")
U = TypeVar("U")


class BarrierOperators(RddCore[T]):
    """`barrier` and what belongs to it."""

    __slots__ = ()

    def barrier(self) -> RDDBarrier[T]:
        """Have what is made next computed by a barrier stage: all its tasks run at the same time, and can wait for one another
        (BarrierTaskContext). When one fails, all run again, up to `spark.task.maxFailures` times.

        A job of such a stage raises BarrierTooWide when there are fewer slots than tasks, and BarrierChainUnsupported when datasets of
        the stage differ in their numbers of partitions.

        >>> sc.parallelize([1, 2], 1).barrier().mapPartitions(lambda part: [sum(part)]).collect()
        [3]
        """
        return RDDBarrier(self)  # type: ignore[arg-type]

    def _is_barrier(self) -> bool:
        return self._dataset.barrier


class RDDBarrier(DriverOnly, Generic[T]):
    """An RDD on which the next operator makes a barrier stage. Made by `RDD.barrier`.

    >>> sc.parallelize([1, 2, 3, 4], 1).barrier()
    RDDBarrier(RDD[...] Parallelized parallelize at ...)
    """

    def __init__(self, rdd: RDD[T]) -> None:
        self.rdd = rdd

    def __repr__(self) -> str:
        return f"RDDBarrier({self.rdd!r})"

    def mapPartitions(self, f: Callable[[Iterator[T]], Iterable[U]], preservesPartitioning: bool = False) -> RDD[U]:
        """As RDD.mapPartitions, in a barrier stage.

        >>> rdd = sc.parallelize([1, 2, 3, 4], 1)
        >>> rdd.barrier().mapPartitions(lambda part: [sum(part)]).collect()
        [10]
        """
        return self._made(f, preservesPartitioning, with_index=False)

    def mapPartitionsWithIndex(self, f: Callable[[int, Iterator[T]], Iterable[U]], preservesPartitioning: bool = False) -> RDD[U]:
        """As RDD.mapPartitionsWithIndex, in a barrier stage.

        >>> sc.parallelize([1, 2, 3, 4], 1).barrier().mapPartitionsWithIndex(lambda i, part: [i]).sum()
        0
        """
        return self._made(f, preservesPartitioning, with_index=True)

    def _made(self, function: Callable[..., Any], keep: bool, *, with_index: bool) -> RDD[Any]:
        return self.rdd._narrow(ops.MapPartitions, function, keep=keep, with_index=with_index, barrier=True)
