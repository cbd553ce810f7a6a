"""A driver's block server, for broadcasts that executors on other machines fetch.

    python -P -m quiver_executor.origin         (standard input: one JSON line of settings, then nothing until the driver ends)

It answers one JSON line, `{"address": "host:port"}` or `{"error": text}`, and ends with its standard input. The settings are `host`,
`port`, `root` (the application's directory is below it), `application_id`, `token`, `tls_cert` and `tls_key`; the token is on no
command line.
"""

from __future__ import annotations

import json
import logging
import os
import sys

from quiver_executor.block_server import BlockServer
from quiver_proto.errors import PortInUse


def main() -> int:
    settings = json.loads(sys.stdin.readline() or "null")
    if settings is None:
        sys.exit("this is started by a driver, not by hand")
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    application_id, token = settings["application_id"], settings["token"]
    try:
        server = BlockServer(
            settings["host"], settings["port"], settings["root"], lambda asked: token if asked == application_id else "",
            tls_cert=settings["tls_cert"], tls_key=settings["tls_key"],
        )  # fmt: skip
    except (PortInUse, OSError) as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return 1
    print(json.dumps({"address": server.address}), flush=True)
    while os.read(0, 4096):
        pass
    server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
