"""A planned job as a message, and back. The server never opens what it carries: bodies, splits and results stay bytes."""

from __future__ import annotations

from collections.abc import Iterator

from quiver.plan.model import PlannedJob, PlannedStage
from quiver.scheduler.blocks import StoredDataset
from quiver.scheduler.caching import Caching, Variant
from quiver.scheduler.model import Needs, Preference, StageSpec
from quiver_proto.ids import ExecutorId, NodeId, ShuffleId
from quiver_proto.sessions import ExecutePlan, PlanDataset, PlanPreference, PlanPreferences, PlanStage, PlanVariant, PlanVariants
from quiver_proto.storage import StorageLevel


def to_message(session_id: str, job: PlannedJob) -> ExecutePlan:
    """The job with its splits made, those that it wants. Raises what making a split raises (a record that does not pickle)."""
    return ExecutePlan(session_id, job.job_id, tuple(map(_stage_to_message, job.stages)), job.call_site, dict(job.properties), job.within_s)


def from_message(plan: ExecutePlan) -> PlannedJob:
    """The inverse of `to_message`, as far as executing it goes."""
    return PlannedJob(
        plan.job_id, tuple(map(_stage_from_message, plan.stages)), plan.call_site, dict(plan.properties), within_s=plan.within_s
    )


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
        broadcasts=tuple(stage.broadcasts),
        barrier=spec.barrier,
        task_resources={} if spec.needs is None else dict(spec.needs.per_task),
        executor_least={} if spec.needs is None else dict(spec.needs.executor),
        datasets=() if spec.caching is None else tuple(map(_dataset_to_message, spec.caching.datasets)),
        variants=() if spec.caching is None else tuple(
            PlanVariants(tuple(_variants_to_message(stage, spec.caching, partition))) if partition in wanted else PlanVariants()
            for partition in range(spec.width)
        ),
    )  # fmt: skip


def _dataset_to_message(dataset: StoredDataset) -> PlanDataset:
    level = dataset.level
    return PlanDataset(
        dataset.dataset_id, dataset.name, dataset.width, level.useDisk, level.useMemory, level.useOffHeap, level.deserialized,
        level.replication, dataset.is_only_copy,
    )  # fmt: skip


def _dataset_from_message(dataset: PlanDataset) -> StoredDataset:
    level = StorageLevel(dataset.use_disk, dataset.use_memory, dataset.use_off_heap, dataset.deserialized, dataset.replication)
    return StoredDataset(dataset.dataset_id, dataset.name, dataset.width, level, dataset.is_only_copy)


def _variants_to_message(stage: PlannedStage, caching: Caching, partition: int) -> Iterator[PlanVariant]:
    assert stage.variant is not None
    ways = list(caching.variants(partition))
    for number, way in enumerate(ways):
        # The last one's split is the stage's own.
        split = stage.variant(partition, number) if number + 1 < len(ways) else b""
        yield PlanVariant(tuple(need[0] for need in way.needs), tuple(need[1] for need in way.needs), way.reads, split)


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
        caching=_caching_from_message(stage) if stage.datasets else None,
        needs=_needs(stage),
    )
    variant = None if spec.caching is None else lambda partition, number: _split_of(stage, partition, number)
    return PlannedStage(
        spec, stage.body, stage.splits.__getitem__, tuple(stage.operators), variant=variant, broadcasts=dict.fromkeys(stage.broadcasts)
    )


def _caching_from_message(stage: PlanStage) -> Caching:
    ways = [
        [Variant(tuple(zip(way.datasets, way.partitions, strict=True)), tuple(map(ShuffleId, way.reads))) for way in given.ways]
        for given in stage.variants
    ]
    return Caching(tuple(map(_dataset_from_message, stage.datasets)), ways.__getitem__)


def _split_of(stage: PlanStage, partition: int, number: int) -> bytes:
    return stage.variants[partition].ways[number].split or stage.splits[partition]


def _needs(stage: PlanStage) -> Needs | None:
    if not stage.task_resources and not stage.executor_least:
        return None
    return Needs(tuple(sorted(stage.task_resources.items())), tuple(sorted(stage.executor_least.items())))


def _preference(place: PlanPreference) -> Preference:
    executor = ExecutorId(place.executor_id) if place.executor_id else None
    return Preference(NodeId(place.node_id), executor, None if place.slot < 0 else place.slot)
