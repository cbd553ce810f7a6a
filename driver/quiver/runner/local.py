"""Local mode's executor: the supervisor runs on the driver's own loop; its slots are child processes."""

from __future__ import annotations

import importlib
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from quiver_proto.host import this_machine
from quiver_proto.ids import LOCAL_EXECUTOR, LOCAL_NODE
from quiver_proto.loop import Loop
from quiver_proto.messages import FromExecutor, ToExecutor


class SupervisorLink:
    """An ExecutorLink whose executor is in this process."""

    block_server = ""

    def __init__(
        self, supervisor: Any, cores: int, memory_bytes: int, log_dir: str, shared: Any, resources: Mapping[str, Sequence[str]]
    ) -> None:
        self.executor_id, self.node_id = LOCAL_EXECUTOR, LOCAL_NODE
        self.host = socket.gethostname()
        self.machine = this_machine()
        self.cores, self.memory_bytes, self.log_dir = cores, memory_bytes, log_dir
        self.pid = os.getpid()
        self.resources = resources
        self._supervisor = supervisor
        self._shared = shared
        self.send: Callable[[ToExecutor], None] = supervisor.handle

    def close(self) -> None:
        self._supervisor.close()
        self._shared.remove()


def start_local_executor(
    loop: Loop,
    report: Callable[[FromExecutor], None],
    *,
    application_id: str,
    cores: int,
    memory_bytes: int,
    blocks_dir: str,
    log_dir: str,
    python_path: tuple[str, ...],
    hash_seed: int,
    quota_bytes: int,
    storage_fraction: float,
    eviction: str,
    environment: Mapping[str, str],
    resources: Mapping[str, Sequence[str]],
) -> SupervisorLink:
    """Launch the slots' template and return at once.

    The one place where the driver reaches into another process's package: by name, at run time, so that imports still run one way.
    """
    module = importlib.import_module("quiver_executor.supervisor")
    shared = shared_memory(application_id)
    config = module.ExecutorConfig(
        application_id=application_id,
        executor_id=LOCAL_EXECUTOR,
        node_id=LOCAL_NODE,
        cores=cores,
        memory_bytes=memory_bytes,
        blocks_dir=blocks_dir,
        log_dir=log_dir,
        python_path=python_path,
        working_dir=None,
        hash_seed=hash_seed,
        block_server="",
        token="",
        echo_output=True,
        quota_bytes=quota_bytes,
        memory_dir=shared.path,
        storage_fraction=storage_fraction,
        eviction=eviction,
        environment=environment,
    )
    supervisor = module.Supervisor(config, loop, report)
    supervisor.start()
    return SupervisorLink(supervisor, cores, memory_bytes, log_dir, shared, resources)


def shared_memory(application_id: str) -> Any:
    """A quiver_executor.memory_directory.MemoryDirectory for an application whose executor is in this process."""
    return importlib.import_module("quiver_executor.memory_directory").MemoryDirectory.create(application_id)
