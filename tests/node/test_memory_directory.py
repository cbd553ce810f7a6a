"""Shared memory for cached blocks: ours alone, gone with its owner, swept when that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from quiver_executor.memory_directory import MemoryDirectory

OWNER = """
import os, signal, sys
from quiver_executor.memory_directory import MemoryDirectory
directory = MemoryDirectory.create("dead", sys.argv[1])
with open(os.path.join(directory.blocks("app-1"), "block"), "wb") as file:
    file.write(b"x" * 1000)
os.kill(os.getpid(), signal.SIGKILL)
"""


def ours(root: Path) -> Path:
    return root / f"quiver-{os.getuid()}"


def test_what_a_killed_owner_left_is_swept(tmp_path: Path) -> None:
    living = MemoryDirectory.create("living", str(tmp_path))
    assert subprocess.run([sys.executable, "-c", OWNER, str(tmp_path)], check=False).returncode == -signal.SIGKILL
    assert (ours(tmp_path) / "dead" / "app-1" / "block").exists()
    (ours(tmp_path) / "no-owner").mkdir()
    (ours(tmp_path) / ".dead-half-removed").mkdir()
    another = MemoryDirectory.create("another", str(tmp_path))
    assert sorted(os.listdir(ours(tmp_path))) == [".sweep", "another", "living", "no-owner"]
    living.remove()
    another.remove()
    another.remove()
    assert sorted(os.listdir(ours(tmp_path))) == [".sweep", "no-owner"]


def test_private(tmp_path: Path) -> None:
    directory = MemoryDirectory.create("me", str(tmp_path))
    assert os.stat(ours(tmp_path)).st_mode & 0o777 == 0o700
    assert os.stat(directory.blocks("app-1")).st_mode & 0o777 == 0o700
    directory.remove_blocks("app-1")
    assert sorted(os.listdir(directory.path)) == ["lock"]
    directory.remove()


def test_without_shared_memory_or_with_a_name_taken_there_is_none(tmp_path: Path) -> None:
    none = MemoryDirectory.create("me", str(tmp_path / "absent"))
    assert (none.path, none.blocks("app-1")) == ("", "")
    none.remove()
    ours(tmp_path).mkdir(mode=0o777)
    os.chmod(ours(tmp_path), 0o777)
    assert MemoryDirectory.create("me", str(tmp_path)).path == ""
    assert os.listdir(ours(tmp_path)) == []
