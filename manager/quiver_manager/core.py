"""`step(state, event, now) -> outcome`: everything the manager decides. No clock, socket, thread, file or log in here.

A message may come twice or late; one that is not about the current epoch, attempt or request changes nothing. `now` is monotonic.
After every event that changed something the queue is looked at again (`_allocate`): a core that is freed is given away at once.
"""

from __future__ import annotations

import json
from typing import assert_never

from quiver_manager import allocation
from quiver_manager.applications import application_says, end_application, register_application, unregister_application
from quiver_manager.executors import ASK_AGAIN_S, executor_exited, executor_ready, forget_executor, launch_failed, stop
from quiver_manager.feed import tell
from quiver_manager.model import (
    Application,
    ApplicationRemoved,
    Event,
    Executor,
    ExecutorState,
    Launch,
    LaunchRefused,
    NodeRefusesConnections,
    NodeState,
    Outcome,
    Probe,
    RemoveBlocks,
    State,
    Stop,
    Tick,
    WatchClosed,
    WatchOpened,
)
from quiver_manager.nodes import drain_node, lose_node, node_heartbeat, register_node
from quiver_proto import cluster as c
from quiver_proto.errors import to_wire
from quiver_proto.ids import new_executor_id


def step(state: State, event: Event, now: float) -> Outcome:
    """Apply one event. The caller journals `changed`, then shows the reply, the cluster events and the actions to the world."""
    out = Outcome()
    match event:
        case c.RegisterNode():
            register_node(state, event, now, out)
        case c.NodeHeartbeat():
            node_heartbeat(state, event, now, out)
        case c.UnregisterNode():
            node = state.nodes.get(event.node_id)
            out.reply = c.Ack()
            if node is not None and node.epoch == event.epoch:
                lose_node(state, node, event.reason or "its daemon ended", now, out)
        case c.ExecutorReady():
            executor_ready(state, event, out)
        case c.ExecutorExited():
            executor_exited(state, event, now, out)
        case LaunchRefused():
            executor = state.executors.get(event.executor_id)
            if executor is None or executor.attempt != event.attempt or executor.address:
                pass
            elif executor.state is ExecutorState.STOPPING:
                forget_executor(state, executor, out)
            else:
                launch_failed(state, executor, event.reason, "", now, out)
        case c.RegisterApplication():
            register_application(state, event, now, out)
        case c.UnregisterApplication():
            unregister_application(state, event, now, out)
        case c.DrainNode():
            drain_node(state, event, now, out)
        case NodeRefusesConnections():
            node = state.nodes.get(event.node_id)
            silent = node is not None and now - node.last_seen_at >= 2 * state.policy.heartbeat_interval_s
            if node is not None and node.epoch == event.epoch and silent:
                lose_node(state, node, "its daemon is gone (connection refused)", now, out)
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
            application_says(state, event, now, out)
        case _:
            assert_never(event)
    if out.changed or not isinstance(event, (c.NodeHeartbeat, c.ApplicationHeartbeat, WatchOpened, WatchClosed)):
        _allocate(state, now, out)
    return out


def _tick(state: State, now: float, out: Outcome) -> None:
    policy = state.policy
    for node in list(state.nodes.values()):
        silent = now - node.last_seen_at
        if node.state is NodeState.RECOVERING:
            if now - state.began_at > policy.recovery_s:
                lose_node(state, node, f"not heard of for {policy.recovery_s:.0f} s after the manager's restart", now, out)
            continue
        if silent > policy.node_timeout_s:
            lose_node(state, node, f"no heartbeat for {silent:.0f} s", now, out)
        elif silent > 2 * policy.heartbeat_interval_s and now - node.last_probe_at >= policy.heartbeat_interval_s:
            node.last_probe_at = now
            out.actions.append(Probe(node.node_id, node.epoch))
        if node.removals and now - node.last_removal_at >= ASK_AGAIN_S:
            node.last_removal_at = now
            out.actions += [RemoveBlocks(node.node_id, application_id) for application_id in sorted(node.removals)]
    for application in list(state.applications.values()):
        limit = policy.recovery_s if application.recovering else policy.application_timeout_s
        if not application.watchers and now - application.last_seen_at > limit:
            end_application(state, application, f"no sign of life from its driver for {limit:.0f} s", now, out)
    for executor in list(state.executors.values()):
        if executor.state is ExecutorState.STOPPING:
            if now >= executor.stop_at:
                stop(state, executor, "asked again", now, out, at_once=executor.now)
        elif executor.application_id not in state.applications:
            if now - state.began_at > policy.recovery_s:
                stop(state, executor, "its application is not known", now, out, at_once=True)
        elif executor.state is ExecutorState.LAUNCHING and now - executor.launched_at > policy.launch_timeout_s:
            node_id = executor.node_id
            launch_failed(state, executor, f"not ready after {policy.launch_timeout_s:.0f} s", "", now, out)
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
    for _ in range(allocation.wanted(application, state) - live):
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
        tell(application, waiting, out)
