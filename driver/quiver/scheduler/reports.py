"""What the ends of task attempts change, and what the loss of executors and nodes takes with it.

A report counts only if its executor holds the attempt and the attempt's stage attempt is current; anything else frees room at most.
"""

from __future__ import annotations

from collections.abc import Sequence

from quiver.scheduler import barriers, holdings, lifecycle
from quiver.scheduler.executors import Executor
from quiver.scheduler.model import ExecutorRegistered, Succeeded, TaskAttemptFailed, TaskDiscarded, TasksAccepted
from quiver.scheduler.placement import queue_depth
from quiver.scheduler.retries import Verdict, barrier_verdict, counts, verdict
from quiver.scheduler.stages import StageRun
from quiver.scheduler.state import State
from quiver_proto.errors import ExecutorLost, to_wire
from quiver_proto.ids import ExecutorId, NodeId, TaskId
from quiver_proto.messages import FailureKind, TaskDone, TaskFailure


def reported(state: State, executor_id: ExecutorId, done: Sequence[TaskDone], failed: Sequence[TaskFailure], now: float) -> None:
    executor = state.executors.get(executor_id)
    if executor is None:
        _late(state, executor_id, done)
        return
    executor.reported_at = now
    if done:
        holdings.stored(state, executor_id, done)
        _succeeded(state, executor, done, now)
    for failure in failed:
        record = executor.tasks.pop(failure.task_id, None)
        if record is None:
            continue
        run, partition, attempt, held = record
        executor.free += run.cores
        executor.held -= held
        if run.needs is not None:
            executor.addresses.give_back(failure.task_id)
        if run.over:
            if failure.kind is FailureKind.FETCH_FAILED:
                _input_lost(state, run, failure, now)
            continue
        _failed(state, executor, run, partition, attempt, failure, False, now)
    state.rooms.settle(executor)
    state.freshened.append(executor)


def _succeeded(state: State, executor: Executor, done: Sequence[TaskDone], now: float) -> None:
    actions = state.actions
    tasks = executor.tasks
    touched: list[StageRun] = []
    current: StageRun | None = None
    accepted: list[Succeeded] = []
    for report in done:
        task_id = report.task_id
        record = tasks.pop(task_id, None)
        if record is None:
            if task_id in state.abandoned:
                del state.abandoned[task_id]
                actions.append(TaskDiscarded(executor.id, report))
            continue
        run, partition, attempt, held = record
        executor.free += run.cores
        executor.held -= held
        if run.needs is not None:
            executor.addresses.give_back(task_id)
        if run.over:
            actions.append(TaskDiscarded(executor.id, report))
            continue
        stage = run.stage
        if run.barrier and (stage.outputs is None or report.map_output is not None):
            barriers.hold(run, executor, partition, attempt, report)
        elif stage.outputs is None:
            stage.accepted.add(partition)
        elif report.map_output is None:
            _failed(state, executor, run, partition, attempt, _without_output(report), False, now)
            continue
        else:
            stage.outputs.add(partition, report.map_output)
        del run.running[task_id]
        run.remaining -= 1
        run.ended += 1
        run.seconds += report.metrics.run_s
        if run.barrier:
            touched.append(run)
            if not run.remaining:
                barriers.accept(state, run)
            continue
        if run is not current:
            current = run
            touched.append(run)
            accepted = []
            job_id = None if stage.owner is None else stage.owner.id
            actions.append(TasksAccepted(executor.id, run.stage_id, run.attempt, job_id, accepted))
        accepted.append(Succeeded(partition, attempt, report))
    for run in touched:
        if run.over:
            continue
        run.last_active = now
        if not run.remaining:
            lifecycle.finish(state, run, now)
        elif run.cores == 1 and not run.barrier and run.needs is None:
            queue = queue_depth(run.seconds / run.ended, state.policy)
            if queue > run.queue and run.nearby is not None:
                run.nearby.scanned = 0
            run.queue = queue
    if state.recalled:
        state.recalled.difference_update(report.task_id for report in done)


def _without_output(report: TaskDone) -> TaskFailure:
    return TaskFailure(
        report.task_id, FailureKind.FATAL, "RuntimeError", "the task of a map stage ended without an output", slot=report.slot
    )


def _failed(
    state: State, executor: Executor, run: StageRun, partition: int, attempt: int, failure: TaskFailure, blameless: bool, now: float
) -> None:
    """A current attempt, already out of its executor's tasks, failed."""
    stage = run.stage
    before = run.failures.get(partition, 0)
    give_way = False
    if failure.kind is FailureKind.CACHE_MISS:
        failure, give_way = holdings.missed(state, run, partition, failure)
    what_next = alone = verdict(failure.kind, before, stage.failures_in_row, state.policy, blameless)
    if run.barrier:
        what_next = barrier_verdict(alone, stage.failures_in_row, state.policy)
    del run.running[failure.task_id]
    state.recalled.discard(failure.task_id)
    if run.skipped:
        # What stood for its inputs may be gone since it was launched: looked at before it is launched again.
        state.blocks_lost = True
    run.tries[partition] = attempt + 1
    run.last_active = now
    if counts(what_next, failure.kind):
        run.failures[partition] = before + 1
    state.actions.append(
        TaskAttemptFailed(executor.id, run.stage_id, run.attempt, partition, attempt, failure, will_retry=what_next is not Verdict.GIVE_UP)
    )
    match what_next:
        case Verdict.GIVE_UP:
            times = stage.failures_in_row + 1 if run.barrier else before + 1
            lifecycle.fail_jobs(state, stage, "failed", _why_it_ends(run, partition, failure, times), failure, partition)
            _input_lost(state, run, failure, now)
        case Verdict.INPUT_FIRST:
            stage.failures_in_row += 1
            _input_lost(state, run, failure, now)
            if not run.over:
                lifecycle.fail_attempt(state, run, failure.message, now)
        case Verdict.TOGETHER:
            stage.failures_in_row += alone is Verdict.ELSEWHERE
            why = f"Stage failed because barrier task {failure.task_id} (partition {partition}) finished unsuccessfully: {failure.message}"
            lifecycle.fail_attempt(state, run, why, now)
        case Verdict.ELSEWHERE if len(state.executors) - state.draining > 1 and executor.id in state.executors and run.needs is None:
            run.avoid.append((partition, executor.id, now + state.policy.locality_wait_s))
            state.enqueue(run)
        case Verdict.AGAIN if give_way:
            lifecycle.fail_attempt(state, run, failure.message, now)
        case Verdict.AGAIN | Verdict.ELSEWHERE:
            _put_back(state, run, partition)


def _put_back(state: State, run: StageRun, partition: int) -> None:
    if run.nearby is not None and run.preferred.get(partition):
        run.nearby.add(partition, state.executors, state.nodes)
    else:
        run.pending.append(partition)
        run.scanned = False
    state.enqueue(run)


def _why_it_ends(run: StageRun, partition: int, failure: TaskFailure, failures: int) -> str:
    what = f"{failure.exception_type}: {failure.message}" if failure.exception_type else failure.message
    if failure.kind is FailureKind.FETCH_FAILED:
        return f"{run.stage!r} could not read its input {run.stage.failures_in_row + 1} times in a row; the last time: {what}"
    if failure.kind is FailureKind.FATAL:
        return f"{run.stage!r}, partition {partition}: {what}"
    if run.barrier and failures > 1:
        return f"{run.stage!r}: {failures} attempts at this barrier stage failed; the last time at partition {partition}: {what}"
    times = "once" if failures == 1 else f"{failures} times"
    return f"{run.stage!r}: partition {partition} failed {times}; the last time: {what}"


def _input_lost(state: State, run: StageRun, failure: TaskFailure, now: float) -> None:
    """A map output could not be read. It is dropped if it is still the current one, whoever says so.

    A stage that fails for the second time in a row does not go on finding lost files one by one: what its node holds of the shuffle goes.
    """
    if failure.fetch is None:
        return
    shuffle_id, map_index, task_id, node_id = failure.fetch
    stage = next((parent for parent in run.stage.parents if parent.outputs and parent.outputs.shuffle_id == shuffle_id), None)
    if stage is None or stage.outputs is None:
        return
    outputs = stage.outputs
    lost = outputs.lose(map_index, TaskId(task_id))
    if lost and run.stage.failures_in_row > 1:
        outputs.lose_node(NodeId(node_id))
    if lost:
        lifecycle.outputs_lost(state, stage, failure.message, now, fail_begun=False)


def _late(state: State, executor_id: ExecutorId, done: Sequence[TaskDone]) -> None:
    """From an executor that is gone."""
    for report in done:
        if report.task_id in state.abandoned:
            del state.abandoned[report.task_id]
            state.actions.append(TaskDiscarded(executor_id, report))


def executor_registered(state: State, event: ExecutorRegistered, now: float) -> None:
    """An id that is known is not registered twice; one that is gone stays so."""
    executor_id, node_id, cores = event.executor_id, event.node_id, event.cores
    if executor_id in state.executors or executor_id in state.gone:
        return
    executor = Executor(executor_id, node_id, cores, event.memory_bytes, event.resources)
    executor.reported_at = now
    state.registered_at = now
    state.executors[executor_id] = executor
    state.total_cores += cores
    on_node = state.nodes.get(node_id)
    if on_node is None:
        state.nodes[node_id] = {executor: None}
        for run in state.located:
            if run.nearby is not None:
                run.nearby.node_changed(node_id, state.executors, state.nodes)
    else:
        on_node[executor] = None
    state.rooms.settle(executor)
    state.freshened.append(executor)
    holdings.executor_added(state, executor_id)


def executor_draining(state: State, executor_id: ExecutorId, now: float) -> None:
    executor = state.executors.get(executor_id)
    if executor is None or executor.draining:
        return
    executor.draining = True
    executor.reserved = None
    state.lost_at = now
    state.draining += 1
    state.total_cores -= executor.cores
    state.rooms.settle(executor)
    _unavailable(state, executor)


def executor_gone(state: State, executor_id: ExecutorId, reason: str, asked: bool, now: float) -> None:
    """Its tasks run again; what it wrote stays. Only tasks that had started (the first ones that fit its cores) are blamed."""
    state.gone.add(executor_id)
    executor = state.executors.pop(executor_id, None)
    if executor is None:
        return
    state.lost_at = now
    state.rooms.remove(executor)
    holdings.executor_gone(state, executor_id)
    executor.reserved = None
    if executor.draining:
        state.draining -= 1
    else:
        state.total_cores -= executor.cores
        _unavailable(state, executor)
    message = f"executor {executor_id} was lost: {reason}"
    error = to_wire(ExecutorLost(executor_id, reason))
    cores = 0
    started: set[TaskId] = set()
    tasks, executor.tasks = executor.tasks, {}
    for task_id, record in tasks.items():
        state.abandon(task_id)
        cores += record[0].cores
        if cores <= executor.cores:
            started.add(task_id)
    # Newest first: what is put back last is launched first, so the order stays.
    for task_id, (run, partition, attempt, _) in reversed(tasks.items()):
        if not run.over:
            failure = TaskFailure(task_id, FailureKind.EXECUTOR_LOST, "ExecutorLost", message, error=error)
            _failed(state, executor, run, partition, attempt, failure, asked or task_id not in started, now)
    for run in list(state.active.values()):
        # What tasks of a barrier stage that ended well left there can't be counted on.
        if run.kept and any(where == executor_id for where, _ in run.kept):
            lifecycle.fail_attempt(state, run, message, now)


def node_lost(state: State, node_id: NodeId, reason: str, now: float) -> None:
    """Its outputs are dropped, stages that read them fail their attempts, its executors are gone."""
    affected = [stage for stage in state.shuffles.values() if stage.outputs is not None and stage.outputs.lose_node(node_id)]
    for executor in [executor for executor in state.executors.values() if executor.node_id == node_id]:
        executor_gone(state, executor.id, f"node {node_id} was lost: {reason}", False, now)
    for stage in affected:
        if state.stages.get(stage.spec.stage_id) is stage:
            lifecycle.outputs_lost(state, stage, f"outputs of {stage!r} were lost with node {node_id}: {reason}", now, fail_begun=True)


def _unavailable(state: State, executor: Executor) -> None:
    """No partition may wait for this executor any more, nor for its node if it was the last there."""
    on_node = state.nodes[executor.node_id]
    del on_node[executor]
    if not on_node:
        del state.nodes[executor.node_id]
    available = state.executors.keys() - {executor.id} if executor.id in state.executors else state.executors.keys()
    for run in state.located:
        if run.nearby is not None:
            run.nearby.executor_gone(executor.id, available, state.nodes)
            if not on_node:
                run.nearby.node_changed(executor.node_id, available, state.nodes)
