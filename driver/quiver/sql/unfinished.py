"""A query in the middle of its life: which shuffles are there, and the fragments that have not run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from quiver.sql.cutting import CutPlan, CutStage, reads_of
from quiver.sql.regrouping import ShuffleSizes
from quiver_proto.fragments import Exchange, copied, exchange_of, scans, width
from quiver_proto.v1.kernel_pb2 import Plan


@dataclass(frozen=True, slots=True)
class Progress:
    """A query in the middle of its life. `known` are the shuffles that are there. `notes` say what was decided, and why."""

    plan: CutPlan
    known: Mapping[int, ShuffleSizes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def pending(self) -> list[CutStage]:
        """Stages that are still needed and have not run, parents first."""
        return [stage for stage in self.plan.stages if stage.shuffle_id not in self.known]


def fragment(plan: CutPlan, owner: int | None) -> Plan:
    """A copy of the plan that writes this shuffle (None: of the result)."""
    return copied(plan.result if owner is None else next(stage.plan for stage in plan.stages if stage.shuffle_id == owner))


def fragments(progress: Progress) -> list[tuple[int | None, Plan]]:
    """Copies of those that have not run, with the shuffle that they write (None: the result)."""
    return [*((stage.shuffle_id, copied(stage.plan)) for stage in progress.pending()), (None, copied(progress.plan.result))]


def with_fragment(progress: Progress, owner: int | None, plan: Plan, note: str) -> Progress:
    """With `plan` in place of the fragment; what is not read any more is gone."""
    stages, result = list(progress.plan.stages), progress.plan.result
    if owner is None:
        result = plan
    else:
        number = next(n for n, stage in enumerate(stages) if stage.shuffle_id == owner)
        before = width(stages[number].plan)
        stages[number] = replace(stages[number], plan=plan, reads=reads_of(plan))
        if width(plan) != before:
            result = _read_by_map(result, owner, width(plan))
            stages = [
                stage if owner not in stage.reads else replace(stage, plan=_read_by_map(stage.plan, owner, width(plan))) for stage in stages
            ]
    needed = set(reads_of(result))
    kept: list[CutStage] = []
    for stage in reversed(stages):
        if stage.shuffle_id in needed:
            needed.update(stage.reads)
            kept.append(stage)
    return replace(progress, plan=CutPlan(tuple(reversed(kept)), result, reads_of(result)), notes=(*progress.notes, note))


def _read_by_map(plan: Plan, shuffle_id: int, maps: int) -> Plan:
    """The fragment that reads the runs of so many map tasks."""
    result = copied(plan)
    for scan in scans(result):
        groups = scan.base_conf.file_groups
        exchange = exchange_of(groups[0]) if groups else None
        if exchange is not None and exchange.by_map and exchange.shuffle_id == shuffle_id:
            del groups[:]
            for number in range(maps):
                groups.add().files.add(path=Exchange(shuffle_id, True, number).path, size=1)
    return result
