"""One narrow view of every file system a path may name: local files by `os`, URLs by pyarrow.fs or else fsspec.

Local paths import neither library.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol, cast
from urllib.parse import quote, unquote, urlsplit

from quiver_proto.errors import PathUnreadable

_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
_OF_ARROW = frozenset({"s3", "gs", "gcs", "abfs", "abfss"})
_LET_IN = {
    "s3": ". The endpoint, region and keys are taken from the environment, here and of executors: AWS_ENDPOINT_URL, AWS_DEFAULT_REGION, "
    "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"
}
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or directory. `path` is what FileSystem's methods take (for a URL, the URL). `modified`: seconds since 1970, 0 unknown."""

    path: str
    size: int
    is_directory: bool
    modified: float = 0.0

    @property
    def name(self) -> str:
        return self.path.rstrip("/").rsplit("/", 1)[-1]


class FileSystem(Protocol):
    """Paths in and out are what the user would write. Methods raise OSError as `os` does."""

    block_size: int
    """The largest chunk worth reading by one task, as Hadoop's block size for such a file system."""

    def stat(self, path: str) -> Entry | None:
        """None when there is nothing."""
        ...

    def entries(self, path: str) -> list[Entry]:
        """A directory's entries by name."""
        ...

    def match(self, pattern: str) -> list[Entry]:
        """What a glob pattern matches, by path."""
        ...

    def open_input(self, path: str) -> IO[bytes]:
        """Unbuffered where the system allows; can seek. OSError for a pipe or a device."""
        ...

    def open_output(self, path: str) -> IO[bytes]: ...

    def make_directories(self, path: str) -> None: ...

    def make_new_directory(self, path: str) -> None:
        """With its parents. FileExistsError when there is anything at `path`; of two who try at once one fails, on a local disk."""
        ...

    def rename(self, source: str, target: str) -> None: ...

    def remove(self, path: str) -> None: ...

    def remove_tree(self, path: str) -> None:
        """Nothing there is no error."""
        ...

    def remove_directory(self, path: str) -> None:
        """Only an empty one; OSError otherwise."""
        ...


def filesystem_of(path: str) -> tuple[FileSystem, str]:
    """The file system of `path`, and the path to use with it: `file:` URLs and relative paths become absolute ones.

    Raises PathUnreadable for unknown schemes.
    """
    if path.startswith("file:"):
        return LOCAL, unquote(urlsplit(path).path)
    if not _URL.match(path):
        return LOCAL, os.path.abspath(path)
    return _remote(path), path


def has_glob(path: str) -> bool:
    return _GLOB.search(path) is not None


class LocalFileSystem:
    block_size = 32 << 20

    def stat(self, path: str) -> Entry | None:
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Entry(path, status.st_size, (status.st_mode & 0o170000) == 0o040000, status.st_mtime)

    def entries(self, path: str) -> list[Entry]:
        with os.scandir(path) as entries:
            found = [
                Entry(os.path.join(path, entry.name), entry.stat().st_size, entry.is_dir(), entry.stat().st_mtime) for entry in entries
            ]
        return sorted(found, key=lambda entry: entry.name)

    def match(self, pattern: str) -> list[Entry]:
        entries = (self.stat(path) for path in sorted(glob.glob(pattern)))
        return [entry for entry in entries if entry is not None]

    def open_input(self, path: str) -> IO[bytes]:
        # Without O_NONBLOCK a pipe that nobody writes to would be waited for, for ever; regular files take no notice of it.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            os.close(descriptor)
            if stat.S_ISDIR(mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            raise OSError(errno.EINVAL, "it is a pipe or a device, no regular file", path)
        return cast(IO[bytes], os.fdopen(descriptor, "rb", buffering=0))

    def open_output(self, path: str) -> IO[bytes]:
        return open(path, "wb", buffering=1 << 20)

    def make_directories(self, path: str) -> None:
        os.makedirs(path, exist_ok=True)

    def make_new_directory(self, path: str) -> None:
        path = path.rstrip("/")
        parent = os.path.dirname(path) or "."
        try:
            os.makedirs(parent, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, f"{parent} is a file") from None
        os.mkdir(path)

    def rename(self, source: str, target: str) -> None:
        os.rename(source, target)

    def remove(self, path: str) -> None:
        os.unlink(path)

    def remove_tree(self, path: str) -> None:
        import shutil

        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            try:
                os.unlink(path)
            except OSError:
                pass

    def remove_directory(self, path: str) -> None:
        os.rmdir(path)


LOCAL = LocalFileSystem()


class ArrowFileSystem:
    """A file system that pyarrow.fs made from a URL."""

    block_size = 128 << 20

    def __init__(self, system: Any, prefix: str) -> None:
        self._system = system
        self._prefix = prefix

    def _inner(self, path: str) -> str:
        return path.removeprefix(self._prefix)

    def _entry(self, info: Any) -> Entry:
        from pyarrow import fs

        modified = info.mtime.timestamp() if info.mtime is not None else 0.0
        return Entry(f"{self._prefix}{info.path}", info.size or 0, info.type == fs.FileType.Directory, modified)

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
        return _match(self, self._prefix, self._inner(pattern))

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


class HttpFileSystem:
    """Files of web servers, each read whole. Nothing is listed or written."""

    block_size = 1 << 62

    def stat(self, path: str) -> Entry | None:
        from urllib.error import HTTPError

        try:
            with self._request(path, "HEAD") as answer:
                return Entry(path, int(answer.headers.get("Content-Length") or 0), False)
        except HTTPError as problem:
            with problem:
                if problem.code in (404, 410):
                    return None
                raise OSError(errno.EIO, f"HTTP {problem.code} {problem.reason}", path) from problem

    def entries(self, path: str) -> list[Entry]:
        raise NotADirectoryError(errno.ENOTDIR, "web servers list no files", path)

    def match(self, pattern: str) -> list[Entry]:
        raise NotADirectoryError(errno.ENOTDIR, "web servers list no files: give each one's URL", pattern)

    def open_input(self, path: str) -> IO[bytes]:
        import io
        from urllib.error import HTTPError

        try:
            with self._request(path, "GET") as answer:
                return io.BytesIO(answer.read())
        except HTTPError as problem:
            with problem:
                if problem.code in (404, 410):
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from problem
                raise OSError(errno.EIO, f"HTTP {problem.code} {problem.reason}", path) from problem

    def _request(self, path: str, method: str) -> Any:
        from urllib.request import Request, urlopen

        return urlopen(Request(path, method=method), timeout=60)

    def open_output(self, path: str) -> IO[bytes]:
        raise self._read_only(path)

    def make_directories(self, path: str) -> None:
        raise self._read_only(path)

    def make_new_directory(self, path: str) -> None:
        raise self._read_only(path)

    def rename(self, source: str, target: str) -> None:
        raise self._read_only(target)

    def remove(self, path: str) -> None:
        raise self._read_only(path)

    def remove_directory(self, path: str) -> None:
        raise self._read_only(path)

    def remove_tree(self, path: str) -> None:
        raise self._read_only(path)

    def _read_only(self, path: str) -> OSError:
        return OSError(errno.EROFS, "web servers take no files here", path)


def _remote(url: str) -> FileSystem:
    scheme, _, rest = url.partition("://")
    if scheme in ("http", "https"):
        return HttpFileSystem()
    from pyarrow import ArrowException, fs

    # A pattern's special characters may be illegal in a URL; the file system is that of what comes before them.
    place, slash, path = _GLOB.split(rest, maxsplit=1)[0].partition("/")
    # Google's client tries for a quarter of an hour to be let in.
    limit = "?retry_limit_seconds=60" if scheme in ("gs", "gcs") else ""
    try:
        system, inner = fs.FileSystem.from_uri(f"{scheme}://{place}{slash}{quote(path)}{limit}")
    except (ValueError, OSError, NotImplementedError, ArrowException) as arrow_error:
        return _by_fsspec(url, str(arrow_error))
    plain = f"{scheme}://{place}{slash}{path}"
    return ArrowFileSystem(system, plain[: len(plain) - len(inner)] if plain.endswith(inner) else f"{scheme}://")


def _by_fsspec(url: str, arrow_problem: str) -> FileSystem:
    scheme = url.split("://", 1)[0]
    try:
        import fsspec

        return FsspecFileSystem(fsspec.core.url_to_fs(url)[0], scheme)
    except (ImportError, ValueError, OSError) as error:
        if scheme in _OF_ARROW:  # It is there: what keeps it from being used is the cause, whatever else could be installed.
            raise PathUnreadable(url, f"its file system can't be used: {arrow_problem}{_LET_IN.get(scheme, '')}") from None
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
