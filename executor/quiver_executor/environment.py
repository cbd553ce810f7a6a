"""Where a slot runs: what a task body needs to know about its process and its node, as plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SlotEnvironment:
    """One slot's surroundings.

    `blocks_dir` holds the application's blocks on this node (shuffle files, large results): what is written there outlives the slot and
    is served to other nodes. `scratch_dir` is for spills, which end with their task. `memory_bytes` is this slot's share: a task spills
    when it holds about half of it. `token` and `tls_ca` (a PEM file's path, or "") open other nodes' block servers.
    `quota_bytes` bounds `blocks_dir`; 0 is no bound. `memory_dir` is the application's directory in shared memory ("": there is none),
    `storage_bytes` what the executor may hold there and as live objects, `live_bytes` what this slot may hold of the latter;
    `eviction` is "lru" or "cost". `serial` tells this process from others that have been the same slot. With `reads_neighbours`, files
    of other nodes on this machine are read where they lie.
    """

    application_id: str
    executor_id: str
    node_id: str
    slot: int
    blocks_dir: str
    scratch_dir: str
    memory_bytes: int
    token: str = ""
    tls_ca: str = ""
    quota_bytes: int = 0
    memory_dir: str = ""
    storage_bytes: int = 0
    live_bytes: int = 0
    eviction: str = "lru"
    reads_neighbours: bool = False
    serial: int = 0
