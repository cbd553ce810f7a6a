"""Files, modules and archives that reach tasks, on every kind of master and on machines that are not the driver's."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest
from harness import MakeContext

from quiver import Context, Files, SparkFiles
from quiver_proto.errors import BadFileName, NoSharedFiles, PathNotFound, PathUnreadable, SharedFileDiffers, UnsafeArchive
from quiver_proto.filesystems import LOCAL

Elsewhere = Callable[[], None]


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    """From now on this process takes itself for another machine than those that were started before."""
    return lambda: monkeypatch.setenv("QUIVER_LOCAL_HOSTNAME", "the-drivers-own-machine")


def read(sc: Context, *parts: str) -> str:
    """What the file says to every one of four tasks."""

    def content(_: object) -> str:
        return Path(SparkFiles.get(parts[0]), *parts[1:]).read_text()

    (text,) = set(sc.parallelize(range(4), 4).map(content).collect())
    return text


@pytest.mark.parametrize("master", ["inline", "local[2]", "local-cluster[2,1,512m]", "elsewhere"])
def test_all_kinds_of_files_reach_all_tasks(make_context: MakeContext, tmp_path: Path, master: str, elsewhere: Elsewhere) -> None:
    sc = make_context("local-cluster[2,1,512m]" if master == "elsewhere" else master)
    if master == "elsewhere":
        elsewhere()
    (tmp_path / "a b.txt").write_text("hundred")
    sc.addFile(str(tmp_path / "a b.txt"))
    assert read(sc, "a b.txt") == "hundred"
    # What comes later reaches tasks of stages that are submitted later, in slots that have run before.
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "x.txt").write_text("deep down")
    (folder / "empty.txt").write_text("")
    sc.addFile(str(folder), recursive=True)
    assert read(sc, "data", "deep", "x.txt") == "deep down"
    assert read(sc, "data", "empty.txt") == ""
    (tmp_path / "nothing").write_bytes(b"")
    sc.addFile(f"file://{tmp_path / 'nothing'}")
    assert read(sc, "nothing") == ""
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "a b.txt", "in/t.txt")
    sc.addArchive(f"{tmp_path / 'model.tar.gz'}#m")
    assert read(sc, "m", "in", "t.txt") == "hundred"
    assert Path(SparkFiles.get("m"), "in/t.txt").read_text() == "hundred"

    name = f"quiver_test_module_{master.partition('[')[0].replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text("def twice(x): return 2 * x\n")
    with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as packed:
        packed.writestr(f"{name}_inner/__init__.py", "value = 'zipped'")
    sc.addPyFile(str(tmp_path / f"{name}.py"))
    sc.addPyFile(str(tmp_path / f"{name}.zip"))
    os.unlink(tmp_path / f"{name}.py")
    module = importlib.import_module(name)
    # Pickled by reference: the slot imports it to open the function.
    assert sc.parallelize([1, 2, 3], 2).map(module.twice).sum() == 12
    assert sc.parallelize([0]).map(lambda _: importlib.import_module(f"{name}_inner").value).collect() == ["zipped"]
    assert sorted(url.rpartition("/")[2] for url in sc.listFiles) == sorted(["a%20b.txt", "", "nothing", f"{name}.py", f"{name}.zip"])
    assert sc.listArchives == [f"file:{tmp_path}/model.tar.gz#m"]

    other = tmp_path / "other"
    other.mkdir()
    (other / "a b.txt").write_text("thousand")
    with pytest.raises(SharedFileDiffers, match=r"spark\.files\.overwrite"):
        sc.addFile(str(other / "a b.txt"))
    assert read(sc, "a b.txt") == "hundred"
    root = Files.getRootDirectory()
    roots = set(sc.parallelize(range(4), 4).map(lambda _: SparkFiles.getRootDirectory()).collect())
    # Tasks on the driver's machine use its directory; each other node has one of its own.
    assert (root in roots) == (master != "elsewhere")
    sc.stop()
    assert not os.path.exists(root)
    assert not any(path.startswith(root) for path in sys.path)
    with pytest.raises(NoSharedFiles):
        Files.get("a b.txt")


@pytest.mark.parametrize("far", [False, True])
def test_a_file_may_be_replaced_where_that_is_allowed(make_context: MakeContext, tmp_path: Path, far: bool, elsewhere: Elsewhere) -> None:
    sc = make_context("local-cluster[1,2,512m]" if far else "local[2]", **{"spark.files.overwrite": "true"})
    if far:
        elsewhere()
    for text in ("one", "two"):
        folder = tmp_path / text
        folder.mkdir()
        (folder / "a.txt").write_text(text)
        sc.addFile(str(folder / "a.txt"))
        assert read(sc, "a.txt") == text


def test_adding_again_changes_nothing(make_context: MakeContext, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sc = make_context("inline")
    path = tmp_path / "a.txt"
    path.write_text("one")
    sc.addFile(str(path))
    path.write_text("two")
    with caplog.at_level(logging.WARNING, "quiver.files"):
        sc.addFile(str(path))
    assert "added before" in caplog.text
    assert read(sc, "a.txt") == "one"
    same = tmp_path / "same"
    same.mkdir()
    (same / "a.txt").write_text("one")
    sc.addFile(str(same / "a.txt"))
    assert len(sc.listFiles) == 2


def test_what_can_not_be_added_is_told_and_leaves_nothing(make_context: MakeContext, tmp_path: Path) -> None:
    sc = make_context("local[1]")
    with pytest.raises(PathNotFound):
        sc.addFile(str(tmp_path / "nowhere"))
    with pytest.raises(PathUnreadable, match="recursive=True"):
        sc.addFile(str(tmp_path))
    with pytest.raises(BadFileName):
        sc.addFile("/", recursive=True)
    # Nobody writes to it: who waited for its content would do so for ever, and every job with it.
    os.mkfifo(tmp_path / "pipe")
    for add in (sc.addFile, sc.addPyFile, sc.addArchive):
        with pytest.raises(PathUnreadable, match="a pipe or a device"):
            add(str(tmp_path / "pipe"))
    evil = tmp_path / "evil.zip"
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("../../escaped", "x")
    with pytest.raises(UnsafeArchive):
        sc.addArchive(str(evil))
    for alias in ("..", "a/b"):
        with pytest.raises(BadFileName):
            sc.addArchive(f"{evil}#{alias}")
    assert sc.listFiles == sc.listArchives == []
    assert os.listdir(Files.getRootDirectory()) == []
    assert sc.parallelize([1]).count() == 1


def test_a_task_without_files_is_told_so(make_context: MakeContext) -> None:
    sc = make_context("local[1]")
    with pytest.raises(NoSharedFiles):
        sc.parallelize([0]).map(lambda _: SparkFiles.get("a")).collect()
    with pytest.raises(NotImplementedError):
        Files()


def test_settings_name_files_too(make_context: MakeContext, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("set")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("t", "packed")
    settings = {"spark.files": str(tmp_path / "a.txt"), "spark.archives": f"{tmp_path / 'z.zip'}#z"}
    sc = make_context("local[2]", **settings)
    assert read(sc, "a.txt") == "set"
    assert read(sc, "z", "t") == "packed"


def test_urls_are_read_through_their_file_system(make_context: MakeContext) -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    memory.pipe("/quiver-test/a.txt", b"remote")
    memory.pipe("/quiver-test/in/b.txt", b"deeper")
    try:
        sc = make_context("local[1]")
        sc.addFile("memory://quiver-test/a.txt")
        sc.addFile("memory://quiver-test", recursive=True)
        assert (read(sc, "a.txt"), read(sc, "quiver-test", "in", "b.txt")) == ("remote", "deeper")
        assert sc.listFiles == ["memory://quiver-test/a.txt", "memory://quiver-test"]
        with pytest.raises(PathNotFound):
            sc.addFile("memory://quiver-test/gone")
    finally:
        memory.rm("/quiver-test", recursive=True)


def test_jobs_go_on_while_a_file_is_being_read(make_context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job's submission looks at the files there are; it must not wait for one that a slow store is still giving."""
    sc = make_context("inline")
    (tmp_path / "slow.txt").write_text("at last")
    reading, go_on = threading.Event(), threading.Event()
    open_input = LOCAL.open_input

    def slowly(path: str) -> IO[bytes]:
        reading.set()
        assert go_on.wait(120)
        return open_input(path)

    monkeypatch.setattr(LOCAL, "open_input", slowly)
    adding = threading.Thread(target=sc.addFile, args=(str(tmp_path / "slow.txt"),))
    adding.start()
    counts: list[int] = []
    counting = threading.Thread(target=lambda: counts.append(sc.parallelize([1, 2]).count()))
    try:
        assert reading.wait(120)
        counting.start()
        counting.join(30)
        assert counts == [2]
    finally:
        go_on.set()
        adding.join()
        counting.join()
    assert read(sc, "slow.txt") == "at last"
