"""The file that one attempt at a task leaves in the staging directory of its job's output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

from quiver_executor.disk import explained
from quiver_executor.task import Task
from quiver_proto.committing import staging_directory, unwritable
from quiver_proto.filesystems import FileSystem, filesystem_of


class StagedFile(NamedTuple):
    """`name` within the staging directory, and `path` of the file, which is open for writing."""

    name: str
    path: str
    system: FileSystem
    raw: IO[bytes]


@contextmanager
def staged_file(task: Task, directory: str, job: str, partition: int, extension: str = "") -> Iterator[StagedFile]:
    """A file for a partition of the output: closed when the block ends, removed when it raises. Raises PathUnwritable, DiskFull."""
    # The attempt's own name: a late one never touches another's file.
    name = f"part-{partition:05d}-{task.task_id}{extension}"
    system, inside = filesystem_of(directory)
    path = f"{staging_directory(inside, job)}/{name}"
    try:
        raw = system.open_output(path)
    except OSError as error:
        raise unwritable(path, error) from None
    try:
        with explained(task.env, path, output=True), raw:
            yield StagedFile(name, path, system, raw)
    except BaseException:
        try:
            system.remove(path)
        except OSError:
            pass
        raise
