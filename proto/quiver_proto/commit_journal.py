"""What a commit is about to move, written down before it moves anything: who comes after a driver that was killed in the middle takes
all of it back.

    <directory>/_temporary/<job>/.commit      the journal: JSON, complete from its first moment
    committed                                 when the last of its files has left the job's place, or once there is the file `until` that
                                              it names; nothing is taken back then

Only local directories have journals: elsewhere nobody can tell whether the driver lives (see staging_leases).
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass

from quiver_proto.filesystems import LOCAL, FileSystem

JOURNAL = ".commit"
Move = tuple[str, str]
"""(from, to): paths, as the file system takes them."""


@dataclass(frozen=True, slots=True)
class Moves:
    """`replaced` go aside, then the directories `made` come to be (outer ones first), then `files` go where they belong, in order."""

    replaced: list[Move]
    made: list[str]
    files: list[Move]


def write_journal(place: str, directory: str, moves: Moves, until: str = "") -> None:
    """`until`: a path below the directory; all is taken back as long as there is no such file. Raises OSError; then there is no journal."""

    def below(path: str) -> str:
        return os.path.relpath(path, directory)

    told = {
        "replaced": [(below(source), below(target)) for source, target in moves.replaced],
        "made": [below(path) for path in moves.made],
        "files": [(below(source), below(target)) for source, target in moves.files],
        "until": until,
    }
    unfinished = f"{place}/{JOURNAL}.new"
    with open(unfinished, "x", encoding="utf-8", errors="surrogateescape") as file:
        json.dump(told, file)
    os.rename(unfinished, f"{place}/{JOURNAL}")


def cut_short(place: str, directory: str) -> Moves | None:
    """What has to be taken back of the commit whose journal is in `place`; None when there is none, or when all of it was done.

    Only for who holds the place's lock. Raises OSError, and PermissionError for a journal of another user: what it says is not followed.
    """
    try:
        with open(f"{place}/{JOURNAL}", encoding="utf-8", errors="surrogateescape") as file:
            if os.fstat(file.fileno()).st_uid != os.geteuid():
                raise PermissionError(f"{place}/{JOURNAL} is another user's")
            told = json.load(file)
    except FileNotFoundError:
        return None

    def path(below: str) -> str:
        if os.path.isabs(below) or ".." in below.split("/"):
            raise PermissionError(f"{place}/{JOURNAL} names {below!r}, which is not below {directory}")
        return os.path.join(directory, below)

    try:
        moves = Moves(
            [(path(source), path(target)) for source, target in told["replaced"]],
            [path(below) for below in told["made"]],
            [(path(source), path(target)) for source, target in told["files"]],
        )
        until = path(told["until"]) if told.get("until") else ""
    except (KeyError, TypeError, ValueError) as problem:
        raise PermissionError(f"{place}/{JOURNAL} is no journal") from problem
    last = (*moves.replaced, *moves.files)[-1:]
    if os.path.lexists(until) if until else not last or not os.path.lexists(last[0][0]):
        return None
    return Moves([move for move in moves.replaced if _was_put_aside(move)], moves.made, [move for move in moves.files if _is_done(move)])


def _is_done(move: Move) -> bool:
    source, target = move
    return os.path.lexists(target) and not os.path.lexists(source)


def _was_put_aside(move: Move) -> bool:
    """A directory of its name may have been made since: what is aside was moved there, and nothing else ever is."""
    return os.path.lexists(move[1])


def take_back(moves: Moves, system: FileSystem = LOCAL) -> list[OSError]:
    """Undo moves, the last first, as far as it goes; what went wrong."""
    problems: list[OSError] = []

    def back(move: Move) -> None:
        try:
            system.rename(move[1], move[0])
        except OSError as problem:
            problems.append(problem)

    for move in reversed(moves.files):
        back(move)
    for path in reversed(moves.made):
        with contextlib.suppress(OSError):  # Somebody else has put something there.
            system.remove_directory(path)
    for move in reversed(moves.replaced):
        back(move)
    return problems
