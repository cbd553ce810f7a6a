"""The files that an application gives to its tasks: taken in by the driver, named in the manifest of every later job.

    <broadcast directory>/files/store/<n>/<name>    what was added: a file, a directory, an archive unpacked
    <broadcast directory>/files/root/<name>         a link to it: Files.getRootDirectory() of the driver

Slots in this process tree use that directory. For others each file is a broadcast as well, so that it travels once to a node and nodes give
it to one another.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import mmap
import os
import pickle
import shutil
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from quiver_proto import shared_files
from quiver_proto.errors import NoSharedFiles, PathNotFound, PathUnreadable, SharedFileDiffers
from quiver_proto.filesystems import LOCAL, Entry, FileSystem, filesystem_of
from quiver_proto.host import this_machine
from quiver_proto.messages import SHARED_FILES
from quiver_proto.ops import CallSite
from quiver_proto.shared_files import ARCHIVE, FILE, NO_BROADCAST, TREE, Files, Manifest, SharedFile, check_name
from quiver_proto.unpacking import SUFFIXES, is_archive, unpack

if TYPE_CHECKING:
    from quiver.plan.model import Driver, PlannedJob

__all__ = ["Files", "SharedFiles"]

log = logging.getLogger("quiver.files")

PACKAGES = (".zip", ".egg", ".jar", ".whl")
"""What Python imports from, given by addPyFile; a `.py` file is found in the root."""
_CHUNK = 1 << 20
_DEEPEST = 100


class SharedFiles:
    """One Context's. Its methods may be called by any thread.

    `near`: all slots see the driver's own directory (inline and local mode), so nothing has to travel. `overwrite`: a name may be given
    other content (`spark.files.overwrite`).
    """

    def __init__(self, driver: Driver, near: bool, overwrite: bool) -> None:
        self._driver = driver
        self.near = near
        self._overwrite = overwrite
        self._adding = threading.RLock()
        """One addition at a time; held while files are read, copied and sent, which may take minutes."""
        self._lock = threading.RLock()
        """Of what is published. Jobs take it too: never held for long, and never while waiting for `_adding`."""
        self._directory = ""
        self._stored = 0
        self._files: dict[str, SharedFile] = {}
        self._broadcasts: dict[int, Any] = {}
        self._import_from: dict[str, None] = {}
        self._manifest = ""
        self._on_path: list[str] = []
        self.added: dict[str, None] = {}
        """The URLs given to addFile and addPyFile, in order."""
        self.archives: dict[str, None] = {}

    # ---- what Context offers ----

    def add_file(self, path: str, recursive: bool, call_site: CallSite) -> str:
        """Take a file or directory in; its name. See Context.addFile."""
        system, inner = filesystem_of(path)
        entry = _entry(system, inner, path)
        if entry.is_directory and not recursive:
            raise PathUnreadable(path, "it is a directory; add it with recursive=True")
        name = check_name(_base_name(inner))
        url = _url(system, inner, path, entry.is_directory)
        with self._adding:
            if url in self.added:
                log.warning("%s was added before; a path is added once, and later calls change nothing", url)
            else:
                self._take(name, TREE if entry.is_directory else FILE, "", system, entry, call_site)
                self.added[url] = None
        return name

    def add_py_file(self, path: str, call_site: CallSite) -> None:
        """See Context.addPyFile."""
        system, inner = filesystem_of(path)
        directory = _entry(system, inner, path).is_directory
        package = directory and system.stat(f"{inner.rstrip('/')}/__init__.py") is not None
        name = self.add_file(path, directory, call_site)
        with self._lock:
            if name.lower().endswith(PACKAGES) or (directory and not package):
                self._import_from[name] = None
            self._see_imports()

    def add_archive(self, path: str, call_site: CallSite) -> None:
        """See Context.addArchive."""
        given, alias = _split_alias(path)
        system, inner = filesystem_of(given)
        entry = _entry(system, inner, given)
        if entry.is_directory:
            raise PathUnreadable(given, "it is a directory, no archive; add it with addFile(path, recursive=True)")
        base = _base_name(inner)
        name = check_name(alias or base)
        url = _url(system, inner, given, False) + (f"#{quote(alias)}" if alias else "")
        suffix = next((suffix for suffix in SUFFIXES if base.lower().endswith(suffix)), "")
        with self._adding:
            if url in self.archives:
                log.warning("%s was added before; a path is added once, and later calls change nothing", url)
                return
            if not is_archive(base):
                log.warning("%s is no archive that can be unpacked (%s): it is added as a file", url, ", ".join(SUFFIXES))
            self._take(name, ARCHIVE if suffix else FILE, suffix, system, entry, call_site)
            self.archives[url] = None

    def attach(self, job: PlannedJob) -> PlannedJob:
        """The job with the manifest of the files that there are now."""
        with self._lock:
            if not self._files:
                return job
            if not self._manifest:
                self._manifest = Manifest(
                    self._driver.id_base, this_machine(), self.root(), tuple(self._files.values()), tuple(self._import_from)
                ).encode()
            broadcasts, manifest = dict(self._broadcasts), self._manifest
        stages = job.stages
        if broadcasts:
            stages = tuple(replace(stage, broadcasts={**stage.broadcasts, **broadcasts}) for stage in stages)
        return replace(job, stages=stages, properties={**job.properties, SHARED_FILES: manifest})

    def close(self) -> None:
        """Take away what was put on this process's sys.path. The files go with the application's directory."""
        with self._lock:
            for path in self._on_path:
                if path in sys.path:
                    sys.path.remove(path)
            self._on_path.clear()
        shared_files.stage_root = None  # What an inline stage set.

    # ---- inside ----

    def root(self) -> str:
        """The driver's directory of them."""
        with self._lock:
            if not self._directory:
                directory = os.path.join(self._driver.broadcast_dir(), "files")
                for name in ("store", "root"):
                    os.makedirs(os.path.join(directory, name), mode=0o700, exist_ok=True)
                self._directory = directory
            return os.path.join(self._directory, "root")

    def _take(self, name: str, kind: str, suffix: str, system: FileSystem, entry: Entry, call_site: CallSite) -> None:
        root = self.root()
        self._stored += 1
        store = os.path.join(self._directory, "store", str(self._stored))
        os.mkdir(store, 0o700)
        try:
            blob = os.path.join(store, name if kind == FILE else f".blob{'.tar' if kind == TREE else suffix}")
            digest, size = _copy(_tarred(system, entry) if kind == TREE else _chunks(system, entry), blob)
            known = self._files.get(name)
            if known is not None and (known.kind, known.sha256) == (kind, digest):
                shutil.rmtree(store)
                return
            if known is not None and not self._overwrite:
                raise SharedFileDiffers(name, entry.path)
            if kind != FILE:
                unpack(blob, os.path.join(store, name))
            sent = None if self.near else self._broadcast(blob, size, call_site)
            file = SharedFile(name, kind, digest, size, suffix, NO_BROADCAST if sent is None else sent.id)
            if kind != FILE:
                os.unlink(blob)
            staged = os.path.join(store, ".link")
            os.symlink(os.path.join("..", "store", str(self._stored), name), staged)
            with self._lock:
                os.replace(staged, os.path.join(root, name))
                self._files[name] = file
                if sent is not None:
                    self._broadcasts[sent.id] = sent
                self._see_imports()
        except BaseException:
            shutil.rmtree(store, ignore_errors=True)
            raise

    def _broadcast(self, path: str, size: int, call_site: CallSite) -> Any:
        from quiver.broadcast import broadcast

        with open(path, "rb") as file:
            # Mapped, so that a large file is not in memory as a whole.
            content: Any = pickle.PickleBuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) if size else b""
            return broadcast(content, self._driver, call_site)

    def _see_imports(self) -> None:
        """The driver imports what its tasks do."""
        self._manifest = ""
        root = self.root()
        for path in (root, *(os.path.join(root, name) for name in self._import_from)):
            if path not in sys.path:
                sys.path.insert(1, path)
                self._on_path.append(path)
        importlib.invalidate_caches()


def _active_root() -> str:
    from quiver.context import Context

    active = Context._active
    if active is None:
        raise NoSharedFiles
    return active._sharing().root()


shared_files.driver_root = _active_root


def _entry(system: FileSystem, inner: str, given: str) -> Entry:
    try:
        entry = system.stat(inner)
    except OSError as error:
        raise PathUnreadable(given, str(error)) from None
    if entry is None:
        raise PathNotFound(inner, given)
    return entry


def _base_name(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]


def _url(system: FileSystem, inner: str, given: str, directory: bool) -> str:
    """As Spark lists it: `file:/data/a.txt`, a directory with a slash at its end, other URLs as they were given."""
    if system is not LOCAL:
        return given
    return f"file:{quote(inner)}{'/' if directory and not inner.endswith('/') else ''}"


def _split_alias(path: str) -> tuple[str, str]:
    """`archive.zip#name`: the path and the name. A file that has the `#` in its own name is itself."""
    given, mark, alias = path.rpartition("#")
    return (given, alias) if mark and not os.path.lexists(path) else (path, "")


def _copy(chunks: Iterator[bytes], target: str) -> tuple[str, int]:
    """(SHA-256, size) of what was written to the new file."""
    digest, size = hashlib.sha256(), 0
    with open(target, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
        for chunk in chunks:
            digest.update(chunk)
            size += out.write(chunk)
    return digest.hexdigest(), size


def _chunks(system: FileSystem, entry: Entry) -> Iterator[bytes]:
    try:
        with system.open_input(entry.path) as source:
            while chunk := source.read(_CHUNK):
                yield bytes(chunk)
    except OSError as error:
        raise PathUnreadable(entry.path, error.strerror or str(error)) from None


def _tarred(system: FileSystem, directory: Entry) -> Iterator[bytes]:
    """A directory as a tar; the same bytes for the same names, contents and modes."""
    for path, inner in _walk(system, directory.path, "", 0):
        member = tarfile.TarInfo(inner)
        member.mode = 0o644
        if path.is_directory:
            member.type = tarfile.DIRTYPE
            yield member.tobuf(tarfile.PAX_FORMAT)
            continue
        if system is LOCAL:
            member.mode = os.stat(path.path).st_mode & 0o777
        # Read before its header is made: the header has its length.
        content = BytesIO()
        for chunk in _chunks(system, path):
            content.write(chunk)
        member.size = content.tell()
        yield member.tobuf(tarfile.PAX_FORMAT)
        yield content.getvalue()
        yield bytes(-member.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _walk(system: FileSystem, directory: str, inner: str, depth: int) -> Iterator[tuple[Entry, str]]:
    if depth > _DEEPEST:
        raise PathUnreadable(directory, "its directories nest too deep, or a link leads round in a circle")
    for entry in system.entries(directory):
        name = f"{inner}{entry.name}"
        yield entry, name
        if entry.is_directory:
            yield from _walk(system, entry.path, f"{name}/", depth + 1)
