"""What an application's watchers are sent: numbered cluster events, kept for those who come back."""

from __future__ import annotations

from quiver_manager.model import Application, Executor, ExecutorState, Outcome, State
from quiver_proto import cluster as c
from quiver_proto.ids import ApplicationId

_EVENTS_KEPT = 1000
"""Cluster events kept of an application; a watcher that is further behind gets a Snapshot."""


def tell(application: Application, event: c.ExecutorLaunched | c.ExecutorGone | c.NodeGone | c.AllocationWaiting, out: Outcome) -> None:
    application.sequence += 1
    application.events.append(c.ClusterEvent(application.application_id, application.sequence, event))
    if len(application.events) > _EVENTS_KEPT:
        del application.events[: -_EVENTS_KEPT // 2]
    out.notify.add(application.application_id)
    out.changed |= {("event", application.application_id), ("application", application.application_id)}


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
    up = tuple(launched(state, e) for e in state.executors_of(application_id) if e.told and e.state is ExecutorState.RUNNING)
    return [c.ClusterEvent(application_id, application.sequence, c.Snapshot(up))]


def launched(state: State, executor: Executor) -> c.ExecutorLaunched:
    node = state.nodes[executor.node_id]
    return c.ExecutorLaunched(
        executor.executor_id, node.node_id, node.host, executor.address, executor.cores, executor.memory_bytes, node.block_server
    )
