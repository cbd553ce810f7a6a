"""An Arrow file of the application's that is written as batches come."""

from __future__ import annotations

import os
from typing import Any

from quiver_executor.disk import explained, put_in_place, remove_quietly, unfinished_path
from quiver_executor.shuffle_files import WINDOW, ClaimingFile, create
from quiver_executor.task import Task


class ArrowOutput:
    """It has its name from `_put_in_place` on; one that is closed before is removed. Raises QuotaExceeded, DiskFull."""

    _writer: Any
    """Arrow's, over `_sink`: whoever extends this opens it."""

    def __init__(self, task: Task, path: str) -> None:
        import pyarrow as pa

        self._task = task
        self._path = path
        self._unfinished = unfinished_path(task.env, path)
        with explained(task.env, path):
            self._descriptor = create(self._unfinished)
        self._file = ClaimingFile(task.env, self._descriptor)
        self._sink = pa.BufferedOutputStream(pa.PythonFile(self._file, "w"), WINDOW)

    def _put_in_place(self) -> None:
        put_in_place(self._unfinished, self._path)
        os.close(self._descriptor)
        self._descriptor = -1

    def close(self) -> None:
        """Give it up, unless it is in place."""
        if self._descriptor < 0:
            return
        self._file.discards = True
        self._writer.close()
        self._sink.close()
        os.close(self._descriptor)
        self._descriptor = -1
        remove_quietly(self._unfinished)
