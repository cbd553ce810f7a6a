"""The executor stream's messages to protobuf and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from google.protobuf.message import DecodeError

from quiver_proto.codec_task_ends import block_from_pb, done_from_pb, done_to_pb, failure_from_pb, failure_to_pb
from quiver_proto.errors import MalformedMessage
from quiver_proto.ids import ExecutorId, NodeId, ShuffleId, StageId, TaskId
from quiver_proto.messages import (
    AddStage,
    BarrierArrived,
    BarrierReleased,
    BlocksChanged,
    BroadcastRemoved,
    BroadcastTable,
    CacheTable,
    Drain,
    Drained,
    ExecutorHeartbeat,
    ExecutorHello,
    ForgetStage,
    FromExecutor,
    KillTasks,
    LaunchTasks,
    MapOutputTable,
    RemoveBroadcast,
    RemoveDataset,
    RemoveShuffle,
    ReplicateBlock,
    Shutdown,
    TasksEnded,
    ToExecutor,
)
from quiver_proto.v1 import executor_pb2 as pb


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
            return ReplicateBlock(block_from_pb(replicate.block), replicate.block_server, replicate.use_memory, replicate.use_disk)
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
                    done=done_to_pb(message.done) if message.done else None,
                    failed=[failure_to_pb(failure) for failure in message.failed],
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
                done_from_pb(ended.done) if ended.HasField("done") else [],
                [failure_from_pb(failure) for failure in ended.failed],
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
            return BlocksChanged(ExecutorId(changed.executor_id), list(map(block_from_pb, changed.blocks)))
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


def _resources_to_pb(resources: Mapping[str, Sequence[str]]) -> pb.Resources:
    return pb.Resources(by_name={name: pb.Addresses(addresses=addresses) for name, addresses in resources.items()})


def _resources_from_pb(resources: pb.Resources) -> dict[str, list[str]]:
    return {name: list(given.addresses) for name, given in resources.by_name.items()}
