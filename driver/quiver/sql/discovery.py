"""Which files a reader's paths mean, and the partition columns that their directories' names tell (`year=2026/month=7`)."""

from __future__ import annotations

import datetime
import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from urllib.parse import unquote, urlsplit

from quiver.sql import types as t
from quiver.sql.errors import AnalysisException, IllegalArgumentException, SparkRuntimeException
from quiver.sql.tree.relations import DataFile
from quiver_proto.errors import PathUnreadable
from quiver_proto.filesystems import LOCAL, Entry, FileSystem, filesystem_of, has_glob
from quiver_proto.staging_leases import settle
from quiver_proto.store_options import NO_STORE, StoreOptions

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
Keys = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """`roots`: what was given, globs expanded; `files`: all data files, by path; `partitions`: (name, type), outermost first; `store`: how
    they were asked for."""

    roots: tuple[str, ...]
    files: tuple[DataFile, ...]
    partitions: tuple[tuple[str, t.DataType], ...]
    store: StoreOptions = NO_STORE


def discover(paths: Sequence[str], options: Mapping[str, str] | None = None, store: StoreOptions = NO_STORE, infers: bool = True) -> Found:
    """The files below `paths`, which are files, directories, globs (with {a,b}) or URLs. Names that begin with _ or . are no data.

    Directories named `key=value` below a path (or below the option basePath) give columns. Others inside a path are read only with
    `recursiveFileLookup`, which looks for no columns. Unless one `infers`, they are texts.
    Options pathGlobFilter, modifiedBefore and modifiedAfter choose among the files.

    Raises AnalysisException PATH_NOT_FOUND and for options that can't be understood, SparkRuntimeException
    CONFLICTING_PARTITION_COLUMN_NAMES for directories of different keys, IllegalArgumentException for a basePath that is above no path.
    """
    options = options or {}
    wanted = _chosen(options)
    recursive = options.get("recursivefilelookup", "").lower() == "true"
    base = options.get("basepath")
    roots: list[str] = []
    found: list[tuple[Entry, Keys]] = []
    for given in paths:
        system, matched = _matched(given, store)
        for root in matched:
            roots.append(root.path)
            keys = _keys_between(base, root.path, root.is_directory) if base and not recursive else ()
            found += sorted((each for each in _below(system, root, keys, recursive) if wanted(each[0])), key=lambda each: each[0].path)
    names = {tuple(name for name, _ in keys) for _, keys in found}
    if len(names) > 1:
        listed = "\n".join(f"\tPartition column name list: {', '.join(each) or '(none)'}" for each in sorted(names))
        raise SparkRuntimeException(
            f"Conflicting partition column names detected in {', '.join(paths)}:\n{listed}\nFor partitioned tables, directories must "
            "only contain files or directories of one more key; give the option basePath, or recursiveFileLookup.",
            "CONFLICTING_PARTITION_COLUMN_NAMES",
        )
    columns = next(iter(names), ())
    kinds = tuple(
        (name, partition_type([keys[place][1] for _, keys in found]) if infers else t.StringType()) for place, name in enumerate(columns)
    )
    files = tuple(
        DataFile(entry.path, entry.size, entry.modified, tuple(None if value == NULL_PARTITION else value for _, value in keys))
        for entry, keys in found
    )
    return Found(tuple(roots), files, kinds, store)


def _matched(given: str, store: StoreOptions) -> tuple[FileSystem, list[Entry]]:
    parts = urlsplit(given) if "://" in given else None
    if parts is not None and parts.password is not None:
        raise IllegalArgumentException(
            f"A path with a password in it ({parts.scheme}://…@{parts.hostname}/…) would be shown in logs: put it into the environment."
        )
    try:
        system, path = filesystem_of(as_known(given), store)
        if system is LOCAL:
            settle(path)
        entry = system.stat(path)
        if entry is not None:
            return system, [entry]
        matched = [e for p in _braces(path) for e in system.match(p) if not _is_hidden(e.name)] if has_glob(path) or "{" in path else []
        if system is LOCAL:
            for each in matched:
                settle(each.path)
            matched = [each for each in matched if system.stat(each.path) is not None]
    except (PathUnreadable, OSError) as problem:
        raise AnalysisException(f"The path {given} cannot be read: {problem}", "FAILED_READ_FILE.NO_HINT") from problem
    if not matched:
        raise AnalysisException(f"Path does not exist: {_shown(path)}.", "PATH_NOT_FOUND")
    return system, matched


def as_known(given: str) -> str:
    """Hadoop's other names of schemes."""
    return re.sub(r"^s3[an]://", "s3://", given)


def _shown(path: str) -> str:
    return path if "://" in path else f"file:{path}"


def _braces(pattern: str) -> list[str]:
    """`x{a,b}` stands for `xa` and `xb`; not nested."""
    found = re.search(r"\{([^{}]*)\}", pattern)
    if found is None:
        return [pattern]
    return [each for part in found[1].split(",") for each in _braces(pattern[: found.start()] + part + pattern[found.end() :])]


def _is_hidden(name: str) -> bool:
    return (name.startswith("_") and "=" not in name) or name.startswith(".") or name.endswith("._COPYING_")


def _below(system: FileSystem, entry: Entry, keys: Keys, recursive: bool) -> Iterator[tuple[Entry, Keys]]:
    if not entry.is_directory:
        yield entry, keys
        return
    for inner in system.entries(entry.path):
        if _is_hidden(inner.name):
            continue
        if not inner.is_directory:
            yield inner, keys
        elif recursive:
            yield from _below(system, inner, (), True)
        else:
            key = _key(inner.name)
            if key is not None:
                yield from _below(system, inner, (*keys, key), False)


def _key(name: str) -> tuple[str, str] | None:
    key, sign, value = name.partition("=")
    return (unquote(key), unquote(value)) if sign and key else None


def _keys_between(base: str, path: str, is_directory: bool) -> Keys:
    _, base = filesystem_of(base)
    base = base.rstrip("/") + "/"
    if not f"{path}/".startswith(base):
        raise IllegalArgumentException(f"Wrong basePath {base} for the root path: {path}.")
    parts = path.rstrip("/")[len(base) :].split("/")
    return tuple(key for part in (parts if is_directory else parts[:-1]) if (key := _key(part)) is not None)


def _chosen(options: Mapping[str, str]) -> Callable[[Entry], bool]:
    tests: list[Callable[[Entry], bool]] = []
    pattern = options.get("pathglobfilter")
    if pattern is not None:
        patterns = _braces(pattern)
        tests.append(lambda entry: any(fnmatch.fnmatchcase(entry.name, one) for one in patterns))
    before, after = _moment("modifiedBefore", options), _moment("modifiedAfter", options)
    if before is not None:
        tests.append(lambda entry: entry.modified < before)
    if after is not None:
        tests.append(lambda entry: entry.modified > after)
    return lambda entry: all(test(entry) for test in tests)


def _moment(name: str, options: Mapping[str, str]) -> float | None:
    given = options.get(name.lower())
    if given is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(given)
    except ValueError as problem:
        raise AnalysisException(
            f"The timestamp provided for the '{name.lower()}' option is invalid. The expected format is 'YYYY-MM-DDTHH:mm:ss', but the "
            f"provided timestamp: {given}."
        ) from problem
    return moment.timestamp()


def partition_type(values: Sequence[str]) -> t.DataType:
    """The narrowest type that all values have: int, bigint, a decimal of whole numbers, double, date, timestamp, time, or else string.
    As in Spark a double and a wider number than an int are texts together, for neither type holds both.

    >>> partition_type(["1", "2"]), partition_type(["1", "x"]), partition_type(["1e3"]), partition_type(["1e10", "1.5"])
    (IntegerType(), StringType(), DecimalType(4,0), StringType())
    """
    kinds = {_value_type(value) for value in values if value != NULL_PARTITION}
    if len(kinds) == 1:
        return kinds.pop()
    if kinds in ({t.IntegerType(), t.DoubleType()}, {t.DateType(), t.TimestampType()}):
        return t.DoubleType() if t.DoubleType() in kinds else t.TimestampType()
    if not kinds or not all(isinstance(kind, t.IntegralType | t.DecimalType) for kind in kinds):
        return t.StringType()
    digits = [kind.precision for kind in kinds if isinstance(kind, t.DecimalType)]
    widest = 19 if t.LongType() in kinds else 10 if t.IntegerType() in kinds else 0
    return t.DecimalType(max(*digits, widest), 0) if digits else t.LongType()


def _value_type(value: str) -> t.DataType:
    if _WHOLE.fullmatch(value):
        size = abs(int(value) + (int(value) < 0))
        if size < 2**63:
            return t.IntegerType() if size < 2**31 else t.LongType()
    if _NUMBER.fullmatch(value):
        number = Decimal(value)
        _, digits, exponent = number.as_tuple()
        whole = len(digits) + int(exponent)
        return t.DecimalType(whole, 0) if int(exponent) >= 0 and whole <= _MOST_DIGITS else t.DoubleType()
    return next((kind for kind, read in _PARTITION_TYPES if _is_read(read, value)), t.StringType())


def _is_read(read: Callable[[str], object], value: str) -> bool:
    try:
        return bool(read(value))
    except ValueError:
        return False


_MOST_DIGITS: Final = 38
_WHOLE: Final = re.compile(r"[+-]?[0-9]+")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,9})?")
_NO_NUMBER: Final = re.compile(r"NaN|[+-]?Infinity")
_CLOCK: Final = re.compile(r"\d\d:\d\d:\d\d(\.\d{1,6})?", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?", re.ASCII)
_PARTITION_TYPES: Final[tuple[tuple[t.DataType, Callable[[str], object]], ...]] = (
    (t.DoubleType(), _NO_NUMBER.fullmatch),
    (t.DateType(), lambda value: _DAY.fullmatch(value) and datetime.date.fromisoformat(value)),
    (t.TimestampType(), lambda value: _MOMENT.fullmatch(value) and datetime.datetime.fromisoformat(value)),
    (t.TimeType(6), lambda value: _CLOCK.fullmatch(value) and datetime.time.fromisoformat(value)),
)
