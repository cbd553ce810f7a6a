"""Which jobs' places in a local output directory belong to a driver that lives, and what those of dead ones leave.

A driver holds a lock on `.owner` in its job's place for as long as the job lasts; however the process ends, the lock goes with it. Over
network file systems locks may be each machine's own. So whether one is held is asked by the machine that holds it alone, which the file
names by the run of its operating system: places of other machines, or from before a restart, are nobody's to judge, and stay.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import logging
import os
import shutil

log = logging.getLogger("quiver.driver")

OWNER = ".owner"
REPLACED = ".replaced"
"""Where a commit puts what it takes away: of a driver that died meanwhile the only copy."""
GONE = ".gone"
"""What the name of a place ends with that is being removed."""


class Lease:
    """A job's own: `close` when the job is over. Where files can't be locked nothing is held, and nobody ever removes the place."""

    def __init__(self, place: str) -> None:
        self._descriptor = -1
        with contextlib.suppress(OSError):
            self._descriptor = os.open(f"{place}/{OWNER}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            # In this order: who reads that it is of this machine finds it locked.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(self._descriptor, _machine())

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def sweep(staging: str) -> None:
    """Remove the places below `staging` whose drivers have died on this machine. Never raises."""
    with contextlib.suppress(OSError), os.scandir(staging) as entries:
        for place in [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]:
            with contextlib.suppress(OSError):
                _remove_if_dead(place)


def _remove_if_dead(place: str) -> None:
    descriptor = os.open(f"{place}/{OWNER}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if not _machine() or os.pread(descriptor, len(_machine()) + 1, 0) != _machine():
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.isdir(f"{place}/{REPLACED}") and not place.endswith(GONE):
            log.warning("%s: its driver died while it put the output in place; %s holds what was there before", place, REPLACED)
            return
        gone = place if place.endswith(GONE) else place + GONE
        os.rename(place, gone)
        shutil.rmtree(gone, ignore_errors=True)
        log.info("removed %s, left behind by a driver that died", place)
    finally:
        os.close(descriptor)


@functools.cache
def _machine() -> bytes:
    """This run of this machine's operating system; nothing where it does not say."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            return file.read().strip()
    except OSError:
        return b""
