"""Which versions a process runs, and whether two processes can work together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version

import quiver_proto
from quiver_proto.errors import IncompatibleVersions

KERNEL = "55.0.0"
"""The version of DataFusion whose plans v1/kernel.proto describes."""


def _major(text: str) -> str:
    return text.split(".")[0]


def _minor(text: str) -> str:
    return ".".join(text.split(".")[:2])


_MUST_AGREE: dict[str, Callable[[str], str]] = {
    "quiver": _minor,
    "protocol": str,
    "python": _minor,
    "pyarrow": _major,
    "cloudpickle": _major,
    # Its plans travel in a form that is no contract between its versions.
    "datafusion": str,
}
"""What of each version must be equal on both sides. A component that one side does not have decides nothing."""


def local_versions() -> dict[str, str]:
    """This process's versions, by component. Imports none of them."""
    found = {
        "quiver": quiver_proto.__version__,
        "protocol": str(quiver_proto.PROTOCOL_VERSION),
        "python": ".".join(map(str, sys.version_info[:3])),
    }
    for package in ("pyarrow", "cloudpickle", "datafusion"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def compare(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[list[str]]:
    """Rows of (component, ours, theirs, "ok" or "differs"), ours first; "differs" only where that means that they can't work together."""
    rows = []
    for component in [*ours, *(name for name in theirs if name not in ours)]:
        here, there = ours.get(component, ""), theirs.get(component, "")
        part = _MUST_AGREE.get(component)
        clash = part is not None and bool(here and there) and part(here) != part(there)
        rows.append([component, here or "-", there or "-", "differs" if clash else "ok"])
    return rows


def check(peer: str, ours: Mapping[str, str], theirs: Mapping[str, str]) -> None:
    """Raises IncompatibleVersions with the table of both sides when `peer` can't work with us, or did not say its protocol."""
    rows = compare(ours, theirs)
    if "protocol" not in theirs:
        rows = [[name, here, there, "differs" if name == "protocol" else verdict] for name, here, there, verdict in rows]
    if any(row[3] == "differs" for row in rows):
        raise IncompatibleVersions(peer, rows)
