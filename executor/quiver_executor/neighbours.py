"""Other nodes on this machine: what they have on disk is read where it lies, as Spark does (spark.shuffle.readHostLocalDisk)."""

from __future__ import annotations

import functools
import os
import stat

from quiver_executor.environment import SlotEnvironment


def lies_here(env: SlotEnvironment, node_id: str, path: str) -> bool:
    """Whether this slot can read the file `path` of node `node_id`: its own node's, or that of another node on this machine.

    A node's id is in the paths of its files and never used again, so a directory of that name is that node's, also on a file system
    that machines share. It must be this user's alone: what is read may be unpickled.
    """
    if node_id == env.node_id:
        return True
    above, found, _ = path.partition(f"/{node_id}/")
    return bool(found) and env.reads_neighbours and _is_ours(f"{above}/{node_id}")


@functools.lru_cache(maxsize=1024)
def _is_ours(directory: str) -> bool:
    try:
        status = os.lstat(directory)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
