"""Context: the entrance to Quiver. It owns one application, makes datasets, and runs their jobs."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from quiver.callsite import capture
from quiver.checkpoint_dir import CheckpointDirectory
from quiver.closures import seal_records
from quiver.conf import APP_NAME, MASTER, Conf
from quiver.context_facts import ContextFacts
from quiver.context_files import FileSources
from quiver.context_profiles import TaskProfiles
from quiver.file_sharing import FileSharing
from quiver.job_control import JobControl
from quiver.plan.lineage import Dataset, Parallelized, Span
from quiver.plan.stages import Planner
from quiver.rdd_core import check_other
from quiver.rdd_jvm import JvmSources
from quiver_proto import ops
from quiver_proto.errors import ContextStopped, KernelOutOfMemory, NeedsJVM
from quiver_proto.frames import PROTOCOL
from quiver_proto.ops import CallSite

if TYPE_CHECKING:
    from quiver.plan.model import Driver, PlannedJob
    from quiver.profiler import Profiler
    from quiver.rdd import RDD
    from quiver_proto.accumulators import Accumulator, AccumulatorParam
    from quiver_proto.broadcast import Broadcast
    from quiver_proto.resource import ResourceInformation

T = TypeVar("T")
U = TypeVar("U")

_BATCH = 1024


class Context(ContextFacts, FileSources, JvmSources, JobControl, FileSharing, CheckpointDirectory, TaskProfiles):
    """One application: a connection to where it runs, and the factory of its datasets. `SparkContext` is another name for it.

    `master` names where to run (`local[4]`, `quiver://host:7077`, …; default: `QUIVER_MASTER`, else `local[*]`), `appName` what
    pages show, `conf` everything else; `pyFiles` are Python files and archives that tasks can import, `environment` is set for executors,
    `batchSize` is how many records parallelize deals out at a time (0: at most 1,024), `profiler_cls` how tasks are profiled (see
    show_profiles; default: BasicProfiler). A process has at most one Context at a time. Use it as a context manager, or call stop().

    Raises ValueError when another Context is active (with where it was made), and what connecting raises: BadMasterUrl,
    BadSetting, BadMemoryString, ManagerUnreachable, AuthenticationFailed, IncompatibleVersions, ResourcesUnavailable.

    Differs from PySpark: `master` and `appName` may be left out, `sparkHome` and `serializer` change nothing, `gateway` and `jsc`
    raise NeedsJVM.

    >>> sc.parallelize([1, 2, 3]).map(lambda x: x * x).collect()
    [1, 4, 9]
    """

    _active: ClassVar[Context | None] = None
    _lock: ClassVar[threading.RLock] = threading.RLock()

    def __init__(
        self,
        master: str | None = None,
        appName: str | None = None,
        sparkHome: str | None = None,
        pyFiles: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        batchSize: int = 0,
        serializer: object = None,
        conf: Conf | None = None,
        gateway: object = None,
        jsc: object = None,
        profiler_cls: type[Profiler] | None = None,
    ) -> None:
        if gateway is not None or jsc is not None:
            raise NeedsJVM("SparkContext(gateway=…, jsc=…)", "both are objects of a JVM", "Leave them out.")
        if isinstance(sparkHome, Conf):
            raise TypeError("the third argument is sparkHome, as in PySpark: give settings as conf=...")
        self._stopped = True
        self._call_site = capture()
        self._pid = os.getpid()
        self._conf = Conf() if conf is None else conf.copy()
        if master:
            self._conf.setMaster(master)
        if appName:
            self._conf.setAppName(appName)
        if sparkHome:
            self._conf.setSparkHome(sparkHome)
        if pyFiles:
            self._conf.set("spark.submit.pyFiles", ",".join([*filter(None, [self._conf.get("spark.submit.pyFiles")]), *pyFiles]))
        for name, value in (environment or {}).items():
            self._conf.setExecutorEnv(name, value)
        self._batch = batchSize or _BATCH
        self._conf.setIfMissing(MASTER, "local[*]").setIfMissing(APP_NAME, _program_name())
        self._local = threading.local()
        self._resources: dict[str, ResourceInformation] | None = None
        with Context._lock:
            _refuse_second(Context._active)
            from quiver.runner.launch import connect

            self._driver: Driver = connect(self.master, self.appName, cast(Any, self._conf))
            try:
                self._planner = Planner(self._driver, int(self._conf.get("spark.task.cpus", "1")), self._conf)
            except BaseException:
                self._driver.stop()
                raise
            self._start_profiling(profiler_cls)
            self._stopped = False
            Context._active = self
        atexit.register(self._stop_at_exit)
        try:
            self._add_configured()
        except BaseException:
            self.stop()
            raise

    # ---- life ----

    @classmethod
    def getOrCreate(cls, conf: Conf | None = None) -> Context:
        """The active Context, or a new one.

        >>> from quiver import Context
        >>> Context.getOrCreate() is sc
        True
        """
        with Context._lock:
            active = Context._active
            if active is None or active._pid != os.getpid():
                return cls(conf=conf)
            return active

    def stop(self) -> None:
        """End the application: running jobs are cancelled, executors stop, blocks go. A second call does nothing.

        >>> sc.stop()  # doctest: +SKIP
        """
        if self._pid != os.getpid():
            return
        with Context._lock:
            if self._stopped:
                return
            self._stopped = True
            if Context._active is self:
                Context._active = None
        atexit.unregister(self._stop_at_exit)
        self._forget_files()
        self._driver.stop()

    def _stop_at_exit(self) -> None:
        self.stop()

    def __enter__(self) -> Context:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()

    def _check(self, what: str) -> None:
        if self._stopped:
            raise ContextStopped(what)
        if self._pid != os.getpid():
            raise RuntimeError(
                f"{what}: this Context belongs to process {self._pid}, from which this process {os.getpid()} was forked. "
                "A Context can only be used in the process that made it; make a new one here."
            )

    # ---- datasets ----

    def parallelize(self, c: Iterable[T], numSlices: int | None = None) -> RDD[T]:
        """A dataset of the records in `c`, in order, in `numSlices` partitions (default: defaultParallelism).

        The records are pickled now. A range is sliced without being made. Raises ValueError for fewer than one slice,
        UnpicklableRecord with the path to what can't be sent.

        >>> sc.parallelize([0, 2, 3, 4, 6], 5).glom().collect()
        [[0], [2], [3], [4], [6]]
        """
        call_site = capture()
        self._check(call_site.operator)
        slices = self._slices(numSlices, "numSlices")
        dataset: Dataset
        if isinstance(c, range):
            dataset = Span(id=self._planner.dataset_id(), call_site=call_site, values=c, slices=slices)
        else:
            records = cast("Sequence[T]", c) if type(c) in (list, tuple) else list(c)
            bounds = _slice_bounds(len(records), slices, self._batch)
            frames = [
                seal_records(list(records[bounds[i] : bounds[i + 1]]), bounds[i], call_site) if bounds[i] < bounds[i + 1] else _NO_RECORDS
                for i in range(slices)
            ]
            dataset = Parallelized(id=self._planner.dataset_id(), call_site=call_site, frames=frames)
        return self._rdd(dataset)

    def range(self, start: int, end: int | None = None, step: int = 1, numSlices: int | None = None) -> RDD[int]:
        """The integers of Python's range(start, end, step), or range(start).

        >>> sc.range(2, 10, 3).collect()
        [2, 5, 8]
        """
        return self.parallelize(range(start) if end is None else range(start, end, step), numSlices)

    def emptyRDD(self) -> RDD[Any]:
        """A dataset without partitions.

        >>> sc.emptyRDD().isEmpty()
        True
        """
        call_site = capture()
        self._check(call_site.operator)
        return self._rdd(Parallelized(id=self._planner.dataset_id(), call_site=call_site, frames=()))

    def union(self, rdds: Sequence[RDD[T]]) -> RDD[T]:
        """The records of all, one dataset's partitions after another's. Raises ValueError without any, or of another Context.

        Of datasets with equal partitioners, partition i of each goes into partition i.

        >>> sc.union([sc.parallelize([1]), sc.parallelize([2, 3])]).collect()
        [1, 2, 3]
        """
        call_site = capture()
        self._check(call_site.operator)
        if not rdds:
            raise ValueError("union of no RDDs: give at least one")
        for rdd in rdds:
            check_other(rdd, self)
        if len(rdds) == 1:
            return rdds[0]
        datasets = [rdd._dataset for rdd in rdds]
        both = self._planner.unioned(datasets, call_site)
        alike = datasets[0].partitioning
        if alike is not None and all(dataset.partitioning == alike for dataset in datasets):
            return self._rdd(self._planner.coalesced(both, alike.width, call_site, stride=True))
        return self._rdd(both)

    def _rdd(self, dataset: Dataset) -> RDD[Any]:
        from quiver.rdd import RDD

        return RDD(dataset, self)

    def _slices(self, wanted: int | None, what: str) -> int:
        slices = self.defaultParallelism if wanted is None else int(wanted)
        if slices < 1:
            raise ValueError(f"{what} must be at least 1, not {slices}")
        return slices

    # ---- jobs ----

    def runJob(
        self,
        rdd: RDD[T],
        partitionFunc: Callable[[Iterable[T]], Iterable[U]],
        partitions: Sequence[int] | None = None,
        allowLocal: bool = False,
    ) -> list[U]:
        """What `partitionFunc` yields for each of these partitions (default: all), in their order. `allowLocal` has no meaning.

        Raises ValueError for a partition that is not there.

        >>> sc.runJob(sc.parallelize(range(6), 3), lambda part: [x * x for x in part], [0, 2])
        [0, 1, 16, 25]
        """
        results = rdd.mapPartitions(partitionFunc)
        if partitions is None:
            return results._collect()
        wanted = list(partitions)
        width = rdd.getNumPartitions()
        for partition in wanted:
            if not 0 <= partition < width:
                raise ValueError(f"Attempting to access a non-existent partition: {partition}. Total number of partitions: {width}")
        if len(set(wanted)) == len(wanted):
            return results._collect(wanted)
        found = dict(zip(once := list(dict.fromkeys(wanted)), results.glom()._collect(once), strict=True))
        return [record for partition in wanted for record in found[partition]]

    def _run(
        self,
        dataset: Dataset,
        sink: Callable[[ops.Node], ops.Sink],
        call_site: CallSite,
        partitions: Sequence[int] | None = None,
        with_index: bool = False,
    ) -> Sequence[bytes]:
        """The result frames of one job, one element a partition. Then come the checkpoints that were waiting for it."""
        results = self._run_plan(dataset, sink, call_site, partitions, with_index)
        if self._planner.wanted:
            from quiver.rdd_storage import make_checkpoints

            make_checkpoints(self, dataset)
        return results

    def _run_plan(
        self,
        dataset: Dataset,
        sink: Callable[[ops.Node], ops.Sink],
        call_site: CallSite,
        partitions: Sequence[int] | None = None,
        with_index: bool = False,
        within_s: float = 0.0,
    ) -> Sequence[bytes]:
        """The result frames of one job, one element a partition; b"" for what is missing after `within_s` (0: no limit)."""
        self._check(call_site.operator)
        job = self._planner.plan(
            dataset, sink, call_site,
            partitions=partitions, with_index=with_index, properties=self._properties(), within_s=within_s,
        )  # fmt: skip
        if not job.stages[-1].spec.width or (partitions is not None and not partitions):
            return []
        return self._run_planned(job)

    def _run_planned(self, job: PlannedJob) -> Sequence[bytes]:
        """The result frames of a job; what its tasks added to accumulators is added then."""
        try:
            return self._driver.run(self._with_files(job))
        except KernelOutOfMemory:
            self._give_up_updates(job)
            raise
        finally:
            if job.updates:
                self._add_updates(job)

    def _give_up_updates(self, job: PlannedJob) -> None:
        from quiver.accumulators import give_up_updates

        give_up_updates(job)

    def _add_updates(self, job: PlannedJob) -> None:
        from quiver.accumulators import add_updates

        for event in add_updates(job):
            self._driver.accumulated(event)

    # ---- shared variables ----

    def broadcast(self, value: T) -> Broadcast[T]:
        """Put a read-only value where every node gets it once; functions given to operators refer to what this returns.

        The value is pickled now, to a file that slots on this machine map and that nodes elsewhere share among themselves. Raises
        UnpicklableBroadcast (a pickle.PicklingError) with the path to what can't be sent.

        >>> mapping = {1: 10001, 2: 10002}
        >>> bc = sc.broadcast(mapping)
        >>> sc.range(5).map(lambda i: bc.value[i] if i in bc.value else -1).collect()
        [-1, 10001, 10002, -1, -1]
        >>> bc.destroy()
        """
        from quiver.broadcast import broadcast

        call_site = capture()
        self._check(call_site.operator)
        return broadcast(value, self._driver, call_site)

    def accumulator(self, value: T, accum_param: AccumulatorParam[T] | None = None) -> Accumulator[T]:
        """A variable that tasks add to and that only the driver reads, with this value to begin with.

        `accum_param` says how values are added; int, float and complex need none. Raises TypeError for other values without one.

        >>> acc = sc.accumulator(9)
        >>> acc += 1
        >>> acc.value
        10
        >>> sc.range(5).foreach(lambda x: acc.add(1))
        >>> acc.value
        15
        """
        from quiver.accumulators import accumulator

        return accumulator(value, accum_param, self._driver.id_base)


def _empty_frame() -> bytes:
    import pickle

    return pickle.dumps([], PROTOCOL)


_NO_RECORDS = _empty_frame()


def _slice_bounds(size: int, slices: int, most: int) -> list[int]:
    """Where slices begin and end, as PySpark's: it deals out batches of `size // slices` records, at most `most`, not records."""
    batch = max(1, min(size // slices, most))
    batches = -(-size // batch)
    return [min(size, i * batches // slices * batch) for i in range(slices + 1)]


def _refuse_second(active: Context | None) -> None:
    if active is not None and active._pid == os.getpid():
        raise ValueError(
            f"Cannot run multiple Contexts at once; existing Context(app={active.appName}, master={active.master}) "
            f"created by {active._call_site} ({active._call_site.file}). Stop it first, or use Context.getOrCreate()."
        )


def _program_name() -> str:
    import sys

    return os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else "quiver"


SparkContext = Context
