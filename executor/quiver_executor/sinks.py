"""What a task leaves behind for the driver: collected records, a count, a function's result, lines in a file."""

from __future__ import annotations

import itertools
import os
import pickle
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import IO, Any

from quiver_executor.compressed import compressed
from quiver_executor.disk import claim, written_whole
from quiver_executor.functions import Functions
from quiver_executor.memory import batches_of
from quiver_executor.pipeline import Build, check_end, guarded
from quiver_executor.staged_file import staged_file
from quiver_executor.task import Task
from quiver_proto import ops, pickle_files
from quiver_proto.errors import UnpicklableOutput
from quiver_proto.frames import dump_records, dump_value
from quiver_proto.ids import NodeId
from quiver_proto.messages import ResultBlock
from quiver_proto.ops import CallSite
from quiver_proto.shorten import shorten

IN_MESSAGE = 256 << 10
"""A larger result becomes a block file."""

RunSink = Callable[[Task, Any], bytes]
"""The result's frame, for a task's split."""

_CODECS = {None: ("", ""), "gzip": ("gzip", ".gz"), "bz2": ("bzip2", ".bz2"), "zstd": ("zstd", ".zst")}
"""By the name that users give, that of compressed.py and the extension of files."""
_UNPICKLABLE = (pickle.PicklingError, TypeError, AttributeError)


def compile_collect(sink: ops.Collect, build: Build, site: CallSite) -> RunSink:
    def run(task: Task, split: Any) -> bytes:
        records, end = build(task, split, task.cursor)
        collected = list(records)
        check_end(end)
        task.output_records += len(collected)
        begun = time.perf_counter()
        try:
            return dump_records(collected)
        except _UNPICKLABLE as error:
            for record in collected:
                _check_picklable(record, site)
            raise UnpicklableOutput(str(site), "the list of records", str(error)) from None
        finally:
            task.serialize_s += time.perf_counter() - begun

    return run


def compile_count(sink: ops.Count, build: Build) -> RunSink:
    def run(task: Task, split: Any) -> bytes:
        records, end = build(task, split, task.cursor)
        # One at a time: each may be as large as a batch of a table is. `records` come first: a number is taken only beside a record.
        numbers = itertools.count()
        deque(zip(records, numbers), maxlen=0)
        check_end(end)
        return dump_value(next(numbers))

    return run


def compile_apply(sink: ops.Apply, build: Build, functions: Functions) -> RunSink:
    number = functions.add(sink.function)
    site, with_index = sink.function.call_site, sink.with_index

    def run(task: Task, split: Any) -> bytes:
        if with_index:
            index, inner = split
            result = task.f[number](index, guarded(*build(task, inner, task.cursor)))
        else:
            result = task.f[number](guarded(*build(task, split, task.cursor)))
        begun = time.perf_counter()
        try:
            return dump_value(result)
        except _UNPICKLABLE as error:
            raise UnpicklableOutput(str(site), f"the result {shorten(result)}", str(error)) from None
        finally:
            task.serialize_s += time.perf_counter() - begun

    return run


def _check_picklable(record: Any, site: CallSite) -> None:
    try:
        dump_records([record])
    except _UNPICKLABLE as error:
        raise UnpicklableOutput(str(site), f"the record {shorten(record)}", str(error)) from None


def result_path(task: Task) -> str:
    """Where the result of this attempt lies, when it is too large for a message."""
    return os.path.join(task.env.blocks_dir, "results", f"result-{task.task_id}.frame")


def write_result(task: Task, frame: bytes) -> ResultBlock:
    """A large result as a block file. Raises QuotaExceeded, DiskFull; leaves nothing then."""
    env = task.env
    path = result_path(task)
    with written_whole(env, path) as unfinished:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(unfinished, "wb", buffering=0) as file:
            claim(env, len(frame), file.fileno())
            view = memoryview(frame)
            while view:
                view = view[file.write(view) :]
    return ResultBlock(NodeId(env.node_id), path, len(frame))


# ---- files ----

Write = Callable[[Task, IO[bytes], Iterator[Any]], None]
"""Write the records; the file is closed by the caller."""


def compile_save_text(sink: ops.SaveText, build: Build) -> RunSink:
    codec, extension = _CODECS[sink.codec]

    def write(task: Task, raw: IO[bytes], records: Iterator[Any]) -> None:
        with compressed(raw, codec) as file:
            for batch in batches_of(records):
                file.write(_as_lines(batch))
                task.output_records += len(batch)

    return _compile_save(sink.directory, sink.job, extension, build, write)


def compile_save_pickle(sink: ops.SavePickle, build: Build, site: CallSite) -> RunSink:
    def write(task: Task, raw: IO[bytes], records: Iterator[Any]) -> None:
        last: list[Any] = []

        def noted() -> Iterator[list[Any]]:
            nonlocal last
            for batch in _batches_of(sink.batch, records) if sink.batch > 0 else batches_of(records):
                last = batch
                yield batch

        try:
            task.output_records += pickle_files.write(raw.write, noted(), sink.key)
        except _UNPICKLABLE:
            for record in last:
                _check_picklable(record, site)
            raise

    return _compile_save(sink.directory, sink.job, "", build, write)


def _batches_of(size: int, records: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(records, size)):
        yield batch
        if len(batch) < size:
            return  # Asked again, a map that a StopIteration stopped would go on.


def _compile_save(directory: str, job: str, extension: str, build: Build, write: Write) -> RunSink:
    def run(task: Task, split: Any) -> bytes:
        index, inner = split
        records, end = build(task, inner, task.cursor)
        with staged_file(task, directory, job, index, extension) as file:
            write(task, file.raw, records)
            check_end(end)
        entry = file.system.stat(file.path)
        task.output_bytes += 0 if entry is None else entry.size
        return dump_value(file.name)

    return run


def _as_lines(batch: list[Any]) -> bytes:
    if set(map(type, batch)) == {str}:
        return "\n".join([*batch, ""]).encode()
    return b"".join(_as_line(record) for record in batch)


def _as_line(record: Any) -> bytes:
    if isinstance(record, bytes):
        return record + b"\n"
    text = record if isinstance(record, str) else str(record)
    return text.encode() + b"\n"
