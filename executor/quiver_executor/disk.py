"""The application's room on this node's disk."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from quiver_executor.environment import SlotEnvironment
from quiver_proto.errors import DiskFull, QuotaExceeded

_FRESH_S = 1.0


class _Usage:
    """The last measurement of a directory, and what this process wrote since."""

    def __init__(self) -> None:
        self.measured_at = float("-inf")
        self.bytes = 0


_usage: dict[str, _Usage] = {}


def used_bytes(directory: str) -> int:
    """Of all files below `directory`; what vanishes meanwhile counts nothing."""
    total = 0
    pending = [directory]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(entry.path)
                        else:
                            total += entry.stat(follow_symlinks=False).st_size
                    except OSError:
                        continue
        except OSError:
            continue
    return total


def claim(env: SlotEnvironment, size: int) -> None:
    """`size` more bytes are about to be, or were, written for the application. Raises QuotaExceeded.

    The directory is measured at most once a second; in between, only this process's own claims are added.
    """
    if not env.quota_bytes:
        return
    usage = _usage.setdefault(env.blocks_dir, _Usage())
    now = time.monotonic()
    if now - usage.measured_at > _FRESH_S or usage.bytes + size > env.quota_bytes:
        usage.bytes = used_bytes(env.blocks_dir)
        usage.measured_at = now
    usage.bytes += size
    if usage.bytes > env.quota_bytes:
        raise QuotaExceeded(env.blocks_dir, usage.bytes, env.quota_bytes)


@contextmanager
def explained(env: SlotEnvironment, path: str) -> Iterator[None]:
    """Turns "no space left on device" into DiskFull with what the application uses there."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(os.path.dirname(path), used_bytes(env.blocks_dir), error.strerror or str(error)) from None
        raise


def remove_quietly(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
