"""What a node daemon decides: `step(state, event, now)` changes the state and returns what is to be done. No sockets, no clock.

An executor's life (`Phase`), from the manager's LaunchExecutor to its process's end:

    (none) ──LaunchExecutor──▶ LAUNCHING ──ExecutorUp──▶ RUNNING
                                   │                        │
                                   └───── asked to go ──────┴──▶ STOPPING ──limit──▶ STOPPING (killed)
    any of them ──ExecutorEnded──▶ (none), its id remembered until the application is removed

* An executor id is launched once. A Stop that overtakes its Launch wins: that id is never launched afterwards.
* A request of a manager incarnation older than the newest seen does nothing.
* A report (ready, exited) is kept until the manager has answered it, over any number of its restarts, and sent in order.
* While the manager is away nothing is stopped: executors serve their drivers without it.
* An application's blocks are dropped only when none of its executors lives.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from quiver_executor.node_model import (
    FIRST_RETRY_S,
    Answer,
    AskToDrain,
    Beat,
    DrainAsked,
    DropApplication,
    Executor,
    ExecutorEnded,
    ExecutorStarted,
    ExecutorUp,
    Finish,
    HeartbeatAnswered,
    HeartbeatFailed,
    Kill,
    Link,
    NodeAction,
    NodeEvent,
    NodeIdentity,
    NodeState,
    Phase,
    Register,
    Registered,
    RegisterFailed,
    Report,
    ReportAnswered,
    ReportFailed,
    Say,
    Spawn,
    Tick,
)
from quiver_proto.cluster import (
    Ack,
    ExecutorExited,
    ExecutorReady,
    LaunchExecutor,
    NodeHeartbeat,
    RegisterNode,
    RemoveApplication,
    RunningExecutor,
    StopExecutor,
    UnregisterNode,
)
from quiver_proto.ids import ApplicationId
from quiver_proto.units import format_bytes, format_seconds

MIN_EXECUTOR_MEMORY = 32 << 20
"""Bytes. An interpreter with this engine's imports has no room for data below it."""

_REMEMBERED_APPLICATIONS = 1000


def step(state: NodeState, event: NodeEvent, now: float) -> list[NodeAction]:
    """What follows from `event` at `now` (seconds, monotonic). Never raises; a late or repeated event does nothing."""
    actions: list[NodeAction] = []
    match event:
        case LaunchExecutor():
            actions += _launch(state, event, now)
        case StopExecutor():
            actions += _stop_asked(state, event, now)
        case RemoveApplication():
            actions += _remove_application(state, event, now)
        case Registered():
            actions += _registered(state, event, now)
        case RegisterFailed():
            if state.link is Link.REGISTERING and event.epoch == state.epoch:
                actions += _away(state, event.problem, now)
        case HeartbeatAnswered():
            _heartbeat_answered(state, event, now)
        case HeartbeatFailed():
            if state.link is Link.REGISTERED and event.epoch == state.epoch:
                state.beating = False
                actions.append(Say("warning", f"heartbeat did not reach the manager ({event.problem}); executors keep running"))
                state.call_at = now + _next_retry(state)
        case ReportAnswered():
            state.reporting = False
            if state.reports:
                state.reports.popleft()
        case ReportFailed():
            state.reporting = False
            state.report_at = now + _next_retry(state)
        case ExecutorStarted():
            if (executor := state.executors.get(event.executor_id)) is not None:
                executor.pid = event.pid
        case ExecutorUp():
            actions += _up(state, event)
        case ExecutorEnded():
            actions += _ended(state, event)
        case DrainAsked():
            actions += _drain(state, event, now)
        case Tick():
            pass
        case _:
            assert_never(event)
    actions += _overdue(state, now)
    actions += _calls_due(state, now)
    if state.draining and not state.executors and not state.finished:
        state.finished = True
        actions.append(Finish(UnregisterNode(state.identity.node_id, state.epoch, "the node daemon ends")))
    return actions


def wake_at(state: NodeState) -> float | None:
    """When the next Tick is due; None when nothing waits for a time."""
    times = [executor.deadline for executor in state.executors.values() if executor.deadline is not None and not executor.killed]
    if not state.finished and state.link is not Link.REGISTERING and not state.beating:
        times.append(state.call_at)
    if state.reports and not state.reporting and state.link is Link.REGISTERED:
        times.append(state.report_at)
    return min(times, default=None)


def running_executors(state: NodeState) -> tuple[RunningExecutor, ...]:
    """As the manager is told at each registration and heartbeat."""
    return tuple(
        RunningExecutor(e.launch.executor_id, e.launch.application_id, e.launch.cores, e.launch.memory_bytes, e.address, e.pid)
        for e in state.executors.values()
    )


# ---- requests ----


def _stale(state: NodeState, manager_epoch: int) -> list[NodeAction] | None:
    if manager_epoch < state.manager_epoch:
        return [Answer(Ack(False, f"manager epoch {manager_epoch} is over: {state.manager_epoch} has been seen"))]
    state.manager_epoch = manager_epoch
    return None


def _launch(state: NodeState, launch: LaunchExecutor, now: float) -> list[NodeAction]:
    if (stale := _stale(state, launch.manager_epoch)) is not None:
        return stale
    if launch.application_id in state.removed:
        return [Answer(Ack(False, f"application {launch.application_id} was removed"))]
    seen = state.seen.setdefault(launch.application_id, set())
    if launch.executor_id in seen:
        return [Answer(Ack(True, "launched already"))]
    if state.draining:
        return [Answer(Ack(False, "the node daemon is draining"))]
    seen.add(launch.executor_id)
    if (problem := launch_problem(state.identity, launch)) is not None:
        state.reports.append(_exited(state, launch, problem, True))
        return [Answer(Ack()), Say("error", f"executor {launch.executor_id} is not launched: {problem}")]
    state.executors[launch.executor_id] = Executor(launch, Phase.LAUNCHING, now + state.identity.launch_limit_s)
    return [Answer(Ack()), Spawn(launch)]


def launch_problem(identity: NodeIdentity, launch: LaunchExecutor) -> str | None:
    """Why this node can never run such an executor, None when it can."""
    if launch.memory_bytes < MIN_EXECUTOR_MEMORY:
        return f"{format_bytes(launch.memory_bytes)} of memory is less than the {format_bytes(MIN_EXECUTOR_MEMORY)} that an executor needs"
    if launch.memory_bytes > identity.memory_bytes:
        return f"{format_bytes(launch.memory_bytes)} of memory is more than the node's {format_bytes(identity.memory_bytes)}"
    if not 1 <= launch.cores <= identity.cores:
        return f"{launch.cores} cores can't be had on a node with {identity.cores}"
    return None


def _stop_asked(state: NodeState, stop: StopExecutor, now: float) -> list[NodeAction]:
    if (stale := _stale(state, stop.manager_epoch)) is not None:
        return stale
    executor = state.executors.get(stop.executor_id)
    if executor is None:
        if stop.application_id not in state.removed:
            state.seen.setdefault(stop.application_id, set()).add(stop.executor_id)
        return [Answer(Ack(True, "not here"))]
    return [Answer(Ack()), *_stop(state, executor, stop.reason, stop.now, now)]


def _remove_application(state: NodeState, remove: RemoveApplication, now: float) -> list[NodeAction]:
    if (stale := _stale(state, remove.manager_epoch)) is not None:
        return stale
    application_id = remove.application_id
    state.seen.pop(application_id, None)
    state.removed[application_id] = None
    while len(state.removed) > _REMEMBERED_APPLICATIONS:
        del state.removed[next(iter(state.removed))]
    actions: list[NodeAction] = [Answer(Ack())]
    state.dropping.add(application_id)
    for executor in state.executors.values():
        if executor.launch.application_id == application_id:
            actions += _stop(state, executor, remove.reason, True, now)
    return actions + _drop_if_empty(state, application_id)


def _drop_if_empty(state: NodeState, application_id: ApplicationId) -> list[NodeAction]:
    if application_id not in state.dropping or any(e.launch.application_id == application_id for e in state.executors.values()):
        return []
    state.dropping.discard(application_id)
    return [DropApplication(application_id)]


def _stop(state: NodeState, executor: Executor, reason: str, at_once: bool, now: float) -> list[NodeAction]:
    executor_id = executor.launch.executor_id
    executor.asked = True
    executor.reason = executor.reason or reason
    # One that is not up yet has no tasks to finish.
    at_once = at_once or executor.phase is Phase.LAUNCHING
    if at_once:
        executor.phase = Phase.STOPPING
        if executor.killed:
            return []
        executor.killed = True
        return [Kill(executor_id)]
    if executor.phase is Phase.STOPPING:
        return []
    executor.phase = Phase.STOPPING
    executor.deadline = now + state.identity.drain_limit_s
    return [AskToDrain(executor_id)]


def _drain(state: NodeState, event: DrainAsked, now: float) -> list[NodeAction]:
    state.draining = True
    actions: list[NodeAction] = []
    for executor in state.executors.values():
        actions += _stop(state, executor, event.reason, event.now, now)
    return actions


# ---- the processes ----


def _up(state: NodeState, event: ExecutorUp) -> list[NodeAction]:
    executor = state.executors.get(event.executor_id)
    if executor is None or executor.was_up:
        return []
    executor.was_up = True
    executor.address = event.address
    if executor.phase is not Phase.LAUNCHING:
        return []
    executor.phase = Phase.RUNNING
    executor.deadline = None
    launch = executor.launch
    state.reports.append(
        ExecutorReady(state.identity.node_id, 0, launch.application_id, launch.executor_id, launch.attempt, event.address, executor.pid)
    )
    return [Say("info", f"executor {launch.executor_id} is up at {event.address}, pid {executor.pid}")]


def _ended(state: NodeState, event: ExecutorEnded) -> list[NodeAction]:
    executor = state.executors.pop(event.executor_id, None)
    if executor is None:
        return []
    launch = executor.launch
    failed = not executor.was_up and not executor.asked
    reason = executor.reason or event.problem or _why(event, failed)
    state.reports.append(_exited(state, launch, reason, failed, event, executor.asked))
    level = "info" if executor.asked else "error"
    return [Say(level, f"executor {launch.executor_id} ended: {reason}"), *_drop_if_empty(state, launch.application_id)]


def _why(event: ExecutorEnded, failed: bool) -> str:
    before = " before it was up" if failed else ""
    if event.signal:
        hint = " (out of memory, or killed by hand)" if event.signal == 9 else ""
        return f"it was ended by signal {event.signal}{hint}{before}"
    return f"it exited with code {event.exit_code}{before}"


def _exited(
    state: NodeState, launch: LaunchExecutor, reason: str, failed: bool, event: ExecutorEnded | None = None, asked: bool = False
) -> ExecutorExited:
    return ExecutorExited(
        state.identity.node_id,
        0,
        launch.application_id,
        launch.executor_id,
        launch.attempt,
        exit_code=event.exit_code if event else -1,
        signal=event.signal if event else 0,
        log_tail=event.log_tail if event else "",
        asked=asked,
        failed_to_launch=failed,
        reason=reason,
    )


def _overdue(state: NodeState, now: float) -> list[NodeAction]:
    actions: list[NodeAction] = []
    for executor in state.executors.values():
        if executor.killed or executor.deadline is None or now < executor.deadline:
            continue
        executor.killed = True
        if executor.phase is Phase.LAUNCHING:
            executor.reason = f"it was not up within {format_seconds(state.identity.launch_limit_s)}"
        actions.append(Say("warning", f"executor {executor.launch.executor_id} is killed: {executor.reason or 'it did not end in time'}"))
        actions.append(Kill(executor.launch.executor_id))
    return actions


# ---- the manager ----


def _registered(state: NodeState, event: Registered, now: float) -> list[NodeAction]:
    if state.link is not Link.REGISTERING or event.epoch != state.epoch:
        return []
    reply = event.reply
    state.link = Link.REGISTERED
    state.manager_epoch = max(state.manager_epoch, reply.manager_epoch)
    state.heartbeat_interval_s = reply.heartbeat_interval_s
    state.retry_s = FIRST_RETRY_S
    state.call_at = now + reply.heartbeat_interval_s
    state.report_at = now
    state.beating = False
    actions: list[NodeAction] = [Say("info", f"registered with the manager (its epoch {reply.manager_epoch}, ours {state.epoch})")]
    for executor_id in reply.stop_executors:
        if (executor := state.executors.get(executor_id)) is not None:
            actions += _stop(state, executor, "the manager knows no owner of it", True, now)
    return actions


def _away(state: NodeState, problem: str, now: float) -> list[NodeAction]:
    state.link = Link.AWAY
    pause = _next_retry(state)
    state.call_at = now + pause
    return [Say("warning", f"the manager can't be reached ({problem}); trying again in {format_seconds(pause)}")]


def _heartbeat_answered(state: NodeState, event: HeartbeatAnswered, now: float) -> None:
    if state.link is not Link.REGISTERED or event.epoch != state.epoch:
        return
    state.beating = False
    state.retry_s = FIRST_RETRY_S
    if event.known:
        state.call_at = now + state.heartbeat_interval_s
    else:
        state.link = Link.AWAY
        state.call_at = now


def _next_retry(state: NodeState) -> float:
    pause = state.retry_s
    state.retry_s = min(state.identity.longest_retry_s, pause * 2)
    return pause


def _calls_due(state: NodeState, now: float) -> list[NodeAction]:
    identity = state.identity
    actions: list[NodeAction] = []
    if state.finished:
        return actions
    if state.link is Link.AWAY and now >= state.call_at:
        state.link = Link.REGISTERING
        state.epoch += 1
        actions.append(
            Register(
                RegisterNode(
                    identity.node_id, state.epoch, identity.host, identity.address, identity.block_server, identity.cores,
                    identity.memory_bytes, identity.versions, identity.labels, running_executors(state),
                )
            )
        )  # fmt: skip
    elif state.link is Link.REGISTERED:
        if now >= state.call_at and not state.beating:
            state.beating = True
            actions.append(Beat(NodeHeartbeat(identity.node_id, state.epoch, running_executors(state))))
        if state.reports and not state.reporting and now >= state.report_at:
            state.reporting = True
            actions.append(Report(replace(state.reports[0], epoch=state.epoch)))
    return actions
