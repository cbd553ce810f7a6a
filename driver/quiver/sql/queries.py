"""A query's life: physical plan → stages → job → Arrow table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from quiver.plan.model import PlannedJob, PlannedStage
from quiver.plan.stages import Planner, dump_body
from quiver.scheduler.model import StageSpec
from quiver.sql.cutting import CutPlan, CutStage, cut
from quiver.sql.kernel import describe
from quiver.sql.producing import Production
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


def planned(
    plan: Plan,
    planner: Planner,
    pieces: int,
    call_site: CallSite,
    settings: Settings,
    properties: Mapping[str, str],
    productions: Collection[Production] = (),
    make_sink: MakeSink = ops.FragmentCollect,
) -> PlannedJob:
    """The job that computes a physical plan, cut at its exchanges; each result is an Arrow IPC stream. Raises UnsupportedPlan."""
    return _job(cut(plan, describe, planner.shuffle_id, pieces), planner, call_site, settings, properties, productions, make_sink)


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


def _job(
    plan: CutPlan,
    planner: Planner,
    call_site: CallSite,
    settings: Settings,
    properties: Mapping[str, str],
    productions: Collection[Production],
    make_sink: MakeSink,
) -> PlannedJob:
    shuffles = [each.shuffle for each in productions]
    stage_ids: dict[int, StageId] = {int(each.id): each.stage_id for each in shuffles}
    stage_ids.update((stage.shuffle_id, planner.stage_id()) for stage in plan.stages)
    schemas: dict[int, bytes] = {int(each.shuffle.id): each.head for each in productions}
    schemas.update((stage.shuffle_id, stage.schema) for stage in plan.stages)
    stages = [_map_stage(stage, stage_ids, schemas, call_site, settings) for stage in plan.stages]
    sink = make_sink(plan.result.SerializeToString(), _inputs(plan.reads, schemas), settings)
    spec = StageSpec(
        planner.stage_id(), str(call_site), width(plan.result),
        tuple(stage_ids[shuffle] for shuffle in plan.reads), tuple(map(ShuffleId, plan.reads)),
    )  # fmt: skip
    result = PlannedStage(spec, dump_body(ops.StageBody(sink, (call_site,))), dump_value, (call_site,))
    return PlannedJob(planner.job_id(), (*planner.map_stages(shuffles), *stages, result), call_site, properties)


def _map_stage(
    stage: CutStage, stage_ids: Mapping[int, StageId], schemas: Mapping[int, bytes], call_site: CallSite, settings: Settings
) -> PlannedStage:
    sink = ops.FragmentWrite(
        stage.plan.SerializeToString(), stage.shuffle_id, stage.pieces, b"" if stage.hash is None else stage.hash.SerializeToString(),
        stage.schema, _inputs(stage.reads, schemas), settings,
    )  # fmt: skip
    spec = StageSpec(
        stage_ids[stage.shuffle_id], str(call_site), width(stage.plan),
        tuple(stage_ids[shuffle] for shuffle in stage.reads), tuple(map(ShuffleId, stage.reads)), ShuffleId(stage.shuffle_id),
    )  # fmt: skip
    return PlannedStage(spec, dump_body(ops.StageBody(sink, (call_site,))), dump_value, (call_site,))


def _inputs(reads: Sequence[int], schemas: Mapping[int, bytes]) -> tuple[tuple[int, bytes], ...]:
    return tuple((shuffle, schemas[shuffle]) for shuffle in reads)


def _whole(partition: int) -> bytes:
    return dump_value(None)


def table_of(streams: Sequence[bytes], schema: pa.Schema) -> pa.Table:
    """The rows of a job's results, in the order of its partitions, with exactly this schema."""
    import pyarrow as pa

    batches: list[Any] = []
    for stream in streams:
        if stream:
            # Shuffled rows have lost which columns can't be null.
            batches += (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in pa.ipc.open_stream(pa.py_buffer(stream)))
    return pa.Table.from_batches(batches, schema)
