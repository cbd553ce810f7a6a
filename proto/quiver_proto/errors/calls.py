"""Calls that are wrong where or when they were made, or that are not offered."""

from __future__ import annotations

from quiver_proto.errors.base import QuiverError


class NotAnRDD(QuiverError, TypeError, AttributeError):
    def __init__(self, operator: str, what: str) -> None:
        super().__init__(f"{operator} takes an RDD, not {what}. sc.parallelize(...) makes one of a list.", operator, what)


class NegativeFraction(QuiverError, ValueError, AssertionError):
    def __init__(self, fraction: float) -> None:
        super().__init__(f"Negative fraction value: {fraction}. A fraction is 0 or more.", fraction)


class CannotChangeStorageLevel(QuiverError, RuntimeError):
    def __init__(self, rdd: str, now: str, wanted: str) -> None:
        super().__init__(
            f"Cannot change storage level of an RDD after it was already assigned a level: {rdd} has {now}, not {wanted}. "
            "Call unpersist() first.",
            rdd,
            now,
            wanted,
        )


class CheckpointDirectoryNotSet(QuiverError, RuntimeError):
    def __init__(self, rdd: str) -> None:
        super().__init__(
            f"Checkpoint directory has not been set in the SparkContext: call setCheckpointDir(path) before checkpoint() of {rdd}.", rdd
        )


class NotInBarrierStage(QuiverError, RuntimeError):
    def __init__(self, where: str = "") -> None:
        super().__init__("[NOT_IN_BARRIER_STAGE] It is not in a barrier stage.", where)


class CalledBeforeInitialized(QuiverError, RuntimeError):
    def __init__(self, method: str) -> None:
        super().__init__(
            f"[CALL_BEFORE_INITIALIZE] Not supported to call `{method}` before initializing BarrierTaskContext. "
            "Use BarrierTaskContext.get() inside a task of a barrier stage.",
            method,
        )


class ProfilingOff(QuiverError, RuntimeError):
    def __init__(self, where: str = "") -> None:
        super().__init__(
            "[INCORRECT_CONF_FOR_PROFILE] `spark.python.profile` or `spark.python.profile.memory` configuration must be set to `true` "
            "to enable Python profile. Set it before the Context is made.",
            where,
        )


class ContextStopped(QuiverError, RuntimeError):
    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: this Context was stopped. Create a new Context.", what)


class PackageMissing(QuiverError, ImportError):
    """What an optional part needs is not installed."""

    def __init__(self, purpose: str, package: str, extra: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed here. Try: pip install 'quiver-cluster[{extra}]'.",
            purpose,
            package,
            extra,
        )


class NeedsJVM(QuiverError, RuntimeError):
    """A name of PySpark's that can't be had without Java. `instead` says what to use."""

    def __init__(self, name: str, what: str, instead: str) -> None:
        super().__init__(f"{name} needs a JVM: {what}. {instead}", name, what, instead)


class NotOffered(QuiverError, RuntimeError):
    """A name of PySpark's that Quiver does not have. `instead` says what to use."""

    def __init__(self, name: str, why: str, instead: str) -> None:
        super().__init__(f"{name} is not offered: {why}. {instead}", name, why, instead)
