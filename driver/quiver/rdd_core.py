"""What every RDD is: a dataset of a Context. The plumbing that operators and actions stand on."""

from __future__ import annotations

import dataclasses
import io
import pickle
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from quiver.callsite import capture
from quiver.closures import DriverOnly, seal
from quiver.plan.lineage import Dataset, Narrow, Parallelized, Shuffled, ancestors, is_worth_gathering
from quiver.plan.partitioning import Partitioning
from quiver_proto import frames, functions, ops
from quiver_proto.errors import NotAnRDD
from quiver_proto.ops import CallSite
from quiver_proto.shorten import shorten

if TYPE_CHECKING:
    from quiver.context import Context
    from quiver.rdd import RDD

T = TypeVar("T")

NarrowKind = type[ops.Map | ops.Filter | ops.FlatMap | ops.MapValues | ops.FlatMapValues | ops.KeyBy | ops.MapPartitions]


class RddCore(DriverOnly, Generic[T]):
    """Identity, name, width and lineage of an RDD; nothing here starts a job."""

    __slots__ = ("__weakref__", "_context", "_dataset")

    def __init__(self, dataset: Dataset, context: Context) -> None:
        self._dataset = dataset
        self._context = context

    @property
    def context(self) -> Context:
        """The Context that it belongs to.

        >>> sc.parallelize([1]).context is sc
        True
        """
        return self._context

    @property
    def ctx(self) -> Context:
        """The Context that it belongs to.

        >>> sc.parallelize([1]).ctx is sc
        True
        """
        return self._context

    def id(self) -> int:
        """Unique in its application.

        >>> rdd = sc.parallelize([1])
        >>> rdd.id() == rdd.id() != rdd.map(str).id()
        True
        """
        return self._dataset.id

    def name(self) -> str | None:
        """What setName gave, or None.

        >>> rdd = sc.parallelize([1])
        >>> rdd.name() is None, rdd.setName("ones").name()
        (True, 'ones')
        """
        return self._dataset.name

    def setName(self, name: str) -> Self:
        """Give it a name for pages and toDebugString; returns itself.

        >>> sc.parallelize([1]).setName("ones").name()
        'ones'
        """
        self._dataset = dataclasses.replace(self._dataset, name=name)
        return self

    def getNumPartitions(self) -> int:
        """How many partitions it has. For text, files are looked up: PathNotFound, PathUnreadable.

        >>> sc.parallelize(range(10), 4).getNumPartitions()
        4
        """
        return self._dataset.width

    @property
    def partitioner(self) -> Partitioning | None:
        """How its keys map to partitions, where that is known.

        >>> pairs = sc.parallelize([(1, 2), (3, 4)])
        >>> pairs.partitioner is None, pairs.partitionBy(2).partitioner.numPartitions
        (True, 2)
        """
        return self._dataset.partitioning

    def toDebugString(self) -> bytes:
        """Its lineage, one dataset a line, indented one step per shuffle or branch; (width) is shown where a stage begins.

        >>> print(sc.parallelize([(1, 2)], 2).reduceByKey(lambda a, b: a).toDebugString().decode().split(" ")[0])
        (2)
        """
        lines: list[str] = []
        for depth, shuffled, dataset in ancestors(self._dataset):
            kind = type(dataset).__name__
            name = f"{dataset.name} " if dataset.name else ""
            kept = f" [{dataset.mark.level}]" if dataset.mark.is_kept else ""
            head = f"({dataset.width}) " if not lines or shuffled else " |  "
            lines.append(f"{' ' * depth}{'+-' if shuffled else ''}{head}{name}{kind}[{dataset.id}] {dataset.call_site}{kept}")
        return "\n".join(lines).encode()

    def cleanShuffleDependencies(self, blocking: bool = False) -> None:
        """Let go of the shuffle files that it was made from, down to what is cached or checkpointed. Who needs them again makes them again.

        They go by themselves when the last RDD that needs them is collected. `blocking` means nothing: nobody waits for the deletion.

        >>> counts = sc.parallelize([("a", 1), ("a", 2)]).reduceByKey(lambda a, b: a + b)
        >>> counts.collect()
        [('a', 3)]
        >>> counts.cleanShuffleDependencies()
        >>> counts.collect()
        [('a', 3)]
        """
        self._context._check("cleanShuffleDependencies")
        pending, seen = [self._dataset], set()
        while pending:
            dataset = pending.pop()
            if dataset.id in seen or (dataset.mark.is_kept and dataset is not self._dataset):
                continue
            seen.add(dataset.id)
            for shuffle in dataset.inputs if not isinstance(dataset, Narrow) else ():
                self._context._planner.release(shuffle.id)
                pending.append(shuffle.parent)
            pending += [dataset.parent] if isinstance(dataset, Narrow) else dataset.parents

    def __repr__(self) -> str:
        kind = type(self._dataset).__name__
        if isinstance(self._dataset, Parallelized) and not self._dataset.frames:
            return f"EmptyRDD[{self._dataset.id}] {self._dataset.call_site}"
        return f"RDD[{self._dataset.id}] {self._dataset.name or kind} {self._dataset.call_site}"

    # ---- for operators ----

    def _narrow(
        self, kind: NarrowKind, function: Callable[..., Any], *, keep: bool = False, with_index: bool = False, barrier: bool = False
    ) -> RDD[Any]:
        """One function on top. `keep`: keys stay as they are, so the partitioning holds. `barrier`: as RDD.barrier says."""
        dataset = self._dataset
        call_site = capture()
        context = self._context
        context._check(call_site.operator)
        if not callable(function):
            raise TypeError(f"{call_site.operator} takes a function, not {function!r}")
        return context._rdd(
            Narrow(
                id=context._planner.dataset_id(), call_site=call_site, partitioning=dataset.partitioning if keep else None,
                parent=dataset, kind=kind, function=function, with_index=with_index, barrier=barrier,
            )
        )  # fmt: skip

    def _exchange(
        self,
        partitioner: ops.Partitioner,
        merge: ops.Merge,
        partitioning: Partitioning | None,
        call_site: CallSite,
        aggregator: ops.Aggregator | None = None,
        others: Sequence[RddCore[Any]] = (),
    ) -> RDD[Any]:
        """All records of this RDD (and of others, for CoGroup) by partition of `partitioner`, put together by `merge`.

        What is partitioned so already is not shuffled again.
        """
        context = self._context
        context._check(call_site.operator)
        planner = context._planner
        inputs = [rdd._dataset for rdd in (self, *others)]
        first_two = isinstance(merge, ops.CoGroup)
        if (
            partitioning is not None
            and any(dataset.partitioning == partitioning for dataset in inputs)
            and is_worth_gathering([dataset for dataset in inputs if dataset.partitioning == partitioning])
        ):
            sides = [
                dataset if dataset.partitioning == partitioning
                else planner.shuffled(
                    (planner.shuffle(dataset, partitioner, None, call_site, first_two),), ops.Concatenate(), partitioner.width, call_site
                )
                for dataset in inputs
            ]  # fmt: skip
            if isinstance(merge, ops.Combine):
                merge = ops.Combine(merge.aggregator, combined=False)
            return context._rdd(planner.gathered(sides, merge, call_site, partitioning=partitioning))
        shuffles = tuple(planner.shuffle(rdd._dataset, partitioner, aggregator, call_site, first_two) for rdd in (self, *others))
        dataset: Shuffled = planner.shuffled(shuffles, merge, partitioner.width, call_site, partitioning=partitioning)
        return context._rdd(dataset)

    def _width(self, wanted: int | None, others: Sequence[RddCore[Any]] = ()) -> int:
        """Partitions after a shuffle: as asked, else `spark.default.parallelism`, else as many as all inputs have together
        (inputs that are partitioned alike: as many as one has), as in PySpark.

        Raises ValueError for fewer than one, TypeError for what is no int.
        """
        if wanted is not None:
            if isinstance(wanted, bool) or not hasattr(wanted, "__index__"):
                raise TypeError(f"the number of partitions must be an int, not {wanted!r}")
            if wanted < 1:
                raise ValueError(f"Number of partitions must be positive: it must be at least 1, not {wanted}")
            return int(wanted)
        if self._context._conf.contains("spark.default.parallelism"):
            return self._context.defaultParallelism
        mine = self._dataset.partitioning
        if mine is not None and all(rdd._dataset.partitioning == mine for rdd in others):
            return max(1, self.getNumPartitions())
        return max(1, sum(rdd.getNumPartitions() for rdd in (self, *others)))

    # ---- for actions ----

    def _collect(self, partitions: Sequence[int] | None = None, call_site: CallSite | None = None) -> list[T]:
        call_site = call_site or capture()
        records: list[T] = []
        for data in self._context._run(self._dataset, ops.Collect, call_site, partitions):
            records += load_records(data)
        return records

    def _apply(self, function: Callable[..., Any], partitions: Sequence[int] | None = None, *, with_index: bool = False) -> list[Any]:
        """`function(iterator)` of each partition, in order; NOTHING is left out."""
        call_site = capture()
        sealed = seal(function, call_site)
        results = self._context._run(self._dataset, lambda node: ops.Apply(node, sealed, with_index), call_site, partitions, with_index)
        return [value for value in map(frames.load, results) if value is not functions.NOTHING]

    def _counts(self) -> list[int]:
        """How many records each partition has."""
        return [frames.load(data) for data in self._context._run(self._dataset, ops.Count, capture())]


def check_other(other: object, context: Context) -> None:
    """Raises NotAnRDD, or ValueError for an RDD of another Context than this."""
    if not isinstance(other, RddCore):
        raise NotAnRDD(str(capture()), f"{shorten(other)} of type {type(other).__qualname__}")
    if other._context is not context:
        raise ValueError(f"{other!r} belongs to another Context: RDDs of two Contexts can't be combined")


def load_records(data: bytes) -> list[Any]:
    """The records of a collected partition: one frame after another."""
    if not data:
        return []
    stream = io.BytesIO(data)
    records: list[Any] = pickle.load(stream)
    while stream.tell() < len(data):
        records += pickle.load(stream)
    return records
