"""How a process ends with the one that started it, even when that one is killed with SIGKILL.

    python -m quiver_proto.lifeline <parent pid> -m <module> [arguments]

runs a daemon's module so that it drains when its parent is gone. The parent's pidfd is watched, which (unlike the kernel's
parent-death signal) does not mistake the end of the thread that forked for the end of the process, and (unlike an inherited
pipe) does not depend on who else holds the other end. `die_with_parent` is the parent-death signal, for processes forked by a
thread that lives as long as its process.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import select
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
_DRAIN_S = 5.0


def die_with_parent(parent_pid: int, signal_number: int = signal.SIGKILL) -> None:
    """From now on this process gets `signal_number` when its parent ends; it exits at once when `parent_pid` is gone already.

    On systems without prctl only the latter.
    """
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
    except (OSError, AttributeError):
        pass
    if os.getppid() != parent_pid:
        os._exit(1)


def drain_with_parent(parent_pid: int) -> None:
    """Watch the parent in a thread: when it ends, this process gets SIGTERM, and SIGKILL when it is still there 5 s later."""
    threading.Thread(target=_watch, args=(parent_pid,), name="lifeline", daemon=True).start()


def _watch(parent_pid: int) -> None:
    _wait_for_end(parent_pid)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_DRAIN_S)
    os.kill(os.getpid(), signal.SIGKILL)


def _wait_for_end(parent_pid: int) -> None:
    try:
        fd = os.pidfd_open(parent_pid)
    except (OSError, AttributeError):
        while os.getppid() == parent_pid:
            time.sleep(0.5)
        return
    # The pid may have been given to another process before it was opened: only while it is our parent's is the pidfd the right one.
    if os.getppid() == parent_pid:
        select.select([fd], [], [])
    os.close(fd)


def command_line(parent_pid: int, module: str) -> list[str]:
    """Starts `module` so that it drains when `parent_pid`, which must be the process that starts it, ends."""
    return [sys.executable, "-P", "-m", "quiver_proto.lifeline", str(parent_pid), "-m", module]


def main() -> None:
    parent_pid, module = int(sys.argv[1]), sys.argv[3]
    sys.argv = [module, *sys.argv[4:]]
    drain_with_parent(parent_pid)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
