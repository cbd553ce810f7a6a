"""The executor supervisor: feeds tasks to slots and tells how they ended. It never runs user code and never waits for it.

All of it runs in its loop's thread. What tasks wait for is always one of: a slot's fork, cores claimed by others, a slot that runs.
When slots can't be had at all, queued tasks fail with the reason.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from quiver_executor.certificate import Death, certificate, find_oom_counter
from quiver_executor.dispatch import batch, next_mean, respawn_delay, tasks_ahead
from quiver_executor.envelopes import EXITED, FORK_FAILED, FORKED, done_from_row
from quiver_executor.kernel import rss_bytes
from quiver_executor.output import LogFile
from quiver_executor.page import RECALL_SETTLE_S
from quiver_executor.slot_process import SlotProcess, Stage, Task, in_order
from quiver_executor.template_process import TemplateProcess
from quiver_proto.errors import ExecutorLaunchFailed, QuiverError, ResourcesUnavailable, SlotDied, to_wire
from quiver_proto.ids import ExecutorId, TaskId
from quiver_proto.loop import Loop, Timer
from quiver_proto.messages import (
    AddStage,
    Drain,
    Drained,
    ExecutorHeartbeat,
    FailureKind,
    ForgetStage,
    FromExecutor,
    KillTasks,
    LaunchTasks,
    RemoveShuffle,
    Shutdown,
    TaskDone,
    TaskFailure,
    TaskMetrics,
    TasksEnded,
    ToExecutor,
)

STRIKES: Final = 3
"""So many deaths of one slot in a row without a task begun (or of the template without a slot ready) are a crash loop."""
SILENCE_S: Final = 0.005
"""A slot that holds several tasks and reports nothing for so long gives those it has not begun to idle slots."""
HEARTBEAT_BUSY_S: Final = 1.0
HEARTBEAT_IDLE_S: Final = 2.0
_EXIT_GRACE_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class ExecutorConfig:
    """What an executor is. `blocks_dir` is the node's directory for this application's blocks (`quota_bytes` bounds it, 0 does not);
    `python_path` is appended to the slots' sys.path; `token` opens other nodes' block servers, `block_server` is this node's own
    address ("" in local mode); `echo_output` copies what tasks print to this process's own streams too.
    """

    application_id: str
    executor_id: str
    node_id: str
    cores: int
    memory_bytes: int
    blocks_dir: str
    log_dir: str
    python_path: tuple[str, ...]
    working_dir: str | None
    hash_seed: int
    block_server: str
    token: str
    echo_output: bool
    tls_ca: str = ""
    threads_per_slot: int = 1
    quota_bytes: int = 0


class Supervisor:
    """One executor's slots.

    `report` is called in the loop's thread, in the order in which things happened; it may call `handle` again. `body` names the module
    whose `open_stage(stage, environment)` makes a stage ready in a slot.
    """

    def __init__(
        self, config: ExecutorConfig, loop: Loop, report: Callable[[FromExecutor], None], *, body: str = "quiver_executor.body"
    ) -> None:
        self._config = config
        self._loop = loop
        self._report = report
        self._body = body
        self._id = ExecutorId(config.executor_id)
        self._logs = (
            LogFile(config.log_dir, "stdout", "stdout" if config.echo_output else ""),
            LogFile(config.log_dir, "stderr", "stderr" if config.echo_output else ""),
        )
        self._scratch_root = os.path.join(config.blocks_dir, ".scratch", config.executor_id.replace("/", "-"))
        self._template: TemplateProcess | None = None
        self._template_strikes = 0
        self._serial = 0
        self._slots: dict[int, SlotProcess] = {}
        self._by_serial: dict[int, SlotProcess] = {}
        self._awaited: set[int] = set()
        self._idle: list[SlotProcess] = []
        self._stages: dict[tuple[int, int], Stage] = {}
        self._stage_number = 0
        self._tasks: dict[int, Task] = {}
        self._queue: deque[Task] = deque()
        self._queued = 0
        self._cores_used = 0
        self._seen = _SeenIds()
        self._watching = False
        self._draining = False
        self._drained = False
        self._closed = False
        self._timers: set[Timer] = set()
        self._oom = find_oom_counter()
        self._oom_kills = self._oom.read()

    @property
    def running_tasks(self) -> int:
        """Tasks sent to slots; only a few of them (short ones) wait inside a slot."""
        return len(self._tasks) - self._queued

    @property
    def queued_tasks(self) -> int:
        return self._queued

    @property
    def slot_pids(self) -> dict[int, int]:
        """Process ids of the slots that take tasks."""
        return {number: slot.pid for number, slot in self._slots.items() if slot.ready}

    def rss_bytes(self) -> int:
        """Resident memory of all slots and the template; shared pages count in each."""
        pids = [slot.pid for slot in self._slots.values() if slot.pid]
        if self._template is not None:
            pids.append(self._template.pid)
        return sum(map(rss_bytes, pids))

    def start(self) -> None:
        """Start the template and ask for the slots. Returns at once. In the loop's thread, or before the loop runs."""
        self._start_template()
        self._heartbeat()

    def handle(self, message: ToExecutor) -> None:
        """Obey. Loop's thread only. After `close`, only new tasks are answered (KILLED)."""
        match message:
            case LaunchTasks():
                self._launch(message)
            case AddStage():
                key = (message.stage_id, message.stage_attempt)
                if key not in self._stages:
                    self._stage_number += 1
                    self._stages[key] = Stage(self._stage_number, message)
            case KillTasks():
                self._kill(message)
            case ForgetStage():
                stage = self._stages.pop((message.stage_id, message.stage_attempt), None)
                if stage is not None:
                    for slot in stage.holders:
                        slot.forget(stage)
            case RemoveShuffle():
                self._remove_shuffle(message.shuffle_id)
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
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        template, self._template = self._template, None
        if template is not None:
            template.close()
        for slot in self._by_serial.values():
            if slot.pid and rss_bytes(slot.pid):
                _kill_group(slot.pid)  # The template was gone or stuck.
            slot.finish_output()
            slot.close()
        self._by_serial.clear()
        self._slots.clear()
        self._idle.clear()
        self._tasks.clear()
        self._queue.clear()
        self._queued = 0
        for log in self._logs:
            log.close()
        shutil.rmtree(self._scratch_root, ignore_errors=True)
        try:
            os.rmdir(os.path.dirname(self._scratch_root))
        except OSError:
            pass  # Never made, or another executor's spills are there.

    # ---- template and slots come and go ----

    def _start_template(self) -> None:
        if self._closed or self._template is not None:
            return
        config = self._config
        threads = str(config.threads_per_slot)
        environment = {
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            **os.environ,
            "PYTHONHASHSEED": str(config.hash_seed),
            # With it jemalloc would start a thread on `import pyarrow`, and the template could not fork safely.
            "JE_ARROW_MALLOC_CONF": "background_thread:false",
        }
        settings = {
            "body": self._body,
            "working_dir": config.working_dir or "",
            "python_path": list(config.python_path),
            "scratch_root": self._scratch_root,
            "environment": {
                "application_id": str(config.application_id),
                "executor_id": str(config.executor_id),
                "node_id": str(config.node_id),
                "blocks_dir": config.blocks_dir,
                "memory_bytes": config.memory_bytes // config.cores,
                "token": config.token,
                "tls_ca": config.tls_ca,
                "quota_bytes": config.quota_bytes,
            },
        }
        try:
            self._template = TemplateProcess(self._loop, self._logs[1], self._body, environment, settings, self._on_template_message)
        except OSError as error:
            self._template_failed(f"its interpreter can't be started: {error}", [])
            return
        for number in range(config.cores):
            if number not in self._slots:
                self._fork_slot(number, 0)

    def _fork_slot(self, number: int, strikes: int) -> None:
        self._awaited.discard(number)
        if self._closed or self._template is None or number in self._slots:
            return
        self._serial += 1
        slot = SlotProcess(self._loop, self._serial, number, self._logs, strikes)
        self._slots[number] = self._by_serial[slot.serial] = slot
        slot.watch(self._on_reports)
        self._template.fork(slot.serial, number, slot.descriptors())
        slot.release_descriptors()

    def _on_template_message(self, message: tuple[Any, ...] | None) -> None:
        if message is None:
            self._template_ended()
            return
        slot = self._by_serial.get(message[1])
        if slot is None:
            return
        if message[0] == FORKED:
            slot.pid = message[2]
        elif message[0] == FORK_FAILED:
            slot.last_lines.append(f"fork: {message[2]}")
            self._slot_ended(slot, None, 0, f"the system refuses another process: {message[2]}")
        elif message[0] == EXITED:
            self._slot_ended(slot, message[2], message[3], "they end before they take a task")

    def _template_ended(self) -> None:
        template, self._template = self._template, None
        if template is None:
            return
        status = template.close()
        had_slots = any(slot.ready for slot in self._by_serial.values())
        for slot in list(self._by_serial.values()):
            if slot.pid:
                _kill_group(slot.pid)
            self._slot_ended(slot, None, 0, "")
        if had_slots:
            self._template_strikes = 0
        code = "for an unknown reason" if status is None else f"with exit status {os.waitstatus_to_exitcode(status)}"
        self._template_failed(f"the template process ended {code}", template.last_lines)

    def _template_failed(self, reason: str, log: Iterable[str]) -> None:
        self._template_strikes += 1
        if self._template_strikes >= STRIKES:
            self._fail_queue(reason, log)
        else:
            self._later(respawn_delay(self._template_strikes), self._start_template)

    def _slot_ended(self, slot: SlotProcess, status: int | None, peak_rss: int, reason: str) -> None:
        while slot.connected and (envelopes := slot.read_reports()):
            self._take_reports(slot, envelopes)
        slot.finish_output()
        running = slot.running()
        waiting = [task for task in in_order(slot.held.values()) if task is not running]
        failures = []
        if running is not None:
            if running.task_id in slot.kill_reasons:
                failures.append(self._killed(running, slot.kill_reasons[running.task_id]))
            elif slot.killed:
                waiting.insert(0, running)  # It began just when the one before it was to be killed: not its fault.
            else:
                failures.append(self._died(slot, running, status, peak_rss))
        failures += self._put_back(slot, waiting)
        for failure in failures:
            self._tasks.pop(failure.task_id, None)
        barren = not slot.tasks_ended and running is None
        strikes = slot.strikes + 1 if barren and not slot.killed and status is not None or reason and status is None else 0
        log = list(slot.last_lines)
        self._discard(slot)
        if not self._closed and self._template is not None:
            if strikes >= STRIKES and not any(other.ready for other in self._slots.values()):
                self._fail_queue(reason, log)
            else:
                self._awaited.add(slot.slot)
                delay = respawn_delay(strikes)
                if delay:
                    self._later(delay, lambda: self._fork_slot(slot.slot, strikes))
                else:
                    self._fork_slot(slot.slot, strikes)
        self._tell([], failures)
        self._dispatch()

    def _discard(self, slot: SlotProcess) -> None:
        if slot.cores:
            self._cores_used -= slot.cores
            slot.cores = 0
        if slot in self._idle:
            self._idle.remove(slot)
        for stage in self._stages.values():
            stage.holders.discard(slot)
        slot.held.clear()
        slot.close()
        del self._by_serial[slot.serial]
        if self._slots.get(slot.slot) is slot:
            del self._slots[slot.slot]

    def _fail_queue(self, reason: str, log: Iterable[str]) -> None:
        """No slot can be had: every queued task is told why. The next task is a new try."""
        error = ExecutorLaunchFailed(self._config.node_id, f"executor {self._id} has no slots, {reason}", "\n".join(log))
        failures = [self._failure(task.task_id, FailureKind.FATAL, error, str(error)) for task in self._queue if not task.dropped]
        self._queue.clear()
        self._queued = 0
        for failure in failures:
            del self._tasks[failure.task_id]
        self._tell([], failures)

    def _revive(self) -> None:
        """A new task after slots or template were given up: try once more."""
        if self._template is None:
            if self._template_strikes >= STRIKES:
                self._template_strikes = STRIKES - 1
                self._start_template()
        elif not self._slots and not self._awaited:
            for number in range(self._config.cores):
                self._fork_slot(number, STRIKES - 1)

    # ---- tasks come ----

    def _launch(self, message: LaunchTasks) -> None:
        stage = self._stages.get((message.stage_id, message.stage_attempt))
        cores = message.cores_per_task
        refused: list[TaskFailure] = []
        for task_id, partition, attempt, split in zip(message.task_ids, message.partitions, message.attempts, message.splits):
            if not self._seen.add(task_id):
                continue
            if self._draining or self._closed:
                refused.append(self._failure(task_id, FailureKind.KILLED, None, f"executor {self._id} is ending and takes no new tasks"))
            elif stage is None:
                text = f"stage {message.stage_id} (attempt {message.stage_attempt}) was never described to executor {self._id}"
                refused.append(self._failure(task_id, FailureKind.FATAL, QuiverError(text), text))
            elif cores > self._config.cores:
                error = ResourcesUnavailable(
                    f"a task with {cores} cores",
                    f"executor {self._id} has {self._config.cores}",
                    "Lower spark.task.cpus or give executors more cores.",
                )
                refused.append(self._failure(task_id, FailureKind.FATAL, error, str(error)))
            else:
                task = self._tasks[task_id] = Task(task_id, stage, partition, attempt, split, cores)
                self._queue.append(task)
                self._queued += 1
        if self._queued:
            self._dispatch()
            if self._queued:
                self._revive()
        self._tell([], refused)

    def _dispatch(self) -> None:
        while self._queued and self._idle and self._feed(self._idle[-1]):
            pass
        if self._queued:
            for slot in self._slots.values():
                if slot.held:
                    self._feed(slot)

    def _feed(self, slot: SlotProcess) -> bool:
        queue = self._queue
        while queue and queue[0].dropped:
            queue.popleft()
        if not queue or not slot.ready or slot.recalling or slot.kill_reasons or not slot.connected:
            return False
        first = queue[0]
        stage, cores, held = first.stage, first.cores, len(slot.held)
        if held:
            if slot.stage is not stage:
                return False
        elif self._cores_used + cores > self._config.cores:
            return False
        count = batch(tasks_ahead(stage.mean_s), held, self._queued, self._config.cores // cores)
        if count == 0:
            return False
        tasks = []
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
        slot.run(stage, tasks)
        if len(slot.held) > 1 and not self._watching:
            self._watching = True
            self._later(SILENCE_S, self._watch_silent)
        return True

    # ---- tasks end ----

    def _on_reports(self, slot: SlotProcess, envelopes: list[tuple[Any, ...]]) -> None:
        if not envelopes:
            slot.disconnect()
            self._later(_EXIT_GRACE_S, lambda: self._cut_off(slot))
            return
        self._take_reports(slot, envelopes)

    def _take_reports(self, slot: SlotProcess, envelopes: list[tuple[Any, ...]]) -> None:
        done: list[TaskDone] = []
        failed: list[TaskFailure] = []
        slot.heard_at = time.monotonic()
        held, tasks = slot.held, self._tasks
        for rows, failures, returned, ran, busy_s in envelopes:
            if not slot.ready:
                slot.ready = True
                slot.strikes = 0
                self._template_strikes = 0
                self._idle.append(slot)
            if ran and slot.stage is not None:
                slot.stage.mean_s = next_mean(slot.stage.mean_s, ran, busy_s)
                slot.tasks_ended += ran
            for row in rows:
                if held.pop(row[0], None) is not None:
                    del tasks[row[0]]
                    done.append(done_from_row(row))
            for pickled in failures:
                import pickle

                failure: TaskFailure = pickle.loads(pickled)
                if held.pop(failure.task_id, None) is not None:
                    del tasks[failure.task_id]
                    failed.append(failure)
            if returned:
                killed = self._put_back(slot, [held[task_id] for task_id in returned if task_id in held])
                for failure in killed:
                    del tasks[failure.task_id]
                failed += killed
        if not held and slot.cores:
            self._cores_used -= slot.cores
            slot.cores = 0
            self._idle.append(slot)
        if self._queued:
            self._dispatch()
        slot.finish_output()
        self._tell(done, failed)

    def _put_back(self, slot: SlotProcess, tasks: list[Task]) -> list[TaskFailure]:
        """Queue tasks again, first in line, that a slot had and did not run; failures for those that were to be killed."""
        killed = []
        for task in reversed(tasks):
            slot.take_back(task)
            reason = slot.kill_reasons.pop(task.task_id, None)
            if reason is not None:
                killed.append(self._killed(task, reason))
            else:
                self._queue.appendleft(task)
                self._queued += 1
        return killed

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
        recalled: dict[int, SlotProcess] = {}
        for task_id in message.task_ids:
            task = self._tasks.get(task_id)
            if task is None:
                continue
            if task.slot is None:
                task.dropped = True
                self._queued -= 1
                del self._tasks[task_id]
                failures.append(self._killed(task, message.reason))
            else:
                task.slot.kill_reasons[task_id] = message.reason
                recalled[task.slot.serial] = task.slot
        for slot in recalled.values():
            if not self._kill_if_running(slot):
                self._recall(slot)
        self._tell([], failures)

    def _kill_if_running(self, slot: SlotProcess) -> bool:
        running = slot.running()
        if running is None or running.task_id not in slot.kill_reasons or self._template is None:
            return False
        slot.killed = True
        self._template.kill(slot.serial)
        return True

    def _recall(self, slot: SlotProcess) -> None:
        if not slot.recalling:
            slot.recall()
            self._later(RECALL_SETTLE_S, lambda: self._settle(slot))

    def _settle(self, slot: SlotProcess) -> None:
        if slot.closed or slot.killed:
            return
        failures = self._put_back(slot, in_order(slot.unbegun()))
        for failure in failures:
            del self._tasks[failure.task_id]
        for task_id in [task_id for task_id in slot.kill_reasons if task_id not in slot.held]:
            del slot.kill_reasons[task_id]
        if slot.kill_reasons and not self._kill_if_running(slot):
            # Ended and not yet reported, or about to begin: look again.
            self._later(RECALL_SETTLE_S, lambda: self._settle(slot))
        else:
            slot.recalling = False
        if not slot.held and slot.cores:
            self._cores_used -= slot.cores
            slot.cores = 0
            self._idle.append(slot)
        self._tell([], failures)
        self._dispatch()

    def _watch_silent(self) -> None:
        """Slots that sit in a task which takes longer than expected must not keep others waiting behind it."""
        self._watching = False
        now = time.monotonic()
        for slot in self._slots.values():
            if len(slot.held) > 1:
                self._watching = True
                if now - slot.heard_at > SILENCE_S and not self._queued and self._idle:
                    self._recall(slot)
        if self._watching:
            self._later(SILENCE_S, self._watch_silent)

    def _cut_off(self, slot: SlotProcess) -> None:
        """Its stream ended, but it lives: the user's code closed the socket."""
        if not slot.closed and self._template is not None:
            slot.closed_connection = True
            self._template.kill(slot.serial)

    # ---- small things ----

    def _killed(self, task: Task, reason: str) -> TaskFailure:
        slot = task.slot
        return TaskFailure(
            TaskId(task.task_id),
            FailureKind.KILLED,
            "TaskKilled",
            reason,
            slot=-1 if slot is None else slot.slot,
            started_at=slot.running_since() if slot is not None else 0.0,
        )

    def _failure(self, task_id: int, kind: FailureKind, error: QuiverError | None, message: str) -> TaskFailure:
        name = "TaskKilled" if error is None else type(error).__name__
        return TaskFailure(TaskId(task_id), kind, name, message, error=None if error is None else to_wire(error))

    def _died(self, slot: SlotProcess, task: Task, status: int | None, peak_rss: int) -> TaskFailure:
        kills = self._oom.read()
        text = certificate(
            Death(
                executor_id=self._config.executor_id,
                slot=slot.slot,
                pid=slot.pid,
                task_id=task.task_id,
                partition=task.partition,
                attempt=task.attempt,
                stage_id=task.stage.description.stage_id,
                status=status,
                peak_rss=peak_rss,
                memory=self._config.memory_bytes // self._config.cores,
                oom_kills=kills - self._oom_kills,
                oom_scope=self._oom.scope,
                stack=slot.page.last_words(),
                log=list(slot.last_lines),
                closed_connection=slot.closed_connection,
            )
        )
        self._oom_kills = kills
        since = slot.running_since()
        return TaskFailure(
            TaskId(task.task_id),
            FailureKind.SLOT_DIED,
            "SlotDied",
            text,
            error=to_wire(SlotDied(text)),
            slot=slot.slot,
            started_at=since,
            metrics=TaskMetrics(run_s=max(0.0, time.time() - since), peak_memory_bytes=peak_rss),
        )

    def _remove_shuffle(self, shuffle_id: int) -> None:
        from quiver_executor.shuffle_files import remove_shuffle

        # Unlinking gigabytes takes a while: not in the loop's thread.
        threading.Thread(target=remove_shuffle, args=(self._config.blocks_dir, shuffle_id), name="quiver-remove", daemon=True).start()

    def _heartbeat(self) -> None:
        if self._closed:
            return
        self._oom_kills = self._oom.read()
        self._report(ExecutorHeartbeat(self._id, time.time(), self.rss_bytes(), self.running_tasks, self._queued))
        self._later(HEARTBEAT_BUSY_S if self._tasks else HEARTBEAT_IDLE_S, self._heartbeat)

    def _later(self, delay_s: float, callback: Callable[[], None]) -> None:
        def due() -> None:
            self._timers.discard(timer)
            if not self._closed:
                callback()

        timer = self._loop.call_later(delay_s, due)
        self._timers.add(timer)


class _SeenIds:
    """A set of task ids in about one bit each: they are dense, and an executor sees millions."""

    __slots__ = ("_words",)

    def __init__(self) -> None:
        self._words: dict[int, int] = {}

    def add(self, number: int) -> bool:
        """False when it was there already."""
        word, bit = number >> 9, 1 << (number & 511)
        known = self._words.get(word, 0)
        if known & bit:
            return False
        self._words[word] = known | bit
        return True


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
