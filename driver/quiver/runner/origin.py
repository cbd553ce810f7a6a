"""A cluster driver's broadcast files, and the process that serves them to executors on other machines once there are such."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from quiver.runner import launch
from quiver.runner.workdir import WorkDir
from quiver_proto.errors import BadSetting, ConnectionFailed

if TYPE_CHECKING:
    from quiver.runner.launch import Settings

STOP_LIMIT_S = 5.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Origin:
    """`directory()` makes the driver's directory, `address()` starts the server; both once, from any thread. `stop()` removes both.

    `manager` is the manager's `host:port`: the server listens on the address from which that is reached (on loopback where it is), unless
    `spark.driver.bindAddress` and `spark.driver.host` (what executors are told) say otherwise. `token` gives the application's.
    """

    def __init__(self, application_id: str, manager: str, token: Callable[[], str], conf: Settings) -> None:
        self._application_id = application_id
        self._manager = manager
        self._token = token
        self._conf = conf
        self._lock = threading.Lock()
        self._work_dir: WorkDir | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._address = ""

    def directory(self) -> str:
        """Private, and removed with the application. Raises BadSetting."""
        with self._lock:
            return self._made().path

    def address(self) -> str:
        """Where executors read the driver's files (`host:port`). Raises ConnectionFailed, BadSetting."""
        with self._lock:
            if not self._address:
                self._address = self._start(self._made().root)
            return self._address

    def stop(self) -> None:
        """Twice does nothing."""
        with self._lock:
            process, self._process, self._address = self._process, None, ""
            if process is not None:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.close()
                try:
                    process.wait(STOP_LIMIT_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                process.stdout.close()
            if self._work_dir is not None:
                self._work_dir.close()
                self._work_dir = None

    def _made(self) -> WorkDir:
        if self._work_dir is None:
            self._work_dir = WorkDir(launch.work_dir_root(self._conf), self._application_id)
            self._work_dir.sweep()
        return self._work_dir

    def _start(self, root: str) -> str:
        host, told = self._hosts()
        settings = {
            "host": host,
            "port": launch.integer(self._conf, "spark.driver.blockManager.port", 0),
            "root": root,
            "application_id": self._application_id,
            "token": self._token(),
            **self._tls(),
        }
        try:
            answer = self._launch(json.dumps(settings).encode() + b"\n")
        except (OSError, ValueError) as error:
            answer = {"error": str(error)}
        if "error" in answer:
            raise ConnectionFailed(f"the driver can't serve its broadcasts to executors on other machines: {answer['error']}")
        return f"{told}:{answer['address'].rpartition(':')[2]}"

    def _launch(self, settings: bytes) -> dict[str, str]:
        process = self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "quiver_executor.origin"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C is for the driver.
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(settings)
        process.stdin.flush()
        line = process.stdout.readline()
        answer: dict[str, str] = json.loads(line) if line else {"error": f"it ended with code {process.wait()}"}
        return answer

    def _hosts(self) -> tuple[str, str]:
        """What to listen on, and what executors are told."""
        manager_host, _, port = self._manager.rpartition(":")
        bare = manager_host.strip("[]")
        bind = self._conf.get("spark.driver.bindAddress") or ""
        told = self._conf.get("spark.driver.host") or ""
        if not bind:
            bind = bare if bare in _LOOPBACK else _address_towards(bare, int(port))
        if not told:
            told = socket.getfqdn() if bind in ("0.0.0.0", "::") else bind
        return bind, f"[{told}]" if ":" in told and not told.startswith("[") else told

    def _tls(self) -> dict[str, str]:
        cert, key = (os.path.expanduser(self._conf.get(name) or "") for name in ("quiver.tls.cert", "quiver.tls.key"))
        ca = self._conf.get("quiver.tls.ca") or os.environ.get("QUIVER_TLS_CA", "")
        if ca and not (cert and key):
            problem = "executors on other machines fetch broadcasts from the driver over TLS: give its certificate, and quiver.tls.key"
            raise BadSetting("quiver.tls.cert", cert, problem)
        return {"tls_cert": cert if ca else "", "tls_key": key if ca else ""}


def _address_towards(host: str, port: int) -> str:
    """This machine's address on the way to another; nothing is sent."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(address)
            found: str = probe.getsockname()[0]
            return found
    except OSError as error:
        raise ConnectionFailed(f"no address of this machine leads to the manager at {host}:{port}: {error}") from None
