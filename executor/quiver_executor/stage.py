"""An opened stage: its body compiled once, run for one task after another."""

from __future__ import annotations

import pickle
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, assert_never

from quiver_executor import collector
from quiver_executor.environment import SlotEnvironment
from quiver_executor.functions import Functions, codes_of
from quiver_executor.pipeline import compile_node
from quiver_executor.sinks import (
    IN_MESSAGE,
    compile_apply,
    compile_collect,
    compile_count,
    compile_save_pickle,
    compile_save_text,
    write_result,
)
from quiver_executor.task import Task
from quiver_executor.updates import pickled_updates
from quiver_proto import broadcast, ops
from quiver_proto.accumulators import opened as accumulators
from quiver_proto.broadcast import Source
from quiver_proto.ids import TaskId
from quiver_proto.messages import (
    SHARED_FILES,
    AddStage,
    FailureKind,
    MapOutput,
    ResultBlock,
    TaskDone,
    TaskExtras,
    TaskFailure,
    TaskMetrics,
)
from quiver_proto.ops import CallSite

if TYPE_CHECKING:
    from quiver_executor.shared_files import StageFiles

_SHORT_S = 0.001
"""Of a task shorter than this, memory is not looked at."""
_NO_SITE = CallSite("", "", 0)

_Run = Callable[[Task, Any], bytes | MapOutput | ResultBlock]


class OpenStage:
    """Made by body.open_stage. Not safe for several threads at once."""

    def __init__(self, stage: AddStage, env: SlotEnvironment) -> None:
        self._env = env
        self._inputs = dict(stage.inputs)
        self._servers = dict(stage.block_servers)
        self._cached = stage.cached
        self._broadcasts: Source | None = None
        self._functions = Functions()
        self._sites: list[CallSite] = []
        self._traced: list[bool] | None = None
        self._problem: BaseException | None = None
        self._profiler: ops.Function | None = None
        self._open_s = 0.0
        self._files: StageFiles | None = None
        self._without_files: AddStage | None = None
        self.wears_out = False
        """Its last task has left so much in this process that others are better off in a new one."""
        self._open(stage)

    def _open(self, stage: AddStage) -> None:
        begun = time.perf_counter()
        try:
            if stage.broadcasts:
                from quiver_executor.broadcasts import StageBroadcasts

                self._broadcasts = StageBroadcasts(stage.broadcasts, self._env, self._servers)
            broadcast.source = self._broadcasts
            if SHARED_FILES in stage.properties:
                # Before any function is opened: it may be of a module among these files.
                self._without_files = stage
                self._files = _files(stage.properties[SHARED_FILES], self._broadcasts, self._env)
                self._without_files = None
            body: ops.StageBody = pickle.loads(stage.body)
            self._profiler = body.profiler
            self._functions.source = body.operators[0] if body.operators else _NO_SITE
            self._run = _compile(body, self._functions)
            self._functions.open_all()
            self._sites = [operator.function.call_site for operator in self._functions.operators]
            self._traced = _who_needs_a_frame(self._functions)
        except Exception as error:
            self._problem = error
        self._open_s = time.perf_counter() - begun

    def run(self, task_id: int, partition: int, attempt: int, split: bytes) -> TaskDone | TaskFailure:
        """Run one task. What the user's code or data do wrong becomes a TaskFailure; only KeyboardInterrupt is let through."""
        started_at, begun, cpu = time.time(), time.perf_counter(), time.thread_time()
        collected = collector.clock.seconds
        if self._without_files is not None:
            # Another attempt: a node that could not be reached then may be reached now.
            self._problem = None
            self._open(self._without_files)
        if self._problem is not None:
            return self._unopened(self._problem, task_id, started_at)
        if self._files is not None:
            self._files.activate()
        open_s, self._open_s = self._open_s, 0.0
        task: Task | None = None
        broadcast.source = self._broadcasts
        try:
            task = Task(
                self._env, self._functions.for_task(), self._sites, self._traced, self._inputs, self._servers, task_id, partition, attempt,
                self._cached,
            )  # fmt: skip
            if self._profiler is None:
                result = self._run(task, pickle.loads(split))
            else:
                result = _profiled(self._profiler, self._run, task, pickle.loads(split))
            extras = _extras(task, self._sites)
            slot = self._env.slot
            self.wears_out = task.wears_out
            if isinstance(result, MapOutput):
                metrics = _metrics(task, begun, cpu, open_s, collected, 0)
                return TaskDone(TaskId(task_id), slot, started_at, metrics, None, None, result, extras)
            if isinstance(result, bytes) and len(result) > IN_MESSAGE:
                result = write_result(task, result)
            if isinstance(result, ResultBlock):
                metrics = _metrics(task, begun, cpu, open_s, collected, result.size)
                return TaskDone(TaskId(task_id), slot, started_at, metrics, None, result, None, extras)
            metrics = _metrics(task, begun, cpu, open_s, collected, len(result))
            return TaskDone(TaskId(task_id), slot, started_at, metrics, result, None, None, extras)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            from quiver_executor.failure import task_failure

            failure = task_failure(error, task_id, self._functions, task)
            metrics = TaskMetrics() if task is None else _metrics(task, begun, cpu, open_s, collected, 0)
            return replace(failure, slot=self._env.slot, started_at=started_at, metrics=metrics)
        finally:
            if accumulators:
                accumulators.clear()
            if task is not None and task.closers:
                task.close()

    def _unopened(self, problem: BaseException, task_id: int, started_at: float) -> TaskFailure:
        from quiver_executor.failure import task_failure

        failure = task_failure(problem, task_id)
        kind = FailureKind.FATAL if self._without_files is None else FailureKind.USER
        return replace(failure, kind=kind, slot=self._env.slot, started_at=started_at)


def _files(manifest: str, source: Source | None, env: SlotEnvironment) -> StageFiles:
    from quiver_executor.shared_files import StageFiles

    files = StageFiles(manifest, source, env)
    files.activate()
    return files


def _compile(body: ops.StageBody, functions: Functions) -> _Run:
    sink = body.sink
    if isinstance(sink, ops.ShuffleWrite):
        from quiver_executor.shuffle_write import compile_shuffle_write

        return compile_shuffle_write(sink, functions)
    if isinstance(sink, ops.FragmentSink):
        from quiver_executor.fragment import compile_fragment

        return compile_fragment(sink)
    build = compile_node(sink.parent, functions)
    match sink:
        case ops.Collect():
            return compile_collect(sink, build, body.operators[-1] if body.operators else _NO_SITE)
        case ops.Count():
            return compile_count(sink, build)
        case ops.Apply():
            return compile_apply(sink, build, functions)
        case ops.SaveText():
            return compile_save_text(sink, build)
        case ops.SavePickle():
            return compile_save_pickle(sink, build, body.operators[-1] if body.operators else _NO_SITE)
        case ops.SaveFrames():
            from quiver_executor.checkpoint_files import compile_save_frames

            return compile_save_frames(sink, build)
        case ops.BatchWrite():
            from quiver_executor.fragment import compile_batch_write

            return compile_batch_write(sink, build)
        case _:
            assert_never(sink)


def _profiled(profiler: ops.Function, run: _Run, task: Task, split: Any) -> bytes | MapOutput | ResultBlock:
    # Unpickled for each task: what it measures goes to an accumulator of the task's own.
    result: bytes | MapOutput | ResultBlock = pickle.loads(profiler.pickled)(run, task, split)
    if not isinstance(result, bytes | MapOutput | ResultBlock):
        raise TypeError("a profiler's profile(func, *args, **kwargs) must return what func returns")
    return result


def _who_needs_a_frame(functions: Functions) -> list[bool] | None:
    """Functions without Python code leave no frame in a traceback; where there are two of them, they could not be told apart."""
    silent = [next(codes_of(function), None) is None for function in functions.sample]
    return silent if sum(silent) > 1 else None


def _extras(task: Task, sites: list[CallSite]) -> TaskExtras | None:
    """What the task tells beside its result; None for most."""
    updates = pickled_updates(sites) if accumulators else b""
    if task.cached or updates or task.heavy or task.operators:
        return TaskExtras(tuple(task.cached), updates, task.heavy, task.operators)
    return None


def _metrics(task: Task, begun: float, cpu: float, open_s: float, collected: float, result_bytes: int) -> TaskMetrics:
    run_s = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 if run_s > _SHORT_S else 0
    return TaskMetrics(
        run_s, time.thread_time() - cpu, open_s, task.serialize_s, collector.clock.seconds - collected, result_bytes,
        task.input_bytes, task.cursor.taken(), task.output_bytes, task.output_records,
        task.read_local, task.read_remote, task.read_records, task.fetch_wait_s,
        task.written, task.written_records, task.write_s, task.spilled, peak,
    )  # fmt: skip
