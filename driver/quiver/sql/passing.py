"""Folders of the driver for as long as a relation or a plan lives, which not even a SIGKILL leaves behind for good."""

from __future__ import annotations

import atexit
import os
import secrets
import tempfile
import threading

from quiver.runner.workdir import WorkDir, default_root

_lock = threading.Lock()
_of_processes: dict[int, WorkDir] = {}


def passing_folder(prefix: str) -> str:
    """A new folder, whose name begins so. It goes with the process at the latest; of a process that was killed, when a later one asks for
    its first. Raises BadSetting when the user has no folder for temporary files.
    """
    pid = os.getpid()
    with _lock:
        home = _of_processes.get(pid)
        if home is None:
            home = _of_processes[pid] = WorkDir(default_root(), f"app-passing-{secrets.token_hex(8)}")
            atexit.register(_closed, home, pid)
            home.sweep()
    return tempfile.mkdtemp(prefix=prefix, dir=home.path)


def _closed(home: WorkDir, pid: int) -> None:
    if os.getpid() == pid:  # A fork's exit is not that of the process.
        home.close()
