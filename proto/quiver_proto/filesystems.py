"""One narrow view of every file system a path may name: local files by `os`, others in modules of their own.

Local paths import no library.
"""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
from dataclasses import dataclass
from typing import IO, Protocol, cast
from urllib.parse import unquote, urlsplit

from quiver_proto.store_options import NO_STORE, StoreOptions

_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
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


def filesystem_of(path: str, store: StoreOptions = NO_STORE) -> tuple[FileSystem, str]:
    """The file system of `path`, and the path to use with it: `file:` URLs and relative paths become absolute ones.

    `store`: how object stores are asked; what it leaves open is the environment's. Raises PathUnreadable for unknown schemes.
    """
    if path.startswith("file:"):
        return LOCAL, unquote(urlsplit(path).path)
    if not _URL.match(path):
        return LOCAL, os.path.abspath(path)
    if path.startswith(("http://", "https://")):
        from quiver_proto.web_files import WebFileSystem

        return WebFileSystem(), path
    from quiver_proto.remote_filesystems import remote

    return remote(path, store), path


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
