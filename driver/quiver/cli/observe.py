"""The facts that `quiver doctor` judges: what this machine says about itself. No judgement here."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import resource
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from quiver_proto.errors import QuiverError

_MODULES = {"grpcio": "grpc", "protobuf": "google.protobuf", "pydantic-settings": "pydantic_settings"}
"""Distributions whose module has another name."""

DISTRIBUTION = "quiver-cluster"


class Python(NamedTuple):
    version: tuple[int, int, int]
    implementation: str
    in_venv: bool


class Secret(NamedTuple):
    """`mode` is None when there is no such file."""

    path: str
    mode: int | None
    owner: int


class Manager(NamedTuple):
    """`error`: why it could not be asked, or "". `skew_s`: our clock minus the manager's, None when not known."""

    error: str
    nodes: int
    cores: int
    skew_s: float | None


def python() -> Python:
    import platform

    return Python(sys.version_info[:3], platform.python_implementation(), sys.prefix != sys.base_prefix)


def requirements() -> list[str]:
    """Of the installed distribution, without extras; empty when Quiver runs from a folder that was never installed."""
    try:
        stated = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [requirement for requirement in stated if "extra ==" not in requirement]


def installed_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def import_error(name: str) -> str:
    """Why the distribution's module does not import; empty when it does. Any error counts: a broken library may raise anything."""
    try:
        importlib.import_module(_MODULES.get(name, name.replace("-", "_")))
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are winding down is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def next_free_port(port: int, tries: int = 32) -> int | None:
    return next((candidate for candidate in range(port + 1, min(port + 1 + tries, 65536)) if port_is_free(candidate)), None)


def directory_problem(path: str) -> str:
    """Why a file can't be written in `path`, or in the first parent that exists when it doesn't; empty when it can."""
    place = Path(path)
    while not place.exists():
        place = place.parent
    try:
        with tempfile.NamedTemporaryFile(prefix=".quiver-doctor-", dir=place) as file:
            file.write(b"0" * 4096)
            file.flush()
    except OSError as error:
        return f"can't be written ({error.strerror})"
    return ""


def free_bytes(path: str) -> int:
    place = Path(path)
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def memory() -> tuple[int, int]:
    """(total, available) bytes."""
    import psutil

    facts = psutil.virtual_memory()
    return int(facts.total), int(facts.available)


def cgroup_memory_limit(root: str = "/sys/fs/cgroup", membership: str = "/proc/self/cgroup") -> int | None:
    """The smallest limit on the way from this process's group to the root (version 2, else version 1); None when there is none."""
    limits: list[int] = []
    with contextlib.suppress(OSError):
        for line in Path(membership).read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers not in ("", "memory") and "memory" not in controllers.split(","):
                continue
            base = Path(root) if not controllers else Path(root) / "memory"
            name = "memory.max" if not controllers else "memory.limit_in_bytes"
            for place in (base / group.lstrip("/"), *(base / group.lstrip("/")).parents):
                with contextlib.suppress(OSError, ValueError):
                    limits.append(int((place / name).read_text()))
                if place == base:
                    break
    # Version 1 writes "no limit" as a number near 2^63.
    real = [limit for limit in limits if limit < 1 << 60]
    return min(real) if real else None


def shm(path: str = "/dev/shm") -> tuple[int | None, int]:
    """(size or None, free) bytes."""
    if not os.path.isdir(path):
        return None, 0
    usage = shutil.disk_usage(path)
    return usage.total, usage.free


def monotonic_readings(count: int = 1000) -> list[float]:
    return [time.monotonic() for _ in range(count)]


def open_file_limits() -> tuple[int, int]:
    """(soft, hard); -1 means no limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (-1 if soft == resource.RLIM_INFINITY else soft), (-1 if hard == resource.RLIM_INFINITY else hard)


def default_secret_path() -> str:
    """Where the secret is when nothing else is said."""
    try:
        from quiver_proto.auth import state_dir
    except ImportError:
        # A broken gRPC is another check's finding.
        return "~/.quiver/secret"
    return str(state_dir() / "secret")


def manager(url: str, secret_file: str) -> Manager:
    """Asks once, and compares clocks at the middle of the question."""
    try:
        from quiver.cli.status import ask

        before = time.time()
        answer = ask(url, secret_file)
    except (ImportError, QuiverError) as error:
        return Manager(str(error), 0, 0, None)
    skew = (before + time.time()) / 2 - answer.unix_time if answer.unix_time else None
    nodes = [node for node in answer.nodes if node.state == "alive"]
    return Manager("", len(nodes), sum(node.cores for node in nodes), skew)


def secret(path: str) -> Secret:
    path = os.path.expanduser(path)
    try:
        facts = os.stat(path)
    except OSError:
        return Secret(path, None, -1)
    return Secret(path, facts.st_mode & 0o7777, facts.st_uid)
