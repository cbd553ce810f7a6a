"""A node's block server: Arrow Flight, reading only, for whoever has the application's token.

Request and answer are described in quiver_proto.block_client. A path is served when it is, after all links are resolved, a regular file
below `<root>/<application>/` or `<memory dir>/<application>/`, and the call's bearer token is that application's. Which of these fails is
not told.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Never

import pyarrow as pa
from pyarrow import flight

from quiver_proto import blocks
from quiver_proto.block_client import DATA, END, ENTRY, PROBLEM, TOKEN_HEADER, answer_schema
from quiver_proto.errors import BlockCorrupt, PortInUse

CHUNK = 1 << 20
"""Bytes read, and about the bytes sent in one message."""
_BEARER = "Bearer "
_MAX_PIECES = 100_000
_log = logging.getLogger(__name__)


class BlockServer(flight.FlightServerBase):  # type: ignore[misc]
    """Serves from construction on, in threads of its own; `address` is where. `shutdown()` ends it.

    `tokens(application_id)` is an application's token, "" for one that is not known. `tls_cert` and `tls_key` are PEM files.
    `bytes_sent` counts what was read from it. Raises PortInUse. Nothing but do_get is offered. A caller is told an error's type and
    message, never where in this program it arose.
    """

    def __init__(
        self,
        host: str,
        port: int,
        root_dir: str,
        tokens: Callable[[str], str],
        *,
        memory_dir: str = "",
        tls_cert: str = "",
        tls_key: str = "",
    ) -> None:
        self._roots = tuple(os.path.realpath(directory) for directory in (root_dir, memory_dir) if directory)
        self._tokens = tokens
        self.bytes_sent = 0
        self._counting = threading.Lock()
        certificates = [(_contents(tls_cert), _contents(tls_key))] if tls_cert else None
        scheme = "grpc+tls" if certificates else "grpc"
        shown = f"[{host}]" if ":" in host else host
        try:
            super().__init__(f"{scheme}://{shown}:{port}", middleware={"bearer": _BearerFactory()}, tls_certificates=certificates)
        except pa.ArrowException:
            raise PortInUse(host, port) from None
        self.address = f"{shown}:{self.port}"

    def do_get(self, context: Any, ticket: Any) -> Any:
        """Raises FlightUnauthenticatedError, FlightUnauthorizedError; pieces that can't be read are PROBLEM rows."""
        with _without_traceback():
            token = context.get_middleware("bearer").token
            requests = _requests(ticket.ticket, self._roots[0])
            for request in requests:
                if not self._may_read(request.path, token):
                    raise flight.FlightUnauthorizedError("no such block, or not with this token")
            return flight.GeneratorStream(answer_schema(), _answer(requests, self._sent))

    def _sent(self, size: int) -> None:
        with self._counting:
            self.bytes_sent += size

    # Flight's own answer to what is not overridden ends with the traceback of its NotImplementedError.

    def list_flights(self, context: Any, criteria: Any) -> Never:
        raise _not_offered()

    def get_flight_info(self, context: Any, descriptor: Any) -> Never:
        raise _not_offered()

    def get_schema(self, context: Any, descriptor: Any) -> Any:
        # Here Flight adds the traceback of its own errors, too; every answer has this schema.
        return flight.SchemaResult(answer_schema())

    def do_put(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> Never:
        raise _not_offered()

    def do_exchange(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> Never:
        raise _not_offered()

    def list_actions(self, context: Any) -> Never:
        raise _not_offered()

    def do_action(self, context: Any, action: Any) -> Never:
        raise _not_offered()

    def _may_read(self, path: str, token: str) -> bool:
        if ".." in path.split("/") or "\0" in path:
            return False
        real = os.path.realpath(path)
        for root in self._roots:
            application, _, rest = os.path.relpath(real, root).partition("/")
            if rest and application != "..":
                expected = self._tokens(application) or ""
                return bool(expected) and hmac.compare_digest(expected.encode(), token.encode())
        return False


def _not_offered() -> Exception:
    error: Exception = flight.FlightServerError("this server offers do_get only")
    return error


@contextmanager
def _without_traceback() -> Iterator[None]:
    """Flight sends the traceback of every exception that is not one of its own: those become one without a word of it."""
    try:
        yield
    except (flight.FlightError, GeneratorExit):
        raise
    except Exception as error:
        _log.exception("a request for blocks failed")
        raise flight.FlightServerError(f"the block server failed: {type(error).__name__}") from None


class _Bearer(flight.ServerMiddleware):  # type: ignore[misc]
    def __init__(self, token: str) -> None:
        self.token = token


class _BearerFactory(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    """Every call must carry a bearer token; whose it is depends on what is asked for."""

    def start_call(self, info: Any, headers: dict[str, list[Any]]) -> _Bearer:
        for name, values in headers.items():
            if name.lower() == TOKEN_HEADER and values:
                value = values[0].decode() if isinstance(values[0], bytes) else values[0]
                if value.startswith(_BEARER) and len(value) > len(_BEARER):
                    return _Bearer(value[len(_BEARER) :])
        raise flight.FlightUnauthenticatedError("a bearer token is required")


class _Request:
    __slots__ = ("length", "offset", "partition", "path", "remove")

    def __init__(self, path: str, partition: int, offset: int, length: int, remove: bool) -> None:
        self.path = path
        self.partition = partition
        self.offset = offset
        self.length = length
        self.remove = remove

    @classmethod
    def of(cls, piece: dict[str, Any], root: str) -> _Request:
        path = os.path.join(root, piece["path"])
        request = cls(path, piece.get("partition", -1), piece.get("offset", 0), piece.get("length", -1), piece.get("remove", False) is True)
        numbers = (request.partition, request.offset, request.length)
        if not isinstance(request.path, str) or not all(type(number) is int for number in numbers) or request.offset < 0:
            raise ValueError("not a piece")
        return request


def _requests(ticket: bytes, root: str) -> list[_Request]:
    """Relative paths are below `root`. Raises FlightServerError when it is none of ours."""
    try:
        pieces = json.loads(ticket)["pieces"]
        requests = [_Request.of(piece, root) for piece in pieces[: _MAX_PIECES + 1]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise flight.FlightServerError("not a ticket of this server") from None
    if len(requests) > _MAX_PIECES:
        raise flight.FlightServerError(f"more than {_MAX_PIECES} pieces in one ticket")
    return requests


def _answer(requests: list[_Request], sent: Callable[[int], None]) -> Iterator[Any]:
    with _without_traceback():
        for batch in _batches(requests):
            yield batch
            sent(batch.nbytes)


def _batches(requests: list[_Request]) -> Iterator[Any]:
    """Rows in record batches of about CHUNK bytes: a thousand tiny pieces are few messages."""
    numbers: list[int] = []
    kinds: list[int] = []
    data: list[bytes] = []
    size = 0
    for number, request in enumerate(requests):
        for kind, value in _rows(request):
            numbers.append(number)
            kinds.append(kind)
            data.append(value)
            size += len(value) + 16
            if size >= CHUNK:
                yield _batch(numbers, kinds, data)
                numbers, kinds, data, size = [], [], [], 0
    if numbers:
        yield _batch(numbers, kinds, data)


def _batch(numbers: list[int], kinds: list[int], data: list[bytes]) -> Any:
    columns = [pa.array(numbers, pa.uint32()), pa.array(kinds, pa.uint8()), pa.array(data, pa.large_binary())]
    return pa.RecordBatch.from_arrays(columns, schema=answer_schema())


def _rows(request: _Request) -> Iterator[tuple[int, bytes]]:
    offset, length = request.offset, request.length
    try:
        # Without O_NONBLOCK a pipe in a block's place would hold this thread for ever.
        descriptor = os.open(request.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise BlockCorrupt(request.path, "it is no regular file")
            if request.partition >= 0:
                raw = blocks.Index(descriptor, request.path).raw_entry(descriptor, request.partition)
                offset, length, _, _ = blocks.unpack_entry(raw, request.path)
                yield ENTRY, raw
            end = status.st_size if length < 0 else offset + length
            if end > status.st_size:
                raise BlockCorrupt(request.path, f"it is truncated at {status.st_size:,} bytes")
            while offset < end:
                chunk = os.pread(descriptor, min(CHUNK, end - offset), offset)
                if not chunk:
                    raise BlockCorrupt(request.path, f"it is truncated at {offset:,} bytes")
                offset += len(chunk)
                yield DATA, chunk
        finally:
            os.close(descriptor)
        if request.remove:
            os.unlink(request.path)
        yield END, b""
    except (OSError, BlockCorrupt) as error:
        yield PROBLEM, str(error).encode(errors="replace")


def _contents(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
