"""Nodes come, give signs of life, are drained and are lost."""

from __future__ import annotations

from quiver_manager.executors import executor_is_gone, forget_executor, now_running, stop
from quiver_manager.feed import tell
from quiver_manager.model import Executor, ExecutorState, Node, NodeState, Outcome, State, Stop
from quiver_proto import cluster as c
from quiver_proto.ids import ExecutorId

MISSING_LIMIT_S = 10.0
"""How long an executor may be lacking in its node's heartbeats before it is held for gone."""


def register_node(state: State, event: c.RegisterNode, now: float, out: Outcome) -> None:
    old = state.nodes.get(event.node_id)
    current = old is not None and old.state is not NodeState.RECOVERING and event.epoch == old.epoch
    if old is not None and (current or event.epoch < old.epoch):
        old.last_seen_at = now if current else old.last_seen_at
        out.reply = c.NodeRegistered(state.manager_epoch, state.policy.heartbeat_interval_s)
        return
    for other in list(state.nodes.values()):
        if other.address == event.address and other.node_id != event.node_id:
            lose_node(state, other, f"another daemon ({event.node_id}) took its address {event.address}", now, out)
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
            now_running(state, executor, seen.address, out)
    present = {seen.executor_id for seen in has}
    for executor in state.executors_on(node.node_id):
        if executor.executor_id in present:
            continue
        if executor.state is ExecutorState.LAUNCHING:
            forget_executor(state, executor, out)  # the order to launch it never arrived, or its end was not told: the next one is free
        else:
            gone = c.ExecutorGone(executor.executor_id, node.node_id, "it ended while the manager could not see it")
            executor_is_gone(state, executor, gone, now, out)
    return strays


def _adopt(state: State, node: Node, seen: c.RunningExecutor, now: float, out: Outcome) -> Executor:
    """An executor of an application that our journal does not know: kept until its driver has had the time to register again."""
    executor = Executor(
        seen.executor_id, seen.application_id, node.node_id, 1, seen.cores, seen.memory_bytes, launched_at=now
    )  # fmt: skip
    state.add_executor(executor)
    out.changed.add(("executor", executor.executor_id))
    return executor


def node_heartbeat(state: State, event: c.NodeHeartbeat, now: float, out: Outcome) -> None:
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
        if seen is None:
            _missing(state, executor, now, out)
            continue
        executor.missing_since = None
        if seen.address and executor.state is ExecutorState.LAUNCHING:
            now_running(state, executor, seen.address, out)
    for seen in event.executors:
        if seen.executor_id not in state.executors:
            out.actions.append(Stop(node.node_id, seen.application_id, seen.executor_id, "it has no owner", now=True))


def _missing(state: State, executor: Executor, now: float, out: Outcome) -> None:
    """Its end may be on its way to us, or its launch on its way there; but the cores are not held forever for word that never comes."""
    executor.missing_since = executor.missing_since or now
    if executor.state is not ExecutorState.LAUNCHING and now - executor.missing_since > MISSING_LIMIT_S:
        executor_is_gone(state, executor, c.ExecutorGone(executor.executor_id, executor.node_id, "its node has it no more"), now, out)


def lose_node(state: State, node: Node, reason: str, now: float, out: Outcome) -> None:
    out.changed |= {("executor", executor.executor_id) for executor in state.executors_on(node.node_id)}
    state.drop_node(node)
    state.lost_nodes.add(node.node_id)
    out.lost_addresses.append(node.address)
    out.changed.add(("node", node.node_id))
    out.log.append(("node lost", {"node": node.node_id, "reason": reason}))
    for application in state.applications.values():
        tell(application, c.NodeGone(node.node_id, reason), out)


def drain_node(state: State, event: c.DrainNode, now: float, out: Outcome) -> None:
    node = state.nodes.get(event.node_id)
    if node is None:
        known = ", ".join(sorted(state.nodes)) or "none"
        out.reply = c.Ack(False, f"no node {event.node_id}; there is: {known}")
        return
    out.reply = c.Ack()
    if node.state is NodeState.DRAINING:
        return
    state.drain_node(node)
    out.changed.add(("node", node.node_id))
    for executor in state.executors_on(node.node_id):
        stop(state, executor, f"node is drained: {event.reason}", now, out, at_once=False)
