"""Quiver: datasets, tasks and a cluster in Python. What users import."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from quiver_proto import __version__
from quiver_proto.errors import (
    ConfigurationError,
    ConnectionFailed,
    ContextStopped,
    DataError,
    JobCancelled,
    JobFailed,
    QuiverError,
    UnpicklableClosure,
)

if TYPE_CHECKING:
    from quiver.conf import Conf
    from quiver.conf import Conf as SparkConf
    from quiver.context import Context
    from quiver.context import Context as SparkContext
    from quiver.rdd import RDD
    from quiver.rdd_barrier import RDDBarrier
    from quiver.status import SparkExecutorInfo, SparkJobInfo, SparkStageInfo, StatusTracker
    from quiver.threads import InheritableThread, inheritable_thread_target
    from quiver_proto.accumulators import Accumulator, AccumulatorParam
    from quiver_proto.broadcast import Broadcast
    from quiver_proto.functions import ResultIterable
    from quiver_proto.profiling import BasicProfiler, Profiler
    from quiver_proto.sessions import SkewReport
    from quiver_proto.shared_files import Files
    from quiver_proto.shared_files import Files as SparkFiles
    from quiver_proto.statistics import StatCounter
    from quiver_proto.storage import StorageLevel
    from quiver_proto.task_context import BarrierTaskContext, BarrierTaskInfo, TaskContext

# Looked up on first use: `import quiver` alone costs a few milliseconds.
_LAZY = {
    "Conf": ("quiver.conf", "Conf"),
    "SparkConf": ("quiver.conf", "Conf"),
    "Context": ("quiver.context", "Context"),
    "SparkContext": ("quiver.context", "Context"),
    "Accumulator": ("quiver_proto.accumulators", "Accumulator"),
    "Broadcast": ("quiver_proto.broadcast", "Broadcast"),
    "AccumulatorParam": ("quiver_proto.accumulators", "AccumulatorParam"),
    "RDD": ("quiver.rdd", "RDD"),
    "BasicProfiler": ("quiver_proto.profiling", "BasicProfiler"),
    "Profiler": ("quiver_proto.profiling", "Profiler"),
    "RDDBarrier": ("quiver.rdd_barrier", "RDDBarrier"),
    "ResultIterable": ("quiver_proto.functions", "ResultIterable"),
    "InheritableThread": ("quiver.threads", "InheritableThread"),
    "inheritable_thread_target": ("quiver.threads", "inheritable_thread_target"),
    "Files": ("quiver.shared_files", "Files"),
    "SparkFiles": ("quiver.shared_files", "Files"),
    "SkewReport": ("quiver_proto.sessions", "SkewReport"),
    "StatusTracker": ("quiver.status", "StatusTracker"),
    "SparkJobInfo": ("quiver.status", "SparkJobInfo"),
    "SparkStageInfo": ("quiver.status", "SparkStageInfo"),
    "SparkExecutorInfo": ("quiver.status", "SparkExecutorInfo"),
    "StatCounter": ("quiver_proto.statistics", "StatCounter"),
    "TaskContext": ("quiver_proto.task_context", "TaskContext"),
    "BarrierTaskContext": ("quiver_proto.task_context", "BarrierTaskContext"),
    "BarrierTaskInfo": ("quiver_proto.task_context", "BarrierTaskInfo"),
    "StorageLevel": ("quiver_proto.storage", "StorageLevel"),
}

__all__ = [
    "RDD",
    "Accumulator",
    "AccumulatorParam",
    "BarrierTaskContext",
    "BarrierTaskInfo",
    "BasicProfiler",
    "Broadcast",
    "Conf",
    "ConfigurationError",
    "ConnectionFailed",
    "Context",
    "ContextStopped",
    "DataError",
    "Files",
    "InheritableThread",
    "JobCancelled",
    "JobFailed",
    "Profiler",
    "QuiverError",
    "RDDBarrier",
    "ResultIterable",
    "SkewReport",
    "SparkConf",
    "SparkContext",
    "SparkExecutorInfo",
    "SparkFiles",
    "SparkJobInfo",
    "SparkStageInfo",
    "StatCounter",
    "StatusTracker",
    "StorageLevel",
    "TaskContext",
    "UnpicklableClosure",
    "__version__",
    "inheritable_thread_target",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        module, attribute = _LAZY[name]
        value = globals()[name] = getattr(importlib.import_module(module), attribute)
        return value
    raise AttributeError(f"module 'quiver' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
