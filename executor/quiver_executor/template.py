"""The template: a warm interpreter without threads that does nothing but fork slots, kill them and tell how they ended.

    python -P -m quiver_executor.template PARENT_PID BODY_MODULE [--bare]

Its control socket is descriptor 3. It ends, and takes every slot and their descendants along, when the supervisor's process ends (its
pidfd), when the control socket reaches its end, or both; so nobody survives a SIGKILL of the process above. PR_SET_PDEATHSIG is not
used here because it follows the *thread* that started us, which may be a user's short-lived one; slots use it, as our only thread
forks them.

Before the first fork it imports only what every task needs: a first result waits for nothing else (pyarrow and cloudpickle here cost
it 0.1 s of 0.4). The libraries that shuffles and closures need follow once it has been left alone for a moment; the first
slots import them when they need them, later ones are born with them. A library that starts a thread when imported would make forking
unsafe: then the template replaces itself by one that imports nothing (`--bare`), or says so instead of forking.
"""

from __future__ import annotations

import gc
import importlib
import marshal
import os
import select
import signal
import socket
import sys
import types
from typing import Any

from quiver_executor import kernel
from quiver_executor.envelopes import EXITED, FORK, FORK_FAILED, FORKED, KILL, PACKET_LIMIT, SIGNALLED, UP

CONTROL = 3
_LOOK_EVERY_MS = 1000
WARM = ("quiver_executor.slot",)
WARM_LATER = ("cloudpickle", "pyarrow", "pyarrow.ipc")
WARM_LATER_AFTER_MS = 1000
WARM_WORN = ("datafusion", "quiver_executor.fragment")
"""When a slot is worn out it was by the relational kernel: the slots after it have it from the start, half a CPU second each."""
_WORN_OUT = 75
"""The exit code of such a slot."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
SERIAL = "QUIVER_SLOT_SERIAL"
"""Environment variable of slots: their descendants inherit it, so they can be found when the slot is gone."""


class Template:
    """The forking loop."""

    def __init__(self, control: socket.socket, parent: int, settings: dict[str, Any]) -> None:
        self._control = control
        self._parent = parent
        self._settings = settings
        self._slots: dict[int, int] = {}
        self._pids: dict[int, int] = {}
        self._me = os.getpid()

    def serve(self) -> None:
        """Until the supervisor goes. Never returns in a forked slot."""
        kernel.adopt_orphans()
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        parent = _watch(self._parent)
        self._private = tuple(fd for fd in (wake_read, wake_write, parent) if fd >= 0)
        poll = select.poll()
        for fd in (CONTROL, wake_read, parent):
            if fd >= 0:
                poll.register(fd, select.POLLIN)
        self._send((UP, self._me))
        self._reap()
        warm = False
        while os.getppid() == self._parent:
            ready = {fd for fd, _ in poll.poll(WARM_LATER_AFTER_MS if not warm else None if parent >= 0 else _LOOK_EVERY_MS)}
            if not ready and not warm:
                warm = True
                self._warm(WARM_LATER)
            if wake_read in ready:
                os.read(wake_read, 4096)
                self._reap()
            if CONTROL in ready and not self._obey():
                return

    def end(self) -> None:
        """Kill every slot and whatever descended from them."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for pid in self._slots:
            _kill_group(pid)
        while left := kernel.children(self._me):
            for pid in left:
                _kill_group(pid)
                _kill(pid)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return

    def _obey(self) -> bool:
        packet, fds, _, _ = socket.recv_fds(self._control, PACKET_LIMIT, 4)
        if not packet:
            return False
        request = marshal.loads(packet)
        if request[0] == FORK:
            self._fork(request[1], request[2], fds)
        elif request[0] == KILL:
            pid = self._pids.get(request[1])
            if pid is not None:
                _kill_group(pid)
            self._send((SIGNALLED, request[1]))
        return True

    def _fork(self, serial: int, slot: int, fds: list[int]) -> None:
        for fd in fds:
            os.set_inheritable(fd, False)
        if kernel.threads() != 1:
            raise RuntimeError("the template has more than one thread: a fork would not be safe")
        try:
            pid = os.fork()
        except OSError as error:
            self._send((FORK_FAILED, serial, str(error)))
            for fd in fds:
                os.close(fd)
            return
        if pid == 0:
            self._become_slot(serial, slot, fds)
        for fd in fds:
            os.close(fd)
        self._slots[pid] = serial
        self._pids[serial] = pid
        self._send((FORKED, serial, pid))

    def _become_slot(self, serial: int, slot: int, fds: list[int]) -> None:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            kernel.die_with_parent(self._me)
            os.setsid()
            os.environ[SERIAL] = str(serial)
            for fd in self._private:
                os.close(fd)
            self._control.close()
            from quiver_executor import slot as slots

            code = _WORN_OUT if slots.main(serial, slot, fds, self._settings) else 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)

    def _reap(self) -> None:
        while True:
            try:
                # WNOWAIT: until wait4 below, the dead slot's process id, and so the name of its group, can't be given to another.
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                break
            pid = ended.si_pid
            serial = self._slots.pop(pid, None)
            if serial is not None:
                del self._pids[serial]
                _kill_group(pid)
            _, status, usage = os.wait4(pid, 0)
            if os.waitstatus_to_exitcode(status) == _WORN_OUT:
                self._warm(WARM_WORN)
            if serial is not None:
                self._remove_scratch(os.path.join(self._settings["scratch_root"], str(serial)))
                self._send((EXITED, serial, status, usage.ru_maxrss * 1024))
        self._kill_orphans()

    def _warm(self, names: tuple[str, ...]) -> None:
        """Slots from now on have these modules."""
        # Where numeric libraries may have threads they start them when imported, and forking would not be safe any more.
        if all(os.environ.get(name, "1") == "1" for name in _THREADS) and not all(name in sys.modules for name in names):
            _import(*names)
            gc.collect()
            gc.freeze()

    def _remove_scratch(self, path: str) -> None:
        """Spills of the task that died. By a child, because removing many gigabytes takes a while."""
        if os.path.isdir(path) and os.fork() == 0:
            try:
                import shutil

                shutil.rmtree(path, ignore_errors=True)
            finally:
                os._exit(0)

    def _kill_orphans(self) -> None:
        """End what a dead slot's tasks had started in sessions of their own. A living slot's daemons stay."""
        for pid in kernel.children(self._me):
            if pid not in self._slots:
                serial = kernel.environment(pid, SERIAL)
                if serial and int(serial) not in self._pids:
                    _kill_group(pid)
                    _kill(pid)

    def _send(self, message: tuple[Any, ...]) -> None:
        try:
            self._control.send(marshal.dumps(message))
        except OSError:
            pass  # The supervisor is gone; the loop finds out from its pidfd or the socket's end.


def _watch(pid: int) -> int:
    """A descriptor that becomes readable when the process ends; -1 where the kernel has none."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        _kill(pid)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _import(*names: str) -> None:
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            pass  # The slots' own import tells, with its traceback in the log.


def main() -> None:
    """Serve the supervisor whose process id and body module are the arguments."""
    parent, body = int(sys.argv[1]), sys.argv[2]
    gc.disable()
    if "--bare" not in sys.argv:
        _import(*WARM, body)
        if kernel.threads() != 1:
            os.execv(sys.executable, [sys.executable, "-P", "-m", "quiver_executor.template", str(parent), body, "--bare"])
    os.set_inheritable(CONTROL, False)
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > CONTROL:
            try:
                os.close(fd)  # The user's program may have made some inheritable: not for us, and not for slots.
            except OSError:
                pass  # The listing's own.
    control = socket.socket(fileno=CONTROL)
    packet = control.recv(PACKET_LIMIT)
    if not packet:
        return
    settings = marshal.loads(packet)
    if settings["working_dir"]:
        os.chdir(settings["working_dir"])
    sys.path.extend(path for path in settings["python_path"] if path not in sys.path)
    sys.modules["__main__"] = types.ModuleType("__main__")
    gc.collect()
    gc.freeze()
    template = Template(control, parent, settings)
    try:
        template.serve()
    finally:
        template.end()


if __name__ == "__main__":
    # Under its own name, so that no user's object can be mistaken for one of this module's as `__main__`.
    from quiver_executor.template import main as _main

    _main()
