"""Blocks across nodes: a real Flight server on loopback, its tokens, its borders, and what a reader makes of trouble."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from body_bench import Bench, aggregator, fn, items
from pyarrow import flight

from quiver_executor import fetch, shuffle_files
from quiver_executor.block_server import BlockServer
from quiver_proto import frames, ops
from quiver_proto.block_client import DATA, END, PROBLEM, BlockClient, Piece, answer_schema, fetch_result
from quiver_proto.errors import AuthenticationFailed, ConnectionFailed, PortInUse
from quiver_proto.messages import ResultBlock

TOKENS = {"app-1": "secret-1", "app-2": "secret-2", "app-3": ""}


@pytest.fixture
def far(tmp_path: Path) -> Bench:
    """The node that has the blocks."""
    return Bench(tmp_path / "far", node="node-b")


@pytest.fixture
def near(tmp_path: Path) -> Bench:
    """The node that wants them."""
    return Bench(tmp_path / "near", token="secret-1")


@pytest.fixture
def server(far: Bench) -> Iterator[BlockServer]:
    server = BlockServer("127.0.0.1", 0, str(far.root), lambda application: TOKENS.get(application, ""))
    yield server
    server.shutdown()


@pytest.fixture
def nap(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long clients would have slept."""
    naps: list[float] = []

    def client_for(address: str, token: str, tls_ca: str = "") -> BlockClient:
        return BlockClient(address, token, tls_ca, sleep=naps.append)

    monkeypatch.setattr(fetch, "client_for", client_for)
    return naps


def rows(server: BlockServer, *pieces: Piece, token: str = "secret-1") -> list[tuple[int, int, bytes]]:
    client = BlockClient(server.address, token, sleep=lambda _: None)
    try:
        return list(client.read(pieces))
    finally:
        client.close()


def test_a_shuffle_across_nodes(far: Bench, near: Bench, server: BlockServer) -> None:
    pairs = [[(f"k{n % 50}", n) for n in range(500)] for _ in range(3)]
    agg = aggregator(lambda a, b: a + b)
    there, here = far.write(pairs, aggregate=agg), near.write(pairs, aggregate=agg)
    mixed = ops_table(there, here)
    parts = near.read(mixed, ops.Combine(agg, True), servers={"node-b": server.address})
    assert dict(sum(parts, [])) == {f"k{k}": 6 * sum(range(k, 500, 50)) for k in range(50)}  # noqa: RUF017
    assert near.last is not None
    assert near.last.metrics.shuffle_read_remote_bytes > 0
    assert near.last.metrics.shuffle_read_local_bytes > 0


def ops_table(*tables: Any) -> Any:
    from quiver_proto.messages import MapOutputTable

    rows = [row for one in tables for row in zip(one.task_ids, one.node_ids, one.paths)]
    return MapOutputTable(tables[0].shuffle_id, tables[0].width, list(range(len(rows))), *map(list, zip(*rows)))


def test_map_order_is_kept(far: Bench, near: Bench, server: BlockServer) -> None:
    one = far.write([[(0, "b0")], [(0, "b1")]], ops.HashPartitioner(1))
    two = near.write([[(0, "a0")], [(0, "a1")]], ops.HashPartitioner(1))
    merged = ops_table(one, two)
    order = [0, 2, 1, 3]
    mixed = type(merged)(7, 1, [0, 1, 2, 3], *([column[i] for i in order] for column in (merged.task_ids, merged.node_ids, merged.paths)))
    assert near.read(mixed, ops.Concatenate(), servers={"node-b": server.address}) == [[(0, "b0"), (0, "a0"), (0, "b1"), (0, "a1")]]


@pytest.mark.parametrize("whole_piece", [1 << 24, 1000])
def test_pieces_larger_than_a_chunk(
    far: Bench, near: Bench, server: BlockServer, monkeypatch: pytest.MonkeyPatch, whole_piece: int
) -> None:
    monkeypatch.setattr(fetch, "WHOLE_PIECE", whole_piece)
    pairs = [(0, os.urandom(50_000)) for _ in range(100)]
    written = far.write([pairs, [(0, b"end")]], ops.HashPartitioner(1))
    assert near.read(written, ops.Concatenate(), servers={"node-b": server.address}) == [[*pairs, (0, b"end")]]
    assert [name for name in near.leftovers() if "results/" not in name] == []


def test_an_early_end_frees_the_stream(far: Bench, near: Bench, server: BlockServer) -> None:
    written = far.write([[(0, os.urandom(100_000)) for _ in range(100)]], ops.HashPartitioner(1))
    node = ops.ShuffleRead((7,), ops.Concatenate())
    first = ops.Apply(node, fn(lambda it: len(next(it)), "first"))
    for _ in range(3):
        assert near.value(first, 0, inputs={7: written}, servers={"node-b": server.address}) == 2


# ---- trouble ----


@pytest.mark.parametrize("how", ["a pipe", "missing", "empty", "flipped", "truncated", "index flipped"])
@pytest.mark.parametrize("whole_piece", [1 << 24, 100])
def test_damage_far_away(far: Bench, near: Bench, server: BlockServer, monkeypatch: pytest.MonkeyPatch, how: str, whole_piece: int) -> None:
    from test_shuffle import _damage

    monkeypatch.setattr(fetch, "WHOLE_PIECE", whole_piece)
    good = far.write([[(0, "fine")], [(n, n) for n in range(3000)]], ops.HashPartitioner(1))
    bad = type(good)(7, 1, [0], [good.task_ids[1]], ["node-b"], [good.paths[1]])
    _damage(bad, how)
    failure = near.failed(ops.Count(ops.ShuffleRead((7,), ops.Concatenate())), 0, inputs={7: good}, servers={"node-b": server.address})
    assert failure.kind.value == "fetch failed"
    assert failure.fetch == (7, 1, good.task_ids[1], "node-b")


def test_a_dead_server(far: Bench, near: Bench, server: BlockServer, nap: list[float]) -> None:
    written = far.write([[(0, 1)]], ops.HashPartitioner(1))
    address = server.address
    server.shutdown()
    failure = near.failed(ops.Count(ops.ShuffleRead((7,), ops.Concatenate())), 0, inputs={7: written}, servers={"node-b": address})
    assert failure.fetch == (7, 0, written.task_ids[0], "node-b")
    assert nap == [0.2, 0.4]
    unknown = near.failed(ops.Count(ops.ShuffleRead((7,), ops.Concatenate())), 0, inputs={7: written})
    assert unknown.fetch == failure.fetch


def test_a_wrong_token_is_told_at_once(far: Bench, tmp_path: Path, server: BlockServer, nap: list[float]) -> None:
    written = far.write([[(0, 1)]], ops.HashPartitioner(1))
    stranger = Bench(tmp_path / "stranger", token="guess")
    failure = stranger.failed(
        ops.Count(ops.ShuffleRead((7,), ops.Concatenate())), 0, inputs={7: written}, servers={"node-b": server.address}
    )
    assert failure.kind.value == "fatal"
    assert failure.error is not None
    assert failure.error[0] == "AuthenticationFailed"
    assert nap == []


class Flaky(BlockClient):
    """Its connection breaks after every second row."""

    broken = 0

    def _once(self, wanted: Any) -> Iterator[Any]:
        for count, row in enumerate(super()._once(wanted)):
            if count == 2:
                self.broken += 1
                raise flight.FlightUnavailableError("gone")
            yield row


def test_a_broken_stream_goes_on_where_it_was(far: Bench, server: BlockServer) -> None:
    written = far.write([[(n % 2, os.urandom(1000)) for n in range(3000)], [(1, 1)]], ops.HashPartitioner(3))
    pieces = [Piece(path, partition) for path in written.paths for partition in range(3)]
    client = Flaky(server.address, "secret-1", sleep=lambda _: None)
    broken = list(client.read(pieces))
    client.close()
    whole = rows(server, *pieces)

    def contents(found: list[Any]) -> dict[int, bytes]:
        return {number: b"".join(data for n, kind, data in found if n == number and kind == DATA) for number in range(6)}

    assert client.broken >= 3
    assert contents(broken) == contents(whole)
    assert sorted(number for number, kind, _ in broken if kind == END) == list(range(6))


# ---- large results ----


def test_a_result_is_fetched_and_removed(far: Bench, server: BlockServer) -> None:
    records = [os.urandom(1000) for _ in range(3000)]
    done = far.done(ops.Collect(ops.Items()), items(records))
    assert done.block is not None
    assert frames.load(fetch_result(done.block, server.address, "secret-1", "")) == records
    assert not os.path.exists(done.block.path)
    with pytest.raises(FileNotFoundError):
        fetch_result(done.block, server.address, "secret-1", "")
    with pytest.raises(AuthenticationFailed):
        fetch_result(done.block, server.address, "secret-2", "")
    short = far.done(ops.Collect(ops.Items()), items(records)).block
    assert short is not None
    with pytest.raises(FileNotFoundError, match="truncated"):
        fetch_result(ResultBlock(short.node_id, short.path, short.size + 1), server.address, "secret-1", "")


# ---- the border ----


def test_what_is_not_served(far: Bench, server: BlockServer, tmp_path: Path) -> None:
    inside = far.blocks / "file"
    inside.write_bytes(b"mine")
    (tmp_path / "outside").write_bytes(b"not yours")
    other = far.root / "app-2"
    other.mkdir()
    (other / "file").write_bytes(b"another's")
    (far.root / "app-3").mkdir()
    (far.root / "app-3" / "file").write_bytes(b"no token at all")
    (far.blocks / "link").symlink_to(tmp_path / "outside")
    (far.blocks / "linked-directory").symlink_to(tmp_path)
    (far.blocks / "to-other").symlink_to(other)
    (far.root / "lock").write_bytes(b"the node's")
    assert rows(server, Piece(str(inside))) == [(0, DATA, b"mine"), (0, END, b"")]
    refused = [
        tmp_path / "outside", far.blocks / ".." / ".." / "outside", far.blocks / "link", far.blocks / "linked-directory" / "outside",
        far.blocks / "to-other" / "file", other / "file", far.root / "lock", far.root, Path("/etc/passwd"), Path("relative"),
        far.root / "app-3" / "file", far.root / "logs" / "x", far.blocks,
    ]  # fmt: skip
    for path in refused:
        with pytest.raises(AuthenticationFailed):
            rows(server, Piece(str(path)))
    for token in ("", "secret-2", "secret-1 "):
        with pytest.raises(AuthenticationFailed):
            rows(server, Piece(str(inside)), token=token)
    with pytest.raises(AuthenticationFailed):
        rows(server, Piece(str(inside)), Piece(str(other / "file")))


def test_special_files_are_not_read(far: Bench, server: BlockServer) -> None:
    os.mkfifo(far.blocks / "pipe")
    (far.blocks / "directory").mkdir()
    for name in ("pipe", "directory", "missing"):
        [(_, kind, _)] = rows(server, Piece(str(far.blocks / name)))
        assert kind == PROBLEM


def test_ranges(far: Bench, server: BlockServer) -> None:
    (far.blocks / "file").write_bytes(b"0123456789")
    path = str(far.blocks / "file")
    found = rows(server, Piece(path, offset=2, length=3), Piece(path, offset=8), Piece(path, offset=8, length=3), Piece(path, offset=10))
    assert [(n, k) for n, k, _ in found] == [(0, DATA), (0, END), (1, DATA), (1, END), (2, PROBLEM), (3, END)]
    assert [data for _, kind, data in found if kind == DATA] == [b"234", b"89"]


@pytest.mark.parametrize(
    "call",
    [
        lambda c, o: c.get_flight_info(flight.FlightDescriptor.for_path("x"), o),
        lambda c, o: list(c.list_flights(b"", o)),
        lambda c, o: list(c.do_action(flight.Action("x", b""), o)),
        lambda c, o: c.list_actions(o),
        lambda c, o: c.do_exchange(flight.FlightDescriptor.for_path("x"), o)[1].read_all(),
        lambda c, o: c.do_get(flight.Ticket(b"nonsense"), o).read_all(),
        lambda c, o: c.do_get(flight.Ticket(json.dumps({"pieces": [{"path": 5}]}).encode()), o).read_all(),
        lambda c, o: c.do_get(flight.Ticket(json.dumps({"pieces": "x"}).encode()), o).read_all(),
    ],
)
@pytest.mark.parametrize("token", ["", "Bearer secret-1"])
def test_nothing_else_is_offered(server: BlockServer, call: Any, token: str) -> None:
    client = flight.connect(f"grpc://{server.address}")
    options = flight.FlightCallOptions(headers=[(b"authorization", token.encode())])
    with pytest.raises((pa.ArrowException, NotImplementedError, OSError)) as raised:
        call(client, options)
    assert token or "a bearer token is required" in str(raised.value)
    assert "Traceback" not in str(raised.value)
    assert ".py" not in str(raised.value)
    client.close()


def test_the_schema_of_answers(server: BlockServer) -> None:
    client = flight.connect(f"grpc://{server.address}")
    options = flight.FlightCallOptions(headers=[(b"authorization", b"Bearer secret-1")])
    assert client.get_schema(flight.FlightDescriptor.for_path("x"), options).schema == answer_schema()
    client.close()


@pytest.mark.parametrize(
    "ticket",
    [
        b"[" * 100_000,
        b'{"pieces": [{"path": "/\\ud800"}]}',
        b'{"pieces": [{"path": "BLOCKS/file", "offset": 1180591620717411303424, "length": 5}]}',
        b'{"pieces": [{"path": "BLOCKS/file", "offset": 9223372036854775807, "length": -9223372036854775807}]}',
        b'{"pieces": [{"path": "BLOCKS/file\\u0000"}]}',
        b'{"pieces": [{"path": "BLOCKS/../unknown/file"}]}',
        b'{"pieces": [{"path": "ROOT/unknown/file"}]}',
    ],
)
def test_errors_tell_nothing_of_the_program(far: Bench, ticket: bytes) -> None:
    """Whatever goes wrong, in the request or (a KeyError for an application that is not known) in the server itself."""
    (far.blocks / "file").write_bytes(b"mine")
    server = BlockServer("127.0.0.1", 0, str(far.root), TOKENS.__getitem__)
    client = flight.connect(f"grpc://{server.address}")
    options = flight.FlightCallOptions(headers=[(b"authorization", b"Bearer secret-1")])
    ticket = ticket.replace(b"BLOCKS", str(far.blocks).encode()).replace(b"ROOT", str(far.root).encode())
    try:
        told = str(client.do_get(flight.Ticket(ticket), options).read_all())
    except pa.ArrowException as error:
        told = str(error)
    finally:
        client.close()
        server.shutdown()
    assert "Traceback" not in told
    assert ".py" not in told


def test_tls(far: Bench, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    (far.blocks / "file").write_bytes(b"mine")
    server = BlockServer("127.0.0.1", 0, str(far.root), TOKENS.__getitem__, tls_cert=str(cert), tls_key=str(key))
    try:
        client = BlockClient(server.address, "secret-1", str(cert), sleep=lambda _: None)
        assert [data for _, kind, data in client.read([Piece(str(far.blocks / "file"))]) if kind == DATA] == [b"mine"]
        client.close()
        plain = BlockClient(server.address, "secret-1", sleep=lambda _: None)
        with pytest.raises(ConnectionFailed):
            list(plain.read([Piece(str(far.blocks / "file"))]))
        plain.close()
    finally:
        server.shutdown()


def test_a_port_in_use(server: BlockServer, far: Bench) -> None:
    with pytest.raises(PortInUse):
        BlockServer("127.0.0.1", server.port, str(far.root), TOKENS.__getitem__)


def test_the_window_has_the_limit_of_both_readers() -> None:
    assert fetch.WHOLE_PIECE == shuffle_files.WHOLE_PIECE
