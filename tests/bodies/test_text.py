"""Text in and out: lines at chunk borders, line ends, encodings, compression, paths; and output committed once."""

from __future__ import annotations

import bz2
import gzip
import itertools
import os
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from body_bench import Bench, fn, items
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quiver_executor import sources
from quiver_proto import files, ops
from quiver_proto.committing import OutputJob, numbered
from quiver_proto.errors import OutputExists, PathNotFound, PathUnreadable, from_wire

LINES, BYTES, WHOLE = ops.TextLines(), ops.TextLines(unicode=False), ops.WholeFiles()


def write(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path)


def compress_zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def read_all(bench: Bench, chunks: list[list[tuple[str, int, int]]], node: ops.Node = LINES) -> list[list[Any]]:
    return [bench.collect(node, split) for split in chunks]


def flat(parts: list[list[Any]]) -> list[Any]:
    return [record for part in parts for record in part]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"a\nb", ["a", "b"]),
        (b"\n", [""]),
        (b"\n\na\n\n", ["", "", "a", ""]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\r\nb\r", ["a", "b"]),
        (b"a\rb\n", ["a", "b"]),
        (b"a\r\r\nb", ["a", "", "b"]),
        ("a\u2028b\x0cc\x1cd\x85e\n".encode(), ["a\u2028b\x0cc\x1cd\x85e"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
        ("é\nß€😀\n".encode(), ["é", "ß€😀"]),
    ],
)
def test_lines(bench: Bench, tmp_path: Path, content: bytes, lines: list[str]) -> None:
    path = write(tmp_path / "in" / "f.txt", content)
    assert bench.collect(LINES, [(path, 0, -1)]) == lines
    assert bench.collect(BYTES, [(path, 0, -1)]) == [line.encode() for line in lines]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["", "a", "bcd", "é€", "x" * 30]), max_size=30), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.data())
def test_every_line_belongs_to_one_chunk(tmp_path: Path, bench: Bench, lines: list[str], end: str, closed: bool, pick: Any) -> None:
    content = end.join(lines).encode() + (end.encode() if closed and lines else b"")
    path = write(tmp_path / "in" / "f.txt", content)
    cuts = sorted(pick.draw(st.sets(st.integers(0, len(content)), max_size=6)) | {0, len(content)})
    chunks = [[(path, a, b - a)] for a, b in itertools.pairwise(cuts)] or [[(path, 0, -1)]]
    block, sources.BLOCK = sources.BLOCK, pick.draw(st.sampled_from([1, 2, 5, 1 << 20]))
    try:
        got = read_all(bench, chunks)
    finally:
        sources.BLOCK = block
    assert flat(got) == bench.collect(LINES, [(path, 0, -1)])
    for [(_, start, length)], part in zip(chunks, got):
        starts = [0] if start == 0 and content else []
        starts += [i + 1 for i in range(start, start + length) if content[i : i + 1] == b"\n" and i + 1 < len(content)]
        assert len(part) == len(starts)


def test_a_line_much_longer_than_a_block(bench: Bench, tmp_path: Path) -> None:
    path = write(tmp_path / "in" / "f.txt", b"x" * 3_000_000 + b"\nshort\n")
    got = read_all(bench, [[(path, 0, 100)], [(path, 100, 2_000_000)], [(path, 2_000_100, -1)]])
    assert [len(part) for part in got] == [1, 0, 1]


@pytest.mark.parametrize(
    ("extension", "compress"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".zst", compress_zstd),
        (".gz", lambda c: gzip.compress(c[:7]) + gzip.compress(c[7:])),
    ],
)
def test_compressed(bench: Bench, tmp_path: Path, extension: str, compress: Any) -> None:
    content = "".join(f"line {i}\n" for i in range(1000)).encode()
    path = write(tmp_path / "in" / f"f.txt{extension}", compress(content))
    [split] = files.text_chunks(path, 8)
    assert bench.collect(LINES, split) == content.decode().splitlines()
    assert bench.collect(WHOLE, split) == [(f"file:{path}", content.decode())]
    write(tmp_path / "in" / f"f.txt{extension}", compress(os.urandom(4000))[:1000])
    assert bench.failed(ops.Count(LINES), split).error[0] in ("PathUnreadable", "UndecodableLine")


@pytest.mark.parametrize("start", [0, 50, 88])
def test_undecodable_lines_are_named(bench: Bench, tmp_path: Path, start: int) -> None:
    content = b"".join(b"line %d\n" % i for i in range(10)) + b"fine\nbad \xff here\nfine\n" + b"\xfe\n"
    path = write(tmp_path / "in" / "f.txt", content)
    failure = bench.failed(ops.Count(LINES), [(path, start, -1)])
    assert failure.kind.value == "fatal"
    assert failure.error is not None
    code, (where, line, offset, _) = failure.error
    expected = content.index(b"\xff") if start < 86 else content.index(b"\xfe")
    assert (code, where, offset) == ("UndecodableLine", path, expected)
    assert line == content.count(b"\n", 0, expected) + 1
    assert f"line {line}" in failure.message
    assert len(bench.collect(BYTES, [(path, start, -1)])) >= 1


def test_a_bad_line_after_many_blocks(bench: Bench, tmp_path: Path) -> None:
    path = write(tmp_path / "in" / "f.txt", b"0123456789\n" * 300_000 + b"\xff\n")
    failure = bench.failed(ops.Count(LINES), [(path, 2_000_000, -1)])
    assert failure.error[1][1:3] == (300_001, 3_300_000)


def test_files_that_went(bench: Bench, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.txt")
    assert bench.failed(ops.Count(LINES), [(missing, 0, -1)]).error[0] == "PathNotFound"
    assert bench.failed(ops.Count(LINES), [(str(tmp_path), 0, -1)]).error[0] == "PathUnreadable"
    error = from_wire(*bench.failed(ops.Count(WHOLE), [(missing, 0, -1)]).error)
    assert isinstance(error, PathNotFound)


def test_input_bytes_are_counted(bench: Bench, tmp_path: Path) -> None:
    path = write(tmp_path / "in" / "f.txt", b"ab\ncd\n")
    metrics = bench.done(ops.Count(LINES), [(path, 0, -1)]).metrics
    assert (metrics.input_bytes, metrics.input_records) == (6, 2)


# ---- which files, which chunks ----


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name in ("a/1.txt", "a/2.txt", "a/_hidden", "a/.crc", "b/3.txt", "b/4.log"):
        write(root / name, name.encode() * 10)
    return root


def names(chunks: list[list[tuple[str, int, int]]]) -> list[str]:
    seen = dict.fromkeys(chunk[0] for part in chunks for chunk in part)
    return [path.rsplit("/", 1)[-1] for path in seen]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a", ["1.txt", "2.txt"]),
        ("a/1.txt", ["1.txt"]),
        ("*/*.txt", ["1.txt", "2.txt", "3.txt"]),
        ("*", ["1.txt", "2.txt", "3.txt", "4.log"]),
        ("{a,b}/[13].txt", ["1.txt", "3.txt"]),
        ("b/{3.txt,4.log}", ["3.txt", "4.log"]),
        ("a/1.txt,b/3.txt", ["1.txt", "3.txt"]),
        ("a/?.txt", ["1.txt", "2.txt"]),
    ],
)
def test_paths(tree: Path, pattern: str, expected: list[str]) -> None:
    text = ",".join(f"{tree}/{part}" for part in pattern.split(",")) if "{" not in pattern else f"{tree}/{pattern}"
    assert names(files.text_chunks(text, 1)) == expected
    assert names(files.whole_files(text, 1)) == expected
    if "," not in pattern:
        assert names(files.text_chunks(f"file://{tree}/{pattern}", 1)) == expected


def test_several_paths(tree: Path) -> None:
    assert names(files.text_chunks([f"{tree}/b", f"{tree}/a/1.txt"], 1)) == ["3.txt", "4.log", "1.txt"]


def test_relative_paths_become_absolute(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert files.text_chunks("a/1.txt", 1)[0][0][0] == str(tree / "a/1.txt")


def test_missing_paths_are_named(tree: Path) -> None:
    for path in (f"{tree}/a/1.txt,{tree}/nope", f"{tree}/nope*", [f"{tree}/a", f"{tree}/nope/x"]):
        with pytest.raises(PathNotFound, match="nope"):
            files.text_chunks(path, 1)


def test_unreadable_paths_are_named(tree: Path) -> None:
    with pytest.raises(PathUnreadable, match=r"tree/a.* is a directory inside"):
        files.text_chunks(str(tree), 1)
    with pytest.raises(PathUnreadable, match="no file system"):
        files.text_chunks("nosuch://host/x", 1)


def test_file_names_may_look_like_patterns(tmp_path: Path) -> None:
    write(tmp_path / "a[1]", b"x")
    assert names(files.text_chunks(f"{tmp_path}/a[1]", 1)) == ["a[1]"]


def test_chunks_follow_hadoop(tmp_path: Path) -> None:
    path = write(tmp_path / "f", b"x" * 1050)
    assert [[c[1:] for c in part] for part in files.text_chunks(path, 10)] == [[(105 * i, 105)] for i in range(10)]
    assert [part[0][1:] for part in files.text_chunks(path, 1)] == [(0, 1050)]
    other = write(tmp_path / "g", b"x" * 109)
    assert files.text_chunks([other], 1) == [[(other, 0, 109)]]
    assert [part[0][1:] for part in files.text_chunks([path, other], 2)] == [(0, 579), (579, 471), (0, 109)]
    empty = write(tmp_path / "e", b"")
    assert files.text_chunks(empty, 4) == []


def test_block_size_bounds_chunks(tmp_path: Path) -> None:
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    assert [part[0][1] >> 20 for part in files.text_chunks(str(path), 1)] == [0, 32, 64, 96][:4]


def test_whole_files_are_packed(tmp_path: Path) -> None:
    paths = [write(tmp_path / "d" / f"{i}", b"x" * 10) for i in range(10)]
    parts = files.whole_files(str(tmp_path / "d"), 3)
    assert [chunk[0] for part in parts for chunk in part] == paths
    assert [len(part) for part in parts] == [4, 4, 2]


def test_urls(bench: Bench) -> None:
    import fsspec

    with fsspec.open("memory://box/a.txt", "wb") as file:
        file.write(b"one\ntwo\n")
    [split] = files.text_chunks("memory://box/*.txt", 1)
    assert bench.collect(LINES, split) == ["one", "two"]
    with pytest.raises(PathNotFound):
        files.text_chunks("memory://box/nope", 1)


# ---- output ----


def save(bench: Bench, directory: str, partitions: list[list[Any]], codec: str | None = None) -> list[str]:
    output = prepared(directory)
    sink = ops.SaveText(ops.Items(), directory, output.name, codec)
    names = [bench.value(sink, (index, items(records)), partition=index) for index, records in enumerate(partitions)]
    output.commit(numbered(names, files.COMPRESSED))
    return names


def prepared(directory: str) -> OutputJob:
    output = OutputJob(directory)
    output.prepare(new=True)
    return output


@pytest.mark.parametrize("codec", [None, "gzip", "bz2", "zstd"])
def test_save_and_read_again(bench: Bench, tmp_path: Path, codec: str | None) -> None:
    directory = str(tmp_path / "out")
    partitions: list[list[Any]] = [["a", "é"], [1, (2, "x"), b"raw", None], []]
    save(bench, directory, partitions, codec)
    extension = {None: "", "gzip": ".gz", "bz2": ".bz2", "zstd": ".zst"}[codec]
    assert sorted(os.listdir(directory)) == ["_SUCCESS", *(f"part-0000{i}{extension}" for i in range(3))]
    assert flat(read_all(bench, files.text_chunks(directory, 1))) == ["a", "é", "1", "(2, 'x')", "raw", "None"]


def test_existing_output_is_refused(bench: Bench, tmp_path: Path) -> None:
    directory = str(tmp_path / "out")
    save(bench, directory, [["a"]])
    with pytest.raises(OutputExists, match="out"):
        prepared(directory)
    assert sorted(os.listdir(directory)) == ["_SUCCESS", "part-00000"]


def test_attempts_do_not_meet_and_losers_go(bench: Bench, tmp_path: Path) -> None:
    directory = str(tmp_path / "out")
    output = prepared(directory)
    first, again = (bench.value(ops.SaveText(ops.Items(), directory, output.name, None), (0, items([text]))) for text in "ab")
    assert first != again
    output.commit([(again, "part-00000")])
    assert sorted(os.listdir(directory)) == ["_SUCCESS", "part-00000"]
    assert (tmp_path / "out/part-00000").read_text() == "b\n"


def test_a_failed_attempt_leaves_no_file_and_abort_nothing(bench: Bench, tmp_path: Path) -> None:
    directory = tmp_path / "out"
    output = prepared(str(directory))
    node = ops.Map(ops.Items(), fn(lambda x: 1 // x))
    assert bench.failed(ops.SaveText(node, str(directory), output.name, "gzip"), (0, items([1, 0]))).exception_type == "ZeroDivisionError"
    assert sorted(path.name for path in directory.rglob("*") if path.is_file()) == [".made", ".owner"]  # The job's own.
    output.abort()
    assert not directory.exists()


def test_output_to_a_url(bench: Bench) -> None:
    url = f"memory://out-{random.random()}"
    save(bench, url, [["a"], ["b"]])
    assert flat(read_all(bench, files.text_chunks(url, 1))) == ["a", "b"]
    with pytest.raises(OutputExists):
        prepared(url)


def test_output_that_cannot_be(tmp_path: Path) -> None:
    write(tmp_path / "file", b"")
    with pytest.raises(PathUnreadable, match="can't be created"):
        prepared(str(tmp_path / "file" / "out"))
