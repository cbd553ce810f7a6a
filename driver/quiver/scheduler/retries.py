"""What becomes of a task whose attempt failed."""

from __future__ import annotations

from enum import Enum

from quiver.scheduler.model import Policy
from quiver_proto.messages import FailureKind


class Verdict(Enum):
    AGAIN = "again"
    """Not the task's fault: again, anywhere."""
    ELSEWHERE = "elsewhere"
    """Counted: again, on another executor where there is one."""
    INPUT_FIRST = "input first"
    """An input is lost: the stage attempt fails, the input is made again, then the stage's missing partitions."""
    TOGETHER = "together"
    """Of a barrier stage: the attempt fails, and every task runs again."""
    GIVE_UP = "give up"


def verdict(kind: FailureKind, failures: int, failures_in_row: int, policy: Policy, blameless: bool = False) -> Verdict:
    """`failures` of this partition in this stage attempt and stage attempts `failures_in_row`, each without the one at hand.

    `blameless`: an executor was lost that was asked to go, or the task had not started there.
    """
    match kind:
        case FailureKind.FATAL:
            return Verdict.GIVE_UP
        case FailureKind.KILLED | FailureKind.CACHE_MISS:
            return Verdict.AGAIN
        case FailureKind.FETCH_FAILED:
            return Verdict.GIVE_UP if failures_in_row + 1 >= policy.max_stage_attempts else Verdict.INPUT_FIRST
        case FailureKind.EXECUTOR_LOST if blameless:
            return Verdict.AGAIN
        case FailureKind.USER | FailureKind.SLOT_DIED | FailureKind.EXECUTOR_LOST:
            return Verdict.GIVE_UP if failures + 1 >= policy.max_task_failures else Verdict.ELSEWHERE


def barrier_verdict(alone: Verdict, failures_in_row: int, policy: Policy) -> Verdict:
    """What a failure means in a barrier stage, where it would mean `alone` elsewhere: tasks share their fate, so attempts at the stage
    are counted. `failures_in_row` of those, without the one at hand."""
    if alone is Verdict.ELSEWHERE and failures_in_row + 1 >= min(policy.max_task_failures, policy.max_stage_attempts):
        return Verdict.GIVE_UP
    return Verdict.TOGETHER if alone in (Verdict.AGAIN, Verdict.ELSEWHERE) else alone


def counts(verdict: Verdict, kind: FailureKind) -> bool:
    """Whether the failure is held against the partition."""
    return verdict is Verdict.ELSEWHERE or (verdict is Verdict.GIVE_UP and kind is not FailureKind.FETCH_FAILED)
