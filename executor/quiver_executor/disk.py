"""The application's room on this node's disk."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

from quiver_executor.environment import SlotEnvironment
from quiver_proto.errors import DiskFull, QuotaExceeded

_FRESH_S = 1.0


_LEDGER = ".usage"
"""In the application's directory: what it uses there, as its slots agree on it."""
_ROW = struct.Struct("<dq")


def used_bytes(directory: str) -> int:
    """Of all files below `directory`, by their length; what vanishes meanwhile counts nothing."""
    total = 0
    pending = [directory]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(entry.path)
                        elif entry.name != _LEDGER:
                            total += entry.stat(follow_symlinks=False).st_size
                    except OSError:
                        continue
        except OSError:
            continue
    return total


def claim(env: SlotEnvironment, size: int, descriptor: int = -1) -> None:
    """To be called before `size` more bytes are written for the application. Raises QuotaExceeded.

    With a `descriptor`, that file is made longer by `size` at once, so that whoever measures sees what is still to be written.
    All slots of the node add to one number; the directory is measured when that is a second old, and always before a claim is refused:
    QuotaExceeded tells what is on disk then, and what was asked for on top. Files without a name (spills) are seen by the slot that has
    them only, so several slots together may exceed the quota by what the others spill at that moment, and by claims without a descriptor
    that were made but not yet written when it was measured.
    """
    quota = env.quota_bytes
    if not quota:
        return
    nameless = _nameless_bytes(env)
    with _ledger(env.blocks_dir) as ledger:
        now = time.monotonic()
        measured_at, used = _recorded(ledger)
        if not 0 <= now - measured_at <= _FRESH_S or used + nameless + size > quota:
            measured_at, used = now, used_bytes(env.blocks_dir)
        if used + nameless + size > quota:
            _record(ledger, measured_at, used)
            raise QuotaExceeded(env.blocks_dir, used + nameless + size, quota)
        if descriptor >= 0:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size + size)
        _record(ledger, measured_at, used + size)


@contextmanager
def _ledger(directory: str) -> Iterator[int]:
    """The ledger's descriptor, locked; -1 where it can't be had: then every claim measures."""
    try:
        descriptor = os.open(os.path.join(directory, _LEDGER), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError:
        yield -1
        return
    try:
        # The lock ends with its holder, however that ends.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _recorded(ledger: int) -> tuple[float, int]:
    """When the directory was measured, and its bytes since then; a time long ago where that is not known."""
    try:
        measured_at, used = _ROW.unpack(os.pread(ledger, _ROW.size, 0))
    except (OSError, struct.error):
        return float("-inf"), 0
    return measured_at, used


def _record(ledger: int, measured_at: float, used: int) -> None:
    try:
        os.pwrite(ledger, _ROW.pack(measured_at, used), 0)
    except OSError:
        pass


def _nameless_bytes(env: SlotEnvironment) -> int:
    """Of files in the application's directories that this process has open and that have no name any more."""
    places = (os.path.join(env.blocks_dir, ""), os.path.join(env.scratch_dir, ""))
    total = 0
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return 0
    for name in names:
        try:
            status = os.fstat(int(name))
            if status.st_nlink == 0 and stat.S_ISREG(status.st_mode) and os.readlink(f"/proc/self/fd/{name}").startswith(places):
                total += status.st_size
        except OSError:
            continue
    return total


@contextmanager
def explained(env: SlotEnvironment, path: str, output: bool = False) -> Iterator[None]:
    """Turns "no space left on device" into DiskFull with what the application uses there. `output`: a file that the job is to make."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            used = 0 if output else used_bytes(env.blocks_dir)
            raise DiskFull(os.path.dirname(path), used, error.strerror or str(error), output) from None
        raise


@contextmanager
def written_whole(env: SlotEnvironment, path: str, takes_long: bool = False) -> Iterator[str]:
    """The name under which to write a file: it is called `path` when the block ends, and removed when that raises. Raises DiskFull.

    `takes_long`: the slot may well be killed while it is written.
    """
    unfinished = unfinished_path(env, path) if takes_long else f"{path}.tmp"
    try:
        with explained(env, path):
            yield unfinished
            put_in_place(unfinished, path)
    except BaseException:
        remove_quietly(unfinished)
        raise


def unfinished_path(env: SlotEnvironment, path: str) -> str:
    """Where to write the file that is to be `path`: in the slot's scratch directory, which goes with its process, however that ends."""
    return os.path.join(env.scratch_dir, f"{os.path.basename(path)}.tmp")


def put_in_place(unfinished: str, path: str) -> None:
    """Give a file its name, in a directory that may not be there yet."""
    try:
        os.rename(unfinished, path)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        os.rename(unfinished, path)


def remove_quietly(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
