"""Profilers of tasks: what they measure travels as an accumulator's updates do, so it counts once per partition."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quiver_proto.accumulators import AccumulatorParam

if TYPE_CHECKING:
    import pstats


class Profiler:
    """What measures the tasks of one RDD. Subclass it, or BasicProfiler, and give the class to the Context (`profiler_cls`).

    An object is made on the driver for each RDD whose stages run; every task gets a copy, and calls `profile`. `show` and `dump` are
    called on the driver's object.

    >>> from quiver import BasicProfiler
    >>> class Quiet(BasicProfiler):
    ...     def show(self, id):
    ...         print("My custom profiles for RDD:%s" % id)
    """

    def __init__(self, ctx: Any) -> None:
        """`ctx` is the Context; tasks can't have it, so it must not be kept."""

    def profile(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call `func` with the arguments, measure it, and return what it returns. Runs in the task.

        >>> class Timer(Profiler):
        ...     def __init__(self, ctx): self.taken = ctx.accumulator(0.0)
        ...     def profile(self, func, *args, **kwargs):
        ...         begun = time.perf_counter()
        ...         try:
        ...             return func(*args, **kwargs)
        ...         finally:
        ...             self.taken.add(time.perf_counter() - begun)
        >>> import time
        >>> Timer(sc).profile(lambda: 5)
        5
        """
        raise NotImplementedError(f"{type(self).__name__} must define profile(func, *args, **kwargs)")

    def stats(self) -> Any:
        """What was measured, merged; None for nothing.

        >>> class Timer(Profiler):
        ...     def __init__(self, ctx): self.taken = ctx.accumulator(0.0)
        ...     def stats(self): return self.taken.value
        >>> Timer(sc).stats()
        0.0
        """
        raise NotImplementedError(f"{type(self).__name__} must define stats()")

    def show(self, id: int) -> None:
        """Print what was measured of the RDD `id`.

        >>> class Timer(Profiler):
        ...     def __init__(self, ctx): self.taken = ctx.accumulator(0.0)
        ...     def show(self, id): print(f"RDD {id}: {self.taken.value} s")
        >>> Timer(sc).show(7)
        RDD 7: 0.0 s
        """
        raise NotImplementedError(f"{type(self).__name__} must define show(id)")

    def dump(self, id: int, path: str) -> None:
        """Write what was measured of the RDD `id` into the folder `path`.

        >>> class Timer(Profiler):
        ...     def __init__(self, ctx): self.taken = ctx.accumulator(0.0)
        ...     def dump(self, id, path): print(f"into {path}")
        >>> Timer(sc).dump(7, "profiles")
        into profiles
        """
        raise NotImplementedError(f"{type(self).__name__} must define dump(id, path)")


class PStatsParam(AccumulatorParam["pstats.Stats | None"]):
    """Merges what cProfile has measured."""

    def zero(self, value: pstats.Stats | None) -> pstats.Stats | None:
        """Nothing."""
        return None

    def addInPlace(self, value1: pstats.Stats | None, value2: pstats.Stats | None) -> pstats.Stats | None:
        """Both together."""
        if value1 is None:
            return value2
        if value2 is not None:
            value1.add(value2)
        return value1


class BasicProfiler(Profiler):
    """The default: cProfile, merged over the tasks of all stages that end with the RDD."""

    def __init__(self, ctx: Any) -> None:
        super().__init__(ctx)
        self._accumulator = ctx.accumulator(None, PStatsParam())

    def profile(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call `func` under cProfile; returns what it returns.

        >>> BasicProfiler(sc).profile(lambda: 5)
        5
        """
        import cProfile
        import pstats

        profile = cProfile.Profile()
        returned = profile.runcall(func, *args, **kwargs)
        stats = pstats.Stats(profile)
        stats.stream = None  # type: ignore[attr-defined]  # It could not be pickled.
        stats.strip_dirs()
        self._accumulator.add(stats)
        return returned

    def stats(self) -> pstats.Stats | None:
        """What was measured so far, merged; None before the first task has ended.

        >>> BasicProfiler(sc).stats() is None
        True
        """
        measured: pstats.Stats | None = self._accumulator.value
        return measured

    def show(self, id: int) -> None:
        """Print it to standard output, what took longest first.

        >>> BasicProfiler(sc).show(7)
        """
        stats = self.stats()
        if stats:
            line = "=" * 60
            print(f"{line}\nProfile of RDD<id={id}>\n{line}")
            stats.sort_stats("time", "cumulative").print_stats()

    def dump(self, id: int, path: str) -> None:
        """Write it to `path`/rdd_<id>.pstats, which pstats.Stats can read. The folder is made.

        >>> BasicProfiler(sc).dump(7, "/nowhere")
        """
        stats = self.stats()
        if stats:
            os.makedirs(path, exist_ok=True)
            stats.dump_stats(os.path.join(path, f"rdd_{id}.pstats"))
