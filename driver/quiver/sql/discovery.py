"""Which files a reader's paths mean, and the partition columns that their directories' names tell (`year=2026/month=7`)."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from quiver.sql import types as t
from quiver.sql.errors import AnalysisException
from quiver_proto.filesystems import LOCAL, filesystem_of, has_glob

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


@dataclass(frozen=True, slots=True)
class Found:
    """`roots`: what was given, globs expanded; `files`: all data files, by path; `partitions`: (name, type), outermost first."""

    roots: tuple[str, ...]
    files: tuple[str, ...]
    partitions: tuple[tuple[str, t.DataType], ...]


def discover(paths: Sequence[str]) -> Found:
    """Names that begin with _ or . are no data, nor are directories inside others but `key=value`.

    Raises AnalysisException PATH_NOT_FOUND, and CONFLICTING_PARTITION_COLUMN_NAMES for directories of different keys.
    """
    roots: list[str] = []
    files: list[str] = []
    values: list[tuple[tuple[str, str], ...]] = []
    for given in paths:
        matched = _matched(given)
        if not matched:
            raise AnalysisException(f"Path does not exist: {given}.", "PATH_NOT_FOUND")
        for root in matched:
            below = sorted(_below(root, ()))
            # Several roots are scanned each for itself; one file among several kinds, too.
            mixed = os.path.isdir(root) and (len({suffix_of(path) for path, _ in below}) > 1 or _hides_data(root, below))
            roots += [path for path, _ in below] if mixed and not any(keys for _, keys in below) else [root]
            files += [path for path, _ in below]
            values += [keys for _, keys in below]
    keys = {tuple(name for name, _ in each) for each in values}
    if len(keys) > 1:
        listed = "; ".join(", ".join(names) or "(none)" for names in sorted(keys))
        raise AnalysisException(
            f"Conflicting partition column names detected in {', '.join(paths)}: {listed}.", "CONFLICTING_PARTITION_COLUMN_NAMES"
        )
    names = next(iter(keys), ())
    kinds = tuple((name, partition_type([each[place][1] for each in values])) for place, name in enumerate(names))
    return Found(tuple(roots), tuple(files), kinds)


def _matched(given: str) -> list[str]:
    system, path = filesystem_of(given)
    if system is not LOCAL:
        raise AnalysisException(f"{given!r} is not on a file system that DataFrames read: give a local path.", "UNSUPPORTED_FILE_SYSTEM")
    if has_glob(path) and not os.path.exists(path):
        return [entry.path for entry in system.match(path) if not entry.name.startswith(("_", "."))]
    return [path] if os.path.exists(path) else []


def _below(path: str, keys: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    if not os.path.isdir(path):
        yield path, keys
        return
    for name in os.listdir(path):
        inner = os.path.join(path, name)
        if name.startswith(("_", ".")):
            continue
        if os.path.isdir(inner):
            key, sign, value = name.partition("=")
            if sign and key:
                yield from _below(inner, (*keys, (key, value)))
        else:
            yield inner, keys


def _hides_data(root: str, below: Sequence[tuple[str, object]]) -> bool:
    """Whether a hidden file looks like data by its extension, which is all that the kernel looks at."""
    suffixes = {suffix_of(path) for path, _ in below}
    return any(name.startswith(("_", ".")) and suffix_of(name) in suffixes for name in os.listdir(root))


def suffix_of(path: str) -> str:
    """`.parquet`, `.csv.gz`, or empty."""
    stem, suffix = os.path.splitext(os.path.basename(path))
    return os.path.splitext(stem)[1] + suffix if suffix in _COMPRESSED else suffix


def first_suffix(root: str) -> str:
    """Of the data files of a root, which all have the same."""
    return next((suffix_of(path) for path, _ in _below(root, ())), "")


def partition_type(values: Sequence[str]) -> t.DataType:
    """The narrowest type that all values have: int, bigint, double, date, or else string.

    >>> partition_type(["1", "2"]), partition_type(["1", "x"])
    (IntegerType(), StringType())
    """
    known = [value for value in values if value != NULL_PARTITION]
    if known and all(value.lstrip("+-").isdigit() and value.isascii() for value in known):
        largest = max(abs(int(value)) for value in known)
        if largest < 2**31:
            return t.IntegerType()
        return t.LongType() if largest < 2**63 else t.StringType()
    if known and all(_is(float, value) for value in known):
        return t.DoubleType()
    if known and all(len(value) == 10 and _is(datetime.date.fromisoformat, value) for value in known):
        return t.DateType()
    return t.StringType()


def _is(parse: type[float] | object, value: str) -> bool:
    try:
        parse(value)  # type: ignore[operator]
    except ValueError:
        return False
    return True
