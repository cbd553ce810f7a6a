"""Binary files, fixed records and pickle files: what comes back, and what is refused."""

from __future__ import annotations

import gzip
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from quiver import Conf, Context
from quiver.errors import BadRecordLength, BadSetting, OutputExists, PathNotFound, PathUnreadable, UnpicklableOutput, UntrustedPickle
from quiver.pickle_key import pickle_key
from quiver_proto import pickle_files


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The key of these tests' user."""
    monkeypatch.setenv("QUIVER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_binary_files_are_read_as_they_are(sc: Context, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.bin").write_bytes(b"\x00\xff\r\n1")
    (tmp_path / "in" / "b.gz").write_bytes(gzip.compress(b"text"))
    found = dict(sc.binaryFiles(tmp_path / "in").collect())
    assert sorted(found) == [f"file:{tmp_path}/in/a.bin", f"file:{tmp_path}/in/b.gz"]
    assert found[f"file:{tmp_path}/in/a.bin"] == b"\x00\xff\r\n1"
    assert gzip.decompress(found[f"file:{tmp_path}/in/b.gz"]) == b"text"
    assert sc.wholeTextFiles(f"{tmp_path}/in/b.gz").values().collect() == ["text"]
    assert sc.wholeTextFiles(f"{tmp_path}/in/b.gz", use_unicode=False).collect() == [(f"file:{tmp_path}/in/b.gz".encode(), b"text")]


def test_fixed_records(sc: Context, tmp_path: Path) -> None:
    data = os.urandom(7 * 3000)
    (tmp_path / "a.bin").write_bytes(data)
    (tmp_path / "b.bin").write_bytes(b"")
    (tmp_path / "c.bin.gz").write_bytes(gzip.compress(data[:70]))
    records = [data[i : i + 7] for i in range(0, len(data), 7)]
    assert sc.binaryRecords(str(tmp_path / "a.bin"), 7).collect() == records
    assert sc.binaryRecords(f"{tmp_path}/*.bin*", 7).count() == 3010
    assert sc.binaryRecords([str(tmp_path / "b.bin")], 7).collect() == []
    with pytest.raises(BadRecordLength, match="not a whole number of records of 4 bytes: 2 are left over"):
        sc.binaryRecords(str(tmp_path / "c.bin.gz"), 4).collect()
    with pytest.raises(BadRecordLength, match="21,000 bytes"):
        sc.binaryRecords(str(tmp_path / "a.bin"), 11).getNumPartitions()
    with pytest.raises(ValueError, match="recordLength must be at least 1"):
        sc.binaryRecords("x", 0)
    for read in (sc.binaryFiles, sc.pickleFile, lambda path: sc.binaryRecords(path, 2)):
        with pytest.raises(PathNotFound, match="nowhere"):
            read(str(tmp_path / "nowhere")).collect()


def test_fixed_records_are_cut_between_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from quiver_proto import files
    from quiver_proto.filesystems import LOCAL

    (tmp_path / "a").write_bytes(bytes(100))
    monkeypatch.setattr(type(LOCAL), "block_size", 33)
    chunks = files.fixed_chunks(str(tmp_path / "a"), 10)
    assert [(start, length) for [(_, start, length)] in chunks] == [(0, 30), (30, 30), (60, 30), (90, 10)]


@pytest.mark.parametrize("batch", [0, 1, 3, 1000])
def test_pickle_files_keep_types(sc: Context, tmp_path: Path, batch: int) -> None:
    records: list[Any] = [None, 1, 2.5, "é", b"x", (1, [2]), {"a": {3}}, True] * 30
    sc.parallelize(records, 3).saveAsPickleFile(str(tmp_path / "out"), batch)
    assert sorted(os.listdir(tmp_path / "out")) == ["_SUCCESS", "part-00000", "part-00001", "part-00002"]
    back = sc.pickleFile(str(tmp_path / "out"), 7)
    assert back.getNumPartitions() == 3
    assert back.collect() == records
    assert sc.pickleFile([tmp_path / "out" / "part-00001"]).collect() == sc.parallelize(records, 3).glom().collect()[1]
    with pytest.raises(OutputExists):
        sc.parallelize([1]).saveAsPickleFile(str(tmp_path / "out"))


def test_nothing_is_saved_of_what_does_not_pickle(sc: Context, tmp_path: Path) -> None:
    with pytest.raises(UnpicklableOutput, match="saveAsPickleFile"):
        sc.parallelize(range(9), 2).map(lambda x: x if x < 8 else (i for i in range(3))).saveAsPickleFile(str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


class Bomb:
    """Opening its pickle leaves a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def test_what_others_wrote_is_not_opened(sc: Context, tmp_path: Path, home: Path) -> None:
    sc.parallelize([1, 2], 1).saveAsPickleFile(str(tmp_path / "mine"))
    bomb = tmp_path / "bomb"
    with open(tmp_path / "theirs", "wb") as file:
        pickle_files.write(file.write, [[Bomb(str(bomb))]], b"another key")
    theirs = sc.pickleFile(str(tmp_path / "theirs"))
    with pytest.raises(UntrustedPickle, match=r"not signed with your key.*trusted=True"):
        theirs.collect()
    with pytest.raises(PermissionError):
        theirs.count()
    assert not bomb.exists()
    assert sc.pickleFile(str(tmp_path / "theirs"), trusted=True).count() == 1
    assert bomb.exists()
    # Another key, another user.
    (home / "pickle.key").unlink()
    with pytest.raises(UntrustedPickle):
        sc.pickleFile(str(tmp_path / "mine")).collect()
    assert sc.pickleFile(str(tmp_path / "mine"), trusted=True).collect() == [1, 2]


def test_a_changed_file_is_found_out(sc: Context, tmp_path: Path) -> None:
    sc.parallelize(range(20), 1).saveAsPickleFile(str(tmp_path / "out"), 5)
    path = tmp_path / "out" / "part-00000"
    whole = path.read_bytes()
    rdd = sc.pickleFile(str(path))
    head = len(pickle_files.MAGIC) + 16
    size = 4 + int.from_bytes(whole[head : head + 4], "little") + 32
    for changed, error in (
        (whole[:-1], PathUnreadable),
        (whole[: head + size], PathUnreadable),
        (whole[:head] + whole[head + size :], UntrustedPickle),
        (whole[:head] + whole[head : head + size] + whole[head:], UntrustedPickle),
        (whole[: head + 10] + bytes([whole[head + 10] ^ 1]) + whole[head + 11 :], UntrustedPickle),
        (whole[:head] + b"\xff\xff\xff\xff" + whole[head + 4 :], PathUnreadable),
        (b"SEQ\x06" + whole, PathUnreadable),
        (pickle.dumps([1]), PathUnreadable),
        (b"", PathUnreadable),
    ):
        path.write_bytes(changed)
        with pytest.raises(error):
            rdd.collect()
    path.write_bytes(whole)
    assert rdd.collect() == list(range(20))


def test_the_key_is_private(tmp_path: Path, home: Path) -> None:
    conf = Conf(loadDefaults=False)
    key = pickle_key(conf)
    assert pickle_key(conf) == key
    assert (home / "pickle.key").stat().st_mode & 0o777 == 0o600
    (home / "pickle.key").chmod(0o644)
    with pytest.raises(BadSetting, match="others may read it"):
        pickle_key(conf)
    other = conf.set("quiver.pickle.key.file", str(tmp_path / "elsewhere"))
    assert pickle_key(other) != key
    (tmp_path / "elsewhere").write_text("short")
    with pytest.raises(BadSetting, match="at least 16"):
        pickle_key(other)
    with pytest.raises(BadSetting, match="can't be made"):
        pickle_key(conf.set("quiver.pickle.key.file", "/proc/nowhere/key"))


def test_neither_key_nor_signature_shows_in_a_repr() -> None:
    from quiver_proto import ops

    nodes = ops.PickledRecords(b"hidden", True), ops.SavePickle(ops.Items(), "d", "j", 1, b"hidden")
    assert all("hidden" not in repr(node) for node in nodes)
