"""Native bodies: one partition of a DataFusion fragment, run by the kernel inside a slot; and fragments as sources of Python pipelines."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from quiver_executor.collected_rows import CollectedRows
from quiver_executor.data_files import blaming, look_at
from quiver_executor.exchange_read import LocalOutputs, resolve
from quiver_executor.fragment_files import Pieces
from quiver_executor.interrupting import run_interruptibly
from quiver_executor.kernel import own_bytes
from quiver_executor.kernel_memory import CORES, pool_bytes, settings_for
from quiver_executor.kernel_refusals import refusing
from quiver_executor.kernel_watch import Leftovers, ProcessWatch, watched
from quiver_executor.operator_metrics import Operators
from quiver_executor.pipeline import Build, check_end
from quiver_executor.task import Cursor, Flow, Task, feed
from quiver_executor.views import compacted, without_views
from quiver_proto import ops
from quiver_proto.errors import BatchMismatch
from quiver_proto.fragments import at_partition, copied, parse, width
from quiver_proto.frames import dump_value
from quiver_proto.ids import ExecutorId, NodeId, TaskId
from quiver_proto.kernel_faults import panics_told, taken_back
from quiver_proto.messages import MapOutput, ResultBlock
from quiver_proto.operator_texts import locations, sources
from quiver_proto.ops import CallSite
from quiver_proto.shorten import shorten
from quiver_proto.spark_functions.growth import allow
from quiver_proto.spark_functions.kernel import enable
from quiver_proto.v1.kernel_pb2 import Hash, Plan

if TYPE_CHECKING:
    from datafusion import SessionContext
    from datafusion.plan import ExecutionPlan

_EXECUTING = {
    # Else a scan takes files of other partitions, which are other tasks here: every row would be there several times.
    "datafusion.execution.enable_file_stream_work_stealing": "false",
}


_FEW_ROWS = 64
"""Batches that are to be as small as this are so in files too: the kernel would take them as they are there, however many rows."""
_USERS = b"quiver.sql.python.evaluating"
"""Where a plan calls a user's function, it names who does."""
_Run = Callable[[Task, Any], bytes | MapOutput | ResultBlock]
_leftovers = Leftovers()


def compile_fragment(sink: ops.FragmentSink) -> _Run:
    """The function that runs one task of the stage."""
    run = _compiled(sink)
    # What users' functions have loaded stays for the next task: it costs more than memory.
    return run if _USERS in sink.plan else functools.partial(_counting_leftovers, run, sink.settings)


def _counting_leftovers(run: _Run, settings: tuple[tuple[str, str], ...], task: Task, split: Any) -> bytes | MapOutput | ResultBlock:
    process = os.getpid()
    before = own_bytes(process)
    result = run(task, split)
    task.wears_out = _leftovers.too_many(before, own_bytes(process), _memory(task, settings))
    return result


def _compiled(sink: ops.FragmentSink) -> _Run:
    plan = parse(sink.plan)
    if isinstance(sink, ops.FragmentCollect):
        return functools.partial(_collect, sink, plan, locations(plan))
    if isinstance(sink, ops.FragmentSave | ops.FragmentDrop):
        return functools.partial(_save, sink, plan, locations(plan))
    hashing = Hash.FromString(sink.hash) if sink.hash else None
    return functools.partial(_write, sink, plan, locations(plan), hashing)


def _collect(sink: ops.FragmentCollect, plan: Plan, shown: Mapping[str, str], task: Task, split: int | None) -> bytes | ResultBlock:
    made = _planned(task, sink, copied(plan) if split is None else _one_partition(plan, split), shown)
    rows = CollectedRows(task, made.execution.partition_count)

    async def pull(number: int) -> None:
        async for batch in made.context.execute(made.execution, number):
            rows.add(number, without_views(batch.to_pyarrow()))
        rows.ended(number)

    try:
        made.run(pull)
        task.operators = made.operators.metrics()
        return rows.finish()
    except BaseException:
        rows.discard()
        raise


def _save(sink: ops.FragmentSave | ops.FragmentDrop, plan: Plan, shown: Mapping[str, str], task: Task, split: int | None) -> bytes:
    from quiver_executor.fragment_save import DroppedRows, SavedFiles

    made = _planned(task, sink, copied(plan) if split is None else _one_partition(plan, split), shown)
    streams = made.execution.partition_count
    files = DroppedRows(task) if isinstance(sink, ops.FragmentDrop) else SavedFiles(task, sink, split, streams)

    async def pull(number: int) -> None:
        async for batch in made.context.execute(made.execution, number):
            await files.add(number, without_views(batch.to_pyarrow()))

    try:
        made.run(pull)
        begun = time.perf_counter()
        written = files.finish()
        task.write_s += time.perf_counter() - begun
    except BaseException:
        files.discard()
        raise
    task.operators = made.operators.metrics()
    return dump_value(written)


def _write(sink: ops.FragmentWrite, plan: Plan, shown: Mapping[str, str], hashing: Hash | None, task: Task, split: int) -> MapOutput:
    import pyarrow as pa

    made = _planned(task, sink, _one_partition(plan, split), shown, hashing if sink.width > 1 else None)
    schema = pa.ipc.read_schema(pa.py_buffer(sink.schema))
    rows = int(dict(sink.settings).get(ops.BATCH_ROWS, 0))
    pieces = Pieces(task, schema, sink.width, sink.shuffle_id, rows if rows <= _FEW_ROWS else 0)

    async def pull(number: int) -> None:
        async for batch in made.context.execute(made.execution, number):
            pieces.add(number, compacted(batch.to_pyarrow()))

    made.run(pull)
    task.operators = made.operators.metrics()
    return _committed(task, pieces)


class _Planned(NamedTuple):
    """A sink's fragment, ready to run: `scanned` has its files."""

    scanned: Plan
    inputs: LocalOutputs
    context: SessionContext
    execution: ExecutionPlan
    operators: Operators
    memory_bytes: int

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Inside, an error of the kernel is raised as that of what is to blame: a data file, which it names, a value, a lost map output,
        a user's function."""
        try:
            with blaming(self.scanned), refusing(), self.inputs.blaming(), taken_back(), panics_told():
                yield
        except BaseException:
            _kept.clear()  # What was broken off may hold a part of its pool for a while.
            raise

    def run(self, pull: Callable[[int], Any]) -> None:
        """Await `pull` of all partitions together: one after the other, those that wait would have to be held whole by the kernel.

        Raises SlotOutOfMemory, and what they raise.
        """

        async def together() -> None:
            pulls = asyncio.gather(*(pull(number) for number in range(self.execution.partition_count)))
            await watched(pulls, self.memory_bytes, self.operators.metrics)

        with self.running():
            run_interruptibly(together())


def _planned(
    task: Task,
    sink: ops.FragmentCollect | ops.FragmentSave | ops.FragmentDrop | ops.FragmentWrite | ops.Fragment,
    fragment: Plan,
    shown: Mapping[str, str],
    hashing: Hash | None = None,
) -> _Planned:
    """`hashing`: its rows are dealt into partitions."""
    read = sources(fragment, shown)
    inputs = resolve(task, fragment, sink.inputs)
    look_at(fragment)
    running = fragment
    if hashing is not None:
        running = Plan()
        running.repartition.input.CopyFrom(fragment)
        running.repartition.partitioning.hash.CopyFrom(hashing)
        read = [(-1, ""), *read]
    allow(_memory(task, sink.settings))
    context = _session(task, sink.settings)
    execution = _decoded(context, running)
    operators = Operators(execution, read, deals=hashing is not None)
    return _Planned(fragment, inputs, context, execution, operators, _memory(task, sink.settings))


def compile_source(node: ops.Fragment) -> Build:
    """A pipeline's source: the batches of one partition, as the kernel makes them."""
    plan = parse(node.plan)
    shown = locations(plan)

    def run(task: Task, split: int, cursor: Cursor) -> Flow:
        made = _planned(task, node, _one_partition(plan, split), shown)
        assert made.execution.partition_count == 1
        return feed(cursor, _batches(task, made, node.schema))

    return run


def _batches(task: Task, made: _Planned, head: bytes) -> Iterator[list[Any]]:
    import pyarrow as pa

    schema = pa.ipc.read_schema(pa.py_buffer(head))
    watch = ProcessWatch(made.memory_bytes)
    with made.running():
        stream = made.context.execute(made.execution, 0)
    while True:
        with made.running():
            watch.look(made.operators.metrics)
            batch = next(stream, None)
        if batch is None:
            break
        arrow = without_views(batch.to_pyarrow())
        if arrow.num_rows:
            # Shuffled rows have lost which columns can't be null.
            yield [pa.RecordBatch.from_arrays(arrow.columns, schema=schema) if len(schema) else arrow]
    task.operators = made.operators.metrics()


def compile_batch_write(sink: ops.BatchWrite, build: Build) -> Callable[[Task, Any], MapOutput]:
    """The function that leaves a pipeline's batches as a shuffle file."""

    def run(task: Task, split: Any) -> MapOutput:
        import pyarrow as pa

        schema = pa.ipc.read_schema(pa.py_buffer(sink.schema))
        pieces = Pieces(task, schema, 1, sink.shuffle_id)
        records, end = build(task, split, task.cursor)
        for record in records:
            pieces.add(0, _fitting(record, schema, sink.call_site))
        check_end(end)
        return _committed(task, pieces)

    return run


def _fitting(record: Any, schema: Any, call_site: CallSite) -> Any:
    """The batch with exactly this schema. Raises BatchMismatch."""
    import pyarrow as pa

    if not isinstance(record, pa.RecordBatch):
        raise BatchMismatch(str(call_site), f"{shorten(record)} is a {type(record).__qualname__}, not a pyarrow.RecordBatch")
    if record.num_columns != len(schema):
        raise BatchMismatch(str(call_site), f"it has {record.num_columns} columns, not {len(schema)}")
    columns = list(record.columns)
    for place, field in enumerate(schema):
        kind = columns[place].type
        if kind == field.type:
            continue
        if _without_nulls(kind) != _without_nulls(field.type):
            name = field.name.rpartition("#")[0] or field.name
            raise BatchMismatch(str(call_site), f"column {name} is of type {kind}, not {field.type}")
        columns[place] = columns[place].cast(field.type)
    return pa.RecordBatch.from_arrays(columns, schema=schema) if columns else record


def _without_nulls(kind: Any) -> str:
    """A type's text but for which of its parts are never null."""
    return str(kind).replace(" not null", "")


def _committed(task: Task, pieces: Pieces) -> MapOutput:
    begun = time.perf_counter()
    path, sizes, written = pieces.commit()
    task.write_s += time.perf_counter() - begun
    task.written += written
    task.written_records += pieces.records
    env = task.env
    return MapOutput(task.partition, TaskId(task.task_id), NodeId(env.node_id), ExecutorId(env.executor_id), path, sizes, pieces.records)


def _one_partition(plan: Plan, partition: int) -> Plan:
    return at_partition(plan, partition) if width(plan) > 1 else copied(plan)


_kept: OrderedDict[tuple[object, ...], SessionContext] = OrderedDict()
_MOST_KEPT = 4


def _session(task: Task, settings: tuple[tuple[str, str], ...]) -> SessionContext:
    """The process's session for such tasks: it runs one at a time, and making one takes some milliseconds, most for its spill directory."""
    key = (settings, task.env.memory_bytes, task.scratch_directory())
    found = _kept.pop(key, None)
    if found is None:
        found = _new_session(task, settings)
        if len(_kept) >= _MOST_KEPT:
            _kept.popitem(last=False)
    _kept[key] = found
    return found


def _new_session(task: Task, settings: tuple[tuple[str, str], ...]) -> SessionContext:
    # Threads that have nothing to do cost nothing; a fragment of one partition has work for little more than one.
    os.environ.setdefault("TOKIO_WORKER_THREADS", str(max(2, os.cpu_count() or 1)))
    from datafusion import RuntimeEnvBuilder, SessionConfig, SessionContext

    own = dict(settings)
    own.pop(CORES, None)
    pool = pool_bytes(_memory(task, settings))
    config = SessionConfig().with_target_partitions(1)
    for key, value in {**_EXECUTING, **settings_for(pool), **own}.items():
        config = config.set(key, value)
    runtime = RuntimeEnvBuilder().with_disk_manager_specified(task.scratch_directory()).with_fair_spill_pool(pool)
    context = SessionContext(config, runtime)
    enable(context)
    return context


def _memory(task: Task, settings: tuple[tuple[str, str], ...]) -> int:
    """Bytes of its executor's memory that a task has."""
    return task.env.memory_bytes * int(dict(settings).get(CORES, 1))


def _decoded(context: SessionContext, fragment: Plan) -> ExecutionPlan:
    from datafusion.plan import ExecutionPlan

    return ExecutionPlan.from_bytes(context, fragment.SerializeToString())


def batches_of(stream: bytes) -> Iterator[Any]:
    """The record batches of a collected partition."""
    import pyarrow as pa

    if stream:
        yield from pa.ipc.open_stream(pa.py_buffer(stream))
