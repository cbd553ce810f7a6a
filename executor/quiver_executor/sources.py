"""Where records come from when not from a shuffle: the driver's items, ranges, and text files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import IO, Any

from quiver_executor import kernels
from quiver_executor.task import Task
from quiver_proto import pickle_files
from quiver_proto.columns import Column
from quiver_proto.errors import BadRecordLength, PathNotFound, PathUnreadable, QuiverError, UndecodableLine
from quiver_proto.files import Chunk
from quiver_proto.filesystems import filesystem_of
from quiver_proto.frames import load

BLOCK = 1 << 20
_RANGE_BATCH = 8192
_BOM = b"\xef\xbb\xbf"


def item_batches(split: bytes) -> Iterator[list[Any]]:
    return iter((load(split),))


def range_batches(split: tuple[int, int, int]) -> Iterator[list[int]]:
    numbers = range(*split)
    for start in range(0, len(numbers), _RANGE_BATCH):
        yield list(numbers[start : start + _RANGE_BATCH])


def line_batches(task: Task, chunks: Sequence[Chunk], unicode: bool) -> Iterator[list[Any]]:
    """The lines that start in the chunks, without their ends. Raises PathNotFound, PathUnreadable, UndecodableLine."""
    return chain.from_iterable(_chunk_lines(task, *chunk, unicode) for chunk in chunks)


def word_batches(task: Task, chunks: Sequence[Chunk], separator: str | None) -> Iterator[Column | list[str]]:
    """The words of the lines that start in the chunks: what `line.split(separator)` gives for each line, put together. Lines end with
    white space, so a block of them can be split at once; and with a separator, they can be joined by it before."""
    for path, start, length in chunks:
        with Input(path) as source:
            for block in _whole_lines(task, source, start, length):
                if b"\r" in block:
                    block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
                if not block.endswith(b"\n"):
                    block += b"\n"
                task.cursor.before += block.count(b"\n")
                yield _words(block, separator, path, start)


_PYTHONS_OWN = tuple(bytes([code]) for code in range(0x1C, 0x20))
"""White space for str.split, and for nobody else."""
_WORD_BYTES = 8


def _words(block: bytes, separator: str | None, path: str, start: int) -> Column | list[str]:
    if separator is not None:
        # An end of line inside stands between two words, as the separator does; the last one ends the last word.
        block = block[:-1].replace(b"\n", separator.encode())
    is_ascii = block.isascii()
    simple = is_ascii and (separator is not None or not any(map(block.__contains__, _PYTHONS_OWN)))
    if simple and kernels.ready(len(block) // _WORD_BYTES):
        return kernels.words_of(block, separator)
    try:
        text = block.decode()
    except UnicodeDecodeError:
        raise _undecodable(path, start) from None
    return text.split(separator)


def whole_file_batches(task: Task, chunks: Sequence[Chunk], unicode: bool, raw: bool) -> Iterator[list[tuple[Any, Any]]]:
    for path, _, _ in chunks:
        with Input(path, raw) as source:
            content = b"".join(source.blocks())
        task.input_bytes += len(content)
        # Hadoop's name of a local file.
        name = path if "://" in path else f"file:{path}"
        if raw or not unicode:
            yield [(name if raw else os.fsencode(name), content)]
            continue
        try:
            yield [(name, content.decode())]
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise UndecodableLine(path, line, error.start, error.reason) from None


def fixed_batches(task: Task, chunks: Sequence[Chunk], length: int) -> Iterator[list[bytes]]:
    """Records of `length` bytes. Raises BadRecordLength when a compressed file is no whole number of them."""
    for path, start, size in chunks:
        with Input(path) as source:
            if start:
                source.seek(start)
            left = size
            step = max(1, BLOCK // length) * length
            while left:
                block = source.read(step if left < 0 else min(step, left))
                task.input_bytes += len(block)
                if len(block) % length:
                    raise BadRecordLength(path, len(block), length)
                if not block:
                    break
                yield [block[i : i + length] for i in range(0, len(block), length)]
                left -= len(block) if left > 0 else 0


def pickled_batches(task: Task, chunks: Sequence[Chunk], key: bytes, trusted: bool) -> Iterator[list[Any]]:
    for path, _, _ in chunks:
        with Input(path) as source:

            def read(size: int, source: Input = source) -> bytes:
                task.input_bytes += size
                return source.read(size)

            yield from pickle_files.read(path, read, key, trusted)


def _chunk_lines(task: Task, path: str, start: int, length: int, unicode: bool) -> Iterator[list[Any]]:
    with Input(path) as source:
        for block in _whole_lines(task, source, start, length):
            lines = _split_text(block) if unicode else _split_bytes(block)
            if lines is None:
                raise _undecodable(path, start)
            yield lines


def _split_text(block: bytes) -> list[str] | None:
    try:
        text = block.decode()
    except UnicodeDecodeError:
        return None
    if "\r" in text:
        # Hadoop's line ends: \n, \r\n, and \r alone.
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    # Not splitlines: it splits at form feeds, U+2028 and more, which are part of a line.
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _split_bytes(block: bytes) -> list[bytes]:
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = block.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _whole_lines(task: Task | None, source: Input, start: int, length: int) -> Iterator[bytes]:
    """Blocks that end at line ends and hold just the chunk's lines; only a file's end may cut one short.

    As in Hadoop a line that starts just where a chunk does is of the chunk before: samples under a seed depend on who has which record.
    So these are the lines that start in (start, start + length], and in the first chunk that which starts at 0.
    """
    end = None if length < 0 else start + length + 1
    position = start
    if start > 0:
        # A line starts at start + 1 only if the byte before it ends one.
        position = source.seek(start)
    blocks = source.blocks()
    pending: list[bytes] = []
    skipping = start > 0
    for block in blocks:
        if task is not None:
            task.input_bytes += len(block) if end is None else max(0, min(len(block), end - 1 - position))
        base, position = position, position + len(block)
        if skipping:
            line_end = block.find(b"\n")
            if line_end < 0:
                if end is not None and position >= end:
                    return
                continue
            skipping = False
            base += line_end + 1
            block = block[line_end + 1 :]
        elif base == 0 and start == 0 and block.startswith(_BOM):
            block, base = block[len(_BOM) :], base + len(_BOM)
        if end is not None and position >= end:
            # The last line that starts before `end` ends at the first line end at or after end - 1.
            if base >= end and not pending:
                return
            last = block.find(b"\n", max(0, end - 1 - base))
            if last >= 0:
                pending.append(block[: last + 1])
                yield b"".join(pending)
                return
            pending.append(block)
            continue
        cut = block.rfind(b"\n") + 1
        if cut:
            pending.append(block[:cut])
            yield b"".join(pending)
            pending = [block[cut:]] if cut < len(block) else []
        elif block:
            pending.append(block)
    if pending:
        yield b"".join(pending)


def _undecodable(path: str, start: int) -> UndecodableLine:
    """Reads again from the beginning, to say which line it is: the first bad one at or after `start`."""
    lines = offset = 0
    with Input(path) as source:
        for block in _whole_lines(None, source, 0, -1):
            error = _first_error(block, start - offset)
            if error is not None:
                position, reason = error
                return UndecodableLine(path, lines + block.count(b"\n", 0, position) + 1, offset + position, reason)
            lines += block.count(b"\n")
            offset += len(block)
    return UndecodableLine(path, 0, start, "invalid bytes")


def _first_error(block: bytes, start: int) -> tuple[int, str] | None:
    """Position and reason of the first invalid byte in the lines of `block` that end after `start`."""
    if start >= len(block):
        return None
    line_start = block.rfind(b"\n", 0, max(0, start)) + 1
    try:
        block[line_start:].decode()
    except UnicodeDecodeError as error:
        return line_start + error.start, error.reason
    return None


class Input:
    """An opened file, decompressed by its extension unless it is wanted `raw`. Its errors name the path."""

    def __init__(self, path: str, raw: bool = False) -> None:
        self._path = path
        try:
            system, inner = filesystem_of(path)
            self._raw: IO[bytes] = system.open_input(inner)
        except FileNotFoundError:
            raise PathNotFound(path, path) from None
        except QuiverError:
            raise
        except OSError as error:
            raise PathUnreadable(path, error.strerror or str(error)) from None
        self._file: Any = self._raw
        if raw:
            return
        if path.endswith(".gz"):
            import gzip

            self._file = gzip.GzipFile(fileobj=self._raw, mode="rb")
        elif path.endswith(".bz2"):
            import bz2

            self._file = bz2.BZ2File(self._raw, "rb")
        elif path.endswith(".zst"):
            import pyarrow as pa

            self._file = pa.CompressedInputStream(pa.PythonFile(self._raw, mode="r"), "zstd")

    def seek(self, offset: int) -> int:
        self._file.seek(offset)
        return offset

    def blocks(self) -> Iterator[bytes]:
        while block := self._some(BLOCK):
            yield block

    def read(self, size: int) -> bytes:
        """`size` bytes; fewer only at the file's end."""
        data = self._some(size)
        while 0 < len(data) < size:
            more = self._some(size - len(data))
            if not more:
                break
            data += more
        return data

    def _some(self, size: int) -> bytes:
        try:
            data: bytes = self._file.read(size)
        except (OSError, EOFError, ValueError) as error:
            raise PathUnreadable(self._path, getattr(error, "strerror", None) or str(error) or type(error).__name__) from None
        return data

    def __enter__(self) -> Input:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._file is not self._raw:
            self._file.close()
        self._raw.close()
