"""The shell around every daemon: listen, say where, tick, drain on SIGTERM, and leave nothing behind.

    starting ── listening ──▶ serving ── SIGTERM or SIGINT ──▶ draining ── drained, or drain timeout ──▶ stopped
                                                                  └──── second signal: at once ────────▶ exit 128 + signal

What the daemon does stands in an object with the four methods of `Daemon`; nothing in it knows of signals, files or sockets.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Protocol

import grpc

from quiver_proto import logs
from quiver_proto.auth import RequireToken, TlsFiles
from quiver_proto.errors import BadSetting, PortInUse, QuiverError
from quiver_proto.rpc import CHANNEL_OPTIONS, add_service
from quiver_proto.settings import DaemonSettings

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
_MAX_THREADS = 1000
"""Calls served at once; a stream holds a thread for as long as it lives. Threads are started as they are needed."""


_SERVER_OPTIONS = (
    *CHANNEL_OPTIONS,
    ("grpc.so_reuseport", 0),
    # A peer whose machine vanished without a word is noticed, and its streams end, after about half a minute.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)


class Daemon(Protocol):
    """What a daemon does. All four are called in the main thread, one at a time, beside calls of its services in other threads."""

    def started(self, address: str) -> None:
        """It listens; `address` is `host:port` as others reach it."""
        ...

    def tick(self, now: float) -> None:
        """Time passed. `now` is monotonic."""
        ...

    def drain(self) -> bool:
        """Take nothing new; True once nothing runs any more. Called at every tick from the first signal on."""
        ...

    def stop(self) -> None:
        """Release everything. Called once, after the last tick, also when the daemon failed."""
        ...


def listen(
    host: str, port: int, token: str, services: Sequence[tuple[type, object]], tls: TlsFiles | None = None
) -> tuple[grpc.Server, int]:
    """A server that is not started yet, and its port. Every call must show `token`: there is no way to listen without one.

    Raises PortInUse, or BadSetting for a host that is not this machine's.
    """
    guard = RequireToken(token)
    _try_bind(host, port)
    server = grpc.server(
        ThreadPoolExecutor(_MAX_THREADS, thread_name_prefix="rpc"),
        interceptors=[guard],
        options=_SERVER_OPTIONS,
    )
    for service, implementation in services:
        add_service(server, service, implementation)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        chosen = server.add_secure_port(address, tls.server_credentials()) if tls else server.add_insecure_port(address)
    except RuntimeError:
        raise PortInUse(host, port) from None
    return server, chosen


def _try_bind(host: str, port: int) -> None:
    """gRPC tells no reasons; a plain socket does."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except socket.gaierror as problem:
        raise BadSetting("--host", host, f"is not an address ({problem.strerror})") from None
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            raise PortInUse(host, port) from None
        raise BadSetting("--host", f"{host}:{port}", f"can't be listened on: {problem.strerror}") from None


class StopSignals:
    """Counts the requests to end: the first asks to drain, the second ends the process at once."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self.signal_number = 0

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    def ask(self, signal_number: int = signal.SIGTERM) -> bool:
        """True when this was the first time."""
        first = not self._asked.is_set()
        self.signal_number = self.signal_number or signal_number
        self._asked.set()
        return first

    def wait(self, timeout_s: float) -> None:
        self._asked.wait(timeout_s)


def write_whole(path: Path, text: str) -> None:
    """Readers see the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    os.replace(draft, path)


_announced: dict[Path, str] = {}


@contextmanager
def announced(path: str, text: str) -> Iterator[None]:
    """The file holds `text` within the block and is gone after it (unless another process has replaced it). No path: no file."""
    if not path:
        yield
        return
    file = Path(path).expanduser()
    try:
        write_whole(file, text)
    except OSError as problem:
        raise BadSetting("file", path, f"can't be written: {problem.strerror}") from None
    _announced[file] = text
    try:
        yield
    finally:
        _take_back(file, _announced.pop(file))


def _take_back(file: Path, text: str) -> None:
    try:
        if file.read_text() == text:
            file.unlink()
    except OSError:
        pass


def serve(
    settings: DaemonSettings,
    token: str,
    services: Sequence[tuple[type, object]],
    daemon: Daemon,
    *,
    tick_s: float = 0.5,
    stop: StopSignals | None = None,
) -> int:
    """Run `daemon` until it is told to end; its exit code. Prints `<daemon> listens on host:port` on stdout once it does.

    `services` are (class of quiver_proto.services, implementation). Without `stop`, SIGTERM and SIGINT are handled: the first
    drains, for `settings.drain_timeout_s` seconds at most, the second ends the process at once with 128 + its number. With `stop`
    no signal handler is installed, so a test may run it in a thread. Raises PortInUse or BadSetting before anything has started.
    """
    logs.configure(settings.log_level, settings.log_format)
    logs.keep_secret(token)
    log = logs.Log(settings.daemon)
    server, port = listen(settings.host, settings.port, token, services, settings.tls)
    address = f"{settings.public_host}:{port}"
    stop = stop or _handle_signals()
    with announced(settings.pid_file, f"{os.getpid()}\n"):
        try:
            server.start()
            daemon.started(address)
            with announced(settings.port_file, f"{address}\n"):
                print(f"{settings.daemon} listens on {address}", flush=True)
                log.info("listening", address=address, pid=os.getpid(), tls=settings.tls is not None)
                _run(daemon, stop, tick_s, settings.drain_timeout_s, log)
        except QuiverError as error:
            log.error("failed", problem=error)
            return EXIT_FAILED
        except Exception:
            log.exception("failed")
            return EXIT_FAILED
        finally:
            server.stop(grace=0.2).wait()
            daemon.stop()
    log.info("stopped")
    return EXIT_OK


def _run(daemon: Daemon, stop: StopSignals, tick_s: float, drain_timeout_s: float, log: logs.Log) -> None:
    while not stop.asked:
        daemon.tick(time.monotonic())
        stop.wait(tick_s)
    log.info("draining", because=signal.Signals(stop.signal_number).name, limit_s=drain_timeout_s)
    deadline = time.monotonic() + drain_timeout_s
    while not daemon.drain():
        if time.monotonic() >= deadline:
            log.warning("still running at the end of the drain timeout", limit_s=drain_timeout_s)
            return
        daemon.tick(time.monotonic())
        time.sleep(min(tick_s, 0.05))


def _handle_signals() -> StopSignals:
    stop = StopSignals()

    def handle(number: int, _: FrameType | None) -> None:
        if not stop.ask(number):
            sys.stderr.write("second signal: ending at once\n")
            sys.stderr.flush()
            for file, text in _announced.items():
                _take_back(file, text)
            os._exit(128 + number)

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop
