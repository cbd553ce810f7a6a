"""A node daemon's directory and the sweep of dead ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quiver_executor.node_directory import NodeDirectory, log_tail
from quiver_proto.errors import BadSetting
from quiver_proto.ids import ApplicationId, NodeId

APP = ApplicationId("app-1")


def test_is_private_and_removed_without_a_trace(tmp_path: Path) -> None:
    directory = NodeDirectory.create(tmp_path / "local", NodeId("node-a-1"))
    assert directory.path.stat().st_mode & 0o777 == 0o700
    (directory.blocks(APP) / "shuffle").write_bytes(b"x" * 100)
    assert directory.remove_blocks(APP) == 100
    assert directory.remove_blocks(APP) == 0
    directory.remove()
    assert not directory.path.exists()


def test_sweeps_what_a_killed_daemon_left_and_nothing_else(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from quiver_executor.node_directory import NodeDirectory\n"
        "d = NodeDirectory.create(Path(sys.argv[1]), 'node-dead-1'); (d.blocks('app-1') / 'b').write_bytes(b'x' * 1000)\n"
        "print('made', flush=True); sys.stdin.read()"
    )
    dead = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert dead.stdout is not None
    assert dead.stdin is not None
    assert dead.stdout.readline() == b"made\n"
    stranger = tmp_path / "node-not-ours"
    stranger.mkdir()
    (stranger / "thesis.txt").write_text("years of work")
    (tmp_path / "node-link").symlink_to(stranger)

    beside = NodeDirectory.create(tmp_path, NodeId("node-b-1"))
    assert beside.swept == (), "its owner lives"
    dead.kill()
    dead.wait()
    dead.stdin.close()
    dead.stdout.close()
    third = NodeDirectory.create(tmp_path, NodeId("node-c-1"))
    (swept,) = third.swept
    assert (swept.path.name, swept.bytes) == ("node-dead-1", 1000)
    assert not (tmp_path / "node-dead-1").exists()
    assert beside.path.exists()
    assert (stranger / "thesis.txt").exists()
    beside.remove()
    third.remove()


def test_a_local_dir_that_cannot_be_used_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSetting, match="local_dir"):
        NodeDirectory.create(tmp_path / "file", NodeId("node-a-1"))


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "logs", "lock"])
def test_an_application_id_is_one_name(tmp_path: Path, name: str) -> None:
    directory = NodeDirectory.create(tmp_path, NodeId("node-a-1"))
    with pytest.raises(BadSetting):
        directory.blocks(ApplicationId(name))
    directory.remove()


def test_log_tail_is_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {i}\n" for i in range(10_000)))
    tail = log_tail(log, 100)
    assert tail.endswith("line 9999")
    assert all(line.startswith("line ") for line in tail.splitlines())
    assert log_tail(tmp_path / "none") == ""
    assert os.path.getsize(log) > 100
