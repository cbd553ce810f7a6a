"""Files of other nodes on the same machine: read where they lie, when they are ours alone."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from body_bench import Bench, aggregator, table

from quiver_executor import exchange_read
from quiver_executor.fragment_files import Pieces
from quiver_executor.neighbours import lies_here
from quiver_executor.task import Task
from quiver_proto import ops
from quiver_proto.fragments import Exchange
from quiver_proto.ids import ExecutorId, NodeId, TaskId
from quiver_proto.messages import MapOutput
from quiver_proto.v1.kernel_pb2 import Plan


@pytest.fixture
def near(tmp_path: Path) -> Bench:
    return Bench(_node(tmp_path, "node-a"), reads_neighbours=True)


@pytest.fixture
def other(tmp_path: Path) -> Bench:
    return Bench(_node(tmp_path, "node-b"), node="node-b")


def _node(above: Path, node: str) -> Path:
    (above / node).mkdir(mode=0o700)
    return above / node


def test_whose_files_are_read(near: Bench, other: Bench, tmp_path: Path) -> None:
    assert lies_here(near.env, "node-b", f"{other.blocks}/x")
    assert lies_here(near.env, "node-a", "/anywhere")
    assert not lies_here(near.env, "node-c", f"{other.blocks}/x")
    assert not lies_here(near.env, "node-b", "/elsewhere/node-b/app-1/x")
    assert not lies_here(dataclasses.replace(near.env, reads_neighbours=False), "node-b", f"{other.blocks}/x")
    _node(tmp_path, "node-d").chmod(0o755)
    assert not lies_here(near.env, "node-d", f"{tmp_path}/node-d/app-1/x")
    (tmp_path / "node-e").symlink_to(tmp_path / "node-b")
    assert not lies_here(near.env, "node-e", f"{tmp_path}/node-e/app-1/x")


def test_records_without_a_server(near: Bench, other: Bench) -> None:
    add = aggregator(lambda a, b: a + b)
    shuffled = other.write([[(f"k{n % 50}", n) for n in range(500)]], aggregate=add)
    found: dict[str, int] = {}
    for part in near.read(shuffled, ops.Combine(add, True)):
        found.update(part)
    assert found == {f"k{k}": sum(range(k, 500, 50)) for k in range(50)}
    assert near.last is not None
    assert near.last.metrics.shuffle_read_local_bytes > 0


@pytest.mark.parametrize("crosses", [False, True])
def test_rows_stay_though_their_node_goes(near: Bench, other: Bench, monkeypatch: pytest.MonkeyPatch, crosses: bool) -> None:
    """`crosses`: a file system without links between the two."""
    schema = pa.schema([("k", pa.int64())])
    pieces = Pieces(_task(other), schema, 2, 7)
    pieces.add(1, pa.record_batch({"k": [1, 2, 3]}, schema))
    path, sizes, _ = pieces.commit()
    output = MapOutput(0, TaskId(1), NodeId("node-b"), ExecutorId("app-1/1"), path, sizes, 3)
    task = _task(near, {7: table(7, 2, [output])})
    if crosses:

        def refused(*_: Any) -> None:
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", refused)
    fragment = Plan()
    fragment.arrow_scan.base_conf.file_groups.add().files.add(path=Exchange(7, False, 1).path, size=1)
    exchange_read.resolve(task, fragment, [(7, schema.serialize().to_pybytes())])
    (file,) = fragment.arrow_scan.base_conf.file_groups[0].files
    assert task.read_local == file.range.end - file.range.start > 0
    if crosses:
        assert f"/{file.path}" == path
    else:
        shutil.rmtree(other.root)
    assert pa.ipc.open_file(f"/{file.path}").read_all()["k"].to_pylist() == [1, 2, 3]
    for closer in task.closers:
        closer.close()
    assert os.path.exists(f"/{file.path}") is crosses


def _task(bench: Bench, inputs: Any = None) -> Task:
    return Task(bench.env, (), (), None, inputs or {}, {}, 1, 0, 0)
