"""`executor`: the node daemon."""

from __future__ import annotations

import socket

from quiver_executor.node_settings import NodeSettings
from quiver_proto.auth import find_secret
from quiver_proto.ids import new_node_id
from quiver_proto.settings import command


def run(settings: NodeSettings) -> int:
    from quiver_executor.node_daemon import NodeDaemon
    from quiver_proto import logs, services
    from quiver_proto.serving import serve

    logs.configure(settings.log_level, settings.log_format)
    secret = find_secret(settings.secret_file)
    node_id = new_node_id(socket.gethostname().split(".")[0] or "host")
    daemon = NodeDaemon(settings, secret, node_id)
    return serve(settings, secret, [(services.Node, daemon)], daemon)


main = command(
    NodeSettings,
    run,
    "The node daemon: offers this machine's cores and memory to a manager, launches executors, keeps and serves their blocks.",
)

if __name__ == "__main__":
    main()
