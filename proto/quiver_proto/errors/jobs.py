"""How jobs end without a result."""

from __future__ import annotations

from quiver_proto.errors.base import QuiverError


class JobFailed(QuiverError):
    """The job ended without a result."""


class TaskFailed(JobFailed):
    """A task raised something that could not be brought here as itself (it does not unpickle); `kind` and `traceback` tell it."""

    def __init__(self, kind: str, text: str, traceback: str) -> None:
        super().__init__(f"{kind}: {text}\n{traceback}".rstrip(), kind, text, traceback)


class SlotDied(JobFailed):
    """A slot process ended in the middle of a task. `certificate` is the death certificate, as text for people."""

    def __init__(self, certificate: str) -> None:
        super().__init__(certificate, certificate)


class ExecutorLost(JobFailed):
    def __init__(self, executor_id: str, reason: str) -> None:
        super().__init__(f"executor {executor_id} was lost: {reason}", executor_id, reason)


class JobCancelled(JobFailed):
    def __init__(self, job_id: int, reason: str) -> None:
        super().__init__(f"job {job_id} was cancelled: {reason}", job_id, reason)


class NoProgress(JobFailed):
    def __init__(self, job_id: int, reason: str, waited_s: float) -> None:
        super().__init__(f"job {job_id} made no progress for {waited_s:.0f} s: {reason}", job_id, reason, waited_s)


class BarrierTooWide(JobFailed):
    """All tasks of a barrier stage run at once; there are not as many slots."""

    def __init__(self, stage: str, tasks: int, slots: int) -> None:
        super().__init__(
            "[SPARK-24819]: Barrier execution mode does not allow run a barrier stage that requires more slots than the total number of "
            f"slots in the cluster currently: {stage} has {tasks} tasks, and there are {slots} slots for them. "
            "Use more executors or cores, or repartition the input RDD into fewer partitions.",
            stage,
            tasks,
            slots,
        )


class BarrierChainUnsupported(JobFailed):
    """`problem` says which datasets of the barrier stage don't go together."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            "[SPARK-24820][SPARK-24821]: Barrier execution mode does not allow the following pattern of RDD chain within a barrier stage: "
            f"{problem}. All RDDs of a barrier stage need the same number of partitions, and every one of them at most one barrier RDD "
            "that it is made from: union(), coalesce(), take() and first() on a barrier RDD, or zip() of two, don't fit. "
            "Instead of first() or take(), use collect()[0].",
            problem,
        )


class BarrierFailed(JobFailed):
    """Tasks of a barrier stage can't meet: one made another call, ended, or did not come in time. Raised in those that wait."""

    def __init__(self, message: str) -> None:
        super().__init__(message, message)
