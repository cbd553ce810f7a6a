"""Reading blocks of another node from its block server (Arrow Flight): used by slots for shuffles, by drivers for large results.

A request is one Flight ticket, JSON: `{"pieces": [...]}`, each piece one of

    {"path": P, "partition": N}                    a reduce partition of the map output at P
    {"path": P, "offset": O, "length": L}          a range of bytes; L -1 = to the end; with "remove": true the file goes once it was sent

`path` is absolute on the serving node, or relative to the directory that its server serves, and must lie in the directory of the
application whose bearer token the call carries. The answer is
a stream of rows (piece, kind, data), pieces in order, schema `answer_schema()`: for each piece ENTRY (a partition's index entry), DATA
(its bytes, in chunks), END; or PROBLEM (text) and nothing more of it. One bad piece does not end the call.
"""

from __future__ import annotations

import functools
import json
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from quiver_proto.blocks import ENTRY as ENTRY_LAYOUT
from quiver_proto.errors import AuthenticationFailed, ConnectionFailed
from quiver_proto.messages import ResultBlock

ENTRY, DATA, END, PROBLEM = range(4)
ATTEMPTS = 3
BACKOFF_S = 0.2
"""Before the second attempt; doubled before each further one."""
TOKEN_HEADER = "authorization"

Row = tuple[int, int, bytes]
"""Piece (its place in the request), kind, data."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What to read: a reduce partition, or where that is -1 a range of bytes."""

    path: str
    partition: int = -1
    offset: int = 0
    length: int = -1
    remove: bool = False

    def as_json(self) -> dict[str, Any]:
        if self.partition >= 0:
            return {"path": self.path, "partition": self.partition}
        return {"path": self.path, "offset": self.offset, "length": self.length, "remove": self.remove}


@functools.cache
def answer_schema() -> Any:
    import pyarrow as pa

    return pa.schema([("piece", pa.uint32()), ("kind", pa.uint8()), ("data", pa.large_binary())])


class BlockClient:
    """A connection to one node's block server for one application. `sleep` and `attempts` are for tests."""

    def __init__(
        self, address: str, token: str, tls_ca: str = "", *, attempts: int = ATTEMPTS, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._address = address
        self._token = token
        self._tls_ca = tls_ca
        self._attempts = attempts
        self._sleep = sleep
        self._client: Any = None

    def read(self, pieces: Sequence[Piece]) -> Generator[Row, None, None]:
        """The answer's rows. A connection that breaks is made again, and the rest of what was asked for asked again: no row comes twice.

        Raises AuthenticationFailed, and ConnectionFailed after so many attempts in a row without progress.
        """
        import pyarrow as pa
        from pyarrow import flight

        wanted = list(enumerate(pieces))
        failures = 0
        while wanted:
            progress: list[int] = []
            try:
                for row in self._once(wanted):
                    progress.append(row[1])
                    failures = 0
                    wanted = _without(wanted, row)
                    yield row
                if wanted:
                    raise pa.ArrowInvalid("the stream ended too early")
            except (flight.FlightUnauthenticatedError, flight.FlightUnauthorizedError) as error:
                raise AuthenticationFailed(f"the block server at {self._address}", _first_line(error)) from None
            except (pa.ArrowException, OSError) as error:
                self.close()
                failures += 1
                if failures >= self._attempts:
                    raise ConnectionFailed(
                        f"the block server at {self._address} can't be read from, after {self._attempts} attempts: {_first_line(error)}"
                    ) from None
                self._sleep(BACKOFF_S * 2 ** (failures - 1))

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _once(self, wanted: Sequence[tuple[int, Piece]]) -> Iterator[Row]:
        from pyarrow import flight

        if self._client is None:
            self._client = self._connect()
        ticket = flight.Ticket(json.dumps({"pieces": [piece.as_json() for _, piece in wanted]}).encode())
        options = flight.FlightCallOptions(headers=[(TOKEN_HEADER.encode(), f"Bearer {self._token}".encode())])
        reader = self._client.do_get(ticket, options)
        try:
            for chunk in reader:
                numbers, kinds, data = chunk.data.columns
                for number, kind, value in zip(numbers.to_pylist(), kinds.to_pylist(), data.to_pylist()):
                    yield wanted[number][0], kind, value
        finally:
            reader.cancel()

    def _connect(self) -> Any:
        from pyarrow import flight

        # A proxy that the environment names is not on the way to a neighbour.
        options: list[tuple[str, int]] = [("grpc.enable_http_proxy", 0), ("grpc.keepalive_time_ms", 60_000)]
        if not self._tls_ca:
            return flight.connect(f"grpc://{self._address}", generic_options=options)
        with open(self._tls_ca, "rb") as file:
            return flight.connect(f"grpc+tls://{self._address}", tls_root_certs=file.read(), generic_options=options)


def _without(wanted: list[tuple[int, Piece]], row: Row) -> list[tuple[int, Piece]]:
    """What is still to be asked for once `row` has come. Pieces come in order, so `row` belongs to the first."""
    number, kind, data = row
    piece = wanted[0][1]
    if kind in (END, PROBLEM):
        return wanted[1:]
    if kind == ENTRY:
        offset, length, *_ = ENTRY_LAYOUT.unpack(data)
        piece = Piece(piece.path, -1, offset, length)
    elif kind == DATA:
        piece = replace(piece, offset=piece.offset + len(data), length=piece.length - len(data) if piece.length >= 0 else -1)
    wanted[0] = number, piece
    return wanted


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].partition(". gRPC client debug context")[0]


_clients = threading.local()


def client_for(address: str, token: str, tls_ca: str = "") -> BlockClient:
    """This thread's client for that server: connecting costs a millisecond. A forked child makes its own."""
    if getattr(_clients, "pid", None) != os.getpid():
        _clients.pid, _clients.known = os.getpid(), {}
    key = address, token, tls_ca
    client: BlockClient | None = _clients.known.get(key)
    if client is None:
        client = _clients.known[key] = BlockClient(address, token, tls_ca)
    return client


def fetch_result(block: ResultBlock, address: str, token: str, tls_ca: str = "") -> bytes:
    """A large result from its node's block server, which deletes it then.

    Raises FileNotFoundError when it is not there, ConnectionFailed, AuthenticationFailed.
    """
    client = BlockClient(address, token, tls_ca)
    parts: list[bytes] = []
    try:
        for _, kind, data in client.read([Piece(block.path, offset=0, length=block.size, remove=True)]):
            if kind == DATA:
                parts.append(data)
            elif kind == PROBLEM:
                raise FileNotFoundError(f"result block {block.path} on {block.node_id}: {data.decode()}")
    finally:
        client.close()
    return b"".join(parts)
