"""Object stores and other file systems with URLs: by pyarrow.fs, or else fsspec."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from typing import IO, Any, cast
from urllib.parse import quote

from quiver_proto.errors import PathUnreadable
from quiver_proto.filesystems import Entry, FileSystem, has_glob
from quiver_proto.store_options import StoreOptionRefused, StoreOptions, azure_arguments, gcs_arguments, s3_arguments

_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
_HADOOPS = frozenset({"s3a", "s3n"})
"""Hadoop's other names of s3."""
_GLOB = re.compile(r"[*?\[]")
_OF_ARROW = frozenset({"s3", "gs", "gcs", "abfs", "abfss"})
_LET_IN = {
    "s3": ". The endpoint, region and keys are taken from the environment, here and of executors: AWS_ENDPOINT_URL, AWS_DEFAULT_REGION, "
    "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY; readers and writers of DataFrames also take them as options, fs.s3a.access.key among them"
}


class ArrowFileSystem:
    """A file system that pyarrow.fs made from a URL."""

    block_size = 128 << 20

    def __init__(self, system: Any, prefix: str, inside: str = "") -> None:
        """`prefix` of our paths stands for `inside` of the system's own."""
        self._system = system
        self._prefix = prefix
        self._inside = inside

    def _inner(self, path: str) -> str:
        return f"{self._inside}{path.removeprefix(self._prefix)}"

    def _entry(self, info: Any) -> Entry:
        from pyarrow import fs

        modified = info.mtime.timestamp() if info.mtime is not None else 0.0
        return Entry(f"{self._prefix}{info.path.removeprefix(self._inside)}", info.size or 0, info.type == fs.FileType.Directory, modified)

    def stat(self, path: str) -> Entry | None:
        from pyarrow import fs

        with _as_os_errors(path):
            info = self._system.get_file_info(self._inner(path))
        return None if info.type == fs.FileType.NotFound else self._entry(info)

    def entries(self, path: str) -> list[Entry]:
        from pyarrow import fs

        with _as_os_errors(path):
            infos = self._system.get_file_info(fs.FileSelector(self._inner(path)))
        return sorted((self._entry(info) for info in infos), key=lambda entry: entry.path)

    def match(self, pattern: str) -> list[Entry]:
        return _match(self, self._prefix, pattern.removeprefix(self._prefix))

    def open_input(self, path: str) -> IO[bytes]:
        with _as_os_errors(path):
            return cast(IO[bytes], self._system.open_input_file(self._inner(path)))

    def open_output(self, path: str) -> IO[bytes]:
        return cast(IO[bytes], self._system.open_output_stream(self._inner(path)))

    def make_directories(self, path: str) -> None:
        self._system.create_dir(self._inner(path), recursive=True)

    def make_new_directory(self, path: str) -> None:
        if self.stat(path) is not None:
            raise FileExistsError(path)
        self.make_directories(path)

    def rename(self, source: str, target: str) -> None:
        self._system.move(self._inner(source), self._inner(target))

    def remove(self, path: str) -> None:
        self._system.delete_file(self._inner(path))

    def remove_tree(self, path: str) -> None:
        found = self.stat(path)
        if found is None:
            return
        if found.is_directory:
            self._system.delete_dir(self._inner(path))
        else:
            self.remove(path)

    def remove_directory(self, path: str) -> None:
        _expect_empty(self, path)
        self._system.delete_dir(self._inner(path))


@contextlib.contextmanager
def _as_os_errors(path: str) -> Iterator[None]:
    """Inside, what Arrow has no name for (who may not come in at Azure) is an OSError."""
    from pyarrow import ArrowException

    try:
        yield
    except ArrowException as problem:
        raise OSError(errno.EIO, str(problem).partition("\n")[0], path) from problem


class FsspecFileSystem:
    """A file system that fsspec knows by its scheme."""

    block_size = 128 << 20

    def __init__(self, system: Any, scheme: str) -> None:
        self._system = system
        self._scheme = scheme

    def _entry(self, info: dict[str, Any]) -> Entry:
        modified: Any = info.get("LastModified") or info.get("mtime") or info.get("last_modified") or 0.0
        moment = float(modified) if isinstance(modified, int | float) else modified.timestamp() if hasattr(modified, "timestamp") else 0.0
        return Entry(self._outer(info["name"]), info.get("size") or 0, info.get("type") == "directory", moment)

    def _outer(self, path: str) -> str:
        return path if _URL.match(path) else f"{self._scheme}://{path}"

    def stat(self, path: str) -> Entry | None:
        try:
            return self._entry(self._system.info(path))
        except FileNotFoundError:
            return None

    def entries(self, path: str) -> list[Entry]:
        return sorted((self._entry(info) for info in self._system.ls(path, detail=True)), key=lambda entry: entry.path)

    def match(self, pattern: str) -> list[Entry]:
        found = self._system.glob(pattern, detail=True)
        return [self._entry(info) for _, info in sorted(found.items())]

    def open_input(self, path: str) -> IO[bytes]:
        return cast(IO[bytes], self._system.open(path, "rb"))

    def open_output(self, path: str) -> IO[bytes]:
        return cast(IO[bytes], self._system.open(path, "wb"))

    def make_directories(self, path: str) -> None:
        self._system.makedirs(path, exist_ok=True)

    def make_new_directory(self, path: str) -> None:
        if self.stat(path) is not None:
            raise FileExistsError(path)
        self.make_directories(path)

    def rename(self, source: str, target: str) -> None:
        self._system.mv(source, target)

    def remove(self, path: str) -> None:
        self._system.rm_file(path)

    def remove_tree(self, path: str) -> None:
        try:
            self._system.rm(path, recursive=True)
        except FileNotFoundError:
            pass

    def remove_directory(self, path: str) -> None:
        _expect_empty(self, path)
        self._system.rmdir(path)


def _expect_empty(system: FileSystem, path: str) -> None:
    if system.entries(path):
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)


def remote(url: str, store: StoreOptions) -> FileSystem:
    """Raises PathUnreadable for a scheme that nobody knows, and for what keeps its file system from being used."""
    named, _, rest = url.partition("://")
    scheme = "s3" if named in _HADOOPS else named
    # A pattern's special characters may be illegal in a URL; the file system is that of what comes before them.
    place, slash, path = _GLOB.split(rest, maxsplit=1)[0].partition("/")
    from pyarrow import ArrowException, fs

    try:
        told = _told(scheme, named, place, store)
        if told is not None:
            return told
        # Google's client tries for a quarter of an hour to be let in.
        limit = "?retry_limit_seconds=60" if scheme in ("gs", "gcs") else ""
        system, inner = fs.FileSystem.from_uri(f"{scheme}://{place}{slash}{quote(path)}{limit}")
    except StoreOptionRefused as problem:
        raise PathUnreadable(url, str(problem)) from None
    except (ValueError, OSError, NotImplementedError, ArrowException) as arrow_error:
        return _by_fsspec(url, str(arrow_error))
    plain = f"{named}://{place}{slash}{path}"
    if plain.endswith(inner):
        return ArrowFileSystem(system, plain[: len(plain) - len(inner)])
    container, at, _ = place.partition("@")
    return ArrowFileSystem(system, f"{named}://{place}", container) if at else ArrowFileSystem(system, f"{named}://")


def _told(scheme: str, named: str, place: str, store: StoreOptions) -> ArrowFileSystem | None:
    """The file system as options tell, for URLs whose scheme is written `named`; None where they tell nothing of it."""
    import datetime

    from pyarrow import fs

    prefix = f"{named}://"
    if scheme == "s3" and (arguments := s3_arguments(store, place)):
        if "attempts" in arguments:
            arguments["retry_strategy"] = fs.AwsStandardS3RetryStrategy(max_attempts=arguments.pop("attempts"))
        if not arguments.keys() & {"region", "endpoint_override"} and not os.environ.get("AWS_ENDPOINT_URL"):
            arguments["region"] = fs.resolve_s3_region(place)
        return ArrowFileSystem(fs.S3FileSystem(**arguments), prefix)
    if scheme in ("gs", "gcs") and (arguments := gcs_arguments(store)):
        return ArrowFileSystem(fs.GcsFileSystem(**arguments, retry_time_limit=datetime.timedelta(seconds=60)), prefix)
    if scheme in ("abfs", "abfss"):
        container, at, host = place.partition("@")
        if at and (arguments := azure_arguments(store, host)):
            return ArrowFileSystem(fs.AzureFileSystem(**arguments), f"{prefix}{place}", container)
    return None


def _by_fsspec(url: str, arrow_problem: str) -> FileSystem:
    scheme = url.split("://", 1)[0]
    try:
        import fsspec

        return FsspecFileSystem(fsspec.core.url_to_fs(url)[0], scheme)
    except (ImportError, ValueError, OSError) as error:
        if scheme in _OF_ARROW | _HADOOPS:  # It is there: what keeps it from being used is the cause, whatever else could be installed.
            raise PathUnreadable(
                url, f"its file system can't be used: {arrow_problem}{_LET_IN.get('s3' if scheme in _HADOOPS else scheme, '')}"
            ) from None
        raise PathUnreadable(url, f"no file system for scheme {scheme!r}: {error}; pyarrow: {arrow_problem}") from None


def _match(system: FileSystem, prefix: str, pattern: str) -> list[Entry]:
    """Directory by directory: only those that can match are listed."""
    import fnmatch

    parts = pattern.split("/")
    fixed = next(i for i, part in enumerate(parts) if has_glob(part))
    found = [Entry(prefix + "/".join(parts[:fixed]), 0, True)]
    for depth in range(fixed, len(parts)):
        below: list[Entry] = []
        for directory in found:
            if has_glob(parts[depth]):
                if directory.is_directory:
                    below += [entry for entry in system.entries(directory.path) if fnmatch.fnmatchcase(entry.name, parts[depth])]
            else:
                entry = system.stat(f"{directory.path}/{parts[depth]}")
                below += [] if entry is None else [entry]
        found = below
    return sorted(found, key=lambda entry: entry.path)
