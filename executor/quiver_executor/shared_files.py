"""An application's added files in a slot: made from their broadcasts once on a node, and on sys.path while a stage that has them runs.

    <application's directory>/broadcasts/<id>.d/<name>    what broadcast <id> holds, unpacked; goes when the broadcast is removed
    <application's directory>/files/<space>/root/<name>   a link to it

A link is changed in one step, so a task that has looked a name up sees one content or the other. Where the driver's own directory is
on this machine and belongs to us, it is used as it is.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from quiver_executor.broadcasts import CONTENT, drop
from quiver_executor.disk import claim, explained
from quiver_executor.environment import SlotEnvironment
from quiver_proto import shared_files
from quiver_proto.broadcast import Source
from quiver_proto.broadcast_file import FOLDER, file_path
from quiver_proto.errors import BlockCorrupt, BroadcastNotLoaded
from quiver_proto.host import this_machine
from quiver_proto.shared_files import FILE, TREE, Manifest, SharedFile
from quiver_proto.unpacking import unpack

_active: tuple[str, list[str]] = ("", [])
"""The manifest whose files this process sees, and what that put on sys.path."""


class StageFiles:
    """A stage's files, made ready on this node by the constructor. `text` is an encoded manifest.

    Raises MalformedMessage, BadFileName, QuotaExceeded, DiskFull, BroadcastUnavailable, BlockCorrupt, UnsafeArchive, OSError.
    """

    def __init__(self, text: str, source: Source | None, env: SlotEnvironment) -> None:
        manifest = Manifest.decode(text)
        self._text = text
        self._root = _root(manifest, source, env)
        self._paths = [os.path.join(self._root, name) for name in manifest.import_from] + [self._root]

    def activate(self) -> None:
        """Let this process's tasks see these files, and import from them. Costs nothing when they do already."""
        global _active
        if _active[0] == self._text:
            return
        for path in _active[1]:
            if path in sys.path:
                sys.path.remove(path)
        added = [path for path in self._paths if path not in sys.path]
        sys.path[1:1] = added
        _active = (self._text, added)
        root = self._root
        shared_files.stage_root = lambda: root
        importlib.invalidate_caches()


def _root(manifest: Manifest, source: Source | None, env: SlotEnvironment) -> str:
    if manifest.machine == this_machine() and _is_ours(manifest):
        return manifest.root
    base = os.path.join(env.blocks_dir, "files", str(manifest.space))
    root = os.path.join(base, "root")
    with explained(env, root):
        os.makedirs(root, mode=0o700, exist_ok=True)
        with _locked(os.path.join(base, "lock")):
            for file in manifest.files:
                _link(file, root, source, env)
    return root


def _is_ours(manifest: Manifest) -> bool:
    try:
        return os.stat(manifest.root).st_uid == os.getuid() and all(
            os.path.exists(os.path.join(manifest.root, file.name)) for file in manifest.files
        )
    except OSError:
        return False


def _link(file: SharedFile, root: str, source: Source | None, env: SlotEnvironment) -> None:
    content = file_path(env.blocks_dir, file.broadcast_id) + CONTENT
    link, target = os.path.join(root, file.name), os.path.join("..", "..", "..", FOLDER, os.path.basename(content), file.name)
    if not os.path.lexists(os.path.join(content, file.name)):
        _make(file, content, source, env)
    if not os.path.islink(link) or os.readlink(link) != target:
        staged = os.path.join(root, "..", f"link-{os.getpid()}")
        os.symlink(target, staged)
        os.replace(staged, link)


def _make(file: SharedFile, content: str, source: Source | None, env: SlotEnvironment) -> None:
    """The directory `content` with the file in it; it appears whole."""
    if source is None:
        raise BroadcastNotLoaded(file.broadcast_id)
    data = memoryview(source.open(file.broadcast_id))
    if len(data) != file.size or hashlib.sha256(data).hexdigest() != file.sha256:
        raise BlockCorrupt(f"added file {file.name}", "its content is not what the driver added")
    staged = f"{content}.new-{os.getpid()}"
    shutil.rmtree(staged, ignore_errors=True)
    os.makedirs(staged, mode=0o700)
    try:
        plain = os.path.join(staged, file.name if file.kind == FILE else f"blob{'.tar' if file.kind == TREE else file.suffix}")
        claim(env, file.size)
        with open(os.open(plain, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
            out.write(data)
        del data
        drop(file.broadcast_id)
        if file.kind != FILE:
            inner = os.path.join(staged, "unpacked")
            os.mkdir(inner, 0o700)
            unpack(plain, os.path.join(inner, file.name), lambda size: claim(env, size))
            os.unlink(plain)
            os.rename(inner, content)
        else:
            os.rename(staged, content)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


@contextmanager
def _locked(path: str) -> Iterator[None]:
    """One slot of the node at a time. The lock ends with its holder, however that ends."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
