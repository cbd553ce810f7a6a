"""Stage-level resources as users see them: `rdd.withResources(profile)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

from quiver.rdd_core import RddCore

if TYPE_CHECKING:
    from quiver.resource import ResourceProfile

T = TypeVar("T")


class ResourceOperators(RddCore[T]):
    """What tasks that compute this RDD need."""

    __slots__ = ()

    def withResources(self, profile: ResourceProfile) -> Self:
        """Have the stages that compute this RDD use `profile`; returns the RDD itself.

        Jobs raise ValueError when a stage has RDDs of different profiles (unless `spark.scheduler.resource.profileMergeConflicts` is
        true: then the largest amounts count), and ResourcesUnavailable within seconds when no executor has what the profile asks for.

        >>> from quiver.resource import ResourceProfileBuilder, TaskResourceRequests
        >>> profile = ResourceProfileBuilder().require(TaskResourceRequests().cpus(1)).build
        >>> sc.parallelize([1, 2]).withResources(profile).map(lambda x: x + 1).collect()
        [2, 3]
        """
        self._context._planner.use_profile(self._dataset.id, profile)
        return self

    def getResourceProfile(self) -> ResourceProfile | None:
        """What withResources gave; None without.

        >>> sc.parallelize([1]).getResourceProfile() is None
        True
        """
        profiles = self._context._planner.profiles
        return None if profiles is None else profiles[self._dataset.id]

    @property
    def has_resource_profile(self) -> bool:
        """Has withResources given it a profile?

        >>> sc.parallelize([1]).has_resource_profile
        False
        """
        return self.getResourceProfile() is not None
