"""The executor supervisor: feeds tasks to slots and tells how they ended. It never runs user code and never waits for it.

All of it runs in its loop's thread. What a task waits for is always one of: a slot's start, cores claimed by others, a slot that runs
another task. When slots can't be had at all, queued tasks fail with the reason.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from quiver_executor import barrier, slot_failure
from quiver_executor.dispatch import batch, next_mean, tasks_ahead
from quiver_executor.envelopes import ARRIVED, DONE, FAILED, READY, RETURNED, Malformed, done_from_row, failure_from_pickle
from quiver_executor.executor_config import ExecutorConfig
from quiver_executor.oom import OomWatch
from quiver_executor.page import RECALL_SETTLE_S
from quiver_executor.seen_ids import SeenIds
from quiver_executor.slot_pool import ANSWER_WITHIN_S, STOPPED_LIMIT_S, SlotPool
from quiver_executor.slot_process import SlotProcess, Stage, Task, in_order
from quiver_executor.timers import Timers
from quiver_proto.errors import ExecutorLaunchFailed, QuiverError, ResourcesUnavailable
from quiver_proto.ids import ExecutorId
from quiver_proto.loop import Loop
from quiver_proto.messages import (
    AddStage,
    BarrierReleased,
    BroadcastRemoved,
    Drain,
    Drained,
    ExecutorHeartbeat,
    ForgetStage,
    FromExecutor,
    KillTasks,
    LaunchTasks,
    RemoveBroadcast,
    RemoveDataset,
    RemoveShuffle,
    ReplicateBlock,
    Shutdown,
    TaskDone,
    TaskFailure,
    TasksEnded,
    ToExecutor,
)

if TYPE_CHECKING:
    from quiver_executor.executor_storage import ExecutorStorage

SILENCE_S: Final = 0.005
"""A slot that holds several tasks and reports nothing for so long gives those it has not begun to idle slots."""
HEARTBEAT_BUSY_S: Final = 1.0
HEARTBEAT_IDLE_S: Final = 2.0


class Supervisor:
    """One executor's slots and the tasks that wait for them.

    `report` is called in the loop's thread, in the order in which things happened; it may call `handle` again. `body` names the module
    whose `open_stage(stage, environment)` makes a stage ready in a slot. The limits, in seconds, are the pool's.
    """

    def __init__(
        self,
        config: ExecutorConfig,
        loop: Loop,
        report: Callable[[FromExecutor], None],
        *,
        body: str = "quiver_executor.body",
        answer_within_s: float = ANSWER_WITHIN_S,
        stopped_limit_s: float = STOPPED_LIMIT_S,
    ) -> None:
        self._config = config
        self._loop = loop
        self._report = report
        self._id = ExecutorId(config.executor_id)
        self._pool = SlotPool(config, loop, body, self._on_reports, self._on_death, self._fail_queue, answer_within_s, stopped_limit_s)
        self._timers = Timers(loop)
        self._idle: list[SlotProcess] = []
        self._stages: dict[tuple[int, int], Stage] = {}
        self._stage_number = 0
        self._tasks: dict[int, Task] = {}
        self._queue: deque[Task] = deque()
        self._queued = 0
        self._cores_used = 0
        self._seen = SeenIds()
        self._watching = False
        self._draining = False
        self._drained = False
        self._closed = False
        self._oom = OomWatch()
        self._storage: ExecutorStorage | None = None

    @property
    def running_tasks(self) -> int:
        """Tasks given to slots; short ones may wait inside a slot."""
        return len(self._tasks) - self._queued

    @property
    def queued_tasks(self) -> int:
        return self._queued

    @property
    def slot_pids(self) -> dict[int, int]:
        """Process ids, where the template has told them, of the slots that take tasks, by slot number."""
        return {number: slot.pid for number, slot in self._pool.slots.items() if slot.ready and slot.pid}

    def rss_bytes(self) -> int:
        """Resident memory of all slots and the template; shared pages count in each."""
        return self._pool.rss_bytes()

    def start(self) -> None:
        """Start the template and ask for the slots. Returns at once. In the loop's thread, or before the loop runs."""
        self._pool.start()
        self._heartbeat()

    def handle(self, message: ToExecutor) -> None:
        """Obey. Loop's thread only. After `close` and `Drain` new tasks are refused (KILLED)."""
        match message:
            case LaunchTasks():
                self._launch(message)
            case AddStage():
                key = (message.stage_id, message.stage_attempt)
                if key not in self._stages:
                    self._stage_number += 1
                    self._stages[key] = Stage(self._stage_number, message)
                    if message.cached:
                        self._caching()
            case KillTasks():
                self._kill(message)
            case ForgetStage():
                stage = self._stages.pop((message.stage_id, message.stage_attempt), None)
                if stage is not None:
                    stage.forget()
            case RemoveShuffle():
                self._remove_shuffle(message.shuffle_id)
            case RemoveDataset():
                if self._storage is not None:
                    self._storage.remove_dataset(message.dataset_id)
                    for slot in self._pool.slots.values():
                        slot.forget_dataset(message.dataset_id)
            case RemoveBroadcast():
                self._remove_broadcast(message.broadcast_id)
            case ReplicateBlock():
                self._caching().replicate(message)
            case BarrierReleased():
                barrier.release(self._tasks.values(), message)
            case Drain():
                self._draining = True
                self._tell_drained()
            case Shutdown():
                self.close()

    def close(self) -> None:
        """Kill slots and template with all their descendants, reap, free every descriptor and file of our own. Twice does nothing."""
        if self._closed:
            return
        self._closed = True
        self._timers.cancel()
        self._pool.close()
        if self._storage is not None:
            self._storage.close()
        self._idle.clear()
        self._tasks.clear()
        self._queue.clear()
        self._queued = 0

    # ---- tasks come ----

    def _launch(self, message: LaunchTasks) -> None:
        stage = self._stages.get((message.stage_id, message.stage_attempt))
        cores = message.cores_per_task
        refused: list[TaskFailure] = []
        for task_id, partition, attempt, split in zip(message.task_ids, message.partitions, message.attempts, message.splits, strict=True):
            if not self._seen.add(task_id):
                continue
            if self._draining or self._closed:
                refused.append(slot_failure.killed(task_id, f"executor {self._id} is ending and takes no new tasks"))
            elif stage is None:
                text = f"stage {message.stage_id} (attempt {message.stage_attempt}) was never described to executor {self._id}"
                refused.append(slot_failure.fatal(task_id, QuiverError(text)))
            elif cores > self._config.cores:
                wanted, available = f"a task with {cores} cores", f"executor {self._id} has {self._config.cores}"
                error = ResourcesUnavailable(wanted, available, "Lower spark.task.cpus or give executors more cores.")
                refused.append(slot_failure.fatal(task_id, error))
            else:
                task = self._tasks[task_id] = Task(task_id, stage, partition, attempt, split, cores)
                if message.resources:
                    stage.gives = True
                    task.given = {name: list(addresses) for name, addresses in message.resources.get(task_id, {}).items()}
                self._queue.append(task)
                self._queued += 1
        if self._queued:
            self._dispatch()
            if self._queued:
                self._pool.revive()
        self._tell([], refused)

    def _dispatch(self) -> None:
        while self._queued and self._idle and self._feed(self._idle[-1]):
            pass
        if self._queued:
            for slot in self._pool.slots.values():
                if slot.held:
                    self._feed(slot)

    def _feed(self, slot: SlotProcess) -> bool:
        """Give a slot tasks from the queue's head; False when it can't take any now."""
        queue = self._queue
        while queue and queue[0].dropped:
            queue.popleft()
        if not queue or not slot.takes_tasks():
            return False
        first = queue[0]
        stage, cores, held = first.stage, first.cores, len(slot.held)
        if held:
            if slot.stage is not stage:
                return False
        elif self._cores_used + cores > self._config.cores:
            return False
        # Tasks of a barrier stage wait for one another: none may stand behind another in a slot.
        ahead = 1 if stage.description.barrier else tasks_ahead(stage.mean_s)
        count = batch(ahead, held, self._queued, self._config.cores // cores)
        if count == 0:
            return False
        if self._storage is not None and stage.description.cached:
            self._storage.warm.bring_forward(queue, slot.slot)
        tasks: list[Task] = []
        while queue and len(tasks) < count:
            task = queue[0]
            if not task.dropped:
                if task.stage is not stage:
                    break
                tasks.append(task)
            queue.popleft()
        self._queued -= len(tasks)
        if not held:
            self._idle.remove(slot)
            self._cores_used += cores
            slot.cores = cores
            slot.stage = stage
            slot.heard_at = time.monotonic()
        slot.run(stage, tasks)
        self._pool.watch_memory()
        if len(slot.held) > 1 and not self._watching:
            self._watching = True
            self._timers.later(SILENCE_S, self._watch_silent)
        return True

    # ---- tasks end ----

    def _on_reports(self, slot: SlotProcess, envelopes: list[tuple[Any, ...]]) -> None:
        done: list[TaskDone] = []
        failed: list[TaskFailure] = []
        slot.ready = True
        slot.heard_at = time.monotonic()
        held, tasks = slot.held, self._tasks
        ran, busy_s = 0, 0.0
        storage = self._storage if slot.stage is not None and slot.stage.description.cached else None
        try:
            for kind, seconds, payload in envelopes:
                if type(seconds) is not float:
                    raise Malformed("a message whose members have other types")
                if kind == DONE:
                    end = done_from_row(payload)
                    task = held.pop(end.task_id, None)
                    if task is None:
                        continue  # Seen before.
                    del tasks[end.task_id]
                    done.append(end)
                    if storage is not None:
                        storage.warm.ran(task.stage.description.cached, task.partition, slot.slot)
                elif kind == FAILED:
                    failure = failure_from_pickle(payload)
                    if held.pop(failure.task_id, None) is None:
                        continue
                    del tasks[failure.task_id]
                    failed.append(failure)
                elif kind == RETURNED and type(payload) is int:
                    if payload in held:
                        failed += self._put_back(slot, [held[payload]])
                    continue
                elif kind == READY:
                    continue
                elif kind == ARRIVED:
                    message = barrier.arrived(self._id, slot, payload)
                    if message is not None:
                        self._report(message)
                    continue
                else:
                    raise Malformed("a message of no known kind")
                ran += 1
                busy_s += seconds
        except Malformed as error:
            slot.garbage = slot.garbage or str(error)
        if slot.garbage:
            self._pool.end_garbled(slot)
        if ran and slot.stage is not None:
            slot.stage.mean_s = next_mean(slot.stage.mean_s, ran, busy_s)
            slot.tasks_ended += ran
        self._release(slot)
        if self._queued:
            self._dispatch()
        slot.finish_output()
        self._tell(done, failed)
        if storage is not None:
            storage.tasks_ended(block for end in done if end.extras is not None for block in end.extras.cached)

    def _on_death(self, slot: SlotProcess, status: int | None, peak_rss: int) -> bool:
        running = slot.running()
        # Garbage may be the work of any task whose report it hides: run again uncounted, that one would do it for ever.
        lost = slot.begun() if slot.garbage else [] if running is None else [running]
        waiting: list[Task] = []
        failures: list[TaskFailure] = []
        for task in in_order(slot.held.values()):
            if task not in lost:
                waiting.append(task)
            elif task.task_id in slot.kill_reasons:
                failures.append(slot_failure.killed(task.task_id, slot.kill_reasons[task.task_id], slot))
                del self._tasks[task.task_id]
            elif slot.killed:
                waiting.append(task)  # It began just when the one before it was killed: not its fault.
            else:
                failures.append(slot_failure.died(self._config, slot, task, status, peak_rss, self._oom))
                del self._tasks[task.task_id]
        failures += self._put_back(slot, waiting)
        slot.held.clear()
        self._release(slot)
        for stage in self._stages.values():
            stage.holders.discard(slot)
        self._tell([], failures)
        if self._storage is not None:
            self._storage.slot_died(slot.serial, slot.slot)
        self._dispatch()
        return bool(lost)

    def _release(self, slot: SlotProcess) -> None:
        """A slot that holds nothing claims no cores, and is idle if it takes tasks."""
        if not slot.held:
            self._cores_used -= slot.cores
            slot.cores = 0
        idle = slot in self._idle
        if not slot.held and slot.takes_tasks():
            if not idle:
                self._idle.append(slot)
        elif idle:
            self._idle.remove(slot)

    def _put_back(self, slot: SlotProcess, tasks: list[Task]) -> list[TaskFailure]:
        """Queue tasks again, first in line, that a slot had and did not run; failures for those that were to be killed."""
        failures = []
        for task in reversed(tasks):
            slot.take_back(task)
            reason = slot.kill_reasons.pop(task.task_id, None)
            if reason is not None:
                del self._tasks[task.task_id]
                failures.append(slot_failure.killed(task.task_id, reason))
            else:
                self._queue.appendleft(task)
                self._queued += 1
        return failures

    def _fail_queue(self, reason: str, log: Iterable[str]) -> None:
        """No slot can be had: every queued task is told why. The next task is a new try."""
        error = ExecutorLaunchFailed(self._config.node_id, f"executor {self._id} has no slots: {reason}", "\n".join(log))
        failures = [slot_failure.fatal(task.task_id, error) for task in self._queue if not task.dropped]
        self._queue.clear()
        self._queued = 0
        for failure in failures:
            del self._tasks[failure.task_id]
        self._tell([], failures)

    def _tell(self, done: list[TaskDone], failed: list[TaskFailure]) -> None:
        if done or failed:
            self._report(TasksEnded(self._id, done, failed))
            if self._draining:
                self._tell_drained()

    def _tell_drained(self) -> None:
        if not self._tasks and not self._drained and not self._closed:
            self._drained = True
            self._report(Drained(self._id))

    # ---- tasks are killed or taken back ----

    def _kill(self, message: KillTasks) -> None:
        failures = []
        slots: dict[int, SlotProcess] = {}
        for task_id in message.task_ids:
            task = self._tasks.get(task_id)
            if task is None:
                continue
            if task.slot is None:
                task.dropped = True
                self._queued -= 1
                del self._tasks[task_id]
                failures.append(slot_failure.killed(task_id, message.reason))
            else:
                task.slot.kill_reasons[task_id] = message.reason
                slots[task.slot.serial] = task.slot
        for slot in slots.values():
            if not self._kill_if_running(slot):
                self._recall(slot)
        self._tell([], failures)

    def _kill_if_running(self, slot: SlotProcess) -> bool:
        running = slot.running()
        return running is not None and running.task_id in slot.kill_reasons and self._pool.kill(slot)

    def _recall(self, slot: SlotProcess) -> None:
        if not slot.recalling:
            slot.recall()
            self._timers.later(RECALL_SETTLE_S, lambda: self._settle(slot))

    def _settle(self, slot: SlotProcess) -> None:
        if slot.closed or slot.killed:
            return
        failures = self._put_back(slot, in_order(slot.unbegun()))
        for task_id in [task_id for task_id in slot.kill_reasons if task_id not in slot.held]:
            del slot.kill_reasons[task_id]
        if slot.kill_reasons and not self._kill_if_running(slot):
            # Ended and not yet reported, or about to begin: look again.
            self._timers.later(RECALL_SETTLE_S, lambda: self._settle(slot))
        else:
            slot.recalling = False
        self._release(slot)
        self._tell([], failures)
        self._dispatch()

    def _watch_silent(self) -> None:
        """A slot may sit in a task that takes longer than expected: what it has finished is taken, what it has not begun goes to others."""
        self._watching = False
        now = time.monotonic()
        for slot in list(self._pool.slots.values()):
            if len(slot.held) > 1 and now - slot.heard_at > SILENCE_S:
                reports = slot.unsent_reports()
                if reports or slot.garbage:
                    self._on_reports(slot, reports)
                if len(slot.held) > 1 and not self._queued and self._idle and not slot.closed:
                    self._recall(slot)
            self._watching = self._watching or len(slot.held) > 1
        if self._watching and not self._closed:
            self._timers.later(SILENCE_S, self._watch_silent)

    # ---- small things ----

    def _caching(self) -> ExecutorStorage:
        if self._storage is None:
            from quiver_executor.executor_storage import ExecutorStorage  # Not at start-up: many applications cache nothing.

            self._storage = ExecutorStorage(self._config, self._loop.call_soon, self._report)
        return self._storage

    def _remove_shuffle(self, shuffle_id: int) -> None:
        from quiver_executor.shuffle_files import remove_shuffle

        # Unlinking gigabytes takes a while: not in the loop's thread.
        arguments = (self._config.blocks_dir, shuffle_id)
        threading.Thread(target=remove_shuffle, args=arguments, name="quiver-remove-shuffle", daemon=True).start()

    def _remove_broadcast(self, broadcast_id: int) -> None:
        from quiver_executor.broadcasts import remove

        for slot in self._pool.slots.values():
            slot.drop_broadcast(broadcast_id)

        def work() -> None:
            remove(self._config.blocks_dir, broadcast_id)
            self._loop.call_soon(lambda: self._report(BroadcastRemoved(self._id, broadcast_id)))

        threading.Thread(target=work, name="quiver-remove-broadcast", daemon=True).start()

    def _heartbeat(self) -> None:
        self._oom.sample()
        for slot in self._pool.slots.values():
            slot.send_delayed()
        self._pool.look()
        if self._storage is not None:
            self._storage.tasks_ended()
        self._report(ExecutorHeartbeat(self._id, time.time(), self.rss_bytes(), self.running_tasks, self._queued))
        if not self._closed:
            self._timers.later(HEARTBEAT_BUSY_S if self._tasks else HEARTBEAT_IDLE_S, self._heartbeat)
