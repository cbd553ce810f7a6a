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
from collections.abc import Iterator

from quiver_proto.commit_journal import JOURNAL, cut_short, take_back
from quiver_proto.errors import PathUnreadable

log = logging.getLogger("quiver.driver")

STAGING = "_temporary"
"""Of an output directory: where its jobs have their places."""
OWNER = ".owner"
MADE = ".made"
"""In the place of a job that has made the output directory itself."""
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


def mark_made(place: str) -> None:
    """Say that the output directory is the job's own as well: what dead jobs leave of it goes with them when nothing else is there."""
    with contextlib.suppress(OSError), open(f"{place}/{MADE}", "x"):
        pass


def sweep(directory: str) -> None:
    """Remove the places below an output directory whose drivers have died on this machine, and what they had half put in place.

    Never raises; what can't be removed or taken back stays, with a warning in the log.
    """
    for place in _places(directory):
        try:
            with _of_the_dead(place) as dead:
                if dead:
                    _remove(place, directory)
        except FileNotFoundError:
            # Its own driver, or another, has just removed it; or it has no owner. Of what is being removed that file can go before others.
            if place.endswith(GONE):
                shutil.rmtree(place, ignore_errors=True)
        except OSError as problem:
            log.warning("%s: its driver died, and what it left can't be removed: %s", place, problem)


def settle(directory: str) -> None:
    """Before `directory` is read: take back what drivers had half put in place there when they died. Raises PathUnreadable if it can't be.

    Of drivers of other machines, or from before this one's restart, nobody knows whether they live: the log warns of theirs.
    """
    for place in _places(directory):
        if not os.path.lexists(f"{place}/{JOURNAL}"):
            continue
        try:
            with _of_the_dead(place) as dead:
                if dead and cut_short(place, directory) is not None:
                    _remove(place, directory)
                elif dead is None:
                    log.warning("%s may be incomplete: a driver elsewhere, or before a restart, is or was putting it in place", directory)
        except FileNotFoundError:
            continue  # Its commit has just come to its end.
        except OSError as error:
            raise PathUnreadable(
                directory,
                f"the driver that was putting it in place has died, and what it did can't be taken back: {error}; read it once as the user "
                "who wrote it, or remove it",
            ) from error


def _places(directory: str) -> list[str]:
    try:
        with os.scandir(f"{directory.rstrip('/')}/{STAGING}") as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


@contextlib.contextmanager
def _of_the_dead(place: str) -> Iterator[bool | None]:
    """Whether its driver is dead, and then the place is locked meanwhile; None where this machine can't know. Raises OSError."""
    descriptor = os.open(f"{place}/{OWNER}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if not _machine() or os.pread(descriptor, len(_machine()) + 1, 0) != _machine():
            yield None
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


def _remove(place: str, directory: str) -> None:
    """Take back what the dead driver had half done, and remove its place. Raises OSError; then the place stays."""
    half = cut_short(place, directory)
    if half is not None:
        problems = take_back(half)
        if problems:
            raise OSError(str(problems[0]))
        log.warning("%s: its driver died while it put its output in place: taken back, all is as it was before", directory)
    elif os.path.isdir(f"{place}/{REPLACED}") and not os.path.lexists(f"{place}/{JOURNAL}") and not place.endswith(GONE):
        log.warning("%s: its driver died while it put the output in place; %s holds what was there before", place, REPLACED)
        return
    made = os.path.lexists(f"{place}/{MADE}")
    gone = place if place.endswith(GONE) else place + GONE
    os.rename(place, gone)
    shutil.rmtree(gone, ignore_errors=True)
    log.info("removed %s, left behind by a driver that died", place)
    if made:
        with contextlib.suppress(OSError):  # Something else is there.
            os.rmdir(f"{directory.rstrip('/')}/{STAGING}")
            os.rmdir(directory)


@functools.cache
def _machine() -> bytes:
    """This run of this machine's operating system; nothing where it does not say."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            return file.read().strip()
    except OSError:
        return b""
