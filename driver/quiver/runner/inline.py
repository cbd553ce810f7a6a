"""`inline`: tasks run in the calling thread, one after the other, in the user's own process: breakpoints work, nothing is forked."""

from __future__ import annotations

import functools
import importlib
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from quiver.eventlog import EventLog
from quiver.plan.model import PlannedJob
from quiver.plan.selection import JobSelection
from quiver.runner.engine import Engine
from quiver.runner.failures import opened
from quiver.runner.inprocess import Application
from quiver.runner.jobs import OUT_OF_TIME, RunningJob
from quiver.runner.local import shared_memory
from quiver.runner.results import read_result
from quiver.scheduler.blocks import StoredSummary
from quiver_proto import task_context
from quiver_proto.accumulators import task_in_driver
from quiver_proto.discovery import discover
from quiver_proto.errors import BarrierFailed
from quiver_proto.events import AccumulatorsUpdated, QueryEvent
from quiver_proto.host import this_machine
from quiver_proto.ids import LOCAL_EXECUTOR, LOCAL_NODE, JobId, ShuffleId, TaskId
from quiver_proto.messages import (
    AddStage,
    BarrierArrived,
    BarrierReleased,
    BlocksChanged,
    BroadcastRemoved,
    BroadcastTable,
    FailureKind,
    ForgetStage,
    KillTasks,
    LaunchTasks,
    RemoveBroadcast,
    RemoveDataset,
    RemoveShuffle,
    ResultBlock,
    TaskDone,
    TaskFailure,
    TasksEnded,
    ToExecutor,
)
from quiver_proto.task_context import StageFacts

if TYPE_CHECKING:
    from quiver.runner.launch import Settings
    from quiver_proto.sessions import StatusReport

log = logging.getLogger("quiver.driver")

REMOVAL_LOOK_S = 0.05


class InlineLink:
    """An executor with one slot, which is whoever calls `run_next`."""

    block_server = ""
    log_dir = ""

    def __init__(self, application_id: str, blocks_dir: str, memory_bytes: int, conf: Settings) -> None:
        self.executor_id, self.node_id, self.host = LOCAL_EXECUTOR, LOCAL_NODE, socket.gethostname()
        self.cores, self.memory_bytes, self.pid = 1, memory_bytes, os.getpid()
        self.machine = this_machine()
        self.resources: Mapping[str, Sequence[str]] = discover(dict(conf.getAll()), "executor")
        self._given: dict[int, Mapping[str, Sequence[str]]] = {}
        self._blocks_dir = blocks_dir
        self._body = importlib.import_module("quiver_executor.body")
        self._removal = importlib.import_module("quiver_executor.shuffle_files")
        self._broadcasts = importlib.import_module("quiver_executor.broadcasts")
        self._storage = importlib.import_module("quiver_executor.block_store")
        self._interrupting = importlib.import_module("quiver_executor.interrupting")
        self._shared = shared_memory(application_id)
        storage = int(memory_bytes * float(conf.get("quiver.storage.memoryFraction") or 0.5))
        environment = importlib.import_module("quiver_executor.environment")
        self._environment = environment.SlotEnvironment(
            application_id=application_id, executor_id=LOCAL_EXECUTOR, node_id=LOCAL_NODE, slot=0,
            blocks_dir=blocks_dir, scratch_dir=blocks_dir, memory_bytes=memory_bytes, memory_dir=self._shared.path,
            storage_bytes=storage, live_bytes=storage // 4, eviction=conf.get("quiver.storage.eviction") or "lru",
        )  # fmt: skip
        self._stages: dict[tuple[int, int], Any] = {}
        self._caches = False
        self._killed: list[TaskFailure] = []
        self._released: BarrierReleased | None = None
        self.on_removed: Callable[[BroadcastRemoved], None] = lambda message: None
        self.on_arrival: Callable[[BarrierArrived], None] = lambda message: None
        self._queue: deque[tuple[tuple[int, int], int, int, int, bytes]] = deque()

    def send(self, message: ToExecutor) -> None:
        match message:
            case AddStage():
                self._caches = self._caches or bool(message.cached)
                self._stages[message.stage_id, message.stage_attempt] = message
            case LaunchTasks():
                key = (message.stage_id, message.stage_attempt)
                self._given.update((int(task_id), given) for task_id, given in message.resources.items())
                for row in zip(message.task_ids, message.partitions, message.attempts, message.splits, strict=True):
                    self._queue.append((key, *row))
            case KillTasks():
                killed = set(message.task_ids)
                for task in [task for task in self._queue if task[1] in killed]:
                    self._queue.remove(task)
                    self._killed.append(TaskFailure(TaskId(task[1]), FailureKind.KILLED, "", message.reason))
            case ForgetStage():
                self._stages.pop((message.stage_id, message.stage_attempt), None)
            case RemoveShuffle():
                self._removal.remove_shuffle(self._blocks_dir, message.shuffle_id)
            case RemoveDataset():
                self._storage.remove_dataset(self._environment, message.dataset_id)
            case RemoveBroadcast():
                self._broadcasts.drop(message.broadcast_id)
                self._broadcasts.remove(self._blocks_dir, message.broadcast_id)
                self.on_removed(BroadcastRemoved(self.executor_id, message.broadcast_id))
            case BarrierReleased():
                self._released = message
            case _:
                pass

    def run_next(self) -> TasksEnded | None:
        """Run the next task to its end, or tell of those that were killed; None when there is neither."""
        if self._killed:
            failed, self._killed = tuple(self._killed), []
            return TasksEnded(self.executor_id, failed=failed)
        if not self._queue:
            return None
        key, task_id, partition, attempt, split = self._queue.popleft()
        stage = self._stages[key]
        outer = task_context.current
        try:
            with task_in_driver():
                if isinstance(stage, AddStage):
                    facts = StageFacts(stage.stage_id, stage.stage_attempt, stage.properties, stage.cores_per_task, self._given)
                    if stage.barrier:
                        facts.meet = functools.partial(self._meet, stage)
                    stage = self._stages[key] = self._body.open_stage(stage, self._environment), facts
                task_context.current = (stage[1], task_id, partition, attempt)
                outcome: TaskDone | TaskFailure = stage[0].run(task_id, partition, attempt, split)
        except self._interrupting.Interrupted:  # It is run again if it turns out that another job was meant.
            self._killed.append(TaskFailure(TaskId(task_id), FailureKind.KILLED, "", "interrupted"))
            return self.run_next()
        except BaseException:  # Ctrl-C: its slot is free again.
            self._killed.append(TaskFailure(TaskId(task_id), FailureKind.KILLED, "", "interrupted"))
            raise
        finally:
            task_context.current = outer
            self._given.pop(task_id, None)
        if isinstance(outcome, TaskFailure):
            return TasksEnded(self.executor_id, failed=(outcome,))
        return TasksEnded(self.executor_id, done=(outcome,))

    def _meet(self, stage: AddStage, task_id: int, number: int, brings: bytes) -> Sequence[bytes]:
        # One slot, so a barrier stage has one task, and whoever comes has come last.
        self._released = None
        self.on_arrival(BarrierArrived(self.executor_id, TaskId(task_id), stage.stage_id, stage.stage_attempt, 0, number, brings))
        assert self._released is not None
        if self._released.error:
            raise BarrierFailed(self._released.error)
        return self._released.payloads

    def changed(self, ended: TasksEnded) -> BlocksChanged | None:
        """Cached blocks that these tasks evicted or moved."""
        if not self._caches:
            return None
        stored = [block for end in ended.done if end.extras is not None for block in end.extras.cached]
        try:
            changes = self._storage.store_of(self._environment).take_changes(stored)
        except OSError as error:
            log.warning("cached partitions: %s", error)
            return None
        return BlocksChanged(self.executor_id, changes) if changes else None

    def heed(self) -> None:
        """Before requests are looked at: those that come later interrupt also a fragment that has not begun yet."""
        self._interrupting.heed()

    def interrupt(self) -> None:
        """By any thread: end the native fragment that runs, if one does. Python's functions can't be interrupted."""
        self._interrupting.interrupt()

    def tell_killed(self) -> TasksEnded | None:
        return self.run_next() if self._killed else None

    def close(self) -> None:
        self._queue.clear()
        self._storage.close_store(self._environment)
        self._shared.remove()


class InlineDriver:
    """Implements quiver.plan.model.Driver. Jobs of several threads run one after the other; a job run inside a task's function nests."""

    def __init__(self, application: Application, event_log_dir: str, blocks_dir: str, memory_bytes: int, conf: Settings) -> None:
        self.application = application
        self.application_id = application.application_id
        self.default_parallelism = application.default_parallelism
        self.ui_url: str | None = None
        self.id_base = 0
        self.started_at = time.time()
        self.events = EventLog(event_log_dir, application.application_id, None, log.warning)
        self.engine = Engine(
            application.policy, self.events, time.monotonic, time.time, log.warning, application.max_result_bytes, skew=application.skew
        )
        self._directory = os.path.dirname(blocks_dir)
        self._link = InlineLink(application.application_id, blocks_dir, memory_bytes, conf)
        self._link.on_arrival = self.engine.barrier_arrived
        self._link.on_removed = lambda message: self.engine.broadcasts.removed(message.executor_id, message.broadcast_id)
        self.engine.broadcasts.post = self._ask
        self.engine.executor_added(self._link)
        self._lock = threading.RLock()
        self._released: deque[ShuffleId] = deque()
        self._unwanted: deque[int] = deque()
        self._asked: deque[Callable[[], None]] = deque()
        self._was_asked = threading.Event()
        self._on_stop: list[Callable[[], None]] = []

    def run(self, job: PlannedJob) -> Sequence[bytes]:
        """See quiver.plan.model.Driver.run."""
        return opened(self.execute, job)

    def execute(self, job: PlannedJob) -> Sequence[bytes]:
        limit = time.monotonic() + job.within_s if job.within_s else 0.0
        with self._lock:
            while self._released:
                self.engine.release_shuffle(self._released.popleft())
            self._drop_unwanted()
            self._obey()
            running = RunningJob(job)
            self.engine.submit(running)
            try:
                while self.engine.has_job(job.job_id):
                    if limit and time.monotonic() >= limit and not running.out_of_time:
                        running.out_of_time = True
                        self.engine.cancel(job.job_id, OUT_OF_TIME)
                    self._link.heed()
                    self._obey()
                    ended = self._link.run_next()
                    if ended is not None:
                        self.engine.tasks_ended(ended)
                        if changed := self._link.changed(ended):
                            self.engine.blocks_changed(changed)
                    else:
                        self._wait(limit)
                        self.engine.tick()
            except KeyboardInterrupt:
                self.engine.cancel(job.job_id, "interrupted")
                raise
            finally:
                # What was killed with a job that ended is told, else its slot would be taken for busy.
                while (ended := self._link.tell_killed()) is not None:
                    self.engine.tasks_ended(ended)
            results = running.outcome()
            return [read_result(result, "", "", "") if isinstance(result, ResultBlock) else result or b"" for result in results]

    def cancel(self, job_id: JobId, reason: str) -> None:
        self._ask(lambda: self.engine.cancel(job_id, reason))
        self._link.interrupt()

    def cancel_jobs(self, selection: JobSelection, reason: str) -> None:
        self._ask(lambda: self.engine.cancel_jobs(selection, reason))
        self._link.interrupt()

    def _ask(self, request: Callable[[], None]) -> None:
        """Done at once when no job runs, else between two tasks of the one that does."""
        self._asked.append(request)
        self._was_asked.set()
        if self._lock.acquire(blocking=False):
            try:
                self._obey()
            finally:
                self._lock.release()

    def _wait(self, limit: float) -> None:
        """Until the engine is to look again, the job is out of time (`limit`, 0: never), or another thread asks for something."""
        deadline = self.engine.next_deadline()
        if deadline is not None:
            self._was_asked.wait(max(0.0, (min(deadline, limit) if limit else deadline) - time.monotonic()))

    def _obey(self) -> None:
        self._was_asked.clear()
        while self._asked:
            self._asked.popleft()()

    def status(self, what: str, ids: Sequence[int] = ()) -> StatusReport:
        return self.engine.book.report(what, ids)

    def executor_cores(self) -> int:
        return 1

    def release_shuffle(self, shuffle_id: ShuffleId) -> None:
        # May come from the collector in the middle of a step: carried out before the next job.
        self._released.append(shuffle_id)

    def broadcast_dir(self) -> str:
        return self._directory

    def add_broadcast(self, table: BroadcastTable) -> None:
        self.engine.broadcasts.add(table)

    def remove_broadcast(self, broadcast_id: int, *, destroy: bool, blocking: bool) -> None:
        gone = threading.Event()
        request = functools.partial(self.engine.remove_broadcast, broadcast_id, destroy, gone.set)
        if not blocking:
            # May come from the collector in the middle of a step: carried out before the next job, or between two tasks.
            self._asked.append(request)
            return
        self._ask(request)
        while not gone.wait(REMOVAL_LOOK_S):
            self._ask(lambda: None)

    def accumulated(self, event: AccumulatorsUpdated) -> None:
        self._ask(lambda: self.events.append(event))

    def record(self, event: Callable[[], QueryEvent]) -> None:
        self._ask(lambda: self.events.append(event))

    def unpersist(self, dataset_id: int, blocking: bool = False) -> None:
        # May come from the collector in the middle of a step: carried out before the next job, or now when it was the user.
        self._unwanted.append(dataset_id)
        if blocking:
            self._ask(self._drop_unwanted)

    def stored(self, dataset_id: int) -> StoredSummary:
        with self._lock:
            self._drop_unwanted()
            return self.engine.stored(dataset_id)

    def map_sizes(self, shuffle_id: ShuffleId) -> Sequence[bytes]:
        with self._lock:
            return self.engine.map_sizes(shuffle_id)

    def _drop_unwanted(self) -> None:
        while self._unwanted:
            self.engine.unpersist(self._unwanted.popleft())

    def stop(self) -> None:
        self._ask(self.engine.stop)
        with self._lock:
            self.engine.stop()
            while self._on_stop:
                self._on_stop.pop()()

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Run `callback` after the engine has stopped, last registered first."""
        self._on_stop.append(callback)
