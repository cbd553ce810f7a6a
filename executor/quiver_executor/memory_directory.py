"""A directory in shared memory for cached blocks, and the sweep of those that dead processes left.

    /dev/shm/quiver-<user id>/.sweep          locked while directories are made or found dead
    /dev/shm/quiver-<user id>/<owner>/lock    locked by the owner (a node daemon, a local driver) as long as it lives

As in node_directory, a directory whose lock can be taken belongs to nobody any more. What is left there is memory lost to the machine,
so every start sweeps. Where there is no shared memory, or another user has taken our name there, blocks are on disk instead.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import stat
from typing import Final

SHARED_MEMORY: Final = "/dev/shm"
SMALLEST: Final = 256 << 20
"""Bytes of shared memory. Containers often have 64 MiB of it: files on disk, which the system keeps in memory too, hold more."""
_LOCK = "lock"
_SWEEP = ".sweep"
_DEAD = ".dead-"

_log = logging.getLogger("quiver.executor")


class MemoryDirectory:
    """`path` is "" where there is no shared memory. `remove` deletes it and frees the lock."""

    def __init__(self, path: str, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def create(cls, owner: str, root: str = SHARED_MEMORY) -> MemoryDirectory:
        """Make and lock the directory of `owner`, a name never used before; sweep. Never raises."""
        if not _is_usable(root):
            return cls("", -1)
        ours = os.path.join(root, f"quiver-{os.getuid()}")
        try:
            os.makedirs(ours, mode=0o700, exist_ok=True)
            status = os.lstat(ours)
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
                raise PermissionError(0, "it is not a directory of ours alone")
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            sweep = os.open(os.path.join(ours, _SWEEP), flags, 0o600)
            try:
                fcntl.flock(sweep, fcntl.LOCK_EX)
                dead = _find_dead(ours)
                path = os.path.join(ours, owner)
                os.mkdir(path, 0o700)
                lock = os.open(os.path.join(path, _LOCK), flags, 0o600)
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            finally:
                os.close(sweep)
        except OSError as error:
            _log.warning("no shared memory for cached partitions, they are kept on disk: %s: %s", ours, error.strerror or error)
            return cls("", -1)
        for one in dead:
            shutil.rmtree(one, ignore_errors=True)
        return cls(path, lock)

    def blocks(self, application_id: str) -> str:
        """One application's directory in it, made when it is not there; "" where there is no shared memory."""
        if not self.path:
            return ""
        path = os.path.join(self.path, application_id)
        os.makedirs(path, mode=0o700, exist_ok=True)
        return path

    def remove_blocks(self, application_id: str) -> None:
        if self.path:
            shutil.rmtree(os.path.join(self.path, application_id), ignore_errors=True)

    def remove(self) -> None:
        """Twice does nothing."""
        if self.path:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self.path, self._lock = "", -1


def _is_usable(root: str) -> bool:
    try:
        size = os.statvfs(root)
    except OSError:
        return False
    return size.f_frsize * size.f_blocks >= SMALLEST and os.access(root, os.W_OK)


def _find_dead(ours: str) -> list[str]:
    """Directories whose owners are gone, renamed so that nobody else takes them for his."""
    dead: list[str] = []
    with os.scandir(ours) as entries:
        found = [(entry.name, entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    for name, path in found:
        if name.startswith(_DEAD):
            dead.append(path)
            continue
        try:
            lock = os.open(os.path.join(path, _LOCK), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            away = os.path.join(ours, f"{_DEAD}{os.urandom(8).hex()}")
            os.rename(path, away)
            dead.append(away)
        except OSError:
            continue
        finally:
            os.close(lock)
    return dead
