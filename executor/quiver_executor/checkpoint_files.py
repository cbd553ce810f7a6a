"""Checkpoints, in a task: a partition's records to a staged file, and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from quiver_executor.memory import batches_of
from quiver_executor.pipeline import Build, check_end
from quiver_executor.sinks import RunSink
from quiver_executor.staged_file import staged_file
from quiver_executor.task import Task
from quiver_proto import ops
from quiver_proto.checkpoints import read_records, write_records
from quiver_proto.errors import CheckpointUnreadable
from quiver_proto.filesystems import filesystem_of
from quiver_proto.frames import dump_value


def compile_save_frames(sink: ops.SaveFrames, build: Build) -> RunSink:
    def run(task: Task, split: Any) -> bytes:
        index, inner = split
        records, end = build(task, inner, task.cursor)
        with staged_file(task, sink.directory, sink.job, index) as file:
            size, frames, digest = write_records(file.raw, _counted(task, batches_of(records)))
            check_end(end)
        task.output_bytes += size
        return dump_value((file.name, size, frames, digest))

    return run


def _counted(task: Task, batches: Iterator[list[Any]]) -> Iterator[list[Any]]:
    for batch in batches:
        task.output_records += len(batch)
        yield batch


def checkpoint_batches(task: Task, split: tuple[str, int, int, bytes]) -> Iterator[list[Any]]:
    """The records of one checkpoint file. Raises CheckpointUnreadable when it is not there, or not what was written."""
    path, size, frames, digest = split
    try:
        system, inner = filesystem_of(path)
        with system.open_input(inner) as file:
            yield from read_records(file, path, size, frames, digest)
    except OSError as error:
        raise CheckpointUnreadable(path, str(error.strerror or error)) from None
    task.input_bytes += size
