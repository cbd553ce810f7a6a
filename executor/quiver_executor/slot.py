"""A slot: runs one task at a time and does nothing else. Forked from the template, fed by the supervisor through one socket.

Cyclic garbage collection: what the template imported is frozen. While a task runs, the young generation is looked at every 50,000
allocations instead of 700, and the old ones rarely. Measured on decoding nested tuples, ns a record: collection off 197, these
thresholds 250, the default 409; switched off, a long task that makes cycles would grow without bound. Between tasks, when memory
has grown by GROWTH since the last look, everything is collected.

Standard output is line buffered and flushed before a task's end is reported, so that nothing printed is lost with the process and
all of it is in the log by the time the end is known.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import os
import pickle
import socket
import sys
import time
import traceback
from collections.abc import Callable
from io import TextIOWrapper
from typing import Any, Protocol, cast

from quiver_executor import collector, kernel
from quiver_executor.envelopes import (
    ADD_STAGE,
    DONE,
    DROP_BROADCAST,
    FAILED,
    FORGET,
    FORGET_DATASET,
    GIVEN,
    READY,
    REPORT_LIMIT,
    RETURNED,
    RUN,
    Unpacker,
    done_row,
    pack,
)
from quiver_executor.environment import SlotEnvironment
from quiver_executor.meeting import Meeting
from quiver_executor.page import AREA, EPOCH, RECALLED, RUNNING, STARTED, STARTED_AT, UNSENT, Page
from quiver_proto import broadcast, task_context
from quiver_proto.errors import SlotOutOfMemory
from quiver_proto.ids import TaskId
from quiver_proto.messages import AddStage, FailureKind, TaskDone, TaskFailure
from quiver_proto.task_context import StageFacts

FLUSH_AFTER_S = 0.001
GROWTH = 64 << 20
CUT = 64 << 10
"""Characters of each text that are left of a failure too long to be told."""
ALIKES = 16
ALIKE_BYTES = 64 << 10
THRESHOLDS = (50_000, 50, 100)
_RECEIVE = 256 << 10


class OpenStage(Protocol):
    """A stage body made ready in this process. `wears_out`: its last task had better be the process's last, too."""

    wears_out: bool

    def run(self, task_id: int, partition: int, attempt: int, split: bytes, /) -> TaskDone | TaskFailure: ...


OpenBody = Callable[[AddStage, SlotEnvironment], OpenStage]


class Slot:
    """The loop of one slot process."""

    def __init__(self, connection: socket.socket, page: Page, open_body: OpenBody, environment: SlotEnvironment) -> None:
        self._connection = connection
        self._page = page
        self._open_body = open_body
        self._environment = environment
        self._pid = os.getpid()
        self._described: dict[int, bytes] = {}
        self._given: dict[int, dict[int, dict[str, list[str]]]] = {}
        self._open: dict[int, tuple[OpenStage, StageFacts]] = {}
        self._alikes: dict[bytes, OpenStage] = {}
        self._started = 0
        self._unsent = 0
        self._collected_at = kernel.rss_bytes(self._pid)
        self._unlooked_s = 0.0
        self._ends = False
        self._unpacker = Unpacker()
        self._later: list[tuple[Any, ...]] = []
        """Came while a task waited at a barrier."""
        self._meeting = Meeting(connection, self._unpacker, self._later, self._flush)

    def serve(self) -> bool:
        """Until the supervisor closes its end (False), or a task has made the process larger than it may be, or has left much in it (True):
        other tasks are better off in another process."""
        self._connection.sendall(pack((READY, 0.0, None)))
        while envelopes := self._receive():
            for envelope in envelopes:
                kind = envelope[0]
                if kind == RUN:
                    self._run(envelope[1], envelope[2])
                elif kind == GIVEN:
                    self._given.setdefault(envelope[1], {}).update(envelope[2])
                elif kind == ADD_STAGE:
                    self._described[envelope[1]] = envelope[2]
                elif kind == FORGET:
                    self._described.pop(envelope[1], None)
                    self._given.pop(envelope[1], None)
                    self._open.pop(envelope[1], None)
                elif kind == DROP_BROADCAST:
                    broadcast.values.pop(envelope[1], None)
                elif kind == FORGET_DATASET:
                    _forget_dataset(envelope[1])
            if self._unsent:
                self._flush()
            if self._ends:
                return True
            if self._unlooked_s > 0.001:
                self._look_at_memory()
        return False

    def _receive(self) -> list[tuple[Any, ...]]:
        """What has come next; nothing at the end."""
        envelopes = self._later[:]
        self._later.clear()
        while not envelopes and (data := self._connection.recv(_RECEIVE)):
            envelopes = self._unpacker.feed(data)
        return envelopes

    def _run(self, number: int, tasks: list[tuple[int, int, int, bytes]]) -> None:
        words, times = self._page.words, self._page.times
        clock = time.perf_counter
        flush_at = clock() + FLUSH_AFTER_S
        for task_id, partition, attempt, split in tasks:
            self._started += 1
            words[STARTED] = self._started
            if self._started <= words[RECALLED]:
                self._put(pack((RETURNED, 0.0, task_id)))
                continue
            times[STARTED_AT] = time.time()
            words[RUNNING] = task_id
            begun = clock()
            try:
                opened = self._open.get(number)
                if opened is None:
                    opened = self._open_stage(number)
                    begun = clock()
                stage, facts = opened
                task_context.current = (facts, task_id, partition, attempt)
                end = stage.run(task_id, partition, attempt, split)
                self._ends = stage.wears_out
            except _Unopened as error:
                end = self._failure(task_id, FailureKind.FATAL, error.cause)
            except BaseException as error:
                end = self._failure(task_id, FailureKind.USER, error)
            if os.getpid() != self._pid:
                os._exit(0)  # The user's code forked and the child came back: it must not speak for us.
            if type(end) is TaskFailure and end.exception_type == SlotOutOfMemory.code:
                self._ends = True
            ended = clock()
            self._put(self._packed(ended - begun, end))
            words[RUNNING] = -1
            self._unlooked_s += ended - begun
            if self._ends:
                break  # The rest is given to other slots when this one has ended.
            if ended > flush_at:
                self._flush()
                flush_at = clock() + FLUSH_AFTER_S
        task_context.current = None

    def _packed(self, seconds: float, end: TaskDone | TaskFailure) -> bytes:
        if type(end) is TaskDone:
            try:
                report = pack((DONE, seconds, done_row(end)))
                if len(report) <= REPORT_LIMIT:
                    return report
                raise ValueError(f"the task's end takes {len(report)} bytes; at most {REPORT_LIMIT} can be told")
            except ValueError as error:  # Or something in it is of no built-in type.
                end = self._failure(end.task_id, FailureKind.FATAL, error)
        report = pack((FAILED, seconds, pickle.dumps(end, 5)))
        if len(report) > REPORT_LIMIT and type(end) is TaskFailure:
            short = TaskFailure(
                end.task_id,
                end.kind,
                end.exception_type[:CUT],
                end.message[:CUT],
                end.traceback[-CUT:],
                operator=end.operator[:CUT],
                record_index=end.record_index,
                slot=end.slot,
                started_at=end.started_at,
                metrics=end.metrics,
                fetch=end.fetch,
                cache=end.cache,
            )
            report = pack((FAILED, seconds, pickle.dumps(short, 5)))
        return report

    def _put(self, report: bytes) -> None:
        end = self._unsent + len(report)
        if end > AREA:
            self._flush()
            end = len(report)
            if end > AREA:
                self._connection.sendall(report)
                return
        self._page.area[self._unsent : end] = report
        self._unsent = end
        self._page.words[UNSENT] = end

    def _open_stage(self, number: int) -> tuple[OpenStage, StageFacts]:
        try:
            described: AddStage = pickle.loads(self._described[number])
            stage = self._alike(described)
            if stage is None:
                stage = self._open_body(described, self._environment)
                self._remember(described, stage)
        except BaseException as error:
            raise _Unopened(error) from error
        facts = StageFacts(described.stage_id, described.stage_attempt, described.properties, described.cores_per_task)
        facts.resources = self._given.setdefault(number, {})
        if described.barrier:
            facts.meet = self._meeting
        self._open[number] = stage, facts
        return stage, facts

    def _alike(self, described: AddStage) -> OpenStage | None:
        # A body that reads no block says the same under any stage id and properties (those are in its StageFacts), and an open stage
        # holds nothing of the tasks it ran: a program that runs the same small job again and again opens it once (60 µs of a round trip
        # of 250).
        return None if _reads_blocks(described) else self._alikes.get(described.body)

    def _remember(self, described: AddStage, stage: OpenStage) -> None:
        if _reads_blocks(described) or len(described.body) > ALIKE_BYTES:
            return
        if len(self._alikes) >= ALIKES:
            del self._alikes[next(iter(self._alikes))]
        self._alikes[described.body] = stage

    def _flush(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                pass  # Closed or replaced by the user's code.
        self._connection.sendall(self._page.area[: self._unsent])
        self._unsent = 0
        self._page.words[UNSENT] = 0
        self._page.words[EPOCH] += 1

    def _failure(self, task_id: int, kind: FailureKind, error: BaseException) -> TaskFailure:
        try:
            pickled = pickle.dumps(error, 5)
        except Exception:
            pickled = b""
        return TaskFailure(
            TaskId(task_id),
            kind,
            type(error).__qualname__,
            str(error),
            "".join(traceback.format_exception(error)),
            pickled,
            slot=self._environment.slot,
            started_at=self._page.times[STARTED_AT],
        )

    def _look_at_memory(self) -> None:
        self._unlooked_s = 0.0
        if broadcast.values and kernel.own_bytes(self._pid) > self._environment.memory_bytes:
            _drop_unneeded_broadcasts()
        if kernel.rss_bytes(self._pid) > self._collected_at + GROWTH:
            gc.collect()
            self._collected_at = kernel.rss_bytes(self._pid)


def _forget_dataset(dataset_id: int) -> None:
    from quiver_executor.block_store import forget_live

    forget_live(dataset_id)


def _drop_unneeded_broadcasts() -> None:
    from quiver_executor.broadcasts import drop_unneeded

    drop_unneeded()


def _reads_blocks(described: AddStage) -> bool:
    """Does it say where blocks are?"""
    return bool(described.inputs or described.cached or described.broadcasts)


class _Unopened(Exception):
    def __init__(self, cause: BaseException) -> None:
        self.cause = cause


def main(serial: int, slot: int, fds: list[int], settings: dict[str, Any]) -> bool:
    """Be slot number `slot` to its end: `fds` are its socket, its page, standard output and standard error.

    Whether it ends because its tasks have worn it out.
    """
    connection_fd, page_fd, stdout, stderr = fds
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.close(stdout)
    os.close(stderr)
    for stream in (sys.stdout, sys.stderr):
        cast(TextIOWrapper, stream).reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    sys.argv = [f"slot {slot}"]
    faulthandler.enable(page_fd)
    open_body: OpenBody = importlib.import_module(settings["body"]).open_stage
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()  # Else every slot would draw the template's numbers.
    gc.set_threshold(*THRESHOLDS)
    collector.clock.start()
    gc.enable()
    scratch = os.path.join(settings["scratch_root"], str(serial))
    environment = SlotEnvironment(slot=slot, serial=serial, scratch_dir=scratch, **settings["environment"])
    connection = socket.socket(fileno=connection_fd)
    try:
        return Slot(connection, Page(page_fd), open_body, environment).serve()
    except (ConnectionError, BrokenPipeError):
        return False
