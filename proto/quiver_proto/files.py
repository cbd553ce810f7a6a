"""Which files a path means, and how they are cut into partitions: the driver's side of text I/O.

Rules are Hadoop's, as PySpark's users know them. Chunks are (path, start, length); length -1 means to the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from quiver_proto.errors import BadRecordLength, PathNotFound, PathUnreadable
from quiver_proto.filesystems import LOCAL, Entry, FileSystem, filesystem_of, has_glob
from quiver_proto.staging_leases import settle

Chunk = tuple[str, int, int]

COMPRESSED = (".gz", ".bz2", ".zst")
"""Extensions of files that can only be read from their beginning."""
_SLOP = 1.1
"""A last chunk may be this much larger than the others, rather than a tiny one follow."""


# ---- input ----


def text_chunks(paths: str | Sequence[str], min_partitions: int) -> list[list[Chunk]]:
    """One list per partition. Plain files are cut into chunks of about total/min_partitions bytes, at most the file system's block size.

    `paths`: files, directories (not their subdirectories), globs with {a,b}, or URLs; several as a list or separated by commas.
    Names that begin with _ or . in directories and matches are not read. A compressed file is one partition, an empty one is none.
    Raises PathNotFound and PathUnreadable, naming which of the paths; ValueError where one is empty.
    """
    found = list(_find(paths))
    total = sum(entry.size for entry, _ in found)
    goal = total // max(1, min_partitions)
    partitions: list[list[Chunk]] = []
    for entry, system in found:
        if entry.size == 0:
            continue
        if entry.path.endswith(COMPRESSED):
            partitions.append([(entry.path, 0, -1)])
            continue
        size = max(1, min(goal, system.block_size))
        start = 0
        while (entry.size - start) / size > _SLOP:
            partitions.append([(entry.path, start, size)])
            start += size
        partitions.append([(entry.path, start, entry.size - start)])
    return partitions


def whole_files(paths: str | Sequence[str], min_partitions: int) -> list[list[Chunk]]:
    """One list per partition, filled with files until it has total/min_partitions bytes. Paths and errors as for `text_chunks`."""
    found = list(_find(paths))
    limit = -(-sum(entry.size for entry, _ in found) // max(1, min_partitions))
    partitions: list[list[Chunk]] = []
    filled = limit
    for entry, _ in found:
        if filled >= limit:
            partitions.append([])
            filled = 0
        partitions[-1].append((entry.path, 0, -1))
        filled += entry.size
    return partitions


def fixed_chunks(paths: str | Sequence[str], length: int) -> list[list[Chunk]]:
    """One list per partition: files of records of `length` bytes, cut between records into chunks of about the file system's block size.

    Raises BadRecordLength for a file that is no whole number of records; paths and other errors as for `text_chunks`.
    """
    partitions: list[list[Chunk]] = []
    for entry, system in _find(paths):
        if entry.path.endswith(COMPRESSED):
            partitions.append([(entry.path, 0, -1)])
            continue
        if entry.size % length:
            raise BadRecordLength(entry.path, entry.size, length)
        size = max(1, system.block_size // length) * length
        starts = range(0, entry.size, size) or (0,)
        partitions += ([(entry.path, start, min(size, entry.size - start))] for start in starts)
    return partitions


def single_files(paths: str | Sequence[str]) -> list[list[Chunk]]:
    """One list per partition, which is one file. Paths and errors as for `text_chunks`."""
    return [[(entry.path, 0, -1)] for entry, _ in _find(paths)]


def _find(paths: str | Sequence[str]) -> Iterator[tuple[Entry, FileSystem]]:
    for given in [paths] if isinstance(paths, str) else paths:
        for part in _split_commas(given):
            for path in _expand_braces(part):
                if not path:
                    raise ValueError(f"Can not create a Path from an empty string: in {paths!r} a path is empty")
                yield from _expand(path, given)


def _expand(path: str, given: str) -> Iterator[tuple[Entry, FileSystem]]:
    system, path = filesystem_of(path)
    try:
        if system is LOCAL:
            settle(path)
        if has_glob(path):
            matched = [entry for entry in system.match(path) if _is_visible(entry)]
            # A name may contain what looks like a pattern.
            exact = system.stat(path) if not matched else None
            entries = matched if exact is None else [exact]
        else:
            entry = system.stat(path)
            entries = [] if entry is None else [entry]
        if not entries:
            raise PathNotFound(path, given)
        for entry in entries:
            if not entry.is_directory:
                _check_readable(system, entry)
                yield entry, system
                continue
            if system is LOCAL and entry.path != path:
                settle(entry.path)
            for child in filter(_is_visible, system.entries(entry.path)):
                if child.is_directory:
                    raise PathUnreadable(
                        child.path, f"it is a directory inside the input directory {entry.path!r}; add {entry.path}/*/* for what is below"
                    )
                _check_readable(system, child)
                yield child, system
    except (PathNotFound, PathUnreadable):
        raise
    except FileNotFoundError as error:
        raise PathNotFound(str(error.filename or path), given) from None
    except OSError as error:
        raise PathUnreadable(str(error.filename or path), error.strerror or str(error)) from None


def _check_readable(system: FileSystem, entry: Entry) -> None:
    if system is LOCAL and not os.access(entry.path, os.R_OK):
        raise PathUnreadable(entry.path, "permission denied")


def _is_visible(entry: Entry) -> bool:
    return not entry.name.startswith(("_", "."))


def _split_commas(text: str) -> list[str]:
    """At commas outside braces."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        if character == "{":
            depth += 1
        elif character == "}":
            depth = max(0, depth - 1)
        elif character == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def _expand_braces(text: str) -> list[str]:
    """`a{b,c}d` -> [`abd`, `acd`]; braces nest; a brace without its partner is an ordinary character."""
    opened = text.find("{")
    if opened < 0:
        return [text]
    depth = 0
    for closed in range(opened, len(text)):
        depth += (text[closed] == "{") - (text[closed] == "}")
        if depth == 0:
            middle = _split_commas(text[opened + 1 : closed])
            return [
                text[:opened] + inner + rest
                for part in middle
                for inner in _expand_braces(part)
                for rest in _expand_braces(text[closed + 1 :])
            ]
    return [text]
