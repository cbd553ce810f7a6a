"""What reports about cached blocks change: the table, replicas, and attempts that relied on a block that is no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from quiver.scheduler import lifecycle
from quiver.scheduler.blocks import Block
from quiver.scheduler.caching import lacks_inputs, lost_for_good
from quiver.scheduler.model import BlocksNoted, DropDataset, Replicate
from quiver.scheduler.stages import StageRun
from quiver.scheduler.state import State
from quiver_proto.errors import to_wire
from quiver_proto.ids import ExecutorId, NodeId
from quiver_proto.messages import CachedBlock, FailureKind, TaskDone, TaskFailure


def stored(state: State, executor_id: ExecutorId, done: Sequence[TaskDone]) -> None:
    """What the tasks of a living executor stored, whatever becomes of the tasks themselves. To be called while it still holds them:
    a report that comes again tells nothing new."""
    tasks = state.executors[executor_id].tasks
    blocks = [block for report in done if report.extras is not None and report.task_id in tasks for block in report.extras.cached]
    if blocks:
        changed(state, executor_id, blocks)


def changed(state: State, executor_id: ExecutorId, blocks: Sequence[CachedBlock]) -> None:
    """Blocks of an executor as they are now. One of a dataset that is not persisted (any more) is to be dropped there."""
    if executor_id not in state.executors:
        return
    table = state.blocks
    unwanted: dict[int, None] = {}
    noted: list[CachedBlock] = []
    lost = False
    for block in blocks:
        if block.dataset_id not in table.datasets:
            if block.memory_bytes or block.disk_bytes:
                unwanted[block.dataset_id] = None
            continue
        noted.append(block)
        key = block.dataset_id, block.partition
        table.add(block)
        if table.has(key):
            _replicate(state, key)
        else:
            lost = True
    if noted:
        state.actions.append(BlocksNoted(executor_id, noted))
    state.actions.extend(DropDataset(dataset_id, (executor_id,)) for dataset_id in unwanted)
    if lost:
        state.blocks_lost = True


def missed(state: State, run: StageRun, partition: int, failure: TaskFailure) -> tuple[TaskFailure, bool]:
    """A task did not find a block. The failure to go on with (FATAL where the partition is lost for good), and whether the attempt must
    give way to one with other inputs."""
    if failure.cache is not None:
        state.blocks.disbelieve(failure.cache, run.told)
    lost = lost_for_good(state, run, partition)
    if lost is not None:
        fatal = replace(failure, kind=FailureKind.FATAL, exception_type="CheckpointLost", message=str(lost), error=to_wire(lost))
        return fatal, False
    caching = run.stage.spec.caching
    is_only_copy = caching is not None and bool(caching.last(partition)[1].needs)
    if run.skipped:
        run.stage.distrusts_cache = True
    # A copy that came after the attempt began is not in the table that its tasks have.
    return failure, bool(run.skipped) or is_only_copy


def executor_added(state: State, executor_id: ExecutorId) -> None:
    state.blocks.executor_added(executor_id)
    short, state.blocks.short = state.blocks.short, {}
    for key in short:
        _replicate(state, key)


def executor_gone(state: State, executor_id: ExecutorId) -> None:
    """To be called when it is no longer among `state.executors`."""
    lost = state.blocks.executor_gone(executor_id)
    # More executors may go in this step: copies are asked for at its end.
    state.uncopied.update(dict.fromkeys(lost))
    if lost:
        state.blocks_lost = True


def release(state: State, dataset_id: int) -> None:
    """Nobody wants the dataset's blocks any more. Executors may hold some that they have not told of yet: all of them drop it."""
    if state.blocks.drop_dataset(dataset_id):
        state.blocks_lost = True
        state.actions.append(DropDataset(dataset_id, tuple(state.executors)))


def settle(state: State, now: float) -> None:
    """At the end of a step in which blocks were lost: copies are made of what is left, and attempts that relied on what is not, and
    can't go on, get their inputs first."""
    state.blocks_lost = False
    uncopied, state.uncopied = state.uncopied, {}
    for key in uncopied:
        _replicate(state, key)
    for run in list(state.active.values()):
        if lacks_inputs(state, run):
            run.stage.distrusts_cache = True
            lifecycle.fail_attempt(state, run, "a cached block that stood for its input is lost", now)


def _replicate(state: State, key: Block) -> None:
    table = state.blocks
    missing = table.missing_copies(key)
    if not missing:
        return

    def node_of(executor_id: ExecutorId) -> NodeId | None:
        executor = state.executors.get(executor_id)
        return None if executor is None or executor.draining else executor.node_id

    source = next(iter(table.copies(key).values())).block
    level = table.datasets[key[0]].level
    for _ in range(missing):
        target = table.ask_copy(key, node_of)
        if target is None:
            table.short[key] = None
            return
        state.actions.append(Replicate(target, source, level.useMemory, level.useDisk))
