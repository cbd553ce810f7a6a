"""Added files on a node: made once, refused when they are not what the driver added, tried again when they could not be had."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from quiver_executor import broadcasts, shared_files
from quiver_executor.body import open_stage
from quiver_executor.environment import SlotEnvironment
from quiver_proto import broadcast, broadcast_file, frames, ops
from quiver_proto import shared_files as shared
from quiver_proto.host import this_machine
from quiver_proto.ids import StageId
from quiver_proto.messages import SHARED_FILES, AddStage, BroadcastTable, FailureKind, TaskDone, TaskFailure
from quiver_proto.shared_files import FILE, Manifest, SharedFile

CONTENT = b"what the driver added"


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """This process is no slot for ever."""
    yield
    broadcast.values.clear()
    shared.stage_root = None
    shared_files._active = ("", [])


@pytest.fixture
def env(tmp_path: Path) -> SlotEnvironment:
    (tmp_path / "blocks").mkdir()
    return SlotEnvironment("app", "app/0", "node", 0, str(tmp_path / "blocks"), str(tmp_path / "scratch"), 1 << 30)


def stage(tmp_path: Path, sha256: str = "") -> AddStage:
    """A stage with one file, a.txt, in broadcast 5."""
    path = broadcast_file.file_path(str(tmp_path), 5)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    size, sums = broadcast_file.write(path, pickle.PickleBuffer(CONTENT))
    table = BroadcastTable(5, path, this_machine(), size, broadcast_file.PIECE_BYTES, sums)
    file = SharedFile("a.txt", FILE, sha256 or hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "", 5)
    manifest = Manifest(0, "another machine", "/nowhere", (file,)).encode()
    body = pickle.dumps(ops.StageBody(ops.Count(ops.Items())))
    return AddStage(StageId(0), 0, body, {}, {}, {SHARED_FILES: manifest}, broadcasts={5: table})


def run(described: AddStage, env: SlotEnvironment) -> TaskDone | TaskFailure:
    return open_stage(described, env).run(0, 0, 0, frames.dump_value(frames.dump_records([1])))


def test_a_file_is_made_once_and_goes_with_its_broadcast(tmp_path: Path, env: SlotEnvironment) -> None:
    described = stage(tmp_path)
    assert isinstance(run(described, env), TaskDone)
    path = shared.Files.get("a.txt")
    assert path.startswith(env.blocks_dir)
    assert Path(path).read_bytes() == CONTENT
    made = os.stat(path)
    assert broadcast.values == {}, "its bytes are let go"
    os.unlink(broadcast_file.file_path(str(tmp_path), 5))
    assert isinstance(run(described, env), TaskDone)
    assert os.stat(path) == made
    broadcasts.remove(env.blocks_dir, 5)
    assert not os.path.exists(path)


def test_other_content_than_the_driver_s_is_refused(tmp_path: Path, env: SlotEnvironment) -> None:
    end = run(stage(tmp_path, sha256="0" * 64), env)
    assert isinstance(end, TaskFailure)
    assert end.exception_type == "BlockCorrupt"
    assert os.listdir(os.path.join(env.blocks_dir, "files", "0", "root")) == []


def test_what_could_not_be_had_is_tried_again_and_counted(tmp_path: Path, env: SlotEnvironment) -> None:
    described = stage(tmp_path)
    path = broadcast_file.file_path(str(tmp_path), 5)
    os.rename(path, f"{path}.away")
    opened = open_stage(described, env)
    split = frames.dump_value(frames.dump_records([1]))
    for attempt in range(2):
        end = opened.run(attempt, 0, attempt, split)
        assert isinstance(end, TaskFailure)
        # A kind that is tried again, elsewhere or here.
        assert (end.kind, end.exception_type) == (FailureKind.USER, "BroadcastUnavailable")
    os.rename(f"{path}.away", path)
    assert isinstance(opened.run(2, 0, 2, split), TaskDone)
    assert Path(shared.Files.get("a.txt")).read_bytes() == CONTENT


def test_the_quota_holds_for_files(tmp_path: Path, env: SlotEnvironment) -> None:
    end = run(stage(tmp_path), replace(env, quota_bytes=5))
    assert isinstance(end, TaskFailure)
    assert end.exception_type == "QuotaExceeded"
