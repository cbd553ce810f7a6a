"""The driver's own directory: blocks of local mode, logs of its executor. Nothing is left behind, not even after SIGKILL."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import logging
import os
import shutil
import stat
import tempfile

from quiver_proto.errors import BadSetting

log = logging.getLogger("quiver.driver")

_LOCK = "lock"


def default_root() -> str:
    """`<tmp>/quiver-<user>`: private to the user."""
    return os.path.join(tempfile.gettempdir(), f"quiver-{getpass.getuser()}")


def _private(root: str) -> str:
    """`root` where only we may write to it, else a directory of our own in it. Raises BadSetting when it can't be ours alone."""
    try:
        os.makedirs(root, mode=0o700, exist_ok=True)
        info = os.stat(root)
        if info.st_uid == os.getuid() and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return root
        if info.st_mode & stat.S_IWOTH and not info.st_mode & stat.S_ISVTX:
            # Others could swap what is in it for links into our files, or for files that we would unpickle.
            raise BadSetting("quiver.local.dir", root, "everyone may rename what is in it; choose a directory of your own")
        own = os.path.join(root, f"quiver-{getpass.getuser()}")
        with contextlib.suppress(FileExistsError):
            os.mkdir(own, 0o700)
        info = os.lstat(own)
    except OSError as error:
        raise BadSetting("quiver.local.dir", root, f"{error.strerror or error}; choose a writable directory") from None
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise BadSetting("quiver.local.dir", own, "it must be a directory that belongs to you and that nobody else may write to")
    return own


class WorkDir:
    """`<root>/<application id>` (mode 0700; in a directory of the user's own where others may write to the root), locked as long as
    this process lives; removed by `close`, or by a later driver's sweep. Raises BadSetting.
    """

    def __init__(self, root: str, application_id: str) -> None:
        self.root = root = _private(root)
        self.path = os.path.join(root, application_id)
        self.blocks = os.path.join(self.path, "blocks")
        self.logs = os.path.join(self.path, "logs")
        # Locked before it has its final name: a sweep never sees it unlocked.
        staging = tempfile.mkdtemp(prefix=".new-", dir=root)
        self._lock = os.open(os.path.join(staging, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.mkdir(os.path.join(staging, "blocks"))
        os.mkdir(os.path.join(staging, "logs"))
        os.rename(staging, self.path)

    def sweep(self) -> None:
        """Remove directories of drivers that died without closing theirs."""
        with os.scandir(self.root) as entries:
            paths = [entry.path for entry in entries if entry.name.startswith("app-") and entry.is_dir(follow_symlinks=False)]
        for path in paths:
            with contextlib.suppress(OSError):
                lock = os.open(os.path.join(path, _LOCK), os.O_RDWR | os.O_CLOEXEC)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
                    log.info("removed %s, left behind by a driver that died", path)
                finally:
                    os.close(lock)

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(self._lock)
