"""What the supervisor needs to know of its executor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ExecutorConfig:
    """What an executor is. `blocks_dir` is the node's directory for this application's blocks (`quota_bytes` bounds it, 0 does not);
    `python_path` is appended to the slots' sys.path; `token` opens other nodes' block servers, `block_server` is this node's own
    address ("" in local mode); `echo_output` copies what tasks print to this process's own stderr too; `environment` is added to
    the slots' own. `memory_dir` is the application's directory in shared memory ("": there is none); cached partitions may take
    `storage_fraction` of the memory, and `eviction` ("lru" or "cost") says which of them go first.
    With `reads_neighbours`, slots read files of other nodes on this machine where they lie.
    """

    application_id: str
    executor_id: str
    node_id: str
    cores: int
    memory_bytes: int
    blocks_dir: str
    log_dir: str
    python_path: tuple[str, ...]
    working_dir: str | None
    hash_seed: int
    block_server: str
    token: str
    echo_output: bool
    tls_ca: str = ""
    threads_per_slot: int = 1
    quota_bytes: int = 0
    memory_dir: str = ""
    storage_fraction: float = 0.5
    eviction: str = "lru"
    reads_neighbours: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def storage_bytes(self) -> int:
        """What cached partitions may take of the executor's memory."""
        return int(self.memory_bytes * self.storage_fraction)

    @property
    def live_bytes(self) -> int:
        """What one slot may hold of that as live objects."""
        return self.storage_bytes // 4 // self.cores
