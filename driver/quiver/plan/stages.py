"""From lineage to stages: cut at shuffles, fuse narrow chains into one body, seal functions, put stages in order."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from quiver.closures import seal
from quiver.plan.barriers import check_chain
from quiver.plan.caching import arrange, caching_of, merged, variant_of
from quiver.plan.lineage import (
    Absorbed,
    Coalesced,
    Crossed,
    Dataset,
    Files,
    Fragmented,
    Gathered,
    Narrow,
    Parallelized,
    Saved,
    Shuffle,
    Shuffled,
    Span,
    Unioned,
    Vanished,
    Zipped,
)
from quiver.plan.model import Driver, PlannedJob, PlannedStage
from quiver.plan.packing import dump_split, planned_body
from quiver.plan.splits import splitter
from quiver.scheduler.model import Needs, StageSpec
from quiver_proto import ops
from quiver_proto.frames import dump_records
from quiver_proto.ids import JobId, ShuffleId, StageId
from quiver_proto.ops import CallSite

if TYPE_CHECKING:
    from quiver.plan.profiles import Profiles, Settings
    from quiver.resource import ResourceProfile

_EMPTY_PARTITION = dump_records([])


class Planner:
    """One per Context; its methods may be called from any thread.

    Ids of jobs, stages, shuffles and datasets start at the driver's `id_base`. A shuffle's stage keeps its id and body for as long as
    the dataset can be reached, so a later job that needs it names the same stage, and the scheduler skips what is done.
    """

    def __init__(self, driver: Driver, cores_per_task: int = 1, settings: Settings | None = None) -> None:
        self._driver = driver
        self._cores_per_task = cores_per_task
        self._settings = settings
        self.profiler_of: Callable[[int], ops.Function] | None = None
        """What profiles the tasks of stages that end with a dataset."""
        self.profiles: Profiles | None = None
        """What tasks of some stages need besides the cores that all have; None while no one has asked for anything."""
        if settings is not None and any(key.startswith("spark.task.resource.") for key, _ in settings.getAll()):
            self._make_profiles()
        self._jobs, self._stages = count(driver.id_base), count(driver.id_base)
        self._queries = count(driver.id_base)
        self._shuffles, self._datasets = count(driver.id_base), count(driver.id_base)
        self._submitted: set[ShuffleId] = set()
        self._marked: set[int] = set()
        """Datasets that were persisted or checkpointed: while there are none, plans are made without a look at marks."""
        self._changes = count(1)
        self._marked_at = 0
        """The last change of a mark: what was planned before it is planned anew."""
        self.wanted: set[int] = set()
        """Datasets whose checkpoint is still to be made."""

    def use_profile(self, dataset_id: int, profile: ResourceProfile) -> None:
        """Stages with this dataset in them use `profile` from now on."""
        self._make_profiles()[dataset_id] = profile

    def _make_profiles(self) -> Profiles:
        if self.profiles is None:
            from quiver.plan.profiles import Profiles

            self.profiles = Profiles(self._cores_per_task, self._settings)
        return self.profiles

    def _what_tasks_need(self, dataset: Dataset) -> tuple[int, Needs | None]:
        return (self._cores_per_task, None) if self.profiles is None else self.profiles.of_stage(dataset)

    def dataset_id(self) -> int:
        return next(self._datasets)

    # ---- marks ----

    def mark(self, dataset: Dataset) -> None:
        """The dataset's mark has changed. When the last reference to it goes, so do its blocks."""
        if dataset.id not in self._marked:
            self._marked.add(dataset.id)
            # Must not keep the planner, and runs in the collector: no locks.
            weakref.finalize(dataset.mark, _unmarked, weakref.ref(self), dataset.id).atexit = False
        self._marked_at = next(self._changes)

    def unmarked(self, dataset_id: int) -> None:
        """The last reference to a marked dataset went."""
        self._marked.discard(dataset_id)
        self.wanted.discard(dataset_id)
        self._driver.unpersist(dataset_id)

    def drop_blocks(self, dataset: Dataset, blocking: bool) -> None:
        """Have the dataset's blocks dropped."""
        self._driver.unpersist(dataset.id, blocking)

    def take_wanted(self, dataset_id: int) -> bool:
        """Whether the dataset's checkpoint is the caller's to make: of several only one is told so."""
        try:
            self.wanted.remove(dataset_id)
        except KeyError:
            return False
        return True

    def job_id(self) -> JobId:
        return JobId(next(self._jobs))

    def query_id(self) -> int:
        return next(self._queries)

    def stage_id(self) -> StageId:
        return StageId(next(self._stages))

    def shuffle_id(self) -> ShuffleId:
        return ShuffleId(next(self._shuffles))

    # ---- boundaries: their parents are sealed now ----

    def shuffle(
        self,
        parent: Dataset,
        partitioner: ops.Partitioner | ops.KernelPartitioner,
        aggregator: ops.Aggregator | None,
        call_site: CallSite,
        first_two: bool = False,
        shuffle_id: int | None = None,
    ) -> Shuffle:
        """The exchange that `call_site` asked for, its map side sealed. `first_two`: see ops.ShuffleWrite.

        `shuffle_id`, when it is known already, was given by the method of that name.
        """
        node, operators = sealed(parent)
        shuffle = Shuffle(
            id=self.shuffle_id() if shuffle_id is None else ShuffleId(shuffle_id),
            stage_id=StageId(next(self._stages)),
            parent=parent,
            node=node,
            operators=operators,
            partitioner=partitioner,
            aggregator=aggregator,
            call_site=call_site,
            first_two=first_two,
        )
        # Must not keep the planner, and runs in the collector: no locks.
        weakref.finalize(shuffle, _released, weakref.ref(self), shuffle.id).atexit = False
        return shuffle

    def shuffled(self, shuffles: tuple[Shuffle, ...], merge: ops.Merge, width: int, call_site: CallSite, **rest: Any) -> Shuffled:
        """The reduce side of `shuffles`."""
        node = ops.ShuffleRead(tuple(shuffle.id for shuffle in shuffles), merge)
        return Shuffled(id=self.dataset_id(), call_site=call_site, node=node, operators=(call_site,), reads=shuffles, slices=width, **rest)

    def fragmented(self, node: ops.Fragment, reads: tuple[Shuffle, ...], width: int, call_site: CallSite) -> Fragmented:
        """The partitions of a fragment that reads these shuffles."""
        return Fragmented(id=self.dataset_id(), call_site=call_site, node=node, operators=(call_site,), reads=reads, slices=width)

    def unioned(self, branches: Iterable[Dataset], call_site: CallSite) -> Unioned:
        """A union directly on a union becomes one, so that a loop of unions stays flat."""
        flat: list[Dataset] = []
        nodes: list[ops.Node] = []
        operators: dict[CallSite, None] = {}
        absorbed: list[Absorbed] = []
        for branch in branches:
            if isinstance(branch, Unioned) and isinstance(branch.node, ops.Union):
                start = len(flat)
                absorbed += [inner._replace(start=inner.start + start, stop=inner.stop + start) for inner in branch.absorbed]
                absorbed.append(Absorbed(start, start + len(branch.branches), branch.id, branch.call_site, branch.name, branch.mark))
                flat += branch.branches
                nodes += branch.node.parents
                operators.update(dict.fromkeys(branch.operators))
            else:
                node, below = sealed(branch)
                flat.append(branch)
                nodes.append(node)
                operators.update(dict.fromkeys(below))
        operators[call_site] = None
        return Unioned(
            id=self.dataset_id(),
            call_site=call_site,
            node=ops.Union(tuple(nodes)),
            operators=tuple(operators),
            reads=merged(flat),
            branches=tuple(flat),
            absorbed=tuple(absorbed),
        )

    def coalesced(self, parent: Dataset, at_most: int, call_site: CallSite, stride: bool = False, **rest: Any) -> Coalesced:
        node, operators = sealed(parent)
        return Coalesced(
            id=self.dataset_id(), call_site=call_site, node=ops.Coalesce(node), operators=(*operators, call_site),
            reads=parent.inputs, parent=parent, at_most=at_most, stride=stride, **rest,
        )  # fmt: skip

    def crossed(self, left: Dataset, right: Dataset, call_site: CallSite) -> Crossed:
        nodes, operators = _both(left, right, call_site)
        return Crossed(
            id=self.dataset_id(), call_site=call_site, node=ops.Cartesian(*nodes), operators=operators,
            reads=merged((left, right)), left=left, right=right,
        )  # fmt: skip

    def zipped(self, left: Dataset, right: Dataset, call_site: CallSite) -> Zipped:
        nodes, operators = _both(left, right, call_site)
        return Zipped(
            id=self.dataset_id(), call_site=call_site, node=ops.Zip(*nodes), operators=operators,
            reads=merged((left, right)), left=left, right=right,
        )  # fmt: skip

    def gathered(self, sides: Sequence[Dataset], merge: ops.Merge, call_site: CallSite, **rest: Any) -> Gathered:
        """The sides, partitioned alike, put together by key in their partitions."""
        nodes, operators = zip(*map(sealed, sides), strict=True)
        return Gathered(
            id=self.dataset_id(), call_site=call_site, node=ops.Gather(nodes, merge, call_site),
            operators=(*dict.fromkeys(site for sites in operators for site in sites), call_site),
            reads=merged(sides), sides=tuple(sides), **rest,
        )  # fmt: skip

    # ---- jobs ----

    def plan(
        self,
        dataset: Dataset,
        sink: Callable[[ops.Node], ops.Sink],
        call_site: CallSite,
        *,
        partitions: Sequence[int] | None = None,
        with_index: bool = False,
        properties: Mapping[str, str] | None = None,
        within_s: float = 0.0,
    ) -> PlannedJob:
        """The job that puts `sink` on `dataset`; of all partitions, or of these. `with_index`: the sink's split is (partition, split).

        Raises UnpicklableClosure, and what looking up text files raises.
        """
        node, operators = sealed(dataset)
        is_barrier = dataset.barrier
        profiler = None if self.profiler_of is None else self.profiler_of(dataset.id)
        cores, needs = self._what_tasks_need(dataset)
        if is_barrier:
            check_chain(dataset, dataset.width if partitions is None else len(partitions))
        caching = None
        if self._marked:
            dataset, node = arrange(dataset, node)
            caching = caching_of(dataset)
        body, broadcasts = planned_body(ops.StageBody(sink(node), (*operators, call_site), profiler))
        wanted = None if partitions is None else tuple(partitions)
        inputs = dataset.inputs
        spec = StageSpec(
            StageId(next(self._stages)), str(call_site), dataset.width,
            tuple(shuffle.stage_id for shuffle in inputs), tuple(shuffle.id for shuffle in inputs),
            None, wanted, cores, caching=None if caching is None else caching[0], barrier=is_barrier, needs=needs,
        )  # fmt: skip
        split = splitter(dataset)
        if with_index:
            result = PlannedStage(spec, body, lambda partition: dump_split((partition, split(partition))), operators, broadcasts=broadcasts)
        else:
            result = PlannedStage(spec, body, lambda partition: dump_split(split(partition)), operators, broadcasts=broadcasts)
        if caching is not None:
            result = dataclasses.replace(result, variant=partial(_dump_variant, dataset, caching[1], with_index))
        stages = (*self.map_stages(inputs), result) if inputs else (result,)
        return PlannedJob(JobId(next(self._jobs)), stages, call_site, properties or {}, within_s)

    def map_stages(self, shuffles: Sequence[Shuffle]) -> tuple[PlannedStage, ...]:
        """The stages that leave these shuffles, and those below them, each once, parents first. Raises UnpicklableClosure."""
        return tuple(self._map_stage(shuffle) for shuffle in self._in_order(shuffles))

    def _map_stage(self, shuffle: Shuffle) -> PlannedStage:
        self._submitted.add(shuffle.id)
        planned = self._planned(shuffle)
        if planned.stage is None:
            planned.stage = self._plan_map_stage(shuffle, planned)
        return planned.stage

    def _planned(self, shuffle: Shuffle) -> _Planned:
        """The shuffle's map side with caches and checkpoints as they are now. It stays the same object until a mark changes it."""
        planned: _Planned | None = shuffle.planned
        if planned is None or planned.marked_at != self._marked_at:
            marked_at = self._marked_at
            parent, node = arrange(shuffle.parent, shuffle.node) if self._marked else (shuffle.parent, shuffle.node)
            if planned is not None and planned.node is node:
                planned.marked_at = marked_at
            else:
                # What was counted of the stage stays counted, however it is planned.
                counted: set[int] = set() if planned is None else planned.counted
                planned = shuffle.planned = _Planned(marked_at, parent, node, counted)
        return planned

    def _plan_map_stage(self, shuffle: Shuffle, planned: _Planned) -> PlannedStage:
        parent, node, width, inputs = planned.parent, planned.node, planned.parent.width, planned.parent.inputs
        split: Callable[[int], Any] = splitter(parent)
        caching = None if node is shuffle.node or width == 0 else caching_of(parent)
        if width == 0:
            # Nothing to write still has to be written once, so that the readers find a table.
            node, width, inputs, split = ops.Items(), 1, (), _no_records
        elif shuffle.parent.barrier:
            check_chain(shuffle.parent, width)
        sink = _map_sink(shuffle, node)
        cores, needs = self._what_tasks_need(shuffle.parent)
        profiler = None if self.profiler_of is None else self.profiler_of(shuffle.parent.id)
        spec = StageSpec(
            shuffle.stage_id, str(shuffle.call_site), width,
            tuple(below.stage_id for below in inputs), tuple(below.id for below in inputs),
            shuffle.id, None, cores, caching=None if caching is None else caching[0],
            barrier=shuffle.parent.barrier and shuffle.parent.width > 0, needs=needs,
        )  # fmt: skip
        body, broadcasts = planned_body(ops.StageBody(sink, (*shuffle.operators, shuffle.call_site), profiler))
        variant = None if caching is None else partial(_dump_variant, parent, caching[1], False)
        return PlannedStage(
            spec, body, lambda partition: dump_split(split(partition)), shuffle.operators, planned.counted, variant, broadcasts
        )

    def _in_order(self, inputs: Sequence[Shuffle]) -> list[Shuffle]:
        """These shuffles and all below them, each once, parents first."""
        order: dict[ShuffleId, Shuffle] = {}
        pending = [(shuffle, False) for shuffle in reversed(inputs)]
        while pending:
            shuffle, parents_done = pending.pop()
            if shuffle.id in order:
                continue
            if parents_done:
                order[shuffle.id] = shuffle
            else:
                pending.append((shuffle, True))
                below = self._planned(shuffle).parent.inputs
                pending.extend((parent, False) for parent in reversed(below) if parent.id not in order)
        return list(order.values())

    def holds(self, shuffle_id: ShuffleId) -> bool:
        """Whether a job needed the shuffle of some dataset, which will be released with it."""
        return shuffle_id in self._submitted

    def release(self, shuffle_id: ShuffleId) -> None:
        """The last reference to a shuffle went. Its files exist only if a job needed them."""
        if shuffle_id in self._submitted:
            self._submitted.discard(shuffle_id)
            self._driver.release_shuffle(shuffle_id)


@dataclasses.dataclass(slots=True)
class _Planned:
    """A shuffle's map side, arranged after the `marked_at`-th change of marks, and its stage once it is needed."""

    marked_at: int
    parent: Dataset
    node: ops.Node
    counted: set[int]
    stage: PlannedStage | None = None


def sealed(dataset: Dataset) -> tuple[ops.Node, tuple[CallSite, ...]]:
    """The dataset's tree of nodes with its functions sealed as they are now, and the call sites in it, source first."""
    chain: list[Narrow] = []
    while isinstance(dataset, Narrow):
        chain.append(dataset)
        dataset = dataset.parent
    node, operators = _base_node(dataset)
    for link in reversed(chain):
        function = seal(link.function, link.call_site)
        kind = link.kind
        node = ops.MapPartitions(node, function, link.with_index) if kind is ops.MapPartitions else kind(node, function)  # type: ignore[call-arg]
    return node, (*operators, *(link.call_site for link in reversed(chain)))


def _map_sink(shuffle: Shuffle, node: ops.Node) -> ops.Sink:
    how = shuffle.partitioner
    if not isinstance(how, ops.KernelPartitioner):
        return ops.ShuffleWrite(node, shuffle.id, how, shuffle.aggregator, shuffle.call_site, shuffle.first_two)
    if isinstance(node, ops.Fragment):
        return ops.FragmentWrite(node.plan, shuffle.id, how.width, how.hash, how.schema, node.inputs, node.settings, node.functions)
    assert how.width == 1
    return ops.BatchWrite(node, shuffle.id, how.schema, shuffle.call_site)


def _base_node(dataset: Dataset) -> tuple[ops.Node, tuple[CallSite, ...]]:
    match dataset:
        case Parallelized():
            return ops.Items(), (dataset.call_site,)
        case Span():
            return ops.IntRange(), (dataset.call_site,)
        case Files():
            return dataset.node, (dataset.call_site,)
        case Saved() | Vanished():
            return ops.CheckpointRead() if isinstance(dataset, Saved) else ops.Items(), (dataset.call_site,)
        case Shuffled() | Unioned() | Coalesced() | Crossed() | Zipped() | Gathered():  # And Fragmented, which is Shuffled.
            return dataset.node, dataset.operators
        case _:
            raise AssertionError(type(dataset))


def _both(left: Dataset, right: Dataset, call_site: CallSite) -> tuple[tuple[ops.Node, ops.Node], tuple[CallSite, ...]]:
    (left_node, left_sites), (right_node, right_sites) = sealed(left), sealed(right)
    return (left_node, right_node), (*dict.fromkeys((*left_sites, *right_sites)), call_site)


def _dump_variant(dataset: Dataset, cuts: int, with_index: bool, partition: int, variant: int) -> bytes:
    split = variant_of(dataset, cuts, partition, variant)
    return dump_split((partition, split) if with_index else split)


def _no_records(partition: int) -> bytes:
    return _EMPTY_PARTITION


def _unmarked(planner: weakref.ref[Planner], dataset_id: int) -> None:
    living = planner()
    if living is not None:
        living.unmarked(dataset_id)


def _released(planner: weakref.ref[Planner], shuffle_id: ShuffleId) -> None:
    living = planner()
    if living is not None:
        living.release(shuffle_id)
