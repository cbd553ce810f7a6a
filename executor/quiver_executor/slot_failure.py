"""Task failures that the supervisor itself reports, because no slot can."""

from __future__ import annotations

import time

from quiver_executor.executor_config import ExecutorConfig
from quiver_executor.oom import OomWatch
from quiver_executor.slot_process import SlotProcess, Task
from quiver_proto.errors import QuiverError, SlotDied, SlotOutOfMemory, to_wire
from quiver_proto.ids import TaskId
from quiver_proto.messages import QUERY, FailureKind, TaskFailure, TaskMetrics


def killed(task_id: int, reason: str, slot: SlotProcess | None = None) -> TaskFailure:
    """A task stopped on request; `slot` is where it ran, None when it never began."""
    return TaskFailure(
        TaskId(task_id),
        FailureKind.KILLED,
        "TaskKilled",
        reason,
        slot=-1 if slot is None else slot.slot,
        started_at=0.0 if slot is None else slot.running_since(),
    )


def fatal(task_id: int, error: QuiverError) -> TaskFailure:
    """A task that can't run on this executor, and a retry won't help."""
    return TaskFailure(TaskId(task_id), FailureKind.FATAL, type(error).__name__, str(error), error=to_wire(error))


def died(config: ExecutorConfig, slot: SlotProcess, task: Task, status: int | None, peak_rss: int, oom: OomWatch) -> TaskFailure:
    """A task whose slot died under it, with the death certificate."""
    if slot.outgrown:
        return _outgrown(config, slot, task)
    from quiver_executor.certificate import Death, certificate  # Not at start-up: deaths are rare.

    text = certificate(
        Death(
            executor_id=config.executor_id,
            slot=slot.slot,
            pid=slot.pid,
            task_id=task.task_id,
            partition=task.partition,
            attempt=task.attempt,
            stage_id=task.stage.description.stage_id,
            status=status,
            peak_rss=peak_rss,
            memory=config.memory_bytes // config.cores,
            oom_kills=oom.recent(),
            oom_scope=oom.scope,
            stack=slot.page.last_words(),
            log=list(slot.last_lines),
            closed_connection=slot.closed_connection,
            garbage=slot.garbage,
            stopped=slot.stopped,
            template_silent=slot.template_silent,
        )
    )
    since = slot.running_since()
    return TaskFailure(
        TaskId(task.task_id),
        FailureKind.SLOT_DIED,
        "SlotDied",
        text,
        error=to_wire(SlotDied(text)),
        slot=slot.slot,
        started_at=since,
        metrics=TaskMetrics(run_s=max(0.0, time.time() - since), peak_memory_bytes=peak_rss),
    )


def _outgrown(config: ExecutorConfig, slot: SlotProcess, task: Task) -> TaskFailure:
    """A query's task isn't tried again as it is: the driver plans the query for less memory."""
    error = SlotOutOfMemory("", slot.outgrown, config.memory_bytes * max(1, task.cores) // config.cores)
    since = slot.running_since()
    return TaskFailure(
        TaskId(task.task_id),
        FailureKind.FATAL if QUERY in task.stage.description.properties else FailureKind.SLOT_DIED,
        type(error).__name__,
        str(error),
        error=to_wire(error),
        slot=slot.slot,
        started_at=since,
        metrics=TaskMetrics(run_s=max(0.0, time.time() - since), peak_memory_bytes=slot.outgrown),
    )
