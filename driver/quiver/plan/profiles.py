"""From resource profiles and settings to what the tasks of a stage need."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

from quiver.plan.lineage import Dataset, Narrow
from quiver.resource import ExecutorResourceRequest, ResourceProfile, TaskResourceRequest
from quiver.scheduler.model import Needs
from quiver_proto import discovery
from quiver_proto.errors import BadSetting

_IGNORED = ("memoryOverhead", "pyspark.memory", "offHeap")


class Settings(Protocol):
    def getAll(self) -> list[tuple[str, str]]: ...


class Profiles:
    """Which datasets have a profile, and what applies to the stages of the others. `merge`: several in one stage are merged."""

    def __init__(self, cores: int, settings: Settings | None) -> None:
        self._of: dict[int, ResourceProfile] = {}
        conf = {} if settings is None else dict(settings.getAll())
        self._merge = conf.get("spark.scheduler.resource.profileMergeConflicts", "false").lower() == "true"
        amounts = discovery.settings(conf, "task", "amount")
        offered = discovery.settings(conf, "executor", "amount")
        for name, amount in amounts.items():
            if name not in offered:
                key = f"spark.task.resource.{name}.amount"
                raise BadSetting(key, amount, f"no executor would have any; set spark.executor.resource.{name}.amount too")
        self._cores = cores
        self._needs = _needs({name: _request(name, amount) for name, amount in amounts.items()}, {})

    def __getitem__(self, dataset_id: int) -> ResourceProfile | None:
        return self._of.get(dataset_id)

    def __setitem__(self, dataset_id: int, profile: ResourceProfile) -> None:
        self._of[dataset_id] = profile

    def of_stage(self, dataset: Dataset) -> tuple[int, Needs | None]:
        """(cores of a task, what else it needs) for the stage that ends with `dataset`. Raises ValueError for conflicting profiles."""
        if self._of:
            found = {profile.id: profile for profile in self._in_stage(dataset)}
            if len(found) > 1 and not self._merge:
                raise ValueError(
                    "Multiple ResourceProfiles specified in the RDDs for this stage, either resolve the conflicting ResourceProfiles "
                    "yourself or enable spark.scheduler.resource.profileMergeConflicts, which takes the largest amount of each resource."
                )
            if found:
                return _merged(list(found.values()), self._cores)
        return self._cores, self._needs

    def _in_stage(self, dataset: Dataset) -> list[ResourceProfile]:
        found: list[ResourceProfile] = []
        pending, seen = [dataset], set[int]()
        while pending:
            current = pending.pop()
            if current.id in seen:
                continue
            seen.add(current.id)
            if (profile := self._of.get(current.id)) is not None:
                found.append(profile)
            if isinstance(current, Narrow):
                pending.append(current.parent)
            else:
                pending += current.parents
        return found


def _request(name: str, amount: str) -> TaskResourceRequest:
    try:
        return TaskResourceRequest(name, float(amount))
    except ValueError as error:
        raise BadSetting(f"spark.task.resource.{name}.amount", amount, str(error)) from None


def _merged(profiles: list[ResourceProfile], cores: int) -> tuple[int, Needs | None]:
    tasks: dict[str, TaskResourceRequest] = {}
    executors: dict[str, ExecutorResourceRequest] = {}
    for profile in profiles:
        for name, request in profile.taskResources.items():
            if name not in tasks or request.amount > tasks[name].amount:
                tasks[name] = request
        for name, least in profile.executorResources.items():
            if name not in executors or least.amount > executors[name].amount:
                executors[name] = least
    cpus = tasks.pop("cpus", None)
    return cores if cpus is None else math.ceil(cpus.amount), _needs(tasks, executors)


def _needs(tasks: Mapping[str, TaskResourceRequest], executors: Mapping[str, ExecutorResourceRequest]) -> Needs | None:
    per_task = tuple(sorted((name, request.amount) for name, request in tasks.items()))
    amounts = {name: request.amount for name, request in executors.items() if name not in _IGNORED}
    if "memory" in amounts:
        amounts["memory"] <<= 20
    least = tuple(sorted(amounts.items()))
    return Needs(per_task, least) if per_task or least else None
