"""A broadcast in slots: its file, the check of it, copies on other nodes in pieces from one another, and what goes wrong with them."""

from __future__ import annotations

import os
import pickle
import threading
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from body_bench import Bench, site

from quiver_executor import broadcasts
from quiver_executor.block_server import BlockServer
from quiver_executor.body import open_stage
from quiver_executor.broadcasts import StageBroadcasts
from quiver_proto import broadcast, broadcast_file, frames, ops
from quiver_proto.broadcast import from_id
from quiver_proto.errors import BlockCorrupt, BroadcastNotLoaded, BroadcastUnavailable, QuotaExceeded
from quiver_proto.host import VARIABLE, this_machine
from quiver_proto.ids import StageId
from quiver_proto.messages import AddStage, BroadcastTable, TaskDone

PIECE = 64 << 10
SERVERS = {"node-a": "", "node-b": "", "node-c": ""}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(broadcast_file, "PIECE_BYTES", PIECE)
    yield
    broadcast.values.clear()


def written(directory: Path, value: Any, host: str = "", number: int = 7) -> BroadcastTable:
    path = broadcast_file.file_path(str(directory / "app-1"), number)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    size, sums = broadcast_file.write(path, value)
    return BroadcastTable(number, path, host or this_machine(), size, PIECE, sums)


def value_of(table: BroadcastTable, bench: Bench, **servers: str) -> Any:
    broadcast.values.clear()
    return StageBroadcasts({table.broadcast_id: table}, bench.env, {name.replace("_", "-"): at for name, at in servers.items()}).open(7)


def base_of(array_: Any) -> Any:
    while isinstance(array_, np.ndarray):
        array_ = array_.base
    return array_


class Swarm:
    """The driver's machine and nodes, each with a block server."""

    def __init__(self, root: Path, value: Any) -> None:
        self.table = written(root / "driver", value, host="elsewhere")
        self.servers: dict[str, BlockServer] = {}
        self.nodes: dict[str, Bench] = {}
        self.root = root
        self.origin = self.serve("driver", root / "driver")
        self.table = replace(self.table, origin=self.origin.address)

    def serve(self, name: str, root: Path) -> BlockServer:
        server = self.servers[name] = BlockServer("127.0.0.1", 0, str(root), lambda asked: "secret" if asked == "app-1" else "")
        return server

    def node(self, name: str, **rest: Any) -> Bench:
        bench = self.nodes[name] = Bench(self.root / name, node=name, token="secret", **rest)
        self.serve(name, bench.root)
        return bench

    def get(self, name: str) -> Any:
        addresses = {node: self.servers[node].address for node in self.nodes}
        return value_of(self.table, self.nodes[name], **{node.replace("-", "_"): address for node, address in addresses.items()})

    def stop(self) -> None:
        for server in self.servers.values():
            server.shutdown()


NUMBERS = np.arange(200_000, dtype=np.int64)


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[Swarm]:
    swarm = Swarm(tmp_path, {"numbers": NUMBERS, "name": "x"})
    yield swarm
    swarm.stop()


def test_arrays_and_tables_lie_in_the_mapped_file(bench: Bench, tmp_path: Path) -> None:
    table = written(
        tmp_path / "driver", {"a": np.arange(100_000.0), "f": np.asfortranarray(np.ones((30, 40))), "t": pa.table({"x": range(50_000)})}
    )
    before = pa.total_allocated_bytes()
    value = value_of(table, bench)
    assert pa.total_allocated_bytes() == before
    assert (value["a"].sum(), value["f"].flags.f_contiguous, value["t"]["x"][49_999].as_py()) == (4999950000.0, True, 49_999)
    for array_ in (value["a"], value["f"]):
        assert not array_.flags.writeable
        assert array_.__array_interface__["data"][0] % 64 == 0
        with pytest.raises(ValueError, match="read-only"):
            array_[0] = 1
    assert isinstance(base_of(value["a"]), memoryview)
    with open("/proc/self/maps") as maps:
        assert any(table.path in line for line in maps)
    os.unlink(table.path)
    assert value["a"][99_999] == 99_999.0


@pytest.mark.parametrize("value", [None, 7, "text", b"", [1, [2, (3,)]], {"a": {1, 2}}, bytearray(b"abc"), np.empty(0), "x" * (3 * PIECE)])
def test_any_value_comes_as_it_was(bench: Bench, tmp_path: Path, value: Any) -> None:
    got = value_of(written(tmp_path / "driver", value), bench)
    assert type(got) is type(value)
    assert np.array_equal(got, value) if isinstance(value, np.ndarray) else got == value


def test_the_original_is_compared_once_on_a_node(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = written(tmp_path / "driver", NUMBERS)
    compared = []
    whole = broadcast_file.has_sums
    monkeypatch.setattr(broadcast_file, "has_sums", lambda *args: compared.append(1) or whole(*args))
    value_of(table, bench)
    value_of(table, bench)
    assert len(compared) == 1
    # Another file in its place is compared again, and not taken.
    other = written(tmp_path / "other", NUMBERS[::-1].copy())
    os.replace(other.path, table.path)
    with pytest.raises(BroadcastUnavailable, match="not on this machine"):
        value_of(table, bench)


def test_a_value_that_was_destroyed_under_its_job_is_told_as_that(bench: Bench, tmp_path: Path) -> None:
    table = written(tmp_path / "driver", NUMBERS)
    os.unlink(table.path)
    with pytest.raises(BroadcastUnavailable, match="destroyed while its job ran"):
        value_of(table, bench)


def test_a_file_that_is_another_machines_is_not_read(bench: Bench, tmp_path: Path) -> None:
    table = written(tmp_path / "driver", NUMBERS, host="elsewhere")
    with pytest.raises(BroadcastUnavailable, match="the driver serves none"):
        value_of(table, bench)


def test_what_a_machine_is_called_can_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "rack-7")
    assert this_machine() == "rack-7"


def test_the_second_node_asks_the_first_and_not_the_driver(swarm: Swarm) -> None:
    swarm.node("node-a")
    assert swarm.get("node-a")["numbers"].sum() == NUMBERS.sum()
    sent = swarm.origin.bytes_sent
    assert sent >= swarm.table.size
    swarm.node("node-b")
    assert np.array_equal(swarm.get("node-b")["numbers"], NUMBERS)
    assert swarm.origin.bytes_sent == sent
    assert swarm.servers["node-a"].bytes_sent >= swarm.table.size
    # From now on it is there.
    before = swarm.servers["node-a"].bytes_sent
    assert swarm.get("node-b")["name"] == "x"
    assert swarm.servers["node-a"].bytes_sent == before


def test_nodes_that_begin_together_share(swarm: Swarm) -> None:
    """Four nodes at once, on one lock each: every one gets the whole, pieces of it from others."""
    names = [f"node-{letter}" for letter in "abcd"]
    for name in names:
        swarm.node(name)
    addresses = {name: swarm.servers[name].address for name in names}
    got: list[int] = []

    def get(name: str) -> None:
        env = swarm.nodes[name].env
        descriptor, _ = broadcasts._file_of(swarm.table, env, addresses)
        got.append(broadcast_file.load(descriptor, swarm.table.size, name)["numbers"].sum())
        os.close(descriptor)

    threads = [threading.Thread(target=get, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [NUMBERS.sum()] * 4
    assert sum(swarm.servers[name].bytes_sent for name in names) > 0
    total = swarm.origin.bytes_sent + sum(swarm.servers[name].bytes_sent for name in names)
    assert swarm.origin.bytes_sent < total < 6 * swarm.table.size


def test_a_piece_that_changed_on_the_way_is_asked_for_elsewhere(swarm: Swarm) -> None:
    first = swarm.node("node-a")
    swarm.get("node-a")
    with open(broadcast_file.file_path(str(first.blocks), 7), "r+b") as file:
        for piece in range(5):
            file.seek(piece * PIECE + 100)
            file.write(b"!!!!")
    swarm.node("node-b")
    assert np.array_equal(swarm.get("node-b")["numbers"], NUMBERS)


def test_a_driver_that_sends_something_else_is_not_believed(swarm: Swarm) -> None:
    with open(swarm.table.path, "r+b") as file:
        file.seek(2 * PIECE)
        file.write(b"\0" * 16)
    swarm.node("node-a")
    with pytest.raises(BroadcastUnavailable, match=r"piece 2 .* wrong checksum"):
        swarm.get("node-a")


def test_a_node_that_is_gone_and_one_that_has_begun(swarm: Swarm) -> None:
    swarm.node("node-a")
    swarm.get("node-a")
    half = swarm.node("node-b")
    path = broadcast_file.file_path(str(half.blocks), 7)
    swarm.get("node-b")
    with open(path, "r+b") as file:
        file.seek(swarm.table.size)
        file.write(bytes(10))
    swarm.servers.pop("node-a").shutdown()
    swarm.servers["node-a"] = swarm.origin
    del swarm.nodes["node-a"]
    sent = swarm.origin.bytes_sent
    swarm.node("node-c")
    assert np.array_equal(swarm.get("node-c")["numbers"], NUMBERS)
    assert 10 * PIECE <= swarm.origin.bytes_sent - sent < 12 * PIECE
    del swarm.servers["node-a"]


def test_a_fetch_that_was_cut_off_goes_on_where_it_was(swarm: Swarm) -> None:
    bench = swarm.node("node-a")
    table = swarm.table
    swarm.table = replace(table, checksums=table.checksums[:-4] + b"\0\0\0\0")
    for _ in range(2):
        with pytest.raises(BroadcastUnavailable):
            swarm.get("node-a")
    swarm.table = table
    with open(broadcast_file.file_path(str(bench.blocks), 7), "rb") as file:
        file.seek(table.size)
        assert set(file.read()) <= {0, 1}
    assert np.array_equal(swarm.get("node-a")["numbers"], NUMBERS)


def test_only_the_applications_token_reads_them(swarm: Swarm) -> None:
    bench = swarm.node("node-a")
    bench.env = replace(bench.env, token="another")
    with pytest.raises(BroadcastUnavailable, match="refused"):
        swarm.get("node-a")
    bench.env = replace(bench.env, token="secret", application_id="../app-1")
    with pytest.raises(BroadcastUnavailable):
        swarm.get("node-a")


def test_copies_count_for_the_quota(swarm: Swarm) -> None:
    swarm.node("node-a", quota=swarm.table.size // 2)
    with pytest.raises(QuotaExceeded):
        swarm.get("node-a")
    assert not os.path.exists(broadcast_file.file_path(str(swarm.nodes["node-a"].blocks), 7))


def test_removed_copies_are_fetched_again(swarm: Swarm) -> None:
    bench = swarm.node("node-a")
    held = swarm.get("node-a")["numbers"]
    broadcasts.remove(str(bench.blocks), 7)
    assert bench.leftovers() == []
    assert held.sum() == NUMBERS.sum()
    sent = swarm.origin.bytes_sent
    assert swarm.get("node-a")["numbers"].sum() == NUMBERS.sum()
    assert swarm.origin.bytes_sent > sent


def test_values_that_no_stage_needs_go_when_memory_is_short(bench: Bench, tmp_path: Path) -> None:
    table = written(tmp_path / "driver", [1, 2], number=8)
    stage = StageBroadcasts({8: table}, bench.env, {})
    stage.open(8)
    broadcasts.drop_unneeded()
    assert 8 in broadcast.values
    del stage
    broadcast.source = None
    broadcasts.drop_unneeded()
    assert 8 not in broadcast.values


@pytest.mark.parametrize("spoil", [b"", b"not a broadcast of ours" * 4, broadcast_file.HEADER.pack(broadcast_file.MAGIC, 1 << 40, 0)])
def test_nothing_is_unpickled_of_a_file_of_another_format(tmp_path: Path, spoil: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(spoil or b"x")
    with open(path, "rb") as file, pytest.raises(BlockCorrupt):
        broadcast_file.load(file.fileno(), len(spoil or b"x"), str(path))


def test_a_stage_with_a_broadcast(bench: Bench, tmp_path: Path) -> None:
    table = written(tmp_path / "driver", {"k": np.arange(5)})

    class Refers:
        def __reduce__(self) -> Any:
            return from_id, (7,)

    import cloudpickle

    shared = Refers()
    function = ops.Function(cloudpickle.dumps(lambda x: (int(shared.value["k"].sum()) + x, id(shared))), site("map"), "f")
    body = pickle.dumps(ops.StageBody(ops.Collect(ops.Map(ops.Items(), function)), (site("map"),)))
    stage = open_stage(AddStage(StageId(1), 0, body, {}, {}, {}, broadcasts={7: table}), bench.env)
    results = []
    for task_id in (1, 2):
        end = stage.run(task_id, 0, 0, frames.dump_value(frames.dump_records([1, 2])))
        assert isinstance(end, TaskDone)
        assert end.result is not None
        results.append(frames.load(end.result))
    assert [record[0] for record in results[0]] == [11, 12]
    # A function that refers to a broadcast keeps no state: it is opened once.
    assert results[0] == results[1]


def test_a_broadcast_that_no_function_refers_to(bench: Bench) -> None:
    with pytest.raises(BroadcastNotLoaded, match="not loaded"):
        StageBroadcasts({}, bench.env, {}).open(7)
    broadcast.source = None
    with pytest.raises(RuntimeError, match="Broadcast variable 9 not loaded"):
        from_id(9).value  # noqa: B018


def test_checksums_are_of_pieces(tmp_path: Path) -> None:
    table = written(tmp_path / "driver", NUMBERS)
    assert len(array("I", table.checksums)) == broadcast_file.pieces_of(table.size, PIECE) == 25
