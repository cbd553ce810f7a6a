"""Where a Context's reliable checkpoints go."""

from __future__ import annotations

import os
import uuid

from quiver.callsite import capture
from quiver.closures import DriverOnly


class CheckpointDirectory(DriverOnly):
    """setCheckpointDir and getCheckpointDir of a Context."""

    _checkpoint_dir: str | None = None

    def setCheckpointDir(self, dirName: str) -> None:
        """Where RDD.checkpoint writes: a path or URL that all nodes can reach. A new directory is made in it. Raises PathUnreadable.

        >>> import tempfile
        >>> sc.setCheckpointDir(tempfile.mkdtemp())
        """
        self._check(capture().operator)
        self._checkpoint_dir = make_checkpoint_directory(dirName)

    def getCheckpointDir(self) -> str | None:
        """The directory that setCheckpointDir made; None before.

        >>> import tempfile
        >>> path = tempfile.mkdtemp()
        >>> sc.setCheckpointDir(path)
        >>> sc.getCheckpointDir().startswith(f"file:{path}/")
        True
        """
        return self._checkpoint_dir

    def _check(self, what: str) -> None:
        """Raises ContextStopped."""
        raise AssertionError(what)


def make_checkpoint_directory(path: str) -> str:
    """A new directory of this application's own inside `path`. Raises PathUnreadable, ValueError for an empty path."""
    from quiver_proto.errors import PathUnreadable
    from quiver_proto.filesystems import filesystem_of

    path = os.fspath(path)
    if not path:
        raise ValueError("setCheckpointDir needs a directory's path or URL")
    system, inner = filesystem_of(path)
    directory = f"{inner.rstrip('/')}/{uuid.uuid4()}"
    try:
        system.make_directories(directory)
    except OSError as error:
        raise PathUnreadable(path, f"the checkpoint directory can't be made: {error.strerror or error}") from None
    return directory if "://" in directory else f"file:{directory}"
