"""What a Context has to do with profiles of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quiver_proto.errors import ProfilingOff

if TYPE_CHECKING:
    from quiver.conf import Conf
    from quiver.plan.stages import Planner
    from quiver.profiler import Profiler, ProfilerCollector


class TaskProfiles:
    """Profiles are made while `spark.python.profile` is true: of the tasks of every stage, by the RDD that the stage ends with, merged
    over its tasks and jobs. What was measured and never shown is printed when the process exits, or written to
    `spark.python.profile.dump`."""

    _conf: Conf
    _planner: Planner
    _profilers: ProfilerCollector | None = None

    @property
    def profiler_collector(self) -> ProfilerCollector | None:
        """The profilers of this Context, by RDD; None while no profiles are made.

        >>> sc.profiler_collector is None
        True
        """
        return self._profilers

    def show_profiles(self) -> None:
        """Print the profiles that were not shown yet. Raises ProfilingOff (a RuntimeError) unless profiles are made.

        >>> sc.show_profiles()
        Traceback (most recent call last):
        quiver_proto.errors.ProfilingOff: [INCORRECT_CONF_FOR_PROFILE] `spark.python.profile` or `spark.python.profile.memory` ...
        """
        self._collector().show_profiles()

    def dump_profiles(self, path: str) -> None:
        """Write the profiles to the folder `path`, a file `rdd_<id>.pstats` for each RDD, and start anew. Raises ProfilingOff.

        >>> sc.dump_profiles("profiles")
        Traceback (most recent call last):
        quiver_proto.errors.ProfilingOff: [INCORRECT_CONF_FOR_PROFILE] `spark.python.profile` or `spark.python.profile.memory` ...
        """
        self._collector().dump_profiles(path)

    def _collector(self) -> ProfilerCollector:
        if self._profilers is None:
            raise ProfilingOff
        return self._profilers

    def _start_profiling(self, profiler_cls: type[Profiler] | None) -> None:
        rdds, memory = (self._conf.get(key, "false").lower() == "true" for key in ("spark.python.profile", "spark.python.profile.memory"))
        if rdds or memory:
            from quiver.profiler import BasicProfiler, ProfilerCollector

            self._profilers = ProfilerCollector(self, profiler_cls or BasicProfiler, self._conf.get("spark.python.profile.dump"))
            if rdds:
                self._planner.profiler_of = self._profilers.of
