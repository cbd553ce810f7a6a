"""Archives of attackers: refused as a whole, or harmless."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiver_proto.errors import BadArchive, BadFileName, MalformedMessage, UnsafeArchive
from quiver_proto.shared_files import FILE, Manifest, SharedFile, check_name
from quiver_proto.unpacking import is_archive, unpack


def member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", data: bytes = b"x", mode: int = 0o644
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    info.size = len(data) if kind == tarfile.REGTYPE else 0
    return info, data


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> str:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return str(path)


def zipped(path: Path, *names: str) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return str(path)


def tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz"])
def test_a_tar_keeps_contents_modes_and_inner_links(tmp_path: Path, suffix: str) -> None:
    path = tar(
        tmp_path / f"a{suffix}",
        member("bin", tarfile.DIRTYPE),
        member("bin/python3", data=b"elf", mode=0o755),
        member("bin/python", tarfile.SYMTYPE, "python3"),
        member("lib/deep/er", data=b"1"),
        member("lib/up", tarfile.SYMTYPE, "../bin/python3"),
        member("same", tarfile.LNKTYPE, "bin/python3"),
    )
    unpack(path, str(tmp_path / "out"))
    assert tree(tmp_path / "out") == {
        "bin/python": "elf", "bin/python3": "elf", "lib/deep/er": "1", "lib/up": "elf", "same": "elf",
    }  # fmt: skip
    assert stat.S_IMODE(os.stat(tmp_path / "out/bin/python3").st_mode) == 0o755
    assert os.readlink(tmp_path / "out/bin/python") == "python3"


@pytest.mark.parametrize("suffix", [".zip", ".jar"])
def test_a_zip_keeps_contents_and_modes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("in/", "")
        info = zipfile.ZipInfo("in/run.sh")
        info.external_attr = 0o100755 << 16
        archive.writestr(info, "go")
        archive.writestr("empty/", "")
    unpack(str(path), str(tmp_path / "out"))
    assert tree(tmp_path / "out") == {"in/run.sh": "go"}
    assert os.access(tmp_path / "out/in/run.sh", os.X_OK)
    assert (tmp_path / "out/empty").is_dir()


HOSTILE: list[Callable[[Path], str]] = [
    lambda at: zipped(at / "a.zip", "ok", "../evil"),
    lambda at: zipped(at / "a.zip", "/evil"),
    lambda at: zipped(at / "a.zip", "a/../../evil"),
    lambda at: tar(at / "a.tar", member("../evil")),
    lambda at: tar(at / "a.tar", member("/evil")),
    lambda at: tar(at / "a.tar", member("a/b/../../../evil")),
    # Links out, and files through links.
    lambda at: tar(at / "a.tar", member("l", tarfile.SYMTYPE, "/etc/passwd")),
    lambda at: tar(at / "a.tar", member("l", tarfile.SYMTYPE, "..")),
    lambda at: tar(at / "a.tar", member("d/l", tarfile.SYMTYPE, "../../x")),
    lambda at: tar(at / "a.tar", member("l", tarfile.SYMTYPE, "d"), member("l/evil")),
    lambda at: tar(at / "a.tar", member("l", tarfile.SYMTYPE, "x"), member("l")),
    # A link that is inside by its letters and outside once another link is followed.
    lambda at: tar(at / "a.tar", member("p/q/r/d", tarfile.SYMTYPE, "../../.."), member("e", tarfile.SYMTYPE, "p/q/r/d/../evil")),
    lambda at: tar(at / "a.tar", member("h", tarfile.LNKTYPE, "/etc/passwd")),
    lambda at: tar(at / "a.tar", member("h", tarfile.LNKTYPE, "../x")),
    lambda at: tar(at / "a.tar", member("h", tarfile.LNKTYPE, "not there")),
    lambda at: tar(at / "a.tar", member("l", tarfile.SYMTYPE, "x"), member("h", tarfile.LNKTYPE, "l")),
    lambda at: tar(at / "a.tar", member("pipe", tarfile.FIFOTYPE)),
    lambda at: tar(at / "a.tar", member("device", tarfile.CHRTYPE)),
]


@pytest.mark.parametrize("make", HOSTILE)
def test_what_leads_out_is_refused(tmp_path: Path, make: Callable[[Path], str]) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    path = make(tmp_path)
    with pytest.raises(UnsafeArchive, match="refused because of its member"):
        unpack(path, str(inner / "out"))
    assert sorted(os.listdir(tmp_path)) == sorted([os.path.basename(path), "inner"])
    assert os.listdir(inner) == ["out"]


STEP = st.sampled_from(["a", "b", "..", ".", "", "c"])
PATH = st.lists(STEP, min_size=1, max_size=5).map("/".join)
MEMBER = st.tuples(PATH, st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]), PATH)


@given(st.lists(MEMBER, max_size=8))
def test_no_tar_writes_or_leads_outside(members: list[tuple[str, bytes, str]]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "inner", "out")
        root.parent.mkdir()
        path = tar(Path(scratch, "a.tar"), *(member(name, kind, link) for name, kind, link in members))
        try:
            unpack(path, str(root))
        except (UnsafeArchive, BadArchive, OSError):
            pass
        assert sorted(os.listdir(scratch)) == ["a.tar", "inner"]
        assert os.listdir(root.parent) == ["out"]
        for found in root.rglob("*"):
            if found.is_symlink():
                try:
                    real = found.resolve()
                except (OSError, RuntimeError):
                    continue  # Links in a circle lead nowhere.
                assert real.is_relative_to(root.resolve()), found


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz"])
def test_what_is_no_archive_says_so(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"not an archive" * 100)
    with pytest.raises(BadArchive, match="can't be unpacked"):
        unpack(str(path), str(tmp_path / "out"))


def test_room_is_asked_for_before_anything_is_written(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", "a")

    def refuse(size: int) -> None:
        assert size == 1
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        unpack(path, str(tmp_path / "out"), refuse)
    assert tree(tmp_path / "out") == {}


def test_names() -> None:
    assert [is_archive(name) for name in ("a.ZIP", "a.tar.gz", "a.tgz", "a.jar", "a.txt", "zip")] == [True] * 4 + [False] * 2
    for bad in ("", ".", "..", "a/b", "a\0", "x" * 256):
        with pytest.raises(BadFileName):
            check_name(bad)


def test_a_manifest_survives_its_encoding_and_is_checked() -> None:
    manifest = Manifest(7, "host", "/root", (SharedFile("a", FILE, "00", 3, ".zip", 9),), ("a",))
    assert Manifest.decode(manifest.encode()) == manifest
    for text in ("", "{}", "[1, 2]", '[0, "h", "/r", [["a"]], []]'):
        with pytest.raises(MalformedMessage):
            Manifest.decode(text)
    with pytest.raises(BadFileName):
        Manifest.decode(Manifest(7, "host", "/root", (SharedFile("../a", FILE, "00", 3),)).encode())
