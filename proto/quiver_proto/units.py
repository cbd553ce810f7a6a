"""Bytes and durations as people write them."""

from __future__ import annotations

import re

from quiver_proto.errors import BadMemoryString

_SUFFIXES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_MEMORY = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?\s*$", re.IGNORECASE)


def parse_memory(text: str | int, where: str = "memory", bare_unit: str = "") -> int:
    """Bytes in a string such as `512m`, `4g`, `1.5GiB` (binary units, as in Spark).

    `bare_unit` is the suffix assumed for a number without one (`local-cluster[n,cores,mem]` counts MiB).
    Raises BadMemoryString, naming `where`.
    """
    match = _MEMORY.match(str(text))
    if match is None:
        raise BadMemoryString(str(text), where)
    number, suffix = match.groups()
    size = int(float(number) * _SUFFIXES[(suffix or bare_unit).lower()])
    if size <= 0:
        raise BadMemoryString(str(text), where)
    return size


def format_bytes(size: float) -> str:
    """`1536` -> `1.5 KiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def format_seconds(seconds: float) -> str:
    """`0.0123` -> `12 ms`, `75.2` -> `1 min 15 s`."""
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
