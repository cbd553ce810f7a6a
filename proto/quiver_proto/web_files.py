"""Files of web servers. They are read as they come, or where a server knows ranges, only where they are asked for."""

from __future__ import annotations

import contextlib
import email.utils
import errno
import io
import os
import re
import time
from typing import IO, Any, cast

from quiver_proto.filesystems import Entry
from quiver_proto.secret_texts import urls_without_secrets, without_parameters

_TRIES = 3
_PASSING = frozenset({429, 500, 502, 503, 504})
"""Answers that another try may change."""
_TIMEOUT_S = 60
_LEAST = 64 << 10
"""Bytes that are asked for at once at least: a request costs more than to carry them."""
_LENGTH = re.compile(r"\d{1,18}")
_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")
_PORTION = 1 << 20
"""Bytes that are read at once: what an answer says of its length is believed when it is there."""


class WebFileSystem:
    """Nothing is listed or written. Methods raise OSError, with the URL, for whatever a server says or leaves out."""

    block_size = 1 << 62

    def stat(self, path: str) -> Entry | None:
        try:
            with contextlib.closing(WebFile(path)) as file:
                return file.entry()
        except FileNotFoundError:
            return None

    def entries(self, path: str) -> list[Entry]:
        raise NotADirectoryError(errno.ENOTDIR, "web servers list no files", path)

    def match(self, pattern: str) -> list[Entry]:
        if not re.search(r"[*\[]", pattern.partition("?")[0]):
            return []  # The rest is a query.
        raise NotADirectoryError(errno.ENOTDIR, "web servers list no files: give each one's URL", pattern)

    def open_input(self, path: str) -> IO[bytes]:
        return cast(IO[bytes], WebFile(path))

    def open_output(self, path: str) -> IO[bytes]:
        raise _read_only(path)

    def make_directories(self, path: str) -> None:
        raise _read_only(path)

    def make_new_directory(self, path: str) -> None:
        raise _read_only(path)

    def rename(self, source: str, target: str) -> None:
        raise _read_only(target)

    def remove(self, path: str) -> None:
        raise _read_only(path)

    def remove_directory(self, path: str) -> None:
        raise _read_only(path)

    def remove_tree(self, path: str) -> None:
        raise _read_only(path)


def _read_only(path: str) -> OSError:
    return OSError(errno.EROFS, "web servers take no files here", path)


class WebFile(io.RawIOBase):
    """What one URL gives. Read from its beginning it is one answer that is read as it comes; elsewhere ranges are asked for. A server
    that knows none, or does not tell how long the file is, sends it whole, once."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._shown = urls_without_secrets(url)
        self._at = 0
        self._size: int | None = None
        self._modified = 0.0
        self._tag: str | None = None
        self._whole: bytes | None = None
        self._stream: Any = None
        self._streamed = 0
        self._piece = (0, b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self._drop()
        super().close()

    def entry(self) -> Entry:
        """With the size. Raises FileNotFoundError, OSError."""
        return Entry(self.url, self._length(), False, self._modified)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
        place = offset + (self._length() if base is None else base)
        if place < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), self._shown)
        self._at = place
        return place

    def readinto(self, buffer: Any) -> int:
        data = self._some(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self._some(1 << 20), b""))

    def _some(self, count: int) -> bytes:
        """At most `count` bytes, none at the end only."""
        if not count:
            return b""
        data = self._held(count)
        if data is None:
            if self._stream is None and self._at == 0:
                self._open_stream()
            if self._stream is not None and self._streamed == self._at:
                data = self._from_stream(count)
            else:
                self._fetch(count)
                data = self._held(count) or b""
        self._at += len(data)
        return data

    def _held(self, count: int) -> bytes | None:
        if self._whole is not None:
            return self._whole[self._at : self._at + count]
        start, piece = self._piece
        if start <= self._at < start + len(piece):
            return piece[self._at - start : self._at - start + count]
        return None

    # ---- answers ----

    def _open_stream(self) -> None:
        self._stream = self._ask({})
        self._streamed = 0
        self._known(self._stream)
        length = self._told(self._stream)
        self._size = self._size if length is None else length

    def _from_stream(self, count: int) -> bytes:
        from http.client import HTTPException

        try:
            data = cast(bytes, self._stream.read(count))
        except (HTTPException, ValueError) as problem:
            raise OSError(errno.EIO, f"the answer ended after {self._streamed} bytes: {type(problem).__name__}", self._shown) from problem
        if not data and self._size is not None and self._streamed < self._size:
            raise OSError(errno.EIO, f"the answer ended after {self._streamed} of {self._size} bytes", self._shown)
        self._streamed += len(data)
        return data

    def _fetch(self, count: int) -> None:
        """Hold what is at the present place, or the whole."""
        self._drop()
        size = self._length()
        if self._whole is not None or self._at >= size:
            return
        end = min(size, self._at + max(count, _LEAST))
        with contextlib.closing(self._ask({"Range": f"bytes={self._at}-{end - 1}"})) as answer:
            self._known(answer)
            if answer.status == 206:
                start, total = self._range(answer)
                if start != self._at or total not in (None, size):
                    text = answer.headers.get("Content-Range")
                    raise OSError(errno.EIO, f"the answer is of {text}, not of {self._at}-{end - 1}/{size}", self._shown)
                self._piece = (self._at, self._body(answer, end - self._at))
            else:
                self._whole = self._body(answer, size)

    def _length(self) -> int:
        """The file's size: told by the answer to HEAD, to a request for one byte, or counted."""
        if self._size is None:
            told: int | None = None
            with contextlib.suppress(OSError), contextlib.closing(self._ask({}, "HEAD")) as answer:
                self._known(answer)
                told = self._told(answer)
            self._size = self._counted() if told is None else told
        return self._size

    def _counted(self) -> int:
        """Not every server answers HEAD, or says there how long the file is."""
        with contextlib.closing(self._ask({"Range": "bytes=0-0"})) as answer:
            self._known(answer)
            if answer.status == 206:
                _, total = self._range(answer)
                if total is None:
                    raise OSError(errno.EIO, "the server tells parts of it, and not how long it is", self._shown)
                return total
            self._whole = self._body(answer, None)
            return len(self._whole)

    def _told(self, answer: Any) -> int | None:
        """How long an answer says it is. Raises OSError for what is no length."""
        text = answer.headers.get("Content-Length")
        if text is not None and _LENGTH.fullmatch(text.strip()) is None:
            raise OSError(errno.EIO, f"the answer's length is no number: {text[:40]!r}", self._shown)
        return None if text is None else int(text)

    def _range(self, answer: Any) -> tuple[int, int | None]:
        """Where a partial answer begins, and how long the whole is where it says so. Raises OSError for one that doesn't say."""
        text = answer.headers.get("Content-Range") or ""
        found = _RANGE.fullmatch(text.strip())
        if found is None:
            raise OSError(errno.EIO, f"the answer does not say which part it is: {text[:60]!r}", self._shown)
        return int(found[1]), None if found[2] == "*" else int(found[2])

    def _body(self, answer: Any, expected: int | None) -> bytes:
        from http.client import HTTPException

        told, pieces, held = self._told(answer), [], 0
        try:
            while (expected is None or held <= expected) and (piece := answer.read(_PORTION)):
                pieces.append(piece)
                held += len(piece)
        except (HTTPException, ValueError) as problem:
            raise OSError(errno.EIO, f"the answer ended too soon: {type(problem).__name__}", self._shown) from problem
        expected = told if expected is None else expected
        if expected is not None and held != expected:
            raise OSError(errno.EIO, f"the answer has {held} bytes, not {expected}", self._shown)
        return b"".join(pieces)

    def _known(self, answer: Any) -> None:
        """Raises OSError when the file is another one than it was."""
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        if self._tag is not None and tag is not None and tag != self._tag:
            raise OSError(errno.ESTALE, "the file has changed while it was read", self._shown)
        self._tag = self._tag or tag
        modified = answer.headers.get("Last-Modified")
        if modified:
            with contextlib.suppress(ValueError, TypeError):
                self._modified = email.utils.parsedate_to_datetime(modified).timestamp()

    def _ask(self, headers: dict[str, str], method: str = "GET") -> Any:
        from http.client import HTTPException
        from urllib.error import HTTPError, URLError
        from urllib.request import Request, urlopen

        for left in reversed(range(_TRIES)):
            try:
                return urlopen(Request(self.url, headers=headers, method=method), timeout=_TIMEOUT_S)
            except HTTPError as problem:
                with problem:
                    if problem.code in (404, 410):
                        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._shown) from problem
                    if problem.code not in _PASSING or not left:
                        raise OSError(errno.EIO, f"HTTP {problem.code} {problem.reason}", self._shown) from problem
            except (HTTPException, URLError, ConnectionError, TimeoutError) as problem:
                if not left:
                    reason = problem.reason if isinstance(problem, URLError) else f"{type(problem).__name__}: {problem}"
                    raise OSError(errno.EIO, f"no answer: {without_parameters(str(reason))}", self._shown) from problem
            time.sleep(0.1 * (_TRIES - left))
        raise AssertionError("the last try ends the loop")

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
