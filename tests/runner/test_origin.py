"""The driver's block server for broadcasts: a process of its own, with the application's token, and TLS where the cluster has it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from quiver import Conf
from quiver.runner.origin import Origin
from quiver_proto.block_client import DATA, BlockClient, Piece
from quiver_proto.errors import AuthenticationFailed, BadSetting, ConnectionFailed


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Conf:
    monkeypatch.delenv("QUIVER_TLS_CA", raising=False)
    return Conf(loadDefaults=False).set("quiver.local.dir", str(tmp_path / "local"))


@pytest.fixture
def origin(conf: Conf) -> Iterator[Origin]:
    made = Origin("app-1", "127.0.0.1:7077", lambda: "the-token", conf)
    yield made
    made.stop()


def read(address: str, path: str, token: str = "the-token", ca: str = "") -> bytes:
    client = BlockClient(address, token, ca, attempts=1, sleep=lambda _: None)
    try:
        return b"".join(data for _, kind, data in client.read([Piece(path)]) if kind == DATA)
    finally:
        client.close()


def test_it_serves_the_applications_files_and_ends(origin: Origin) -> None:
    directory = origin.directory()
    Path(directory, "file").write_bytes(b"content")
    address = origin.address()
    assert address.startswith("127.0.0.1:")
    assert origin.address() == address
    assert read(address, "app-1/file") == b"content"
    for path, token in (("app-1/file", "another"), ("../file", "the-token"), ("app-2/file", "the-token"), ("/etc/passwd", "the-token")):
        with pytest.raises(AuthenticationFailed):
            read(address, path, token)
    origin.stop()
    origin.stop()
    assert not os.path.exists(directory)
    with pytest.raises(ConnectionFailed):
        read(address, "app-1/file")


def test_where_it_listens_can_be_said(conf: Conf) -> None:
    conf.set("spark.driver.bindAddress", "127.0.0.1").set("spark.driver.host", "localhost")
    origin = Origin("app-1", "192.0.2.1:7077", lambda: "the-token", conf)
    try:
        assert origin.address().startswith("localhost:")
    finally:
        origin.stop()


def test_a_port_that_is_taken_is_told(conf: Conf, origin: Origin) -> None:
    conf.set("spark.driver.blockManager.port", origin.address().rpartition(":")[2])
    second = Origin("app-2", "127.0.0.1:7077", lambda: "the-token", conf)
    try:
        with pytest.raises(ConnectionFailed, match=r"can't serve its broadcasts .*in use"):
            second.address()
    finally:
        second.stop()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_with_tls_it_shows_a_certificate(conf: Conf, tmp_path: Path) -> None:
    request = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    files = ["-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(["openssl", *request.split(), *files], cwd=tmp_path, check=True, capture_output=True)
    certificate = str(tmp_path / "cert.pem")
    conf.set("quiver.tls.ca", certificate)
    origin = Origin("app-1", "127.0.0.1:7077", lambda: "the-token", conf)
    try:
        with pytest.raises(BadSetting, match=r"quiver\.tls\.cert"):
            origin.address()
        conf.set("quiver.tls.cert", certificate).set("quiver.tls.key", str(tmp_path / "key.pem"))
        Path(origin.directory(), "file").write_bytes(b"content")
        assert read(origin.address(), "app-1/file", ca=certificate) == b"content"
        with pytest.raises(ConnectionFailed):
            read(origin.address(), "app-1/file")
    finally:
        origin.stop()
