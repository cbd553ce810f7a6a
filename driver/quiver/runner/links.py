"""Links: how the engine talks to an executor, wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from quiver_proto.ids import ExecutorId, NodeId
from quiver_proto.messages import ToExecutor


class ExecutorLink(Protocol):
    """One executor. `send` never blocks and keeps order; reports come back through the engine's own entry points."""

    executor_id: ExecutorId
    node_id: NodeId
    host: str
    cores: int
    memory_bytes: int
    pid: int
    block_server: str
    log_dir: str
    machine: str
    """quiver_proto.host.this_machine() where it runs."""
    resources: Mapping[str, Sequence[str]]

    def send(self, message: ToExecutor, /) -> None: ...

    def close(self) -> None:
        """The executor is no longer ours: end it if it is a child, and free what the link holds."""
        ...
