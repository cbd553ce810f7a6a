"""Text files in pieces: opened wherever they are, decompressed, decoded, and cut at the ends of lines."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, cast

from quiver_proto.errors import FileUnreadable
from quiver_proto.filesystems import filesystem_of
from quiver_proto.store_options import NO_STORE, StoreOptions
from quiver_proto.text_formats.block_framing import LZ4_FRAME, unframed

COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".deflate", ".snappy", ".lz4", ".br")
"""Files that can only be read from their beginning."""
BLOCK = 4 << 20
_WIDE = re.compile(r"utf[-_]?(16|32)", re.IGNORECASE)
_BOM = codecs.BOM_UTF8


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of one file that a task reads: the lines that begin in them. `length` -1: to the end.

    `partitions`: the file's values of the partition columns. `size` and `modified` are the whole file's. `store`: how it is asked for.
    """

    path: str
    start: int
    length: int
    partitions: tuple[str | None, ...] = ()
    size: int = 0
    modified: float = 0.0
    store: StoreOptions = NO_STORE


@dataclass(frozen=True, slots=True)
class Line:
    """How lines end (`separator` None: \\n, \\r\\n or \\r) and how they are encoded."""

    separator: str | None = None
    encoding: str = "utf-8"

    @property
    def can_be_cut(self) -> bool:
        """Whether a file can be read from its middle."""
        return not _WIDE.match(self.encoding)


def pieces(
    files: Sequence[tuple[str, int, float, tuple[str | None, ...]]], line: Line, whole: bool, target: int, store: StoreOptions = NO_STORE
) -> list[list[Piece]]:
    """The pieces of each task, of about `target` bytes: files (path, size, modified, values) are cut unless `whole`, small ones packed."""
    result: list[list[Piece]] = []
    room = 0
    for path, size, modified, values in files:
        if whole or path.endswith(COMPRESSED) or path.startswith("http") or not line.can_be_cut or size <= target * 1.1:
            if size > room or not result:
                result.append([])
                room = target
            result[-1].append(Piece(path, 0, -1, values, size, modified, store))
            room -= size
            continue
        starts = range(0, size, target)
        result += ([Piece(path, start, min(target, size - start), values, size, modified, store)] for start in starts)
        room = 0
    return result


@contextlib.contextmanager
def opened(path: str, as_it_is: bool = False, store: StoreOptions = NO_STORE) -> Iterator[IO[bytes]]:
    """The file's bytes, unless `as_it_is` decompressed by its name. Raises FileUnreadable, also for what goes wrong inside."""
    try:
        system, inner = filesystem_of(path, store)
        with contextlib.ExitStack() as stack:
            raw = stack.enter_context(system.open_input(inner))
            yield raw if as_it_is else _decompressed(raw, path, stack)
    except FileNotFoundError as problem:
        raise FileUnreadable(
            path,
            "File does not exist. It is possible the underlying files have been updated: read them again, or set the option "
            "ignoreMissingFiles.",
            "FAILED_READ_FILE.FILE_NOT_EXIST",
        ) from problem
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as problem:
        raise FileUnreadable(path, f"{problem}.") from problem


def _decompressed(raw: IO[bytes], path: str, stack: contextlib.ExitStack) -> IO[bytes]:
    suffix = path.rpartition(".")[2]
    match suffix:
        case "gz":
            return cast(IO[bytes], stack.enter_context(gzip.GzipFile(fileobj=raw)))
        case "bz2":
            return stack.enter_context(bz2.BZ2File(raw))
        case "xz":
            return stack.enter_context(lzma.LZMAFile(raw))
        case "snappy":
            return unframed(raw, "snappy")
        case "zst" | "lz4" | "br":
            import pyarrow as pa

            if suffix == "lz4":
                frame = raw.read(len(LZ4_FRAME)) == LZ4_FRAME
                raw.seek(0)
                if not frame:
                    return unframed(raw, "lz4_raw")
            kind = {"zst": "zstd", "lz4": "lz4", "br": "brotli"}[suffix]
            return cast(IO[bytes], stack.enter_context(pa.CompressedInputStream(pa.PythonFile(raw), kind)))
        case "deflate":
            return io.BytesIO(zlib.decompress(raw.read()))
        case _:
            return raw


def content(piece: Piece, as_it_is: bool = False) -> bytes:
    """All of a piece's file, unless `as_it_is` decompressed. Raises FileUnreadable."""
    with opened(piece.path, as_it_is, piece.store) as source:
        return b"".join(iter(lambda: source.read(BLOCK), b""))


def text_blocks(piece: Piece, line: Line) -> Iterator[str]:
    """The text of the lines that begin in the piece, in blocks of whole lines. A byte order mark at the beginning is left out.

    Bytes that are no text of the encoding become U+FFFD. Raises FileUnreadable.
    """
    if not line.can_be_cut:
        text = content(piece).decode(line.encoding, "replace").removeprefix("\ufeff")
        if text:
            yield text
        return
    separator = b"\n" if line.separator is None else line.separator.encode(line.encoding)
    for number, block in enumerate(_byte_blocks(piece, separator)):
        if not number and not piece.start:
            block = block.removeprefix(_BOM)
        yield block.decode(line.encoding, "replace")


def _byte_blocks(piece: Piece, separator: bytes) -> Iterator[bytes]:
    with opened(piece.path, store=piece.store) as source:
        position = piece.start
        held = b""
        if piece.start:
            # The line that begins before belongs to the piece before.
            source.seek(piece.start - len(separator))
            position -= len(separator)
            while True:
                more = source.read(BLOCK)
                held += more
                at = held.find(separator)
                if at >= 0:
                    position += at + len(separator)
                    held = held[at + len(separator) :]
                    break
                if not more:
                    return
        end = piece.start + piece.length if piece.length >= 0 else None
        if end is not None and position >= end:
            return
        while True:
            # `held` begins a line at `position`, before `end`.
            more = source.read(BLOCK)
            held += more
            if end is not None and position + len(held) >= end:
                at = held.find(separator, max(0, end - position - len(separator)))
                if at >= 0:
                    yield held[: at + len(separator)]
                    return
            if not more:
                if held:
                    yield held
                return
            cut = held.rfind(separator)
            if cut >= 0 and (end is None or position + cut + len(separator) < end):
                yield held[: cut + len(separator)]
                held = held[cut + len(separator) :]
                position += cut + len(separator)


def lines_of(block: str, separator: str | None) -> list[str]:
    """The lines of a block, without their ends."""
    if separator is None:
        if "\r" in block:
            block = block.replace("\r\n", "\n").replace("\r", "\n")
        separator = "\n"
    lines = block.split(separator)
    if not lines[-1]:
        lines.pop()
    return lines
