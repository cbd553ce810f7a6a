"""The web process: how it is started, what it says, and when it goes."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import web_story as story
from web_browsing import eventually, web_process
from web_harness import write

from quiver_proto import events as e
from quiver_proto.errors import BadSetting, PathNotFound, PathUnreadable, QuiverError
from quiver_web.__main__ import main
from quiver_web.server import serve
from quiver_web.settings import parse


def test_it_follows_a_growing_log_and_goes_with_the_driver(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.touch()
    with web_process(log) as web:
        assert json.loads(web.get("/health"))["events"] == 0
        data = "".join(e.encode(event) + "\n" for event in story.whole())
        with log.open("a") as file:
            file.write(data[:1500])
            file.flush()
            eventually(lambda: json.loads(web.get("/api/v1/applications")), "the application")
            file.write(data[1500:])
        eventually(lambda: json.loads(web.get("/api/v1/applications"))[0]["attempts"][0]["completed"], "its end")
        web.drop_lifeline()
        assert web.process.wait(120) == 0
        assert web.end() == ""


def test_kept_it_outlives_the_driver_and_says_that_it_is_gone(tmp_path: Path) -> None:
    log = write(tmp_path / "log.jsonl", story.whole()[:8])
    with web_process(log, "--keep") as web:
        assert "The driver went" not in web.get("/")
        web.drop_lifeline()
        eventually(lambda: "The driver went" in web.get("/"), "the notice")
        assert web.process.poll() is None


def test_by_hand_it_makes_a_token_and_tells_the_url(tmp_path: Path) -> None:
    log = write(tmp_path / "log.jsonl", story.whole())
    process = subprocess.Popen(
        [sys.executable, "-m", "quiver_web", "--log", str(log), "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert "/?token=" in url
        address, _, token = url.partition("/?token=")
        assert len(token) >= 32
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(address, timeout=120)
        process.terminate()


def test_a_port_in_use_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    log = write(tmp_path / "log.jsonl", story.whole())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(sys, "argv", ["quiver_web", "--log", str(log), "--port", str(port)])
        assert main() == 1
    assert capsys.readouterr().err.startswith(f"error: port {port} on 127.0.0.1 is in use")


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (["--log", "missing.jsonl"], PathNotFound, "missing.jsonl"),
        (["--log", "."], PathUnreadable, "can't be read"),
        (["--log", "log.jsonl", "--token-file", "missing"], BadSetting, "--token-file"),
        (["--log", "log.jsonl", "--token-file", "short"], BadSetting, "at least 16"),
        (["--log", "log.jsonl", "--host", "no-such-host.invalid", "--port", "0"], BadSetting, "--host"),
    ],
)
def test_bad_settings_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], error: type[QuiverError], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "log.jsonl", story.whole())
    (tmp_path / "short").write_text("short")
    with pytest.raises(error, match=told):
        serve(parse(arguments))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [([], "--log"), (["--log", "x", "--port", "70000"], "not a port"), (["--log", "x", "--fd", "y"], "--fd")],
)
def test_a_command_line_without_sense_ends_with_status_2(capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(arguments)
    assert told in capsys.readouterr().err
