"""How a failed job reaches the user: as the user's own exception, or as a typed error of ours."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quiver.plan.model import PlannedJob
from quiver.scheduler.model import JobEndedBadly, Policy
from quiver_proto.errors import JobCancelled, JobFailed, NoProgress, QuiverError, ResourcesUnavailable, TaskFailed, ValueRefused, from_wire
from quiver_proto.messages import FailureKind, TaskFailure


@dataclass(frozen=True, slots=True)
class JobFailure(Exception):
    """Why a job has no result, as plain data: `error` is a driver-side error, `failure` the last failed attempt of a task.

    `to_exception` opens the pickled exception, so it is called only in the process of the user whose job it was.
    """

    error: BaseException | None = None
    failure: TaskFailure | None = None
    partition: int = -1
    attempts: int = 1
    stage: str = ""

    def to_exception(self) -> BaseException:
        if self.failure is None:
            return self.error or QuiverError("the job failed without a reason: please report this")
        exception = _open(self.failure)
        if isinstance(exception, ValueRefused):
            exception = _in_sparks_terms(exception) or exception
        exception.add_note(self.note())
        return exception

    def summary(self) -> str:
        """One line, without opening anything."""
        return str(self.error) if self.failure is None else ": ".join(told(self.failure))

    def note(self) -> str:
        """Where it happened, for people; "" for an error of the driver itself. Opens nothing."""
        failure = self.failure
        if failure is None:
            return ""
        where = f"partition {self.partition}"
        if failure.record_index >= 0:
            where += f", record {failure.record_index}"
        tries = f" ({self.attempts} attempts)" if self.attempts > 1 else ""
        lines = [f"Raised in a task: {failure.operator or self.stage}, {where}{tries}"]
        if failure.record:
            lines.append(f"Record: {failure.record}")
        if failure.traceback and failure.kind is FailureKind.USER:
            lines.append(failure.traceback.rstrip())
        return "\n".join(lines)


def failure_of(action: JobEndedBadly, stage: str, policy: Policy, cluster_error: BaseException | None, has_executors: bool) -> JobFailure:
    """What the scheduler says of a job that ended badly.

    `stage`: the name of the one that failed, if one did; `cluster_error`: why no executors will ever come, if that is so.
    """
    if action.failure is not None:
        return JobFailure(
            failure=action.failure,
            partition=action.failed_partition,
            attempts=1 if action.failure.kind is FailureKind.FATAL else policy.max_task_failures,
            stage=stage,
        )
    if action.error is not None:
        return JobFailure(error=from_wire(*action.error))
    if action.status == "cancelled":
        return JobFailure(error=JobCancelled(action.job_id, action.reason))
    if action.status == "stuck":
        if cluster_error is not None:
            return JobFailure(error=cluster_error)
        if has_executors:
            return JobFailure(error=NoProgress(action.job_id, action.reason, policy.no_progress_limit_s))
        advice = "Ask for less, or start a node that has it."
        return JobFailure(error=ResourcesUnavailable(f"executors for job {action.job_id}", action.reason, advice))
    return JobFailure(error=JobFailed(action.reason))


def opened(execute: Callable[[PlannedJob], Sequence[bytes]], job: PlannedJob) -> Sequence[bytes]:
    """`execute(job)` for the user whose job it is: a JobFailure is raised as what `to_exception` makes of it."""
    try:
        return execute(job)
    except JobFailure as failure:
        exception = failure.to_exception()
    # Outside the handler, so that the user sees one exception and not the machinery behind it.
    raise exception


def told(failure: TaskFailure) -> tuple[str, str]:
    """The type and the message of the error, for people: of a value that the kernel refused, Spark's, not the kernel's own words.

    >>> from quiver_proto.ids import TaskId
    >>> from quiver_proto.errors import to_wire
    >>> kernels = ValueRefused("DataFusion error: Arrow error: Divide by zero error")
    >>> told(TaskFailure(TaskId(1), FailureKind.FATAL, "ValueRefused", str(kernels), error=to_wire(kernels)))[0]
    'ArithmeticException'
    """
    refused = from_wire(*failure.error) if failure.error is not None and failure.exception_type == ValueRefused.__name__ else None
    meant = _in_sparks_terms(refused) if isinstance(refused, ValueRefused) else None
    return (failure.exception_type, failure.message) if meant is None else (type(meant).__name__, str(meant))


def _in_sparks_terms(refused: ValueRefused) -> BaseException | None:
    """What is known without the query; None where the kernel's text says nothing of values."""
    from quiver.sql.kernel_errors import translated

    meant = translated(refused)
    if meant is not None:
        meant.__cause__ = refused
    return meant


def _open(failure: TaskFailure) -> BaseException:
    if failure.error is not None:
        return from_wire(*failure.error)
    if failure.exception:
        try:
            exception = pickle.loads(failure.exception)
        except Exception as error:
            return TaskFailed(failure.exception_type, f"{failure.message} (it could not be unpickled here: {error!r})", failure.traceback)
        # SystemExit and its like would end the program, perhaps with code 0, though its job failed: they are told as text.
        if isinstance(exception, Exception):
            return exception
    return TaskFailed(failure.exception_type, failure.message, failure.traceback)
