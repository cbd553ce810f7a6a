"""A query's life: physical plan → stages → job → Arrow table."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from quiver.plan.model import Driver, PlannedJob, PlannedStage
from quiver.plan.packing import dump_body
from quiver.plan.stages import Planner
from quiver.scheduler.model import StageSpec
from quiver.sql.adapting import Policy, advanced, with_hints
from quiver.sql.arrow_types import fitted
from quiver.sql.cutting import CutPlan, CutStage, cut
from quiver.sql.kernel import describe
from quiver.sql.producing import Production
from quiver.sql.regrouping import ShuffleSizes
from quiver.sql.unfinished import Progress
from quiver_proto import ops
from quiver_proto.fragments import width
from quiver_proto.frames import dump_value
from quiver_proto.ids import ShuffleId, StageId
from quiver_proto.ops import CallSite
from quiver_proto.v1.kernel_pb2 import Plan

if TYPE_CHECKING:
    import pyarrow as pa

Settings = tuple[tuple[str, str], ...]
MakeSink = Callable[[bytes, tuple[tuple[int, bytes], ...], Settings], ops.Sink]
"""The sink of a job's last stage, made of a serialised plan, the schemas of what it reads, and settings."""


class StagedQuery:
    """A physical plan cut into stages, which runs to its result. Its shuffles are there until `close`.

    `productions` are what others leave and the plan reads.
    """

    def __init__(
        self,
        plan: CutPlan,
        planner: Planner,
        call_site: CallSite,
        settings: Settings,
        properties: Mapping[str, str],
        productions: Collection[Production],
        make_sink: MakeSink,
    ) -> None:
        self._plan = plan
        self._planner = planner
        self._call_site = call_site
        self._settings = settings
        self._properties = properties
        self._productions = {int(each.shuffle.id): each for each in productions}
        self._make_sink = make_sink
        self._begun: dict[int, tuple[CutStage, PlannedStage]] = {}
        """Stages that were given to the driver, by shuffle: they stay as they are."""
        self.notes: tuple[str, ...] = ()
        """What was planned anew while it ran, and why."""

    @property
    def planned_stages(self) -> int:
        """How many it was cut into; some may turn out not to be needed."""
        return len(self._plan.stages) + 1

    def run(self, driver: Driver, run: Callable[[PlannedJob], Sequence[bytes]], policy: Policy | None) -> Sequence[bytes]:
        """What the sink makes of the result's partitions. With a policy, stages are planned anew by the sizes of those before them.

        `run` runs each of its jobs. Raises what tasks raise.
        """
        progress = Progress(self._plan)
        while policy is not None:
            progress, now = advanced(progress, policy)
            self.notes = progress.notes
            if not now:
                break
            run(self._making(progress.plan, tuple(stage.shuffle_id for stage in now)))
            sizes = {stage.shuffle_id: _sizes(driver, stage) for stage in now}
            progress = Progress(progress.plan, {**progress.known, **sizes}, progress.notes)
        return run(self._result(progress.plan))

    def close(self, driver: Driver) -> None:
        """Let its shuffles go."""
        for shuffle in self._begun:
            driver.release_shuffle(ShuffleId(shuffle))

    def _making(self, plan: CutPlan, shuffles: Sequence[int]) -> PlannedJob:
        """The job that makes these shuffles, and no more: its result is a stage without tasks."""
        self._begin(plan, shuffles)
        spec = StageSpec(self._planner.stage_id(), str(self._call_site), 0, self._parents(shuffles))
        return self._job(shuffles, spec, b"")

    def _result(self, plan: CutPlan) -> PlannedJob:
        self._begin(plan, plan.reads)
        sink = self._make_sink(plan.result.SerializeToString(), self._inputs(plan.reads), self._settings)
        spec = StageSpec(
            self._planner.stage_id(), str(self._call_site), width(plan.result), self._parents(plan.reads), tuple(map(ShuffleId, plan.reads))
        )
        return self._job(plan.reads, spec, dump_body(ops.StageBody(sink, (self._call_site,))))

    def _job(self, reads: Sequence[int], result: StageSpec, body: bytes) -> PlannedJob:
        """With what has begun of what `reads` need."""
        needed = set(reads)
        stages: list[PlannedStage] = []
        for shuffle, (cut_stage, stage) in reversed(self._begun.items()):
            if shuffle in needed:
                needed.update(cut_stage.reads)
                stages.append(stage)
        others = [each.shuffle for shuffle, each in self._productions.items() if shuffle in needed]
        last = PlannedStage(result, body, dump_value, (self._call_site,))
        every = (*self._planner.map_stages(others), *reversed(stages), last)
        return PlannedJob(self._planner.job_id(), every, self._call_site, self._properties)

    def _begin(self, plan: CutPlan, reads: Sequence[int]) -> None:
        """Plan the stages that these shuffles need, parents first."""
        needed = set(reads)
        chosen: list[CutStage] = []
        for stage in reversed(plan.stages):
            if stage.shuffle_id in needed and stage.shuffle_id not in self._begun:
                needed.update(stage.reads)
                chosen.append(stage)
        for stage in reversed(chosen):
            self._begun[stage.shuffle_id] = stage, self._map_stage(stage)

    def _map_stage(self, stage: CutStage) -> PlannedStage:
        sink = ops.FragmentWrite(
            stage.plan.SerializeToString(), stage.shuffle_id, stage.pieces, b"" if stage.hash is None else stage.hash.SerializeToString(),
            stage.schema, self._inputs(stage.reads), self._settings,
        )  # fmt: skip
        spec = StageSpec(
            self._planner.stage_id(), str(self._call_site), width(stage.plan), self._parents(stage.reads),
            tuple(map(ShuffleId, stage.reads)), ShuffleId(stage.shuffle_id),
        )  # fmt: skip
        return PlannedStage(spec, dump_body(ops.StageBody(sink, (self._call_site,))), dump_value, (self._call_site,))

    def _parents(self, reads: Sequence[int]) -> tuple[StageId, ...]:
        others = self._productions
        return tuple(others[each].shuffle.stage_id if each in others else self._begun[each][1].spec.stage_id for each in reads)

    def _inputs(self, reads: Sequence[int]) -> tuple[tuple[int, bytes], ...]:
        others = self._productions
        return tuple((each, others[each].head if each in others else self._begun[each][0].schema) for each in reads)


def _sizes(driver: Driver, stage: CutStage) -> ShuffleSizes:
    maps = [array("Q", sizes) for sizes in driver.map_sizes(ShuffleId(stage.shuffle_id))]
    # Lost again already: what reads it has it made again, and its sizes are not worth waiting for.
    return ShuffleSizes(maps or [[1] * stage.pieces] * width(stage.plan))


def staged(
    plan: Plan,
    planner: Planner,
    pieces: int,
    call_site: CallSite,
    settings: Settings,
    properties: Mapping[str, str],
    productions: Collection[Production] = (),
    make_sink: MakeSink = ops.FragmentCollect,
    keeps_width: bool = False,
    built: frozenset[str] = frozenset(),
) -> StagedQuery:
    """A physical plan, cut at its exchanges; `make_sink` says what becomes of the result, whose partitions stay as planned if
    `keeps_width`. `built`: columns of sides that joins should collect. Raises UnsupportedPlan."""
    pieces_of_it = replace(with_hints(cut(plan, describe, planner.shuffle_id, pieces), built), keeps_width=keeps_width)
    return StagedQuery(pieces_of_it, planner, call_site, settings, properties, productions, make_sink)


def in_one_task(
    plan: Plan,
    planner: Planner,
    cores: int,
    call_site: CallSite,
    settings: Settings,
    properties: Mapping[str, str],
    productions: Collection[Production] = (),
    make_sink: MakeSink = ops.FragmentCollect,
) -> PlannedJob:
    """The job that computes a physical plan uncut, in one task that has all of an executor's cores, after what it is to read."""
    shuffles = [each.shuffle for each in productions]
    spec = StageSpec(
        planner.stage_id(), str(call_site), 1,
        tuple(each.stage_id for each in shuffles), tuple(each.id for each in shuffles), cores_per_task=cores,
    )  # fmt: skip
    inputs = tuple((int(each.shuffle.id), each.head) for each in productions)
    body = dump_body(ops.StageBody(make_sink(plan.SerializeToString(), inputs, settings), (call_site,)))
    stages = (*planner.map_stages(shuffles), PlannedStage(spec, body, _whole, (call_site,)))
    return PlannedJob(planner.job_id(), stages, call_site, properties)


def _whole(partition: int) -> bytes:
    return dump_value(None)


def table_of(streams: Sequence[bytes], schema: pa.Schema) -> pa.Table:
    """The rows of a job's results, in the order of its partitions, with exactly this schema."""
    import pyarrow as pa

    batches: list[Any] = []
    for stream in streams:
        if stream:
            found = pa.ipc.open_stream(pa.py_buffer(stream))
            if len(schema):
                # Shuffled rows have lost which columns can't be null.
                kinds = [field.type for field in schema]
                batches += (
                    pa.RecordBatch.from_arrays([fitted(*pair) for pair in zip(batch.columns, kinds, strict=True)], schema=schema)
                    for batch in found
                )
            else:
                batches += (pa.RecordBatch.from_struct_array(pa.array([{}] * batch.num_rows, pa.struct([]))) for batch in found)
    return pa.Table.from_batches(batches, schema)
