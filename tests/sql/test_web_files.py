"""Files of web servers: with ranges and without, and what goes wrong there, named by its URL."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quiver.sql.discovery import discover
from quiver.sql.errors import AnalysisException
from quiver_proto import web_files
from quiver_proto.errors import FileUnreadable
from quiver_proto.filesystems import filesystem_of
from quiver_proto.sources.columnar_files import ParquetFiles
from quiver_proto.text_formats.text_input import Line, Piece, text_blocks


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(False)

    def do_GET(self) -> None:
        self._answer(True)

    def _answer(self, body: bool) -> None:
        server = self.server
        assert isinstance(server, Server)
        wanted = self.headers.get("Range")
        server.asked.append((self.command, self.path, wanted))
        kind, _, name = self.path[1:].partition("/")
        data = server.files.get(name)
        if kind == "moved":
            return self._send(302, b"", {"Location": f"/ranges/{name}"}, body)
        if kind == "broken" or data is None:
            return self._send(500 if kind == "broken" else 404, b"", {}, body)
        if kind == "headless" and not body:
            return self._send(405, b"", {}, body)
        if kind == "flaky" and len(server.asked) % 2:
            return self._send(503, b"", {}, body)
        headers = {"ETag": f'"{len(server.asked)}"' if kind == "changing" else '"1"'}
        if kind == "cut":
            self.close_connection = True
            return self._send(200, data[: len(data) // 2], {**headers, "Content-Length": str(len(data))}, body)
        if kind in ("abc", "-5", "1000000000000000"):
            self.close_connection = True
            headers["Content-Length"] = kind
            return self._send(200, data[:100], headers, body)
        if wanted and kind not in ("whole", "chunked"):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last) + 1, len(data))
            said = {"early": f"bytes {start - 1}-{end - 2}/{len(data)}", "grown": f"bytes {start}-{end - 1}/{len(data) + 1}", "mute": ""}
            told = said.get(kind, f"bytes {start}-{end - 1}/{len(data)}")
            return self._send(206, data[start:end], {**headers, "Content-Range": told}, body)
        if kind == "chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            if body:
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n0\r\n\r\n")
            return None
        return self._send(200, data, headers, body)

    def _send(self, status: int, data: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` by the name that follows the kind of answer: /ranges/a.parquet. `asked`: (method, path, Range)."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str, str | None]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # Clients may leave before an answer's end.


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        sink = pa.BufferOutputStream()
        table = pa.table({"a": range(200_000), "b": [f"{n * 7919 % 200_003:x}" for n in range(200_000)]})
        pq.write_table(table, sink, row_group_size=50_000, compression="none", use_dictionary=False)
        server.files = {"a.parquet": sink.getvalue().to_pybytes(), "t.csv": b"".join(b"%d,x\n" % n for n in range(50_000))}
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _rows(url: str, *columns: str, conditions: Any = ()) -> int:
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    return sum(batch.num_rows for batch in ParquetFiles(conditions).read(Piece(url, 0, -1), schema, frozenset(columns)))


def test_parquet_reads_what_it_needs(server: Server) -> None:
    server.asked.clear()
    assert _rows(f"{server.url}/ranges/a.parquet", "a", conditions=(("a", ">", 170_000),)) == 50_000
    spans = [tuple(map(int, wanted.removeprefix("bytes=").split("-"))) for *_, wanted in server.asked if wanted]
    assert spans
    assert sum(last - first + 1 for first, last in spans) < len(server.files["a.parquet"]) // 4
    for kind in ("whole", "chunked", "headless", "moved", "flaky"):
        assert _rows(f"{server.url}/{kind}/a.parquet", "a", "b") == 200_000, kind


def test_text_is_one_answer(server: Server) -> None:
    for kind in ("ranges", "whole", "chunked", "headless", "moved"):
        server.asked.clear()
        text = "".join(text_blocks(Piece(f"{server.url}/{kind}/t.csv", 0, -1), Line()))
        assert text.encode() == server.files["t.csv"]
        assert len(server.asked) == (2 if kind == "moved" else 1)
    assert "".join(text_blocks(Piece(f"{server.url}/ranges/t.csv", 300_000, 20), Line())).count("\n") in (2, 3)
    for kind in ("ranges", "chunked", "headless"):
        assert [file.size for file in discover([f"{server.url}/{kind}/t.csv"]).files] == [len(server.files["t.csv"])]


def test_what_goes_wrong_names_the_url(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_files.time, "sleep", lambda _: None)
    for kind, name, problem in (
        ("broken", "t.csv", "HTTP 500"),
        ("cut", "t.csv", r"ended after \d+ of \d+ bytes"),
        ("none", "no.csv", "does not exist"),
    ):
        with pytest.raises(FileUnreadable, match=rf"{server.url}/{kind}/{name}.*{problem}"):
            list(text_blocks(Piece(f"{server.url}/{kind}/{name}", 0, -1), Line()))
    with pytest.raises(FileUnreadable, match=rf"{server.url}/changing/a.parquet.*changed while it was read"):
        _rows(f"{server.url}/changing/a.parquet", "a")
    with pytest.raises(FileUnreadable, match=rf"{server.url}/cut/a.parquet"):
        _rows(f"{server.url}/cut/a.parquet", "a")
    for kind, problem in (("early", "the answer is of"), ("grown", "the answer is of"), ("mute", "which part it is")):
        with pytest.raises(FileUnreadable, match=rf"{server.url}/{kind}/a.parquet.*{problem}"):
            _rows(f"{server.url}/{kind}/a.parquet", "a")
    for kind, problem in (("abc", "no number: 'abc'"), ("-5", "no number: '-5'"), ("1000000000000000", "(ended after|has) 100 ")):
        with pytest.raises(FileUnreadable, match=rf"{server.url}/{kind}/t.csv.*{problem}"):
            list(text_blocks(Piece(f"{server.url}/{kind}/t.csv", 0, -1), Line()))
        with pytest.raises(FileUnreadable, match=rf"{server.url}/{kind}/a.parquet.*{problem}"):
            _rows(f"{server.url}/{kind}/a.parquet", "a")
    with pytest.raises(AnalysisException, match=r"web servers list no files: give each one's URL"):
        discover([f"{server.url}/ranges/*.csv"])
    with pytest.raises(AnalysisException, match="PATH_NOT_FOUND"):
        discover([f"{server.url}/ranges/no.csv?x=1"])
    with pytest.raises(AnalysisException, match="HTTP 500"):
        discover([f"{server.url}/broken/t.csv"])
    system, path = filesystem_of("http://127.0.0.1:9/x")
    with pytest.raises(OSError, match="no answer"):
        system.open_input(path).read(1)
