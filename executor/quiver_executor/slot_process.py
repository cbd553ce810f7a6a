"""The supervisor's side of one slot process: its socket, its page, its pipes, and the tasks it holds."""

from __future__ import annotations

import os
import pickle
import socket
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from quiver_executor.envelopes import ADD_STAGE, DROP_BROADCAST, FORGET, FORGET_DATASET, GIVEN, RELEASED, RUN, Malformed, Unpacker, pack
from quiver_executor.output import LogFile, Printed, last_lines
from quiver_executor.page import RECALLED, RUNNING, STARTED, STARTED_AT, Page
from quiver_proto.loop import Loop
from quiver_proto.messages import AddStage

_RECEIVE = 256 << 10
_BUFFER = 1 << 20


Watcher = Callable[["SlotProcess", list[tuple[Any, ...]] | None], None]


class Stage:
    """A stage attempt as this executor knows it. `mean_s` is its tasks' mean time, None until one has ended."""

    __slots__ = ("description", "gives", "holders", "mean_s", "number", "pickled")

    def __init__(self, number: int, description: AddStage) -> None:
        self.number = number
        self.description = description
        self.pickled: bytes | None = None
        self.mean_s: float | None = None
        self.holders: set[SlotProcess] = set()
        self.gives = False
        """Whether tasks of it were given resources."""

    def forget(self) -> None:
        """Slots drop it; one that has to run a task of it once more is told it again."""
        for slot in self.holders:
            slot.forget(self)
        self.holders.clear()


class Task:
    """One task attempt. `sequence` numbers the tasks of its slot in the order sent; 0 while it is queued."""

    __slots__ = ("attempt", "cores", "dropped", "given", "partition", "sequence", "slot", "split", "stage", "task_id")

    def __init__(self, task_id: int, stage: Stage, partition: int, attempt: int, split: bytes, cores: int) -> None:
        self.task_id = task_id
        self.stage = stage
        self.partition = partition
        self.attempt = attempt
        self.split = split
        self.cores = cores
        self.sequence = 0
        self.slot: SlotProcess | None = None
        self.dropped = False
        self.given: dict[str, list[str]] | None = None
        """The addresses of resources that it may use, by name."""


class SlotProcess:
    """One incarnation of a slot, from the request for its fork to its end.

    Its watcher gets the slot's envelopes as they come, None when its stream has ended. `garbage` says what its connection carried that
    no slot sends ("": nothing); the watcher is called for that too, and nothing is read any more.
    """

    def __init__(self, loop: Loop, serial: int, slot: int, logs: tuple[LogFile, LogFile], strikes: int) -> None:
        self.serial = serial
        self.slot = slot
        self.strikes = strikes
        self.pid = 0
        self.ready = False
        self.held: dict[int, Task] = {}
        self.stage: Stage | None = None
        self.cores = 0
        self.tasks_ended = 0
        self.heard_at = 0.0
        self.recalling = False
        self.connected = True
        self.closed = False
        self.closed_connection = False
        self.garbage = ""
        self.stopped = False
        self.outgrown = 0
        """How many bytes it held when it was killed for that."""
        self.template_silent = False
        self._stopped_since: float | None = None
        self._cut: tuple[int, float] = (0, 0.0)
        self.kill_reasons: dict[int, str] = {}
        self.killed = False
        self.page = Page.create()
        self.last_lines = last_lines()
        self._loop = loop
        self._sent = 0
        self._unpacker = Unpacker(reports=True)
        self._unsent: deque[memoryview] = deque()
        self._delayed: list[bytes] = []
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        ours.setblocking(False)
        self._connection = ours
        out_read, out_write = os.pipe2(os.O_CLOEXEC)
        error_read, error_write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(out_read, False)
        os.set_blocking(error_read, False)
        self._printed = (Printed(out_read, logs[0], self.last_lines), Printed(error_read, logs[1], self.last_lines))
        self._theirs = [theirs.detach(), out_write, error_write]
        self._watcher: Watcher | None = None

    def descriptors(self) -> list[int]:
        """What the forked slot needs: socket, page, stdout, stderr."""
        return [self._theirs[0], self.page.fd, *self._theirs[1:]]

    def release_descriptors(self) -> None:
        """After they were handed over: only the slot may keep its ends, else we would not see them close."""
        for fd in self._theirs:
            os.close(fd)
        self._theirs = []

    def watch(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._loop.add_reader(self._connection.fileno(), self._read)
        for printed in self._printed:
            self._loop.add_reader(printed.fd, partial(self._read_printed, printed))

    # ---- to the slot ----

    def run(self, stage: Stage, tasks: list[Task]) -> None:
        """Send tasks of one stage (and first the stage itself, if the slot has not had it)."""
        if self not in stage.holders:
            stage.holders.add(self)
            if stage.pickled is None:
                stage.pickled = pickle.dumps(stage.description, 5)
            self._delayed.append(pack((ADD_STAGE, stage.number, stage.pickled)))
        for task in tasks:
            self._sent += 1
            task.sequence = self._sent
            task.slot = self
            self.held[task.task_id] = task
        given = {task.task_id: task.given for task in tasks if task.given} if stage.gives else None
        if given:
            self._delayed.append(pack((GIVEN, stage.number, given)))
        self._send(pack((RUN, stage.number, [(task.task_id, task.partition, task.attempt, task.split) for task in tasks])))

    def forget(self, stage: Stage) -> None:
        """Told with whatever is sent next: a slot that was woken for this would take the processor from those who have work."""
        self._delayed.append(pack((FORGET, stage.number)))

    def forget_dataset(self, dataset_id: int) -> None:
        """Told likewise."""
        self._delayed.append(pack((FORGET_DATASET, dataset_id)))

    def drop_broadcast(self, broadcast_id: int) -> None:
        """Told likewise."""
        self._delayed.append(pack((DROP_BROADCAST, broadcast_id)))

    def send_delayed(self) -> None:
        """Send what has waited for company."""
        if self._delayed:
            self._send(b"")

    def release(self, task_id: int, number: int, payloads: list[bytes], error: str) -> None:
        """Let its running task, which waits at a barrier, go on."""
        self._send(pack((RELEASED, task_id, number, payloads, error)))

    def recall(self) -> None:
        """Ask for all that it holds and has not begun; what was begun is known RECALL_SETTLE_S later (`unbegun`)."""
        self.recalling = True
        self.page.words[RECALLED] = self._sent

    def take_back(self, task: Task) -> None:
        """It does not hold this task any more."""
        del self.held[task.task_id]
        task.sequence = 0
        task.slot = None

    def unbegun(self) -> list[Task]:
        started: int = self.page.words[STARTED]
        return [task for task in self.held.values() if task.sequence > started]

    def begun(self) -> list[Task]:
        """Held, begun, and not known to have ended."""
        started: int = self.page.words[STARTED]
        return [task for task in self.held.values() if task.sequence <= started]

    def running(self) -> Task | None:
        """The task that the slot is in, or was in when it died."""
        return self.held.get(self.page.words[RUNNING])

    def running_since(self) -> float:
        """Unix seconds."""
        started_at: float = self.page.times[STARTED_AT]
        return started_at

    # ---- from the slot ----

    def takes_tasks(self) -> bool:
        return self.ready and self.connected and not self.recalling and not self.killed and not self.kill_reasons

    def last_reports(self) -> list[tuple[Any, ...]]:
        """All that a dead slot has left, in its socket and unsent."""
        envelopes: list[tuple[Any, ...]] = []
        while self.connected and (data := self._receive()):
            envelopes += self._unpack(self._unpacker, data)
            if self.garbage:
                break
        return envelopes + self.unsent_reports()

    def unsent_reports(self) -> list[tuple[Any, ...]]:
        """What it has finished and not sent. May be reported again."""
        unsent = self.page.unsent()
        return self._unpack(Unpacker(reports=True), unsent) if unsent else []

    def stopped_for(self, now: float, is_stopped: bool) -> float:
        """Seconds since looks like this one have found the process stopped, without a look between that did not."""
        if not is_stopped:
            self._stopped_since = None
            return 0.0
        if self._stopped_since is None:
            self._stopped_since = now
        return now - self._stopped_since

    def cut_for(self, now: float) -> float:
        """Seconds since looks like this one have found the same piece of an envelope and nothing behind it. Slots send whole ones."""
        pending = self._unpacker.pending
        if pending != self._cut[0] or self.heard_at > self._cut[1]:
            self._cut = (pending, now)
        return now - self._cut[1] if pending else 0.0

    def finish_output(self) -> None:
        """Take everything printed so far, and end its last line unless a task is at work on it."""
        for printed in self._printed:
            printed.read(until_empty=True)
            if not self.held:
                printed.end_line()

    def disconnect(self) -> None:
        """Stop listening to the socket; the rest stays for the certificate."""
        if self.connected:
            self.connected = False
            fd = self._connection.fileno()
            self._loop.remove_reader(fd)
            if self._unsent:
                self._loop.remove_writer(fd)
                self._unsent.clear()
            self._connection.close()

    def close(self) -> None:
        """Free everything of this incarnation."""
        self.disconnect()
        self.release_descriptors()
        for printed in self._printed:
            self._loop.remove_reader(printed.fd)
            printed.close()
        self.page.close()
        self.closed = True

    def _receive(self) -> bytes | None:
        """b"" at the end of the stream, None when nothing is there."""
        try:
            return self._connection.recv(_RECEIVE)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _read(self) -> None:
        if not self.connected or self._watcher is None:
            return  # Closed by an earlier callback of the same round.
        data = self._receive()
        if data is None:
            return
        if not data:
            self._watcher(self, None)
        else:
            envelopes = self._unpack(self._unpacker, data)
            if envelopes or self.garbage:
                self._watcher(self, envelopes)

    def _unpack(self, unpacker: Unpacker, data: bytes) -> list[tuple[Any, ...]]:
        try:
            return unpacker.feed(data)
        except Malformed as error:
            self.garbage = str(error)
            return error.before

    def _read_printed(self, printed: Printed) -> None:
        if not self.closed and not printed.read():
            self._loop.remove_reader(printed.fd)

    def _send(self, data: bytes) -> None:
        if not self.connected:
            return
        if self._delayed:
            data = b"".join((*self._delayed, data))
            self._delayed.clear()
        if not self._unsent:
            try:
                sent = self._connection.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                return  # The stream's end comes to the reader.
            if sent == len(data):
                return
            self._loop.add_writer(self._connection.fileno(), self._write)
            self._unsent.append(memoryview(data)[sent:])
        else:
            self._unsent.append(memoryview(data))

    def _write(self) -> None:
        try:
            while self._unsent:
                sent = self._connection.send(self._unsent[0])
                if sent == len(self._unsent[0]):
                    self._unsent.popleft()
                else:
                    self._unsent[0] = self._unsent[0][sent:]
        except BlockingIOError:
            return
        except OSError:
            self._unsent.clear()
        self._loop.remove_writer(self._connection.fileno())


def in_order(tasks: Iterable[Task]) -> list[Task]:
    """As they were sent."""
    return sorted(tasks, key=lambda task: task.sequence)
