"""Who gets which executors, and why somebody waits: pure functions over the state.

First come, first served across applications; within one, spread over the nodes: the next executor goes where the application has
the fewest, then where most cores are free. An application is *static* unless it bounds itself (RequestExecutors, ReleaseExecutor)
or runs with dynamic allocation: then what its DAG can use bounds it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from quiver_manager.model import Application, Executor, ExecutorState, Node, NodeState, Shape, Stage, State
from quiver_proto.cluster import ExecutorRequest, StageProgress
from quiver_proto.errors import ExecutorLaunchFailed, ResourcesUnavailable
from quiver_proto.ids import JobId, NodeId, StageId
from quiver_proto.units import format_bytes

_NEARLY = 0.25
"""A stage is looked ahead to once at most this part of its parents' tasks remains."""


class Placement(NamedTuple):
    node_id: NodeId
    cores: int
    memory_bytes: int


class Unmet(NamedTuple):
    """Why an application has too few executors. `error` is what will be raised where it can never be met; None: it may yet be.

    `limit` names the limit of Policy after which `error` is final ("": at once).
    """

    reason: str
    error: ResourcesUnavailable | None = None
    limit: str = ""


def executor_size(request: ExecutorRequest, node: Node | Shape, nodes: int, cores_left: int | None = None) -> tuple[int, int]:
    """(cores, memory in bytes) of an executor for `request` on `node`, of `nodes` that there are.

    Unsaid cores are the node's, shared evenly by as many executors as it must hold, and at most `cores_left` (None: no bound);
    unsaid memory is in proportion to the cores.
    """
    per_node = max(1, -(-request.instances // max(1, nodes)))
    cores = request.cores or max(1, node.cores // per_node)
    if cores_left is not None and not request.cores:
        cores = min(cores, cores_left)
    return cores, request.memory_bytes or node.memory_bytes * min(cores, node.cores) // max(1, node.cores)


def usable_cores(jobs: Mapping[JobId, Mapping[StageId, Stage]], progress: Mapping[StageId, StageProgress]) -> int:
    """How many cores the registered jobs can use now, or soon: a stage counts once its parents are done or nearly so.

    A wide stage is thus asked for before it is ready, and a tail asks for no more than its remaining tasks. Jobs that share a
    stage count it once.
    """
    stages = {stage_id: stage for job in jobs.values() for stage_id, stage in job.items()}

    def remaining(stage_id: StageId) -> int:
        seen = progress.get(stage_id)
        return max(0, stages[stage_id].width - (seen.done if seen else 0))

    ready = soon = 0
    for stage_id, stage in stages.items():
        parents = [parent for parent in stage.parents if parent in stages]
        left = sum(map(remaining, parents))
        demand = remaining(stage_id) * stage.cores_per_task
        if left == 0:
            ready += demand
        elif left <= _NEARLY * sum(stages[parent].width for parent in parents):
            soon += demand
    return max(ready, soon)


def is_dynamic(application: Application) -> bool:
    conf = application.environment.conf
    return any(conf.get(f"{prefix}.dynamicAllocation.enabled", "").lower() == "true" for prefix in ("spark", "quiver"))


def wanted(application: Application, state: State) -> int:
    """How many executors the application should have: those it asked for, or as many as the nodes could hold were they empty."""
    request, shapes = application.request, state.shapes()
    nodes = sum(shapes.values())
    sizes: list[int] = []
    for shape, count in shapes.items():
        cores, memory = executor_size(request, shape, nodes, request.cores_max or None)
        if cores <= shape.cores and memory <= shape.memory_bytes:
            fits = min(shape.cores // cores, shape.memory_bytes // memory if memory else shape.cores)
            sizes += [cores] * (count * fits if request.cores or request.instances else count)
    most = request.instances or len(sizes) or 1
    if request.cores_max:
        most = min(most, request.cores_max // request.cores if request.cores else _within(request.cores_max, sizes) or 1)
    if application.target is not None:
        most = min(most, application.target)
    if is_dynamic(application):
        each = request.cores or (min(sizes) if sizes else 1)
        most = min(most, -(-usable_cores(application.jobs, application.progress) // each))
    return most


def _within(cores_max: int, sizes: list[int]) -> int:
    """How many executors of these sizes, the largest first, use `cores_max` cores up (the last one may be cut to fit)."""
    count = used = 0
    for cores in sorted(sizes, reverse=True):
        if used >= cores_max:
            break
        used, count = used + cores, count + 1
    return count


def place(application: Application, state: State) -> Placement | None:
    """Where the application's next executor goes; None where there is no room."""
    request = application.request
    nodes = [node for node in state.nodes.values() if node.state is NodeState.ALIVE]
    mine = state.executors_of(application.application_id)
    held: dict[NodeId, int] = {}
    for executor in mine:
        held[executor.node_id] = held.get(executor.node_id, 0) + 1
    cores_left = request.cores_max - sum(executor.cores for executor in mine) if request.cores_max else None
    best: tuple[tuple[int, int, NodeId], Placement] | None = None
    for node in nodes:
        cores, memory = executor_size(request, node, len(nodes), cores_left)
        one_each = not request.cores and not request.instances
        if cores < 1 or (cores_left is not None and cores > cores_left) or (one_each and held.get(node.node_id)):
            continue
        if cores > node.cores - node.cores_used or memory > node.memory_bytes - node.memory_used:
            continue
        rank = (held.get(node.node_id, 0), node.cores_used - node.cores, node.node_id)
        if best is None or rank < best[0]:
            best = rank, Placement(node.node_id, cores, memory)
    return best[1] if best else None


def unmet(application: Application, state: State) -> Unmet | None:
    """Why the application has fewer executors than it should; None when it has them all."""
    mine = [e for e in state.executors_of(application.application_id) if e.state is not ExecutorState.STOPPING]
    running = sum(executor.state is ExecutorState.RUNNING for executor in mine)
    target = wanted(application, state)
    if running >= target:
        return None
    count = f"{running} of {target} executors run"
    failing = _failing(application, state)
    if failing is not None:
        return Unmet(f"{count}: {failing.message}", None if running else failing)
    if running and not application.request.instances and application.target is None:
        return None  # it asked for as many as fit, and that is what it has
    if len(mine) > running:
        return Unmet(f"{count}: {_starting(mine)}")
    nodes = list(state.nodes.values())
    never = _never_fits(application.request, nodes)
    if never is not None:
        return Unmet(f"{count}: {never.message}", None if running else never, "no_node_limit_s" if not nodes else "never_fits_limit_s")
    if application.launch_failures:
        node, reason, _ = application.last_failure
        return Unmet(f"{count}: launching on {node} failed ({reason}); it is tried again")
    return Unmet(f"{count}: {_occupied(application, state)}")


def blocked(application: Application, state: State) -> bool:
    """True when the application gets no more executors because launching them failed, or they died, too often."""
    return _failing(application, state) is not None


def _failing(application: Application, state: State) -> ResourcesUnavailable | None:
    node, reason, log = application.last_failure
    if application.launch_failures >= state.policy.max_launch_failures:
        return ExecutorLaunchFailed(node, f"{reason} ({application.launch_failures} times in a row)", log)
    if len(application.deaths) > state.policy.max_executor_deaths:
        died = f"{len(application.deaths)} executors died within {state.policy.deaths_window_s:.0f} s, the last with: {reason}"
        return ExecutorLaunchFailed(node, died, log)
    return None


def _starting(mine: Iterable[Executor]) -> str:
    starting = [executor for executor in mine if executor.state is ExecutorState.LAUNCHING]
    places = ", ".join(sorted({executor.node_id for executor in starting}))
    return f"{len(starting)} more {'is' if len(starting) == 1 else 'are'} starting on {places}"


def _never_fits(request: ExecutorRequest, nodes: list[Node]) -> ResourcesUnavailable | None:
    """The error when no node, were it empty, could hold one executor."""
    if not nodes:
        return ResourcesUnavailable(
            "an executor", "no node has registered with the manager", "Start one with `executor --manager quiver://HOST:PORT`."
        )
    if any(
        cores <= node.cores and memory <= node.memory_bytes
        for node in nodes
        for cores, memory in [executor_size(request, node, len(nodes))]
    ):
        return None
    cores, memory = max(node.cores for node in nodes), max(node.memory_bytes for node in nodes)
    if request.memory_bytes > memory:
        return ResourcesUnavailable(
            f"--executor-memory {format_bytes(request.memory_bytes)}",
            f"the largest of {_nodes(len(nodes))} has {format_bytes(memory)}",
            "Ask for less, or start a node with more (`executor --memory`).",
        )
    if request.cores > cores:
        return ResourcesUnavailable(
            f"--executor-cores {request.cores}",
            f"the largest of {_nodes(len(nodes))} has {cores}",
            "Ask for fewer, or start a node with more (`executor --cores`).",
        )
    return ResourcesUnavailable(
        f"an executor with {request.cores or 'all'} cores and {format_bytes(request.memory_bytes)}",
        f"no single one of {_nodes(len(nodes))} has both",
        "Ask for less of one of them.",
    )


def _occupied(application: Application, state: State) -> str:
    nodes = list(state.nodes.values())
    recovering = [node for node in nodes if node.state is NodeState.RECOVERING]
    if recovering:
        return f"the manager was restarted and has not yet heard from {_nodes(len(recovering))}"
    if all(node.state is NodeState.DRAINING for node in nodes):
        return f"all of {_nodes(len(nodes))} are being drained"
    others = {e.application_id for e in state.executors.values() if e.application_id != application.application_id}
    holders = f", by {len(others)} other application{'s' if len(others) != 1 else ''}" if others else ""
    cores, total = sum(node.cores_used for node in nodes), sum(node.cores for node in nodes)
    memory, all_memory = sum(node.memory_used for node in nodes), sum(node.memory_bytes for node in nodes)
    return (
        f"no node has room for one more; {cores} of {total} cores and {format_bytes(memory)} of {format_bytes(all_memory)} "
        f"on {_nodes(len(nodes))} are in use{holders}"
    )


def _nodes(count: int) -> str:
    return f"{count} node{'s' if count != 1 else ''}"
