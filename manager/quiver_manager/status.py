"""The cluster as people see it (`quiver status`, pages)."""

from __future__ import annotations

from collections.abc import Mapping

from quiver_manager import allocation
from quiver_manager.model import Application, ExecutorState, State
from quiver_proto.cluster_status import ApplicationRow, ClusterStatus, ExecutorRow, NodeStatusRow


def status(state: State, versions: Mapping[str, str], now: float) -> ClusterStatus:
    """Nodes by id, applications in the order of their registration, executors by id."""
    nodes = [
        NodeStatusRow(
            node.node_id, node.host, node.address, node.block_server, node.state.value, node.cores, node.cores_used,
            node.memory_bytes, node.memory_used, max(0.0, now - node.last_seen_at), node.labels, node.cpu_percent, node.rss_bytes,
        )
        for _, node in sorted(state.nodes.items())
    ]  # fmt: skip
    executors = [
        ExecutorRow(e.executor_id, e.application_id, e.node_id, e.state.value, e.cores, e.memory_bytes, e.address)
        for _, e in sorted(state.executors.items())
    ]
    applications = [_application(state, a) for a in sorted(state.applications.values(), key=lambda a: a.order)]
    return ClusterStatus(state.manager_epoch, state.started_at, dict(versions), tuple(nodes), tuple(applications), tuple(executors))


def _application(state: State, application: Application) -> ApplicationRow:
    mine = [e for e in state.executors_of(application.application_id) if e.state is ExecutorState.RUNNING]
    how = "recovering" if application.recovering else "running" if mine else "waiting"
    return ApplicationRow(
        application.application_id, application.name, application.user, application.driver_host, how, application.waiting.reason,
        len(mine), allocation.wanted(application, state), sum(e.cores for e in mine), application.started_at,
        application.ui_url, len(application.jobs),
    )  # fmt: skip
