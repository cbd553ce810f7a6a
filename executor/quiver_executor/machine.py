"""What this machine can give: cores and memory, as the kernel lets this process use them."""

from __future__ import annotations

import os
from pathlib import Path

from quiver_executor import kernel
from quiver_executor.process_tree import descendants

RESERVED = 1 << 30
"""Bytes left to the system and the node daemon itself."""

_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def available_cores() -> int:
    """Cores that this process may use (its affinity, not the machine's count)."""
    return len(os.sched_getaffinity(0))


def available_memory() -> int:
    """Bytes for executors: the smaller of the machine's memory and the cgroup's limit, less 1 GiB; half of it where that is more."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _CGROUP_LIMITS:
        try:
            text = Path(path).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return max(total - RESERVED, total // 2)


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and its living descendants; 0 when it is gone."""
    return sum(map(kernel.rss_bytes, (pid, *descendants(pid))))


def load_percent() -> float:
    """Of all cores, over the last minute."""
    return round(100.0 * os.getloadavg()[0] / (os.cpu_count() or 1), 1)
