"""Unpacking archives that may be hostile: nothing is written outside the directory, and no link leads out of it.

Member names are relative paths without `..`. Links keep to the archive: a symbolic link's target may climb (`..`) only at its beginning and
not above the root, and no member lies below a link; so every path that is written through has only real directories in it, and every
link, followed from where it is, stays inside. Devices and pipes are refused.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import IO

from quiver_proto.errors import BadArchive, UnsafeArchive

SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip", ".jar")
_ZIPS = (".zip", ".jar")


def is_archive(name: str) -> bool:
    """By its name, is it one that `unpack` knows?"""
    return name.lower().endswith(SUFFIXES)


def unpack(path: str, into: str, room: Callable[[int], None] = lambda size: None) -> None:
    """Unpack the archive at `path` into the new directory `into`. `room(size)` is called before `size` bytes are written, and may raise.

    Raises UnsafeArchive, BadArchive, OSError; then what was written so far is there.
    """
    os.mkdir(into, 0o700)
    try:
        if path.lower().endswith(_ZIPS):
            _unpack_zip(path, into, room)
        else:
            _unpack_tar(path, into, room)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, RuntimeError, NotImplementedError, UnicodeError) as error:
        # Encryption and unknown compressions come as RuntimeError and NotImplementedError.
        raise BadArchive(path, str(error) or type(error).__name__) from None


def parts_of(name: str, path: str) -> tuple[str, ...]:
    """A member's path in its parts, without empty ones and `.`. Raises UnsafeArchive."""
    if name.startswith("/") or "\0" in name:
        raise UnsafeArchive(path, name, "its name is not a relative path")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise UnsafeArchive(path, name, "its name leads out of the archive")
    return parts


class _Writer:
    """Writes members below `root`."""

    def __init__(self, archive: str, root: str, room: Callable[[int], None]) -> None:
        self._archive = archive
        self._root = root
        self._room = room
        self._links: set[tuple[str, ...]] = set()

    def _place(self, name: str) -> tuple[str, tuple[str, ...]]:
        parts = parts_of(name, self._archive)
        for depth in range(1, len(parts) + 1):
            if parts[:depth] in self._links:
                raise UnsafeArchive(self._archive, name, f"it would be written through the link {'/'.join(parts[:depth])!r}")
        return os.path.join(self._root, *parts), parts

    def directory(self, name: str) -> None:
        os.makedirs(self._place(name)[0], mode=0o700, exist_ok=True)

    def file(self, name: str, source: IO[bytes], size: int, mode: int) -> None:
        target, parts = self._place(name)
        if not parts:
            raise UnsafeArchive(self._archive, name, "a file has no name")
        self._room(size)
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        if os.path.lexists(target):
            os.unlink(target)
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
            os.fchmod(file.fileno(), 0o600 | (mode & 0o777))

    def symlink(self, name: str, link: str) -> None:
        target, parts = self._place(name)
        steps = [step for step in link.split("/") if step not in ("", ".")]
        climbs = next((i for i, step in enumerate(steps) if step != ".."), len(steps))
        if link.startswith("/") or "\0" in link or ".." in steps[climbs:] or climbs > len(parts) - 1:
            raise UnsafeArchive(self._archive, name, f"it links to {link!r}, which may lead out of the archive")
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        os.symlink(link, target)
        self._links.add(parts)

    def hard_link(self, name: str, link: str) -> None:
        target, _ = self._place(name)
        original, _ = self._place(link)
        if not os.path.isfile(original):
            raise UnsafeArchive(self._archive, name, f"it links to {link!r}, which is no earlier file of the archive")
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        os.link(original, target, follow_symlinks=False)


def _unpack_zip(path: str, into: str, room: Callable[[int], None]) -> None:
    writer = _Writer(path, into, room)
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.is_dir():
                writer.directory(info.filename)
                continue
            mode = info.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise UnsafeArchive(path, info.filename, "it is neither a file nor a directory")
            with archive.open(info) as source:
                writer.file(info.filename, source, info.file_size, mode)


def _unpack_tar(path: str, into: str, room: Callable[[int], None]) -> None:
    writer = _Writer(path, into, room)
    with tarfile.open(path, "r:*") as archive:
        for member in archive:
            if member.isdir():
                writer.directory(member.name)
            elif member.isreg():
                source = archive.extractfile(member)
                assert source is not None
                writer.file(member.name, source, member.size, member.mode)
            elif member.issym():
                writer.symlink(member.name, member.linkname)
            elif member.islnk():
                writer.hard_link(member.name, member.linkname)
            else:
                raise UnsafeArchive(path, member.name, "it is neither a file, a directory nor a link")
