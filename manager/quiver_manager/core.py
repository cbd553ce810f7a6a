"""`step(state, event, now) -> outcome`: everything the manager decides. No clock, socket, thread, file or log in here.

A message may come twice or late; one that is not about the current epoch, attempt or request changes nothing. `now` is monotonic.
After every event that changed something the queue is looked at again (`_allocate`): a core that is freed is given away at once.
"""

from __future__ import annotations

import json
from typing import assert_never

from quiver_manager import allocation
from quiver_manager.model import (
    Application,
    ApplicationRemoved,
    Event,
    Executor,
    ExecutorState,
    Launch,
    LaunchRefused,
    Node,
    NodeRefusesConnections,
    NodeState,
    Outcome,
    Probe,
    RemoveBlocks,
    Stage,
    State,
    Stop,
    Tick,
    WatchClosed,
    WatchOpened,
)
from quiver_proto import cluster as c
from quiver_proto.errors import to_wire
from quiver_proto.ids import ApplicationId, ExecutorId, new_executor_id

_EVENTS_KEPT = 1000
"""Cluster events kept of an application; a watcher that is further behind gets a Snapshot."""
_ENDED_KEPT = 1000
_ASK_AGAIN_S = 5.0
"""A stop or a removal that has had no effect is asked for again after this long."""


def step(state: State, event: Event, now: float) -> Outcome:
    """Apply one event. The caller journals `changed`, then shows the reply, the cluster events and the actions to the world."""
    out = Outcome()
    match event:
        case c.RegisterNode():
            _register_node(state, event, now, out)
        case c.NodeHeartbeat():
            _node_heartbeat(state, event, now, out)
        case c.UnregisterNode():
            node = state.nodes.get(event.node_id)
            out.reply = c.Ack()
            if node is not None and node.epoch == event.epoch:
                _lose_node(state, node, event.reason or "its daemon ended", now, out)
        case c.ExecutorReady():
            _executor_ready(state, event, out)
        case c.ExecutorExited():
            _executor_exited(state, event, now, out)
        case LaunchRefused():
            executor = state.executors.get(event.executor_id)
            if executor is not None and executor.attempt == event.attempt and executor.state is ExecutorState.LAUNCHING:
                _launch_failed(state, executor, event.reason, "", now, out)
        case c.RegisterApplication():
            _register_application(state, event, now, out)
        case c.UnregisterApplication():
            application = state.applications.get(event.application_id)
            out.reply = c.Ack()
            if application is not None:
                _end_application(state, application, event.reason or "it has ended", now, out)
        case c.DrainNode():
            _drain_node(state, event, now, out)
        case NodeRefusesConnections():
            node = state.nodes.get(event.node_id)
            silent = node is not None and now - node.last_seen_at >= 2 * state.policy.heartbeat_interval_s
            if node is not None and node.epoch == event.epoch and silent:
                _lose_node(state, node, "its daemon is gone (connection refused)", now, out)
        case ApplicationRemoved():
            node = state.nodes.get(event.node_id)
            if node is not None and event.application_id in node.removals:
                node.removals.discard(event.application_id)
                out.changed.add(("node", node.node_id))
        case Tick():
            _tick(state, now, out)
        case (
            c.ApplicationHeartbeat()
            | c.SubmitJob()
            | c.JobEnded()
            | c.RequestExecutors()
            | c.ReleaseExecutor()
            | WatchOpened()
            | WatchClosed()
        ):
            _application_says(state, event, now, out)
        case _:
            assert_never(event)
    if out.changed or not isinstance(event, (c.NodeHeartbeat, c.ApplicationHeartbeat, WatchOpened, WatchClosed)):
        _allocate(state, now, out)
    return out


def events_after(state: State, application_id: ApplicationId, sequence: int) -> list[c.ClusterEvent] | None:
    """What a watcher that has seen `sequence` is to be sent; None when the application is not known.

    All events after it where they are kept, else one Snapshot. A sequence from another life of the manager also gets the Snapshot.
    """
    application = state.applications.get(application_id)
    if application is None:
        return None
    events = application.events
    if 0 <= application.sequence - sequence <= len(events):
        return events[len(events) - (application.sequence - sequence) :]
    up = tuple(_launched(state, e) for e in state.executors_of(application_id) if e.told and e.state is ExecutorState.RUNNING)
    return [c.ClusterEvent(application_id, application.sequence, c.Snapshot(up))]


# ---- nodes ----


def _register_node(state: State, event: c.RegisterNode, now: float, out: Outcome) -> None:
    old = state.nodes.get(event.node_id)
    current = old is not None and old.state is not NodeState.RECOVERING and event.epoch == old.epoch
    if old is not None and (current or event.epoch < old.epoch):
        old.last_seen_at = now if current else old.last_seen_at
        out.reply = c.NodeRegistered(state.manager_epoch, state.policy.heartbeat_interval_s)
        return
    for other in list(state.nodes.values()):
        if other.address == event.address and other.node_id != event.node_id:
            _lose_node(state, other, f"another daemon ({event.node_id}) took its address {event.address}", now, out)
    node = Node(
        event.node_id, event.epoch, event.host, event.address, event.block_server, event.cores, event.memory_bytes,
        event.versions, event.labels,
    )  # fmt: skip
    if old is not None:
        node.removals = old.removals
        node.state = NodeState.DRAINING if old.state is NodeState.DRAINING or old.was_draining else NodeState.ALIVE
    node.last_seen_at = now
    state.add_node(node)
    out.changed.add(("node", node.node_id))
    out.log.append(("node registered", {"node": node.node_id, "address": node.address, "cores": node.cores, "again": old is not None}))
    strays = _reconcile(state, node, event.executors, now, out)
    out.reply = c.NodeRegistered(state.manager_epoch, state.policy.heartbeat_interval_s, tuple(strays))


def _reconcile(state: State, node: Node, has: tuple[c.RunningExecutor, ...], now: float, out: Outcome) -> list[ExecutorId]:
    """Make what we hold of the node agree with what it has. Returns its executors that nobody owns."""
    strays = []
    adopting = node.node_id not in state.lost_nodes and now - state.began_at <= state.policy.recovery_s
    for seen in has:
        executor = state.executors.get(seen.executor_id)
        if executor is None and not adopting:
            strays.append(seen.executor_id)
            continue
        executor = executor or _adopt(state, node, seen, now, out)
        if seen.address and executor.state is ExecutorState.LAUNCHING:
            _now_running(state, executor, seen.address, out)
    present = {seen.executor_id for seen in has}
    for executor in state.executors_on(node.node_id):
        if executor.executor_id in present:
            continue
        if executor.state is ExecutorState.LAUNCHING:
            _forget_executor(state, executor, out)  # the order to launch it never arrived, or its end was not told: the next one is free
        else:
            gone = c.ExecutorGone(executor.executor_id, node.node_id, "it ended while the manager could not see it")
            _executor_is_gone(state, executor, gone, now, out)
    return strays


def _adopt(state: State, node: Node, seen: c.RunningExecutor, now: float, out: Outcome) -> Executor:
    """An executor of an application that our journal does not know: kept until its driver has had the time to register again."""
    executor = Executor(
        seen.executor_id, seen.application_id, node.node_id, 1, seen.cores, seen.memory_bytes, launched_at=now
    )  # fmt: skip
    state.add_executor(executor)
    out.changed.add(("executor", executor.executor_id))
    return executor


def _node_heartbeat(state: State, event: c.NodeHeartbeat, now: float, out: Outcome) -> None:
    node = state.nodes.get(event.node_id)
    if node is None or node.state is NodeState.RECOVERING or event.epoch > node.epoch:
        out.reply = c.HeartbeatReply(known=False)
        return
    out.reply = c.HeartbeatReply(known=True)
    if event.epoch < node.epoch:
        return
    node.last_seen_at, node.rss_bytes, node.cpu_percent = now, event.rss_bytes, event.cpu_percent
    present = {seen.executor_id: seen for seen in event.executors}
    for executor in state.executors_on(node.node_id):
        seen = present.get(executor.executor_id)
        if seen is not None and seen.address and executor.state is ExecutorState.LAUNCHING:
            _now_running(state, executor, seen.address, out)
    for seen in event.executors:
        if seen.executor_id not in state.executors:
            out.actions.append(Stop(node.node_id, seen.application_id, seen.executor_id, "it has no owner", now=True))


def _lose_node(state: State, node: Node, reason: str, now: float, out: Outcome) -> None:
    del state.nodes[node.node_id]
    state.lost_nodes.add(node.node_id)
    out.lost_addresses.append(node.address)
    out.changed.add(("node", node.node_id))
    out.log.append(("node lost", {"node": node.node_id, "reason": reason}))
    for executor in state.executors_on(node.node_id):
        state.remove_executor(executor)
        out.changed.add(("executor", executor.executor_id))
    for application in state.applications.values():
        _tell(application, c.NodeGone(node.node_id, reason), out)


def _drain_node(state: State, event: c.DrainNode, now: float, out: Outcome) -> None:
    node = state.nodes.get(event.node_id)
    if node is None:
        known = ", ".join(sorted(state.nodes)) or "none"
        out.reply = c.Ack(False, f"no node {event.node_id}; there is: {known}")
        return
    out.reply = c.Ack()
    if node.state is NodeState.DRAINING:
        return
    node.state = NodeState.DRAINING
    out.changed.add(("node", node.node_id))
    for executor in state.executors_on(node.node_id):
        _stop(state, executor, f"node is drained: {event.reason}", now, out, at_once=False)


# ---- executors ----


def _executor_ready(state: State, event: c.ExecutorReady, out: Outcome) -> None:
    executor = state.executors.get(event.executor_id)
    if executor is None or executor.node_id != event.node_id or executor.attempt != event.attempt:
        out.reply = c.Ack(False, f"executor {event.executor_id} is not expected")
        return
    out.reply = c.Ack()
    if executor.state is ExecutorState.LAUNCHING:
        _now_running(state, executor, event.address, out)


def _now_running(state: State, executor: Executor, address: str, out: Outcome) -> None:
    executor.state, executor.address = ExecutorState.RUNNING, address
    out.changed.add(("executor", executor.executor_id))
    application = state.applications.get(executor.application_id)
    if application is None:
        return
    if application.launch_failures:
        application.launch_failures = 0
        out.changed.add(("application", application.application_id))
    executor.told = True
    _tell(application, _launched(state, executor), out)


def _launched(state: State, executor: Executor) -> c.ExecutorLaunched:
    node = state.nodes[executor.node_id]
    return c.ExecutorLaunched(
        executor.executor_id, node.node_id, node.host, executor.address, executor.cores, executor.memory_bytes, node.block_server
    )


def _executor_exited(state: State, event: c.ExecutorExited, now: float, out: Outcome) -> None:
    executor = state.executors.get(event.executor_id)
    out.reply = c.Ack()
    if executor is None or executor.node_id != event.node_id or executor.attempt != event.attempt:
        return
    how = f"killed by signal {event.signal}" if event.signal else f"exit code {event.exit_code}"
    reason = event.reason or how
    if executor.state is ExecutorState.LAUNCHING or (event.failed_to_launch and executor.state is ExecutorState.RUNNING):
        _launch_failed(state, executor, reason, event.log_tail, now, out)
        return
    gone = c.ExecutorGone(
        event.executor_id, event.node_id, reason, event.exit_code, event.signal, event.log_tail,
        asked=event.asked or executor.state is ExecutorState.STOPPING,
    )  # fmt: skip
    _executor_is_gone(state, executor, gone, now, out)


def _executor_is_gone(state: State, executor: Executor, gone: c.ExecutorGone, now: float, out: Outcome) -> None:
    asked = gone.asked or executor.state is ExecutorState.STOPPING
    _forget_executor(state, executor, out)
    application = state.applications.get(executor.application_id)
    out.log.append(("executor gone", {"executor": executor.executor_id, "reason": gone.reason, "asked": asked}))
    if application is None:
        return
    if executor.told:
        _tell(application, gone, out)
    if not asked:
        since = now - state.policy.deaths_window_s
        application.deaths = [*(at for at in application.deaths if at > since), now]
        application.last_failure = (executor.node_id, gone.reason, gone.log_tail)


def _launch_failed(state: State, executor: Executor, reason: str, log_tail: str, now: float, out: Outcome) -> None:
    _forget_executor(state, executor, out)
    out.log.append(("executor failed to launch", {"executor": executor.executor_id, "node": executor.node_id, "reason": reason}))
    application = state.applications.get(executor.application_id)
    if application is None:
        return
    application.launch_failures += 1
    application.last_failure = (executor.node_id, reason, log_tail)
    application.launch_not_before = now + min(5.0, 0.25 * 2**application.launch_failures)
    out.changed.add(("application", application.application_id))


def _forget_executor(state: State, executor: Executor, out: Outcome) -> None:
    state.remove_executor(executor)
    out.changed.add(("executor", executor.executor_id))


def _stop(state: State, executor: Executor, reason: str, now: float, out: Outcome, at_once: bool) -> None:
    if executor.state is not ExecutorState.STOPPING:
        executor.state = ExecutorState.STOPPING
        out.changed.add(("executor", executor.executor_id))
    executor.now, executor.stop_at = executor.now or at_once, now + _ASK_AGAIN_S
    out.actions.append(Stop(executor.node_id, executor.application_id, executor.executor_id, reason, executor.now))


# ---- applications ----


def _register_application(state: State, event: c.RegisterApplication, now: float, out: Outcome) -> None:
    """The Ack only says that it was done: the shell makes the reply (it holds the secret that tokens are made from)."""
    out.reply = c.Ack()
    state.ended.pop(event.application_id, None)
    application = state.applications.get(event.application_id)
    if application is not None:
        application.last_seen_at, application.recovering = now, False
        return
    application = Application(
        event.application_id, event.name, event.user, event.driver_host, event.driver_pid, event.request, event.environment,
        event.started_at, event.ui_url, state.next_order,
    )  # fmt: skip
    state.next_order += 1
    application.last_seen_at = application.unmet_since = now
    state.applications[application.application_id] = application
    out.changed.add(("application", application.application_id))
    out.log.append(("application registered", {"application": event.application_id, "name": event.name, "user": event.user}))
    for executor in state.executors_of(application.application_id):
        number = int(executor.executor_id.rsplit("/", 1)[-1]) if executor.executor_id.rsplit("/", 1)[-1].isdigit() else -1
        application.next_executor = max(application.next_executor, number + 1)
        if executor.state is ExecutorState.RUNNING and not executor.told:
            executor.told = True
            _tell(application, _launched(state, executor), out)
    for node in state.nodes.values():
        node.removals.discard(application.application_id)


def _application_says(
    state: State,
    event: c.ApplicationHeartbeat | c.SubmitJob | c.JobEnded | c.RequestExecutors | c.ReleaseExecutor | WatchOpened | WatchClosed,
    now: float,
    out: Outcome,
) -> None:
    application = state.applications.get(event.application_id)
    if isinstance(event, c.ApplicationHeartbeat):
        out.reply = c.HeartbeatReply(known=application is not None)
    elif not isinstance(event, (WatchOpened, WatchClosed)):
        out.reply = c.Ack() if application is not None else c.Ack(False, f"no application {event.application_id}")
    if application is None:
        return
    application.last_seen_at = now
    if not isinstance(event, WatchClosed):
        application.recovering = False
    match event:
        case c.ApplicationHeartbeat():
            application.progress |= {row.stage_id: row for row in event.progress}
        case c.SubmitJob():
            application.jobs[event.job_id] = {s.stage_id: Stage(s.width, s.parents, s.cores_per_task) for s in event.stages}
        case c.JobEnded():
            ended = application.jobs.pop(event.job_id, {})
            left = {stage_id for job in application.jobs.values() for stage_id in job}
            for stage_id in ended.keys() - left:
                application.progress.pop(stage_id, None)
        case c.RequestExecutors():
            if event.request > application.request_number:
                application.request_number, application.target = event.request, max(0, event.executors)
                application.launch_failures, application.deaths = 0, []
                out.changed.add(("application", application.application_id))
        case c.ReleaseExecutor():
            _release(state, application, event, now, out)
        case WatchOpened():
            application.watchers += 1
        case WatchClosed():
            application.watchers = max(0, application.watchers - 1)


def _release(state: State, application: Application, event: c.ReleaseExecutor, now: float, out: Outcome) -> None:
    executor = state.executors.get(event.executor_id)
    if executor is None or executor.application_id != application.application_id:
        out.reply = c.Ack(False, f"no executor {event.executor_id}")
        return
    if executor.state is ExecutorState.STOPPING:
        return
    _stop(state, executor, event.reason, now, out, at_once=False)
    application.target = sum(e.state is not ExecutorState.STOPPING for e in state.executors_of(application.application_id))
    out.changed.add(("application", application.application_id))


def _end_application(state: State, application: Application, reason: str, now: float, out: Outcome) -> None:
    del state.applications[application.application_id]
    state.ended[application.application_id] = reason
    if len(state.ended) > _ENDED_KEPT:
        del state.ended[next(iter(state.ended))]
    out.changed.add(("application", application.application_id))
    out.notify.add(application.application_id)
    out.log.append(("application over", {"application": application.application_id, "reason": reason}))
    for executor in state.executors_of(application.application_id):
        _stop(state, executor, f"application over: {reason}", now, out, at_once=True)
    for node in state.nodes.values():
        node.removals.add(application.application_id)
        node.last_removal_at = now
        out.changed.add(("node", node.node_id))
        out.actions.append(RemoveBlocks(node.node_id, application.application_id))


def _tell(application: Application, event: c.ExecutorLaunched | c.ExecutorGone | c.NodeGone | c.AllocationWaiting, out: Outcome) -> None:
    application.sequence += 1
    application.events.append(c.ClusterEvent(application.application_id, application.sequence, event))
    if len(application.events) > _EVENTS_KEPT:
        del application.events[: -_EVENTS_KEPT // 2]
    out.notify.add(application.application_id)
    out.changed |= {("event", application.application_id), ("application", application.application_id)}


# ---- time ----


def _tick(state: State, now: float, out: Outcome) -> None:
    policy = state.policy
    for node in list(state.nodes.values()):
        silent = now - node.last_seen_at
        if node.state is NodeState.RECOVERING:
            if now - state.began_at > policy.recovery_s:
                _lose_node(state, node, f"not heard of for {policy.recovery_s:.0f} s after the manager's restart", now, out)
            continue
        if silent > policy.node_timeout_s:
            _lose_node(state, node, f"no heartbeat for {silent:.0f} s", now, out)
        elif silent > 2 * policy.heartbeat_interval_s and now - node.last_probe_at >= policy.heartbeat_interval_s:
            node.last_probe_at = now
            out.actions.append(Probe(node.node_id, node.epoch))
        if node.removals and now - node.last_removal_at >= _ASK_AGAIN_S:
            node.last_removal_at = now
            out.actions += [RemoveBlocks(node.node_id, application_id) for application_id in sorted(node.removals)]
    for application in list(state.applications.values()):
        limit = policy.recovery_s if application.recovering else policy.application_timeout_s
        if not application.watchers and now - application.last_seen_at > limit:
            _end_application(state, application, f"no sign of life from its driver for {limit:.0f} s", now, out)
    for executor in list(state.executors.values()):
        if executor.state is ExecutorState.STOPPING:
            if now >= executor.stop_at:
                _stop(state, executor, "asked again", now, out, at_once=executor.now)
        elif executor.application_id not in state.applications:
            if now - state.began_at > policy.recovery_s:
                _stop(state, executor, "its application is not known", now, out, at_once=True)
        elif executor.state is ExecutorState.LAUNCHING and now - executor.launched_at > policy.launch_timeout_s:
            node_id = executor.node_id
            _launch_failed(state, executor, f"not ready after {policy.launch_timeout_s:.0f} s", "", now, out)
            out.actions.append(Stop(node_id, executor.application_id, executor.executor_id, "it did not become ready", now=True))


def _allocate(state: State, now: float, out: Outcome) -> None:
    """First come, first served: give the first in the queue all it can have, then the next."""
    for application in sorted(state.applications.values(), key=lambda a: a.order):
        _fill(state, application, now, out)
        _say_what_it_waits_for(state, application, now, out)


def _fill(state: State, application: Application, now: float, out: Outcome) -> None:
    if application.recovering or now < application.launch_not_before or allocation.blocked(application, state):
        return
    live = sum(e.state is not ExecutorState.STOPPING for e in state.executors_of(application.application_id))
    for _ in range(allocation.wanted(application, state.nodes.values()) - live):
        placement = allocation.place(application, state)
        if placement is None:
            return
        executor = Executor(
            new_executor_id(application.application_id, application.next_executor),
            application.application_id,
            placement.node_id,
            1,
            placement.cores,
            placement.memory_bytes,
            launched_at=now,
        )
        application.next_executor += 1
        state.add_executor(executor)
        out.changed |= {("executor", executor.executor_id), ("application", application.application_id)}
        out.actions.append(Launch(executor.node_id, executor.executor_id))


def _say_what_it_waits_for(state: State, application: Application, now: float, out: Outcome) -> None:
    """Told once per reason; counts and places in it change it, so a watcher sees progress."""
    why = allocation.unmet(application, state)
    if why is None or why.limit != application.unmet_limit:
        application.unmet_since, application.unmet_limit = now, why.limit if why else ""
    if why is None:
        waiting = c.AllocationWaiting("")
    else:
        limit = {
            "": 0.0,
            "no_node_limit_s": state.policy.no_node_limit_s,
            "never_fits_limit_s": state.policy.never_fits_limit_s,
        }[why.limit]
        if why.error is not None and now - application.unmet_since >= limit and not application.recovering:
            code, fields = to_wire(why.error)
            waiting = c.AllocationWaiting(why.reason, True, code, json.dumps(fields))
        else:
            waiting = c.AllocationWaiting(why.reason)
    if waiting != application.waiting:
        application.waiting = waiting
        _tell(application, waiting, out)
