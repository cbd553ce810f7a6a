"""How tasks ended, to protobuf and back: in columns, because a task may cost microseconds, not a message."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from quiver_proto.errors import MalformedMessage
from quiver_proto.ids import ExecutorId, NodeId, TaskId
from quiver_proto.messages import (
    NO_METRICS,
    CachedBlock,
    FailureKind,
    HeavyKey,
    MapOutput,
    OperatorMetrics,
    ResultBlock,
    TaskDone,
    TaskExtras,
    TaskFailure,
    TaskMetrics,
)
from quiver_proto.v1 import executor_pb2 as pb

_RESULT, _BLOCK, _MAP_OUTPUT = 0, 1, 2
_SECONDS = tuple(i for i, name in enumerate(TaskMetrics._fields) if name.endswith("_s"))
_COUNTS = tuple(i for i, name in enumerate(TaskMetrics._fields) if not name.endswith("_s"))
_seconds_of, _counts_of = itemgetter(*_SECONDS), itemgetter(*_COUNTS)
_interleave: Callable[[tuple[Any, ...]], tuple[Any, ...]] = itemgetter(*((*_SECONDS, *_COUNTS).index(i) for i in range(len(NO_METRICS))))


def block_from_pb(block: pb.CachedBlock) -> CachedBlock:
    """A kept block: of a task's extras, or reported by itself."""
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
        tuple(map(block_from_pb, extras.cached)),
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


def done_to_pb(done: Sequence[TaskDone]) -> pb.DoneColumns:
    """Tasks that did not fail, at least one, in columns."""
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


def done_from_pb(columns: pb.DoneColumns) -> list[TaskDone]:
    """The inverse of `done_to_pb`. Raises MalformedMessage."""
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


def failure_to_pb(failure: TaskFailure) -> pb.TaskFailure:
    """One attempt that failed."""
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


def failure_from_pb(failure: pb.TaskFailure) -> TaskFailure:
    """The inverse of `failure_to_pb`. Raises MalformedMessage."""
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
