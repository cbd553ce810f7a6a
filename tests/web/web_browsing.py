"""The web process as a driver starts it, and a real Chromium."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from selenium import webdriver
from web_harness import TOKEN


def eventually(condition: Callable[[], object], what: str, limit_s: float = 120.0) -> None:
    """Until `condition()` holds: other processes have no event to wait on."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        time.sleep(0.02)


class WebProcess:
    """Started with inherited descriptors only; `address` answers at once because the listening socket is ours."""

    def __init__(self, log: Path, *options: str) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        life_read, self.lifeline = os.pipe()
        token_read, token_write = os.pipe()
        os.write(token_write, TOKEN.encode())
        os.close(token_write)
        inherited = (listener.fileno(), token_read, life_read)
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "quiver_web", "--log", str(log), "--fd", str(inherited[0])),
                *("--token-fd", str(inherited[1]), "--lifeline", str(inherited[2]), *options),
            ],
            pass_fds=inherited,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for fd in (life_read, token_read):
            os.close(fd)
        listener.close()

    def get(self, path: str) -> str:
        request = urllib.request.Request(self.address + path, headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=120) as response:
            return str(response.read().decode())

    def drop_lifeline(self) -> None:
        if self.lifeline >= 0:
            os.close(self.lifeline)
            self.lifeline = -1

    def end(self) -> str:
        """What it wrote to stderr."""
        self.drop_lifeline()
        self.process.terminate()
        _, errors = self.process.communicate(timeout=120)
        return errors.decode()


@contextlib.contextmanager
def web_process(log: Path, *options: str) -> Iterator[WebProcess]:
    web = WebProcess(log, *options)
    try:
        yield web
    finally:
        web.end()


@contextlib.contextmanager
def chromium(profile: Path, *arguments: str) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", f"--user-data-dir={profile}", "--window-size=1400,1000", *arguments,
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()


def error_entries(driver: webdriver.Chrome) -> list[str]:
    """What the browser complained about: refused scripts and styles, errors in ours."""
    return [entry["message"] for entry in driver.get_log("browser") if not re.search(r"status of 40[134]", entry["message"])]
