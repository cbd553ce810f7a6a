"""Master URLs: where an application runs."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from quiver_proto.errors import BadMasterUrl
from quiver_proto.units import parse_memory


@dataclass(frozen=True, slots=True)
class Inline:
    """Tasks run in the calling thread, one after the other: for a debugger."""


@dataclass(frozen=True, slots=True)
class Local:
    """Slots are child processes of the driver; no TCP port is opened but the UI's."""

    cores: int
    max_failures: int | None = None


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """A manager and `nodes` node daemons on loopback, as real processes."""

    nodes: int
    cores: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Standalone:
    """A manager that is already running, `host:port`."""

    address: str


@dataclass(frozen=True, slots=True)
class RemoteDriver:
    """A `driver serve` daemon that is already running, `host:port`."""

    address: str


Master = Inline | Local | LocalCluster | Standalone | RemoteDriver

_LOCAL = re.compile(r"local(?:\[\s*(\*|\d+)\s*(?:,\s*(\d+)\s*)?\])?")
_LOCAL_CLUSTER = re.compile(r"local-cluster\[\s*(\d+)\s*,\s*(\d+)\s*,\s*([^\],]+)\]")
_ADDRESS = re.compile(r"(quiver|quiver-driver)://([^/\s:]+|\[[0-9a-fA-F:]+\]):(\d+)/?")


def available_cores() -> int:
    """Cores that this process may use (its affinity, not the machine's count)."""
    return len(os.sched_getaffinity(0))


def parse_master(url: str) -> Master:
    """The master that `url` names. Raises BadMasterUrl with the forms there are."""
    if url == "inline":
        return Inline()
    if match := _LOCAL.fullmatch(url):
        count, failures = match.groups()
        cores = 1 if count is None else available_cores() if count == "*" else int(count)
        if cores < 1 or failures == "0":
            raise BadMasterUrl(url, "counts must be at least 1")
        return Local(cores, int(failures) if failures else None)
    if match := _LOCAL_CLUSTER.fullmatch(url):
        nodes, cores = int(match[1]), int(match[2])
        if nodes < 1 or cores < 1:
            raise BadMasterUrl(url, "counts must be at least 1")
        return LocalCluster(nodes, cores, parse_memory(match[3], f"memory in master URL {url!r}", bare_unit="m"))
    if match := _ADDRESS.fullmatch(url):
        scheme, host, port = match.groups()
        if not 0 < int(port) < 65536:
            raise BadMasterUrl(url, f"{port} is not a port")
        address = f"{host}:{port}"
        return Standalone(address) if scheme == "quiver" else RemoteDriver(address)
    if url.startswith(("spark://", "yarn", "mesos://", "k8s://")):
        raise BadMasterUrl(url, "this is a Spark master; Quiver has its own")
    raise BadMasterUrl(url)
