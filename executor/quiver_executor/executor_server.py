"""The executor's listening side. Apart, so that gRPC is imported after the slots' template was started."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc

from quiver_executor.driver_edge import DriverEdge
from quiver_executor.launch_config import LaunchConfig
from quiver_proto import services
from quiver_proto.auth import RequireToken, TlsFiles
from quiver_proto.errors import PortInUse
from quiver_proto.rpc import CHANNEL_OPTIONS, add_service

_THREADS = 8
"""A stream holds one as long as it lasts; one is current, and replaced ones end soon."""


def serve_executor(config: LaunchConfig, edge: DriverEdge) -> tuple[grpc.Server, str]:
    """Listen on a free port of the node's address for the application's own driver: (server, `host:port`). Raises PortInUse."""
    server = grpc.server(
        ThreadPoolExecutor(_THREADS, thread_name_prefix="driver-edge"),
        interceptors=(RequireToken(config.token),),
        options=(*CHANNEL_OPTIONS, ("grpc.so_reuseport", 0)),
    )
    add_service(server, services.Executor, edge)
    wanted = f"{config.host}:0"
    try:
        if config.tls_cert:
            port = server.add_secure_port(wanted, TlsFiles(config.tls_cert, config.tls_key, config.tls_ca).server_credentials())
        else:
            port = server.add_insecure_port(wanted)
    except RuntimeError:
        port = 0
    if not port:
        raise PortInUse(config.host, 0)
    server.start()
    return server, f"{config.host}:{port}"
