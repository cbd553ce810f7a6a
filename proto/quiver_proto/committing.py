"""How an output directory comes to be: tasks stage files, and the driver puts them in place once.

    <directory>/_temporary/<job>/             the job's own. What tasks write goes below it, where no two attempts meet
    <directory>/_temporary/<job>/.replaced/   what a commit has taken away, as long as it may have to be put back
    <directory>/_temporary/<job>/.owner       locked as long as its driver lives: see staging_leases
    <directory>/_temporary/<job>/.commit      what the commit moves: see commit_journal

Names that begin with _ or . are no data to any reader, so nothing of a job is seen before its commit. Several jobs may add to one
directory at once: each touches nothing of the others, but for those of drivers that have died on the same machine. A commit that is cut
short by its driver's death is taken back by the next of our readers and writers there. Object stores have no locks: what a killed driver
left there stays until it is removed by hand.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from quiver_proto.commit_journal import Moves, take_back, write_journal
from quiver_proto.errors import OutputExists, PathUnwritable
from quiver_proto.filesystems import LOCAL, FileSystem, filesystem_of
from quiver_proto.staging_leases import GONE, REPLACED, STAGING, Lease, mark_made, sweep
from quiver_proto.store_options import NO_STORE, StoreOptions

_TRIES = 5


def staging_directory(directory: str, job: str) -> str:
    """Where a job's tasks write their files before they are committed."""
    return f"{directory.rstrip('/')}/{STAGING}/{job}"


class OutputJob:
    """One job's way into `directory`: `prepare`, then, once, `commit` or `abort`. For the driver's side alone."""

    def __init__(self, directory: str, store: StoreOptions = NO_STORE) -> None:
        self.directory = directory
        self._store = store
        self.name = os.urandom(8).hex()
        self._made = False
        self._lease: Lease | None = None
        self._is_half_done = False
        """A commit failed, and so did taking it back: the job's place may hold the only copy of what was there before."""

    def prepare(self, *, new: bool) -> None:
        """Make the directory, and the job's place in it. `new`: raises OutputExists when there is anything at `directory`.

        A directory that is made here is this job's: of two jobs that want it new one is refused (on an object store, which can't make a
        directory exclusively, only when they are not at it in the same instant). Raises PathUnwritable.
        """
        system, path = filesystem_of(self.directory, self._store)
        try:
            self._made = self._make(system, path, new)
            for _ in range(_TRIES):
                try:
                    system.make_directories(staging_directory(path, self.name))
                    break
                except FileNotFoundError:
                    continue  # Another job has just removed the empty _temporary.
            if system is LOCAL:
                self._lease = Lease(staging_directory(path, self.name))
                if self._made:
                    mark_made(staging_directory(path, self.name))
                sweep(path)
        except FileExistsError:
            if new:
                raise OutputExists(self.directory) from None
            raise PathUnwritable(self.directory, "it is a file") from None
        except OSError as error:
            found = system.stat(path)
            problem = f"it can't be created: {error.strerror or error}" if found is None or found.is_directory else "it is a file"
            raise PathUnwritable(self.directory, problem) from None

    @staticmethod
    def _make(system: FileSystem, path: str, new: bool) -> bool:
        """Whether the directory was made. Raises FileExistsError."""
        for last in (False, True):
            try:
                system.make_new_directory(path)
                return True
            except FileExistsError:
                if new and (last or system is not LOCAL):
                    raise
                # All that is there may be what a driver that died has left.
                if system is LOCAL and new:
                    sweep(path)
        return False

    def commit(self, files: Sequence[tuple[str, str]], replaces: Iterable[str] = (), *, marked: bool = True, until: str = "") -> None:
        """Put `files` in place, each (path below the job's place, path below the directory), and (`marked`) write _SUCCESS.

        What is in the directories `replaces` (paths below the directory, "" for itself) is gone then; other jobs' places stay. When
        anything fails, all is put back as it was and PathUnwritable is raised. `until`: a file (path below the directory) that the caller
        makes afterwards, and then calls `close`; should this process die before there is that file, what was put in place goes again.
        """
        system, path = filesystem_of(self.directory, self._store)
        path, staging = path.rstrip("/"), staging_directory(path, self.name)
        done = Moves([], [], [])
        try:
            old = [entry for place in replaces for entry in _contents(system, f"{path}/{place}".rstrip("/"))]
            if marked:
                system.open_output(f"{staging}/_SUCCESS").close()
            listed = (*files, ("_SUCCESS", "_SUCCESS")) if marked else files
            aside = [(entry, f"{staging}/{REPLACED}/{number}") for number, entry in enumerate(old)] if system is LOCAL else []
            made = _missing_parents(system, path, [final for _, final in listed], old)
            moves = Moves(aside, made, [(f"{staging}/{staged}", f"{path}/{final}") for staged, final in listed])
            if system is LOCAL:
                write_journal(staging, path, moves, until)
            self._move(system, staging, moves, done)
            if system is not LOCAL:
                # Moving is copying there: what is replaced is removed when the rest is done. Its files have other names.
                for entry in old:
                    system.remove_tree(entry)
        except BaseException as error:
            self._is_half_done = bool(take_back(done, system))
            if isinstance(error, OSError):
                raise PathUnwritable(self.directory, f"the output can't be put in place: {error.strerror or error}") from None
            raise
        if not until:
            self.close()

    def close(self) -> None:
        """Remove the place of a job that is committed. Never raises."""
        try:
            self._clear()
        except OSError:
            pass  # It is no data to anyone.

    @staticmethod
    def _move(system: FileSystem, staging: str, moves: Moves, done: Moves) -> None:
        """Make these moves; what is done is added to `done`."""
        if moves.replaced:
            system.make_directories(f"{staging}/{REPLACED}")
        for move in moves.replaced:
            system.rename(*move)
            done.replaced.append(move)
        for directory in moves.made:
            system.make_directories(directory)
            done.made.append(directory)
        for move in moves.files:
            system.rename(*move)
            done.files.append(move)

    def abort(self) -> None:
        """Remove what the job and its tasks made, the directory too when it was not there before. Never raises.

        After a commit that could not be taken back all stays as it is: the next reader or writer there tries that again.
        """
        system, path = filesystem_of(self.directory, self._store)
        if self._is_half_done and self._lease is not None:
            self._lease.close()
            return
        try:
            self._clear()
            if self._made:
                system.remove_directory(path)
        except OSError:
            pass

    def _clear(self) -> None:
        """Remove the job's place, and `_temporary` when no other job has one there."""
        system, path = filesystem_of(self.directory, self._store)
        staging = staging_directory(path, self.name)
        if system is LOCAL:
            # Attempts that still run find nothing to open any more, so that what is removed stays away.
            gone = f"{staging}{GONE}"
            try:
                system.rename(staging, gone)
                staging = gone
            except OSError:
                pass
        system.remove_tree(staging)
        if self._lease is not None:
            self._lease.close()
        try:
            system.remove_directory(f"{path.rstrip('/')}/{STAGING}")
        except OSError:
            pass  # Another job's.


def _contents(system: FileSystem, place: str) -> list[str]:
    found = system.stat(place)
    if found is None or not found.is_directory:
        return []
    return [entry.path for entry in system.entries(place) if entry.name != STAGING]


def _missing_parents(system: FileSystem, path: str, finals: Iterable[str], old: Iterable[str]) -> list[str]:
    """The directories of files below `path` that are not there, or not when `old` has gone; outer ones first."""
    gone, missing = set(old), dict[str, bool]()
    for place in dict.fromkeys(final.rpartition("/")[0] for final in finals):
        parts = place.split("/") if place else []
        above = False
        for depth in range(1, len(parts) + 1):
            directory = "/".join((path, *parts[:depth]))
            if directory not in missing:
                missing[directory] = above or directory in gone or system.stat(directory) is None
            above = missing[directory]
    return [directory for directory, is_missing in missing.items() if is_missing]


def unwritable(path: str, error: OSError) -> PathUnwritable:
    """What a task raises that can't write a staged file."""
    if isinstance(error, FileNotFoundError):
        return PathUnwritable(path, "the job has ended, or this node and the driver don't see the same files there")
    return PathUnwritable(path, error.strerror or str(error))


def numbered(names: Sequence[str], extensions: Sequence[str]) -> list[tuple[str, str]]:
    """What `commit` takes for one staged file per partition, `names` in partition order: part-00000[.ext], …"""
    return [
        (name, f"part-{index:05d}" + "".join(extension for extension in extensions if name.endswith(extension)))
        for index, name in enumerate(names)
    ]
