"""A planned job as a message, and back. The server never opens what it carries: bodies, splits and results stay bytes."""

from __future__ import annotations

from quiver.plan.model import PlannedJob, PlannedStage
from quiver.scheduler.model import Preference, StageSpec
from quiver_proto.ids import ExecutorId, NodeId, ShuffleId
from quiver_proto.sessions import ExecutePlan, PlanPreference, PlanPreferences, PlanStage


def to_message(session_id: str, job: PlannedJob) -> ExecutePlan:
    """The job with its splits made, those that it wants. Raises what making a split raises (a record that does not pickle)."""
    return ExecutePlan(session_id, job.job_id, tuple(map(_stage_to_message, job.stages)), job.call_site, dict(job.properties))


def from_message(plan: ExecutePlan) -> PlannedJob:
    """The inverse of `to_message`, as far as executing it goes."""
    return PlannedJob(plan.job_id, tuple(map(_stage_from_message, plan.stages)), plan.call_site, dict(plan.properties))


def _stage_to_message(stage: PlannedStage) -> PlanStage:
    spec = stage.spec
    wanted = range(spec.width) if spec.partitions is None else frozenset(spec.partitions)
    return PlanStage(
        stage_id=spec.stage_id,
        name=spec.name,
        width=spec.width,
        parents=spec.parents,
        reads=spec.reads,
        shuffle_id=ShuffleId(-1) if spec.shuffle_id is None else spec.shuffle_id,
        partitions=spec.partitions or (),
        some_partitions=spec.partitions is not None,
        cores_per_task=spec.cores_per_task,
        preferred={partition: PlanPreferences(tuple(map(_place, places))) for partition, places in spec.preferred.items()},
        body=stage.body,
        splits=tuple(stage.split(partition) if partition in wanted else b"" for partition in range(spec.width)),
        operators=stage.operators,
        barrier=spec.barrier,
    )


def _place(preference: Preference) -> PlanPreference:
    return PlanPreference(preference.node_id, preference.executor_id or "", -1 if preference.slot is None else preference.slot)


def _stage_from_message(stage: PlanStage) -> PlannedStage:
    spec = StageSpec(
        stage_id=stage.stage_id,
        name=stage.name,
        width=stage.width,
        parents=tuple(stage.parents),
        reads=tuple(stage.reads),
        shuffle_id=None if stage.shuffle_id < 0 else stage.shuffle_id,
        partitions=tuple(stage.partitions) if stage.some_partitions else None,
        cores_per_task=stage.cores_per_task,
        preferred={partition: tuple(map(_preference, given.places)) for partition, given in stage.preferred.items()},
        barrier=stage.barrier,
    )
    return PlannedStage(spec, stage.body, stage.splits.__getitem__, tuple(stage.operators))


def _preference(place: PlanPreference) -> Preference:
    executor = ExecutorId(place.executor_id) if place.executor_id else None
    return Preference(NodeId(place.node_id), executor, None if place.slot < 0 else place.slot)
