"""Starts the web UI: its port is taken at once, its process comes up later, so that a first result never waits for a page."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
import subprocess
import sys

from quiver_proto.errors import PortInUse

PORTS_TRIED = 32


class WebUi:
    """One web process for one event log. `url` is valid from the start: the listening socket is ours until then."""

    def __init__(self, event_log: str, port: int, host: str = "127.0.0.1") -> None:
        self._log = event_log
        self._socket = _listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        self.moved = port not in (0, self.port)
        self.token = secrets.token_urlsafe(24)
        self.url = f"http://{host}:{self.port}/?token={self.token}"
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None

    def start(self) -> None:
        """Launch the process. It ends when the lifeline's other end, held by this process, is closed."""
        if self._process is not None:
            return
        life_read, self._lifeline = os.pipe2(os.O_CLOEXEC)
        token_read, token_write = os.pipe2(os.O_CLOEXEC)
        fd = self._socket.fileno()
        try:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "quiver_web", "--log", self._log),
                    *("--fd", str(fd), "--token-fd", str(token_read), "--lifeline", str(life_read)),
                ],
                pass_fds=(fd, token_read, life_read),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            os.close(life_read)
            os.close(token_read)
        os.write(token_write, self.token.encode())
        os.close(token_write)

    def stop(self) -> None:
        """End the process and free the port. Twice does nothing."""
        self._socket.close()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(2)
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._process = None


def _listen(host: str, port: int) -> socket.socket:
    for candidate in [port] if port == 0 else range(port, port + PORTS_TRIED):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(64)
            return listener
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise
    raise PortInUse(host, port)
