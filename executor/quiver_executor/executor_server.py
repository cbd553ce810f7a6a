"""The executor's listening side. Apart, so that gRPC is imported after the slots' template was started."""

from __future__ import annotations

import grpc

from quiver_executor.driver_edge import DriverEdge
from quiver_executor.launch_config import LaunchConfig
from quiver_proto import services
from quiver_proto.auth import TlsFiles
from quiver_proto.serving import listen


def serve_executor(config: LaunchConfig, edge: DriverEdge) -> tuple[grpc.Server, str]:
    """Listen on a free port for the application's own driver: (server, `host:port` as others reach it). Raises PortInUse, BadSetting."""
    tls = TlsFiles(config.tls_cert, config.tls_key, config.tls_ca) if config.tls_cert else None
    server, port = listen(config.bind_host, 0, config.token, [(services.Executor, edge)], tls)
    server.start()
    return server, f"{config.host}:{port}"
