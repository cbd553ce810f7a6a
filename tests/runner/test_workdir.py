import fcntl
import os
from pathlib import Path

from quiver.runner.workdir import WorkDir


def test_it_is_private_and_gone_after_close(tmp_path: Path) -> None:
    work_dir = WorkDir(str(tmp_path / "root"), "app-1")
    assert os.stat(work_dir.root).st_mode & 0o777 == 0o700
    assert os.path.isdir(work_dir.blocks)
    work_dir.close()
    assert os.listdir(work_dir.root) == []


def test_a_sweep_removes_the_dead_and_spares_the_living(tmp_path: Path) -> None:
    root = tmp_path / "root"
    living = WorkDir(str(root), "app-living")
    dead = root / "app-dead"
    dead.mkdir()
    (dead / "lock").touch()
    (dead / "block").write_bytes(b"x")
    other = root / "not-ours"
    other.mkdir()
    living.sweep()
    assert sorted(os.listdir(root)) == ["app-living", "not-ours"]
    living.close()


def test_a_directory_that_another_process_locks_is_not_swept(tmp_path: Path) -> None:
    root = tmp_path / "root"
    mine = WorkDir(str(root), "app-mine")
    theirs = root / "app-theirs"
    theirs.mkdir()
    lock = os.open(theirs / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    mine.sweep()
    assert theirs.exists()
    os.close(lock)
    mine.close()
