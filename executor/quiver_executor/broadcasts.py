"""Broadcast values in a slot: where a stage's tasks get them, and what stays open between stages.

    the driver's own file   where it is on this machine, once its checksums were compared
    the node's copy         elsewhere: one slot of the node fetches it, the others wait for the lock and map what it got

Either is compared or fetched once on a node: files in the application's directory, `broadcasts/<id>` and, beside it, `<id>.lock` and
`<id>.checked` (which of the driver's files was compared), tell the next slot.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from quiver_executor.disk import claim, explained, remove_quietly
from quiver_executor.environment import SlotEnvironment
from quiver_proto import broadcast, broadcast_file
from quiver_proto.broadcast_file import file_path, pieces_of
from quiver_proto.errors import BroadcastNotLoaded
from quiver_proto.host import this_machine
from quiver_proto.messages import BroadcastTable

_opening = threading.RLock()
_stages: weakref.WeakSet[StageBroadcasts] = weakref.WeakSet()
CONTENT = ".d"
_LOCK, _CHECKED = ".lock", ".checked"
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class StageBroadcasts:
    """A stage's broadcasts: implements quiver_proto.broadcast.Source. `servers` are the other nodes' block servers."""

    def __init__(self, tables: Mapping[int, BroadcastTable], env: SlotEnvironment, servers: Mapping[str, str]) -> None:
        self.tables = tables
        self._env = env
        self._servers = servers
        _stages.add(self)

    def open(self, broadcast_id: int) -> Any:
        """The value, kept open until `drop`. See Source.open for what it raises."""
        table = self.tables.get(broadcast_id)
        if table is None:
            raise BroadcastNotLoaded(broadcast_id)
        with _opening:
            if broadcast_id not in broadcast.values:
                descriptor, path = _file_of(table, self._env, self._servers)
                try:
                    broadcast.values[broadcast_id] = broadcast_file.load(descriptor, table.size, path)
                finally:
                    os.close(descriptor)
            return broadcast.values[broadcast_id]


def drop(broadcast_id: int) -> None:
    """This process lets go of the value; its next use opens it again."""
    broadcast.values.pop(broadcast_id, None)


def drop_unneeded() -> None:
    """As `drop`, for every value that no open stage refers to."""
    needed = {broadcast_id for stage in _stages for broadcast_id in stage.tables}
    for broadcast_id in broadcast.values.keys() - needed:
        drop(broadcast_id)


def remove(blocks_dir: str, broadcast_id: int) -> None:
    """Delete the node's copy, also while it is being fetched."""
    path = file_path(blocks_dir, broadcast_id)
    for name in (path, path + _CHECKED, path + _LOCK):
        remove_quietly(name)
    # What an added file was made into (see shared_files).
    shutil.rmtree(path + CONTENT, ignore_errors=True)


def _file_of(table: BroadcastTable, env: SlotEnvironment, servers: Mapping[str, str]) -> tuple[int, str]:
    """A descriptor of a file that holds the value, whole and checked, and its path."""
    if table.host == this_machine():
        descriptor = _checked_original(table, env)
        if descriptor >= 0:
            return descriptor, table.path
    path = file_path(env.blocks_dir, table.broadcast_id)
    with _locked(path, env):
        descriptor = _copy(path, table, env)
        try:
            from quiver_executor.broadcast_fetch import complete

            complete(descriptor, table, env, servers)
        except BaseException:
            os.close(descriptor)
            raise
    return descriptor, path


def _checked_original(table: BroadcastTable, env: SlotEnvironment) -> int:
    """The driver's file, opened; -1 when it is not here, or not what the table says."""
    try:
        descriptor = os.open(table.path, _READ)
    except OSError:
        return -1
    if _is_right(descriptor, table, env):
        return descriptor
    os.close(descriptor)
    return -1


def _is_right(descriptor: int, table: BroadcastTable, env: SlotEnvironment) -> bool:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size != table.size + pieces_of(table.size, table.piece_bytes):
        return False
    stamp = f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}".encode()
    path = file_path(env.blocks_dir, table.broadcast_id)
    if _content(path + _CHECKED) == stamp:
        return True
    with _locked(path, env):
        if _content(path + _CHECKED) == stamp:
            return True
        if not broadcast_file.has_sums(descriptor, table.size, table.piece_bytes, table.checksums):
            return False
        # Renamed, so that it is whole when it is there.
        staged = f"{path}{_CHECKED}-{os.getpid()}"
        with open(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(stamp)
        os.rename(staged, path + _CHECKED)
        return True


def _copy(path: str, table: BroadcastTable, env: SlotEnvironment) -> int:
    """The node's copy, opened; a new one has its full length and no piece. Raises QuotaExceeded, DiskFull."""
    length = table.size + pieces_of(table.size, table.piece_bytes)
    with explained(env, path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            there = os.fstat(descriptor).st_size
            if there != length:
                os.ftruncate(descriptor, 0)
                if env.quota_bytes:
                    claim(env, length, descriptor)
                os.posix_fallocate(descriptor, 0, length)
        except BaseException:
            os.close(descriptor)
            remove_quietly(path)
            raise
    return descriptor


@contextmanager
def _locked(path: str, env: SlotEnvironment) -> Iterator[None]:
    """One slot of the node at a time. The lock ends with its holder, however that ends."""
    with explained(env, path):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        lock = os.open(path + _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
