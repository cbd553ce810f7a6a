"""The executor stream's messages to protobuf and back: columns, because a task may cost microseconds, not a message."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, assert_never

from google.protobuf.message import DecodeError

from quiver_proto.errors import MalformedMessage
from quiver_proto.ids import ExecutorId, NodeId, ShuffleId, StageId, TaskId
from quiver_proto.messages import (
    NO_METRICS,
    AddStage,
    BarrierArrived,
    BarrierReleased,
    BlocksChanged,
    BroadcastRemoved,
    BroadcastTable,
    CachedBlock,
    CacheTable,
    Drain,
    Drained,
    ExecutorHeartbeat,
    ExecutorHello,
    FailureKind,
    ForgetStage,
    FromExecutor,
    HeavyKey,
    KillTasks,
    LaunchTasks,
    MapOutput,
    MapOutputTable,
    OperatorMetrics,
    RemoveBroadcast,
    RemoveDataset,
    RemoveShuffle,
    ReplicateBlock,
    ResultBlock,
    Shutdown,
    TaskDone,
    TaskExtras,
    TaskFailure,
    TaskMetrics,
    TasksEnded,
    ToExecutor,
)
from quiver_proto.v1 import executor_pb2 as pb

_RESULT, _BLOCK, _MAP_OUTPUT = 0, 1, 2
_SECONDS = tuple(i for i, name in enumerate(TaskMetrics._fields) if name.endswith("_s"))
_COUNTS = tuple(i for i, name in enumerate(TaskMetrics._fields) if not name.endswith("_s"))
_seconds_of, _counts_of = itemgetter(*_SECONDS), itemgetter(*_COUNTS)
_interleave: Callable[[tuple[Any, ...]], tuple[Any, ...]] = itemgetter(*((*_SECONDS, *_COUNTS).index(i) for i in range(len(NO_METRICS))))


def encode_to_executor(message: ToExecutor) -> bytes:
    """Driver to executor."""
    match message:
        case LaunchTasks():
            out = pb.DriverMessage(
                launch_tasks=pb.LaunchTasks(
                    stage_id=message.stage_id,
                    stage_attempt=message.stage_attempt,
                    task_ids=message.task_ids,
                    partitions=message.partitions,
                    attempts=message.attempts,
                    splits=message.splits,
                    cores_per_task=message.cores_per_task,
                    resources={task_id: _resources_to_pb(given) for task_id, given in message.resources.items()},
                )
            )
        case AddStage():
            out = pb.DriverMessage(
                add_stage=pb.AddStage(
                    stage_id=message.stage_id,
                    stage_attempt=message.stage_attempt,
                    body=message.body,
                    inputs={shuffle: _table_to_pb(table) for shuffle, table in message.inputs.items()},
                    block_servers=message.block_servers,
                    properties=message.properties,
                    cached={dataset: pb.CacheTable(**_fields(table)) for dataset, table in message.cached.items()},
                    broadcasts={broadcast: pb.BroadcastTable(**_fields(table)) for broadcast, table in message.broadcasts.items()},
                    barrier=message.barrier,
                    cores_per_task=message.cores_per_task,
                )
            )
        case KillTasks():
            out = pb.DriverMessage(kill_tasks=pb.KillTasks(task_ids=message.task_ids, reason=message.reason))
        case ForgetStage():
            out = pb.DriverMessage(forget_stage=pb.ForgetStage(stage_id=message.stage_id, stage_attempt=message.stage_attempt))
        case RemoveShuffle():
            out = pb.DriverMessage(remove_shuffle=pb.RemoveShuffle(shuffle_id=message.shuffle_id))
        case RemoveDataset():
            out = pb.DriverMessage(remove_dataset=pb.RemoveDataset(dataset_id=message.dataset_id))
        case RemoveBroadcast():
            out = pb.DriverMessage(remove_broadcast=pb.RemoveBroadcast(broadcast_id=message.broadcast_id))
        case ReplicateBlock():
            out = pb.DriverMessage(
                replicate_block=pb.ReplicateBlock(
                    block=pb.CachedBlock(**message.block._asdict()),
                    block_server=message.block_server,
                    use_memory=message.use_memory,
                    use_disk=message.use_disk,
                )
            )
        case BarrierReleased():
            out = pb.DriverMessage(barrier_released=pb.BarrierReleased(**_fields(message)))
        case Drain():
            out = pb.DriverMessage(drain=pb.Drain())
        case Shutdown():
            out = pb.DriverMessage(shutdown=pb.Shutdown(reason=message.reason))
        case _:
            assert_never(message)
    return out.SerializeToString()


def decode_to_executor(data: bytes) -> ToExecutor:
    """The inverse of `encode_to_executor`. Raises MalformedMessage."""
    try:
        message = pb.DriverMessage.FromString(data)
    except DecodeError as problem:
        raise MalformedMessage("message to an executor", str(problem)) from None
    match message.WhichOneof("message"):
        case "launch_tasks":
            tasks = message.launch_tasks
            return LaunchTasks(
                StageId(tasks.stage_id),
                tasks.stage_attempt,
                list(map(TaskId, tasks.task_ids)),
                list(tasks.partitions),
                list(tasks.attempts),
                list(tasks.splits),
                tasks.cores_per_task,
                {TaskId(task_id): _resources_from_pb(given) for task_id, given in tasks.resources.items()},
            )
        case "add_stage":
            stage = message.add_stage
            return AddStage(
                StageId(stage.stage_id),
                stage.stage_attempt,
                stage.body,
                {shuffle: _table_from_pb(table) for shuffle, table in stage.inputs.items()},
                dict(stage.block_servers),
                dict(stage.properties),
                {dataset: _cache_table_from_pb(table) for dataset, table in stage.cached.items()},
                {broadcast: _broadcast_table_from_pb(table) for broadcast, table in stage.broadcasts.items()},
                stage.barrier,
                stage.cores_per_task,
            )
        case "kill_tasks":
            return KillTasks(list(map(TaskId, message.kill_tasks.task_ids)), message.kill_tasks.reason)
        case "forget_stage":
            return ForgetStage(StageId(message.forget_stage.stage_id), message.forget_stage.stage_attempt)
        case "remove_shuffle":
            return RemoveShuffle(ShuffleId(message.remove_shuffle.shuffle_id))
        case "remove_dataset":
            return RemoveDataset(message.remove_dataset.dataset_id)
        case "remove_broadcast":
            return RemoveBroadcast(message.remove_broadcast.broadcast_id)
        case "replicate_block":
            replicate = message.replicate_block
            return ReplicateBlock(_block_from_pb(replicate.block), replicate.block_server, replicate.use_memory, replicate.use_disk)
        case "barrier_released":
            released = message.barrier_released
            return BarrierReleased(
                StageId(released.stage_id), released.stage_attempt, released.round, list(released.payloads), released.error
            )
        case "drain":
            return Drain()
        case "shutdown":
            return Shutdown(message.shutdown.reason)
        case other:
            raise MalformedMessage("message to an executor", f"unknown kind {other}")


def encode_from_executor(message: FromExecutor) -> bytes:
    """Executor to driver."""
    match message:
        case TasksEnded():
            out = pb.ExecutorMessage(
                tasks_ended=pb.TasksEnded(
                    executor_id=message.executor_id,
                    done=_done_to_pb(message.done) if message.done else None,
                    failed=[_failure_to_pb(failure) for failure in message.failed],
                )
            )
        case ExecutorHello():
            out = pb.ExecutorMessage(
                hello=pb.ExecutorHello(
                    executor_id=message.executor_id,
                    node_id=message.node_id,
                    cores=message.cores,
                    memory_bytes=message.memory_bytes,
                    block_server=message.block_server,
                    host=message.host,
                    pid=message.pid,
                    versions=message.versions,
                    log_dir=message.log_dir,
                    machine=message.machine,
                    resources=_resources_to_pb(message.resources),
                )
            )
        case ExecutorHeartbeat():
            out = pb.ExecutorMessage(
                heartbeat=pb.ExecutorHeartbeat(
                    executor_id=message.executor_id,
                    at=message.at,
                    rss_bytes=message.rss_bytes,
                    running_tasks=message.running_tasks,
                    queued_tasks=message.queued_tasks,
                )
            )
        case BlocksChanged():
            out = pb.ExecutorMessage(
                blocks_changed=pb.BlocksChanged(
                    executor_id=message.executor_id, blocks=[pb.CachedBlock(**block._asdict()) for block in message.blocks]
                )
            )
        case BroadcastRemoved():
            out = pb.ExecutorMessage(broadcast_removed=pb.BroadcastRemoved(**_fields(message)))
        case BarrierArrived():
            out = pb.ExecutorMessage(barrier_arrived=pb.BarrierArrived(**_fields(message)))
        case Drained():
            out = pb.ExecutorMessage(drained=pb.Drained(executor_id=message.executor_id))
        case _:
            assert_never(message)
    return out.SerializeToString()


def decode_from_executor(data: bytes) -> FromExecutor:
    """The inverse of `encode_from_executor`. Raises MalformedMessage."""
    try:
        message = pb.ExecutorMessage.FromString(data)
    except DecodeError as problem:
        raise MalformedMessage("message from an executor", str(problem)) from None
    match message.WhichOneof("message"):
        case "tasks_ended":
            ended = message.tasks_ended
            return TasksEnded(
                ExecutorId(ended.executor_id),
                _done_from_pb(ended.done) if ended.HasField("done") else [],
                [_failure_from_pb(failure) for failure in ended.failed],
            )
        case "hello":
            hello = message.hello
            return ExecutorHello(
                ExecutorId(hello.executor_id),
                NodeId(hello.node_id),
                hello.cores,
                hello.memory_bytes,
                hello.block_server,
                hello.host,
                hello.pid,
                dict(hello.versions),
                hello.log_dir,
                hello.machine,
                _resources_from_pb(hello.resources),
            )
        case "heartbeat":
            beat = message.heartbeat
            return ExecutorHeartbeat(ExecutorId(beat.executor_id), beat.at, beat.rss_bytes, beat.running_tasks, beat.queued_tasks)
        case "blocks_changed":
            changed = message.blocks_changed
            return BlocksChanged(ExecutorId(changed.executor_id), list(map(_block_from_pb, changed.blocks)))
        case "broadcast_removed":
            gone = message.broadcast_removed
            return BroadcastRemoved(ExecutorId(gone.executor_id), gone.broadcast_id)
        case "barrier_arrived":
            came = message.barrier_arrived
            return BarrierArrived(
                ExecutorId(came.executor_id), TaskId(came.task_id), StageId(came.stage_id),
                came.stage_attempt, came.partition, came.round, came.payload,
            )  # fmt: skip
        case "drained":
            return Drained(ExecutorId(message.drained.executor_id))
        case other:
            raise MalformedMessage("message from an executor", f"unknown kind {other}")


def _table_to_pb(table: MapOutputTable) -> pb.MapOutputTable:
    numbers: dict[str, int] = {}
    indexes = [numbers.setdefault(node, len(numbers)) for node in table.node_ids]
    return pb.MapOutputTable(
        shuffle_id=table.shuffle_id,
        width=table.width,
        map_indexes=table.map_indexes,
        task_ids=table.task_ids,
        nodes=list(numbers),
        node_indexes=indexes,
        paths=table.paths,
    )


def _table_from_pb(table: pb.MapOutputTable) -> MapOutputTable:
    nodes = list(table.nodes)
    return MapOutputTable(
        ShuffleId(table.shuffle_id),
        table.width,
        list(table.map_indexes),
        list(table.task_ids),
        [nodes[index] for index in table.node_indexes],
        list(table.paths),
    )


def _fields(message: Any) -> dict[str, Any]:
    """Of a dataclass whose protobuf twin has the same names."""
    return {name: getattr(message, name) for name in message.__slots__}


def _cache_table_from_pb(table: pb.CacheTable) -> CacheTable:
    return CacheTable(table.dataset_id, list(table.partitions), list(table.node_ids), list(table.executor_ids), list(table.paths))


def _broadcast_table_from_pb(table: pb.BroadcastTable) -> BroadcastTable:
    return BroadcastTable(table.broadcast_id, table.path, table.host, table.size, table.piece_bytes, table.checksums, table.origin)


def _block_from_pb(block: pb.CachedBlock) -> CachedBlock:
    return CachedBlock(
        block.dataset_id, block.partition, NodeId(block.node_id), ExecutorId(block.executor_id), block.slot,
        block.path, block.memory_bytes, block.disk_bytes, block.records,
    )  # fmt: skip


def _extras_to_pb(extras: TaskExtras) -> pb.TaskExtras:
    return pb.TaskExtras(
        cached=[pb.CachedBlock(**block._asdict()) for block in extras.cached],
        updates=extras.updates,
        heavy=[pb.HeavyKey(**key._asdict()) for key in extras.heavy],
        operators=[pb.OperatorMetrics(**operator._asdict()) for operator in extras.operators],
    )


def _extras_from_pb(extras: pb.TaskExtras) -> TaskExtras:
    return TaskExtras(
        tuple(map(_block_from_pb, extras.cached)),
        extras.updates,
        tuple(HeavyKey(k.key, k.partition, k.records) for k in extras.heavy),
        tuple(OperatorMetrics(*(getattr(operator, name) for name in OperatorMetrics._fields)) for operator in extras.operators),
    )


def _metrics_to_pb(rows: Sequence[TaskMetrics]) -> pb.MetricColumns:
    return pb.MetricColumns(
        seconds=chain.from_iterable(map(_seconds_of, rows)),
        counts=chain.from_iterable(map(_counts_of, rows)),
    )


def _metrics_from_pb(columns: pb.MetricColumns, rows: int) -> list[TaskMetrics]:
    seconds, counts = list(columns.seconds), list(columns.counts)
    if len(seconds) != rows * len(_SECONDS) or len(counts) != rows * len(_COUNTS):
        raise MalformedMessage("table of metrics", f"{len(seconds)} durations and {len(counts)} counts for {rows} tasks")
    by_row = zip(*[iter(seconds)] * len(_SECONDS), *[iter(counts)] * len(_COUNTS))
    return [TaskMetrics._make(_interleave(row)) for row in by_row]


def _done_to_pb(done: Sequence[TaskDone]) -> pb.DoneColumns:
    task_ids, slots, started, metrics, results, blocks, outputs, extras = zip(*done)
    outcomes = bytes(
        _MAP_OUTPUT if output is not None else _BLOCK if block is not None else _RESULT
        for block, output in zip(blocks, outputs, strict=True)
    )
    return pb.DoneColumns(
        task_ids=task_ids,
        slots=slots,
        started_at=started,
        metrics=_metrics_to_pb(metrics),
        outcomes=outcomes,
        results=[result or b"" for result, outcome in zip(results, outcomes) if outcome == _RESULT],
        blocks=[pb.ResultBlock(node_id=block.node_id, path=block.path, size=block.size) for block in blocks if block is not None],
        map_outputs=[
            pb.MapOutput(
                map_index=output.map_index,
                task_id=output.task_id,
                node_id=output.node_id,
                executor_id=output.executor_id,
                path=output.path,
                sizes=output.sizes,
                records=output.records,
            )
            for output in outputs
            if output is not None
        ],
        extras={row: _extras_to_pb(extra) for row, extra in enumerate(extras) if extra is not None},
    )


def _done_from_pb(columns: pb.DoneColumns) -> list[TaskDone]:
    done = _plain_done_from_pb(columns)
    for row, extras in columns.extras.items():
        if not 0 <= row < len(done):
            raise MalformedMessage("table of ended tasks", f"it has {len(done)} rows, and extras for row {row}")
        done[row] = done[row]._replace(extras=_extras_from_pb(extras))
    return done


def _plain_done_from_pb(columns: pb.DoneColumns) -> list[TaskDone]:
    task_ids = list(map(TaskId, columns.task_ids))
    if not len(task_ids) == len(columns.slots) == len(columns.started_at) == len(columns.outcomes):
        raise MalformedMessage("table of ended tasks", "its columns differ in length")
    rows = zip(task_ids, columns.slots, columns.started_at, _metrics_from_pb(columns.metrics, len(task_ids)))
    outcomes = columns.outcomes
    if not any(outcomes):
        return [TaskDone(*row, result) for row, result in zip(rows, columns.results, strict=True)]
    results, blocks, outputs = iter(columns.results), iter(columns.blocks), iter(columns.map_outputs)
    done = []
    for row, outcome in zip(rows, outcomes):
        if outcome == _RESULT:
            done.append(TaskDone(*row, next(results)))
        elif outcome == _BLOCK:
            block = next(blocks)
            done.append(TaskDone(*row, None, ResultBlock(NodeId(block.node_id), block.path, block.size)))
        else:
            out = next(outputs)
            done.append(
                TaskDone(
                    *row,
                    None,
                    None,
                    MapOutput(
                        out.map_index,
                        TaskId(out.task_id),
                        NodeId(out.node_id),
                        ExecutorId(out.executor_id),
                        out.path,
                        out.sizes,
                        out.records,
                    ),
                )
            )
    return done


def _failure_to_pb(failure: TaskFailure) -> pb.TaskFailure:
    code, fields = failure.error or ("", ())
    return pb.TaskFailure(
        task_id=failure.task_id,
        kind=failure.kind.value,
        exception_type=failure.exception_type,
        message=failure.message,
        traceback=failure.traceback,
        exception=failure.exception,
        error_code=code,
        error_fields=json.dumps(fields) if code else "",
        operator=failure.operator,
        record_index=failure.record_index,
        record=failure.record,
        slot=failure.slot,
        started_at=failure.started_at,
        metrics=_metrics_to_pb([failure.metrics]) if failure.metrics != NO_METRICS else None,
        fetch=None
        if failure.fetch is None
        else pb.LostMapOutput(shuffle_id=failure.fetch[0], map_index=failure.fetch[1], task_id=failure.fetch[2], node_id=failure.fetch[3]),
        cache=None if failure.cache is None else pb.LostBlock(dataset_id=failure.cache[0], partition=failure.cache[1]),
    )


def _failure_from_pb(failure: pb.TaskFailure) -> TaskFailure:
    fetch = failure.fetch
    return TaskFailure(
        task_id=TaskId(failure.task_id),
        kind=FailureKind(failure.kind),
        exception_type=failure.exception_type,
        message=failure.message,
        traceback=failure.traceback,
        exception=failure.exception,
        error=(failure.error_code, tuple(json.loads(failure.error_fields))) if failure.error_code else None,
        operator=failure.operator,
        record_index=failure.record_index,
        record=failure.record,
        slot=failure.slot,
        started_at=failure.started_at,
        metrics=_metrics_from_pb(failure.metrics, 1)[0] if failure.HasField("metrics") else NO_METRICS,
        fetch=(fetch.shuffle_id, fetch.map_index, fetch.task_id, fetch.node_id) if failure.HasField("fetch") else None,
        cache=(failure.cache.dataset_id, failure.cache.partition) if failure.HasField("cache") else None,
    )


def _resources_to_pb(resources: Mapping[str, Sequence[str]]) -> pb.Resources:
    return pb.Resources(by_name={name: pb.Addresses(addresses=addresses) for name, addresses in resources.items()})


def _resources_from_pb(resources: pb.Resources) -> dict[str, list[str]]:
    return {name: list(given.addresses) for name, given in resources.by_name.items()}
