"""The life of an executor, from the order to launch it to its end."""

from __future__ import annotations

from quiver_manager.feed import launched, tell
from quiver_manager.model import Executor, ExecutorState, Outcome, State, Stop
from quiver_proto import cluster as c

ASK_AGAIN_S = 5.0
"""A stop or a removal that has had no effect is asked for again after this long."""


def executor_ready(state: State, event: c.ExecutorReady, out: Outcome) -> None:
    executor = state.executors.get(event.executor_id)
    if executor is None or executor.node_id != event.node_id or executor.attempt != event.attempt:
        out.reply = c.Ack(False, f"executor {event.executor_id} is not expected")
        return
    out.reply = c.Ack()
    if executor.state is ExecutorState.LAUNCHING:
        now_running(state, executor, event.address, out)


def now_running(state: State, executor: Executor, address: str, out: Outcome) -> None:
    executor.state, executor.address = ExecutorState.RUNNING, address
    out.changed.add(("executor", executor.executor_id))
    application = state.applications.get(executor.application_id)
    if application is None:
        return
    if application.launch_failures:
        application.launch_failures = 0
        out.changed.add(("application", application.application_id))
    executor.told = True
    tell(application, launched(state, executor), out)


def executor_exited(state: State, event: c.ExecutorExited, now: float, out: Outcome) -> None:
    executor = state.executors.get(event.executor_id)
    out.reply = c.Ack()
    if executor is None or executor.node_id != event.node_id or executor.attempt != event.attempt:
        return
    how = f"killed by signal {event.signal}" if event.signal else f"exit code {event.exit_code}"
    reason = event.reason or how
    if executor.state is ExecutorState.LAUNCHING:
        launch_failed(state, executor, reason, event.log_tail, now, out)
        return
    gone = c.ExecutorGone(
        event.executor_id, event.node_id, reason, event.exit_code, event.signal, event.log_tail,
        asked=event.asked or executor.state is ExecutorState.STOPPING,
    )  # fmt: skip
    executor_is_gone(state, executor, gone, now, out)


def executor_is_gone(state: State, executor: Executor, gone: c.ExecutorGone, now: float, out: Outcome) -> None:
    asked = gone.asked or executor.state is ExecutorState.STOPPING
    forget_executor(state, executor, out)
    application = state.applications.get(executor.application_id)
    out.log.append(("executor gone", {"executor": executor.executor_id, "reason": gone.reason, "asked": asked}))
    if application is None:
        return
    if executor.told:
        tell(application, gone, out)
    if not asked:
        since = now - state.policy.deaths_window_s
        application.deaths = [*(at for at in application.deaths if at > since), now]
        application.last_failure = (executor.node_id, gone.reason, gone.log_tail)


def launch_failed(state: State, executor: Executor, reason: str, log_tail: str, now: float, out: Outcome) -> None:
    forget_executor(state, executor, out)
    out.log.append(("executor failed to launch", {"executor": executor.executor_id, "node": executor.node_id, "reason": reason}))
    application = state.applications.get(executor.application_id)
    if application is None:
        return
    application.launch_failures += 1
    application.last_failure = (executor.node_id, reason, log_tail)
    application.launch_not_before = now + min(5.0, 0.25 * 2**application.launch_failures)
    out.changed.add(("application", application.application_id))


def forget_executor(state: State, executor: Executor, out: Outcome) -> None:
    state.remove_executor(executor)
    out.changed.add(("executor", executor.executor_id))


def stop(state: State, executor: Executor, reason: str, now: float, out: Outcome, at_once: bool) -> None:
    if executor.state is not ExecutorState.STOPPING:
        executor.state = ExecutorState.STOPPING
        out.changed.add(("executor", executor.executor_id))
    executor.now, executor.stop_at = executor.now or at_once, now + ASK_AGAIN_S
    out.actions.append(Stop(executor.node_id, executor.application_id, executor.executor_id, reason, executor.now))
