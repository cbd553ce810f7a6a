"""The node daemon put together: its directory, block server and loop, behind quiver_proto.serving and the Node service."""

from __future__ import annotations

import time
from pathlib import Path

import grpc

from quiver_executor.block_server import BlockServer
from quiver_executor.memory_directory import SHARED_MEMORY
from quiver_executor.node_directory import NodeDirectory
from quiver_executor.node_loop import NodeLoop
from quiver_executor.node_model import NodeIdentity
from quiver_executor.node_settings import NodeSettings
from quiver_executor.shuffle_files import remove_shuffle
from quiver_proto.auth import application_token
from quiver_proto.cluster import (
    Ack,
    GetNodeStatus,
    Hello,
    HelloReply,
    LaunchExecutor,
    NodeStatus,
    RemoveApplication,
    RemoveNodeShuffle,
    StopExecutor,
)
from quiver_proto.errors import AuthenticationFailed, BadSetting, ConnectionFailed, IncompatibleVersions, PortInUse, QuiverError
from quiver_proto.ids import ApplicationId, NodeId
from quiver_proto.logs import Log
from quiver_proto.units import format_bytes
from quiver_proto.versions import check, local_versions

log = Log("executor")

_MANAGER_FILE_LIMIT_S = 30.0
_DRAIN_MARGIN_S = 1.0
"""Executors are killed so much before the daemon's own drain timeout, so that it can still tell the manager."""


class NodeDaemon:
    """Implements quiver_proto.serving.Daemon and the methods of quiver_proto.services.Node.

    A manager that is not there yet is waited for; one that refuses our secret or versions ends the daemon.
    """

    def __init__(self, settings: NodeSettings, secret: str, node_id: NodeId) -> None:
        self._settings = settings
        self._secret = secret
        self._node_id = node_id
        self._versions = local_versions()
        self._directory: NodeDirectory | None = None
        self._blocks: BlockServer | None = None
        self._running: NodeLoop | None = None
        self._drain_asked = False

    # ---- quiver_proto.serving.Daemon, in the main thread ----

    def started(self, address: str) -> None:
        settings = self._settings
        self._directory = NodeDirectory.create(Path(settings.local_dir).expanduser().absolute(), self._node_id, SHARED_MEMORY)
        for swept in self._directory.swept:
            log.info("removed what a dead node daemon had left", path=swept.path, freed=format_bytes(swept.bytes))
        blocks = self._blocks = self._serve_blocks(self._directory)
        identity = NodeIdentity(
            self._node_id,
            settings.public_host,
            address,
            f"{settings.public_host}:{blocks.port}",
            settings.cores,
            settings.memory,
            self._versions,
            settings.labels,
            launch_limit_s=settings.launch_limit_s,
            drain_limit_s=max(0.0, settings.drain_timeout_s - _DRAIN_MARGIN_S),
        )
        manager = _manager_address(settings)
        log.info(
            "node", node=self._node_id, cores=settings.cores, memory=format_bytes(settings.memory), manager=manager,
            blocks=identity.block_server, directory=self._directory.path,
        )  # fmt: skip
        self._running = NodeLoop(settings, self._secret, identity, self._directory, manager)
        try:
            self._running.manager.handshake()
        except (AuthenticationFailed, IncompatibleVersions):
            raise
        except QuiverError as error:
            log.warning("the manager does not answer yet", problem=error.message)
        self._running.start()

    def tick(self, now: float) -> None:
        if self._running is not None and self._running.crash is not None:
            raise self._running.crash

    def drain(self) -> bool:
        node = self._node
        if not self._drain_asked:
            self._drain_asked = True
            node.drain("the node daemon is draining")
        return node.finished.is_set() or node.crash is not None

    def stop(self) -> None:
        if self._running is not None:
            self._running.stop()
        if self._blocks is not None:
            self._blocks.shutdown()
            log.info("the block server stopped", sent=format_bytes(self._blocks.bytes_sent))
        if self._directory is not None:
            freed = self._directory.remove()
            log.info("removed the node's directory", path=self._directory.path, freed=format_bytes(freed))

    # ---- quiver_proto.services.Node, in gRPC's threads ----

    def handshake(self, hello: Hello, _: grpc.ServicerContext) -> HelloReply:
        check(f"{hello.role} {hello.name}", self._versions, hello.versions)
        return HelloReply(self._node_id, self._versions)

    def launch_executor(self, launch: LaunchExecutor, _: grpc.ServicerContext) -> Ack:
        return self._node.ask(launch)

    def stop_executor(self, stop: StopExecutor, _: grpc.ServicerContext) -> Ack:
        return self._node.ask(stop)

    def remove_application(self, remove: RemoveApplication, _: grpc.ServicerContext) -> Ack:
        return self._node.ask(remove)

    def remove_shuffle(self, remove: RemoveNodeShuffle, _: grpc.ServicerContext) -> Ack:
        directory = self._directory
        if directory is None:
            return Ack(False, "the node is starting")
        remove_shuffle(str(directory.blocks_path(remove.application_id)), remove.shuffle_id)
        return Ack()

    def get_node_status(self, _: GetNodeStatus, __: grpc.ServicerContext) -> NodeStatus:
        return self._node.status()

    @property
    def _node(self) -> NodeLoop:
        if self._running is None:
            raise ConnectionFailed(f"node {self._node_id} is starting: call again")
        return self._running

    def _serve_blocks(self, directory: NodeDirectory) -> BlockServer:
        """Every application's blocks, to whoever has that application's token."""
        settings = self._settings

        def token_of(application_id: str) -> str:
            return application_token(self._secret, ApplicationId(application_id))

        try:
            tls = settings.tls_paths
            root, memory = str(directory.path), directory.memory.path
            return BlockServer(settings.host, settings.block_port, root, token_of, memory_dir=memory, tls_cert=tls.cert, tls_key=tls.key)
        except OSError as error:
            log.error("the block server can't listen", problem=error)
            raise PortInUse(settings.host, settings.block_port) from None


def _manager_address(settings: NodeSettings) -> str:
    deadline = time.monotonic() + _MANAGER_FILE_LIMIT_S
    while (address := settings.manager_address()) is None:
        if time.monotonic() > deadline:
            raise BadSetting("--manager", settings.manager, f"the file is not there after {_MANAGER_FILE_LIMIT_S:.0f} s")
        # A port file's appearance can only be looked for.
        time.sleep(0.01)
    return address
