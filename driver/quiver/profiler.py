"""Profiles of tasks (`spark.python.profile`): a profiler for each RDD whose stages run, and what they have measured."""

from __future__ import annotations

import atexit
import sys
from typing import Any

from quiver.callsite import capture
from quiver.closures import seal
from quiver_proto.ops import Function
from quiver_proto.profiling import BasicProfiler, Profiler

__all__ = ["BasicProfiler", "Profiler", "ProfilerCollector"]


class ProfilerCollector:
    """The profilers of one Context, by RDD. When the process exits, what was measured and not shown is shown, or dumped to
    `spark.python.profile.dump`."""

    def __init__(self, context: Any, profiler_cls: type[Profiler], dump_path: str | None) -> None:
        self._context = context
        self._profiler_cls = profiler_cls
        self._dump_path = dump_path
        self._profilers: dict[int, tuple[Profiler, Function]] = {}
        self._shown: set[int] = set()
        self._registered = False

    def of(self, dataset_id: int) -> Function:
        """What tasks of a stage that ends with this RDD are profiled by: a profiler, sealed."""
        known = self._profilers.get(dataset_id)
        if known is None:
            if not self._registered:
                self._registered = True
                atexit.register(self._at_exit)
            profiler = self._profiler_cls(self._context)
            known = self._profilers[dataset_id] = profiler, seal(profiler.profile, capture())
        return known[1]

    def show_profiles(self) -> None:
        """See Context.show_profiles."""
        for dataset_id, (profiler, _) in list(self._profilers.items()):
            if dataset_id not in self._shown:
                self._shown.add(dataset_id)
                profiler.show(dataset_id)

    def dump_profiles(self, path: str) -> None:
        """See Context.dump_profiles."""
        for dataset_id, (profiler, _) in self._profilers.items():
            profiler.dump(dataset_id, path)
        self._profilers = {}
        self._shown = set()

    def _at_exit(self) -> None:
        if self._dump_path:
            self.dump_profiles(self._dump_path)
        else:
            self.show_profiles()
            sys.stdout.flush()
