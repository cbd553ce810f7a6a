"""The supervisor's side of the template process: start it, ask it for forks and kills, hear about slots' ends."""

from __future__ import annotations

import fcntl
import marshal
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from quiver_executor.envelopes import FORK, FORK_FAILED, FORKED, KILL, PACKET_LIMIT, SIGNALLED, UP
from quiver_executor.output import LogFile, Printed, last_lines
from quiver_executor.process_tree import kill_tree, stopped
from quiver_executor.timers import Timers
from quiver_proto.loop import Loop

_CONTROL = 3
_END_WITHIN_S = 5.0
_LOOK_EVERY_MS = 50
_ANSWERS = (FORKED, FORK_FAILED, SIGNALLED)


class TemplateProcess:
    """One template. `on_message` gets its messages, None when its end has come (then call `close`).

    `on_silence` is called when it has not answered a request within `answer_within_s` seconds (it is stopped, or stuck): it is of no
    use any more.
    """

    def __init__(
        self,
        loop: Loop,
        log: LogFile,
        body: str,
        environment: dict[str, str],
        settings: dict[str, Any],
        on_message: Callable[[tuple[Any, ...] | None], None],
        on_silence: Callable[[], None],
        answer_within_s: float,
    ) -> None:
        """Start it and return at once. OSError when the interpreter can't be started."""
        self._loop = loop
        self._on_message = on_message
        self._on_silence = on_silence
        self._answer_within_s = answer_within_s
        self._timers = Timers(loop)
        self._unanswered: deque[float] = deque()
        self._awaiting = False
        self._unsent: deque[tuple[bytes, list[int]]] = deque()
        self.last_lines = last_lines()
        self.up = False
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        read, write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(read, False)
        ours.setblocking(False)
        self._control = ours
        self._printed = Printed(read, log, self.last_lines)
        # Not 0 to 3, which the child's own descriptors become one after the other.
        control = fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD_CLOEXEC, 10)
        output = fcntl.fcntl(write, fcntl.F_DUPFD_CLOEXEC, 10)
        theirs.close()
        os.close(write)
        try:
            self.pid = _spawn(
                [sys.executable or "python3", "-P", "-m", "quiver_executor.template", str(os.getpid()), body], environment, control, output
            )
        except OSError:
            ours.close()
            self._printed.close()
            raise
        finally:
            os.close(control)
            os.close(output)
        self._send(marshal.dumps(settings), [])
        loop.add_reader(ours.fileno(), self._read)
        loop.add_reader(read, self._read_printed)

    def fork(self, serial: int, slot: int, descriptors: Sequence[int]) -> None:
        """Ask for a slot. The descriptors are duplicated: the caller may close its own at once."""
        self._ask(marshal.dumps((FORK, serial, slot)), list(descriptors))

    def kill(self, serial: int) -> None:
        """Ask for a slot's end, with all its descendants. No effect when it has ended."""
        self._ask(marshal.dumps((KILL, serial)), [])

    def kill_itself(self) -> None:
        """SIGKILL the template and all below it; `on_message(None)` follows. No effect after `close`."""
        if self._control.fileno() >= 0:
            kill_tree(self.pid)

    def finish_output(self) -> None:
        self._printed.read(until_empty=True)
        self._printed.end_line()

    def close(self) -> int | None:
        """End the template and everything below it, and reap it: its wait status (None when someone else took it)."""
        if self._control.fileno() < 0:
            return None
        self._timers.cancel()
        self._loop.remove_reader(self._control.fileno())
        self._loop.remove_reader(self._printed.fd)
        if self._unsent:
            self._loop.remove_writer(self._control.fileno())
            for _, fds in self._unsent:
                _close_all(fds)
        try:
            # Not only close: a child that the user's process forked meanwhile holds a copy of this end.
            self._control.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._control.close()
        status = _reap(self.pid, _END_WITHIN_S)
        self.finish_output()
        self._printed.close()
        return status

    def _read(self) -> None:
        while self._control.fileno() >= 0:
            try:
                packet = self._control.recv(PACKET_LIMIT)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._on_message(None)
                return
            self.up = True
            message = marshal.loads(packet)
            if message[0] in _ANSWERS:
                if self._unanswered:
                    self._unanswered.popleft()
            elif message[0] == UP:
                # What was asked while it started could not be answered.
                self._unanswered = deque([time.monotonic()] * len(self._unanswered))
                self._await_answer()
            self._on_message(message)

    def _read_printed(self) -> None:
        if self._control.fileno() >= 0 and not self._printed.read():
            self._loop.remove_reader(self._printed.fd)

    def _ask(self, packet: bytes, fds: list[int]) -> None:
        self._unanswered.append(time.monotonic())
        self._send(packet, fds)
        self._await_answer()

    def _await_answer(self) -> None:
        if self._unanswered and self.up and not self._awaiting:
            self._awaiting = True
            self._timers.later(max(0.0, self._unanswered[0] + self._answer_within_s - time.monotonic()), self._look_for_answer)

    def _look_for_answer(self) -> None:
        self._awaiting = False
        self._read()  # We may have been the ones who were kept: what has come meanwhile counts.
        if self._control.fileno() < 0:
            return
        if self._unanswered and time.monotonic() - self._unanswered[0] >= self._answer_within_s:
            self._unanswered.clear()
            self._on_silence()
        else:
            self._await_answer()

    def _send(self, packet: bytes, fds: list[int]) -> None:
        if not self._unsent:
            try:
                socket.send_fds(self._control, [packet], fds)
                return
            except BlockingIOError:
                self._loop.add_writer(self._control.fileno(), self._write)
            except OSError:
                return  # The end of the socket comes to the reader.
        self._unsent.append((packet, [os.dup(fd) for fd in fds]))

    def _write(self) -> None:
        while self._unsent:
            packet, fds = self._unsent[0]
            try:
                socket.send_fds(self._control, [packet], fds)
            except BlockingIOError:
                return
            except OSError:
                pass
            self._unsent.popleft()
            _close_all(fds)
        self._loop.remove_writer(self._control.fileno())


def _spawn(arguments: list[str], environment: dict[str, str], control: int, output: int) -> int:
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, output, 2),
        (os.POSIX_SPAWN_DUP2, control, _CONTROL),
    ]
    # Its own session: a terminal's Ctrl-C is for the user's program, which then cancels tasks as it wants.
    return os.posix_spawnp(
        arguments[0],
        arguments,
        environment,
        file_actions=actions,
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE],
    )


def _reap(pid: int, within_s: float) -> int | None:
    deadline = time.monotonic() + within_s
    try:
        watch = os.pidfd_open(pid)
    except OSError:
        watch = -1  # Gone, or a kernel without pidfds; the end of its control socket ends it.
    if watch >= 0:
        poll = select.poll()
        poll.register(watch, select.POLLIN)
        while not poll.poll(_LOOK_EVERY_MS):
            if stopped(pid) or time.monotonic() > deadline:
                kill_tree(pid)
                break
        os.close(watch)
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:
        return None


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
