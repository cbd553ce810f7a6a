"""What killed drivers leave in an output directory goes with the next job there, and nothing of anybody who may be alive does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quiver_proto.commit_journal import JOURNAL
from quiver_proto.committing import OutputJob, staging_directory
from quiver_proto.errors import PathUnreadable, PathUnwritable
from quiver_proto.filesystems import LocalFileSystem
from quiver_proto.staging_leases import OWNER, REPLACED, settle


def killed(out: Path, more: str = "") -> Path:
    """The place of a job whose driver got SIGKILL in the middle."""
    program = f"""
import os, signal, sys
from quiver_proto.committing import OutputJob, staging_directory
job = OutputJob(sys.argv[1])
job.prepare(new=False)
place = staging_directory(sys.argv[1], job.name)
os.makedirs(place + "/0-0")
open(place + "/0-0/rows", "w").close()
{more}
print(place, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program, str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    return Path(done.stdout.strip())


def test_only_places_of_the_dead_go(tmp_path: Path) -> None:
    out = tmp_path / "out"
    alive = OutputJob(str(out))
    alive.prepare(new=True)
    dead, interrupted = killed(out), killed(out, f"os.mkdir(place + '/{REPLACED}')")
    assert not dead.exists(), "the second of them has removed what the first left"
    dead, removing = killed(out), killed(out, "os.rename(place, place + '.gone')")
    removed = killed(out, "os.rename(place, place + '.gone'); os.unlink(place + '.gone/.owner')")
    elsewhere = killed(out)
    (elsewhere / OWNER).write_text("another machine")
    unknown = killed(out)
    (unknown / OWNER).unlink()
    job = OutputJob(str(out))
    job.prepare(new=False)
    places = {Path(staging_directory(str(out), each.name)) for each in (job, alive)}
    assert set((out / "_temporary").iterdir()) == {*places, interrupted, elsewhere, unknown}
    assert not removing.exists()
    assert not Path(f"{removed}.gone").exists()
    for each in (job, alive):
        Path(staging_directory(str(out), each.name), "rows").write_text(each.name)
        each.commit([("rows", f"part-{each.name}")])
    assert {path.name for path in out.glob("part-*")} == {f"part-{job.name}", f"part-{alive.name}"}
    assert set((out / "_temporary").iterdir()) == {interrupted, elsewhere, unknown}
    assert not [name for name in os.listdir("/proc/self/fd") if OWNER in os.path.realpath(f"/proc/self/fd/{name}")]


OLD, NEW = {"k=1/a": "old", "k=2/b": "old", "c": "old", "_SUCCESS": ""}, {"k=2/x": "new", "k=3/y": "new", "z": "new", "_SUCCESS": ""}
COMMITS = f"""
import os, signal, sys
from quiver_proto.committing import OutputJob, staging_directory
from quiver_proto.filesystems import LocalFileSystem

rename = LocalFileSystem.rename
for folder, replaces in (("overwritten", [""]), ("appended", []), ("made", [])):
    for dies_at in range(9):
        if os.fork():
            os.wait()
            continue
        out = f"{{sys.argv[1]}}/{{folder}}{{dies_at}}"
        job = OutputJob(out)
        job.prepare(new=folder == "made")
        for name in {list(NEW)[:3]}:
            with open(staging_directory(out, job.name) + "/" + name.replace("/", "-"), "w") as file:
                file.write("new")
        left = [dies_at]

        def dies(system, source, target):
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            rename(system, source, target)

        LocalFileSystem.rename = dies
        job.commit([(name.replace("/", "-"), name) for name in {list(NEW)[:3]}], replaces)
        os._exit(0)
"""


def content(out: Path) -> dict[str, str]:
    """All files that are not in a job's place."""
    return {str(file.relative_to(out)): file.read_text() for file in out.rglob("*") if file.is_file() and "_temporary" not in file.parts}


def test_a_commit_cut_short_is_taken_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for folder in ("overwritten", "appended"):
        for dies_at in range(9):
            for name, text in OLD.items():
                (tmp_path / f"{folder}{dies_at}" / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / f"{folder}{dies_at}" / name).write_text(text)
    subprocess.run([sys.executable, "-c", COMMITS, str(tmp_path)], check=True)
    states = []
    for folder, before, after in (("overwritten", OLD, NEW), ("appended", OLD, {**OLD, **NEW}), ("made", {}, NEW)):
        for dies_at in range(9):
            out = tmp_path / f"{folder}{dies_at}"
            half = content(out)
            settle(str(out))
            whole = content(out) if out.exists() else {}
            assert whole in (before, after), (folder, dies_at, half)
            assert whole == before or half == after, "what was not all there is not all there now"
            states.append(("after" if half == after else "before" if half == before else "half", "after" if whole == after else "before"))
            # A writer finds nothing of it either.
            job = OutputJob(str(out))
            job.prepare(new=not whole)
            assert [place.name for place in (out / "_temporary").iterdir()] == [job.name]
            job.abort()
            assert (content(out) if out.exists() else {}) == whole
    # Where there was a _SUCCESS before, nothing tells that all but this is there.
    assert set(states) == {("half", "before"), ("after", "after"), ("before", "before"), ("after", "before")}
    assert "all is as it was before" in caplog.text


def test_files_that_wait_for_another_are_taken_back_until_it_is_there(tmp_path: Path) -> None:
    for there in (False, True):
        out = tmp_path / str(there)
        waits = """
job.commit([("0-0/rows", "k=1/part-0")], marked=False, until="log/first")
"""
        killed(out, waits + ("os.mkdir(sys.argv[1] + '/log'); open(sys.argv[1] + '/log/first', 'w').close()" if there else ""))
        assert "k=1/part-0" in content(out)
        settle(str(out))
        assert (sorted(content(out)) if out.exists() else []) == (["k=1/part-0", "log/first"] if there else [])


def test_what_a_failed_commit_could_not_put_back_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").write_text("old")
    job = OutputJob(str(out))
    job.prepare(new=False)
    place = Path(staging_directory(str(out), job.name))
    (place / "rows").write_text("new")
    rename, left = LocalFileSystem.rename, [2]  # The old one aside, the new one in; _SUCCESS fails, and all after it.

    def breaks(system: LocalFileSystem, source: str, target: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError("the disk is gone")
        rename(system, source, target)

    with monkeypatch.context() as patch:
        patch.setattr(LocalFileSystem, "rename", breaks)
        with pytest.raises(PathUnwritable, match="the disk is gone"):
            job.commit([("rows", "new")], [""])
        job.abort()
    assert content(out) == {"new": "new"}
    settle(str(out))
    assert content(out) == {"old": "old"}


def test_what_can_not_be_taken_back_is_no_silent_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = """
from quiver_proto.filesystems import LocalFileSystem
rename, left = LocalFileSystem.rename, [1]
def dies(system, source, target):
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    rename(system, source, target)
print(place, flush=True)
LocalFileSystem.rename = dies
open(place + "/more", "w").close()
job.commit([("0-0/rows", "part-0"), ("more", "part-1")])
"""
    out = tmp_path / "out"
    out.mkdir()
    place = killed(out, commit)
    assert set(content(out)) == {"part-0"}
    journal = (place / JOURNAL).read_text()
    owner = (place / OWNER).read_text()
    (place / OWNER).write_text("another machine")
    settle(str(out))
    assert "may be incomplete" in caplog.text
    (place / OWNER).write_text(owner)
    (place / JOURNAL).write_text(journal.replace('"part-0"', '"../part-0"'))
    with pytest.raises(PathUnreadable, match="is not below"):
        settle(str(out))
    (place / JOURNAL).write_text(journal)
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 12345)
        with pytest.raises(PathUnreadable, match="another user's"):
            settle(str(out))
    with monkeypatch.context() as patch:

        def refuses(system: LocalFileSystem, source: str, target: str) -> None:
            raise PermissionError("read-only")

        patch.setattr(LocalFileSystem, "rename", refuses)
        caplog.clear()
        with pytest.raises(PathUnreadable, match="has died, and what it did can't be taken back: read-only"):
            settle(str(out))
        job = OutputJob(str(out))
        job.prepare(new=False)
        assert "can't be removed: read-only" in caplog.text
    assert set(content(out)) == {"part-0"}
    settle(str(out))
    assert not content(out)
    job.abort()
