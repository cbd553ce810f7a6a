"""What a node daemon hands an executor process: one JSON line on the process's standard input, which is a socket to the daemon.

The socket then stays: the executor answers one line (`UP` with its address), the daemon may send the line `DRAIN`, and its end
means that the other side is gone. Nothing secret is ever on a command line or in an environment.
"""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass, field, fields
from typing import Any

DRAIN = b"drain\n"


@dataclass(frozen=True, slots=True)
class LaunchConfig:
    """One executor. Memory in bytes. It listens on `bind_host`, others reach it at `host`. `tls_*` are PEM files' paths, or ""."""

    application_id: str
    executor_id: str
    node_id: str
    node_pid: int
    host: str
    bind_host: str
    cores: int
    memory_bytes: int
    blocks_dir: str
    log_dir: str
    log_level: str
    log_format: str
    python_path: tuple[str, ...]
    working_dir: str
    hash_seed: int
    block_server: str
    token: str
    quota_bytes: int
    driver_gone_limit_s: float
    memory_dir: str = ""
    storage_fraction: float = 0.5
    eviction: str = "lru"
    reads_neighbours: bool = False
    resource_conf: dict[str, str] = field(default_factory=dict)
    """The settings `spark.executor.resource.*`."""
    tls_cert: str = ""
    tls_key: str = ""
    tls_ca: str = ""

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> LaunchConfig:
        given: dict[str, Any] = json.loads(line)
        given["python_path"] = tuple(given["python_path"])
        known = {known.name for known in fields(cls)}
        return cls(**{name: value for name, value in given.items() if name in known})


def up_line(address: str) -> bytes:
    """What the executor says once it listens at `address`."""
    return json.dumps({"address": address}).encode() + b"\n"


def read_up_line(line: bytes) -> str:
    address: str = json.loads(line)["address"]
    return address


def read_line(control: socket.socket) -> bytes:
    """One line, blocking; EOFError when the other side closed before its end."""
    received = bytearray()
    while not received.endswith(b"\n"):
        data = control.recv(65536)
        if not data:
            raise EOFError("the node daemon closed the control socket")
        received += data
    return bytes(received)
