"""A node daemon's directory, and the sweep of those that dead daemons left.

    <local dir>/.sweep                      locked while directories are made or swept
    <local dir>/<node id>/lock              locked by the daemon as long as it lives; the kernel frees it however it dies
    <local dir>/<node id>/<application id>/ blocks
    /dev/shm/quiver-<user id>/<node id>/<application id>/   cached blocks in memory (see memory_directory)
    <local dir>/<node id>/logs/<application id>/<number>/   an executor's logs

A directory whose lock can be taken belongs to nobody any more and is removed. Only directories named as `new_node_id` names them
and holding a `lock` are ever looked at, so that a wrong `--local-dir` costs no one his files.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from quiver_executor.cached_paths import remove_all
from quiver_executor.memory_directory import MemoryDirectory
from quiver_proto.errors import BadSetting
from quiver_proto.ids import ApplicationId, ExecutorId, NodeId

_LOCK = "lock"
_SWEEP = ".sweep"
_LOGS = "logs"


@dataclass(frozen=True, slots=True)
class Swept:
    """One dead daemon's directory that was removed: how many bytes its files had."""

    path: Path
    bytes: int


class NodeDirectory:
    """The directory of a living daemon. `create` sweeps first; `remove` deletes it and frees the lock."""

    def __init__(self, path: Path, lock: int, swept: tuple[Swept, ...], memory: MemoryDirectory) -> None:
        self.path = path
        self.memory = memory
        self.swept = swept
        self._lock: int | None = lock

    @classmethod
    def create(cls, local_dir: Path, node_id: NodeId, shared_memory: str = "") -> NodeDirectory:
        """Make `<local_dir>/<node_id>`, mode 0700, and hold its lock; its twin below `shared_memory` ("": without).

        Raises BadSetting when the local dir can't be used.
        """
        try:
            local_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            _refuse_strangers(local_dir)
            with _alone(local_dir):
                swept = tuple(_sweep(local_dir))
                path = local_dir / node_id
                path.mkdir(mode=0o700)
                lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BadSetting("local_dir", str(local_dir), f"{error.strerror or error}. Choose a writable directory.") from error
        return cls(path, lock, swept, MemoryDirectory.create(node_id, shared_memory))

    def blocks(self, application_id: ApplicationId) -> Path:
        """The application's block directory, made when it is not there."""
        path = self.blocks_path(application_id)
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def blocks_path(self, application_id: ApplicationId) -> Path:
        """Where `blocks` is or would be. Raises BadSetting for an id that can't name a directory."""
        return self.path / _one_name(application_id)

    def executor_logs(self, application_id: ApplicationId, executor_id: ExecutorId) -> Path:
        """The directory of one executor's logs, made when it is not there."""
        path = self.path / _LOGS / _one_name(application_id) / executor_id.rsplit("/", 1)[-1]
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def remove_blocks(self, application_id: ApplicationId) -> int:
        """Delete the application's blocks; how many bytes that freed. Doing it again frees none."""
        self.memory.remove_blocks(_one_name(application_id))
        return _remove_tree(self.path / _one_name(application_id))

    def remove_cached(self, executor_id: ExecutorId) -> None:
        """Delete the cached blocks of an executor that has ended."""
        application_id = _one_name(executor_id.rsplit("/", 1)[0])
        memory_dir = os.path.join(self.memory.path, application_id) if self.memory.path else ""
        remove_all(memory_dir, str(self.path / application_id), executor_id)

    def remove_logs(self, application_id: ApplicationId) -> None:
        _remove_tree(self.path / _LOGS / _one_name(application_id))

    def remove(self) -> int:
        """Delete everything and free the lock; how many bytes that freed."""
        self.memory.remove()
        freed = _remove_tree(self.path)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        return freed


def log_tail(path: Path, limit: int = 4096) -> str:
    """The last whole lines of a log, at most `limit` bytes of them; empty when there is none."""
    try:
        with path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - limit))
            tail = log.read(limit)
    except OSError:
        return ""
    if size > limit:
        tail = tail.split(b"\n", 1)[-1]
    return tail.decode("utf-8", "replace").rstrip()


def disk_used(path: Path) -> int:
    """Bytes in all files below `path`; links are not followed."""
    size = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                size += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue
    return size


def _refuse_strangers(path: Path) -> None:
    # Another user who owns the directory could swap what is in it for links into our files.
    info = path.stat()
    if info.st_uid not in (os.geteuid(), 0):
        raise PermissionError(0, f"it belongs to user {info.st_uid}")
    if info.st_mode & stat.S_IWOTH and not info.st_mode & stat.S_ISVTX:
        raise PermissionError(0, "everyone may write to it")


@contextmanager
def _alone(local_dir: Path) -> Iterator[None]:
    fd = os.open(local_dir / _SWEEP, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _sweep(local_dir: Path) -> Iterator[Swept]:
    for entry in os.scandir(local_dir):
        if not entry.name.startswith("node-") or not entry.is_dir(follow_symlinks=False):
            continue
        try:
            fd = os.open(os.path.join(entry.path, _LOCK), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        else:
            yield Swept(Path(entry.path), _remove_tree(Path(entry.path)))
        finally:
            os.close(fd)


def _remove_tree(path: Path) -> int:
    size = disk_used(path)
    shutil.rmtree(path, ignore_errors=True)
    return size


def _one_name(text: str) -> str:
    if not text or text.startswith(".") or "/" in text or "\0" in text or text in (_LOGS, _LOCK):
        raise BadSetting("application_id", text, "must be usable as the name of one directory")
    return text
