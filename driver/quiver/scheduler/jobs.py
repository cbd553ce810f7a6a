"""A job as the scheduler keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quiver.scheduler.model import JobSpec
from quiver_proto.ids import JobId

if TYPE_CHECKING:
    from quiver.scheduler.stages import Stage


class Job:
    """One running job. `stages` as in its spec, the result stage last."""

    __slots__ = ("id", "since", "spec", "stages", "told")

    def __init__(self, spec: JobSpec, now: float) -> None:
        self.id: JobId = spec.job_id
        self.spec = spec
        self.stages: list[Stage] = []
        self.since = now
        """When it was submitted."""
        self.told = ""
        """The reason for waiting that the user was told last."""

    @property
    def result(self) -> Stage:
        return self.stages[-1]

    def running(self) -> bool:
        """Whether any task that it needs runs (or is queued at an executor)."""
        return any(stage.run is not None and stage.run.running and self in stage.jobs for stage in self.stages)

    def idle_since(self) -> float:
        """When it last launched a task or had one end; its submission if it never did."""
        return max((stage.run.last_active for stage in self.stages if stage.run is not None and self in stage.jobs), default=self.since)


def check(spec: JobSpec) -> None:
    """Raises ValueError for a job that can't be a plan: its stages must be parents first, map stages, then the one result stage."""
    seen: set[int] = set()
    if not spec.stages:
        raise ValueError(f"job {spec.job_id} has no stages")
    for stage in spec.stages:
        last = stage is spec.stages[-1]
        if (stage.shuffle_id is None) is not last:
            raise ValueError(f"job {spec.job_id}: stage {stage.stage_id} must {'not ' if last else ''}write a shuffle")
        if stage.stage_id in seen or not seen.issuperset(stage.parents):
            raise ValueError(f"job {spec.job_id}: stage {stage.stage_id} comes twice or before its parents {stage.parents}")
        if stage.cores_per_task < 1 or stage.width < 0:
            raise ValueError(f"job {spec.job_id}: stage {stage.stage_id} needs a positive number of cores and no negative width")
        seen.add(stage.stage_id)
